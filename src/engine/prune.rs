//! Nodes of a Swarm that are no hosts of the inventory any more: named by every run, and with `--prune` drained, demoted
//! and removed, as far as the quorum allows. Never silently, and never the node that holds the database.

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op};
use reemo_resource::swarm::DATA_NODE;
use reemo_resource::swarm::node::{name_of, strangers};
use reemo_resource::swarm::observed::{at, text};

use super::fault::Fault;
use super::quorum::Quorum;
use super::site::Site;
use super::task::Task;
use super::world::World;

/// What is to be removed; nothing without `--prune`, where membership itself refuses.
pub fn verdict(site: &Site, world: &World, task: &Task) -> Verdict {
    let Some(there) = world.swarms.get(&task.cluster) else { return Verdict::Unchanged };
    if !site.clusters[&task.cluster].settings.prune {
        return Verdict::Unchanged;
    }
    let members = world.members(site, &task.cluster);
    let gone = strangers(&members, there);
    if gone.is_empty() {
        return Verdict::Unchanged;
    }
    if let Some(absent) = members.iter().find(|m| !m.reachable) {
        return refused(Fault::refused(
            format!("{} was not reached: its node cannot be told from one that is to be removed", absent.host),
            "bring it back, or take it out of the inventory as well; --prune goes without --limit",
        ));
    }
    if let Some(node) = gone.iter().find(|n| at(n, &["Spec", "Labels", DATA_NODE]).is_some()) {
        return refused(Fault::refused(
            format!("{} holds the database (its label {DATA_NODE})", name_of(node, &members)),
            "move /opt/reemo/mysql and the label to another node first (docs/recovery.md says how), or keep the host",
        ));
    }
    let (mut left, mut fields, mut ops) = (there.nodes.clone(), Vec::new(), Vec::new());
    for node in gone {
        let (id, name) = (text(node, &["ID"]).to_owned(), name_of(node, &members));
        if let Err(fault) = Quorum::of(&left).without(&task.cluster, &name, node) {
            return refused(fault);
        }
        left.retain(|n| text(n, &["ID"]) != id);
        let state = text(node, &["Status", "State"]);
        fields.push(FieldDiff::new("node", Some(format!("{name}, {state}")), None));
        ops.push(DockerOp::NodeDrain { node: id.clone() });
        if at(node, &["ManagerStatus"]).is_some_and(|m| !m.is_null()) {
            ops.push(DockerOp::NodeDemote { node: id.clone() });
        }
        ops.push(DockerOp::NodeRemove { node: id });
    }
    let ops = ops.into_iter().map(Op::Docker).collect();
    Verdict::Change(Change { action: Action::Remove, fields, ops })
}

fn refused(fault: Fault) -> Verdict {
    Verdict::Refused { why: fault.cause, hint: fault.hint }
}
