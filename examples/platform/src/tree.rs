//! The health tree, as the vendor documents it: a node has a status, mostly a version, and the services it needs.

use serde_json::{Map, Value, json};

/// A healthy leaf.
pub fn ok(version: Option<&str>) -> Value {
    match version {
        Some(version) => json!({"status": "OK", "version": version}),
        None => json!({"status": "OK"}),
    }
}

/// A leaf that does not work, and why.
pub fn ko(why: &str) -> Value {
    json!({"status": "KO", "error": why})
}

/// A leaf from the outcome of a check.
pub fn leaf(outcome: Result<(), String>) -> Value {
    outcome.map_or_else(|why| ko(&why), |()| ok(None))
}

/// A node over others: OK only if everything below is.
pub fn node(version: &str, services: Map<String, Value>) -> Value {
    let status = if services.values().all(is_ok) { "OK" } else { "KO" };
    json!({"status": status, "version": version, "services": services})
}

/// Whether a node, or every node of a list, says OK.
pub fn is_ok(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_ok),
        other => other["status"] == "OK",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(db: Value, relays: Value) -> Map<String, Value> {
        Map::from_iter([("db".to_owned(), db), ("ws-relays".to_owned(), relays)])
    }

    #[test]
    fn the_documents_order_of_fields() {
        let tree = node("2.15.2", services(ok(None), json!([])));
        assert_eq!(
            tree.to_string(),
            r#"{"status":"OK","version":"2.15.2","services":{"db":{"status":"OK"},"ws-relays":[]}}"#
        );
    }

    #[test]
    fn one_broken_link_is_seen_at_the_top() {
        assert!(!is_ok(&node("1", services(ko("no"), json!([])))));
        assert!(!is_ok(&node("1", services(ok(None), json!([{"status": "OK"}, {"status": "KO"}])))));
        assert!(!is_ok(&json!({})));
    }
}
