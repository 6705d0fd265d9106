//! What somebody changed by hand is named by a plan and put right by an apply.

use super::{Stage, first};
use crate::swarm;

/// What is done by hand on which host, and what a plan says of it.
const DRIFTS: [(usize, &str, &[&str]); 13] = [
    (0, "chmod 0600 /etc/reemo/traefik/dynamic/common.yml", &["/etc/reemo/traefik/dynamic/common.yml", "0600"]),
    (
        1,
        "echo '# by hand' >>/etc/reemo/traefik/dynamic/portal.yml",
        &["/etc/reemo/traefik/dynamic/portal.yml", "# by hand"],
    ),
    (2, "rm /etc/reemo/traefik/dynamic/portaladmin.yml", &["/etc/reemo/traefik/dynamic/portaladmin.yml"]),
    (0, "chown 65534:65534 /etc/reemo/traefik/certs", &["directory /etc/reemo/traefik/certs", "nogroup"]),
    (1, "echo '{\"debug\": false}' >/etc/docker/daemon.json", &["/etc/docker/daemon.json", "live-restore"]),
    (2, "systemctl -q disable docker.service", &["docker.service", "enabled"]),
    (2, "echo broken >/etc/docker/certs.d/registry.reemo.io/ca.crt", &["/etc/docker/certs.d/registry.reemo.io/ca.crt"]),
    (0, "docker service update -dq --env-add BY_HAND=1 reemo_signal2", &["reemo_signal2", "Env.BY_HAND"]),
    (0, "docker service update -dq --label-add by-hand=1 reemo_relayws", &["reemo_relayws", "Labels.by-hand"]),
    (0, "docker service update -dq --limit-memory 64M reemo_apicronlog", &["reemo_apicronlog", "MemoryBytes"]),
    (0, "docker service update -dq --health-interval 30s reemo_apicron", &["reemo_apicron", "Healthcheck.Interval"]),
    (0, "docker service scale -d reemo_portaladmin=1", &["reemo_portaladmin", "Replicas"]),
    (
        0,
        "docker node update --label-rm io.reemo.data $(docker node ls -q --filter node.label=io.reemo.data)",
        &["node of the database", "io.reemo.data"],
    ),
];

/// Step 7.
pub fn is_named_and_repaired(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    for (host, by_hand, _) in DRIFTS {
        fleet.sh(&fleet.hosts[host], by_hand);
    }
    // An image goes where no copy of its service is.
    let gone = &fleet.hosts.iter().find(|h| h.name != swarm::home_of(fleet, "reemo_apicronldap").name).expect("a host");
    fleet.sh(gone, "docker rmi registry.reemo.io/reemoinfraapicronldap:1.0.0");

    let asked = ["-e", "INSTALL_DOCKER=true"];
    let versions = swarm::versions(fleet, &fleet.hosts[0]);
    let mut plan = tool.run(&[&["plan", "--detailed-exitcode"][..], &asked].concat()).ends_with(10);
    for (host, _, words) in DRIFTS {
        for word in words {
            plan = plan.says(word);
        }
        // What is on a host is said of that host.
        if words[0].starts_with('/') {
            plan = plan.says(&format!("[{}]", fleet.hosts[host].name));
        }
    }
    plan.says(&format!("[{}] image registry.reemo.io/reemoinfraapicronldap:1.0.0", gone.name));
    assert_eq!(fleet.sh(&fleet.hosts[0], "stat -c %a /etc/reemo/traefik/dynamic/common.yml").trim(), "600");
    let after = swarm::versions(fleet, &fleet.hosts[0]);
    let nodes_and_services = |v: &std::collections::BTreeMap<String, u64>| v.len();
    assert_eq!(nodes_and_services(&versions), nodes_and_services(&after), "a plan makes and removes nothing");

    tool.run(&[&["apply"][..], &asked].concat()).ends_with(0).none("failed");
    tool.run(&[&["plan", "--detailed-exitcode"][..], &asked].concat()).ends_with(0).none("changed");
    tool.run(&[&["apply"][..], &asked].concat()).ends_with(0).none("changed");

    // Looked at, not only said: and what was not ours stays.
    assert_eq!(fleet.sh(&fleet.hosts[0], "stat -c %a /etc/reemo/traefik/dynamic/common.yml").trim(), "644");
    assert!(!fleet.sh(&fleet.hosts[1], "cat /etc/reemo/traefik/dynamic/portal.yml").contains("by hand"));
    fleet.sh(&fleet.hosts[2], "test -s /etc/reemo/traefik/dynamic/portaladmin.yml");
    fleet.sh(&fleet.hosts[2], "systemctl -q is-enabled docker.service");
    let daemon = fleet.sh(&fleet.hosts[1], "cat /etc/docker/daemon.json");
    assert!(daemon.contains("live-restore") && daemon.contains("debug"), "{daemon}");
    let env =
        fleet.sh(&fleet.hosts[0], "docker service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Env}}' reemo_signal2");
    assert!(!env.contains("BY_HAND"), "{env}");
    assert_eq!(swarm::replicas(fleet, &fleet.hosts[0])["reemo_portaladmin"], (3, 3));
    first::healthy_everywhere(stage);
}
