//! `regex_*`: Python's `re` on top of fancy-regex, which has look-around and back references.

use fancy_regex::{Regex, RegexBuilder};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::filter;
use crate::template::args::{Args, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "regex_replace", "pattern replacement ignorecase multiline count mandatory_count", |v, a| {
        replace(&v, &a)
    });
    filter(env, names, "regex_search", "regex ignorecase multiline *", |v, a| search(&v, &a));
    filter(env, names, "regex_findall", "regex multiline ignorecase", |v, a| findall(&v, &a));
    filter(env, names, "regex_escape", "re_type", |value, args| {
        let text = python::checked_text(&value)?;
        match args.text("re_type")?.as_deref() {
            None | Some("python") => Ok(Value::from(escape(&text))),
            Some("posix_basic") => {
                let special = |c: char| "].[^$*\\".contains(c);
                Ok(Value::from(
                    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect::<String>(),
                ))
            }
            Some(other) => Err(refuse(format!("`re_type` is python or posix_basic, not `{other}`"))),
        }
    });
}

/// What one match holds.
type Captures<'t> = fancy_regex::Captures<'t, str>;

/// Steps an expression may take back before it is given up.
const BACKTRACKS: usize = 1_000_000;

/// A regular expression.
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// True when the text holds a match.
    pub fn is_match(&self, text: &str) -> Result<bool, Error> {
        self.0.is_match(text).map_err(|e| too_long(&e))
    }

    /// The matches, as Python's `finditer` walks: an empty one may follow another, never at the same place.
    fn all<'t>(&self, text: &'t str) -> Result<Vec<Captures<'t>>, Error> {
        let mut out = Vec::new();
        let mut at = 0;
        while at <= text.len() {
            let Some(found) = self.0.captures_from_pos(text, at).map_err(|e| too_long(&e))? else { break };
            let Some(whole) = found.get(0) else { break };
            at = whole.end();
            if whole.start() == whole.end() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            out.push(found);
        }
        Ok(out)
    }
}

fn too_long(error: &fancy_regex::Error) -> Error {
    refuse(format!("the expression cannot be run: {error}"))
}

/// A Python expression.
pub(crate) fn compile(pattern: &str, ignorecase: bool, multiline: bool) -> Result<Pattern, Error> {
    let translated = translate(pattern, multiline);
    RegexBuilder::new(&translated)
        .case_insensitive(ignorecase)
        .multi_line(multiline)
        .backtrack_limit(BACKTRACKS)
        .delegate_size_limit(4 << 20)
        .build()
        .map(Pattern)
        .map_err(|error| {
            let why = error.to_string();
            let last = why.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
            refuse(format!("the expression `{pattern}` cannot be used: {}", last.trim()))
        })
}

/// From Python's notation to fancy-regex's.
fn translate(pattern: &str, multiline: bool) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let (mut at, mut class) = (0, None);
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied();
        match (c, class) {
            ('\\', _) => {
                at += 2;
                match next {
                    Some('Z') => out.push_str("\\z"),
                    // A letter or digit has a meaning; anything else stands for itself.
                    Some(n) if n.is_ascii_alphanumeric() || n == '_' => out.extend(['\\', n]),
                    Some(n) if is_special(n) => out.extend(['\\', n]),
                    Some(n) => out.push(n),
                    None => out.push('\\'),
                }
                continue;
            }
            ('[', None) => {
                class = Some(at);
                out.push('[');
                if next == Some('^') {
                    out.push('^');
                    at += 1;
                }
                // A bracket that closes in first place is a member.
                if chars.get(at + 1) == Some(&']') {
                    out.push_str("\\]");
                    at += 1;
                }
            }
            (']', Some(_)) => {
                class = None;
                out.push(']');
            }
            ('[' | '&' | '~', Some(_)) => out.extend(['\\', c]),
            (c, Some(_)) => out.push(c),
            ('$', None) if !multiline => out.push_str("(?=\\n?\\z)"),
            ('{', None) if !is_count(&chars[at..]) => out.push_str("\\{"),
            ('{', None) if next == Some(',') => out.push_str("{0"),
            ('}', None) if !out_is_count(&out) => out.push_str("\\}"),
            ('(', None) if chars[at..].starts_with(&['(', '?', 'P', '=']) => {
                let name: String = chars[at + 4..].iter().take_while(|c| **c != ')').collect();
                out.push_str(&format!("\\k<{name}>"));
                at += 5 + name.chars().count();
                continue;
            }
            (c, None) => out.push(c),
        }
        at += 1;
    }
    out
}

fn is_special(c: char) -> bool {
    "\\.+*?()|[]{}^$#&-~".contains(c)
}

/// `{3}`, `{3,}`, `{,3}`, `{3,5}`.
fn is_count(chars: &[char]) -> bool {
    let inner: String = chars.iter().skip(1).take_while(|c| **c != '}').collect();
    let closed = chars.get(inner.chars().count() + 1) == Some(&'}');
    let mut parts = inner.splitn(2, ',');
    let digits = |p: &str| p.bytes().all(|b| b.is_ascii_digit());
    closed && inner.bytes().any(|b| b.is_ascii_digit()) && parts.all(digits)
}

/// True when a `}` closes the count that was just written.
fn out_is_count(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| {
        let inner = &out[at + 1..];
        !out[..at].ends_with('\\') && !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit() || b == b',')
    })
}

fn pattern_of(args: &Args, name: &str) -> Result<Pattern, Error> {
    let text = args.text(name)?.unwrap_or_default();
    compile(&text, args.flag("ignorecase"), args.flag("multiline"))
}

fn replace(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let regex = pattern_of(args, "pattern")?;
    let count = args.count("count", usize::MAX)?.filter(|c| *c > 0).unwrap_or(usize::MAX);
    let mandatory = args.count("mandatory_count", usize::MAX)?.filter(|c| *c > 0);
    let template = Replacement::parse(&args.text("replacement")?.unwrap_or_default())?;
    let (mut out, mut last, mut done) = (String::with_capacity(text.len()), 0, 0);
    for found in regex.all(&text)?.into_iter().take(count) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        template.write(&found, &mut out)?;
        last = whole.end();
        done += 1;
        if out.len() > 16 << 20 {
            return Err(refuse("the text grows too large"));
        }
    }
    out.push_str(&text[last..]);
    if let Some(wanted) = mandatory.filter(|w| *w != done) {
        return Err(refuse(format!("the expression should match {wanted} times, and matches {done} times")));
    }
    Ok(Value::from(out))
}

enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

/// What `re.sub` puts in: `\1`, `\g<1>`, `\g<name>`, `\n` and the like.
struct Replacement(Vec<Part>);

impl Replacement {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '\\' {
                plain.push(c);
                continue;
            }
            let part = match chars.next() {
                Some('g') if chars.peek() == Some(&'<') => {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    name.parse().map_or(Part::Name(name), Part::Number)
                }
                Some('0') => {
                    let mut code = 0_u32;
                    for _ in 0..2 {
                        match chars.next_if(|c| ('0'..='7').contains(c)).and_then(|c| c.to_digit(8)) {
                            Some(digit) => code = code * 8 + digit,
                            None => break,
                        }
                    }
                    plain.extend(char::from_u32(code));
                    continue;
                }
                Some(digit) if digit.is_ascii_digit() => {
                    let mut number = digit.to_string();
                    number.extend(chars.next_if(char::is_ascii_digit));
                    Part::Number(number.parse().unwrap_or(usize::MAX))
                }
                Some(other) => {
                    match "abfnrtv\\".find(other) {
                        Some(at) => plain.push(['\x07', '\x08', '\x0c', '\n', '\r', '\t', '\x0b', '\\'][at]),
                        None if other.is_ascii_alphabetic() => {
                            return Err(refuse(format!("`\\{other}` means nothing in a replacement")));
                        }
                        None => plain.extend(['\\', other]),
                    }
                    continue;
                }
                None => return Err(refuse("the replacement ends with a single backslash")),
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(part);
        }
        parts.push(Part::Text(plain));
        Ok(Replacement(parts))
    }

    fn write(&self, found: &Captures<'_>, out: &mut String) -> Result<(), Error> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Number(number) if *number >= found.len() => {
                    return Err(refuse(format!("the replacement names group {number}, which there is not")));
                }
                Part::Number(number) => out.push_str(found.get(*number).map_or("", |m| m.as_str())),
                Part::Name(name) => out.push_str(found.name(name).map_or("", |m| m.as_str())),
            }
        }
        Ok(())
    }
}

fn search(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let mut groups = Vec::new();
    let mut rest = args.rest.iter();
    let pattern = match args.text("regex")? {
        Some(pattern) => pattern,
        None => python::checked_text(rest.next().ok_or_else(|| refuse("`regex_search` needs an expression"))?)?,
    };
    for group in rest {
        let group = python::checked_text(group)?;
        let name = match group.strip_prefix("\\g<").and_then(|g| g.strip_suffix('>')) {
            Some(name) => name.to_owned(),
            None => {
                let number = group.strip_prefix('\\').filter(|g| g.starts_with(|c: char| c.is_ascii_digit()));
                number.ok_or_else(|| refuse(format!("`{group}` is no group; write `\\1` or `\\g<name>`")))?.to_owned()
            }
        };
        groups.push(name);
    }
    let regex = compile(&pattern, args.flag("ignorecase"), args.flag("multiline"))?;
    let Some(found) = regex.0.captures(&text).map_err(|e| too_long(&e))? else { return Ok(Value::from(())) };
    if groups.is_empty() {
        return Ok(Value::from(found.get(0).map_or("", |m| m.as_str())));
    }
    let known: Vec<&str> = regex.0.capture_names().flatten().collect();
    let mut out = Vec::new();
    for group in groups {
        let item = match group.parse::<usize>() {
            Ok(number) if number < found.len() => found.get(number),
            Err(_) if known.contains(&group.as_str()) => found.name(&group),
            _ => {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("the expression has no group `{group}`")));
            }
        };
        out.push(item.map_or(Value::from(()), |m| Value::from(m.as_str())));
    }
    Ok(Value::from(out))
}

fn findall(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let regex = pattern_of(args, "regex")?;
    let one = |found: Captures<'_>| {
        let part = |n: usize| Value::from(found.get(n).map_or("", |m| m.as_str()));
        match found.len() {
            1 => part(0),
            2 => part(1),
            count => crate::template::methods::tuple((1..count).map(part).collect()),
        }
    };
    Ok(Value::from(regex.all(&text)?.into_iter().map(one).collect::<Vec<_>>()))
}

/// As Python's `re.escape`.
fn escape(text: &str) -> String {
    let special = |c: char| "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
