//! Small builders of verdicts, so that all resources say the same thing in the same words.

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::Op;

/// A difference, or none if there are no ops.
pub(super) fn verdict(action: Action, fields: Vec<FieldDiff>, ops: Vec<Op>) -> Verdict {
    if ops.is_empty() {
        return Verdict::Unchanged;
    }
    Verdict::Change(Change { action, fields, ops })
}

/// The observation has no answer for it.
pub(super) fn unseen(what: &str, why: &str) -> Verdict {
    Verdict::Unknown { until: format!("{what} can be observed ({why})") }
}

pub(super) fn refused(why: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Verdict::Refused { why: why.into(), hint: hint.into() }
}

/// A field where both sides are something.
pub(super) fn field(name: impl Into<String>, was: impl Into<String>, wanted: impl Into<String>) -> FieldDiff {
    FieldDiff::new(name, Some(was.into()), Some(wanted.into()))
}

/// Permission bits as people write them.
pub(super) fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}
