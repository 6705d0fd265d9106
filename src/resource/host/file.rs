//! Whole files.

use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::{Exec, Op, WriteFile};
use reemo_model::secret::Blob;

use super::change::{octal, refused, unseen, verdict};
use super::directory::access_fields;
use super::observation::HostObservation;
use super::path;
use super::stat::{Ask, Asks, FileState, Kind, Stat};
use super::text::{self, Seen, content_field, sha256};

/// A file that is to be as stated, or not to be.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// What is to be there.
    pub wanted: Wanted,
}

/// What is to be at the path of a [`File`].
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// A file.
    Present {
        /// Its content.
        content: Blob,
        /// Permission bits, as in `0o644`.
        mode: u32,
        /// `user:group`, names or numbers.
        owner: String,
    },
    /// Nothing.
    Absent,
}

impl File {
    pub(super) fn title(&self) -> String {
        match self.wanted {
            Wanted::Present { .. } => format!("write {}", self.path),
            Wanted::Absent => format!("remove {}", self.path),
        }
    }

    /// The content is asked for only where it may be shown and differs: the checksum of a secret is
    /// not even sent to the host.
    pub(super) fn ask(&self, asks: &mut Asks) {
        let ask = match &self.wanted {
            Wanted::Present { content: Blob::Plain(bytes), .. } => Ask::ContentUnless(sha256(bytes)),
            _ => Ask::Stat,
        };
        asks.add(&self.path, ask);
    }

    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        if let Some(why) = path::problem(&self.path) {
            return refused(format!("{}: {why}", self.path), "correct the path where it is declared");
        }
        let state = match seen.files.get(&self.path) {
            Err(why) => return unseen(&self.path, why),
            Ok(FileState::Hidden) => return unseen(&self.path, "the login may not look there"),
            Ok(state) => state,
        };
        match (&self.wanted, state) {
            (Wanted::Absent, FileState::There(stat)) => self.remove(stat),
            (Wanted::Absent, _) => Verdict::Unchanged,
            (Wanted::Present { content, mode, owner }, FileState::There(stat)) => {
                self.update(stat, content, *mode, owner)
            }
            (Wanted::Present { content, mode, owner }, FileState::Absent { ancestor }) => {
                self.create(ancestor, content, *mode, owner)
            }
            (Wanted::Present { .. }, FileState::Hidden) => unseen(&self.path, "the login may not look there"),
        }
    }

    fn remove(&self, stat: &Stat) -> Verdict {
        if !matches!(stat.kind, Kind::File | Kind::Link) {
            return not_a_file(&self.path);
        }
        let fields = vec![FieldDiff::new("file", Some(format!("{} bytes", stat.size)), None)];
        verdict(Action::Remove, fields, vec![Op::RemoveFile { path: self.path.clone() }])
    }

    fn create(&self, ancestor: &str, content: &Blob, mode: u32, owner: &str) -> Verdict {
        let fields = vec![
            content_field(&self.path, None, content),
            FieldDiff::new("mode", None, Some(octal(mode))),
            FieldDiff::new("owner", None, Some(owner.to_owned())),
        ];
        let mut ops = parent_ops(&self.path, ancestor);
        ops.push(Op::WriteFile(WriteFile {
            path: self.path.clone(),
            content: content.clone(),
            mode,
            owner: owner.to_owned(),
            expect: text::expect(None),
        }));
        verdict(Action::Create, fields, ops)
    }

    fn update(&self, stat: &Stat, content: &Blob, mode: u32, owner: &str) -> Verdict {
        if stat.kind != Kind::File {
            return not_a_file(&self.path);
        }
        let Some(sha) = stat.sha256.as_deref() else {
            return unseen(&self.path, "the login may not read it, or it is changing");
        };
        let mut fields = access_fields(stat, mode, owner);
        let op = if sha == sha256(content.bytes()) {
            if fields.is_empty() {
                return Verdict::Unchanged;
            }
            Op::SetMode { path: self.path.clone(), mode, owner: owner.to_owned() }
        } else {
            let seen = Seen { size: stat.size, sha256: sha, content: stat.content.as_deref() };
            fields.insert(0, content_field(&self.path, Some(seen), content));
            Op::WriteFile(WriteFile {
                path: self.path.clone(),
                content: content.clone(),
                mode,
                owner: owner.to_owned(),
                expect: text::expect(Some(sha)),
            })
        };
        verdict(Action::Update, fields, vec![op])
    }
}

/// Makes the directory a new file goes into, if it is missing. One that has come into being since,
/// from another resource, keeps its owner and mode.
pub(super) fn parent_ops(path: &str, ancestor: &str) -> Vec<Op> {
    let parent = path::parent(path);
    if parent == ancestor {
        return Vec::new();
    }
    vec![Op::Exec(Exec::new(["mkdir", "-p", "-m", "0755", "--", parent]).timeout(30))]
}

/// Links too: what is behind one belongs to whoever made it.
pub(super) fn not_a_file(path: &str) -> Verdict {
    refused(
        format!("{path} is there and is not a regular file"),
        format!("look at it (ls -ld {path}); replace it by a file, or move it away"),
    )
}
