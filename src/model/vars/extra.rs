//! `-e`: `name=value …`, YAML or JSON, `@file`.

use std::path::Path;
use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, Place, Span, Texts};
use crate::inventory::{Sources, Var, VarMap};
use crate::yaml::{self, Node, Value};

/// The name `-e` has in messages.
const FILE: &str = "--extra-vars";

/// Reads every `-e` argument, later ones winning. Values of `name=value` are always text.
pub fn parse(args: &[String], sources: &dyn Sources, texts: &mut Texts, diagnostics: &mut Diagnostics) -> VarMap {
    let file: Arc<Path> = Arc::from(Path::new(FILE));
    // Each argument is one line, so that messages can show it.
    texts.add(&file, args.iter().map(|a| a.replace('\n', " ")).collect::<Vec<_>>().join("\n"));
    let mut out = VarMap::new();
    for (number, arg) in args.iter().enumerate() {
        let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let whole = Span::new(line, 1, arg.chars().count().max(1) as u32);
        if let Some(path) = arg.strip_prefix('@') {
            from_file(path, whole.at(&file), sources, texts, diagnostics, &mut out);
        } else if arg.starts_with(['/', '.']) {
            diagnostics.push(
                Diagnostic::error("extra-vars", format!("`{arg}` is no `name=value`"))
                    .at(whole.at(&file))
                    .help(format!("a file of variables needs an `@` before its name: `-e @{arg}`")),
            );
        } else if arg.starts_with(['[', '{']) {
            from_yaml(arg, &file, whole, diagnostics, &mut out);
        } else {
            pairs(arg, &file, line, diagnostics, &mut out);
        }
    }
    out
}

fn set(out: &mut VarMap, name: String, var: Var) {
    let mut var = var;
    if let Some(old) = out.get(&name) {
        var.beaten = old.beaten.clone();
        var.beaten.push(Var { beaten: Vec::new(), ..old.clone() });
    }
    out.insert(name, var);
}

fn from_file(
    path: &str,
    at: Place,
    sources: &dyn Sources,
    texts: &mut Texts,
    diagnostics: &mut Diagnostics,
    out: &mut VarMap,
) {
    let file: Arc<Path> = Arc::from(Path::new(path));
    let bytes = match sources.read(&file) {
        Ok(bytes) => bytes,
        Err(error) => {
            diagnostics
                .push(Diagnostic::error("extra-vars", format!("cannot read `{path}`: {}", error.message)).at(at));
            return;
        }
    };
    let Some(bytes) = crate::inventory::decrypted(sources, bytes, &file, texts, diagnostics) else { return };
    texts.add(&file, String::from_utf8_lossy(&bytes).into_owned());
    match yaml::parse(&file, &bytes) {
        Ok(document) => {
            diagnostics.extend(document.warnings.clone());
            mapping(&document.root, &file, None, diagnostics, out);
        }
        Err(error) => diagnostics.push(*error),
    }
}

fn from_yaml(arg: &str, file: &Arc<Path>, whole: Span, diagnostics: &mut Diagnostics, out: &mut VarMap) {
    match yaml::parse(file, arg.as_bytes()) {
        Ok(document) => mapping(&document.root, file, Some(whole), diagnostics, out),
        Err(mut error) => {
            error.place = Some(Span { line: whole.line, ..error.place.map_or(whole, |p| p.span()) }.at(file));
            diagnostics.push(*error);
        }
    }
}

fn mapping(root: &Node, file: &Arc<Path>, whole: Option<Span>, diagnostics: &mut Diagnostics, out: &mut VarMap) {
    let Some(map) = root.as_map() else {
        if root.is_null() && whole.is_none() {
            return;
        }
        let message = format!("extra variables are a mapping, and this is {}", root.kind());
        diagnostics.push(Diagnostic::error("extra-vars", message).at(whole.unwrap_or(root.span).at(file)));
        return;
    };
    for entry in map {
        let mut value = entry.value.clone();
        let mut key = entry.key.span;
        if let Some(whole) = whole {
            (value.span.line, key.line) = (whole.line, whole.line);
        }
        set(out, entry.key.key_text(), Var { value, file: Arc::clone(file), key, beaten: Vec::new() });
    }
}

fn pairs(arg: &str, file: &Arc<Path>, line: u32, diagnostics: &mut Diagnostics, out: &mut VarMap) {
    for (word, start) in words(arg) {
        let column = start + 1;
        let at = Span::new(line, column, word.chars().count() as u32);
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            diagnostics.push(
                Diagnostic::error("extra-vars", format!("`{word}` is no `name=value`"))
                    .at(at.at(file))
                    .help("write `-e name=value`; a value with spaces needs quotes: `-e 'name=\"a b\"'`"),
            );
            continue;
        };
        let name_len = name.chars().count() as u32;
        let value_at = Span::new(line, column + name_len + 1, value.chars().count().max(1) as u32);
        let text = escapes(unquote(value.trim()));
        let value = Node { value: Value::Str(Arc::from(text)), span: value_at, raw: false };
        let key = Span { len: name_len, ..at };
        set(out, name.trim().to_owned(), Var { value, file: Arc::clone(file), key, beaten: Vec::new() });
    }
}

/// Words separated by white space outside quotes and `{{ }}`, with the column (from 0) of each.
fn words(text: &str) -> Vec<(String, u32)> {
    let mut out: Vec<(String, u32)> = Vec::new();
    let mut word: Option<(String, u32)> = None;
    let mut quote = None;
    let mut braces = 0_u32;
    let mut previous = ' ';
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '\'' if previous != '\\' && braces == 0 => match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            },
            '{' if previous == '{' => braces += 1,
            '}' if previous == '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        if c.is_whitespace() && quote.is_none() && braces == 0 {
            out.extend(word.take());
        } else {
            word.get_or_insert_with(|| (String::new(), at as u32)).0.push(c);
        }
        previous = c;
    }
    out.extend(word.take());
    out
}

fn unquote(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// `\n`, `\t` and `\"` as Ansible decodes them.
fn escapes(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(c @ ('\\' | '"' | '\'')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}
