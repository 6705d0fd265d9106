//! Templates and variables that are templates: minijinja with Ansible's filters, evaluated when asked
//! for, with the way from variable to variable in every error.

mod args;
mod engine;
mod error;
mod filters;
mod functions;
mod jinja;
pub(crate) mod json;
mod lazy;
mod lookups;
mod methods;
mod plain;
pub(crate) mod python;
mod scope;
mod taint;
mod tests;
mod text;
mod way;
mod world;
pub(crate) mod yaml_dump;
pub(crate) mod yaml_text;

use std::sync::Arc;

pub use engine::Engine;
pub use error::{TemplateError, Trouble};
pub use lookups::names as lookup_names;
pub use minijinja::Value;
pub(crate) use plain::plain as scope_plain;
pub use scope::Scope;
pub use world::{Nowhere, World};

use crate::diag::Place;
use crate::secret::Secret;
use crate::vault::{Vault, VaultError};
use crate::yaml::Node;

/// A definition that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The value, not templated.
    pub value: Node,
    /// Where it stands.
    pub place: Option<Place>,
    /// Never templated (what the program itself sets).
    pub raw: bool,
}

/// Where a scope finds variables.
pub trait Lookup: Send + Sync {
    /// The definition that counts.
    fn find(&self, name: &str) -> Option<Found>;

    /// All names.
    fn names(&self) -> Vec<String>;

    /// True when the value must never be shown.
    fn is_secret(&self, _name: &str) -> bool {
        false
    }

    /// True when it stands in a file that is a vault as a whole.
    fn is_vaulted(&self, _name: &str) -> bool {
        false
    }

    /// What it is of, for messages: the host's name.
    fn label(&self) -> String {
        String::new()
    }

    /// The variables of another host, for `hostvars`.
    fn host(&self, _name: &str) -> Option<Arc<dyn Lookup>> {
        None
    }

    /// The hosts `hostvars` knows.
    fn hosts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The plain text of an inline `!vault` value.
    fn decrypt(&self, vault: &str) -> Result<Secret, VaultError> {
        Vault::default().text(vault)
    }
}

/// A value as Ansible's `bool` filter reads it: `yes`, `on`, `1`, `true`, `y`, `t` in any case.
pub fn truthy(value: &Value) -> bool {
    filters::truth(value)
}

/// A value as JSON.
pub fn to_json(value: &Value) -> serde_json::Value {
    plain::json(value, false, 0)
}

/// JSON as a value.
pub fn from_json(json: &serde_json::Value) -> Value {
    scope_plain(&Node::from_json(json, crate::diag::Span::default()))
}
