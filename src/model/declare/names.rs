//! Names that look like ours and are not declared.

use std::collections::{BTreeMap, BTreeSet};

use super::Declarations;
use crate::diag::{Diagnostic, nearest_within};
use crate::inventory::Var;

/// Variables of this prefix are handed to the api as they are, so any is possible.
const PASSED_THROUGH: &str = "API_";

/// Says whether an undeclared name is a mistake.
pub(super) fn check(
    declarations: &Declarations,
    prefixes: &BTreeSet<String>,
    name: &str,
    var: &Var,
) -> Option<Diagnostic> {
    if declarations.get(name).is_some() {
        return None;
    }
    let near = nearest_within(name, declarations.names(), 2);
    let place = var.key_place();
    if name.starts_with(PASSED_THROUGH) {
        let near = near?;
        return Some(
            Diagnostic::warning(
                "variable-near",
                format!("`{name}` is passed to the api as it is, and is very near to `{near}`"),
            )
            .at(place)
            .label("not declared by any role")
            .help(format!("if you meant `{near}`, correct the name")),
        );
    }
    if !is_upper_case(name) {
        let same = declarations.names().find(|d| d.eq_ignore_ascii_case(name))?;
        return Some(
            Diagnostic::warning("variable-case", format!("`{name}` is not `{same}`: upper and lower case differ"))
                .at(place)
                .help(format!("write `{same}`")),
        );
    }
    let ours = prefixes.iter().find(|p| name.starts_with(p.as_str()));
    if near.is_none() && ours.is_none() {
        return None;
    }
    let mut out = Diagnostic::error("variable-unknown", format!("unknown variable `{name}`")).at(place);
    // Among names of the same family a suggestion may be further away.
    let near = near.or_else(|| {
        let prefix = ours?;
        let family = declarations.names().filter(|d| d.starts_with(prefix.as_str()));
        nearest_within(name, family, (name.len() / 2).max(4))
    });
    out.label = Some(match ours {
        Some(prefix) => format!("no role declares it, and names that begin with `{prefix}` are ours"),
        None => "no role declares it".to_owned(),
    });
    out.help = Some(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`docs` lists all variables; a variable of your own needs another name".to_owned(),
    });
    Some(out)
}

fn is_upper_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Prefixes that are ours: the first word of two declared names or more, or the first two words where
/// most of them share two (`DOCKER_VERSION_`, `SYSLOG_FACILITY_`).
pub(super) fn prefixes(declarations: &Declarations) -> BTreeSet<String> {
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in declarations.names() {
        if let Some((first, _)) = name.split_once('_') {
            families.entry(first).or_default().push(name);
        }
    }
    let mut out = BTreeSet::new();
    for (first, names) in families {
        if names.len() < 2 || first == "API" {
            continue;
        }
        let mut seconds: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            if let Some((second, _)) = name[first.len() + 1..].split_once('_') {
                *seconds.entry(second).or_default() += 1;
            }
        }
        match seconds.iter().max_by_key(|(_, count)| **count) {
            Some((second, count)) if *count >= 4 && count * 10 >= names.len() * 8 => {
                out.insert(format!("{first}_{second}_"));
            }
            _ => {
                out.insert(format!("{first}_"));
            }
        }
    }
    out
}
