//! Three servers and the internal database on a directory that all of them have: the site's own, or a volume of ours.
//! A server that dies does not take the database with it. Beside it: what must not make the schema job run again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Site;
use crate::fleet::Host;
use crate::swarm;

const HOSTS: [&str; 3] = ["infra1", "infra2", "infra3"];

const GROUPS: &str = r#"infra_manager:
  vars:
    HEALTHCHECK_ENABLE: "true"
    DB_STORAGE: "KIND"
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
    infra2: {ansible_host: "ADDRESS(infra2)"}
    infra3: {ansible_host: "ADDRESS(infra3)"}
"#;

/// Swarm needs a while until it gives up a node, and MySQL one to read its logs.
const PATIENCE: Duration = Duration::from_secs(240);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The site's word that the directory is the same everywhere; here it is, by a bind of one volume.
pub fn replicated() {
    let groups = GROUPS.replace("KIND", "replicated");
    let site = Site::with_options("replicated", &HOSTS, &["--shared", "/opt/reemo"], &groups, false);
    site.step("apply: the database may run anywhere", |s| s.install());
    site.step("again: nothing to do", |s| s.settled());
    site.step("the schema job is not run again by a drain, restarts of engines, another leader", |s| {
        let before = Runs::of(s);
        assert_eq!((before.tasks.len(), before.in_database.as_str()), (1, "1"));
        let first = s.fleet.host("infra1");
        let node = s.fleet.sh(first, "docker service ps --format '{{.Node}}' reemo_db").trim().to_owned();
        s.fleet.sh(first, &format!("docker node update --availability drain {node}"));
        let busy = format!("docker node ps -f desired-state=running -q {node}");
        until("services leave the drained node", || {
            s.fleet.sh(first, &busy).trim().is_empty() && all_run(s, first, false)
        });
        s.fleet.sh(first, &format!("docker node update --availability active {node}"));
        until("all are back", || all_run(s, first, true));
        let mut leaders = BTreeSet::from([leader(s, first)]);
        for host in &s.fleet.hosts {
            // As the product does it: an engine of 20.10 that is stopped while networks are in use may leave their
            // interfaces, and then never gets these networks up again.
            s.fleet.sh(
                host,
                "systemctl stop docker.socket docker.service
                 for i in /sys/class/net/vx-*; do [ ! -e \"$i\" ] || ip link delete \"${i##*/}\"; done
                 systemctl start docker.service",
            );
            until("a leader, and everything runs again", || all_run(s, host, true));
            leaders.insert(leader(s, first));
        }
        assert!(leaders.len() > 1, "the leader's engine was restarted, and another led: {leaders:?}");
        let after = Runs::of(s);
        assert_eq!(
            (&after.tasks, &after.in_database),
            (&before.tasks, &before.in_database),
            "the same task, the same row"
        );
        // Swarm clears the ended container away; there is no other.
        assert!(after.containers.is_subset(&before.containers), "{before:?}, then {after:?}");
    });
    failover(&site);
    site.done();
}

/// A GlusterFS volume of ours, from bare hosts.
pub fn gluster() {
    let site = Site::raise("gluster", &HOSTS, &GROUPS.replace("KIND", "gluster"));
    site.step("a plan shows it and makes nothing", |s| {
        let planned = s.tool.run(&["plan", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(0);
        for title in ["install GlusterFS", "volume reemo", "file of reemo-storage.service"] {
            assert!(planned.text().contains(title), "{title}: {}", planned.text());
        }
        let there = s.fleet.each(|h| s.fleet.try_sh(h, "command -v gluster || test -e /opt/reemo", "").success());
        assert_eq!(there, [false; 3]);
    });
    site.step("apply: three copies, mounted on all", |s| {
        s.install();
        let info = s.fleet.sh(s.fleet.host("infra2"), "gluster volume info reemo");
        for line in ["Type: Replicate", "Number of Bricks: 1 x 3 = 3", "cluster.quorum-type: auto"] {
            assert!(info.contains(line), "{line}: {info}");
        }
        s.fleet.each(|h| s.fleet.sh(h, "findmnt -n -t fuse.glusterfs /opt/reemo && test -e /opt/reemo/mysql/ibdata1"));
        let constraints = "docker service inspect -f '{{.Spec.TaskTemplate.Placement.Constraints}}' reemo_mysql";
        assert_eq!(s.fleet.sh(s.fleet.host("infra1"), constraints).trim(), "[]", "it is pinned to no node");
    });
    site.step("again: nothing to do", |s| s.settled());
    site.step("an option that was changed by hand is set back", |s| {
        s.fleet.sh(s.fleet.host("infra3"), "gluster --mode=script volume set reemo cluster.quorum-type none");
        s.tool.run(&["plan"]).ends_with(0).says("cluster.quorum-type");
        s.tool.run(&["apply"]).ends_with(0);
        let info = s.fleet.sh(s.fleet.host("infra1"), "gluster volume info reemo");
        assert!(info.contains("cluster.quorum-type: auto"), "{info}");
    });
    failover(&site);
    site.step("the copies agree again", |s| {
        until("the server that was away is healed", || {
            let script = "gluster volume heal reemo info | grep 'Number of entries' | sort | uniq -c";
            let info = s.fleet.try_sh(s.fleet.host("infra1"), script, "").out;
            info.split_whitespace().collect::<Vec<_>>() == ["3", "Number", "of", "entries:", "0"]
        });
    });
    site.done();
}

/// The server that runs the database dies; the data is there elsewhere. Then it comes back, and nothing is to be done.
fn failover(site: &Site) {
    site.step("the server of the database dies, and the data is there elsewhere", |s| {
        swarm::query(&s.fleet, "CREATE TABLE reemo.kept (word VARCHAR(20)); INSERT INTO reemo.kept VALUES ('kept')");
        let gone = swarm::home_of(&s.fleet, "reemo_mysql").clone();
        s.fleet.kill(&gone);
        let others: Vec<&Host> = s.fleet.hosts.iter().filter(|h| h.name != gone.name).collect();
        let answers = |sql: &str| {
            let script = format!(
                "docker exec $(docker ps -q --filter health=healthy --filter \
                 label=com.docker.swarm.service.name=reemo_mysql) \
                 mysql --defaults-extra-file=/run/secrets/mysql_client.cnf -N -B -e \"{sql}\""
            );
            others.iter().map(|h| s.fleet.try_sh(h, &script, "")).find(|e| e.success()).map(|e| e.out.trim().to_owned())
        };
        let began = Instant::now();
        until("the database answers elsewhere", || answers("SELECT word FROM reemo.kept").is_some());
        crate::story::say(format!(
            "           the database answers elsewhere after {:.0} s",
            began.elapsed().as_secs_f64()
        ));
        assert_eq!(answers("SELECT word FROM reemo.kept").as_deref(), Some("kept"));
        answers("INSERT INTO reemo.kept VALUES ('written after')").expect("it can be written");
        until("the platform is whole on two servers", || {
            s.health(&others[0].name, "portal.reemo.test")["status"] == "OK" && all_run(s, others[0], false)
        });
        s.fleet.start(&gone);
        until("all three serve", || all_run(s, others[0], true));
        let rows = answers("SELECT COUNT(*) FROM reemo.kept");
        assert_eq!(rows.as_deref(), Some("2"));
    });
    site.step("and nothing is left to do", |s| s.settled());
}

/// All services have their copies: those that can be had, or (`whole`) all that are wanted.
fn all_run(site: &Site, host: &Host, whole: bool) -> bool {
    let asked = site.fleet.try_sh(host, "docker service ls --format '{{.Name}} {{.Replicas}}'", "");
    let lines: Vec<Vec<String>> =
        asked.out.lines().map(|l| l.split_whitespace().map(str::to_owned).collect()).collect();
    let enough = |line: &Vec<String>| {
        let (running, wanted) = line[1].split_once('/').expect("1/1");
        line[0] == "reemo_db" || if whole { running == wanted } else { running != "0" }
    };
    asked.success() && lines.len() > 10 && lines.iter().all(enough)
}

fn leader(site: &Site, host: &Host) -> String {
    let ask = "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}' | awk '$2 == \"Leader\" { print $1 }'";
    site.fleet.sh(host, ask).trim().to_owned()
}

/// Every trace that a run of the schema job leaves.
#[derive(Debug, PartialEq, Eq)]
struct Runs {
    /// Its tasks, ids and states.
    tasks: BTreeSet<String>,
    /// Its containers on all hosts, with the time each was started.
    containers: BTreeSet<String>,
    /// Rows it wrote, one for each run.
    in_database: String,
}

impl Runs {
    fn of(site: &Site) -> Runs {
        let tasks = "docker service ps --no-trunc --format '{{.ID}} {{.Node}}' reemo_db";
        let containers = "docker ps -aq --no-trunc --filter label=com.docker.swarm.service.name=reemo_db \
                          | xargs -r docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.State.ExitCode}}'";
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let on_hosts = site.fleet.each(|h| lines(site.fleet.sh(h, containers)));
        Runs {
            tasks: lines(site.fleet.sh(site.fleet.host("infra1"), tasks)).into_iter().collect(),
            containers: on_hosts.into_iter().flatten().collect(),
            in_database: swarm::query(&site.fleet, "SELECT COUNT(*) FROM reemo.db_runs").trim().to_owned(),
        }
    }
}
