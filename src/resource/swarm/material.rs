//! Swarm secrets and configs: immutable while in use, so each content has a name of its own.

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op};
use reemo_model::secret::Blob;
use serde_json::json;

use super::MANAGED;
use super::observed::SwarmObservation;

/// One file delivered to one service.
#[derive(Clone, Debug)]
pub struct Material {
    /// Full name: `<service>.<target>.<keyed hash of the content>`, at most 64 characters.
    pub name: String,
    /// The service that gets it.
    pub service: String,
    /// File name under `/run/secrets`, or absolute path.
    pub target: String,
    /// Content.
    pub data: Blob,
    /// Permission bits in the container.
    pub mode: u32,
}

impl Material {
    /// Names the content. `hash` is keyed (a plain hash of a password could be guessed), at least 12
    /// hexadecimal digits.
    pub fn new(service: &str, target: &str, data: Blob, mode: u32, hash: &str) -> Self {
        let leaf = target.rsplit('/').next().unwrap_or(target);
        let hash = &hash[..hash.len().min(12)];
        let room = 64 - hash.len() - 1;
        let mut base = format!("{service}.{leaf}");
        base.retain(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        base.truncate(room);
        Material { name: format!("{base}.{hash}"), service: service.to_owned(), target: target.to_owned(), data, mode }
    }

    /// True for a secret, false for a config.
    pub fn is_secret(&self) -> bool {
        self.data.is_secret()
    }

    /// For people: without the hash.
    pub fn title(&self) -> String {
        let kind = if self.is_secret() { "secret" } else { "config" };
        format!("{kind} {} of {}", self.target, self.service)
    }

    /// Creates it if it is not there; it can never differ.
    pub fn diff(&self, there: &SwarmObservation) -> Verdict {
        let (found, older) = if self.is_secret() {
            (there.secret(&self.name).is_some(), older(&there.secrets, &self.name))
        } else {
            (there.config(&self.name).is_some(), older(&there.configs, &self.name))
        };
        if found {
            return Verdict::Unchanged;
        }
        let labels = json!({MANAGED: "true", "io.reemo.service": self.service, "io.reemo.target": self.target});
        let op = match &self.data {
            Blob::Secret(data) => DockerOp::SecretCreate { name: self.name.clone(), labels, data: data.clone() },
            data => DockerOp::ConfigCreate { name: self.name.clone(), labels, data: data.clone() },
        };
        let action = if older { Action::Update } else { Action::Create };
        let shown = if self.is_secret() { reemo_model::secret::PLACEHOLDER.to_owned() } else { self.name.clone() };
        let was = older.then(|| "another content".to_owned());
        Verdict::Change(Change {
            action,
            fields: vec![FieldDiff::new("content", was, Some(shown))],
            ops: vec![Op::Docker(op)],
        })
    }
}

/// Another content under the same base name is there.
fn older(list: &[serde_json::Value], name: &str) -> bool {
    let Some((base, _)) = name.rsplit_once('.') else {
        return false;
    };
    list.iter()
        .map(|v| super::observed::text(v, &["Spec", "Name"]))
        .any(|n| n.rsplit_once('.').is_some_and(|(b, _)| b == base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_hold_only_what_swarm_takes() {
        let m = Material::new(
            "reemo_prorelayapi",
            "/etc/some/really/long_directory/file name.cfg",
            "x".into(),
            0o444,
            "0123456789abcdef",
        );
        assert_eq!(m.name, "reemo_prorelayapi.filename.cfg.0123456789ab");
        let long = Material::new(&"s".repeat(80), "t", "x".into(), 0o444, "0123456789abcdef");
        assert_eq!(long.name.len(), 64);
    }

    #[test]
    fn a_new_content_is_a_new_object() {
        let m = Material::new("s", "t", "x".into(), 0o444, "aaaaaaaaaaaa");
        let mut there = SwarmObservation::default();
        assert!(matches!(m.diff(&there), Verdict::Change(Change { action: Action::Create, .. })));
        there.configs.push(json!({"Spec": {"Name": "s.t.bbbbbbbbbbbb"}}));
        assert!(matches!(m.diff(&there), Verdict::Change(Change { action: Action::Update, .. })));
        there.configs.push(json!({"Spec": {"Name": "s.t.aaaaaaaaaaaa"}}));
        assert!(m.diff(&there).is_unchanged());
    }
}
