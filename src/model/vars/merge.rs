//! `hash_behaviour = merge`: mappings of several definitions laid over each other, as Ansible's `combine_vars`.

use std::sync::Arc;

use crate::diag::Span;
use crate::inventory::Var;
use crate::yaml::{Mapping, Node, Value};

/// The value of a variable and of what it beat in the same source.
pub(super) fn own(var: &Var) -> Node {
    let mut values = var.beaten.iter().map(|old| &old.value).chain([&var.value]);
    let first = values.next().cloned().unwrap_or_else(Node::null);
    values.fold(first, |low, high| over(&low, high))
}

/// `high` laid over `low`: mappings key by key and all the way down, anything else replaced.
pub(crate) fn over(low: &Node, high: &Node) -> Node {
    let (Value::Map(low), Value::Map(map)) = (&low.value, &high.value) else {
        return high.clone();
    };
    let mut entries: Vec<(Node, Node)> = low.iter().map(|entry| (nowhere(&entry.key), nowhere(&entry.value))).collect();
    for entry in map.iter() {
        let key = entry.key.key_text();
        match entries.iter_mut().find(|(name, _)| name.key_text() == key) {
            Some((_, value)) => *value = over(value, &nowhere(&entry.value)),
            None => entries.push((nowhere(&entry.key), nowhere(&entry.value))),
        }
    }
    Node { value: Value::Map(Arc::new(entries.into_iter().collect::<Mapping>())), ..high.clone() }
}

/// Parts come from several files, and a span knows no file.
fn nowhere(node: &Node) -> Node {
    Node { span: Span::default(), ..node.clone() }
}
