//! JSON has no tags: `{"__ansible_vault": "…"}` and `{"__ansible_unsafe": "…"}` stand for them, in files
//! that are JSON as a whole and in what inventory scripts print. In YAML they are mappings like others.

use std::sync::Arc;

use super::{Node, Value};

const VAULT: &str = "__ansible_vault";
const UNSAFE: &str = "__ansible_unsafe";

impl Node {
    /// With the marked mappings replaced by what they stand for.
    pub(crate) fn unmarked(&self) -> Node {
        let value = match &self.value {
            Value::Seq(items) => Value::Seq(Arc::new(items.iter().map(Node::unmarked).collect())),
            Value::Map(map) => {
                let text = |key: &str| map.get(key).and_then(Node::as_str).map(Arc::from);
                if let Some(text) = text(VAULT) {
                    return Node { value: Value::Vault(text), ..self.clone() };
                }
                if let Some(text) = text(UNSAFE) {
                    return Node { value: Value::Str(text), raw: true, ..self.clone() };
                }
                Value::Map(Arc::new(map.iter().map(|e| (e.key.clone(), e.value.unmarked())).collect()))
            }
            _ => return self.clone(),
        };
        Node { value, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::{Value, parse_str};

    #[test]
    fn in_json_only() {
        let json = r#"{"a": {"__ansible_vault": "x"}, "b": [{"__ansible_unsafe": "{{ y }}"}], "c": {"d": 1}}"#;
        let node = parse_str(json).unwrap();
        assert_eq!(node.get("a").unwrap().value, Value::Vault("x".into()));
        let inner = &node.get("b").unwrap().as_seq().unwrap()[0];
        assert!(inner.raw && inner.as_str() == Some("{{ y }}"));
        assert!(node.get("c").unwrap().get("d").is_some());
        // The same, but not JSON: a key without quotes.
        let node = parse_str(&json.replacen("\"c\"", "c", 1)).unwrap();
        assert!(node.get("a").unwrap().get("__ansible_vault").is_some());
    }
}
