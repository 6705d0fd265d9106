//! What goes wrong on a platform that is in use, done to real hosts one after another. Every fault is followed by the
//! same questions: does the platform serve, does a second run finish the job and leave nothing to do, is no lock left, did
//! the users notice, and was no secret printed?
//!
//! `make test-faults` runs it. `REEMO_E2E_STEPS=3,4`: only these; with `REEMO_KEEP_FLEET=1` on the hosts an earlier run
//! kept.

mod controller;
mod engines;
mod hosts;
mod loss;
mod network;
mod releases;
mod schema;
mod ssh;
mod supply;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Fleet, Host};
use crate::poison;
use crate::story::say;
use crate::swarm;
use crate::tool::Tool;
use crate::topology::Site;
use crate::web::{self, Visitor};

const NAMES: [&str; 3] = ["infra_manager1", "infra_manager2", "infra_manager3"];

/// One copy on each node is enough to see everything, and is quick to replace.
const SLIM: [&str; 4] = ["reemo_api", "reemo_portal", "reemo_proapi", "reemo_prorelayapi"];

/// Who is asked for the portal meanwhile, and what users may notice.
#[derive(Clone, Copy)]
enum Users {
    /// Requests through all nodes; none may fail.
    Everywhere,
    /// Requests through these nodes, the others being what is broken. What fails is counted: the fault takes away
    /// something that exists once, or a whole node.
    Counted(&'static [&'static str]),
    /// Requests through these nodes, of which none may fail, once the platform was made ready for the fault.
    Ready(fn(&Suite), &'static [&'static str]),
}

struct Fault {
    title: &'static str,
    users: Users,
    /// Does it, looks at what the program says, and takes it away again. Returns what was seen, in a few words.
    happens: fn(&Suite) -> String,
}

const ONE: &[&str] = &["infra_manager1"];
const TWO: &[&str] = &["infra_manager1", "infra_manager2"];

const FAULTS: [Fault; 28] = [
    Fault {
        title: "1 kill -9 in the middle of an update, then resume",
        users: Users::Everywhere,
        happens: controller::killed,
    },
    Fault { title: "2 two control machines at once", users: Users::Everywhere, happens: controller::race },
    Fault { title: "3 nobody reads what is printed", users: Users::Everywhere, happens: controller::closed },
    Fault { title: "4 sshd refuses", users: Users::Everywhere, happens: ssh::refuses },
    Fault { title: "5 sshd accepts and says nothing", users: Users::Everywhere, happens: ssh::silent },
    Fault { title: "6 sshd lets in and then hangs", users: Users::Everywhere, happens: ssh::hangs },
    Fault { title: "7 sshd dies in the middle of an update", users: Users::Everywhere, happens: ssh::dies },
    Fault { title: "8 sudo asks for a password", users: Users::Everywhere, happens: ssh::sudo },
    Fault { title: "9 another machine answers at an address", users: Users::Everywhere, happens: ssh::other_key },
    Fault {
        title: "10 a login shell that talks: a line of 1 MB, bytes that are no text",
        users: Users::Everywhere,
        happens: ssh::noise,
    },
    Fault { title: "11 /etc is read-only", users: Users::Everywhere, happens: hosts::read_only },
    Fault {
        title: "12 the disk is full while an image is fetched",
        users: Users::Everywhere,
        happens: supply::full_disk,
    },
    Fault {
        title: "13 the registry sends something else than it says",
        users: Users::Everywhere,
        happens: supply::lies,
    },
    Fault { title: "14 the registry is down", users: Users::Everywhere, happens: supply::down },
    Fault {
        title: "15 a release that is healthy, and then crashes",
        users: Users::Everywhere,
        happens: releases::crashes,
    },
    Fault {
        title: "16 everything is healthy, and the api answers 500",
        users: Users::Everywhere,
        happens: releases::answers_errors,
    },
    Fault {
        title: "17 the way back is blocked as well",
        users: Users::Counted(&NAMES),
        happens: releases::no_way_back,
    },
    Fault {
        title: "18 the network between the nodes is cut, ssh is not",
        users: Users::Counted(TWO),
        happens: network::between,
    },
    Fault {
        title: "19 ssh is cut in the middle of an update, the nodes are not",
        users: Users::Everywhere,
        happens: network::ssh,
    },
    Fault { title: "20 an engine is stopped", users: Users::Counted(TWO), happens: engines::stopped },
    Fault { title: "21 an engine hangs", users: Users::Counted(TWO), happens: engines::hangs },
    Fault {
        title: "22 the leader dies in the middle of an update",
        users: Users::Ready(engines::led_elsewhere, ONE),
        happens: engines::leader,
    },
    Fault {
        title: "23 the quorum is lost between plan and apply",
        users: Users::Counted(ONE),
        happens: engines::quorum,
    },
    Fault {
        title: "24 a key has become known: others for two services",
        users: Users::Everywhere,
        happens: releases::other_keys,
    },
    Fault {
        title: "26 the schema job fails half way, and the old release does not work with what it left",
        users: Users::Counted(&NAMES),
        happens: schema::half,
    },
    Fault {
        title: "27 the engine refuses its new configuration, with and without somebody to take it back",
        users: Users::Counted(TWO),
        happens: engines::refused_settings,
    },
    Fault { title: "25 two of three are gone for good", users: Users::Counted(ONE), happens: loss::two_of_three },
    Fault { title: "28 all machines are gone for good", users: Users::Counted(&NAMES), happens: loss::all_of_three },
];

/// What is done to.
pub struct Suite {
    site: Site,
    rows: RefCell<Vec<String>>,
}

/// Tells all of them, or those asked for.
pub fn tell() {
    let only = std::env::var("REEMO_E2E_STEPS").ok();
    let again = only.is_some() && Fleet::is_up("faults");
    let site = Site::raise_again("faults", &NAMES, &groups(&[]), again);
    let suite = Suite { site, rows: RefCell::default() };
    if !again {
        suite.site.step("apply: three bare hosts become a platform", |s| s.install());
    }
    suite.sound();
    let mut failed = Vec::new();
    for fault in &FAULTS {
        let number = fault.title.split(' ').next().unwrap_or_default();
        if only.as_ref().is_some_and(|o| !o.split(',').any(|n| n == number)) {
            continue;
        }
        let told = suite.site.step(fault.title, |_| catch_unwind(AssertUnwindSafe(|| suite.told(fault))));
        if told.is_err() {
            // What was broken is whole again by then; the others can still be told.
            failed.push(fault.title);
            suite.sound();
        }
    }
    suite.site.step("secrets lie open nowhere", |_| suite.no_secret());
    let table = format!("| fault | seen | requests | failed |\n|---|---|---|---|\n{}", suite.rows.borrow().join("\n"));
    say(&table);
    fs::write(suite.site.fleet.state.join("faults.md"), table).expect("a file");
    suite.site.done();
    assert!(failed.is_empty(), "not as expected: {failed:#?}");
}

/// The inventory below `all: vars:`, these services having something more in their environment.
fn groups(environment: &[(&str, &[(&str, &str)])]) -> String {
    let mut options = BTreeMap::new();
    for service in SLIM {
        options.insert(service, json!({"replicas": {"per_node": 1}}));
    }
    for (service, pairs) in environment {
        let pairs: BTreeMap<_, _> = pairs.iter().copied().collect();
        options.entry(service).or_insert_with(|| json!({}))["extra_env"] = json!(pairs);
    }
    let hosts: String =
        NAMES.iter().map(|name| format!("    {name}: {{ansible_host: \"ADDRESS({name})\"}}\n")).collect();
    format!(
        "infra_manager:
  vars:
    HEALTHCHECK_ENABLE: \"true\"
    DB_STORAGE: local
    SERVICE_OPTIONS: {}
  hosts:
{hosts}",
        json!(options)
    )
}

impl Suite {
    fn told(&self, fault: &Fault) {
        let (through, lossless): (&[&str], bool) = match fault.users {
            Users::Everywhere => (&NAMES, true),
            Users::Counted(names) => (names, false),
            Users::Ready(make, names) => {
                make(self);
                (names, true)
            }
        };
        let visitor = Visitor::start(through.iter().map(|n| self.host(n).address.clone()).collect());
        let seen = (fault.happens)(self);
        let (asked, failed) = visitor.stop();
        for line in &failed {
            say(format!("           {line}"));
        }
        assert!(asked > 0 && (!lossless || failed.is_empty()), "{} of {asked}:\n{}", failed.len(), failed.join("\n"));
        self.sound();
        let title = fault.title.split_once(' ').map_or("", |(_, t)| t);
        say(format!("           {seen}; {asked} requests, {} failed", failed.len()));
        self.rows.borrow_mut().push(format!("| {title} | {seen} | {asked} | {} |", failed.len()));
    }

    /// The program, with the inventory as it is.
    fn tool(&self) -> &Tool {
        &self.site.tool
    }

    /// The same, with something more in the environment of a service: what makes an update of it, and how it behaves.
    fn changed(&self, service: &str, environment: &[(&str, &str)]) -> Tool {
        let file = self.site.text(&groups(&[(service, environment)]));
        self.site.tool.with_inventory("changed.yml", &file)
    }

    fn host(&self, name: &str) -> &Host {
        self.site.fleet.host(name)
    }

    fn sh(&self, name: &str, script: &str) -> String {
        self.site.fleet.sh(self.host(name), script)
    }

    /// Waits for something that is said by a script on a host.
    #[track_caller]
    fn until(&self, name: &str, script: &str, says: &str) {
        let began = Instant::now();
        loop {
            let seen = self.site.fleet.try_sh(self.host(name), script, "");
            if seen.out.contains(says) {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "`{script}` never said {says}: {}{}",
                seen.out,
                seen.err
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The same for all that is said.
    #[track_caller]
    fn until_it_is(&self, name: &str, script: &str, says: &str) {
        self.until(name, &format!("[ \"$({script} | xargs)\" = '{says}' ] && echo so"), "so");
    }

    /// Swarm has begun to replace copies of that service.
    #[track_caller]
    fn until_updating(&self, name: &str, service: &str) {
        let ask = format!(
            "docker service inspect -f '{{{{if .UpdateStatus}}}}{{{{.UpdateStatus.State}}}}{{{{end}}}}' {service}"
        );
        self.until(name, &ask, "updating");
    }

    /// Nothing of the Swarm was written meanwhile.
    fn versions(&self) -> BTreeMap<String, u64> {
        let mut all = swarm::versions(&self.site.fleet, self.host(NAMES[0]));
        // Nodes write what they see of each other by themselves.
        all.retain(|object, _| !object.starts_with("node "));
        all
    }

    /// Three nodes, ready; for after a fault that the Swarm itself has to get over.
    fn gathered(&self) {
        self.until(NAMES[0], "docker node ls --format '{{.Status}} {{.ManagerStatus}}' | grep -c 'Ready [LR]'", "3");
        // And it has put back what was missing: `reemo_db` alone stands at 0/1.
        let missing = "docker service ls --format '{{.Name}} {{.Replicas}}' | awk '{ split($2, n, \"/\") } n[1] < n[2] { print $1, $2 }' | tr '\\n' ' '";
        self.until_it_is(NAMES[0], missing, "reemo_db 0/1");
    }

    /// The questions that follow every fault.
    fn sound(&self) {
        let ran = self.tool().run(&["apply"]).ends_with(0);
        assert!(ran.recap().values().all(|f| f["failed"] == 0 && f["unreachable"] == 0), "{}", ran.text());
        self.tool().run(&["plan", "--detailed-exitcode"]).ends_with(0);
        self.tool().run(&["lock", "status"]).ends_with(0).says("nobody holds a lock");
        for host in &self.site.fleet.hosts {
            let tree = self.site.health(&host.name, "portal.reemo.test");
            assert_eq!(tree["status"], "OK", "through {}: {tree:#}", host.name);
            assert_eq!(web::portal(&host.address).status, 200, "the portal through {}", host.name);
        }
        poison::nowhere_printed(&self.site.fleet, self.tool(), self.site.licence());
    }

    fn no_secret(&self) {
        let secrets = poison::secrets_of_containers(&self.site.fleet);
        poison::nowhere(&self.site.fleet, self.tool(), &secrets, self.site.licence());
    }
}
