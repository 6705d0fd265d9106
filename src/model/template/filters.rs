//! Ansible's filters that minijinja does not have, or has otherwise.

mod collections;
mod encode;
mod regexes;
mod text;

use minijinja::{Environment, Error, ErrorKind};

pub(super) use regexes::compile;
pub(super) use text::truth;

/// Adds all of them; `names` receives what they are called.
pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    text::add(env, names);
    collections::add(env, names);
    encode::add(env, names);
    regexes::add(env, names);
}

/// Registers a filter under its name and under `ansible.builtin.`'s.
macro_rules! filter {
    ($env:expr, $names:expr, $name:literal, $function:expr) => {
        $env.add_filter($name, $function);
        $env.add_filter(concat!("ansible.builtin.", $name), $function);
        $names.push($name.to_owned());
    };
}
pub(super) use filter;

/// A filter's refusal.
pub(super) fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
