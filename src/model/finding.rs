//! What a look around a platform found: the rows of `doctor`, and of an apply before its first change.

use serde::Serialize;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, and may not for ever.
    Warning,
    /// The platform cannot be installed so, or does not work.
    Problem,
}

impl State {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Unknown => "unknown",
            State::Warning => "warning",
            State::Problem => "problem",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `clock`, `ports`.
    pub check: &'static str,
    /// Host or cluster.
    pub of: String,
    /// How it is.
    pub state: State,
    /// What was found; empty for `ok`.
    pub found: String,
    /// What to do; empty for `ok`.
    pub remedy: String,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, of: &str) -> Finding {
        Finding { check, of: of.to_owned(), state: State::Ok, found: String::new(), remedy: String::new() }
    }

    /// Something is to be said.
    pub fn new(
        check: &'static str,
        of: &str,
        state: State,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { check, of: of.to_owned(), state, found: found.into(), remedy: remedy.into() }
    }
}
