//! `docs/variables.md`: the page of all variables, made from the declarations.

use indexmap::IndexMap;

use super::{Declarations, Kind, VariableDecl};
use crate::catalogue::Catalogue;

const HEAD: &str = include_str!("page/head.md");
const TAIL: &str = include_str!("page/tail.md");

/// The page. `without_effect` names the variables that are read and do nothing yet.
pub fn page(catalogue: &Catalogue, declarations: &Declarations, without_effect: &[&str]) -> String {
    let mut files: IndexMap<&str, Vec<&VariableDecl>> = IndexMap::new();
    files.insert("platform.yml", Vec::new());
    for decl in declarations.iter() {
        let file = catalogue.declared_in.get(&decl.name).map_or("platform.yml", String::as_str);
        files.entry(file).or_default().push(decl);
    }
    let mut out = HEAD.replace("{{count}}", &declarations.iter().count().to_string());
    for (file, decls) in files {
        let about = match catalogue.roles.get(file.trim_end_matches(".yml")) {
            Some(role) => role.doc.as_str(),
            None => "What belongs to no single service",
        };
        out += &format!("\n## `roles/{file}`\n\n{about}.\n\n");
        out += "| variable | type | default | where | since | secret | meaning |\n|---|---|---|---|---|---|---|\n";
        for decl in decls {
            let effect = if without_effect.contains(&decl.name.as_str()) { " *No effect.*" } else { "" };
            out += &format!(
                "| `{}` | {} | {} | {} | {} | {} | {}{effect} |\n",
                decl.name,
                kind(decl),
                default(decl),
                decl.scope.word(),
                decl.since.as_deref().unwrap_or("–"),
                if decl.secret { "yes" } else { "" },
                decl.doc.replace('|', "\\|"),
            );
        }
    }
    out + "\n" + TAIL
}

fn kind(decl: &VariableDecl) -> String {
    match decl.kind {
        Kind::Enum if decl.values.iter().any(|v| v == "local7") => "facility".to_owned(),
        Kind::Enum => {
            let words: Vec<String> = decl.values.iter().map(|v| format!("`{v}`")).collect();
            format!("one of {}", words.join(", "))
        }
        Kind::IpList => "addresses".to_owned(),
        kind => kind.word().to_owned(),
    }
}

fn default(decl: &VariableDecl) -> String {
    match &decl.default {
        _ if decl.required && !decl.environments.is_empty() => {
            let needing: Vec<&str> = decl.environments.iter().map(|e| e.word()).collect();
            format!("**required** ({})", needing.join(", "))
        }
        _ if decl.required => "**required**".to_owned(),
        None => "–".to_owned(),
        Some(serde_json::Value::String(text)) => format!("`{text}`"),
        Some(serde_json::Value::Object(map)) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
            format!("`{{{}}}`", pairs.join(", "))
        }
        Some(other) => format!("`{other}`"),
    }
}
