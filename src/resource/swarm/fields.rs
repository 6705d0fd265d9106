//! Field-by-field comparison of two Docker specs: both are brought to one normal form, flattened to
//! dotted paths, and compared. Whatever differs is shown, also what somebody set by hand.

use std::collections::BTreeMap;

use reemo_model::change::FieldDiff;
use serde_json::Value;

/// Dotted path → text.
pub type Fields = BTreeMap<String, String>;

/// Values Docker fills in, or that mean the same as not being there.
fn is_default(path: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => {
            s.is_empty()
                || matches!(
                    (path.rsplit('.').next().unwrap_or(path), s.as_str()),
                    ("Isolation", "default") | ("Runtime", "container")
                )
        }
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

/// Ids that stand beside a name, counters, and what only Docker writes.
fn is_noise(key: &str) -> bool {
    matches!(key, "SecretID" | "ConfigID" | "ForceUpdate" | "NetworkAttachmentConfig" | "Platforms")
}

/// Flattens a spec. `network_name` turns a network id into its name.
pub fn flatten(spec: &Value, network_name: &dyn Fn(&str) -> String) -> Fields {
    let mut fields = Fields::new();
    walk("", spec, network_name, &mut fields);
    fields
}

fn walk(path: &str, value: &Value, network_name: &dyn Fn(&str) -> String, out: &mut Fields) {
    if is_default(path, value) {
        return;
    }
    let join = |key: &str| {
        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
    };
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter().filter(|(k, _)| !is_noise(k)) {
                walk(&join(key), inner, network_name, out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(
                    &join(&key_of(path, index, item, network_name)),
                    &body_of(path, item, network_name),
                    network_name,
                    out,
                );
            }
        }
        Value::String(s) => {
            out.insert(path.to_owned(), s.clone());
        }
        other => {
            out.insert(path.to_owned(), other.to_string());
        }
    }
}

/// What identifies an item of a list, so that an insertion does not show as a change of all that follow.
fn key_of(path: &str, index: usize, item: &Value, network_name: &dyn Fn(&str) -> String) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    match (last, item) {
        ("Env", Value::String(s)) => s.split('=').next().unwrap_or_default().to_owned(),
        ("Networks", Value::Object(_)) => network_name(text("Target").unwrap_or_default()),
        ("Mounts", Value::Object(_)) => text("Target").unwrap_or_default().to_owned(),
        ("Secrets" | "Configs", Value::Object(_)) => {
            item.pointer("/File/Name").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        ("Ports", Value::Object(_)) => {
            let number = |key: &str| item.get(key).map(Value::to_string).unwrap_or_default();
            format!("{}/{}", number("PublishedPort"), text("Protocol").unwrap_or("tcp"))
        }
        _ => index.to_string(),
    }
}

/// The item without what its key already says.
fn body_of(path: &str, item: &Value, network_name: &dyn Fn(&str) -> String) -> Value {
    let last = path.rsplit('.').next().unwrap_or(path);
    match (last, item) {
        ("Env", Value::String(s)) => {
            let value = s.split_once('=').map_or("", |(_, v)| v);
            // An empty value is a value here.
            Value::String(if value.is_empty() { "(empty)".into() } else { value.into() })
        }
        ("Networks", Value::Object(map)) => {
            let mut map = map.clone();
            let name = network_name(map.get("Target").and_then(Value::as_str).unwrap_or_default());
            map.insert("Target".into(), Value::String(name));
            Value::Object(map)
        }
        _ => item.clone(),
    }
}

/// Differences in path order. Long prefixes that say nothing to people are cut.
pub fn compare(was: &Fields, wanted: &Fields) -> Vec<FieldDiff> {
    let mut paths: Vec<&String> = was.keys().chain(wanted.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|p| was.get(*p) != wanted.get(*p))
        .map(|p| FieldDiff::new(short(p), was.get(p).cloned(), wanted.get(p).cloned()))
        .collect()
}

fn short(path: &str) -> String {
    path.trim_start_matches("TaskTemplate.").trim_start_matches("ContainerSpec.").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn f(v: Value) -> Fields {
        flatten(&v, &|id| {
            if id == "n1" { "reemo".into() } else { id.into() }
        })
    }

    #[test]
    fn defaults_ids_and_order_do_not_count() {
        let was = json!({"TaskTemplate": {"ForceUpdate": 3, "Runtime": "container",
            "ContainerSpec": {"Env": ["B=2", "A=1"], "Isolation": "default", "Secrets": [{"File": {"Name": "k"}, "SecretID": "x", "SecretName": "s"}]},
            "Networks": [{"Target": "n1"}]}});
        let wanted = json!({"TaskTemplate": {"ContainerSpec": {"Env": ["A=1", "B=2"], "Secrets": [{"File": {"Name": "k"}, "SecretName": "s"}]},
            "Networks": [{"Target": "reemo"}]}});
        assert_eq!(compare(&f(was), &f(wanted)), []);
    }

    #[test]
    fn what_was_set_by_hand_shows() {
        let was = json!({"TaskTemplate": {"Placement": {"Constraints": ["node.role==worker"]}, "ContainerSpec": {"Env": ["A=1", "X=9"]}}});
        let wanted = json!({"TaskTemplate": {"ContainerSpec": {"Env": ["A=2"]}}});
        let shown: Vec<String> =
            compare(&f(was), &f(wanted)).iter().map(|d| format!("{} {:?} {:?}", d.field, d.was, d.wanted)).collect();
        assert_eq!(
            shown,
            [
                "Env.A Some(\"1\") Some(\"2\")",
                "Env.X Some(\"9\") None",
                "Placement.Constraints.0 Some(\"node.role==worker\") None"
            ]
        );
    }
}
