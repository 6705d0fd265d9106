//! What is wrong with what the operator wrote, and where: collected, then shown all together.

mod excerpt;
mod near;
mod render;
mod texts;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use excerpt::sounds_secret;
pub use near::{nearest, nearest_within, shorten};
pub use texts::Texts;

/// A stretch of one line of a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Line, from 1; 0 when there is none (a value that was computed).
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// How many characters; 1 at least when shown.
    pub len: u32,
}

impl Span {
    /// A span.
    pub fn new(line: u32, column: u32, len: u32) -> Self {
        Span { line, column, len }
    }

    /// The same span in a file.
    pub fn at(self, file: &Arc<Path>) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column, len: self.len }
    }
}

/// A stretch of one line of a named file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// As the operator named it, or `--extra-vars`.
    pub file: Arc<Path>,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// How many characters.
    pub len: u32,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: impl AsRef<Path>) -> Self {
        Place { file: Arc::from(file.as_ref()), line: 0, column: 0, len: 0 }
    }

    /// The span alone.
    pub fn span(&self) -> Span {
        Span { line: self.line, column: self.column, len: self.len }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{}:{}", self.file.display(), line, self.column),
        }
    }
}

/// A value with the place it was written at.
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands, if it stands anywhere.
    pub place: Option<Place>,
}

impl<T> Located<T> {
    /// A value at a place.
    pub fn new(value: T, place: Option<Place>) -> Self {
        Located { value, place }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Said, and gone on.
    Warning,
    /// Refused.
    Error,
}

/// Another place that belongs to the same matter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// What is there.
    pub label: String,
    /// The line of source, filled in by [`Diagnostics::attach`].
    pub excerpt: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A warning that Ansible also only warns of, and that `validate`, `plan` and `apply` refuse: see
    /// [`Diagnostics::strict`].
    pub strict: bool,
    /// Stable name, `variable-unknown`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// The line of source, filled in by [`Diagnostics::attach`].
    pub excerpt: Option<String>,
    /// Said at the caret: what was expected.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            strict: false,
            code,
            message: message.into(),
            place: None,
            excerpt: None,
            label: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// A warning that becomes an error under [`Diagnostics::strict`].
    pub fn lint(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { strict: true, ..Diagnostic::warning(code, message) }
    }

    /// Sets the place.
    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    /// Sets what is said at the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place.
    pub fn related(mut self, place: impl Into<Option<Place>>, label: impl Into<String>) -> Self {
        if let Some(place) = place.into() {
            self.related.push(Related { place, label: label.into(), excerpt: None });
        }
        self
    }

    /// True for an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Plain text, several lines, ending with a line break.
    pub fn render(&self) -> String {
        render::diagnostic(self)
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Everything that is wrong with one load.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; the same one twice is kept once.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }

    /// In order of discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|d| d.is_error())
    }

    /// The warnings alone.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|d| !d.is_error())
    }

    /// True when at least one is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// True when there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Turns what Ansible only warns of into errors: for `validate`, `plan` and `apply`.
    pub fn strict(mut self) -> Self {
        for diagnostic in &mut self.list {
            if diagnostic.strict {
                diagnostic.severity = Severity::Error;
            }
        }
        self
    }

    /// Sorts by file and line, errors and warnings mixed, those without a place last.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
    }

    /// Fills in the lines of source, without the values of secrets.
    pub fn attach(&mut self, texts: &Texts) {
        for diagnostic in &mut self.list {
            let encrypted = diagnostic.place.as_ref().filter(|p| p.line > 0 && texts.is_encrypted(&p.file));
            if let Some(place) = encrypted.filter(|_| diagnostic.code != "vault" && diagnostic.label.is_none()) {
                let file = place.file.display();
                diagnostic.label = Some(format!("a line of the decrypted text: `reemo-infra vault view {file}`"));
            }
            if diagnostic.excerpt.is_none() {
                diagnostic.excerpt = diagnostic.place.as_ref().and_then(|p| texts.excerpt(p));
            }
            for related in &mut diagnostic.related {
                if related.excerpt.is_none() {
                    related.excerpt = texts.excerpt(&related.place);
                }
            }
        }
    }

    /// Plain text: every diagnostic, then a count. Values of registered secrets are scrubbed.
    pub fn render(&self) -> String {
        render::all(&self.list)
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics { list: vec![diagnostic] }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(items: I) -> Self {
        let mut all = Diagnostics::new();
        for item in items {
            all.push(item);
        }
        all
    }
}
