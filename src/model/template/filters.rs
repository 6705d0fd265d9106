//! Ansible's filters that minijinja does not have, or has otherwise.

pub(super) mod collections;
pub(super) mod crypt;
mod encode;
mod hashes;
mod maths;
mod network;
pub(super) mod random;
mod records;
mod regexes;
mod select;
mod sets;
mod text;
mod times;
mod urls;

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, State, Value};

use super::args::Args;
use super::world::World;

pub(super) use network::tests as network_tests;
pub(super) use regexes::compile;
pub(super) use text::{truth, type_name};
pub(super) use times::strftime;

/// Adds all of them; `names` receives what they are called.
pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    text::add(env, names, world);
    collections::add(env, names);
    records::add(env, names);
    select::add(env, names);
    sets::add(env, names);
    encode::add(env, names);
    hashes::add(env, names);
    crypt::add(env, names, world);
    regexes::add(env, names);
    maths::add(env, names);
    random::add(env, names, world);
    network::add(env, names);
    urls::add(env, names);
    times::add(env, names, world);
}

/// Registers a filter under its name and under `ansible.builtin.`'s. `params` names its arguments, as
/// [`Args::bind`] takes them.
pub(super) fn filter<F>(
    env: &mut Environment<'static>,
    names: &mut Vec<String>,
    name: &'static str,
    params: &'static str,
    f: F,
) where
    F: Fn(Value, Args) -> Result<Value, Error> + Send + Sync + 'static,
{
    tolerant(env, names, name, params, move |_, value, args| {
        // It keeps its name on the way to a `default`, or to the error.
        if value.is_undefined() {
            return Ok(value);
        }
        f(value, args)
    });
}

/// The same, for one that takes undefined values too.
pub(super) fn tolerant<F>(
    env: &mut Environment<'static>,
    names: &mut Vec<String>,
    name: &'static str,
    params: &'static str,
    f: F,
) where
    F: Fn(&mut State, Value, Args) -> Result<Value, Error> + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let prefixes: &[&str] = if network::NAMES.contains(&name) {
        &["", "ansible.utils.", "ansible.netcommon."]
    } else {
        &["", "ansible.builtin."]
    };
    for prefix in prefixes {
        let f = Arc::clone(&f);
        let call = move |state: &mut State, value: Value, rest: Rest<Value>, named: Kwargs| {
            let args = Args::bind(name, params, rest, &named)?;
            f(state, value, args)
        };
        env.add_filter(format!("{prefix}{name}"), call);
    }
    names.push(name.to_owned());
}
