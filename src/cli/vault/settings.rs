//! Ansible's settings for vaults, from its environment variables.

use std::path::{Path, PathBuf};

/// What is set beside the flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `ANSIBLE_VAULT_IDENTITY_LIST`: as `--vault-id`, before those.
    pub identity_list: Vec<String>,
    /// `ANSIBLE_VAULT_PASSWORD_FILE`: as `--vault-password-file`, after those.
    pub password_file: Option<PathBuf>,
    /// `ANSIBLE_VAULT_IDENTITY`: the id of passwords given without one; `default`.
    pub identity: String,
    /// `ANSIBLE_VAULT_ID_MATCH`: try only passwords of the id in a vault's header.
    pub id_match: bool,
    /// `ANSIBLE_VAULT_ENCRYPT_IDENTITY`: as `--encrypt-vault-id`.
    pub encrypt_identity: Option<String>,
    /// `ANSIBLE_ASK_VAULT_PASS`: as `--ask-vault-pass`.
    pub ask: bool,
}

impl Settings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| get(name).filter(|value| !value.is_empty());
        let flag = |name: &str| {
            let on = ["1", "t", "true", "y", "yes", "on"];
            text(name).is_some_and(|value| on.contains(&value.trim().to_ascii_lowercase().as_str()))
        };
        let list = text("ANSIBLE_VAULT_IDENTITY_LIST").unwrap_or_default();
        Settings {
            identity_list: list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
            password_file: text("ANSIBLE_VAULT_PASSWORD_FILE").map(PathBuf::from),
            identity: text("ANSIBLE_VAULT_IDENTITY").unwrap_or_else(|| reemo_model::vault::DEFAULT_LABEL.to_owned()),
            id_match: flag("ANSIBLE_VAULT_ID_MATCH"),
            encrypt_identity: text("ANSIBLE_VAULT_ENCRYPT_IDENTITY"),
            ask: flag("ANSIBLE_ASK_VAULT_PASS"),
        }
    }
}

/// A path as Ansible reads it: `~` is the home directory, `$NAME` an environment variable.
pub fn expanded(path: &Path) -> PathBuf {
    expand(&path.to_string_lossy(), |name| std::env::var(name).ok())
}

fn expand(text: &str, get: impl Fn(&str) -> Option<String>) -> PathBuf {
    let home = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let text = match home.and_then(|rest| Some(format!("{}{rest}", get("HOME")?))) {
        Some(text) => text,
        None => text.to_owned(),
    };
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, next) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, next)) => (name, next),
            None => after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len())),
        };
        match get(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            // As Python: what is not set stays as it is written.
            None => out.push_str(&rest[at..rest.len() - next.len()]),
        }
        rest = next;
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/me".into()),
            "A_1" => Some("x".into()),
            "ANSIBLE_VAULT_IDENTITY_LIST" => Some("dev@a, prod@prompt,".into()),
            "ANSIBLE_VAULT_ID_MATCH" => Some("True".into()),
            _ => None,
        }
    }

    #[test]
    fn from_the_environment() {
        let settings = Settings::read(known);
        assert_eq!(settings.identity_list, ["dev@a", "prod@prompt"]);
        assert!(settings.id_match && !settings.ask);
        assert_eq!(settings.identity, "default");
    }

    #[test]
    fn paths() {
        for (text, expected) in [
            ("~/f", "/home/me/f"),
            ("~", "/home/me"),
            ("~you/f", "~you/f"),
            ("a/$A_1.y", "a/x.y"),
            ("${A_1}b$NO/$", "xb$NO/$"),
            ("${NO}", "${NO}"),
        ] {
            assert_eq!(expand(text, known), PathBuf::from(expected), "{text}");
        }
    }
}
