//! PLAY RECAP, byte for byte as ansible-core prints it: scripts read these lines.

use std::collections::BTreeMap;

use reemo_model::event::{Counts, Trips};

use crate::paint::{Paint, Tone};
use crate::table::{Cell, Table};

/// The recap with its heading; hosts sorted.
pub fn recap(hosts: &BTreeMap<String, Counts>, columns: usize, paint: Paint) -> String {
    let mut text = banner("PLAY RECAP", columns) + "\n";
    for (host, counts) in hosts {
        text += &recap_line(host, counts, paint);
        text.push('\n');
    }
    text
}

/// A heading filled with stars: an empty line, the words, at least three stars.
pub(crate) fn banner(words: &str, columns: usize) -> String {
    let stars = columns.saturating_sub(console::measure_text_width(words)).max(3);
    format!("\n{words} {}", "*".repeat(stars))
}

fn recap_line(host: &str, counts: &Counts, paint: Paint) -> String {
    let count = |lead: &str, number: u32, tone: Tone| {
        let text = format!("{lead}={number:<4}");
        if number == 0 { text } else { paint.paint(tone, &text) }
    };
    let fields = [
        count("ok", counts.ok, Tone::Ok),
        count("changed", counts.changed, Tone::Changed),
        count("unreachable", counts.unreachable, Tone::Unreachable),
        count("failed", counts.failed, Tone::Failed),
        count("skipped", counts.skipped, Tone::Skipped),
        count("rescued", counts.rescued, Tone::Ok),
        count("ignored", counts.ignored, Tone::Warning),
    ];
    format!("{} : {}", host_column(host, counts, paint), fields.join(" "))
}

fn host_column(host: &str, counts: &Counts, paint: Paint) -> String {
    let tone = match counts {
        counts if counts.failed != 0 || counts.unreachable != 0 => Tone::Failed,
        counts if counts.changed != 0 => Tone::Changed,
        _ => Tone::Ok,
    };
    // 11 of the 37 are the colour's own characters.
    if paint.0 { format!("{:<37}", paint.paint(tone, host)) } else { format!("{host:<26}") }
}

/// Round trips, for those who ask with `-v`.
pub(crate) fn trips(trips: &BTreeMap<String, Trips>) -> String {
    let mut table = Table::new(["HOST", "HANDSHAKES", "COMMANDS", "DOCKER CALLS", "BYTES"]);
    for (host, t) in trips {
        let numbers = [t.handshakes, t.execs, t.docker_calls, t.bytes];
        table.row(std::iter::once(Cell::new(host)).chain(numbers.map(Cell::new)));
    }
    table.render(Paint(false))
}
