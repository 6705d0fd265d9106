//! YAML as PyYAML's `dump` writes it: order, styles, quotes and folding of long lines.

mod scalar;

use serde_json::Value as Json;

use scalar::{analyze, bare, escaped, printable};

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Spaces per level.
    pub indent: usize,
    /// Columns before a long text is folded.
    pub width: usize,
    /// Keys sorted.
    pub sort: bool,
    /// Everything in brackets; `None`: what holds no lists or mappings.
    pub flow: Option<bool>,
    /// Characters beyond ASCII as they are.
    pub unicode: bool,
}

/// The text.
pub(crate) fn dump(value: &Json, style: Style) -> String {
    let mut out = Writer { out: String::new(), column: 0, style };
    match value {
        Json::Array(_) | Json::Object(_) => {
            out.node(value, None, false, true);
            out.line_break();
            out.out
        }
        _ => {
            out.scalar(value, 0, false, true);
            out.line_break();
            out.out
        }
    }
}

struct Writer {
    out: String,
    column: usize,
    style: Style,
}

fn leaf(value: &Json) -> bool {
    !matches!(value, Json::Array(_) | Json::Object(_))
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn indent_to(&mut self, indent: usize) {
        if self.column > indent || (self.column == indent && !self.out.ends_with([' ', '\n']) && !self.out.is_empty()) {
            self.line_break();
        }
        let missing = indent.saturating_sub(self.column);
        self.put(&" ".repeat(missing));
    }

    fn flows(&self, value: &Json) -> bool {
        match (value, self.style.flow) {
            (Json::Array(items), _) if items.is_empty() => true,
            (Json::Object(map), _) if map.is_empty() => true,
            (_, Some(flow)) => flow,
            (Json::Array(items), None) => items.iter().all(leaf),
            (Json::Object(map), None) => map.values().all(leaf),
            _ => false,
        }
    }

    fn entries<'a>(&self, map: &'a serde_json::Map<String, Json>) -> Vec<(&'a String, &'a Json)> {
        let mut entries: Vec<(&String, &Json)> = map.iter().collect();
        if self.style.sort {
            entries.sort_by_key(|(key, _)| *key);
        }
        entries
    }

    /// A node in block context. `indent`: of the collection around it.
    fn node(&mut self, value: &Json, indent: Option<usize>, in_mapping: bool, root: bool) {
        if leaf(value) {
            self.scalar(value, indent.unwrap_or(0), false, root);
            return;
        }
        if self.flows(value) {
            let inner = indent.map_or(self.style.indent, |i| i + self.style.indent);
            self.flow(value, inner);
            return;
        }
        match value {
            Json::Array(items) => {
                // Dashes stand under the key of their list.
                let at = match indent {
                    None => 0,
                    Some(indent) if in_mapping => indent,
                    Some(indent) => indent + self.style.indent,
                };
                for (n, item) in items.iter().enumerate() {
                    if n > 0 || in_mapping || root {
                        self.fresh(at);
                    }
                    self.put("-");
                    self.after_mark(item, at);
                    self.node(item, Some(at), false, false);
                }
            }
            Json::Object(map) => {
                let at = indent.map_or(0, |indent| indent + self.style.indent);
                for (n, (key, item)) in self.entries(map).into_iter().enumerate() {
                    if n > 0 || in_mapping || root {
                        self.fresh(at);
                    }
                    let simple = key.chars().count() < 128 && !key.contains('\n');
                    if !simple {
                        self.put("? ");
                        self.scalar(&Json::from(key.as_str()), at, false, false);
                        self.fresh(at);
                        self.put(":");
                    } else {
                        self.scalar(&Json::from(key.as_str()), at, true, false);
                        self.put(":");
                    }
                    if leaf(item) || self.flows(item) {
                        self.put(" ");
                    }
                    self.node(item, Some(at), true, false);
                }
            }
            _ => {}
        }
    }

    /// The start of a line at a column.
    fn fresh(&mut self, at: usize) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.line_break();
        }
        self.put(&" ".repeat(at));
    }

    /// Behind a dash: the first line of what belongs to it stands on the same line.
    fn after_mark(&mut self, item: &Json, at: usize) {
        if leaf(item) || self.flows(item) {
            self.put(" ");
        } else {
            let column = at + self.style.indent;
            let missing = column.saturating_sub(self.column);
            self.put(&" ".repeat(missing));
        }
    }

    fn flow(&mut self, value: &Json, indent: usize) {
        let (open, close) = if value.is_array() { ("[", "]") } else { ("{", "}") };
        self.put(open);
        let step = |w: &mut Self, n: usize| {
            if n > 0 {
                w.put(",");
            }
            if w.column > w.style.width {
                w.indent_to(indent);
            } else if n > 0 {
                w.put(" ");
            }
        };
        match value {
            Json::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    step(self, n);
                    self.flow_item(item, indent);
                }
            }
            Json::Object(map) => {
                for (n, (key, item)) in self.entries(map).into_iter().enumerate() {
                    step(self, n);
                    self.flow_key(key, indent);
                    self.put(": ");
                    self.flow_item(item, indent);
                }
            }
            _ => {}
        }
        self.put(close);
    }

    fn flow_key(&mut self, key: &str, indent: usize) {
        match key.strip_prefix(crate::yaml::BARE) {
            Some(bare) => self.put(bare),
            None => self.text(key, indent + self.style.indent, true, true),
        }
    }

    fn flow_item(&mut self, value: &Json, indent: usize) {
        if leaf(value) {
            match value {
                Json::String(text) if text.strip_prefix(crate::yaml::BARE).is_none() => {
                    self.text(text, indent + self.style.indent, false, true);
                }
                other => self.put(&bare(other)),
            }
        } else {
            self.flow(value, indent + self.style.indent);
        }
    }

    fn scalar(&mut self, value: &Json, indent: usize, key: bool, root: bool) {
        match value {
            Json::String(text) if text.strip_prefix(crate::yaml::BARE).is_none() => {
                let indent = if root { self.style.indent } else { indent + self.style.indent };
                self.text(text, indent, key, false);
            }
            other => self.put(&bare(other)),
        }
    }

    /// `indent`: where a folded line goes on.
    fn text(&mut self, text: &str, indent: usize, key: bool, flow: bool) {
        let found = analyze(text, self.style.unicode);
        let fits = if flow { found.plain_flow } else { found.plain_block };
        let plain = fits && !(key && (text.is_empty() || found.multiline)) && crate::yaml::is_plain_text(text);
        if plain {
            self.plain(text, indent, !key);
        } else if found.single && !(key && found.multiline) {
            self.single(text, indent, !key);
        } else {
            self.double(text, indent, !key);
        }
    }

    fn plain(&mut self, text: &str, indent: usize, split: bool) {
        let chars: Vec<char> = text.chars().collect();
        let (mut start, mut at, mut spaces) = (0, 0, false);
        while at <= chars.len() {
            let c = chars.get(at).copied();
            if spaces {
                if c != Some(' ') {
                    if start + 1 == at && self.column > self.style.width && split {
                        self.wrap(indent);
                    } else {
                        let run: String = chars[start..at].iter().collect();
                        self.put(&run);
                    }
                    start = at;
                }
            } else if c.is_none() || c == Some(' ') {
                let run: String = chars[start..at].iter().collect();
                self.put(&run);
                start = at;
            }
            spaces = c == Some(' ');
            at += 1;
        }
    }

    fn wrap(&mut self, indent: usize) {
        self.line_break();
        self.put(&" ".repeat(indent));
    }

    fn single(&mut self, text: &str, indent: usize, split: bool) {
        self.put("'");
        let chars: Vec<char> = text.chars().collect();
        let (mut start, mut at, mut spaces, mut breaks) = (0, 0, false, false);
        while at <= chars.len() {
            let c = chars.get(at).copied();
            if spaces {
                if c != Some(' ') {
                    if start + 1 == at && self.column > self.style.width && split && start != 0 && at != chars.len() {
                        self.wrap(indent);
                    } else {
                        let run: String = chars[start..at].iter().collect();
                        self.put(&run);
                    }
                    start = at;
                }
            } else if breaks {
                if c != Some('\n') {
                    if chars[start] == '\n' {
                        self.line_break();
                    }
                    for _ in start..at {
                        self.line_break();
                    }
                    self.put(&" ".repeat(indent));
                    start = at;
                }
            } else if c.is_none() || matches!(c, Some(' ' | '\n' | '\'')) {
                let run: String = chars[start..at].iter().collect();
                self.put(&run);
                start = at;
            }
            if c == Some('\'') {
                self.put("''");
                start = at + 1;
            }
            spaces = c == Some(' ');
            breaks = c == Some('\n');
            at += 1;
        }
        self.put("'");
    }

    fn double(&mut self, text: &str, indent: usize, split: bool) {
        self.put("\"");
        let chars: Vec<char> = text.chars().collect();
        let (mut start, mut at) = (0, 0);
        while at <= chars.len() {
            let c = chars.get(at).copied();
            let kept = |c: char| {
                (' '..='~').contains(&c) && !matches!(c, '"' | '\\')
                    || self.style.unicode && printable(c) && u32::from(c) > 0x7f
            };
            if c.is_none_or(|c| !kept(c)) {
                if start < at {
                    let run: String = chars[start..at].iter().collect();
                    self.put(&run);
                    start = at;
                }
                if let Some(c) = c {
                    self.put(&escaped(c));
                    start = at + 1;
                }
            }
            let inside = at > 0 && at + 1 < chars.len();
            if inside
                && (c == Some(' ') || start >= at)
                && (self.column as i64 + (at as i64 - start as i64)) > self.style.width as i64
                && split
            {
                let mut run: String = chars.get(start..at).unwrap_or_default().iter().collect();
                run.push('\\');
                if start < at {
                    start = at;
                }
                self.put(&run);
                self.wrap(indent);
                if chars.get(start) == Some(&' ') {
                    self.put("\\");
                }
            }
            at += 1;
        }
        self.put("\"");
    }
}
