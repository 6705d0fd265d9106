//! How the operator wants to see a run, and what the terminal can show.

use std::env;
use std::io::IsTerminal;
use std::path::PathBuf;

use console::Term;

/// What goes to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, PLAY RECAP last.
    #[default]
    Text,
    /// One document when the run has ended.
    Json,
    /// One line for each event as it happens.
    Jsonl,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or the terminal is dumb.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// How the operator wants to see a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--format`.
    pub format: Format,
    /// `--color`.
    pub color: Color,
    /// Number of `-v`: 1 shows what was in order or skipped, 2 also output and starts.
    pub verbosity: u8,
    /// `-D`: fields under a changed task. A plan shows them anyway.
    pub diff: bool,
    /// `--timings`: at the end, round trips to each host and how long each part took.
    pub timings: bool,
    /// Progress bars: `None` when the terminal decides.
    pub progress: Option<bool>,
    /// Where the full log goes; `None` writes none.
    pub log: Option<PathBuf>,
}

/// What standard output and standard error are.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// Standard output is a terminal.
    pub out: bool,
    /// Standard error is a terminal.
    pub err: bool,
    /// Its width, if known.
    pub columns: Option<usize>,
    /// Its height, if known.
    pub rows: Option<usize>,
    /// `NO_COLOR` is set, or the terminal knows no colours.
    pub plain: bool,
    /// It cannot move its cursor.
    pub dumb: bool,
}

impl Terminal {
    /// Looks at this process.
    pub fn detect() -> Terminal {
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let size = if out { Term::stdout().size_checked() } else { Term::stderr().size_checked() };
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Terminal {
            out,
            err,
            columns: size.map(|(_, columns)| columns.into()),
            rows: size.map(|(rows, _)| rows.into()),
            plain: no_color || dumb,
            dumb,
        }
    }

    /// Width of a banner, as Ansible computes it: 79 into a pipe.
    pub(crate) fn banner_columns(&self) -> usize {
        let columns = self.columns.filter(|_| self.out).unwrap_or(0);
        columns.saturating_sub(1).max(79)
    }
}

impl Color {
    /// Whether a stream gets colours.
    pub(crate) fn on(self, is_terminal: bool, terminal: &Terminal) -> bool {
        match self {
            Color::Auto => is_terminal && !terminal.plain,
            Color::Always => true,
            Color::Never => false,
        }
    }
}
