//! The arithmetic of managers: more than half of them must be reachable, or a Swarm can change nothing.

use reemo_resource::swarm::observed::{at, text};
use serde_json::Value;

use super::fault::Fault;

/// The managers of a Swarm, as `GET /nodes` shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// All of them.
    pub managers: usize,
    /// Those that answer.
    pub reachable: usize,
}

impl Quorum {
    /// Counts.
    pub fn of(nodes: &[Value]) -> Quorum {
        let managers: Vec<&Value> = nodes.iter().filter(|n| is_manager(n)).collect();
        let reachable = managers.iter().filter(|n| answers(n)).count();
        Quorum { managers: managers.len(), reachable }
    }

    /// So many must be reachable.
    pub fn needed(self) -> usize {
        self.managers / 2 + 1
    }

    /// May this manager be away for a moment? One or two managers cannot spare any: there it is the operator's choice
    /// to have so few, and the Swarm comes back with the manager.
    pub fn spare(self, cluster: &str, name: &str, node: Option<&Value>) -> Result<(), Fault> {
        let left = self.reachable - usize::from(node.is_some_and(answers)).min(self.reachable);
        if self.managers < 3 || node.is_none_or(|n| !is_manager(n)) || left >= self.needed() {
            return Ok(());
        }
        Err(Fault::refused(
            format!(
                "{cluster} has {} managers, and {} of them are reachable: without {name} {left} would be left, and {} \
                 are needed for a quorum",
                self.managers,
                self.reachable,
                self.needed()
            ),
            "bring the other managers back first (`reemo-infra status` shows them), then run the same command again",
        ))
    }

    /// May this manager be taken out for good?
    pub fn without(self, cluster: &str, name: &str, node: &Value) -> Result<(), Fault> {
        if !is_manager(node) {
            return Ok(());
        }
        let after = Quorum {
            managers: self.managers.saturating_sub(1),
            reachable: self.reachable.saturating_sub(usize::from(answers(node))),
        };
        if self.reachable >= self.needed() && after.managers > 0 && after.reachable >= after.needed() {
            return Ok(());
        }
        Err(Fault::refused(
            format!(
                "{cluster} has {} managers, and {} of them are reachable ({} are needed): without {name} it would have \
                 {}, {} of them reachable, and {} needed for a quorum",
                self.managers,
                self.reachable,
                self.needed(),
                after.managers,
                after.reachable,
                after.needed()
            ),
            "bring the other managers back first (`reemo-infra status` shows them), then run the same command again",
        ))
    }

    /// May one more manager join? He counts from the first moment, and may never come up: then there has to be a
    /// quorum without him. While all answer, as when a Swarm of one becomes two, there is no other way.
    pub fn take_in(self, newcomer: &str) -> Result<(), Fault> {
        let after = Quorum { managers: self.managers + 1, ..self };
        if self.reachable == self.managers || after.reachable >= after.needed() {
            return Ok(());
        }
        Err(Fault::refused(
            format!(
                "the Swarm has {} managers, and {} of them are reachable: with {newcomer} it would have {}, of which {} \
                 are needed for a quorum",
                self.managers,
                self.reachable,
                after.managers,
                after.needed()
            ),
            "bring the other managers back first (`reemo-infra status` shows them), then run the same command again",
        ))
    }
}

fn is_manager(node: &Value) -> bool {
    at(node, &["ManagerStatus"]).is_some_and(|m| !m.is_null())
}

fn answers(node: &Value) -> bool {
    text(node, &["ManagerStatus", "Reachability"]) == "reachable"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nodes(managers: usize, away: usize) -> Vec<Value> {
        let state = |n: usize| if n < away { "unreachable" } else { "reachable" };
        let mut all: Vec<Value> =
            (0..managers).map(|n| json!({"ID": n, "ManagerStatus": {"Reachability": state(n)}})).collect();
        all.push(json!({"ID": "worker"}));
        all
    }

    /// Every number of managers up to nine, every number of them away: the rule said in one line.
    #[test]
    fn no_step_ever_takes_a_swarm_of_three_or_more_below_its_quorum() {
        let (mut yes, mut no) = (0, 0);
        for managers in 1..10_usize {
            for away in 0..managers {
                let all = nodes(managers, away);
                let quorum = Quorum::of(&all);
                assert_eq!((quorum.managers, quorum.reachable), (managers, managers - away));
                let up = &all[managers - 1];
                let spared = quorum.spare("c", "n", Some(up)).is_ok();
                let majority_stays = 2 * (managers - away - 1) > managers;
                assert_eq!(spared, managers < 3 || majority_stays, "{managers} managers, {away} away");
                assert_eq!(quorum.spare("c", "n", all.last()), Ok(()), "a worker is no manager");
                if away > 0 {
                    // One that is away already takes nothing with it for a moment.
                    let kept = 2 * (managers - away) > managers;
                    assert_eq!(quorum.spare("c", "n", Some(&all[0])).is_ok(), managers < 3 || kept);
                    let removable = kept && 2 * (managers - away) > managers - 1;
                    assert_eq!(quorum.without("c", "n", &all[0]).is_ok(), removable);
                }
                let removable =
                    2 * (managers - away) > managers && managers > 1 && 2 * (managers - away - 1) > managers - 1;
                assert_eq!(quorum.without("c", "n", up).is_ok(), removable, "{managers} managers, {away} away");
                if spared { yes += 1 } else { no += 1 }
            }
        }
        assert!(yes > 10 && no > 10);
        let joins = |managers, reachable| Quorum { managers, reachable }.take_in("n").is_ok();
        assert!((1..9).all(|all| joins(all, all)), "nobody is away");
        assert!(!joins(2, 1) && !joins(3, 2) && joins(4, 3) && !joins(4, 2) && !joins(5, 3) && joins(5, 4));
        let said = Quorum { managers: 3, reachable: 2 }.spare("infra", "node3", Some(&nodes(1, 0)[0])).unwrap_err();
        assert!(
            said.cause.contains("3 managers, and 2 of them are reachable: without node3 1 would be left"),
            "{}",
            said.cause
        );
    }
}
