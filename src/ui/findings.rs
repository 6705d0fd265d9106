//! What a look around found, as a table with what to do under it.

use reemo_model::finding::{Finding, State};

use crate::clean::printable;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Table};

/// What is well in one line a check, the rest in one line for all of which the same is found, with numbers that lead to
/// what to do.
pub fn findings(all: &[Finding], paint: Paint) -> String {
    let mut checks: Vec<&'static str> = Vec::new();
    for finding in all {
        if !checks.contains(&finding.check) {
            checks.push(finding.check);
        }
    }
    let mut table = Table::new(["CHECK", "STATE", "OF", "FOUND"]);
    let mut remedies: Vec<&str> = Vec::new();
    for check in checks {
        let of: Vec<&Finding> = all.iter().filter(|f| f.check == check).collect();
        let well: Vec<&str> = of.iter().filter(|f| f.state == State::Ok).map(|f| f.of.as_str()).collect();
        if !well.is_empty() {
            let names = few(&well);
            table.row([Cell::new(check), Cell::new(State::Ok.word()).tone(Tone::Ok), Cell::new(names), Cell::new("")]);
        }
        let rest: Vec<&Finding> = of.into_iter().filter(|f| f.state != State::Ok).collect();
        for (number, finding) in rest.iter().enumerate() {
            let same =
                |f: &&&Finding| (f.state, &f.found, &f.remedy) == (finding.state, &finding.found, &finding.remedy);
            if rest[..number].iter().any(|f| same(&f)) {
                continue;
            }
            let names: Vec<&str> = rest.iter().filter(same).map(|f| f.of.as_str()).collect();
            let tone = match finding.state {
                State::Problem => Tone::Failed,
                State::Warning => Tone::Warning,
                _ => Tone::Quiet,
            };
            let number = remedies.iter().position(|r| *r == finding.remedy).unwrap_or_else(|| {
                remedies.push(&finding.remedy);
                remedies.len() - 1
            });
            let found = format!("{} [{}]", printable(&finding.found), number + 1);
            let state = Cell::new(finding.state.word()).tone(tone);
            table.row([Cell::new(check), state, Cell::new(few(&names)), Cell::new(found)]);
        }
    }
    let mut parts = vec![table.render(paint)];
    let list: Vec<String> = remedies.iter().enumerate().map(|(n, r)| format!("[{}] {}", n + 1, printable(r))).collect();
    if !list.is_empty() {
        parts.push(list.join("\n"));
    }
    parts.join("\n\n")
}

/// The first names of a list, and how many more there are; a JSON document has them all.
fn few(names: &[&str]) -> String {
    match names.len() {
        0..=4 => names.join(", "),
        more => format!("{} and {} more", names[..3].join(", "), more - 3),
    }
}
