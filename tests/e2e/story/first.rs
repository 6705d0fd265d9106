//! The first apply: from bare hosts to a platform that serves.

use std::fs;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{FIRST, Stage};
use crate::fleet::Host;
use crate::{swarm, web};

/// The services of an infra environment as the vendor's document shows them, with their copies on three nodes; what the
/// document does not show stands below.
const SERVICES: [(&str, u64, u64); 16] = [
    ("reemo_api", 12, 12),
    ("reemo_apicron", 1, 1),
    ("reemo_apicronldap", 1, 1),
    ("reemo_apicronlog", 1, 1),
    // A job that has ended.
    ("reemo_db", 0, 1),
    ("reemo_mysql", 1, 1),
    ("reemo_portal", 6, 6),
    ("reemo_proapi", 6, 6),
    ("reemo_prorelayapi", 6, 6),
    ("reemo_provision", 1, 1),
    ("reemo_relayws", 1, 1),
    ("reemo_signal1", 1, 1),
    ("reemo_signal2", 1, 1),
    ("traefik", 3, 3),
    // The administrators' portal, since the inventory names its address, and our maintenance page.
    ("reemo_portaladmin", 3, 3),
    ("reemo_maintenance", 1, 1),
];

/// Step 4.
pub fn apply(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let certify = fleet.certify_elsewhere();
    let lock = Lock::hold(stage, &fleet.hosts[1]);
    let first = [&["apply"][..], &FIRST].concat();
    let ran = tool.run(&first).ends_with(0).none("failed").none("unreachable");
    lock.was_waited_for();
    drop(certify);
    let changed = ran.recap();
    assert!(changed.values().all(|f| f["changed"] > 0), "every host was bare: {changed:?}");

    let nodes = fleet.sh(&fleet.hosts[0], "docker node ls --format '{{.Status}} {{.ManagerStatus}}'");
    let managers = nodes.lines().filter(|l| matches!(*l, "Ready Leader" | "Ready Reachable")).count();
    assert_eq!((managers, nodes.lines().count()), (3, 3), "three managers:\n{nodes}");
    let expected = SERVICES.iter().map(|(name, running, wanted)| ((*name).to_owned(), (*running, *wanted))).collect();
    assert_eq!(swarm::replicas(fleet, &fleet.hosts[0]), expected);
    healthy_everywhere(stage);
}

/// The whole tree is green through Traefik of every node.
pub fn healthy_everywhere(stage: &Stage) {
    for host in &stage.fleet.hosts {
        let tree = web::health(&host.address);
        assert_eq!(tree["status"], "OK", "health through {}: {tree:#}", host.name);
        let links = ["api", "signal"].map(|s| tree["services"][s]["status"].clone());
        assert_eq!(links, ["OK", "OK"], "{tree:#}");
        for link in ["db", "provision-api", "provision-relay-api"] {
            assert_eq!(tree["services"]["api"]["services"][link]["status"], "OK", "{link}: {tree:#}");
        }
        assert_eq!(web::portal(&host.address).status, 200, "the portal's page through {}", host.name);
    }
}

/// Somebody else's program that holds the package manager's lock.
struct Lock {
    log: JoinHandle<Option<String>>,
}

impl Lock {
    /// Held from now on, until the run says that it waits, and a few seconds more.
    fn hold(stage: &Stage, host: &Host) -> Lock {
        const HOLD: &str = r#"setsid perl -e '$0 = "somebodys-upgrade"; open(my $f, ">>", "/var/lib/dpkg/lock-frontend");
my $lock = pack("s s l! l! i", 1, 0, 0, 0, 0); fcntl($f, 6, $lock) or die; sleep 300' >/dev/null 2>&1 & echo $! >/run/e2e-lock; sleep 0.3
kill -0 "$(cat /run/e2e-lock)""#;
        stage.fleet.sh(host, HOLD);
        let (runs, container) = (stage.tool.control.join("state/reemo-infra/runs"), host.container());
        let says = move || {
            let logs =
                fs::read_dir(&runs).ok()?.filter_map(|e| fs::read_to_string(e.ok()?.path().join("run.log")).ok());
            logs.flat_map(|l| l.lines().map(str::to_owned).collect::<Vec<_>>())
                .find(|l| l.contains("waiting for the package"))
        };
        let log = thread::spawn(move || {
            let began = Instant::now();
            let mut said = None;
            while said.is_none() && began.elapsed() < Duration::from_secs(100) {
                thread::sleep(Duration::from_millis(200));
                said = says();
            }
            thread::sleep(Duration::from_secs(4));
            let release = "kill $(cat /run/e2e-lock); rm /run/e2e-lock";
            let _ = std::process::Command::new("docker").args(["exec", &container, "sh", "-c", release]).output();
            said
        });
        Lock { log }
    }

    /// The run said who holds it.
    fn was_waited_for(self) {
        let said = self.log.join().expect("the lock was let go").expect("the run said that it waits");
        assert!(said.contains("somebodys-upgrade"), "{said}");
        assert!(said.contains("/var/lib/dpkg/lock-frontend"), "{said}");
    }
}
