//! A dump that is kept: its description, and how long it stays. Pure.

use std::cmp::Reverse;

use jiff::Timestamp;
use reemo_model::op::Dump;
use serde::Serialize;

/// A dump on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name: `20270115T120000Z-before-2.14.0`. Names sort by time.
    pub name: String,
    /// Host it is on.
    pub host: String,
    /// Database.
    pub database: String,
    /// When it was taken.
    pub taken: String,
    /// What for.
    pub reason: String,
    /// Release whose schema it has; empty: the last schema job was not known to have succeeded.
    pub release: String,
    /// Tables in it.
    pub tables: u64,
    /// Length of the compressed file.
    pub bytes: u64,
    /// Of the compressed file.
    pub sha256: String,
}

impl Kept {
    /// Its description, as it lies beside it.
    pub fn text(&self) -> String {
        let Kept { database, taken, reason, release, tables, bytes, sha256, .. } = self;
        format!(
            "database {database}\ntaken {taken}\nreason {reason}\nrelease {release}\ntables {tables}\nbytes {bytes}\n\
             sha256 {sha256}\n"
        )
    }
}

/// A name for a dump that is taken now. Only letters, digits, dots, dashes and underscores.
pub(super) fn name(now: &Timestamp, reason: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let reason: String = reason.chars().map(word).take(60).collect();
    format!("{}-{reason}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// What is known before it is taken.
pub(super) fn lines(now: &Timestamp, dump: &Dump) -> Vec<String> {
    vec![
        format!("database {}", dump.database),
        format!("taken {}", now.strftime("%Y-%m-%dT%H:%M:%SZ")),
        format!("reason {}", dump.reason),
        format!("release {}", dump.release.as_deref().unwrap_or_default()),
    ]
}

/// Reads what a host lists.
pub fn read(host: &str, text: &str) -> Vec<Kept> {
    let mut all: Vec<Kept> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim().to_owned();
        if key == "dump" {
            all.push(Kept { name: value, host: host.to_owned(), ..Kept::default() });
            continue;
        }
        let Some(last) = all.last_mut() else { continue };
        match key {
            "database" => last.database = value,
            "taken" => last.taken = value,
            "reason" => last.reason = value,
            "release" => last.release = value,
            "tables" => last.tables = value.parse().unwrap_or_default(),
            "bytes" => last.bytes = value.parse().unwrap_or_default(),
            "sha256" => last.sha256 = value,
            _ => {}
        }
    }
    // Something that does not say what it is cannot be loaded either.
    all.retain(|d| d.sha256.len() == 64);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A dump that several hosts show (their folder is replicated) is one: its hosts stand together, `infra1, infra2`.
pub fn once(all: Vec<Kept>) -> Vec<Kept> {
    let mut found: Vec<Kept> = Vec::new();
    for dump in all {
        match found.iter_mut().find(|f| f.name == dump.name && f.sha256 == dump.sha256) {
            Some(same) => same.host = format!("{}, {}", same.host, dump.host),
            None => found.push(dump),
        }
    }
    found
}

/// Names of the dumps that go when so many are kept. The newest one with a schema that is known to be whole stays, however
/// many were taken since: between two attempts of a job that fails, each would push out a good one.
pub fn superseded(all: &[Kept], keep: u64) -> Vec<String> {
    let mut newest: Vec<&Kept> = all.iter().collect();
    newest.sort_by_key(|d| Reverse(d.name.as_str()));
    let whole = newest.iter().find(|d| !d.release.is_empty()).map(|d| d.name.clone());
    let old = newest.into_iter().skip(usize::try_from(keep).unwrap_or(usize::MAX));
    old.map(|d| d.name.clone()).filter(|n| Some(n) != whole.as_ref()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, release: &str) -> Kept {
        Kept { name: name.into(), release: release.into(), sha256: "0".repeat(64), ..Kept::default() }
    }

    #[test]
    fn a_replicated_folder_holds_each_dump_once() {
        let dump = |name: &str, host: &str, sha256: &str| Kept {
            name: name.into(),
            host: host.into(),
            sha256: sha256.into(),
            ..Kept::default()
        };
        let all = vec![dump("a", "one", "1"), dump("a", "two", "1"), dump("b", "one", "2"), dump("b", "two", "3")];
        let hosts: Vec<_> = once(all).into_iter().map(|d| (d.name, d.host)).collect();
        let is = |name: &str, host: &str| (name.to_owned(), host.to_owned());
        assert_eq!(hosts, [is("a", "one, two"), is("b", "one"), is("b", "two")], "the same name is not the same dump");
    }

    #[test]
    fn the_newest_stay_and_the_last_whole_one() {
        let all = [kept("3", "1.0"), kept("1", "1.0"), kept("2", "1.0")];
        assert_eq!(superseded(&all, 2), ["1"]);
        assert_eq!(superseded(&all, 3), Vec::<String>::new());
        let failing = [kept("1", "0.9"), kept("2", "1.0"), kept("3", ""), kept("4", ""), kept("5", "")];
        assert_eq!(superseded(&failing, 2), ["3", "1"], "2 is the last before the failures");
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let now: Timestamp = "2027-01-15T12:00:00Z".parse().unwrap();
        let mut one = kept(&name(&now, "before 2.14.0"), "2.13.10");
        assert_eq!(one.name, "20270115T120000Z-before-2.14.0");
        one.database = "reemo".into();
        one.reason = "before 2.14.0".into();
        (one.host, one.taken, one.tables, one.bytes) = ("h".into(), "2027-01-15T12:00:00Z".into(), 7, 99);
        let text = format!("dump {}\n{}dump half\ndatabase reemo\n", one.name, one.text());
        assert_eq!(read("h", &text), [one]);
        assert_eq!(name(&now, "a b/../c'"), "20270115T120000Z-a-b-..-c-");
    }
}
