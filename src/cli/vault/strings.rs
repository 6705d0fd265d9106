//! `vault encrypt-string`: values for a YAML file.

use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::args::EncryptStringArgs;
use super::write::{Old, replace};
use super::{files, passwords};
use crate::cli::args::OutputArgs;
use crate::cli::output;
use crate::cli::prepare::Exit;

/// Columns by which the lines of a value are set in, as Ansible does.
const INDENT: &str = "          ";

/// A value, its variable, and where it came from in words.
struct Value {
    text: Zeroizing<Vec<u8>>,
    name: Option<String>,
    from: &'static str,
}

/// Runs it.
pub fn encrypt(args: &EncryptStringArgs) -> Result<(), Exit> {
    let dash = args.values.iter().any(|v| v == "-");
    let stdin = dash || args.stdin_name.is_some() || (args.values.is_empty() && !args.prompt);
    if stdin && args.prompt {
        return Err(Exit::usage("--prompt and standard input exclude each other"));
    }
    let with = files::encrypting(&args.vault, args.with.encrypt_vault_id.as_deref())?;
    let mut printer = output::printer(&OutputArgs::default());
    let mut values = Vec::new();
    if args.prompt {
        values.push(prompted(args.show_input)?);
    }
    if stdin {
        if std::io::stdin().is_terminal() {
            printer.note("Reading the value from standard input (ctrl-d ends it, twice within a line)");
        }
        let mut text = Zeroizing::new(Vec::new());
        let read = std::io::stdin().lock().read_to_end(&mut text);
        read.map_err(|e| Exit::failed(format!("standard input: {e}")))?;
        values.push(Value { text, name: args.stdin_name.clone(), from: "stdin" });
    }
    let mut names = args.names.iter();
    for text in args.values.iter().filter(|v| *v != "-") {
        let text = Zeroizing::new(text.clone().into_bytes());
        values.push(Value { text, name: names.next().cloned(), from: "the command line args" });
    }
    if values.iter().any(|value| value.from == "the command line args") {
        printer
            .warn("a value among the arguments can be read by other users of this machine; use standard input or -p");
    }
    let mut out = String::new();
    for (number, value) in values.iter().enumerate() {
        if value.text.is_empty() {
            return Err(Exit::usage(format!("the value from {} is empty", value.from)));
        }
        if values.len() > 1 {
            printer.note(&comment(value, number + 1));
        }
        let text = files::seal(&value.text, &with, Some(&with.label))?;
        out.push_str(&block(&text, value.name.as_deref()));
    }
    match args.output.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => replace(path, out.as_bytes(), None, Old::Leave)
            .map_err(|e| Exit::failed(format!("cannot write {}: {e}", path.display())))?,
        None => files::print(out.as_bytes())?,
    }
    files::done("Encryption successful");
    Ok(())
}

fn prompted(shown: bool) -> Result<Value, Exit> {
    let line = || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|e| Exit::failed(format!("standard input: {e}")))?;
        Ok::<_, Exit>(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    let mut printer = output::printer(&OutputArgs::default());
    printer.note("Variable name (enter for no name):");
    let name = Some(line()?).filter(|name| !name.is_empty());
    let text = if shown {
        printer.note("String to encrypt:");
        Zeroizing::new(line()?)
    } else {
        passwords::ask("String to encrypt (hidden): ")?
    };
    Ok(Value { text: Zeroizing::new(text.as_bytes().to_vec()), name, from: "the interactive prompt" })
}

fn comment(value: &Value, number: usize) -> String {
    match &value.name {
        Some(name) => {
            format!("# The encrypted version of variable (\"{name}\", the string #{number} from {}).", value.from)
        }
        None => format!("# The encrypted version of the string #{number} from {}.)", value.from),
    }
}

/// `NAME: !vault |` and the lines under it.
fn block(vault: &str, name: Option<&str>) -> String {
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let lines: String = vault.lines().map(|line| format!("{INDENT}{line}\n")).collect();
    format!("{name}!vault |\n{lines}")
}
