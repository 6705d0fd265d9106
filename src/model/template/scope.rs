//! The variables of one host (or of one place) as templates see them.

mod explain;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::ValueKind;

use super::engine::{Engine, watched};
use super::error::{TemplateError, Trouble};
use super::jinja::{rewrite, rewrite_expression};
use super::lazy::{HostVarsMap, LazyMap, LazySeq, Root, VarsMap};
use super::plain::plain;
use super::text::{double_backslashes, is_template, lone_expression};
use super::way::step;
use super::{Found, Lookup, taint};
use crate::secret::Secret;
use crate::vault;
use crate::yaml::{self, Node};

/// Variables and an engine. Cheap to clone; every variable is evaluated once.
#[derive(Clone)]
pub struct Scope(pub(super) Arc<Inner>);

pub(super) struct Inner {
    engine: Engine,
    pub vars: Arc<dyn Lookup>,
    globals: BTreeMap<String, Value>,
    cache: Mutex<HashMap<String, Result<Option<Value>, TemplateError>>>,
    hosts: Mutex<HashMap<String, Scope>>,
    /// Variables that were computed from a vault.
    vaulted: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope")
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scope {
    /// The variables of a lookup.
    pub fn new(engine: &Engine, vars: Arc<dyn Lookup>) -> Self {
        Self::build(engine.clone(), vars, BTreeMap::new())
    }

    fn build(engine: Engine, vars: Arc<dyn Lookup>, globals: BTreeMap<String, Value>) -> Self {
        Scope(Arc::new(Inner {
            engine,
            vars,
            globals,
            cache: Mutex::default(),
            hosts: Mutex::default(),
            vaulted: Mutex::default(),
        }))
    }

    /// The same with one more name, which wins over a variable of that name; variables that are
    /// templates see it too.
    pub fn with(&self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut globals = self.0.globals.clone();
        globals.insert(name.into(), value.into());
        Self::build(self.0.engine.clone(), Arc::clone(&self.0.vars), globals)
    }

    /// The same with several more names.
    pub fn with_all(&self, values: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut globals = self.0.globals.clone();
        globals.extend(values);
        Self::build(self.0.engine.clone(), Arc::clone(&self.0.vars), globals)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Where its variables come from.
    pub fn vars(&self) -> &Arc<dyn Lookup> {
        &self.0.vars
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.0.vars.names();
        names.extend(self.0.globals.keys().cloned());
        names
    }

    /// The scope of another host, with the same extra names.
    pub(super) fn of_host(&self, host: &str) -> Option<Scope> {
        if let Some(scope) = lock(&self.0.hosts).get(host) {
            return Some(scope.clone());
        }
        let vars = self.0.vars.host(host)?;
        let scope = Self::build(self.0.engine.clone(), vars, self.0.globals.clone());
        lock(&self.0.hosts).insert(host.to_owned(), scope.clone());
        Some(scope)
    }

    /// The final value of a variable: templated, with its native type; `None` when it is not defined.
    pub fn get(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        match self.value(name)? {
            None => Ok(None),
            Some(value) => {
                let value = self.force(&value, 0).map_err(|error| self.on_the_way(error, name))?;
                self.register(name, &value);
                Ok(Some(value))
            }
        }
    }

    /// [`Scope::get`] as JSON.
    pub fn get_json(&self, name: &str) -> Result<Option<serde_json::Value>, TemplateError> {
        Ok(self.get(name)?.map(|value| super::to_json(&value)))
    }

    /// [`Scope::get`] for a variable that must be there.
    pub fn require(&self, name: &str) -> Result<Value, TemplateError> {
        self.get(name)?.ok_or_else(|| self.undefined(name))
    }

    /// A text of a role with templates in it: booleans are printed as `true` and `false`. `extra` is seen
    /// by this text alone.
    pub fn render_str(&self, text: &str, extra: Value) -> Result<String, TemplateError> {
        if !is_template(text) {
            return Ok(text.to_owned());
        }
        self.render(&self.0.engine.texts, "text", text, extra)
    }

    /// A template file of a role: like [`Scope::render_str`], and blocks leave no empty lines, the last
    /// line break stays.
    pub fn render_template(&self, name: &str, source: &str, extra: Value) -> Result<String, TemplateError> {
        let mut error = match self.render(&self.0.engine.files, name, source, extra) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        if error.place.is_none() {
            error.message = format!("templates/{name}: {}", error.message);
        }
        Err(error)
    }

    fn render(
        &self,
        env: &minijinja::Environment<'static>,
        name: &str,
        text: &str,
        extra: Value,
    ) -> Result<String, TemplateError> {
        let root = Value::from_object(Root { scope: self.clone(), extra });
        let text = rewrite(text);
        let result = env.template_from_named_str(name, &text).and_then(|template| template.render(root));
        result.map_err(|error| self.explain(&error))
    }

    /// An expression, without braces; its value keeps its type.
    pub fn eval(&self, expression: &str) -> Result<Value, TemplateError> {
        self.eval_with(expression, Value::UNDEFINED)
    }

    /// [`Scope::eval`] with names of its own.
    pub fn eval_with(&self, expression: &str, extra: Value) -> Result<Value, TemplateError> {
        let root = Value::from_object(Root { scope: self.clone(), extra });
        let rewritten = rewrite_expression(expression);
        let compiled = self.0.engine.variables.compile_expression(&rewritten).map_err(|e| self.explain(&e))?;
        let value = compiled.eval(root).map_err(|e| self.explain(&e))?;
        if value.is_undefined() {
            return Err(self.undefined(expression.trim()));
        }
        self.force(&value, 0)
    }

    /// A text as Ansible templates it: a lone `{{ expression }}` keeps its type, everything else is text.
    pub fn template(&self, text: &str, extra: Value) -> Result<Value, TemplateError> {
        let value = self.template_lazily(text, extra)?;
        self.force(&value, 0)
    }

    fn template_lazily(&self, text: &str, extra: Value) -> Result<Value, TemplateError> {
        if !is_template(text) {
            return Ok(Value::from(text));
        }
        let doubled = double_backslashes(text);
        let rewritten = rewrite(&doubled);
        if let Some(inner) = lone_expression(&rewritten)
            && let Ok(compiled) = self.0.engine.variables.compile_expression(inner)
        {
            let root = Value::from_object(Root { scope: self.clone(), extra });
            let value = compiled.eval(root).map_err(|e| self.explain(&e))?;
            if value.is_undefined() {
                return Err(self.undefined(lone_expression(text).unwrap_or(inner).trim()));
            }
            return Ok(value);
        }
        let (rendered, printed) = watched(|| self.render(&self.0.engine.variables, "text", &rewritten, extra));
        Ok(native(text, rendered?, printed))
    }

    /// Any node, with everything in it templated.
    pub fn resolve(&self, node: &Node) -> Result<Value, TemplateError> {
        let value = self.node(node)?;
        self.force(&value, 0)
    }

    /// For the engine: a failure becomes a value that fails when it is used, a missing variable stays
    /// missing so that `default` works.
    pub(super) fn value_or_invalid(&self, name: &str) -> Option<Value> {
        match self.value(name) {
            Ok(value) => value,
            Err(error) if error.trouble == Trouble::Undefined => None,
            Err(error) => Some(Value::from(error.into_engine())),
        }
    }

    pub(super) fn element(&self, node: &Node) -> Value {
        match self.node(node) {
            Ok(value) => value,
            Err(error) => Value::from(error.into_engine()),
        }
    }

    /// The value of a variable, its parts not yet templated.
    fn value(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        if let Some(value) = self.0.globals.get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some(known) = lock(&self.0.cache).get(name) {
            if lock(&self.0.vaulted).contains(name) {
                taint::touch();
            }
            return known.clone();
        }
        let result = match self.0.vars.find(name) {
            Some(found) => {
                let (value, vaulted) = taint::watch(|| self.evaluate(name, &found));
                if vaulted {
                    lock(&self.0.vaulted).insert(name.to_owned());
                }
                value.map(Some)
            }
            None if name == "hostvars" && !self.0.vars.hosts().is_empty() => {
                Ok(Some(Value::from_object(HostVarsMap { scope: Arc::downgrade(&self.0) })))
            }
            None if name == "vars" => Ok(Some(Value::from_object(VarsMap { scope: Arc::downgrade(&self.0) }))),
            None => Ok(None),
        };
        // Failures too: whatever is reached from a cycle and reaches it fails from everywhere.
        lock(&self.0.cache).insert(name.to_owned(), result.clone());
        result
    }

    fn evaluate(&self, name: &str, found: &Found) -> Result<Value, TemplateError> {
        if found.raw {
            return Ok(plain(&found.value));
        }
        let identity = Arc::as_ptr(&self.0) as usize ^ hash(name);
        let result = step(identity, name).and_then(|_step| {
            let value = self.node(&found.value)?;
            self.register(name, &value);
            Ok(value)
        });
        result.map_err(|error| {
            let mut error = self.on_the_way(error, name);
            if error.place.is_none() {
                error.place = found.place.clone();
            }
            error
        })
    }

    fn on_the_way(&self, mut error: TemplateError, name: &str) -> TemplateError {
        if error.chain.first().map(String::as_str) != Some(name) {
            error.chain.insert(0, name.to_owned());
        }
        error
    }

    fn register(&self, name: &str, value: &Value) {
        if self.0.vars.is_secret(name) {
            hide(value, 0, &|text| drop(Secret::new(text)));
        } else if self.0.vars.is_vaulted(name) {
            hide(value, 0, &vault::protect);
        }
    }

    fn node(&self, node: &Node) -> Result<Value, TemplateError> {
        match &node.value {
            yaml::Value::Str(text) if !node.raw && is_template(text) => {
                // The text's own address tells apart templates that stand inside a list or mapping.
                let _step = step(text.as_ptr() as usize ^ Arc::as_ptr(&self.0) as usize, "")?;
                let (value, vaulted) = taint::watch(|| self.template_lazily(text, Value::UNDEFINED));
                if vaulted && let Some(text) = value.as_ref().ok().and_then(Value::as_str) {
                    vault::protect(text);
                }
                value
            }
            yaml::Value::Seq(items) => {
                Ok(Value::from_object(LazySeq { scope: Arc::downgrade(&self.0), items: Arc::clone(items) }))
            }
            yaml::Value::Map(map) => {
                Ok(Value::from_object(LazyMap { scope: Arc::downgrade(&self.0), map: Arc::clone(map) }))
            }
            yaml::Value::Vault(armoured) => match self.0.vars.decrypt(armoured) {
                Ok(secret) => {
                    taint::touch();
                    let text = secret.expose_str().unwrap_or_default();
                    vault::protect(text);
                    Ok(Value::from(text))
                }
                Err(why) => {
                    let error = TemplateError::new(Trouble::Vault, format!("a vault value cannot be opened: {why}"));
                    Err(TemplateError { help: Some(why.help()), ..error })
                }
            },
            _ => Ok(plain(node)),
        }
    }

    /// Everything in a value evaluated, so that it can leave the scope.
    fn force(&self, value: &Value, depth: usize) -> Result<Value, TemplateError> {
        if depth > 60 {
            return Err(TemplateError::new(Trouble::Other, "the value is nested too deep"));
        }
        let inner = |value: &Value| self.force(value, depth + 1);
        match value.kind() {
            ValueKind::Invalid => {
                let error = super::python::error_of(value);
                Err(error.map_or_else(|| TemplateError::new(Trouble::Other, value.to_string()), |e| self.explain(&e)))
            }
            ValueKind::Undefined if depth > 0 => {
                Err(TemplateError::new(Trouble::Undefined, "a value inside it is undefined"))
            }
            ValueKind::Map if value.as_object().is_some() => {
                let keys: Vec<Value> = value.try_iter().map_err(|e| self.explain(&e))?.collect();
                let mut pairs = Vec::with_capacity(keys.len());
                for key in keys {
                    let item = value.get_item(&key).map_err(|e| self.explain(&e))?;
                    pairs.push((key, inner(&item)?));
                }
                Ok(Value::from_pairs(pairs))
            }
            ValueKind::Seq | ValueKind::Iterable if value.as_object().is_some() => {
                let items: Vec<Value> = value.try_iter().map_err(|e| self.explain(&e))?.collect();
                Ok(Value::from(items.iter().map(inner).collect::<Result<Vec<_>, _>>()?))
            }
            _ => Ok(value.clone()),
        }
    }
}

/// What a text of a variable becomes: the one value it printed keeps its type, a text keeps the line breaks
/// at its end, and nothing at all is null.
fn native(text: &str, rendered: String, printed: Vec<(Value, String)>) -> Value {
    let mut shown = printed.iter().filter(|(_, text)| !text.is_empty());
    match (shown.next(), shown.next()) {
        (Some((value, shown)), None) if *shown == rendered && value.as_str().is_none() => return value.clone(),
        (None, _) if rendered.is_empty() && printed.iter().all(|(v, _)| v.is_none()) => return Value::from(()),
        _ => {}
    }
    let breaks = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let missing = breaks(text).saturating_sub(breaks(&rendered));
    Value::from(rendered + &"\n".repeat(missing))
}

/// The names of all variables that a template sees.
pub(super) fn known_names(state: &minijinja::State) -> Vec<String> {
    let scope = state.lookup(super::lazy::HERE);
    scope.and_then(|s| s.downcast_object_ref::<Root>().map(|root| root.scope.names())).unwrap_or_default()
}

/// A variable that a template sees; `None` when it is defined nowhere, a failure when it fails.
pub(super) fn variable(state: &minijinja::State, name: &str) -> Result<Option<Value>, minijinja::Error> {
    if let Some(value) = state.lookup(name).filter(|v| !v.is_undefined()) {
        return Ok(Some(value));
    }
    let here = state.lookup(super::lazy::HERE);
    match here.as_ref().and_then(|s| s.downcast_object_ref::<Root>()) {
        Some(root) => root.scope.value(name).map_err(TemplateError::into_engine),
        None => Ok(None),
    }
}

/// A text rendered with the variables that a template sees.
pub(super) fn render_here(
    state: &minijinja::State,
    name: &str,
    text: &str,
    extra: Value,
) -> Result<Value, minijinja::Error> {
    let scope = state.lookup(super::lazy::HERE);
    let Some(root) = scope.as_ref().and_then(|s| s.downcast_object_ref::<Root>()) else {
        return Err(super::args::refuse("there are no variables here"));
    };
    let _step = step(hash(name), name).map_err(TemplateError::into_engine)?;
    let (rendered, printed) = watched(|| root.scope.render(&root.scope.0.engine.variables, name, text, extra));
    match rendered {
        Ok(rendered) => Ok(native(text, rendered, printed)),
        Err(mut error) => {
            error.message = format!("{name}: {}", error.message);
            Err(error.into_engine())
        }
    }
}

fn hash(name: &str) -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as usize
}

/// Registers every text in a value.
fn hide(value: &Value, depth: usize, register: &dyn Fn(&str)) {
    if let Some(text) = value.as_str() {
        register(text);
    } else if depth < 20 && matches!(value.kind(), ValueKind::Map | ValueKind::Seq) {
        for item in value.try_iter().into_iter().flatten() {
            let inner = if value.kind() == ValueKind::Map { value.get_item(&item).unwrap_or_default() } else { item };
            hide(&inner, depth + 1, register);
        }
    }
}
