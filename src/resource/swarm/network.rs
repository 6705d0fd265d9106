//! Overlay networks.

use reemo_model::catalogue::NetworkRole;
use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op};
use serde_json::{Value, json};

use super::observed::{SwarmObservation, text};
use super::{ADOPTED, MANAGED};

/// The body of `POST /networks/create`.
pub fn spec(name: &str, role: &NetworkRole) -> Value {
    json!({
        "Name": name,
        "Driver": role.driver.as_deref().unwrap_or("overlay"),
        "Attachable": role.attachable,
        "Options": role.options,
        "Labels": {MANAGED: "true"},
    })
}

/// A network that is there with other settings is refused: it cannot be changed under running services.
pub fn diff(name: &str, role: &NetworkRole, there: &SwarmObservation) -> Verdict {
    let wanted = spec(name, role);
    let Some(found) = there.network(name) else {
        return Verdict::Change(Change {
            action: Action::Create,
            fields: vec![FieldDiff::new("driver", None, Some(text(&wanted, &["Driver"]).to_owned()))],
            ops: vec![Op::Docker(DockerOp::NetworkCreate { spec: wanted })],
        });
    };
    let mut wrong = Vec::new();
    // That containers may join is no reason to stop a platform that was adopted with it.
    let looser = found["Attachable"] == true && there.config(ADOPTED).is_some();
    for key in ["Driver", "Attachable"].into_iter().take(if looser { 1 } else { 2 }) {
        if found.get(key) != wanted.get(key) {
            wrong.push(format!("{key} is {}, wanted {}", found[key], wanted[key]));
        }
    }
    for (key, value) in &role.options {
        if text(found, &["Options", key]) != value {
            wrong.push(format!("option {key} is `{}`, wanted `{value}`", text(found, &["Options", key])));
        }
    }
    if text(found, &["Scope"]) == "local" {
        wrong.push("it is a local network, not one of the Swarm".to_owned());
    }
    if wrong.is_empty() {
        return Verdict::Unchanged;
    }
    let remove = format!(
        "a network cannot be changed while services use it: remove those services and `docker network rm {name}`, then apply again"
    );
    Verdict::Refused {
        why: format!("network `{name}` is there with other settings: {}", wrong.join("; ")),
        hint: match there.services.is_empty() || there.ours() {
            true => remove,
            false => {
                "if it is of a platform that was installed by other means, `reemo-infra adopt` says what going on with \
                      that would mean, and changes nothing"
                    .to_owned()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_kept_or_refused() {
        let role = NetworkRole { attachable: true, ..Default::default() };
        let mut there = SwarmObservation::default();
        assert!(matches!(diff("reemo", &role, &there), Verdict::Change(_)));
        there.networks.push(json!({"Name": "reemo", "Driver": "overlay", "Attachable": true, "Scope": "swarm"}));
        assert!(diff("reemo", &role, &there).is_unchanged());
        let closed = NetworkRole::default();
        let hint = |there: &SwarmObservation| match diff("reemo", &closed, there) {
            Verdict::Refused { hint, .. } => hint,
            other => panic!("{other:?}"),
        };
        assert!(hint(&there).contains("docker network rm reemo"));
        there.services.push(json!({"Spec": {"Name": "reemo_api", "Labels": {}}}));
        assert!(hint(&there).contains("`reemo-infra adopt`"), "whose it is, is not ours to remove");
        there.configs.push(json!({"Spec": {"Name": ADOPTED}}));
        assert!(diff("reemo", &closed, &there).is_unchanged());
        there.networks[0]["Driver"] = json!("bridge");
        assert!(matches!(diff("reemo", &role, &there), Verdict::Refused { .. }));
    }
}
