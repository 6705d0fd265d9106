//! Directories.

use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::Op;

use super::change::{field, octal, refused, unseen, verdict};
use super::observation::HostObservation;
use super::path;
use super::stat::{FileState, Kind, Stat};

/// A directory with its owner and mode. What is in it is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Permission bits, as in `0o750`.
    pub mode: u32,
    /// `user:group`, names or numbers.
    pub owner: String,
}

impl Directory {
    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        if let Some(why) = path::problem(&self.path) {
            return refused(format!("{}: {why}", self.path), "correct the path where it is declared");
        }
        let stat = match seen.files.get(&self.path) {
            Err(why) => return unseen(&self.path, why),
            Ok(FileState::Hidden) => return unseen(&self.path, "the login may not look there"),
            Ok(FileState::Absent { .. }) => return self.create(),
            Ok(FileState::There(stat)) => stat,
        };
        // A link to a directory serves: sites put data on another volume that way.
        if !matches!(stat.kind, Kind::Directory | Kind::LinkToDirectory) {
            return refused(
                format!("{} is there and is no directory", self.path),
                format!("move {} away, then run again", self.path),
            );
        }
        let fields = access_fields(stat, self.mode, &self.owner);
        if fields.is_empty() {
            return Verdict::Unchanged;
        }
        let op = Op::SetMode { path: self.path.clone(), mode: self.mode, owner: self.owner.clone() };
        verdict(Action::Update, fields, vec![op])
    }

    fn create(&self) -> Verdict {
        let fields = vec![
            FieldDiff::new("mode", None, Some(octal(self.mode))),
            FieldDiff::new("owner", None, Some(self.owner.clone())),
        ];
        let op = Op::MakeDir { path: self.path.clone(), mode: self.mode, owner: self.owner.clone() };
        verdict(Action::Create, fields, vec![op])
    }
}

/// Mode and owner where they differ.
pub(super) fn access_fields(stat: &Stat, mode: u32, owner: &str) -> Vec<FieldDiff> {
    let mut fields = Vec::new();
    if stat.mode != mode {
        fields.push(field("mode", octal(stat.mode), octal(mode)));
    }
    if !stat.is_owned_by(owner) {
        fields.push(field("owner", stat.owner_like(owner), owner));
    }
    fields
}
