//! Arguments of filters, tests and lookups as Python takes them: by position or by name.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::python;

/// The arguments after the value, by name.
#[derive(Debug)]
pub(super) struct Args {
    what: &'static str,
    names: Vec<&'static str>,
    values: Vec<Option<Value>>,
    /// What stands behind the named ones, where `*` is the last name.
    pub rest: Vec<Value>,
}

/// A refusal.
pub(super) fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

impl Args {
    /// `names`: separated by spaces; a last `*` takes any number of further positions.
    pub fn bind(what: &'static str, names: &'static str, given: Rest<Value>, named: &Kwargs) -> Result<Self, Error> {
        let mut names: Vec<&'static str> = names.split_whitespace().collect();
        let open = names.last() == Some(&"*");
        if open {
            names.pop();
        }
        let known = || if names.is_empty() { "no arguments".to_owned() } else { names.join(", ") };
        let mut values: Vec<Option<Value>> = vec![None; names.len()];
        let mut rest = Vec::new();
        for (n, value) in given.0.into_iter().enumerate() {
            match values.get_mut(n) {
                // With `*` in the list, names are given by name only.
                Some(slot) if !open => *slot = Some(value),
                _ if open => rest.push(value),
                _ => return Err(refuse(format!("`{what}` takes {}, and was given more", known()))),
            }
        }
        for name in named.args() {
            let Some(at) = names.iter().position(|n| *n == name) else {
                return Err(refuse(format!("`{what}` has no argument `{name}`; it takes {}", known())));
            };
            if values[at].is_some() {
                return Err(refuse(format!("`{what}` was given `{name}` twice")));
            }
            values[at] = Some(named.get::<Value>(name)?);
        }
        Ok(Args { what, names, values, rest })
    }

    /// What was given; `None` for nothing, also for `none`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.given(name).filter(|v| !v.is_none())
    }

    /// What was given, `none` too.
    pub fn given(&self, name: &str) -> Option<&Value> {
        let at = self.names.iter().position(|n| *n == name)?;
        self.values[at].as_ref()
    }

    /// [`Args::get`], or a refusal.
    pub fn need(&self, name: &str) -> Result<&Value, Error> {
        self.given(name).ok_or_else(|| refuse(format!("`{}` needs an argument, `{name}`", self.what)))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.is_undefined() => Err(undefined(self.what, name)),
            Some(value) => Ok(Some(python::checked_text(value)?)),
        }
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => integer(value)
                .map(Some)
                .ok_or_else(|| refuse(format!("`{name}` of `{}` must be a whole number", self.what))),
        }
    }

    /// A small count, no less than 0.
    pub fn count(&self, name: &str, most: usize) -> Result<Option<usize>, Error> {
        let Some(number) = self.int(name)? else { return Ok(None) };
        match usize::try_from(number).ok().filter(|n| *n <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(refuse(format!("`{name}` of `{}` must be between 0 and {most}", self.what))),
        }
    }

    /// True or false, as Python's `bool()` sees the value.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::is_true)
    }
}

fn undefined(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::UndefinedError, format!("`{what}` was given an undefined `{name}`"))
}

/// A whole number: Python's integers and booleans.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value.kind() {
        ValueKind::Bool => Some(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.as_i64(),
        _ => None,
    }
}

/// A number that is no text.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok().or_else(|| value.to_string().parse().ok()),
        _ => None,
    }
}

/// The items of a list; texts and mappings are refused where Python's lists are needed.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    value.try_iter()?.checked().collect()
}
