//! The environment: syntax, limits, filters, tests, functions.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, escape_formatter};

use super::error::Known;
use super::{filters, tests};

/// Steps one evaluation may take.
const FUEL: u64 = 20_000_000;

/// Filters of minijinja itself that templates may use, for messages.
const BUILT_IN_FILTERS: &str = "abs attr batch capitalize count d default dictsort e escape first float format groupby indent int items join last length lines list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort split string sum title tojson trim unique upper zip";
const BUILT_IN_TESTS: &str = "boolean defined divisibleby endingwith eq equalto even false filter float ge greaterthan gt in int integer iterable le lessthan lower lt mapping ne none number odd sameas sequence startingwith string test true undefined upper";

/// A configured template environment, cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// For variables: values inside a longer text are printed as Python does (`True`, `None`).
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
    /// With Ansible's filters and tests.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with more functions, filters or globals added.
    pub fn with(more: impl Fn(&mut Environment<'static>)) -> Self {
        let mut known = Known {
            filters: BUILT_IN_FILTERS.split(' ').map(str::to_owned).collect(),
            tests: BUILT_IN_TESTS.split(' ').map(str::to_owned).collect(),
            functions: vec!["range".into(), "dict".into(), "namespace".into()],
        };
        let build = |known: &mut Known, python_text: bool, trim: bool| {
            let mut env = Environment::new();
            env.set_undefined_behavior(UndefinedBehavior::Strict);
            env.set_auto_escape_callback(|_| AutoEscape::None);
            // Names what was undefined; its dump of values is never printed.
            env.set_debug(true);
            env.set_fuel(Some(FUEL));
            env.set_recursion_limit(60);
            env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
            if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(trim).keep_trailing_newline(trim).build() {
                env.set_syntax(syntax);
            }
            env.set_formatter(move |out, state, value| {
                let text = match value.kind() {
                    ValueKind::Undefined | ValueKind::Invalid => return escape_formatter(out, state, value),
                    ValueKind::String => return out.write_str(value.as_str().unwrap_or_default()).map_err(Into::into),
                    ValueKind::None if !python_text => return Ok(()),
                    ValueKind::Bool if !python_text => value.is_true().to_string(),
                    _ => super::python::checked_text(value)?,
                };
                out.write_str(&text).map_err(Into::into)
            });
            filters::add(&mut env, &mut known.filters);
            tests::add(&mut env, &mut known.tests);
            more(&mut env);
            known.functions.extend(env.globals().map(|(name, _)| name.to_owned()));
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
}
