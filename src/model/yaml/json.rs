//! JSON as Python's `json.loads` reads it. Ansible tries it on every file before YAML, and the two differ:
//! in JSON `1e3` is a number, `"\/"` and surrogate pairs are text, and nothing is a date.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::node::{Entry, Mapping, Node, Value};
use crate::diag::{Diagnostics, Span};

/// The value, if the whole text is JSON no deeper than `depth`; keys written twice become warnings.
pub(super) fn parse(file: &Arc<Path>, text: &str, depth: usize, warnings: &mut Diagnostics) -> Option<Node> {
    // Most files are YAML, and are told apart by their first sign.
    let first = text.trim_start().bytes().next()?;
    if !first.is_ascii_digit() && !b"{[\"-tfnNI".contains(&first) {
        return None;
    }
    let mut reader = Reader { file, rest: text, line: 1, column: 1, depth, twice: Diagnostics::new() };
    let node = reader.value(0)?;
    reader.space();
    if !reader.rest.is_empty() {
        return None;
    }
    warnings.extend(reader.twice);
    Some(node)
}

struct Reader<'a> {
    file: &'a Arc<Path>,
    rest: &'a str,
    line: u32,
    column: u32,
    depth: usize,
    twice: Diagnostics,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        match taken.rfind('\n') {
            Some(at) => {
                self.line += taken.bytes().filter(|b| *b == b'\n').count() as u32;
                self.column = 1 + taken[at + 1..].chars().count() as u32;
            }
            None => self.column += taken.chars().count() as u32,
        }
        taken
    }

    fn eat(&mut self, sign: char) -> bool {
        self.space();
        let found = self.peek() == Some(sign);
        if found {
            self.take(sign.len_utf8());
        }
        found
    }

    fn space(&mut self) {
        let more = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.take(self.rest.len() - more.len());
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > self.depth {
            return None;
        }
        self.space();
        let (line, column, before) = (self.line, self.column, self.rest.len());
        let value = match self.peek()? {
            '{' => {
                self.take(1);
                self.mapping(depth)?
            }
            '[' => {
                self.take(1);
                self.list(depth)?
            }
            '"' => Value::Str(Arc::from(self.text()?)),
            _ => self.word()?,
        };
        let len = if self.line == line { before - self.rest.len() } else { 1 };
        Some(Node { value, span: Span::new(line, column, (len as u32).max(1)), raw: false })
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        if !self.eat(']') {
            loop {
                items.push(self.value(depth + 1)?);
                if self.eat(']') {
                    break;
                }
                if !self.eat(',') {
                    return None;
                }
            }
        }
        Some(Value::Seq(Arc::new(items)))
    }

    fn mapping(&mut self, depth: usize) -> Option<Value> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at: HashMap<Arc<str>, usize> = HashMap::new();
        if !self.eat('}') {
            loop {
                self.space();
                let (line, column) = (self.line, self.column);
                if self.peek() != Some('"') {
                    return None;
                }
                let name: Arc<str> = Arc::from(self.text()?);
                let span = Span::new(line, column, self.column.saturating_sub(column).max(1));
                if !self.eat(':') {
                    return None;
                }
                let value = self.value(depth + 1)?;
                match at.get(&name).and_then(|index| entries.get_mut(*index)) {
                    Some(first) => {
                        self.twice.push(super::compose::twice(self.file, &name, first.key.span, span));
                        first.key.span = span;
                        first.value = value;
                    }
                    None => {
                        at.insert(Arc::clone(&name), entries.len());
                        entries.push(Entry { key: Node { value: Value::Str(name), span, raw: false }, value });
                    }
                }
                if self.eat('}') {
                    break;
                }
                if !self.eat(',') {
                    return None;
                }
            }
        }
        Some(Value::Map(Arc::new(Mapping { entries })))
    }

    fn word(&mut self) -> Option<Value> {
        const WORDS: [(&str, Value); 6] = [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        if let Some((word, value)) = WORDS.iter().find(|(word, _)| self.rest.starts_with(word)) {
            self.take(word.len());
            return Some(value.clone());
        }
        self.number()
    }

    fn number(&mut self) -> Option<Value> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let sign = usize::from(self.rest.starts_with('-'));
        let whole = match self.rest.as_bytes().get(sign)? {
            b'0' => 1,
            b'1'..=b'9' => digits(&self.rest[sign..]),
            _ => return None,
        };
        let mut end = sign + whole;
        let mut is_float = false;
        if self.rest[end..].starts_with('.') && digits(&self.rest[end + 1..]) > 0 {
            end += 1 + digits(&self.rest[end + 1..]);
            is_float = true;
        }
        if self.rest[end..].starts_with(['e', 'E']) {
            let signed = usize::from(self.rest[end + 1..].starts_with(['-', '+']));
            let exponent = digits(&self.rest[end + 1 + signed..]);
            if exponent > 0 {
                end += 1 + signed + exponent;
                is_float = true;
            }
        }
        let text = self.take(end);
        Some(match (is_float, text.parse::<i64>()) {
            (true, _) => Value::Float(text.parse().ok()?),
            (false, Ok(number)) => Value::Int(number),
            (false, Err(_)) => Value::BigInt(Arc::from(text)),
        })
    }

    fn text(&mut self) -> Option<String> {
        self.take(1);
        let mut out = String::new();
        loop {
            let plain = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            let taken = self.take(plain);
            // Python refuses control characters.
            if taken.bytes().any(|b| b < 0x20) {
                return None;
            }
            out.push_str(taken);
            if self.peek()? == '"' {
                self.take(1);
                return Some(out);
            }
            self.take(1);
            let escaped = self.peek()?;
            self.take(escaped.len_utf8());
            out.push(match escaped {
                '"' | '\\' | '/' => escaped,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.unicode()?,
                _ => return None,
            });
        }
    }

    /// What follows `\u`, a pair of surrogates included; a lone one is no text.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            self.take(2);
            let second = self.hex()?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x10000 + ((first - 0xd800) << 10) + low);
        }
        char::from_u32(first)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.take(4);
        u32::from_str_radix(digits, 16).ok()
    }
}
