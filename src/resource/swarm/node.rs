//! Who belongs to a cluster's Swarm: initialise, join, adopt, or refuse and name the nodes.

use std::collections::BTreeMap;

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op};
use serde_json::{Value, json};

use super::observed::{EngineObservation, SwarmObservation, at, text};

/// What is known of one host of the cluster.
#[derive(Clone, Debug)]
pub struct Member {
    /// Inventory name.
    pub host: String,
    /// Address other nodes reach it at.
    pub advertise: String,
    /// Its engine, when there is one.
    pub engine: Option<EngineObservation>,
    /// False when the host could not be reached in this run.
    pub reachable: bool,
    /// It is meant to be a worker.
    pub worker: bool,
}

/// What one host has to do to be a manager or a worker of the cluster's Swarm.
pub fn diff(host: &str, members: &[Member], there: Option<&SwarmObservation>) -> Verdict {
    match foreign(members, there) {
        Some(refused) => refused,
        None => placed(host, members, there),
    }
}

/// The same where nodes that are no hosts of the group are about to be removed.
pub fn diff_pruned(host: &str, members: &[Member], there: Option<&SwarmObservation>) -> Verdict {
    scattered(members).unwrap_or_else(|| placed(host, members, there))
}

fn placed(host: &str, members: &[Member], there: Option<&SwarmObservation>) -> Verdict {
    let Some(me) = members.iter().find(|m| m.host == host) else {
        return Verdict::Unchanged;
    };
    let Some(engine) = &me.engine else {
        return if first_to_init(members).is_some_and(|m| m.host == host) { init(me) } else { join(me, members) };
    };
    match (engine.in_swarm(), engine.manager) {
        (true, true) if me.worker => Verdict::Refused {
            why: format!("{host} is a manager of its Swarm, and a worker in the inventory"),
            hint: format!("on another manager: docker node demote {host}; or write it in the managers' group"),
        },
        (true, true) => Verdict::Unchanged,
        (true, false) if me.worker && engine.swarm_state == "active" => worker(me, engine, there),
        (true, false) if engine.swarm_state == "locked" => Verdict::Refused {
            why: format!("the Swarm of {host} is locked"),
            hint: format!("on {host}: docker swarm unlock"),
        },
        (true, false) if engine.swarm_state == "pending" || engine.swarm_state == "error" => Verdict::Refused {
            why: format!("{host} is in state `{}` in its Swarm", engine.swarm_state),
            hint: "wait until its managers have a quorum again, or take it out with `docker swarm leave --force`"
                .into(),
        },
        (true, false) => Verdict::Refused {
            why: format!("{host} is a worker of its Swarm, and has to be a manager"),
            hint: format!("on a manager: docker node promote {host}"),
        },
        (false, _) if first_to_init(members).is_some_and(|m| m.host == host) => init(me),
        (false, _) => join(me, members),
    }
}

/// The host that makes the Swarm when no host of the cluster is in one: the first reachable one.
fn first_to_init(members: &[Member]) -> Option<&Member> {
    let in_swarm = |m: &&Member| m.engine.as_ref().is_some_and(EngineObservation::in_swarm);
    if members.iter().any(|m| in_swarm(&m)) { None } else { members.iter().find(|m| m.reachable && !m.worker) }
}

/// A worker does not know the id of its Swarm: whether it is this one, a manager says.
fn worker(me: &Member, engine: &EngineObservation, there: Option<&SwarmObservation>) -> Verdict {
    let known = |there: &SwarmObservation| there.nodes.iter().any(|n| text(n, &["ID"]) == engine.node_id);
    match there {
        Some(there) if known(there) => Verdict::Unchanged,
        Some(there) => Verdict::Refused {
            why: format!("{} is a worker of another Swarm than that of {}", me.host, there.asked),
            hint: format!("if nobody needs it there: on {}: docker swarm leave", me.host),
        },
        None => Verdict::Refused {
            why: format!("{} is a worker of a Swarm of which no manager is in its group", me.host),
            hint: format!("write its managers in the group, or on {}: docker swarm leave", me.host),
        },
    }
}

fn init(me: &Member) -> Verdict {
    Verdict::Change(Change {
        action: Action::Create,
        fields: vec![FieldDiff::new("swarm", None, Some(format!("initialised at {}", me.advertise)))],
        ops: vec![Op::Docker(DockerOp::SwarmInit { advertise: me.advertise.clone(), spec: json!({}) })],
    })
}

fn join(me: &Member, members: &[Member]) -> Verdict {
    let others = members.iter().filter(|m| m.host != me.host && m.reachable);
    // Those that are in the Swarm already can be asked first.
    let (inside, outside): (Vec<&Member>, Vec<&Member>) =
        others.filter(|m| !m.worker).partition(|m| m.engine.as_ref().is_some_and(|e| e.manager));
    let role = if me.worker { "a worker" } else { "a manager" };
    Verdict::Change(Change {
        action: Action::Create,
        fields: vec![FieldDiff::new("swarm", None, Some(format!("joined as {role} at {}", me.advertise)))],
        ops: vec![Op::Docker(DockerOp::SwarmJoin {
            advertise: me.advertise.clone(),
            worker: me.worker,
            ask: inside.into_iter().chain(outside).map(|m| m.host.clone()).collect(),
        })],
    })
}

/// Hosts of one group in several Swarms.
fn scattered(members: &[Member]) -> Option<Verdict> {
    let mut swarms: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in members {
        if let Some(engine) = member.engine.as_ref().filter(|e| e.manager) {
            if engine.is_cut_off() {
                return Some(Verdict::Refused {
                    why: format!("{} is a manager that has no contact with the others of its Swarm", member.host),
                    hint: "mend the network between the nodes: TCP 2377 and 7946, UDP 7946 and 4789. Its engine's log says whom \
                           it cannot reach: journalctl -u docker"
                        .into(),
                });
            }
            swarms.entry(&engine.swarm_id).or_default().push(&member.host);
        }
    }
    if swarms.len() > 1 {
        let list: Vec<String> = swarms.values().map(|hosts| hosts.join(", ")).collect();
        return Some(Verdict::Refused {
            why: format!("the hosts of this group are in {} different Swarms: [{}]", swarms.len(), list.join("] [")),
            hint: "put them in groups of their own, or make the odd ones leave with `docker swarm leave --force`"
                .into(),
        });
    }
    None
}

/// Nodes of a Swarm that are no hosts of the group: a host that was taken out of the inventory, or the old node of a
/// machine that was replaced.
pub fn strangers<'a>(members: &[Member], there: &'a SwarmObservation) -> Vec<&'a Value> {
    let ours = |node: &Value| {
        let id = text(node, &["ID"]);
        let address = text(node, &["Status", "Addr"]);
        members.iter().any(|m| match &m.engine {
            Some(engine) => engine.node_id == id,
            None => m.advertise == address || m.host == text(node, &["Description", "Hostname"]),
        })
    };
    there.nodes.iter().filter(|n| !ours(n)).collect()
}

/// `e2e3 (10.0.0.3)`, and of a machine that was replaced, whose place it had.
pub fn name_of(node: &Value, members: &[Member]) -> String {
    let (name, address) = (text(node, &["Description", "Hostname"]), text(node, &["Status", "Addr"]));
    match members.iter().find(|m| m.advertise == address) {
        Some(host) => format!("{name} ({address}), the node {} was before it was replaced", host.host),
        None => format!("{name} ({address})"),
    }
}

/// A Swarm is adopted only when its nodes are the group's hosts.
fn foreign(members: &[Member], there: Option<&SwarmObservation>) -> Option<Verdict> {
    if let Some(refused) = scattered(members) {
        return Some(refused);
    }
    let there = there?;
    let strangers: Vec<String> = strangers(members, there).into_iter().map(|n| name_of(n, members)).collect();
    if strangers.is_empty() {
        return None;
    }
    Some(Verdict::Refused {
        why: format!("the Swarm of {} has nodes that are not in this group: {}", there.asked, strangers.join(", ")),
        hint:
            "add them to the group in the inventory; or have them drained and removed: the same command with --prune \
               (`reemo-infra plan --prune` shows what that does)"
                .into(),
    })
}

/// Nodes on which nothing may be started, by name, with the Swarm's word for it (`drain`, `pause`). Somebody wanted it
/// so, for a repair perhaps: it is said, and left as it is.
pub fn set_aside(there: &SwarmObservation) -> Vec<(String, String)> {
    let aside = |n: &&Value| !matches!(text(n, &["Spec", "Availability"]), "active" | "");
    let words = |n: &Value| (text(n, &["Description", "Hostname"]).into(), text(n, &["Spec", "Availability"]).into());
    there.nodes.iter().filter(aside).map(words).collect()
}

/// Sets a label on a node; nothing to do when it is set.
pub fn label(there: &SwarmObservation, node_id: &str, label: &str, value: &str) -> Verdict {
    let Some(node) = there.nodes.iter().find(|n| text(n, &["ID"]) == node_id) else {
        return Verdict::Unknown { until: "the node has joined the Swarm".into() };
    };
    let was = at(node, &["Spec", "Labels", label]).and_then(Value::as_str);
    if was == Some(value) {
        return Verdict::Unchanged;
    }
    Verdict::Change(Change {
        action: Action::Update,
        fields: vec![FieldDiff::new(format!("label {label}"), was.map(str::to_owned), Some(value.to_owned()))],
        ops: vec![Op::Docker(DockerOp::NodeLabels {
            node: node_id.to_owned(),
            labels: vec![(label.to_owned(), Some(value.to_owned()))],
        })],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(host: &str, swarm: Option<(&str, bool)>) -> Member {
        Member {
            host: host.into(),
            advertise: format!("10.0.0.{host}"),
            reachable: true,
            worker: false,
            engine: Some(EngineObservation {
                swarm_state: if swarm.is_some() { "active" } else { "inactive" }.into(),
                swarm_id: swarm.map_or("", |s| s.0).into(),
                manager: swarm.is_some_and(|s| s.1),
                node_id: format!("id{host}"),
                ..Default::default()
            }),
        }
    }

    #[test]
    fn a_manager_that_is_cut_off_is_no_other_swarm() {
        let members = [member("1", Some(("s", true))), member("2", Some(("", true)))];
        let Some(Verdict::Refused { why, hint }) = foreign(&members, None) else { panic!("refused") };
        assert_eq!(why, "2 is a manager that has no contact with the others of its Swarm");
        assert!(!hint.contains("leave"), "{hint}");
    }

    #[test]
    fn nodes_that_are_set_aside_are_named() {
        let node = |name: &str, availability: &str| json!({"Description": {"Hostname": name}, "Spec": {"Availability": availability}});
        let nodes = vec![node("one", "active"), node("two", "drain"), node("three", "pause")];
        let there = SwarmObservation { nodes, ..Default::default() };
        let named = [("two".into(), "drain".into()), ("three".into(), "pause".into())];
        assert_eq!(set_aside(&there), named);
    }

    fn ops(v: Verdict) -> Vec<Op> {
        match v {
            Verdict::Change(c) => c.ops,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_initialises_the_others_join() {
        let m = [member("1", None), member("2", None)];
        assert!(matches!(&ops(diff("1", &m, None))[0], Op::Docker(DockerOp::SwarmInit { .. })));
        assert!(matches!(&ops(diff("2", &m, None))[0], Op::Docker(DockerOp::SwarmJoin { ask, .. }) if ask == &["1"]));
    }

    #[test]
    fn a_late_host_asks_those_inside_first_whoever_comes_first() {
        let m = [member("1", None), member("2", Some(("s", true))), member("3", Some(("s", true)))];
        assert!(
            matches!(&ops(diff("1", &m, None))[0], Op::Docker(DockerOp::SwarmJoin { ask, .. }) if ask == &["2", "3"])
        );
        assert!(diff("2", &m, None).is_unchanged());
    }

    #[test]
    fn workers_join_as_workers_and_are_known_by_their_managers() {
        let worker = |host: &str, swarm: Option<(&str, bool)>| Member { worker: true, ..member(host, swarm) };
        let bare = [worker("1", None), member("2", None), worker("3", None)];
        assert!(matches!(&ops(diff("2", &bare, None))[0], Op::Docker(DockerOp::SwarmInit { .. })));
        let joins = ops(diff("1", &bare, None));
        assert!(matches!(&joins[0], Op::Docker(DockerOp::SwarmJoin { worker: true, ask, .. }) if ask == &["2"]));
        let there = |ids: &[&str]| SwarmObservation {
            nodes: ids.iter().map(|i| json!({"ID": i})).collect(),
            ..Default::default()
        };
        let up = [member("1", Some(("s", true))), worker("2", Some(("", false)))];
        assert!(diff("2", &up, Some(&there(&["id1", "id2"]))).is_unchanged());
        let elsewhere = diff("2", &up, Some(&there(&["id1"])));
        assert!(matches!(elsewhere, Verdict::Refused { why, .. } if why.contains("another Swarm")));
        let leads = [member("1", Some(("s", true))), worker("2", Some(("s", true)))];
        assert!(matches!(diff("2", &leads, Some(&there(&["id1", "id2"]))), Verdict::Refused { .. }));
    }

    #[test]
    fn two_swarms_a_worker_and_strangers_are_refused() {
        let two = [member("1", Some(("a", true))), member("2", Some(("b", true)))];
        assert!(matches!(diff("1", &two, None), Verdict::Refused { .. }));
        let worker = [member("1", Some(("a", true))), member("2", Some(("", false)))];
        assert!(matches!(diff("2", &worker, None), Verdict::Refused { why, .. } if why.contains("worker")));
        let there = SwarmObservation {
            nodes: vec![
                json!({"ID": "id1"}),
                json!({"ID": "zz", "Description": {"Hostname": "mallory"}, "Status": {"Addr": "10.9.9.9"}}),
            ],
            ..Default::default()
        };
        let one = [member("1", Some(("a", true)))];
        assert!(
            matches!(diff("1", &one, Some(&there)), Verdict::Refused { why, .. } if why.contains("mallory (10.9.9.9)"))
        );
    }
}
