//! Lookups that read files or run a command.

use std::path::{Path, PathBuf};

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::Question;
use crate::template::args::{items, refuse};
use crate::template::python;

type Answer = Result<Vec<Value>, Error>;

/// The first candidate that exists, and its text.
fn read(q: &Question<'_, '_, '_>, term: &str, folder: &str) -> Result<(PathBuf, String), Error> {
    let candidates = q.world.candidates(term, Some(folder));
    for path in &candidates {
        if let Some(bytes) = q.world.read(path).map_err(refuse)? {
            let text = String::from_utf8(bytes).map_err(|_| refuse(format!("{} is no UTF-8 text", path.display())))?;
            return Ok((path.clone(), text));
        }
    }
    let tried: Vec<String> = candidates.iter().map(|p| p.display().to_string()).collect();
    Err(refuse(format!("there is no file `{term}`; looked for {}", tried.join(", "))))
}

fn contents(q: &Question<'_, '_, '_>, text: String, l: bool, r: bool) -> Value {
    let _ = q;
    let text = if r { text.trim_end() } else { text.as_str() };
    Value::from(if l { text.trim_start() } else { text })
}

/// `lookup('file', 'path')`: the text without white space at its end, unless `rstrip=false`.
pub(super) fn file(q: &Question<'_, '_, '_>) -> Answer {
    let (l, r) = (q.flag("lstrip", false)?, q.flag("rstrip", true)?);
    let one = |term: String| {
        let (path, text) = read(q, &term, "files")?;
        if text.starts_with("$ANSIBLE_VAULT;") {
            return Err(refuse(format!("{} is a vault file; a lookup does not open it", path.display())));
        }
        Ok(contents(q, text, l, r))
    };
    q.texts()?.into_iter().map(one).collect()
}

/// A file that may be encrypted: here only one that is not.
pub(super) fn unvault(q: &Question<'_, '_, '_>) -> Answer {
    let one = |term: String| {
        let (path, text) = read(q, &term, "files")?;
        if text.starts_with("$ANSIBLE_VAULT;") {
            return Err(refuse(format!("{} is a vault file; a lookup does not open it", path.display())));
        }
        Ok(Value::from(text))
    };
    q.texts()?.into_iter().map(one).collect()
}

/// `lookup('template', 'path')`: a file rendered with the variables that are seen here.
pub(super) fn template(q: &Question<'_, '_, '_>) -> Answer {
    let extra = q.options.get::<Option<Value>>("template_vars")?.unwrap_or(Value::UNDEFINED);
    for name in ["convert_data", "jinja2_native"] {
        let _ = q.options.get::<Option<Value>>(name)?;
    }
    let one = |term: String| {
        let (path, text) = read(q, &term, "templates")?;
        crate::template::scope::render_here(q.state, &path.display().to_string(), &text, extra.clone())
    };
    q.texts()?.into_iter().map(one).collect()
}

/// `q('fileglob', '/etc/*.conf')`.
pub(super) fn fileglob(q: &Question<'_, '_, '_>) -> Answer {
    let mut out: Vec<Value> = Vec::new();
    for term in q.texts()? {
        for pattern in q.world.candidates(&term, Some("files")) {
            let found = q.world.glob(&pattern).map_err(refuse)?;
            if !found.is_empty() {
                out.extend(found.iter().map(|p| Value::from(p.display().to_string())));
                break;
            }
        }
    }
    Ok(out)
}

fn run(q: &Question<'_, '_, '_>, command: &str) -> Result<String, Error> {
    let printed = q.world.pipe(command).map_err(refuse)?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// `lookup('pipe', 'command')`: what it prints, without the line breaks at the end.
pub(super) fn pipe(q: &Question<'_, '_, '_>) -> Answer {
    let one = |term: String| run(q, &term).map(|text| Value::from(text.trim_end()));
    q.texts()?.into_iter().map(one).collect()
}

/// `q('lines', 'command')`: the same, line by line.
pub(super) fn lines(q: &Question<'_, '_, '_>) -> Answer {
    let mut out = Vec::new();
    for term in q.texts()? {
        out.extend(run(q, &term)?.lines().map(Value::from));
    }
    Ok(out)
}

/// `lookup('first_found', files, paths)`: the first of several files that exists.
pub(super) fn first_found(q: &Question<'_, '_, '_>) -> Answer {
    let mut names: Vec<String> = Vec::new();
    let mut skip = q.flag("skip", false)?;
    let (files, paths) = (q.options.get::<Option<Value>>("files")?, q.options.get::<Option<Value>>("paths")?);
    if let Some(files) = &files {
        join(
            &split(files, &[',', ';'])?,
            &paths.as_ref().map_or(Ok(Vec::new()), |p| split(p, &[',', ';', ':']))?,
            &mut names,
        );
    }
    let mut terms: Vec<Value> = Vec::new();
    for term in &q.terms {
        match term.kind() {
            ValueKind::Seq => terms.extend(items(term)?),
            _ => terms.push(term.clone()),
        }
    }
    for term in &terms {
        match term.kind() {
            ValueKind::Map => {
                skip |= term.get_attr("skip")?.is_true();
                let files = term.get_attr("files")?;
                let own = term.get_attr("paths")?;
                let own = if own.is_undefined() { paths.clone().unwrap_or(own) } else { own };
                let files = if files.is_undefined() { Vec::new() } else { split(&files, &[',', ';'])? };
                let paths = if own.is_undefined() { Vec::new() } else { split(&own, &[',', ';', ':'])? };
                join(&files, &paths, &mut names);
            }
            ValueKind::String => {
                let folders = paths.as_ref().map_or(Ok(Vec::new()), |p| split(p, &[',', ';', ':']))?;
                join(&split(term, &[',', ';'])?, &folders, &mut names);
            }
            _ => return Err(refuse(format!("it takes names of files, not `{}`", python::text(term)))),
        }
    }
    for name in &names {
        if let Some(path) = q.world.candidates(name, Some("files")).into_iter().find(|p| q.world.exists(p)) {
            return Ok(vec![Value::from(path.display().to_string())]);
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(refuse(if names.is_empty() {
        "no file was named".to_owned()
    } else {
        format!("none of these exists: {}", names.join(", "))
    }))
}

fn split(value: &Value, marks: &[char]) -> Result<Vec<String>, Error> {
    let one = |text: &str| text.split(marks).map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    match value.as_str() {
        Some(text) => Ok(one(text)),
        None => {
            let mut out: Vec<String> = Vec::new();
            for item in items(value)? {
                match item.as_str() {
                    Some(text) => out.extend::<Vec<String>>(one(text)),
                    None => return Err(refuse("names of files must be texts")),
                }
            }
            Ok(out)
        }
    }
}

fn join(files: &[String], paths: &[String], out: &mut Vec<String>) {
    if paths.is_empty() {
        out.extend(files.iter().cloned());
    } else if files.is_empty() {
        out.extend(paths.iter().cloned());
    } else {
        let all = paths.iter().flat_map(|p| files.iter().map(move |f| Path::new(p).join(f)));
        out.extend(all.map(|p| p.display().to_string()));
    }
}
