//! INI inventory files: `[group]`, `[group:vars]`, `[group:children]`.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use super::load::Kept;
use super::{Inventory, Var, literal};
use crate::diag::{Diagnostic, Diagnostics, Span};

/// Ends of lines besides `\n`, as Python sees them.
const ENDS: [char; 9] = ['\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Reads a file; lines that are wrong are reported, the others are read.
pub(super) fn read(
    inventory: &mut Inventory,
    file: &Arc<Path>,
    source: &Arc<Path>,
    bytes: &[u8],
    kept: Kept,
    diagnostics: &mut Diagnostics,
) {
    let mut reader = Reader {
        inventory,
        file,
        source,
        diagnostics,
        kept,
        group: "ungrouped".to_owned(),
        section: Section::Hosts,
        children: IndexMap::new(),
        vars: IndexMap::new(),
        declared: Vec::new(),
    };
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        match std::str::from_utf8(line) {
            // Python's `splitlines` knows more ends of lines.
            Ok(line) => {
                line.trim_end_matches('\r').split(ENDS).for_each(|line| reader.line(line, number));
            }
            // In a comment anything may stand.
            Err(_) if line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";") => {}
            Err(_) => {
                reader.error(Span::new(number, 1, 1), "this line is not UTF-8 text".into(), "save the file as UTF-8")
            }
        }
    }
    reader.finish();
    let Reader { kept, inventory, .. } = reader;
    kept.restore(inventory);
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Hosts,
    Vars,
    Children,
    /// A section that was refused; what is in it is passed over.
    Unknown,
}

struct Reader<'a> {
    inventory: &'a mut Inventory,
    file: &'a Arc<Path>,
    source: &'a Arc<Path>,
    diagnostics: &'a mut Diagnostics,
    kept: Kept,
    group: String,
    section: Section,
    /// Child groups that nobody declared yet, with their parents.
    children: IndexMap<String, Vec<(String, Span)>>,
    /// `[x:vars]` of groups that nobody declared yet.
    vars: IndexMap<String, Span>,
    /// Groups with a section of hosts or children.
    declared: Vec<String>,
}

impl Reader<'_> {
    fn error(&mut self, at: Span, message: String, help: &str) {
        self.kept.stop(self.inventory);
        self.diagnostics.push(Diagnostic::error("inventory-ini", message).at(at.at(self.file)).help(help));
    }

    fn line(&mut self, line: &str, number: u32) {
        let text = line.trim();
        if text.is_empty() || text.starts_with([';', '#']) {
            return;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count() as u32;
        let at = Span::new(number, indent + 1, text.chars().count() as u32);
        if let Some((name, kind)) = header(text) {
            return self.header(&name, kind.as_deref(), at);
        }
        if text.starts_with('[') && text.ends_with(']') {
            self.section = Section::Unknown;
            return self.error(
                at,
                format!("`{text}` is no section header"),
                "write `[group]`, `[group:vars]` or `[group:children]`, without spaces",
            );
        }
        match self.section {
            Section::Hosts => self.host(text, at),
            Section::Vars => self.var(text, at),
            Section::Children => self.child(text, at),
            Section::Unknown => {}
        }
    }

    fn header(&mut self, name: &str, kind: Option<&str>, at: Span) {
        self.section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("vars") => Section::Vars,
            Some("children") => Section::Children,
            Some(other) => {
                self.section = Section::Unknown;
                let help = match crate::diag::nearest(other, ["vars", "children", "hosts"]) {
                    Some(near) => format!("did you mean `[{name}:{near}]`?"),
                    None => "known are `:vars`, `:children` and `:hosts`".into(),
                };
                return self.error(at, format!("`[{name}:{other}]` is no kind of section"), &help);
            }
        };
        self.group = name.to_owned();
        let known = self.inventory.groups.contains_key(name);
        self.inventory.add_group(name, Some(at.at(self.file)));
        if self.section == Section::Vars {
            if !known {
                self.vars.insert(name.to_owned(), at);
            }
            return;
        }
        self.declared.push(name.to_owned());
        self.vars.shift_remove(name);
        for (parent, place) in self.children.shift_remove(name).unwrap_or_default() {
            self.link(&parent, name, place);
        }
    }

    fn link(&mut self, parent: &str, child: &str, at: Span) {
        if let Err(error) = self.inventory.add_child(parent, child, Some(at.at(self.file))) {
            self.kept.stop(self.inventory);
            self.diagnostics.push(*error);
        }
    }

    fn child(&mut self, text: &str, at: Span) {
        let end = text.find(|c: char| c.is_whitespace() || c == ':' || c == ']').unwrap_or(text.len());
        let rest = text[end..].trim_start();
        // `a#b` is a name, `a #b` is a name and a comment, and so is `a#b c`.
        let name = match rest.is_empty() || rest.starts_with('#') {
            true => &text[..end],
            false => &text[..text[..end].rfind('#').unwrap_or_default()],
        };
        if name.is_empty() {
            return self.error(
                at,
                format!("`{text}` is no group name"),
                "write one group name per line under `:children`",
            );
        }
        let at = Span { len: name.chars().count() as u32, ..at };
        if self.inventory.groups.contains_key(name) && !self.vars.contains_key(name) {
            let (group, name) = (self.group.clone(), name.to_owned());
            self.link(&group, &name, at);
        } else {
            self.children.entry(name.to_owned()).or_default().push((self.group.clone(), at));
        }
    }

    fn var(&mut self, text: &str, at: Span) {
        let Some((name, value)) = text.split_once('=') else {
            return self.error(at, format!("`{text}` is no `name=value`"), "under `:vars` every line is `name=value`");
        };
        let group = self.group.clone();
        let value_at = Span::new(
            at.line,
            at.column + text[..text.len() - value.trim_start().len()].chars().count() as u32,
            value.trim().chars().count().max(1) as u32,
        );
        let key = Span { len: name.trim().chars().count() as u32, ..at };
        let var =
            Var { value: literal::value(value.trim(), value_at), file: Arc::clone(self.file), key, beaten: Vec::new() };
        self.inventory.set_group_var(&group, name.trim().to_owned(), var, self.diagnostics);
    }

    fn host(&mut self, text: &str, at: Span) {
        let words = match literal::split(text) {
            Ok(words) => words,
            Err(message) => {
                return self.error(at, message, "close the quote; a `#` inside a value needs quotes");
            }
        };
        let Some((name, _)) = words.first() else {
            return;
        };
        let name_at = Span { len: name.chars().count() as u32, ..at };
        if name.ends_with(':') {
            let help = "`:` here separates a port: `host:2222`; if this is YAML, name the file `.yml`";
            return self.error(name_at, format!("the host `{name}` ends with `:`"), help);
        }
        if name.trim() == "---" {
            return self.error(
                name_at,
                "`---` begins a YAML document, and this file is read as INI".into(),
                "name the file `.yml`",
            );
        }
        let (hosts, port) = match self.inventory.expand(name) {
            Ok(found) => found,
            Err(message) => {
                return self.error(name_at, message, "ranges look like `web[01:20]`, `db[a:f]` or `n[0:10:2]`");
            }
        };
        let mut vars = Vec::new();
        for (word, offset) in words.iter().skip(1) {
            let word_at = Span::new(at.line, at.column + offset, word.chars().count() as u32);
            match word.split_once('=') {
                Some((key, value)) => {
                    let key_len = key.chars().count() as u32;
                    let value_at =
                        Span::new(at.line, word_at.column + key_len + 1, value.chars().count().max(1) as u32);
                    let key_at = Span { len: key_len, ..word_at };
                    let var = Var {
                        value: literal::value(value, value_at),
                        file: Arc::clone(self.file),
                        key: key_at,
                        beaten: Vec::new(),
                    };
                    vars.push((key.to_owned(), var));
                }
                None => self.error(
                    word_at,
                    format!("`{word}` is no `name=value`"),
                    "after the host's name only `name=value` may follow; put a value with spaces in quotes",
                ),
            }
        }
        let place = name_at.at(self.file);
        let group = self.group.clone();
        for host in &hosts {
            let new = !self.inventory.hosts.contains_key(host);
            self.inventory.add_host(host, &group, &place, Some(self.source));
            if let Some(port) = port.filter(|_| new) {
                self.inventory.set_port(host, port, self.file, name_at);
            }
            for (key, var) in &vars {
                self.inventory.set_host_var(host, key.clone(), var.clone(), self.diagnostics);
            }
        }
    }

    fn finish(&mut self) {
        let names: Vec<String> = self.inventory.groups.keys().cloned().collect();
        for (child, uses) in std::mem::take(&mut self.children) {
            for (parent, at) in uses {
                let help = match crate::diag::nearest(&child, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add a section `[{child}]`"),
                };
                self.error(
                    at,
                    format!("`[{parent}:children]` names the group `{child}`, which is declared nowhere"),
                    &help,
                );
            }
        }
        for (group, at) in std::mem::take(&mut self.vars) {
            let help = match crate::diag::nearest(&group, names.iter().filter(|n| **n != group).map(String::as_str)) {
                Some(near) => format!("did you mean `[{near}:vars]`?"),
                None => format!("add a section `[{group}]`"),
            };
            self.error(at, format!("`[{group}:vars]` is of a group that is declared nowhere"), &help);
        }
    }
}

/// `[name]` or `[name:kind]`, possibly with a comment behind it.
fn header(text: &str) -> Option<(String, Option<String>)> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return None;
    }
    let (name, kind) = match inner.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inner, None),
    };
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let fits = !name.is_empty() && !name.contains(char::is_whitespace) && kind.is_none_or(word);
    fits.then(|| (name.to_owned(), kind.map(str::to_owned)))
}
