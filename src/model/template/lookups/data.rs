//! Lookups over values, variables and the environment.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::Question;
use crate::template::args::{integer, items, refuse};
use crate::template::filters::collections;
use crate::template::filters::random::{self, Dice};
use crate::template::methods::tuple;
use crate::template::python;

type Answer = Result<Vec<Value>, Error>;

/// `lookup('env', 'HOME')`: empty when not set, as in Ansible, unless `default` is given.
pub(super) fn env(q: &Question<'_, '_, '_>) -> Answer {
    let default = if q.options.has("default") { q.options.get::<Value>("default")? } else { Value::from("") };
    let one = |name: String| {
        let value = q.world.env(&name).map_or_else(|| default.clone(), Value::from);
        if value.is_undefined() {
            let message = format!("the environment variable `{name}` is not set");
            return Err(Error::new(ErrorKind::UndefinedError, message));
        }
        Ok(value)
    };
    q.texts()?.into_iter().map(one).collect()
}

/// `lookup('vars', 'name')`.
pub(super) fn vars(q: &Question<'_, '_, '_>) -> Answer {
    let default = q.options.get::<Option<Value>>("default")?;
    let one = |term: &Value| {
        let Some(name) = term.as_str() else { return Err(refuse("it takes names of variables")) };
        match crate::template::scope::variable(q.state, name)? {
            Some(value) => Ok(value),
            None => default
                .clone()
                .ok_or_else(|| Error::new(ErrorKind::UndefinedError, format!("value `{name}` is undefined"))),
        }
    };
    q.terms.iter().map(one).collect()
}

/// `q('varnames', '^web_')`: names that an expression finds.
pub(super) fn varnames(q: &Question<'_, '_, '_>) -> Answer {
    let mut out = Vec::new();
    for term in &q.terms {
        let Some(pattern) = term.as_str() else { return Err(refuse("it takes regular expressions")) };
        let regex = crate::template::filters::compile(pattern, false, false)?;
        for name in crate::template::scope::known_names(q.state) {
            if regex.is_match(&name)? {
                out.push(Value::from(name));
            }
        }
    }
    Ok(out)
}

/// `lookup('dict', {…})`: pairs of key and value.
pub(super) fn dict(q: &Question<'_, '_, '_>) -> Answer {
    let mut out = Vec::new();
    for term in &q.terms {
        for (key, value) in collections::pairs(term)? {
            out.push(collections::record([("key", key), ("value", value)]));
        }
    }
    Ok(out)
}

/// `lookup('list', …)`: the terms as they are.
pub(super) fn list(q: &Question<'_, '_, '_>) -> Answer {
    Ok(q.terms.clone())
}

/// `lookup('items', …)`: the terms, lists among them opened once.
pub(super) fn items_(q: &Question<'_, '_, '_>) -> Answer {
    let mut out = Vec::new();
    for term in &q.terms {
        match term.kind() {
            ValueKind::Seq => out.extend(items(term)?),
            _ => out.push(term.clone()),
        }
    }
    Ok(out)
}

pub(super) fn indexed_items(q: &Question<'_, '_, '_>) -> Answer {
    let all = items_(q)?;
    Ok(all.into_iter().enumerate().map(|(n, item)| tuple(vec![Value::from(n), item])).collect())
}

pub(super) fn together(q: &Question<'_, '_, '_>) -> Answer {
    let lists = q.terms.iter().map(items).collect::<Result<Vec<_>, _>>()?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    if lists.is_empty() {
        return Err(refuse("it needs at least one list"));
    }
    let row = |n: usize| lists.iter().map(|l| l.get(n).cloned().unwrap_or(Value::from(()))).collect::<Vec<_>>();
    Ok((0..longest).map(|n| Value::from(row(n))).collect())
}

pub(super) fn nested(q: &Question<'_, '_, '_>) -> Answer {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    if q.terms.is_empty() {
        return Err(refuse("it needs at least one list"));
    }
    for term in &q.terms {
        let list = items(term)?;
        if rows.len().saturating_mul(list.len()) > 100_000 {
            return Err(refuse("the product is too large"));
        }
        rows = rows.iter().flat_map(|row| list.iter().map(move |v| [row.clone(), vec![v.clone()]].concat())).collect();
    }
    Ok(rows.into_iter().map(Value::from).collect())
}

pub(super) fn subelements(q: &Question<'_, '_, '_>) -> Answer {
    let [list, path, rest @ ..] = q.terms.as_slice() else {
        return Err(refuse("it takes a list and the name of a key"));
    };
    let skip = match rest.first() {
        Some(options) => options.get_attr("skip_missing")?.is_true(),
        None => false,
    };
    let records = match list.kind() {
        ValueKind::Map => collections::pairs(list)?.into_iter().map(|(_, v)| v).collect(),
        _ => items(list)?,
    };
    let kept: Vec<Value> = records.into_iter().filter(|r| !r.get_attr("skipped").is_ok_and(|v| v.is_true())).collect();
    collections::sub(&Value::from(kept), path, skip)
}

/// `lookup('random_choice', list)`.
pub(super) fn random_choice(q: &Question<'_, '_, '_>) -> Answer {
    if q.terms.is_empty() {
        return Ok(Vec::new());
    }
    let at = random::system(q.world)?.below(q.terms.len() as u64);
    Ok(vec![q.terms[usize::try_from(at).unwrap_or(0)].clone()])
}

/// `q('sequence', 'start=1 end=3 format=web%02d')` and the short form `1-5/2:web%02d`.
pub(super) fn sequence(q: &Question<'_, '_, '_>) -> Answer {
    let mut out = Vec::new();
    let terms = if q.terms.is_empty() { vec![String::new()] } else { q.texts()? };
    for term in terms {
        let mut plan = Plan { start: 1, end: None, count: None, stride: None, format: "%d".into() };
        for name in ["start", "end", "count", "stride"] {
            if let Some(value) = q.options.get::<Option<Value>>(name)? {
                plan.set(name, &python::text(&value), integer(&value))?;
            }
        }
        if let Some(format) = q.text("format")? {
            plan.format = format;
        }
        if !plan.short(&term)? {
            for word in term.split_whitespace() {
                let (name, value) =
                    word.split_once('=').ok_or_else(|| refuse(format!("`{word}` is no `name=value` of a sequence")))?;
                plan.set(name, value, None)?;
            }
        }
        out.extend(plan.run()?);
    }
    Ok(out)
}

struct Plan {
    start: i64,
    end: Option<i64>,
    count: Option<i64>,
    stride: Option<i64>,
    format: String,
}

fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => match digits.strip_prefix("0o") {
            Some(octal) => i64::from_str_radix(octal, 8).ok()?,
            None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8).ok()?,
            None => digits.parse().ok()?,
        },
    };
    Some(sign * number)
}

impl Plan {
    fn set(&mut self, name: &str, text: &str, number: Option<i64>) -> Result<(), Error> {
        if name == "format" {
            text.clone_into(&mut self.format);
            return Ok(());
        }
        let number =
            number.or_else(|| whole(text)).ok_or_else(|| refuse(format!("`{name}={text}` is no whole number")))?;
        match name {
            "start" => self.start = number,
            "end" => self.end = Some(number),
            "count" => self.count = Some(number),
            "stride" => self.stride = Some(number),
            other => return Err(refuse(format!("a sequence takes start, end, count, stride, format; not `{other}`"))),
        }
        Ok(())
    }

    /// `[start-]end[/stride][:format]`.
    fn short(&mut self, term: &str) -> Result<bool, Error> {
        let regex =
            regex::Regex::new(r"(?i)^((0?x?[0-9a-f]+)\s*-)?\s*(0?x?[0-9a-f]+)\s*(/\s*(0?x?[0-9a-f]+))?\s*(:(.+))?$")
                .map_err(|e| refuse(e.to_string()))?;
        let Some(found) = regex.captures(term) else { return Ok(false) };
        for (at, name) in [(2, "start"), (3, "end"), (5, "stride"), (7, "format")] {
            if let Some(text) = found.get(at) {
                self.set(name, text.as_str(), None)?;
            }
        }
        Ok(true)
    }

    fn run(self) -> Answer {
        let mut end = self.end.map(i128::from);
        let (start, stride) = (i128::from(self.start), i128::from(self.stride.unwrap_or(1)));
        if let Some(count) = self.count {
            if end.is_some() {
                return Err(refuse("give `count` or `end`, not both"));
            }
            if count == 0 {
                return Ok(Vec::new());
            }
            end = Some(start + (i128::from(count) - 1) * stride);
        }
        let end = end.ok_or_else(|| refuse("give `count` or `end`"))?;
        if stride > 0 && end < start {
            return Err(refuse("to count backwards, give a negative `stride`"));
        }
        if stride < 0 && end > start {
            return Err(refuse("to count forward, give a positive `stride`"));
        }
        if stride == 0 {
            return Ok(Vec::new());
        }
        if (end - start) / stride > 100_000 {
            return Err(refuse("the sequence is too long"));
        }
        if self.format.replace("%%", "").matches('%').count() != 1 {
            return Err(refuse(format!("`{}` needs exactly one place for the number", self.format)));
        }
        let (mut out, mut at) = (Vec::new(), start);
        while (stride > 0 && at <= end) || (stride < 0 && at >= end) {
            out.push(Value::from(minijinja::formatting::format(
                minijinja::formatting::FormatStyle::Printf,
                &self.format,
                &[i64::try_from(at).map_or_else(|_| Value::from(at), Value::from)],
            )?));
            at += stride;
        }
        Ok(out)
    }
}
