//! What somebody changes by hand, one thing after another: a plan names exactly that, on the path that every run takes,
//! and nothing once it is put back. No cache decides, no registry is asked unless `--refresh` says so, and a plan leaves
//! no trace on the hosts, chatty ones neither.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::snapshot;
use crate::story::{Stage, say};

/// One change by hand, and what takes it back.
struct Drift {
    /// On which host.
    host: usize,
    by_hand: &'static str,
    back: &'static str,
    /// What a plan says: of each task that is not as wanted, a piece of `HOST: TITLE: FIELD WAS -> WANTED; …`.
    seen: &'static [&'static str],
}

const fn drift(host: usize, by_hand: &'static str, back: &'static str, seen: &'static [&'static str]) -> Drift {
    Drift { host, by_hand, back, seen }
}

/// `docker service update` of a service, and Swarm's own way back. None of these keeps the service from running, so that
/// Swarm does not take it back by itself.
macro_rules! service {
    ($name:literal, $change:literal, $says:literal) => {
        drift(
            0,
            concat!("docker service update -dq --no-resolve-image ", $change, " ", $name),
            concat!("docker service rollback -dq ", $name),
            &[concat!(": ", $name, ": ", $says)],
        )
    };
}

const DRIFTS: [Drift; 28] = [
    drift(
        0,
        "chmod 0600 /etc/reemo/traefik/dynamic/common.yml",
        "chmod 0644 /etc/reemo/traefik/dynamic/common.yml",
        &["infra_manager1: write /etc/reemo/traefik/dynamic/common.yml: mode 0600 -> 0644"],
    ),
    drift(
        1,
        "chown nobody /etc/reemo/traefik/dynamic/common.yml",
        "chown root /etc/reemo/traefik/dynamic/common.yml",
        &["infra_manager2: write /etc/reemo/traefik/dynamic/common.yml: owner nobody:root -> root:root"],
    ),
    drift(
        2,
        "f=/etc/reemo/traefik/dynamic/portal.yml; cp -p $f /root/kept; echo '# by hand' >>$f",
        "mv /root/kept /etc/reemo/traefik/dynamic/portal.yml",
        &["infra_manager3: write /etc/reemo/traefik/dynamic/portal.yml: content"],
    ),
    drift(
        0,
        "mv /etc/reemo/traefik/dynamic/portaladmin.yml /root/kept",
        "mv /root/kept /etc/reemo/traefik/dynamic/portaladmin.yml",
        &["infra_manager1: write /etc/reemo/traefik/dynamic/portaladmin.yml: "],
    ),
    drift(
        1,
        "chmod 0777 /etc/reemo/traefik/certs; chown nobody:nogroup /etc/reemo/traefik/certs",
        "chmod 0700 /etc/reemo/traefik/certs; chown root:root /etc/reemo/traefik/certs",
        &["infra_manager2: directory /etc/reemo/traefik/certs: mode 0777 -> 0700; owner nobody:nogroup -> root:root"],
    ),
    // With the time it had: an engine that is older than its configuration is another drift, the next one.
    drift(
        2,
        r#"f=/etc/docker/daemon.json; cp -p $f /root/kept; echo '{"live-restore": true}' >$f; touch -r /root/kept $f"#,
        "mv /root/kept /etc/docker/daemon.json",
        &[
            "infra_manager3: settings in /etc/docker/daemon.json: live-restore true -> false",
            "infra_manager3: restart docker: docker.service  -> restarted",
        ],
    ),
    drift(
        2,
        "f=/etc/docker/daemon.json; touch -r $f /root/kept; touch $f",
        "touch -r /root/kept /etc/docker/daemon.json",
        &["infra_manager3: restart docker: docker.service runs since before its configuration was written"],
    ),
    drift(
        0,
        "f=/etc/docker/certs.d/registry.reemo.io/ca.crt; cp -p $f /root/kept; echo broken >$f",
        "mv /root/kept /etc/docker/certs.d/registry.reemo.io/ca.crt",
        &["infra_manager1: write /etc/docker/certs.d/registry.reemo.io/ca.crt: content"],
    ),
    drift(
        1,
        "systemctl -q disable docker.service",
        "systemctl -q enable docker.service",
        &["infra_manager2: enable and start docker.service: enabled"],
    ),
    service!("reemo_apicronlog", "--env-add BY_HAND=1", "Env.BY_HAND 1 -> "),
    service!("reemo_apicronlog", "--env-add DB_PORT=3307", "Env.DB_PORT 3307 -> 3306"),
    service!("reemo_apicronldap", "--label-add by-hand=1", "Labels.by-hand 1 -> "),
    service!("reemo_apicronldap", "--container-label-add by-hand=1", "Labels.by-hand 1 -> "),
    service!("reemo_apicron", "--secret-add by-hand", "Secrets.by-hand"),
    service!("reemo_signal1", "--config-add source=by-hand,target=/by-hand", "Configs./by-hand"),
    service!("reemo_signal2", "--network-add by-hand", "Networks.by-hand"),
    service!("reemo_apicronlog", "--mount-add type=tmpfs,destination=/by-hand", "Mounts./by-hand"),
    service!(
        "reemo_apicronldap",
        "--publish-add mode=host,published=18080,target=18080",
        "EndpointSpec.Ports.18080/tcp"
    ),
    service!("reemo_apicron", "--limit-memory 200M", "Resources.Limits.MemoryBytes"),
    service!("reemo_signal1", "--health-interval 30s", "Healthcheck.Interval"),
    service!("reemo_signal2", "--stop-grace-period 31s", "StopGracePeriod"),
    service!("reemo_apicronlog", "--log-driver json-file --log-opt tag=by-hand", "LogDriver"),
    service!("reemo_apicronldap", "--constraint-add node.role==manager", "Placement.Constraints"),
    service!("reemo_apicron", "--update-parallelism 2", "UpdateConfig.Parallelism 2 -> 1"),
    service!("reemo_portaladmin", "--replicas 2", "Mode.Replicated.Replicas 2 -> 3"),
    service!("reemo_signal1", "--args nothing", "Args"),
    drift(
        0,
        "docker node ls -q --filter node.label=io.reemo.data >/root/kept; docker node update --label-rm io.reemo.data $(cat /root/kept)",
        "docker node update --label-add io.reemo.data=true $(cat /root/kept)",
        &["infra_manager1: node of the database: label io.reemo.data"],
    ),
    drift(0, "docker service rm reemo_signal2", "", &["infra_manager1: reemo_signal2: image  -> registry.reemo.io/"]),
];

/// Tells it.
pub fn tell() {
    let began = Instant::now();
    let stage = Stage::set("drifts", std::env::var_os("REEMO_E2E_AGAIN").is_some());
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let certify = fleet.certify_elsewhere();
    tool.run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(0);
    drop(certify);
    say(format!("{:7.1} s  a platform", began.elapsed().as_secs_f64()));
    let first = &fleet.hosts[0];
    fleet.sh(
        first,
        "echo x | docker secret create by-hand - && echo x | docker config create by-hand - && docker network create -d overlay by-hand",
    );
    settled(&stage, "the platform itself");
    a_plan_leaves_no_trace(&stage);

    // All of them are looked at before one counts: each is taken back, whatever a plan says of it.
    let mut wrong = Vec::new();
    for (number, drift) in DRIFTS.iter().enumerate() {
        let began = Instant::now();
        fleet.sh(&fleet.hosts[drift.host], drift.by_hand);
        wrong.extend(not_exactly(&stage, drift.by_hand, drift.seen));
        match drift.back {
            // What is gone is brought back by the product.
            "" => drop(tool.run(&["apply"]).ends_with(0).none("failed")),
            back => drop(fleet.sh(&fleet.hosts[drift.host], back)),
        }
        settled(&stage, drift.by_hand);
        say(format!("{:7.1} s  {:2} {}", began.elapsed().as_secs_f64(), number + 1, drift.by_hand));
    }
    wrong.extend(image_gone(&stage));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drained(&stage);
    chatty(&stage);
    moved_tag(&stage);
    stopped(&stage);
    say(format!("{:7.1} s  in all", began.elapsed().as_secs_f64()));
}

/// What a plan says is not as wanted, in the order it says it.
fn differences(stage: &Stage, more: &[&str]) -> Vec<String> {
    let args = [&["plan", "--detailed-exitcode", "-e", "INSTALL_DOCKER=true", "--format", "json"][..], more].concat();
    let ran = stage.tool.run(&args);
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.text()));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let field = |f: &Value| format!("{} {} -> {}", text(&f["field"]), text(&f["was"]), text(&f["wanted"]));
    let tasks = told["tasks"].as_array().expect("tasks");
    let wrong = tasks.iter().filter(|t| !matches!(t["outcome"]["is"].as_str(), Some("ok" | "skipped")));
    let lines: Vec<String> = wrong
        .map(|t| {
            let fields: Vec<String> = t["change"]["fields"].as_array().into_iter().flatten().map(field).collect();
            format!("{}: {}: {}{}", text(&t["host"]), text(&t["title"]), fields.join("; "), text(&t["outcome"]["why"]))
        })
        .collect();
    assert_eq!(ran.code != 0, !lines.is_empty(), "the exit code says the same: {}", ran.text());
    lines
}

/// A plan names these things, each once, and nothing else; or this is what it says.
fn not_exactly(stage: &Stage, after: &str, pieces: &[&str]) -> Option<String> {
    let found = differences(stage, &[]);
    let named = |piece: &&str| found.iter().filter(|line| line.contains(*piece)).count() == 1;
    let exact = found.len() == pieces.len() && pieces.iter().all(named);
    (!exact).then(|| format!("`{after}`: expected {pieces:?}, found:\n{}", found.join("\n")))
}

/// Nothing is to be done any more, once the Swarm has come to rest.
fn settled(stage: &Stage, after: &str) {
    let mut found = Vec::new();
    for _ in 0..60 {
        found = differences(stage, &[]);
        if found.is_empty() {
            return;
        }
        sleep(Duration::from_secs(1));
    }
    panic!("after `{after}` was taken back:\n{}", found.join("\n"));
}

/// Nothing is written, not even the same again: times of modification and of change are compared as well.
fn a_plan_leaves_no_trace(stage: &Stage) {
    let fleet = &stage.fleet;
    // The database and the engine's own state change while they run.
    let look = || fleet.each(|h| snapshot::with_times(fleet, h));
    let alive = |path: &str| ["/opt/reemo/mysql", "/var/lib/systemd"].iter().any(|p| path.starts_with(p));
    let before = look();
    stage.tool.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    let after = look();
    for (number, host) in fleet.hosts.iter().enumerate() {
        let found = snapshot::differences(&before[number], &after[number], alive);
        assert!(found.is_empty(), "a plan touched {}:\n{}", host.name, found.join("\n"));
    }
    fleet.sh(&fleet.hosts[0], "chmod 0644 /etc/reemo/traefik/dynamic/common.yml");
    let found = snapshot::differences(&before[0], &snapshot::with_times(fleet, &fleet.hosts[0]), alive);
    assert_eq!(found.len(), 1, "the same mode once more is seen: {found:?}");
}

/// An image is gone from a host where no copy of its service runs.
fn image_gone(stage: &Stage) -> Option<String> {
    let fleet = &stage.fleet;
    const TAG: &str = "registry.reemo.io/reemoinfraapicronldap:1.0.0";
    let home = &crate::swarm::home_of(fleet, "reemo_apicronldap").name;
    let other = fleet.hosts.iter().find(|h| h.name != *home).expect("another host");
    // By its name: another service's image may have the same id.
    fleet.sh(other, &format!("docker rmi {TAG}"));
    let wrong = not_exactly(stage, "docker rmi", &[&format!("{}: image {TAG}: image  -> ", other.name)]);
    stage.tool.run(&["apply"]).ends_with(0).none("failed");
    settled(stage, "docker rmi");
    wrong
}

/// A node on which nothing may be started: somebody's decision, so it is said and left.
fn drained(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let set =
        |word: &str| format!("docker node update --availability {word} $(docker info -f '{{{{.Swarm.NodeID}}}}')");
    fleet.sh(&fleet.hosts[1], &set("drain"));
    let ran = tool.run(&["plan"]).says("is set to `drain`: nothing is started there until");
    assert!(!ran.text().contains("swarm manager"), "it is no change: {}", ran.text());
    fleet.sh(&fleet.hosts[1], &set("active"));
    tool.run(&["plan"]).does_not_say("is set to `drain`");
    settled(stage, "drain");
}

/// A banner before the login, and a start file that talks, on both streams and without an end of line.
fn chatty(stage: &Stage) {
    let (fleet, host) = (&stage.fleet, &stage.fleet.hosts[1]);
    fleet.sh(
        host,
        r#"printf 'Authorised use only\n%s\n' '# begin facts 3' >/etc/issue.net
echo 'Banner /etc/issue.net' >/etc/ssh/sshd_config.d/chatty.conf; systemctl reload ssh
touch /root/.bashrc; cp -p /root/.bashrc /root/kept
{ echo 'echo "Welcome back, $USER"; echo "disk: 12% used" >&2; head -c 100000 /dev/urandom; printf "no end of line"'; cat /root/kept; } >/root/.bashrc"#,
    );
    let said = stage.tool.run(&["exec", &host.name, "--", "true"]).ends_with(0);
    assert!(said.text().contains("Welcome back"), "the start file is read: {}", said.text());
    assert_eq!(differences(stage, &[]), Vec::<String>::new());
    fleet.sh(host, "mv /root/kept /root/.bashrc; rm /etc/ssh/sshd_config.d/chatty.conf; systemctl reload ssh");
}

/// The registry gives a tag to another image: seen with `--refresh`, and only with it.
fn moved_tag(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    const TAG: &str = "registry.reemo.io/reemoinfraapicronlog:1.0.0";
    assert_eq!(differences(stage, &["--refresh"]), Vec::<String>::new(), "nothing has moved yet");
    let push = format!(
        "set -e; docker login -u demo --password-stdin registry.reemo.io >/dev/null 2>&1
printf 'FROM {TAG}\\nLABEL by-hand=1\\n' | docker build -q -t {TAG} - >/dev/null
docker push -q {TAG}; docker logout registry.reemo.io"
    );
    let pushed = fleet.try_sh(&fleet.hosts[0], &push, &fleet.registry_password());
    assert!(pushed.success(), "{}{}", pushed.out, pushed.err);
    assert_eq!(differences(stage, &[]), Vec::<String>::new(), "what is deployed is what a tag means");
    let found = differences(stage, &["--refresh"]);
    let of = |piece: &str| found.iter().filter(|l| l.contains(piece)).count();
    // The host that made it has it.
    assert_eq!((of(&format!("image {TAG}")), of(": reemo_apicronlog: Image"), found.len()), (2, 1, 3), "{found:?}");
    tool.run(&["apply", "--refresh"]).ends_with(0).none("failed");
    assert_eq!(differences(stage, &["--refresh"]), Vec::<String>::new());
    assert_eq!(differences(stage, &[]), Vec::<String>::new());
    let label = "docker inspect -f '{{index .Config.Labels \"by-hand\"}}' $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_apicronlog)";
    let home = crate::swarm::home_of(fleet, "reemo_apicronlog");
    assert_eq!(fleet.sh(home, label).trim(), "1", "the new image runs");
}

/// An engine that was stopped, and then its package removed: with it go the copies it ran, so more than itself is not as
/// wanted.
fn stopped(stage: &Stage) {
    let (fleet, host) = (&stage.fleet, &stage.fleet.hosts[2]);
    let names = |what: &str| {
        let found = differences(stage, &[]);
        let begins = format!("{}: {what}: ", host.name);
        assert!(found.iter().any(|l| l.starts_with(&begins)), "{begins} in {found:#?}");
    };
    fleet.sh(host, "systemctl stop docker.socket docker.service");
    names("enable and start docker.service");
    fleet.sh(host, "dpkg --force-depends -r docker.io");
    names("install the Docker engine");
    stage.tool.run(&["apply", "-e", "INSTALL_DOCKER=true"]).ends_with(0);
    fleet.sh(host, "systemctl -q is-active docker.service");
    settled(stage, "stopped");
}
