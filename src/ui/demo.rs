//! Scripted runs, to look at the UI without a platform. Used by a hidden command and by our tests.

use std::collections::BTreeMap;
use std::time::Duration;

use reemo_model::change::{Action, FieldDiff};
use reemo_model::event::{Counts, Event, Outcome, Shown, Sink, Trips};
use reemo_model::secret::PLACEHOLDER;

/// Which run is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A first installation.
    Apply,
    /// A plan of it.
    Plan,
    /// A run that finds everything as wanted.
    NoChange,
    /// A service that never becomes healthy.
    Failure,
    /// Hosts that cannot be reached.
    Unreachable,
}

const HOSTS: [&str; 3] = ["infra1", "infra2", "infra3"];
const CLUSTER: &str = "infra_manager";

/// Plays a scene. A pace of zero sends everything at once.
pub fn play(sink: &Sink, scene: Scene, pace: Duration) {
    for (steps, event) in script(scene) {
        std::thread::sleep(pace * steps);
        sink.send(event);
    }
}

/// The events of a scene, each with how many steps of time pass before it.
pub fn script(scene: Scene) -> Vec<(u32, Event)> {
    let mut script = Script::default();
    let command = if scene == Scene::Plan { "plan" } else { "apply" };
    script.push(Event::RunStarted {
        run_id: "20270115T080000Z-4f2a".into(),
        command: command.into(),
        hosts: HOSTS.map(String::from).to_vec(),
        log: "/var/log/reemo-infra/20270115T080000Z-4f2a.log".into(),
    });
    script.phase("read", "", 0.015);
    HOSTS.iter().for_each(|host| script.phase("connect", host, 0.125));
    match scene {
        Scene::Apply | Scene::Plan => script.install(scene == Scene::Apply),
        Scene::NoChange => script.nothing(),
        Scene::Failure => script.failure(),
        Scene::Unreachable => script.unreachable(),
    }
    script.events
}

#[derive(Default)]
struct Script {
    events: Vec<(u32, Event)>,
    counts: BTreeMap<String, Counts>,
}

impl Script {
    fn push(&mut self, event: Event) {
        self.events.push((0, event));
    }

    fn later(&mut self, steps: u32, event: Event) {
        self.events.push((steps, event));
    }

    fn phase(&mut self, phase: &str, of: &str, seconds: f64) {
        self.push(Event::PhaseFinished { phase: phase.into(), of: of.into(), seconds });
    }

    fn stage(&mut self, stage: &str, tasks: usize) {
        self.push(Event::StageStarted { cluster: CLUSTER.into(), stage: stage.into(), tasks });
    }

    fn end_stage(&mut self, stage: &str) {
        self.later(2, Event::StageFinished { cluster: CLUSTER.into(), stage: stage.into(), seconds: 12.5 });
    }

    fn start(&mut self, stage: &str, host: &str, title: &str) {
        let (host, title, task) = (host.to_owned(), title.to_owned(), format!("{title}@{host}"));
        self.later(1, Event::TaskStarted { task, title, host, stage: stage.into() });
    }

    fn say(&mut self, host: &str, title: &str, line: &str) {
        let (host, task) = (host.to_owned(), format!("{title}@{host}"));
        self.later(4, Event::TaskOutput { task, host, line: line.into() });
    }

    fn end(&mut self, stage: &str, host: &str, title: &str, outcome: Outcome, change: Option<Shown>) {
        let counts = self.counts.entry(host.to_owned()).or_default();
        match &outcome {
            Outcome::Ok | Outcome::Unknown { .. } => counts.ok += 1,
            Outcome::Changed => (counts.ok, counts.changed) = (counts.ok + 1, counts.changed + 1),
            Outcome::Skipped { .. } => counts.skipped += 1,
            Outcome::Failed { .. } => counts.failed += 1,
            Outcome::Unreachable => counts.unreachable = 1,
        }
        let (host, title, task) = (host.to_owned(), title.to_owned(), format!("{title}@{host}"));
        let stage = stage.to_owned();
        self.later(1, Event::TaskFinished { task, title, host, stage, outcome, change, seconds: 3.25 });
    }

    fn recap(&mut self, exit: u8) {
        let hosts = HOSTS.map(|host| (host.to_owned(), self.counts.get(host).cloned().unwrap_or_default()));
        let trips = Trips { handshakes: 1, execs: 2, docker_calls: 9, bytes: 48_213 };
        let trips = HOSTS.map(|host| (host.to_owned(), trips.clone())).into();
        self.push(Event::Recap { hosts: hosts.into(), seconds: 41.5, exit, trips });
    }

    fn install(&mut self, acts: bool) {
        self.stage("engine", 6);
        let (install, daemon) = ("install docker.io", "write /etc/docker/daemon.json");
        if acts {
            HOSTS.iter().for_each(|host| self.start("engine", host, install));
            for line in ["Get:1 docker.io 20.10.24", "Unpacking docker.io …", "Setting up docker.io …"] {
                HOSTS.iter().for_each(|host| self.say(host, install, line));
            }
        }
        for host in HOSTS {
            self.end(
                "engine",
                host,
                install,
                Outcome::Changed,
                shown(Action::Create, &[("version", None, Some("20.10.24"))]),
            );
            let mut change = shown(Action::Update, &[("content", None, None)]);
            if let Some(field) = change.as_mut().and_then(|c| c.fields.first_mut()) {
                field.text = Some(DAEMON_DIFF.to_owned());
            }
            self.end("engine", host, daemon, Outcome::Changed, change);
        }
        self.push(Event::Warning { message: "infra2: clock is 3 s behind this machine".into() });
        self.end_stage("engine");

        self.stage("api", 3);
        let create = "create service reemo_api";
        let fields = [
            ("env.API_LOG_LEVEL", Some("info"), Some("debug")),
            ("env.DB_PASSWORD", Some(PLACEHOLDER), Some(PLACEHOLDER)),
            ("mounts./tmp", Some("tmpfs"), None),
        ];
        if acts {
            self.start("api", HOSTS[0], create);
            (1..=4).for_each(|n| self.say(HOSTS[0], create, &format!("{n} of 4 replicas healthy")));
            self.end("api", HOSTS[0], create, Outcome::Changed, shown(Action::Update, &fields));
        } else {
            self.end("api", HOSTS[0], create, Outcome::Changed, shown(Action::Update, &fields));
            let until = "the image is pulled".to_owned();
            self.end("api", HOSTS[0], "run reemo_db", Outcome::Unknown { until }, None);
        }
        self.end("api", HOSTS[1], "label node", Outcome::Ok, None);
        let why = "MAIL_ENABLE is false".to_owned();
        self.end("api", HOSTS[2], "create service reemo_exim", Outcome::Skipped { why }, None);
        self.end_stage("api");
        self.recap(0);
    }

    fn nothing(&mut self) {
        self.stage("engine", 3);
        HOSTS.iter().for_each(|host| self.end("engine", host, "install docker.io", Outcome::Ok, None));
        self.end_stage("engine");
        self.recap(0);
    }

    fn failure(&mut self) {
        self.stage("api", 1);
        let title = "update service reemo_api";
        self.start("api", HOSTS[0], title);
        for n in 1..=24 {
            self.say(HOSTS[0], title, &format!("api.{n}: cannot reach the database"));
        }
        let why = "not healthy after 60 s; Swarm rolled it back".to_owned();
        self.end("api", HOSTS[0], title, Outcome::Failed { why: why.clone() }, None);
        self.push(Event::Failure {
            cause: format!("reemo_api: {why}"),
            last_lines: vec!["FATAL db: access denied for user 'reemo'".into()],
            serving: "the release before, on all 3 hosts".into(),
            next: "reemo-infra logs reemo_api -i inventory.yml".into(),
        });
        self.recap(6);
    }

    fn unreachable(&mut self) {
        for (host, cause) in [("infra2", "connection refused"), ("infra3", "no route to host")] {
            self.counts.entry(host.to_owned()).or_default().unreachable = 1;
            self.push(Event::HostUnreachable {
                host: host.into(),
                address: "root@192.0.2.7:22".into(),
                cause: cause.into(),
                hint: "start it, or run with --skip-unreachable".into(),
            });
        }
        self.push(Event::Failure {
            cause: "2 of 3 hosts cannot be reached; nothing was changed".into(),
            last_lines: Vec::new(),
            serving: "everything as before".into(),
            next: "reemo-infra apply -i inventory.yml --skip-unreachable".into(),
        });
        self.recap(4);
    }
}

const DAEMON_DIFF: &str = "\
--- /etc/docker/daemon.json
+++ /etc/docker/daemon.json
@@ -1,3 +1,4 @@
 {
-  \"mtu\": 1500
+  \"mtu\": 1450,
+  \"log-driver\": \"syslog\"
 }
";

fn shown(action: Action, fields: &[(&str, Option<&str>, Option<&str>)]) -> Option<Shown> {
    let field = |(name, was, wanted): &(&str, Option<&str>, Option<&str>)| {
        FieldDiff::new(*name, was.map(String::from), wanted.map(String::from))
    };
    Some(Shown { action, fields: fields.iter().map(field).collect() })
}
