//! Inventory scripts: what they print for `--list`.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Inventory, Loaded, Sources, Var};
use crate::diag::{Diagnostic, Place, Span};
use crate::yaml::Node;

/// An executable file is run when the kernel could run it; the bit alone (from a Windows share, or set on
/// everything) makes no script.
pub(super) fn wanted(bytes: &[u8]) -> bool {
    bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF")
}

/// Runs the script and adds what it prints.
pub(super) fn read(out: &mut Loaded, sources: &dyn Sources, path: &Path, source: &Arc<Path>) {
    let file: Arc<Path> = Arc::from(path);
    let fail = |message: String| {
        Diagnostic::error("inventory-script", message)
            .at(Place::file(path))
            .help("a script must print a JSON mapping of groups when run with `--list`")
    };
    let json = sources
        .run(path, &["--list"])
        .map_err(|e| format!("the inventory script `{}` failed: {}", path.display(), e.message))
        .and_then(|bytes| {
            serde_json::from_slice::<Json>(&bytes)
                .map_err(|e| format!("the inventory script `{}` printed no JSON: {e}", path.display()))
        });
    let groups = match json {
        Ok(Json::Object(groups)) => groups,
        Ok(_) => {
            return out.diagnostics.push(fail("the inventory script printed no mapping".into()));
        }
        Err(message) => return out.diagnostics.push(fail(message)),
    };
    let mut script =
        Script { inventory: &mut out.inventory, file: &file, source, hosts: Vec::new(), problems: Vec::new() };
    for (name, data) in groups.iter().filter(|(name, _)| *name != "_meta") {
        script.group(name, data);
    }
    let meta = groups.get("_meta").and_then(|m| m.get("hostvars"));
    let hosts = std::mem::take(&mut script.hosts);
    for host in hosts {
        let vars = match meta {
            Some(vars) => vars.get(&host).cloned(),
            None => match sources.run(path, &["--host", &host]) {
                Ok(bytes) if bytes.trim_ascii().is_empty() => None,
                Ok(bytes) => serde_json::from_slice::<Json>(&bytes)
                    .map_err(|e| {
                        script.problems.push(format!("the inventory script printed no JSON for `--host {host}`: {e}"))
                    })
                    .ok(),
                Err(error) => {
                    script.problems.push(format!("the inventory script failed for `--host {host}`: {}", error.message));
                    None
                }
            },
        };
        for (key, value) in vars.as_ref().and_then(Json::as_object).into_iter().flatten() {
            let var = script.var(value);
            let mut diagnostics = crate::diag::Diagnostics::new();
            script.inventory.set_host_var(&host, key.clone(), var, &mut diagnostics);
            script.problems.extend(diagnostics.iter().map(|d| d.message.clone()));
        }
    }
    let problems = script.problems;
    for problem in problems {
        out.diagnostics.push(fail(problem));
    }
}

struct Script<'a> {
    inventory: &'a mut Inventory,
    file: &'a Arc<Path>,
    source: &'a Arc<Path>,
    hosts: Vec<String>,
    problems: Vec<String>,
}

impl Script<'_> {
    fn var(&self, value: &Json) -> Var {
        Var {
            value: Node::from_json(value, Span::default()).unmarked(),
            file: Arc::clone(self.file),
            key: Span::default(),
            beaten: Vec::new(),
        }
    }

    fn group(&mut self, name: &str, data: &Json) {
        let place = Place::file(self.file);
        self.inventory.add_group(name, Some(place.clone()));
        let empty = Map::new();
        let (hosts, vars, children) = match data {
            Json::Object(map) if ["hosts", "vars", "children"].iter().any(|k| map.contains_key(*k)) => (
                map.get("hosts").cloned(),
                map.get("vars").and_then(Json::as_object).unwrap_or(&empty),
                map.get("children"),
            ),
            // A mapping of something else is a host named like the group, with these variables.
            Json::Object(map) => (Some(Json::from(vec![name])), map, None),
            other => (Some(other.clone()), &empty, None),
        };
        match hosts {
            Some(Json::Array(hosts)) => {
                for host in hosts.iter().filter_map(Json::as_str) {
                    self.inventory.add_host(host, name, &place, Some(self.source));
                    if !self.hosts.iter().any(|h| h == host) {
                        self.hosts.push(host.to_owned());
                    }
                }
            }
            Some(_) => self.problems.push(format!("`{name}.hosts` printed by the inventory script is no list")),
            None => {}
        }
        for (key, value) in vars {
            let var = self.var(value);
            let mut diagnostics = crate::diag::Diagnostics::new();
            self.inventory.set_group_var(name, key.clone(), var, &mut diagnostics);
            self.problems.extend(diagnostics.iter().map(|d| d.message.clone()));
        }
        for child in children.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            self.inventory.add_group(child, Some(place.clone()));
            if let Err(error) = self.inventory.add_child(name, child, Some(place.clone())) {
                self.problems.push(error.message);
            }
        }
    }
}
