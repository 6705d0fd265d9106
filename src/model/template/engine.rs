//! The environment: syntax, limits, filters, tests, functions.

use std::cell::RefCell;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, escape_formatter};

use super::error::Known;
use super::world::{Nowhere, World};
use super::{filters, functions, jinja, lookups, methods, tests};
use crate::template::Value;

/// Steps one evaluation may take.
const FUEL: u64 = 20_000_000;

/// Filters of minijinja itself that templates may use, for messages.
const BUILT_IN_FILTERS: &str = "abs attr batch capitalize count d default dictsort e escape first float format groupby indent int items join last length lines list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort split string sum title tojson trim unique upper urlencode zip";
const BUILT_IN_TESTS: &str = "boolean defined divisibleby endingwith eq equalto even false filter float ge greaterthan gt in int integer iterable le lessthan lower lt mapping ne none number odd sameas sequence startingwith string test true undefined upper";

thread_local! {
    /// What the text of a variable printed so far, so that a lone value keeps its type; `None` outside.
    static PRINTED: RefCell<Option<Vec<(Value, String)>>> = const { RefCell::new(None) };
}

/// A configured template environment, cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// For variables: values inside a longer text are printed as Python does (`True`), null as nothing.
    pub(super) variables: Arc<Environment<'static>>,
    /// For texts of roles: `true` and `false`, nothing for null.
    pub(super) texts: Arc<Environment<'static>>,
    /// The same for template files: blocks leave no empty lines.
    pub(super) files: Arc<Environment<'static>>,
    pub(super) known: Arc<Known>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// With Ansible's filters and tests; lookups find no world.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with more functions, filters or globals added.
    pub fn with(more: impl Fn(&mut Environment<'static>)) -> Self {
        Self::in_world(Arc::new(Nowhere), more)
    }

    /// The same, with a world for lookups.
    pub fn in_world(world: Arc<dyn World>, more: impl Fn(&mut Environment<'static>)) -> Self {
        let mut known = Known {
            filters: BUILT_IN_FILTERS.split(' ').map(str::to_owned).collect(),
            tests: BUILT_IN_TESTS.split(' ').map(str::to_owned).collect(),
            functions: ["range", "dict", "namespace", "lookup", "query", "q"].map(str::to_owned).to_vec(),
        };
        let build = |known: &mut Known, variables: bool, trim: bool| {
            let mut env = Environment::new();
            env.set_undefined_behavior(UndefinedBehavior::Strict);
            env.set_auto_escape_callback(|_| AutoEscape::None);
            // Names what was undefined; its dump of values is never printed.
            env.set_debug(true);
            env.set_fuel(Some(FUEL));
            env.set_recursion_limit(60);
            env.set_unknown_method_callback(methods::call);
            // Variables keep their last line breaks in `Scope::template`.
            if let Ok(syntax) =
                SyntaxConfig::builder().trim_blocks(trim || variables).keep_trailing_newline(trim).build()
            {
                env.set_syntax(syntax);
            }
            env.set_formatter(move |out, state, value| {
                let text = match value.kind() {
                    ValueKind::Undefined | ValueKind::Invalid => return escape_formatter(out, state, value),
                    ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
                    ValueKind::None => String::new(),
                    ValueKind::Bool if !variables => value.is_true().to_string(),
                    _ => super::python::checked_text(value)?,
                };
                if variables {
                    PRINTED.with_borrow_mut(|printed| {
                        if let Some(printed) = printed {
                            printed.push((value.clone(), text.clone()));
                        }
                    });
                }
                out.write_str(&text).map_err(Into::into)
            });
            // First, so that ours of the same name take their place.
            aliases(&mut env);
            filters::add(&mut env, &mut known.filters, &world);
            tests::add(&mut env, &mut known.tests, &world);
            lookups::add(&mut env, &world);
            env.add_function(jinja::PATH, path);
            functions::add(&mut env, &world);
            more(&mut env);
            let own = |name: &str| !name.starts_with("__") && name != "debug";
            known.functions.extend(env.globals().map(|(name, _)| name.to_owned()).filter(|n| own(n)));
            env
        };
        let variables = build(&mut known, true, false);
        let texts = build(&mut Known::default(), false, false);
        let files = build(&mut Known::default(), false, true);
        Engine {
            variables: Arc::new(variables),
            texts: Arc::new(texts),
            files: Arc::new(files),
            known: Arc::new(known),
        }
    }

    /// Names of all filters.
    pub fn filters(&self) -> &[String] {
        &self.known.filters
    }

    /// Names of all tests.
    pub fn tests(&self) -> &[String] {
        &self.known.tests
    }
}

/// A path of keys of which every one may be missing: what is asked with `default` and `is defined`.
fn path(state: &mut State, base: Value, keys: Rest<Value>) -> Result<Value, Error> {
    if let Some(missing) = keys.0.iter().find(|k| k.is_undefined()) {
        state.format(missing.clone())?;
    }
    let mut at = base;
    for key in keys.0 {
        if at.is_undefined() {
            return Ok(Value::UNDEFINED);
        }
        at = match at.kind() {
            ValueKind::None | ValueKind::Number | ValueKind::Bool => return Ok(Value::UNDEFINED),
            _ => at.get_item(&key)?,
        };
    }
    Ok(at)
}

/// minijinja's own filters and tests under Ansible's full names.
fn aliases(env: &mut Environment<'static>) {
    for name in BUILT_IN_FILTERS.split(' ') {
        env.add_filter(
            format!("ansible.builtin.{name}"),
            move |state: &mut State, args: Rest<Value>, named: Kwargs| {
                let mut args = args.0;
                if named.args().next().is_some() {
                    args.push(Value::from(named));
                }
                state.apply_filter(name, &args)
            },
        );
    }
    for name in BUILT_IN_TESTS.split(' ') {
        env.add_test(format!("ansible.builtin.{name}"), move |state: &mut State, args: Rest<Value>| {
            state.perform_test(name, &args.0)
        });
    }
}

/// Runs a rendering and says what it printed, value by value.
pub(super) fn watched<T>(render: impl FnOnce() -> T) -> (T, Vec<(Value, String)>) {
    let outer = PRINTED.with_borrow_mut(|printed| printed.replace(Vec::new()));
    let result = render();
    let printed = PRINTED.with_borrow_mut(|printed| std::mem::replace(printed, outer));
    (result, printed.unwrap_or_default())
}
