//! The file format: Python's `configparser`, as Ansible sets it up (`inline_comment_prefixes=(';',)`, strict).
//! The readers on crates.io keep no lines, and know neither its continuation lines nor its comments.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, Place, Span};

/// One `key = value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// As written: sections keep their case.
    pub section: String,
    /// In lower case.
    pub key: String,
    /// Lines of a long value joined by line breaks.
    pub value: String,
    /// Where the key stands.
    pub place: Place,
}

/// Everything in the file; what cannot be read is said, and the rest read on.
pub(super) fn read(file: &Arc<Path>, text: &str, diagnostics: &mut Diagnostics) -> Vec<Entry> {
    let mut reader = Reader { file, out: Vec::new(), section: None, open: false, indent: usize::MAX };
    let mut sections: HashSet<String> = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        if let Err(problem) = reader.line(number, line, &mut sections) {
            diagnostics.push(*problem);
        }
    }
    for entry in &mut reader.out {
        entry.value.truncate(entry.value.trim_end().len());
    }
    reader.out
}

struct Reader<'a> {
    file: &'a Arc<Path>,
    out: Vec<Entry>,
    section: Option<String>,
    /// The last entry may go on.
    open: bool,
    indent: usize,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str, sections: &mut HashSet<String>) -> Result<(), Box<Diagnostic>> {
        let comment = comment_start(line);
        let value = line[..comment.unwrap_or(line.len())].trim();
        if value.is_empty() {
            if comment.is_none() && self.open {
                self.go_on("");
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if self.open && indent > self.indent {
            self.go_on(value);
            return Ok(());
        }
        self.indent = indent;
        self.open = false;
        let at = |len: usize| {
            let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
            Span::new(line, indent as u32 + 1, len.max(1) as u32).at(self.file)
        };
        let wrong = |message: String, len: usize| Diagnostic::error("ansible-cfg", message).at(at(len));
        if let Some((name, _)) = value.strip_prefix('[').and_then(|v| v.rsplit_once(']')).filter(|(n, _)| !n.is_empty())
        {
            if !sections.insert(name.to_owned()) {
                let error = wrong(format!("the section `[{name}]` is written twice"), value.chars().count());
                self.section = Some(name.to_owned());
                return Err(Box::new(error.help("write its keys below the first one; Ansible refuses this file too")));
            }
            self.section = Some(name.to_owned());
            return Ok(());
        }
        let Some(section) = self.section.clone() else {
            let error = wrong("no section stands above this line".into(), value.chars().count());
            return Err(Box::new(error.help("begin the file with `[defaults]`; Ansible refuses it as it is")));
        };
        let Some((key, after)) = value.split_once(['=', ':']).filter(|(key, _)| !key.trim().is_empty()) else {
            let error = wrong("this line is no `key = value`".into(), value.chars().count());
            return Err(Box::new(
                error.help("write `key = value`; a long value goes on in lines that are indented more"),
            ));
        };
        let (place, key) = (at(key.trim_end().chars().count()), key.trim_end().to_lowercase());
        if self.out.iter().any(|e| e.section == section && e.key == key) {
            let error = Diagnostic::error("ansible-cfg", format!("`{key}` is written twice in `[{section}]`"));
            return Err(Box::new(error.at(place).help("keep one of them; Ansible refuses this file too")));
        }
        self.out.push(Entry { section, key, value: after.trim().to_owned(), place });
        self.open = true;
        Ok(())
    }

    fn go_on(&mut self, text: &str) {
        if let Some(entry) = self.out.last_mut() {
            entry.value.push('\n');
            entry.value.push_str(text);
        }
    }
}

/// A line that begins with `#` or `;`, or what follows a `;` after white space.
fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start().starts_with(['#', ';']) {
        return Some(0);
    }
    let inside = line.match_indices(';').find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    inside.map(|(at, _)| at)
}
