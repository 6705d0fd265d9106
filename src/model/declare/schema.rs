//! A JSON Schema (2020-12) of an inventory, for editors: they complete names, show what each is for, and mark what
//! is wrong. It cannot say all that `inventory validate` says (nearest names, both places of a variable, files).

use serde_json::{Map, Value as Json, json};

use super::{Declarations, Kind, Placement, VariableDecl, names};
use crate::inventory::Environment;

/// Ansible's variables of a host that count here, with a line for people.
const CONNECTION: [(&str, &str, &str); 15] = [
    ("ansible_host", "string", "Address to connect to; else the name of the host."),
    ("ansible_port", "integer", "Port to connect to."),
    ("ansible_user", "string", "Whom to log in as."),
    ("ansible_password", "string", "Password of the login."),
    ("ansible_ssh_private_key_file", "string", "Private key for the login, a file on the control machine."),
    ("ansible_private_key_file", "string", "The same as ansible_ssh_private_key_file."),
    ("ansible_ssh_args", "string", "Options of OpenSSH."),
    ("ansible_ssh_common_args", "string", "Options of OpenSSH, such as `-o ProxyJump=bastion`."),
    ("ansible_ssh_extra_args", "string", "Options of OpenSSH."),
    ("ansible_host_key_checking", "boolean", "false: keys of unknown hosts are recorded."),
    ("ansible_timeout", "integer", "Seconds to connect."),
    ("ansible_become", "boolean", "Become root by sudo; on unless it is false."),
    ("ansible_become_user", "string", "Whom to become."),
    ("ansible_become_password", "string", "Password for sudo."),
    ("ansible_connection", "string", "How to connect: ssh."),
];

impl Declarations {
    /// The schema, for one YAML inventory file.
    pub fn schema(&self) -> Json {
        let mut groups = Map::new();
        groups.insert("all".into(), json!({"$ref": "#/$defs/all"}));
        for environment in Environment::ALL {
            let doc = match environment {
                Environment::Infra => "Everything on one Swarm.",
                Environment::Portal => "Portals and signal services, on Swarms of their own.",
                Environment::Api => "The api side, on Swarms of its own.",
                Environment::Relayws => "WebSocket relays.",
                Environment::Provision => "The managers of a farm of session containers.",
            };
            groups.insert(environment.group().into(), json!({"description": doc, "$ref": "#/$defs/group"}));
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "urn:reemo-infra:inventory",
            "title": "Inventory of a Reemo platform",
            "description": "Made by `reemo-infra docs schema` from roles/*.yml.",
            "type": ["object", "null"],
            "properties": groups,
            "additionalProperties": {"$ref": "#/$defs/group"},
            "$defs": {
                "all": group("#/$defs/vars_of_all", "Every host."),
                "group": group("#/$defs/vars_of_group", "A group of hosts."),
                "hosts": {
                    "description": "Hosts by name; `web[1:3]` stands for several.",
                    "type": ["object", "null", "string"],
                    "additionalProperties": {"$ref": "#/$defs/host"},
                },
                "host": self.vars(Placement::Host),
                "vars_of_all": self.vars(Placement::All),
                "vars_of_group": self.vars(Placement::Group),
                "template": {"type": "string", "pattern": "\\{\\{|\\{%|^\\$ANSIBLE_VAULT;"},
                "variables": self.iter().map(|d| (d.name.clone(), variable(d))).collect::<Map<String, Json>>(),
            },
        })
    }

    /// Variables that may stand at a place; those that belong elsewhere are marked.
    fn vars(&self, at: Placement) -> Json {
        let mut properties = Map::new();
        for (name, kind, doc) in CONNECTION {
            let typed = match kind {
                "integer" => json!({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]}),
                "boolean" => boolean(),
                _ => json!({"type": ["string", "integer"]}),
            };
            properties.insert(name.into(), json!({"description": doc, "anyOf": [typed, {"$ref": "#/$defs/template"}]}));
        }
        for decl in self.iter() {
            let mut one = json!({"$ref": format!("#/$defs/variables/{}", decl.name)});
            let elsewhere = match (at, decl.scope) {
                (Placement::All, Placement::Group) => Some("It belongs in a group."),
                (Placement::Group, Placement::All) => Some("It belongs in `all`."),
                (Placement::Host, scope) if scope != Placement::Host => Some("It belongs in `all` or in a group."),
                _ => None,
            };
            if let (Some(why), Some(map)) = (elsewhere, one.as_object_mut()) {
                map.insert("deprecated".into(), true.into());
                map.insert("$comment".into(), why.into());
            }
            properties.insert(decl.name.clone(), one);
        }
        // A name of one of our families that no role declares is a mistake; all others are free.
        let declared: Vec<&str> = self.names().collect();
        let families: Vec<String> = names::prefixes(self).into_iter().collect();
        json!({
            "type": ["object", "null"],
            "properties": properties,
            "propertyNames": {
                "anyOf": [{"enum": declared}, {"not": {"pattern": format!("^({})[A-Z0-9_]*$", families.join("|"))}}],
            },
        })
    }
}

fn group(vars: &str, doc: &str) -> Json {
    json!({
        "description": doc,
        "type": ["object", "null"],
        "properties": {
            "hosts": {"$ref": "#/$defs/hosts"},
            "vars": {"$ref": vars},
            "children": {
                "description": "Groups below this one.",
                "type": ["object", "null", "string"],
                "additionalProperties": {"$ref": "#/$defs/group"},
            },
        },
        "additionalProperties": false,
    })
}

/// What the value of one variable must be.
fn variable(decl: &VariableDecl) -> Json {
    let mut out = Map::new();
    let scope = match decl.scope {
        Placement::All => "Belongs in `all`.",
        Placement::Group => "Belongs in a group.",
        Placement::Either => "In `all` or in a group, not in both.",
        Placement::Host => "Belongs at each host.",
    };
    let required = if decl.required { " Required." } else { "" };
    let since = decl.since.as_ref().map(|since| format!(" Since {since}.")).unwrap_or_default();
    out.insert("description".into(), format!("{} {scope}{required}{since}", decl.doc).into());
    if let Some(default) = &decl.default {
        out.insert("default".into(), default.clone());
    }
    if decl.secret {
        out.insert("writeOnly".into(), true.into());
    }
    out.insert("anyOf".into(), json!([typed(decl), {"$ref": "#/$defs/template"}]));
    Json::Object(out)
}

fn typed(decl: &VariableDecl) -> Json {
    match decl.kind {
        Kind::String => json!({"type": ["string", "integer"], "not": {"pattern": PLACEHOLDER}}),
        Kind::Url | Kind::Path => json!({"type": "string", "minLength": 1, "not": {"pattern": PLACEHOLDER}}),
        Kind::Bool => boolean(),
        Kind::Int => json!({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^\\s*[+-]?[0-9]+\\s*$"}]}),
        Kind::List => json!({"type": "array"}),
        Kind::Map => json!({"type": "object"}),
        Kind::Enum => {
            let mut values: Vec<Json> = decl.values.iter().map(|v| Json::from(v.as_str())).collect();
            values.extend(decl.values.iter().filter_map(|v| v.parse::<i64>().ok()).map(Json::from));
            json!({"enum": values})
        }
        Kind::IpList => {
            let octet = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
            let v4 = format!("{octet}(\\.{octet}){{3}}(/([12]?[0-9]|3[0-2]))?");
            let one = format!("({v4}|[0-9a-fA-F]*:[0-9a-fA-F:.]+(/[0-9]{{1,3}})?)");
            json!({
                "anyOf": [
                    {"type": "string", "pattern": format!("^\\s*{one}\\s*(,\\s*{one}\\s*)*$")},
                    {"type": "array", "items": {"type": "string", "pattern": format!("^\\s*{one}\\s*$")}},
                ],
            })
        }
        Kind::Base64 => json!({"type": "string", "pattern": "^[A-Za-z0-9+/\\s]+=*\\s*$"}),
    }
}

/// What the vendor's document leaves for the reader to fill in: `< IP >`.
const PLACEHOLDER: &str = "< .* >|^\\s*<.*>\\s*$";

/// A boolean, or one of the words Ansible takes for one.
fn boolean() -> Json {
    let words = ["true", "false", "yes", "no", "on", "off", "1", "0", "y", "n", "t", "f"];
    // Expressions of JSON Schema have no flag for upper and lower case.
    let any_case = |word: &str| -> String {
        let letter = |c: char| match c.is_ascii_alphabetic() {
            true => format!("[{}{c}]", c.to_ascii_uppercase()),
            false => c.to_string(),
        };
        word.chars().map(letter).collect()
    };
    let words: Vec<String> = words.iter().map(|word| any_case(word)).collect();
    let pattern = format!("^\\s*({})\\s*$", words.join("|"));
    json!({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": pattern}]})
}
