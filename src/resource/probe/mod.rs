//! Asking a host everything in one go.
//!
//! Every probe of a host travels in **one** POSIX-sh script, read from standard input by one `sh`.
//! The answers come back framed, so that a probe that hangs, floods or fails spoils no other, and so
//! that a banner or a cut connection is seen for what it is. Nothing is written to the host's disk:
//! answers are held in a shell variable, never in a file.

mod frame;
mod script;

use std::collections::BTreeMap;

pub use frame::{ProbeError, parse};
pub use script::script;

/// Answers of one host, by probe.
pub type ProbeOutputs = BTreeMap<String, ProbeOutput>;

/// One question to a host: read-only shell text with limits of its own.
///
/// The text is built from constants of this crate and from arguments quoted with
/// [`reemo_model::quote::sh_quote`], and from nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Short name, unique in a script: letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// What `sh -c` is given. Its standard input is empty, its standard error is dropped.
    pub sh: String,
    /// Killed after this many seconds, where the host has `timeout`. (busybox's ends the shell alone, so
    /// that a program the shell waits for is waited for.)
    pub limit_s: u32,
    /// More output than this many bytes (give or take two) is not sent back at all.
    pub cap: usize,
}

impl Probe {
    /// A probe with the usual limits: 10 seconds, 256 KiB.
    pub fn new(id: impl Into<String>, sh: impl Into<String>) -> Self {
        Probe { id: id.into(), sh: sh.into(), limit_s: 10, cap: 256 * 1024 }
    }
}

/// What one probe answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOutput {
    /// Exit code of its shell text; `None` when there was more output than its cap.
    pub code: Option<i32>,
    /// What it printed; empty when that was more than its cap.
    pub out: Vec<u8>,
}

impl ProbeOutput {
    /// The text it printed, or, in words, why there is none to go by.
    ///
    /// Every probe of this crate ends with `exit 0` when it has said all it had to say, so another
    /// code means that the answer may be incomplete.
    pub fn text(&self) -> Result<&str, String> {
        match self.code {
            None => Err("the answer was too long".to_owned()),
            // 124 and 137: coreutils' timeout after TERM and after KILL; 143: busybox's.
            Some(124 | 137 | 143) => Err("no answer within the time limit".to_owned()),
            Some(0) => std::str::from_utf8(&self.out).map_err(|_| "the answer is not UTF-8".to_owned()),
            Some(code) => Err(format!("the probe ended with exit code {code}")),
        }
    }
}
