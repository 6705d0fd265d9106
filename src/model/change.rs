//! What differs between what is wanted and what is there, and why.

use serde::Serialize;

use crate::op::Op;

/// What a diff of one resource came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// As wanted.
    Unchanged,
    /// Differs; the ops make it as wanted.
    Change(Change),
    /// Cannot be known before something else has happened (an image that is not pulled yet).
    Unknown {
        /// What has to happen first, in words.
        until: String,
    },
    /// Must not be changed by us: a safety gate.
    Refused {
        /// What is wrong, in words.
        why: String,
        /// What the operator can do.
        hint: String,
    },
}

impl Verdict {
    /// True for [`Verdict::Unchanged`].
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Verdict::Unchanged)
    }
}

/// One difference, with the ops that remove it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What kind of change.
    pub action: Action,
    /// Field by field, in a stable order.
    pub fields: Vec<FieldDiff>,
    /// What is done, in order.
    pub ops: Vec<Op>,
}

/// The sign shown before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `+` something that was not there.
    Create,
    /// `~` something that is there.
    Update,
    /// `-` something of ours that is no longer wanted.
    Remove,
    /// `!` something is done (a job run, a service restarted).
    Run,
}

/// One field that differs. Secret values are shown as `‹secret›` by whoever builds this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDiff {
    /// Dotted path, `env.API_LOG_LEVEL`.
    pub field: String,
    /// What is there; `None` when nothing is.
    pub was: Option<String>,
    /// What is wanted; `None` when nothing is.
    pub wanted: Option<String>,
    /// Unified diff, for the content of a text file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl FieldDiff {
    /// A field with both sides.
    pub fn new(field: impl Into<String>, was: Option<String>, wanted: Option<String>) -> Self {
        FieldDiff { field: field.into(), was, wanted, text: None }
    }
}
