//! What a check says to whoever supervises: Nagios' four words, and their exit codes.

use std::fmt;

/// How bad it is, the worst last but for what nobody knows; the numbers are the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nagios {
    /// As it should be.
    Ok = 0,
    /// Something is to be seen to.
    Warning = 1,
    /// Something does not work.
    Critical = 2,
    /// It could not be found out.
    Unknown = 3,
}

impl Nagios {
    /// Its word in the line that is printed.
    pub fn word(self) -> &'static str {
        match self {
            Nagios::Ok => "OK",
            Nagios::Warning => "WARNING",
            Nagios::Critical => "CRITICAL",
            Nagios::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for Nagios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
