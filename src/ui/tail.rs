//! The last lines of what a task prints, kept for the moment it fails.

use std::collections::VecDeque;

/// Lines kept.
pub(crate) const KEPT: usize = 20;
/// Characters kept of one line.
const LONGEST: usize = 400;

/// The last lines of output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(VecDeque<String>);

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(short(line, LONGEST));
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }
}

/// The text cut to so many characters, with a sign that it was.
pub(crate) fn short(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
