//! `explain HOST VAR`: the value, where it comes from, and every definition it beat, in order.

use std::sync::Arc;

use reemo_model::declare::{Kind, VariableDecl};
use reemo_model::diag::{Diagnostics, nearest, nearest_within, sounds_secret};
use reemo_model::inventory::Inventory;
use reemo_model::secret::{PLACEHOLDER, Secret};
use reemo_model::template::{Engine, Scope};
use reemo_model::vars::{Definition, Layer, Vars};
use reemo_model::yaml::{Node, Value};
use serde_json::{Value as Json, json};

use super::args::{ExplainArgs, Format, OutputArgs};
use super::load::{self, Read};
use super::lookup::Outside;
use super::output;
use super::prepare::Exit;

/// Runs it.
pub fn run(args: &ExplainArgs) -> Result<u8, Exit> {
    let mut diagnostics = Diagnostics::new();
    let read = load::read(&args.inventory, &mut diagnostics)?;
    diagnostics.sort();
    diagnostics.attach(&read.texts);
    let unread = diagnostics.errors().any(|d| !d.strict);
    if unread {
        return Err(Exit::invalid(diagnostics.render()));
    }
    let mut printer = output::printer(&OutputArgs::default());
    for problem in diagnostics.iter() {
        printer.note(&problem.render());
    }
    let (host, name) = (args.host.as_str(), args.variable.as_str());
    if read.vars.inventory().host(host).is_none() {
        return Err(no_host(read.vars.inventory(), host));
    }
    let definitions = read.vars.explain(host, name);
    let declaration = read.declarations.get(name);
    if definitions.is_empty() && declaration.is_none() {
        return Err(no_variable(&read, host, name));
    }
    let outside = Arc::new(Outside::new(&args.inventory.inventory, args.inventory.allow_pipe, read.vars.vault()));
    let engine = Engine::in_world(outside, |_| {});
    let scope = Scope::new(&engine, read.vars.of_host(host));
    protect(&read.vars, &scope, host);
    let secret = is_secret(&read.vars, name) || definitions.iter().any(|d| matches!(d.value.value, Value::Vault(_)));
    let value = match definitions.is_empty() || secret {
        true => Ok(None),
        false => scope.get_json(name),
    };
    let found = Found { host, name, secret, definitions: &definitions, declaration };
    let text = match args.output.format {
        Format::Text => found.text(value.as_ref().ok().and_then(Option::as_ref)),
        Format::Json | Format::Jsonl => {
            let json = found.json(value.as_ref().ok().and_then(Option::as_ref));
            match args.output.format {
                Format::Json => serde_json::to_string_pretty(&json).unwrap_or_default(),
                _ => json.to_string(),
            }
        }
    };
    printer.print(&text);
    let Err(error) = value else { return Ok(0) };
    let mut diagnostic = error.to_diagnostic();
    diagnostic.place = diagnostic.place.or_else(|| definitions.first().and_then(|d| d.place.clone()));
    let mut diagnostics = Diagnostics::from(diagnostic);
    diagnostics.attach(&read.texts);
    Err(Exit::invalid(diagnostics.render()))
}

/// There is no such host; what may have been meant.
pub fn no_host(inventory: &Inventory, host: &str) -> Exit {
    let hint = if inventory.group(host).is_some() {
        let hosts = inventory.hosts_of(host);
        format!("`{host}` is a group; its hosts are: {}", several(&hosts))
    } else {
        let names: Vec<&str> = inventory.hosts.keys().map(String::as_str).collect();
        let longer = || nearest_within(host, names.iter().copied(), (host.len() / 3).max(2));
        match nearest(host, names.iter().copied()).or_else(longer) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "the inventory has no host".to_owned(),
            None => format!("its hosts are: {}", several(&names)),
        }
    };
    Exit { hint, ..Exit::usage(format!("there is no host `{host}` in this inventory")) }
}

/// Says which groups there are, when one is named that is not.
pub fn no_group(inventory: &Inventory, group: &str) -> Exit {
    let names: Vec<&str> = inventory.groups.keys().map(String::as_str).collect();
    let hint = match nearest(group, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its groups are: {}", several(&names)),
    };
    Exit { hint, ..Exit::usage(format!("there is no group `{group}` in this inventory")) }
}

fn several(names: &[&str]) -> String {
    const MOST: usize = 10;
    let shown: Vec<&str> = names.iter().take(MOST).copied().collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

fn no_variable(read: &Read, host: &str, name: &str) -> Exit {
    let mut names = read.vars.names(host);
    names.extend(read.declarations.names().map(str::to_owned));
    let near = |limit| nearest_within(name, names.iter().map(String::as_str), limit);
    let hint = match near(2).or_else(|| near((name.len() / 3).max(2))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`inventory --host HOST` prints all that is set, `docs variables` all that can be set".to_owned(),
    };
    Exit { hint, ..Exit::usage(format!("no variable `{name}` is set for `{host}`, and no role declares it")) }
}

fn is_secret(vars: &Vars, name: &str) -> bool {
    vars.is_secret(name) || sounds_secret(name)
}

/// Enters every secret of the host into the register: another variable may be made from it.
fn protect(vars: &Arc<Vars>, scope: &Scope, host: &str) {
    for name in vars.names(host).iter().filter(|name| is_secret(vars, name)) {
        for text in scope.get_json(name).ok().flatten().iter().flat_map(texts) {
            drop(Secret::new(text));
        }
    }
}

/// Every text in a value.
fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Number(number) => vec![number.to_string()],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(map) => map.values().flat_map(texts).collect(),
        Json::Null | Json::Bool(_) => Vec::new(),
    }
}

struct Found<'a> {
    host: &'a str,
    name: &'a str,
    secret: bool,
    /// The one that counts first.
    definitions: &'a [Definition],
    declaration: Option<&'a VariableDecl>,
}

impl Found<'_> {
    fn text(&self, value: Option<&Json>) -> String {
        let shown = match (self.definitions.is_empty(), self.secret, value) {
            (true, ..) => "not set, and it has no default".to_owned(),
            (_, true, _) => PLACEHOLDER.to_owned(),
            (_, _, Some(value)) => value.to_string(),
            (_, _, None) => "(cannot be computed)".to_owned(),
        };
        let mut lines = vec![format!("{} for {}: {shown}", self.name, self.host)];
        if let Some(decl) = self.declaration {
            let place = decl.place.as_ref().map(|p| format!(", declared at {p}")).unwrap_or_default();
            let kind = match decl.kind {
                Kind::Enum => format!("one of: {}", decl.values.join(", ")),
                kind => kind.words().to_owned(),
            };
            lines.push(format!("  {} ({kind}{place})", decl.doc));
        }
        let rows: Vec<[String; 3]> = self.definitions.iter().map(|d| [layer(d), place(d), self.written(d)]).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (layers, places) = (width(0), width(1));
        for (n, [layer, place, written]) in rows.iter().enumerate() {
            let word = if n == 0 { "counts" } else { "beaten" };
            lines.push(format!("  {word}  {layer:layers$}  {place:places$}  {written}").trim_end().to_owned());
        }
        lines.join("\n")
    }

    /// As it is written, on one line.
    fn written(&self, definition: &Definition) -> String {
        if self.secret {
            return PLACEHOLDER.to_owned();
        }
        reemo_model::diag::shorten(&self.plain(&definition.value).to_string(), 100).into_owned()
    }

    fn plain(&self, node: &Node) -> Json {
        match self.secret {
            true => Json::from(PLACEHOLDER),
            false => node.to_json(),
        }
    }

    fn json(&self, value: Option<&Json>) -> Json {
        let definitions: Vec<Json> = self
            .definitions
            .iter()
            .enumerate()
            .map(|(n, d)| {
                let place = d.place.as_ref();
                let line = place.map(|p| p.line).filter(|line| *line > 0);
                json!({
                    "counts": n == 0,
                    "layer": d.layer.describe(),
                    "file": place.map(|p| p.file.display().to_string()),
                    "line": line,
                    "column": line.and(place.map(|p| p.column)),
                    "written": self.plain(&d.value),
                })
            })
            .collect();
        let declaration = self.declaration.map(|decl| {
            json!({
                "type": decl.kind,
                "scope": decl.scope,
                "since": decl.since,
                "required": decl.required,
                "doc": decl.doc,
                "place": decl.place.as_ref().map(ToString::to_string),
            })
        });
        json!({
            "version": 1,
            "host": self.host,
            "variable": self.name,
            "set": !self.definitions.is_empty(),
            "secret": self.secret,
            "value": if self.secret { Some(Json::from(PLACEHOLDER)) } else { value.cloned() },
            "definitions": definitions,
            "declaration": declaration,
        })
    }
}

fn layer(definition: &Definition) -> String {
    definition.layer.describe()
}

fn place(definition: &Definition) -> String {
    match (&definition.place, &definition.layer) {
        (Some(place), _) => place.to_string(),
        (None, Layer::Magic) => "–".to_owned(),
        (None, _) => String::new(),
    }
}
