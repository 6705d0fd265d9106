//! What the operator needs when it went wrong, in one place.

use std::path::Path;

use crate::clean::printable;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Table};

/// The block at the end of a failed run.
pub(crate) struct Failure<'a> {
    pub cause: &'a str,
    pub last_lines: &'a [String],
    pub serving: &'a str,
    pub next: &'a str,
    pub log: Option<&'a Path>,
}

impl Failure<'_> {
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut lines = vec![String::new(), paint.paint(Tone::Failed, &format!("FAILED: {}", printable(self.cause)))];
        if !self.last_lines.is_empty() {
            lines.push("  last lines:".to_owned());
            lines.extend(self.last_lines.iter().map(|line| format!("    | {}", printable(line))));
        }
        let log = self.log.map(|path| path.display().to_string()).unwrap_or_default();
        for (name, text) in [("still serving", self.serving), ("next", self.next), ("full log", log.as_str())] {
            if !text.is_empty() {
                lines.push(format!("  {:<14} {}", format!("{name}:"), printable(text)));
            }
        }
        lines.join("\n")
    }
}

/// A host that cannot be reached.
pub(crate) struct Gone {
    pub host: String,
    pub address: String,
    pub cause: String,
    pub hint: String,
}

/// All of them, before the first change.
pub(crate) fn unreachable_table(gone: &[Gone], paint: Paint) -> String {
    let mut table = Table::new(["UNREACHABLE", "ADDRESS", "CAUSE", "WHAT TO DO"]);
    for host in gone {
        let name = Cell::new(&host.host).tone(Tone::Unreachable);
        table.row([name, Cell::new(&host.address), Cell::new(&host.cause), Cell::new(&host.hint)]);
    }
    table.render(paint)
}
