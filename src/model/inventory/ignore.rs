//! Names in an inventory directory that Ansible passes over.

use regex::Regex;

/// Endings Ansible passes over when nothing is configured.
const ENDINGS: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// `inventory_ignore_extensions` and `inventory_ignore_patterns` of `ansible.cfg`.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    /// Endings; `None`: Ansible's own list, which a list given here replaces.
    pub extensions: Option<Vec<String>>,
    /// Expressions, found anywhere in a name. Those that are not valid match nothing.
    pub patterns: Vec<String>,
}

impl Ignore {
    /// Says which names are passed over.
    pub(super) fn rule(&self) -> impl Fn(&str) -> bool {
        let patterns: Vec<Regex> = self.patterns.iter().filter_map(|p| Regex::new(p).ok()).collect();
        let endings = match &self.extensions {
            Some(given) => given.clone(),
            None => ENDINGS.map(str::to_owned).to_vec(),
        };
        move |name: &str| {
            name.starts_with('.')
                || matches!(name, "host_vars" | "group_vars" | "vars_plugins")
                || endings.iter().any(|end| name.ends_with(end.as_str()))
                || patterns.iter().any(|pattern| pattern.is_match(name))
        }
    }
}
