//! Lists and mappings whose texts are templated only when they are looked at, and `hostvars`.

use std::fmt;
use std::sync::{Arc, Weak};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::scope::{Inner, Scope};
use crate::yaml::{Mapping, Node};

/// A mapping of a variable.
pub(super) struct LazyMap {
    pub scope: Weak<Inner>,
    pub map: Arc<Mapping>,
}

/// A list of a variable.
pub(super) struct LazySeq {
    pub scope: Weak<Inner>,
    pub items: Arc<Vec<Node>>,
}

fn element(scope: &Weak<Inner>, node: &Node) -> Option<Value> {
    scope.upgrade().map(|scope| Scope(scope).element(node))
}

impl fmt::Debug for LazyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mapping")
    }
}

impl fmt::Debug for LazySeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list")
    }
}

impl Object for LazyMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let entry = match key.as_str() {
            Some(text) => self.map.entry(text),
            None => self.map.iter().find(|e| super::plain::key(&e.key) == *key),
        };
        element(&self.scope, &entry?.value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.map.iter().map(|entry| super::plain::key(&entry.key)).collect())
    }
}

impl Object for LazySeq {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        element(&self.scope, self.items.get(key.as_usize()?)?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
}

/// The root a template sees: what was given for this one, then the scope.
pub(super) struct Root {
    pub scope: Scope,
    pub extra: Value,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

/// The name under which a template finds its own root.
pub(super) const HERE: &str = "__here";

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() == Some(HERE) {
            return Some(Value::from_dyn_object(Arc::clone(self)));
        }
        if let Ok(value) = self.extra.get_item(key)
            && !value.is_undefined()
        {
            return Some(value);
        }
        self.scope.value_or_invalid(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.scope.names().into_iter().map(Value::from).collect())
    }
}

/// `hostvars`.
#[derive(Debug)]
pub(super) struct HostVarsMap {
    pub scope: Weak<Inner>,
}

impl Object for HostVarsMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let scope = Scope(self.scope.upgrade()?);
        let other = scope.of_host(key.as_str()?)?;
        Some(Value::from_object(Root { scope: other, extra: Value::UNDEFINED }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let hosts = self.scope.upgrade().map(|scope| scope.vars.hosts()).unwrap_or_default();
        Enumerator::Values(hosts.into_iter().map(Value::from).collect())
    }
}

/// `vars`: every variable by name.
#[derive(Debug)]
pub(super) struct VarsMap {
    pub scope: Weak<Inner>,
}

impl Object for VarsMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Scope(self.scope.upgrade()?).value_or_invalid(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.scope.upgrade().map(|scope| Scope(scope).names()).unwrap_or_default();
        Enumerator::Values(names.into_iter().map(Value::from).collect())
    }
}
