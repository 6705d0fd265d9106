//! Values of INI files: Python literals where they are such, text otherwise; and the shell-like
//! splitting of a host line.

use std::sync::Arc;

use crate::diag::Span;
use crate::yaml::{Mapping, Node, Value};

/// A value as `ast.literal_eval` reads it, or the text itself.
pub(super) fn value(text: &str, at: Span) -> Node {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { chars: &chars, at: 0, depth: 0 };
    let parsed = parser.expression().filter(|_| parser.ends());
    with_span(parsed.unwrap_or_else(|| Value::Str(Arc::from(text))), at)
}

fn with_span(value: Value, at: Span) -> Node {
    Node { value, span: at, raw: false }
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, c: char) -> bool {
        self.space();
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Only white space or a comment follows.
    fn ends(&mut self) -> bool {
        self.space();
        matches!(self.peek(), None | Some('#'))
    }

    fn expression(&mut self) -> Option<Value> {
        self.space();
        if self.depth > 50 {
            return None;
        }
        self.depth += 1;
        let value = match self.peek()? {
            '[' => {
                self.at += 1;
                Value::Seq(Arc::new(self.items(']')?.0))
            }
            '(' => {
                self.at += 1;
                let (mut items, comma) = self.items(')')?;
                match (items.len(), comma) {
                    (1, false) => items.pop()?.value,
                    _ => Value::Seq(Arc::new(items)),
                }
            }
            '{' => {
                self.at += 1;
                self.braces()?
            }
            '-' | '+' => {
                let negative = self.peek() == Some('-');
                self.at += 1;
                self.space();
                // `literal_eval` takes a sign only before a number.
                match self.number()? {
                    Value::Int(n) if negative => Value::Int(n.checked_neg()?),
                    Value::Float(n) if negative => Value::Float(-n),
                    Value::BigInt(text) if negative => Value::BigInt(Arc::from(format!("-{text}"))),
                    other => other,
                }
            }
            '0'..='9' => self.number()?,
            '.' if self.chars.get(self.at..self.at + 3) == Some(&['.', '.', '.']) => {
                self.at += 3;
                Value::Str(Arc::from("..."))
            }
            '.' => self.number()?,
            _ => self.word_or_text()?,
        };
        self.depth -= 1;
        Some(value)
    }

    /// Items up to the closing sign; says whether there was a comma.
    fn items(&mut self, close: char) -> Option<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.take(close) {
                return Some((items, comma));
            }
            if !items.is_empty() {
                if !self.take(',') {
                    return None;
                }
                comma = true;
                if self.take(close) {
                    return Some((items, comma));
                }
            }
            items.push(with_span(self.expression()?, Span::default()));
        }
    }

    /// A dictionary, or a set (which becomes a list).
    fn braces(&mut self) -> Option<Value> {
        if self.take('}') {
            return Some(Value::Map(Arc::new(Mapping::default())));
        }
        let start = self.at;
        let first = self.expression()?;
        if !self.take(':') {
            let _ = first;
            self.at = start;
            return Some(Value::Seq(Arc::new(self.items('}')?.0)));
        }
        self.at = start;
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        loop {
            if !pairs.is_empty() && (!self.take(',') || self.take('}')) {
                // Either closed after a comma, or closed without one.
                let closed = self.chars.get(self.at.wrapping_sub(1)) == Some(&'}') || self.take('}');
                return closed.then(|| Value::Map(Arc::new(pairs.into_iter().collect())));
            }
            let key = with_span(self.expression()?, Span::default());
            if !self.take(':') || matches!(key.value, Value::Seq(_) | Value::Map(_)) {
                return None;
            }
            let value = with_span(self.expression()?, Span::default());
            match pairs.iter_mut().find(|(k, _)| *k == key) {
                Some(pair) => pair.1 = value,
                None => pairs.push((key, value)),
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let mut previous = ' ';
        while let Some(c) = self.peek() {
            let sign_of_exponent = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E') && !self.is_prefixed(start);
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || sign_of_exponent) {
                break;
            }
            previous = c;
            self.at += 1;
        }
        let text: String = self.chars.get(start..self.at)?.iter().collect();
        number(&text)
    }

    fn is_prefixed(&self, start: usize) -> bool {
        self.chars.get(start) == Some(&'0')
            && matches!(self.chars.get(start + 1), Some('x' | 'X' | 'b' | 'B' | 'o' | 'O'))
    }

    fn word_or_text(&mut self) -> Option<Value> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.chars.get(start..self.at)?.iter().collect();
        if !matches!(self.peek(), Some('"' | '\'')) {
            return match word.as_str() {
                "True" => Some(Value::Bool(true)),
                "False" => Some(Value::Bool(false)),
                "None" => Some(Value::Null),
                _ => None,
            };
        }
        let mut out = String::new();
        self.at = start;
        // Texts side by side are one text.
        loop {
            let begin = self.at;
            while self.peek().is_some_and(char::is_alphanumeric) {
                self.at += 1;
            }
            let prefix: String = self.chars.get(begin..self.at)?.iter().collect::<String>().to_lowercase();
            if !matches!(prefix.as_str(), "" | "r" | "u" | "b" | "br" | "rb") {
                return None;
            }
            out.push_str(&self.quoted(prefix.contains('r'))?);
            self.space();
            let more = self.chars.get(self.at..).unwrap_or_default();
            let letters = more.iter().take_while(|c| c.is_alphanumeric()).count();
            if letters > 2 || !matches!(more.get(letters), Some('"' | '\'')) {
                return Some(Value::Str(Arc::from(out)));
            }
        }
    }

    fn quoted(&mut self, raw: bool) -> Option<String> {
        let quote = self.peek().filter(|c| matches!(c, '"' | '\''))?;
        let triple = self.chars.get(self.at..self.at + 3).is_some_and(|c| c.iter().all(|c| *c == quote));
        self.at += if triple { 3 } else { 1 };
        let mut out = String::new();
        loop {
            let c = self.peek()?;
            if c == quote
                && (!triple || self.chars.get(self.at..self.at + 3).is_some_and(|c| c.iter().all(|c| *c == quote)))
            {
                self.at += if triple { 3 } else { 1 };
                return Some(out);
            }
            self.at += 1;
            if c != '\\' {
                out.push(c);
                continue;
            }
            let next = self.peek()?;
            self.at += 1;
            if raw {
                out.push('\\');
                out.push(next);
                continue;
            }
            match next {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\x07'),
                'b' => out.push('\x08'),
                'f' => out.push('\x0c'),
                'v' => out.push('\x0b'),
                '\\' | '\'' | '"' => out.push(next),
                'x' => out.push(self.code(2)?),
                'u' => out.push(self.code(4)?),
                'U' => out.push(self.code(8)?),
                '0'..='7' => {
                    let mut number = next.to_digit(8)?;
                    for _ in 0..2 {
                        let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                            break;
                        };
                        number = number * 8 + digit;
                        self.at += 1;
                    }
                    out.push(char::from_u32(number)?);
                }
                'N' => return None,
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
        }
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let text: String = self.chars.get(self.at..self.at + digits)?.iter().collect();
        self.at += digits;
        char::from_u32(u32::from_str_radix(&text, 16).ok()?)
    }
}

fn number(text: &str) -> Option<Value> {
    let lower = text.to_lowercase();
    if lower.starts_with('_') || lower.ends_with('_') || lower.contains("__") {
        return None;
    }
    let bare = lower.replace('_', "");
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Value::Int);
    if let Some(digits) = bare.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = bare.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = bare.strip_prefix("0b") {
        return radix(digits, 2);
    }
    if let Some(digits) = bare.strip_suffix('j') {
        // A complex number becomes text, as Python prints it.
        return number(digits).map(|_| Value::Str(Arc::from(bare.as_str())));
    }
    if bare.bytes().all(|b| b.is_ascii_digit()) {
        if bare.len() > 1 && bare.starts_with('0') && bare.bytes().any(|b| b != b'0') {
            return None;
        }
        return Some(bare.parse().map_or_else(|_| Value::BigInt(Arc::from(bare.as_str())), Value::Int));
    }
    let fits = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') && bare.contains(['.', 'e']) && bare != ".";
    fits.then(|| bare.parse().ok().map(Value::Float)).flatten()
}

/// Words of a host line with the column each begins at, as Python's `shlex.split(line, comments=True)`.
pub(super) fn split(line: &str) -> Result<Vec<(String, u32)>, String> {
    let mut words = Vec::new();
    let mut word: Option<(String, u32)> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"'), '\\') => {
                let (_, next) = chars.next().ok_or("nothing follows the last `\\`")?;
                let out = &mut word.get_or_insert_default().0;
                if !matches!(next, '"' | '\\') {
                    out.push('\\');
                }
                out.push(next);
            }
            (Some(_), c) => word.get_or_insert_default().0.push(c),
            // Only these: a no-break space is part of a word.
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            (None, '#') => break,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_with(|| (String::new(), at));
            }
            (None, '\\') => {
                let (_, next) = chars.next().ok_or("nothing follows the last `\\`")?;
                word.get_or_insert_with(|| (String::new(), at)).0.push(next);
            }
            (None, c) => word.get_or_insert_with(|| (String::new(), at)).0.push(c),
        }
    }
    if let Some(q) = quote {
        return Err(format!("a {q} is opened on this line and never closed"));
    }
    words.extend(word.take());
    Ok(words)
}
