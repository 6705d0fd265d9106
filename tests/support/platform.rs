//! One simulated host with a Swarm in memory, and the platform of an inventory on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reemo_infra::engine::apply::{Ask, exit};
use reemo_infra::engine::graph;
use reemo_infra::engine::interrupt::Interrupt;
use reemo_infra::engine::lock::{Timing, Wish};
use reemo_infra::engine::owner::Owner;
use reemo_infra::engine::run::Options;
use reemo_infra::engine::site::Site;
use reemo_model::catalogue::Span;
use reemo_model::event::{Event, Outcome};
use reemo_transport::fake::{Net, Sshd};

use super::Heard;
use super::database::Database;
use super::machine::Machine;
use super::swarm::Swarm;

const INVENTORY: &str = "\
all:
  vars:
    API_LICENSE: eyJsaWNlbmNlIjogImRlbW8ifQ==
    REGISTRY_USERNAME: user
    REGISTRY_PASSWORD: not-a-real-password
infra_manager:
  vars: {DB_USER: reemo, DB_USER_PASSWORD: of-the-database, DB_NAME: reemo, DB_HOST: 10.0.9.1, DB_DIALECT: mysql, DB_TLS: none}
  hosts:
    one: {ansible_host: 10.0.0.1}
";

/// One host, its Swarm, and the certificates of one site.
pub struct Platform {
    pub folder: tempfile::TempDir,
    pub net: Net,
    pub sshd: Sshd,
    pub machine: Machine,
    pub swarm: Swarm,
    pub database: Database,
}

impl Platform {
    pub fn new(swarm: Swarm) -> Platform {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.yml"), INVENTORY).unwrap();
        // One that is made is random, and not stretched: a person's costs a second each time it is used.
        let key = reemo_pki::Passphrase::KeyFile(folder.path().join("passphrase"));
        reemo_pki::Store::create(&folder.path().join("pki"), &key, jiff::Timestamp::now()).unwrap();
        let (net, machine) = (Net::new(), Machine::debian());
        let host = machine.clone();
        let sshd = Sshd::new(move |exec| host.answer(&exec)).engine(swarm.engine.clone());
        net.add("10.0.0.1", sshd.clone());
        let database = Database::new("reemo", "of-the-database", "reemo");
        let server = database.clone();
        net.listen("10.0.9.1", 3306, move |stream| server.serve(stream));
        swarm.state().database = Some(database.clone());
        Platform { folder, net, sshd, machine, swarm, database }
    }

    /// A platform that was installed in the usual way.
    pub async fn installed() -> Platform {
        let platform = Platform::new(Swarm::ready());
        let heard = platform.apply(&["INIT_DB=true"], &[]).await;
        assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
        let done = platform.changes();
        assert!(done.contains(&"create configs reemo.record.initialised".to_owned()), "{done:#?}");
        platform
    }

    pub fn site(&self, extra: &[&str]) -> Arc<Site> {
        let extra: Vec<String> = extra.iter().map(|e| (*e).to_owned()).collect();
        let pki = (self.folder.path().join("pki"), self.folder.path().join("passphrase"));
        let mut site = super::site_with(&self.folder.path().join("one.yml"), &extra, &self.net, Some(pki));
        let cluster = &mut Arc::get_mut(&mut site).unwrap().clusters["infra_manager"];
        // What is watched for seconds on a real Swarm is known at once here.
        for service in &mut cluster.wanted.services {
            service.update.monitor.0 = 0;
            if let Some(check) = &mut service.healthcheck {
                (check.interval, check.timeout) = (Some(Span(1)), Some(Span(1)));
            }
        }
        site
    }

    pub async fn run(&self, extra: &[&str], ask: Ask) -> Heard {
        let site = self.site(extra);
        let graph = graph::compile(&site).unwrap();
        let heard = super::run(&site, graph, &self.net, &ask).await;
        assert!(self.machine.state().unknown.is_empty(), "{:?}", self.machine.state().unknown);
        self.swarm.engine.finish();
        assert_eq!(self.database.state().unknown, Vec::<String>::new());
        heard
    }

    pub async fn apply(&self, extra: &[&str], tags: &[&str]) -> Heard {
        self.run(extra, ask(tags)).await
    }

    pub async fn plan(&self, extra: &[&str]) -> Heard {
        self.run(extra, Ask { check: true, detailed_exitcode: true, ..ask(&[]) }).await
    }

    pub fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.swarm.state().changes)
    }
}

pub fn ask(tags: &[&str]) -> Ask {
    let tags = tags.iter().map(|t| (*t).to_owned()).collect();
    let options = Options { tags, forks: 50, ..Options::default() };
    Ask { options, again: "apply".into(), lock: Some(wish(owner())), ..Ask::default() }
}

/// This process, under a name that no other run has.
pub fn owner() -> Owner {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    Owner::here(&format!("run-{}-", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// A lock that does not wait, and gives signs of life often.
pub fn wish(owner: Owner) -> Wish {
    let ms = Duration::from_millis;
    let timing = Timing { beat: ms(20), stale: ms(1000), poll: ms(10) };
    Wish { owner, reason: "apply".into(), wait: Duration::ZERO, timing, interrupt: Interrupt::default() }
}

pub fn failure(heard: &Heard) -> String {
    let found = heard.events.iter().find_map(|e| match e {
        Event::Failure { cause, next, serving, last_lines } => {
            Some(format!("{cause}\n{}\nserves: {serving}\nnext: {next}", last_lines.join("\n")))
        }
        _ => None,
    });
    found.unwrap_or_default()
}

pub fn outcome(heard: &Heard, wanted: &str) -> Outcome {
    let found = heard.events.iter().find_map(|e| match e {
        Event::TaskFinished { title, outcome, .. } if title == wanted => Some(outcome.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no task `{wanted}`"))
}

/// Titles of what was, would be or may have to be changed.
pub fn changed(heard: &Heard) -> BTreeSet<String> {
    let changed = heard.events.iter().filter_map(|e| match e {
        Event::TaskFinished { title, outcome: Outcome::Changed | Outcome::Unknown { .. }, .. } => Some(title.clone()),
        _ => None,
    });
    changed.collect()
}
