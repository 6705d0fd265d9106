//! What a journal says, read back.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::{Began, Entry, FILE, Line};

/// A journal that was read.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its lines, in order.
    pub lines: Vec<Line>,
    /// Its last line was cut off: the machine went down while it was written.
    pub torn: bool,
}

/// A step that was begun, and of which no end is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Open<'a> {
    /// The task, for people.
    pub title: &'a str,
    /// Host.
    pub host: &'a str,
    /// What was done.
    pub op: &'a Value,
}

impl Record {
    /// Reads the journal of a run's folder.
    pub fn read(folder: &Path) -> io::Result<Record> {
        Ok(Record::parse(&std::fs::read_to_string(folder.join(FILE))?))
    }

    /// Reads the text of a journal, up to the first line that is damaged.
    pub fn parse(text: &str) -> Record {
        let mut record = Record::default();
        for line in text.split_inclusive('\n') {
            match serde_json::from_str(line) {
                Ok(read) if line.ends_with('\n') => record.lines.push(read),
                _ => {
                    record.torn = true;
                    break;
                }
            }
        }
        record
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.lines.iter().map(|l| &l.entry)
    }

    /// What the run was asked.
    pub fn began(&self) -> Option<&Began> {
        self.entries().find_map(|e| match e {
            Entry::Began(began) => Some(began),
            _ => None,
        })
    }

    /// When it began.
    pub fn at(&self) -> Option<Timestamp> {
        self.lines.first().map(|l| l.at)
    }

    /// The code it ended with; `None`: it died, or still runs.
    pub fn code(&self) -> Option<u8> {
        self.entries().rev().find_map(|e| match e {
            Entry::Ended { code } => Some(*code),
            _ => None,
        })
    }

    /// How many steps were begun.
    pub fn steps(&self) -> usize {
        self.entries().filter(|e| matches!(e, Entry::Intent { .. })).count()
    }

    /// Steps whose end is not known.
    pub fn open(&self) -> Vec<Open<'_>> {
        let mut open = BTreeMap::new();
        for entry in self.entries() {
            match entry {
                Entry::Intent { step, title, host, op, .. } => drop(open.insert(*step, Open { title, host, op })),
                Entry::Result { step, .. } => drop(open.remove(step)),
                _ => {}
            }
        }
        open.into_values().collect()
    }

    /// Services it changed, in order, with the spec each had before the first of its changes.
    pub fn services(&self) -> Vec<(&str, &str, bool, Option<&Value>)> {
        let mut found: Vec<(&str, &str, bool, Option<&Value>)> = Vec::new();
        for entry in self.entries() {
            if let Entry::Service { cluster, service, job, before } = entry
                && !found.iter().any(|(c, s, ..)| c == cluster && s == service)
            {
                found.push((cluster, service, *job, before.as_ref()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(entry: Entry) -> String {
        let at = "2027-01-15T12:00:00Z".parse().unwrap();
        serde_json::to_string(&Line { at, entry }).unwrap() + "\n"
    }

    fn intent(step: u64) -> Entry {
        let (task, title, host) = (format!("c/h/{step}"), format!("task {step}"), "h".into());
        Entry::Intent { step, task, title, host, op: json!({"op": "exec"}) }
    }

    #[test]
    fn what_is_open_and_what_was_changed() {
        let service = |before| Entry::Service { cluster: "c".into(), service: "api".into(), job: false, before };
        let all = [
            Entry::Began(Began { run: "r1".into(), argv: vec!["apply".into()], ..Began::default() }),
            intent(1),
            intent(2),
            Entry::Result { step: 1, why: None },
            service(Some(json!({"old": 1}))),
            service(Some(json!({"new": 1}))),
        ];
        let text: String = all.into_iter().map(line).collect();
        let record = Record::parse(&text);
        assert_eq!((record.steps(), record.code(), record.torn), (2, None, false));
        assert_eq!(record.began().unwrap().run, "r1");
        assert_eq!(record.open().iter().map(|o| o.title).collect::<Vec<_>>(), ["task 2"]);
        assert_eq!(record.services(), [("c", "api", false, Some(&json!({"old": 1})))]);
        let ended = Record::parse(&(text.clone() + &line(Entry::Ended { code: 6 })));
        assert_eq!(ended.code(), Some(6));
        // Cut anywhere, what is before the cut is still read, and nothing panics.
        for cut in (0..text.len()).filter(|c| text.is_char_boundary(*c)) {
            let record = Record::parse(&text[..cut]);
            assert_eq!(record.lines.len(), text[..cut].matches('\n').count());
            assert_eq!(record.torn, !text[..cut].is_empty() && !text[..cut].ends_with('\n'));
        }
    }
}
