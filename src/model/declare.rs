//! What every variable of ours is: its type, where it belongs, whether it is secret. And the checks that
//! hold an inventory against it, before any connection.

mod check;
mod names;
mod placement;
mod values;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use check::{Checked, check};

use crate::diag::Span;
use crate::inventory::{Environment, Var, VarMap};
use crate::yaml::Node;

/// A variable, as the `variables:` key of a role file declares it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VariableDecl {
    /// Its name; the key it stands under.
    #[serde(skip_deserializing)]
    pub name: String,
    /// What its value must be.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The values of an `enum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The value when nobody sets it; may be a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Must be set by the operator.
    #[serde(default)]
    pub required: bool,
    /// Never shown.
    #[serde(default)]
    pub secret: bool,
    /// Where the vendor's examples put it.
    #[serde(default)]
    pub scope: Placement,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
    /// The kinds of cluster that need it, when it is required; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text.
    String,
    /// A boolean, or text such as `"true"`.
    Bool,
    /// A whole number, or text such as `"8"`.
    Int,
    /// A list.
    List,
    /// A mapping.
    Map,
    /// One of `values`.
    Enum,
    /// Addresses and networks, comma-separated or as a list.
    IpList,
    /// A host name or an address with `http://` or `https://`.
    Url,
    /// Base64.
    Base64,
    /// A path of a file.
    Path,
}

impl Kind {
    /// For people: `one of …` is said elsewhere.
    pub fn words(self) -> &'static str {
        match self {
            Kind::String => "text",
            Kind::Bool => "true or false",
            Kind::Int => "a whole number",
            Kind::List => "a list",
            Kind::Map => "a mapping",
            Kind::Enum => "one of the known words",
            Kind::IpList => "addresses or networks, separated by commas",
            Kind::Url => "a host name, or an address that begins with https://",
            Kind::Base64 => "base64 text",
            Kind::Path => "a path",
        }
    }
}

/// Where a variable belongs: seed 001 says a variable of a group must not be in `all`, nor the reverse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In `all`.
    All,
    /// In a group.
    Group,
    /// In either, but not both.
    #[default]
    Either,
}

/// All declared variables.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    by_name: IndexMap<String, VariableDecl>,
}

impl Declarations {
    /// Reads the `variables:` of the role files.
    pub fn read(variables: &IndexMap<String, serde_yaml::Value>) -> Result<Self, String> {
        let mut by_name = IndexMap::new();
        for (name, value) in variables {
            let mut value = value.clone();
            if let serde_yaml::Value::Mapping(map) = &mut value {
                map.retain(|key, _| !key.as_str().is_some_and(|key| key.starts_with("x-")));
            }
            let mut decl: VariableDecl =
                serde_yaml::from_value(value).map_err(|e| format!("variable `{name}`: {e}"))?;
            decl.name.clone_from(name);
            decl.validate()?;
            by_name.insert(name.clone(), decl);
        }
        Ok(Declarations { by_name })
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&VariableDecl> {
        self.by_name.get(name)
    }

    /// All of them, in the order of the role files.
    pub fn iter(&self) -> impl Iterator<Item = &VariableDecl> {
        self.by_name.values()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Names of the secret ones.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|d| d.secret).map(|d| d.name.as_str())
    }

    /// The defaults, as the lowest layer of variables.
    pub fn defaults(&self) -> VarMap {
        let file: Arc<std::path::Path> = Arc::from(std::path::Path::new("roles"));
        self.iter()
            .filter_map(|decl| {
                let value = Node::from_json(decl.default.as_ref()?, Span::default());
                let var = Var { value, file: Arc::clone(&file), key: Span::default(), beaten: Vec::new() };
                Some((decl.name.clone(), var))
            })
            .collect()
    }
}

impl VariableDecl {
    /// What the format alone cannot say.
    fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        if (self.kind == Kind::Enum) == self.values.is_empty() {
            return Err(format!("variable `{name}`: `values` belong to `type: enum`, and it needs some"));
        }
        if let Some(default) = &self.default {
            let node = Node::from_json(default, Span::default());
            let template = node.as_str().is_some_and(|text| text.contains("{{"));
            if !template && let Err(why) = values::check(self, &node) {
                return Err(format!("variable `{name}`: the default {}", why.message));
            }
        }
        Ok(())
    }
}
