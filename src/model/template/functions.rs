//! Functions: `dict`, `now`, `undef`.

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::args::{items, refuse};
use super::filters::{collections, strftime};
use super::world::World;

/// Adds them.
pub(super) fn add(env: &mut Environment<'static>, world: &Arc<dyn World>) {
    env.add_function("dict", dict);
    let world = Arc::clone(world);
    env.add_function("now", move |positional: Rest<Value>, named: Kwargs| {
        let _ = named.get::<Option<Value>>("utc")?;
        let format = named.get::<Option<String>>("fmt")?.or(positional.0.get(1).map(|v| v.to_string()));
        named.assert_all_used()?;
        let format = format.ok_or_else(|| refuse("`now` needs `fmt` here: `now(fmt='%Y-%m-%d')`; it is UTC"))?;
        strftime(&format, world.now().map_err(refuse)?.floor() as i64)
    });
    // Its hint is in the expression that the message shows.
    env.add_function("undef", |_hint: Rest<Value>, named: Kwargs| {
        let _ = named.get::<Option<Value>>("hint")?;
        named.assert_all_used().map(|()| Value::UNDEFINED)
    });
}

/// As Python's: a mapping or a list of pairs, and names.
fn dict(given: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    let mut out: Vec<(Value, Value)> = match given.0.as_slice() {
        [] => Vec::new(),
        [one] if one.kind() == ValueKind::Map => collections::pairs(one)?,
        [one] => {
            let mut out = Vec::new();
            for pair in items(one)? {
                match <[Value; 2]>::try_from(items(&pair)?) {
                    Ok([key, value]) => out.push((key, value)),
                    Err(_) => return Err(refuse("`dict` takes pairs")),
                }
            }
            out
        }
        _ => return Err(refuse("`dict` takes one mapping or list of pairs")),
    };
    for name in named.args() {
        out.push((Value::from(name), named.get::<Value>(name)?));
    }
    Ok(Value::from_pairs(out))
}
