//! What is said when a template asks for what is not there.

use super::{Scope, lock};
use crate::template::error::{TemplateError, Trouble};

impl Scope {
    pub(super) fn undefined(&self, name: &str) -> TemplateError {
        // A variable that exists and fails because of another one that does not.
        if let Some(Err(error)) = lock(&self.0.cache).get(name) {
            return error.clone();
        }
        let mut error = TemplateError::new(Trouble::Undefined, format!("`{name}` is not defined"));
        let names = self.names();
        error.help = Some(match crate::diag::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define it, or give it a default: `{{{{ {name} | default('…') }}}}`"),
        });
        error
    }

    pub(super) fn explain(&self, error: &minijinja::Error) -> TemplateError {
        let ours = TemplateError::from_engine(error, &self.0.engine.known);
        if ours.trouble != Trouble::Undefined || !ours.chain.is_empty() {
            return ours;
        }
        // minijinja quotes what was undefined: `value \`NAME\` is undefined`.
        let quoted = quoted(&ours.message).map(str::to_owned);
        match quoted {
            Some(name) if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) => {
                let first = name.split('.').next().unwrap_or_default();
                if let Some(Err(inner)) = lock(&self.0.cache).get(first) {
                    return inner.clone();
                }
                TemplateError { line: ours.line, ..self.undefined(&name) }
            }
            _ => ours,
        }
    }
}

/// The expression in minijinja's sentences, which hold `\`NAME\` is undefined` somewhere.
fn quoted(message: &str) -> Option<&str> {
    let (before, _) = message.split_once("` is undefined")?;
    before.rsplit_once('`').map(|(_, name)| name)
}
