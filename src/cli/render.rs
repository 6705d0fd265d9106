//! Rendering roles with a cluster's variables: the model's templates behind the catalogue's port.

use std::collections::BTreeMap;

use reemo_model::template::{Scope, TemplateError, Value, from_json, to_json};
use reemo_model::wanted::{Context, Render};
use serde_json::Value as Json;

/// A cluster's variables.
pub struct ClusterScope(pub Scope);

fn said(error: TemplateError) -> String {
    error.to_string()
}

fn extra(context: &Context) -> Value {
    Value::from_pairs(context.iter().map(|(k, v)| (k.as_str(), from_json(v))))
}

impl Render for ClusterScope {
    fn text(&self, template: &str, context: &Context) -> Result<String, String> {
        self.0.render_str(template, extra(context)).map_err(said)
    }

    fn file(&self, name: &str, source: &str, context: &Context) -> Result<String, String> {
        self.0.render_template(name, source, extra(context)).map_err(said)
    }

    fn value(&self, expression: &str, context: &Context) -> Result<Json, String> {
        self.0.template(expression, extra(context)).map(|v| to_json(&v)).map_err(said)
    }

    fn variable(&self, name: &str) -> Result<Option<Json>, String> {
        self.0.get_json(name).map_err(said)
    }

    fn with_prefix(&self, prefix: &str) -> Result<Vec<(String, Json)>, String> {
        let mut found = BTreeMap::new();
        for name in self.0.names().into_iter().filter(|n| n.starts_with(prefix)) {
            if let Some(value) = self.variable(&name)? {
                found.insert(name, value);
            }
        }
        Ok(found.into_iter().collect())
    }
}
