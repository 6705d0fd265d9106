//! `lookup`, `query` and `q`. What they need from outside comes through [`World`].

mod data;
mod files;
mod password;

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::args::refuse;
use super::error::{TemplateError, Trouble};
use super::python;
use super::world::World;

/// One lookup's question.
pub(super) struct Question<'a, 'b, 'c> {
    /// The terms.
    pub terms: Vec<Value>,
    /// The options.
    pub options: &'a Kwargs,
    /// Where the template stands: its variables.
    pub state: &'a State<'b, 'c>,
    /// What is outside.
    pub world: &'a Arc<dyn World>,
}

impl Question<'_, '_, '_> {
    /// An option as text.
    pub fn text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.options.get::<Option<Value>>(name)? {
            None => Ok(None),
            Some(value) if value.is_none() => Ok(None),
            Some(value) if value.is_undefined() => Err(refuse(format!("the option `{name}` is undefined"))),
            Some(value) => python::checked_text(&value).map(Some),
        }
    }

    /// An option as true or false.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        let value = self.options.get::<Option<Value>>(name)?.filter(|v| !v.is_none());
        Ok(value.map_or(default, |v| if v.as_str().is_some() { super::filters::truth(&v) } else { v.is_true() }))
    }

    /// The terms as texts.
    pub fn texts(&self) -> Result<Vec<String>, Error> {
        let one = |term: &Value| match term.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(refuse(format!("it takes texts, not {}", super::filters::type_name(term)))),
        };
        self.terms.iter().map(one).collect()
    }
}

type Answer = fn(&Question<'_, '_, '_>) -> Result<Vec<Value>, Error>;

/// Every lookup there is.
const LOOKUPS: [(&str, Answer); 20] = [
    ("dict", data::dict),
    ("env", data::env),
    ("file", files::file),
    ("fileglob", files::fileglob),
    ("first_found", files::first_found),
    ("indexed_items", data::indexed_items),
    ("items", data::items_),
    ("lines", files::lines),
    ("list", data::list),
    ("nested", data::nested),
    ("password", password::password),
    ("pipe", files::pipe),
    ("random_choice", data::random_choice),
    ("sequence", data::sequence),
    ("subelements", data::subelements),
    ("template", files::template),
    ("together", data::together),
    ("unvault", files::unvault),
    ("varnames", data::varnames),
    ("vars", data::vars),
];

/// Those of Ansible that are not here, and what to do instead.
const ABSENT: [(&str, &str); 4] = [
    ("url", "nothing is fetched while an inventory is read; put the value into a variable or a file"),
    ("csvfile", "read the file with `lookup('file', …)` and `split`"),
    ("ini", "read the file with `lookup('file', …)` and `regex_search`"),
    ("config", "there is no ansible.cfg behind it here"),
];

/// Names of all lookups, for messages and documentation.
pub fn names() -> impl Iterator<Item = &'static str> {
    LOOKUPS.iter().map(|(name, _)| *name)
}

/// Adds the functions.
pub(super) fn add(env: &mut Environment<'static>, world: &Arc<dyn World>) {
    for name in ["lookup", "query", "q"] {
        let world = Arc::clone(world);
        env.add_function(name, move |state: &mut State, plugin: String, terms: Rest<Value>, options: Kwargs| {
            ask(state, &world, &plugin, terms, &options, name != "lookup")
        });
    }
}

fn unknown(name: &str) -> Error {
    let absent = ABSENT.iter().find(|(n, _)| *n == name);
    let message = match absent {
        Some((_, why)) => format!("the lookup `{name}` does not exist here: {why}"),
        None => format!("there is no lookup `{name}`"),
    };
    let mut error = TemplateError::new(Trouble::Unknown, message);
    error.help = Some(match crate::diag::nearest(name, names()).filter(|_| absent.is_none()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("available: {}", names().collect::<Vec<_>>().join(", ")),
    });
    error.into_engine()
}

fn ask(
    state: &mut State,
    world: &Arc<dyn World>,
    plugin: &str,
    terms: Rest<Value>,
    options: &Kwargs,
    query: bool,
) -> Result<Value, Error> {
    let name = plugin.strip_prefix("ansible.builtin.").or(plugin.strip_prefix("ansible.legacy.")).unwrap_or(plugin);
    let Some((name, answer)) = LOOKUPS.iter().find(|(n, _)| *n == name) else { return Err(unknown(name)) };
    let want_list = options.get::<Option<Value>>("wantlist")?.map_or(query, |v| v.is_true());
    let errors = options.get::<Option<String>>("errors")?.unwrap_or_else(|| "strict".into());
    if !["strict", "warn", "ignore"].contains(&errors.as_str()) {
        return Err(refuse(format!("`errors` of a lookup is strict, warn or ignore, not `{errors}`")));
    }
    if let Some(term) = terms.0.iter().find(|t| t.is_undefined()) {
        // Undefined is never ignored: it is the template's mistake, not the lookup's. This names it.
        state.format(term.clone())?;
    }
    let state = &*state;
    let question = Question { terms: terms.0, options, state, world };
    let answered = answer(&question).and_then(|values| options.assert_all_used().map(|()| values));
    let values = match answered {
        Ok(values) => values,
        Err(error) if errors != "strict" && error.kind() != ErrorKind::UndefinedError => {
            return Ok(if want_list { Value::from(Vec::<Value>::new()) } else { Value::from(()) });
        }
        Err(error) => return Err(named(name, error)),
    };
    if want_list {
        return Ok(Value::from(values));
    }
    match <[Value; 1]>::try_from(values) {
        Ok([one]) => Ok(one),
        Err(values) if !values.is_empty() && values.iter().all(|v| v.as_str().is_some()) => {
            Ok(Value::from(values.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(",")))
        }
        Err(values) => Ok(Value::from(values)),
    }
}

/// The failure with the lookup's name before it.
fn named(name: &str, error: Error) -> Error {
    if std::error::Error::source(&error).is_some() || error.kind() == ErrorKind::UndefinedError {
        return error;
    }
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::new(error.kind(), format!("the lookup `{name}`: {detail}"))
}
