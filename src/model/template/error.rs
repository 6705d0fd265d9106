//! Why a template cannot be evaluated, and the way that led there.

use std::fmt;

use minijinja::{Error, ErrorKind};

use crate::diag::{Diagnostic, Place};
use crate::secret::scrub;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A variable that is defined nowhere.
    Undefined,
    /// Variables that need each other.
    Cycle,
    /// Not written as a template is.
    Syntax,
    /// A filter, test or function that does not exist here.
    Unknown,
    /// A vault value that stays closed.
    Vault,
    /// Anything else: a filter refused its input, …
    Other,
}

/// A failure, with the variables that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateError {
    /// What kind.
    pub trouble: Trouble,
    /// One sentence.
    pub message: String,
    /// From the variable asked for to the one that fails.
    pub chain: Vec<String>,
    /// Where the failing template stands.
    pub place: Option<Place>,
    /// The failing template's name and line, when it is a file of templates.
    pub line: Option<u32>,
    /// What to do.
    pub help: Option<String>,
}

impl TemplateError {
    /// A failure without a way yet.
    pub fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        TemplateError { trouble, message: message.into(), chain: Vec::new(), place: None, line: None, help: None }
    }

    /// From the engine's own error; one of ours inside it is taken out.
    pub(super) fn from_engine(error: &Error, known: &Known) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
        while let Some(inner) = source {
            if let Some(ours) = inner.downcast_ref::<TemplateError>() {
                return ours.clone();
            }
            source = inner.source();
        }
        let detail = error.detail().unwrap_or_default().to_owned();
        let word = detail.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let (trouble, message, help) = match error.kind() {
            ErrorKind::UndefinedError => {
                (Trouble::Undefined, if detail.is_empty() { "a value is undefined".into() } else { detail }, None)
            }
            ErrorKind::SyntaxError | ErrorKind::BadEscape => {
                (Trouble::Syntax, format!("the template is not well formed: {detail}"), None)
            }
            ErrorKind::UnknownFilter => unknown("filter", &word, &known.filters),
            ErrorKind::UnknownTest => unknown("test", &word, &known.tests),
            ErrorKind::UnknownFunction => {
                let name = detail.split_whitespace().next().unwrap_or_default().to_owned();
                unknown("function", &name, &known.functions)
            }
            ErrorKind::OutOfFuel => (Trouble::Other, "the template takes too long".into(), None),
            kind => (Trouble::Other, if detail.is_empty() { kind.to_string() } else { detail }, None),
        };
        TemplateError {
            trouble,
            message: scrub(&message).into_owned(),
            chain: Vec::new(),
            place: None,
            line: error.line().and_then(|n| u32::try_from(n).ok()),
            help,
        }
    }

    /// As the engine's error, so that it can pass through a template.
    pub(super) fn into_engine(self) -> Error {
        let kind = match self.trouble {
            Trouble::Undefined => ErrorKind::UndefinedError,
            _ => ErrorKind::InvalidOperation,
        };
        Error::new(kind, self.to_string()).with_source(self)
    }

    /// For the operator.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let code = match self.trouble {
            Trouble::Undefined => "variable-undefined",
            Trouble::Cycle => "variable-cycle",
            Trouble::Syntax => "template-syntax",
            Trouble::Unknown => "template-unknown",
            Trouble::Vault => "vault",
            Trouble::Other => "template",
        };
        let mut out = Diagnostic::error(code, self.to_string()).at(self.place.clone());
        out.help = self.help.clone();
        out
    }
}

/// Names the engine knows, for suggestions.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub filters: Vec<String>,
    pub tests: Vec<String>,
    pub functions: Vec<String>,
}

fn unknown(what: &str, name: &str, names: &[String]) -> (Trouble, String, Option<String>) {
    let near = crate::diag::nearest(name, names.iter().map(String::as_str));
    let mut sorted: Vec<&str> =
        names.iter().map(String::as_str).filter(|n| n.chars().all(|c| c.is_alphanumeric() || c == '_')).collect();
    sorted.sort_unstable();
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("available: {}", sorted.join(", ")),
    };
    (Trouble::Unknown, format!("there is no {what} `{name}`"), Some(help))
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // A cycle's message already is the way.
        if !self.chain.is_empty() && self.trouble != Trouble::Cycle {
            write!(f, " (in {})", self.chain.join(" → "))?;
        }
        if let Some(line) = self.line.filter(|_| self.place.is_none()) {
            write!(f, ", line {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}
