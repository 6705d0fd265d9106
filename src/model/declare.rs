//! What every variable of ours is: its type, where it belongs, whether it is secret. And the checks that
//! hold an inventory against it, before any connection.

mod check;
mod names;
mod page;
mod placement;
mod schema;
mod values;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use check::{Checked, check};
pub use page::page;

use crate::catalogue::{Catalogue, RoleError, in_words};
use crate::diag::{Diagnostic, Diagnostics, Place, Span};
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
    /// The version of this program that first knew it, `0.1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// One line for people.
    #[serde(default)]
    pub doc: String,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Option<Place>,
    /// Where its default stands.
    #[serde(skip)]
    pub default_place: Option<Place>,
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
    /// As a role file writes it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::List => "list",
            Kind::Map => "map",
            Kind::Enum => "enum",
            Kind::IpList => "ip_list",
            Kind::Url => "url",
            Kind::Base64 => "base64",
            Kind::Path => "path",
        }
    }

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
    /// At each host, which has its own value; in `all` or a group only as a template.
    Host,
}

impl Placement {
    /// As a role file writes it.
    pub fn word(self) -> &'static str {
        match self {
            Placement::All => "all",
            Placement::Group => "group",
            Placement::Either => "either",
            Placement::Host => "host",
        }
    }
}

/// All declared variables.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    by_name: IndexMap<String, VariableDecl>,
}

impl Declarations {
    /// Reads `variables:` as role files have them.
    pub fn read(variables: &IndexMap<String, serde_yaml::Value>) -> Result<Self, String> {
        let mut by_name = IndexMap::new();
        for (name, value) in variables {
            let decl = VariableDecl::read(name, value).map_err(|flaw| format!("variable `{name}`: {}", flaw.why))?;
            by_name.insert(name.clone(), decl);
        }
        Ok(Declarations { by_name })
    }

    /// The same with places; all that is wrong together.
    pub fn of(catalogue: &Catalogue) -> Result<Self, RoleError> {
        let (mut by_name, mut out) = (IndexMap::new(), Diagnostics::new());
        for (name, value) in &catalogue.variables {
            match VariableDecl::read(name, value) {
                Ok(mut decl) => {
                    decl.place = catalogue.place_of(name, &[]);
                    decl.default_place = catalogue.place_of(name, &["default".to_owned()]);
                    by_name.insert(name.clone(), decl);
                }
                Err(flaw) => {
                    let message = format!("variable `{name}`: {}", flaw.why);
                    let place = catalogue.place_of(name, &flaw.path);
                    out.push(Diagnostic::error("role-variable", message).at(place).help(flaw.help));
                }
            }
        }
        if !out.has_errors() {
            return Ok(Declarations { by_name });
        }
        out.attach(&catalogue.places.texts);
        Err(RoleError(out))
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
        let nowhere: Arc<std::path::Path> = Arc::from(std::path::Path::new("roles"));
        self.iter()
            .filter_map(|decl| {
                let value = Node::from_json(decl.default.as_ref()?, Span::default());
                let file = decl.default_place.as_ref().map_or(&nowhere, |place| &place.file);
                let key = decl.default_place.as_ref().map(Place::span).unwrap_or_default();
                let var = Var { value, file: Arc::clone(file), key, beaten: Vec::new() };
                Some((decl.name.clone(), var))
            })
            .collect()
    }
}

/// What is wrong with a declaration.
struct Flaw {
    /// The key it is about.
    path: Vec<String>,
    why: String,
    help: String,
}

impl VariableDecl {
    fn read(name: &str, value: &serde_yaml::Value) -> Result<Self, Flaw> {
        let mut value = value.clone();
        if let serde_yaml::Value::Mapping(map) = &mut value {
            map.retain(|key, _| !key.as_str().is_some_and(|key| key.starts_with("x-")));
        }
        let mut decl: VariableDecl = serde_path_to_error::deserialize(value).map_err(|error| {
            let said = error.inner().to_string();
            let mut path: Vec<String> = Vec::new();
            if let Some(serde_path_to_error::Segment::Map { key }) = error.path().iter().next() {
                path.push(key.clone());
            }
            let (why, help) = in_words(&said, &mut path);
            Flaw { path, why, help }
        })?;
        name.clone_into(&mut decl.name);
        decl.validate()?;
        Ok(decl)
    }

    /// What the format alone cannot say.
    fn validate(&self) -> Result<(), Flaw> {
        let flaw = |key: &str, why: String, help: &str| Err(Flaw { path: vec![key.into()], why, help: help.into() });
        if (self.kind == Kind::Enum) == self.values.is_empty() {
            let why = "`values` belong to `type: enum`, and it needs some".to_owned();
            return flaw("type", why, "write `type: enum` with `values: [a, b]`, or neither");
        }
        let version = |text: &str| text.split('.').count() == 3 && text.split('.').all(|p| p.parse::<u32>().is_ok());
        if let Some(since) = self.since.as_deref().filter(|since| !version(since)) {
            let why = format!("`since` is `{since}`, and must be a version");
            return flaw("since", why, "write a version such as \"0.1.0\"");
        }
        if let Some(default) = &self.default {
            let node = Node::from_json(default, Span::default());
            let template = node.as_str().is_some_and(|text| text.contains("{{"));
            if !template && let Err(why) = values::check(self, &node) {
                return flaw("default", format!("the default {}", why.message), "give a default of the declared type");
            }
        }
        Ok(())
    }
}
