//! Vault passwords: asked for, read from files, printed by scripts. Order, labels and the way scripts
//! are run are Ansible's.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use reemo_model::secret::Secret;
use reemo_model::vault::{Password, Vault, is_vault};
use zeroize::Zeroizing;

use super::args::VaultOptions;
use super::settings::{Settings, expanded};
use crate::cli::args::OutputArgs;
use crate::cli::output;
use crate::cli::prepare::Exit;

/// One place a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// Asked for; `named`: the question says for which id.
    Prompt { named: bool },
    /// Read, or printed when run.
    File(PathBuf),
}

/// How passwords are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Only if that is wanted.
    IfWanted,
    /// Also when no password is given otherwise.
    IfNone,
    /// The same, twice: it is a new one.
    New,
}

/// For reading: all passwords of a run.
pub fn gather(options: &VaultOptions) -> Result<Vault, Exit> {
    open(options, &Settings::of_process(), Ask::IfWanted)
}

/// All passwords of flags and settings, those that can be had; an error when none can.
pub fn open(options: &VaultOptions, settings: &Settings, ask: Ask) -> Result<Vault, Exit> {
    let mut passwords: Vec<Password> = Vec::new();
    let mut failed: Vec<Exit> = Vec::new();
    for (label, source) in sources(options, settings, ask)? {
        let name = label.clone().unwrap_or_else(|| settings.identity.clone());
        let read = match &source {
            // Whoever is asked has answered: there is no going on without.
            Source::Prompt { named } => Ok(prompt(&name, *named, ask == Ask::New)?),
            Source::File(path) => from_file(path, label.as_deref(), &passwords),
        };
        match read {
            Ok(secret) => passwords.push(Password { label: name, secret }),
            Err(exit) => failed.push(exit),
        }
    }
    if passwords.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0));
    }
    let mut printer = output::printer(&OutputArgs::default());
    failed.iter().for_each(|exit| printer.warn(&exit.message));
    Ok(Vault::new(passwords).match_label(settings.id_match))
}

/// Label and source of every password, in the order they are tried.
fn sources(options: &VaultOptions, settings: &Settings, ask: Ask) -> Result<Vec<(Option<String>, Source)>, Exit> {
    let mut out = Vec::new();
    for id in settings.identity_list.iter().chain(&options.vault_id) {
        if id.contains(';') {
            return Err(Exit::usage(format!("`{id}` is no vault id: `;` may not be part of it")));
        }
        let (label, source) = match id.split_once('@') {
            Some((label, source)) => (Some(label.to_owned()).filter(|l| !l.is_empty()), source),
            None => (None, id.as_str()),
        };
        out.push(match source {
            "prompt" => (label, Source::Prompt { named: true }),
            "prompt_ask_vault_pass" => (label, Source::Prompt { named: false }),
            path => (label, Source::File(path.into())),
        });
    }
    for path in options.vault_password_file.iter().chain(&settings.password_file) {
        out.push((Some(settings.identity.clone()), Source::File(path.clone())));
    }
    if options.ask_vault_pass || settings.ask || (out.is_empty() && ask != Ask::IfWanted) {
        out.push((Some(settings.identity.clone()), Source::Prompt { named: false }));
    }
    Ok(out)
}

/// What was typed, by question: `certs rotate-ca` reads the inventory once for each of its runs, and asks once for all.
static TYPED: Mutex<Vec<(String, Secret)>> = Mutex::new(Vec::new());

fn prompt(label: &str, named: bool, new: bool) -> Result<Secret, Exit> {
    if new {
        return typed(label, named, new);
    }
    let mut known = TYPED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, secret)) = known.iter().find(|(of, _)| of == label) {
        return Ok(secret.clone());
    }
    let secret = typed(label, named, new)?;
    known.push((label.to_owned(), secret.clone()));
    Ok(secret)
}

fn typed(label: &str, named: bool, new: bool) -> Result<Secret, Exit> {
    let of = if named { format!(" ({label})") } else { String::new() };
    let first = ask(&if new { format!("New vault password{of}: ") } else { format!("Vault password{of}: ") })?;
    if new && *ask(&format!("Confirm new vault password{of}: "))? != *first {
        return Err(Exit::usage("the two passwords differ"));
    }
    match trimmed(first.as_bytes()) {
        [] => Err(Exit::invalid(format!("the vault password `{label}` is empty"))),
        password => Ok(Secret::new(password)),
    }
}

/// A hidden answer from the terminal; without one, a line of standard input.
pub fn ask(question: &str) -> Result<Zeroizing<String>, Exit> {
    if std::fs::File::open("/dev/tty").is_ok() {
        let answer = rpassword::prompt_password(question);
        return answer.map(Zeroizing::new).map_err(|e| Exit::invalid(format!("no password was typed: {e}")));
    }
    let mut line = Zeroizing::new(String::new());
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(n) if n > 0 => {
            let end = line.trim_end_matches(['\n', '\r']).len();
            line.truncate(end);
            Ok(line)
        }
        _ => Err(Exit {
            hint: "without a terminal, use `--vault-password-file FILE` or `--vault-id LABEL@FILE`".into(),
            ..Exit::invalid("there is no terminal to ask for the vault password")
        }),
    }
}

fn from_file(path: &Path, label: Option<&str>, known: &[Password]) -> Result<Secret, Exit> {
    use std::os::unix::fs::PermissionsExt;
    let fail = |what: String, hint: &str| Exit { hint: hint.into(), ..Exit::invalid(what) };
    let file = expanded(path);
    let shown = file.display();
    let meta = match std::fs::metadata(&file) {
        Ok(meta) if meta.is_dir() => {
            return Err(fail(format!("the vault password file {shown} is a directory"), "give a file"));
        }
        Ok(meta) => meta,
        Err(e) => {
            let hint = "give a file with the password, an executable that prints it, or `prompt`";
            return Err(fail(format!("the vault password file {shown} cannot be read: {e}"), hint));
        }
    };
    let (password, what) = if meta.permissions().mode() & 0o111 != 0 {
        (from_script(&file, path, label)?, "printed no password")
    } else {
        let read = std::fs::read(&file).map(Zeroizing::new);
        let bytes = read.map_err(|e| fail(format!("the vault password file {shown} cannot be read: {e}"), ""))?;
        let bytes = match is_vault(trimmed(&bytes)) {
            // A password may itself be in a vault that a password before it opens.
            true => {
                let opened = Vault::new(known.to_vec()).open(trimmed(&bytes));
                opened.map_err(|e| fail(format!("the vault password file {shown} is encrypted: {e}"), &e.help()))?.plain
            }
            false => Zeroizing::new(trimmed(&bytes).to_vec()),
        };
        (bytes, "holds no password")
    };
    match without_line_ends(&password) {
        [] => Err(fail(format!("{shown} {what}"), "put the password on its first line")),
        password => Ok(Secret::new(password)),
    }
}

/// Runs a script; one whose name ends with `-client` is told which id is wanted.
fn from_script(file: &Path, named: &Path, label: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Exit> {
    let client = named.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    let program = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let mut command = Command::new(&program);
    // It may ask on the terminal itself; a client's words are part of what is said when it fails.
    command.stdin(Stdio::inherit()).stdout(Stdio::piped());
    command.stderr(if client { Stdio::piped() } else { Stdio::inherit() });
    if let Some(label) = label.filter(|_| client) {
        command.args(["--vault-id", label]);
    }
    let shown = program.display();
    let output = command.output().map_err(|e| Exit {
        hint: "if this is a file with the password and no script, take its executable bit away".into(),
        ..Exit::invalid(format!("the vault password script {shown} cannot be run: {e}"))
    })?;
    if output.status.success() {
        return Ok(Zeroizing::new(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(Exit::invalid(match (output.status.code(), label) {
        (Some(2), Some(label)) if client => {
            format!("the vault password script {shown} knows no password for the id `{label}`{said}")
        }
        _ => format!("the vault password script {shown} ended with {}{said}", output.status),
    }))
}

/// Without white space around it, as Python's `strip` of bytes.
fn trimmed(bytes: &[u8]) -> &[u8] {
    around(bytes, |b| b.is_ascii_whitespace() || *b == 0x0b)
}

fn without_line_ends(bytes: &[u8]) -> &[u8] {
    around(bytes, |b| matches!(b, b'\r' | b'\n'))
}

fn around(bytes: &[u8], drop: impl Fn(&u8) -> bool) -> &[u8] {
    let start = bytes.iter().position(|b| !drop(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !drop(b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_labels() {
        let settings = Settings {
            identity_list: vec!["one@a".into()],
            password_file: Some("last".into()),
            identity: "default".into(),
            id_match: false,
            encrypt_identity: None,
            ask: false,
        };
        let options = VaultOptions {
            vault_id: vec!["two@prompt".into(), "b".into(), "prompt".into(), "three@x@y".into()],
            ask_vault_pass: true,
            vault_password_file: vec!["c".into()],
        };
        let found: Vec<String> = sources(&options, &settings, Ask::IfNone)
            .unwrap()
            .into_iter()
            .map(|(label, source)| format!("{label:?} {source:?}"))
            .collect();
        let none = "None";
        assert_eq!(
            found,
            [
                r#"Some("one") File("a")"#.to_owned(),
                r#"Some("two") Prompt { named: true }"#.to_owned(),
                format!(r#"{none} File("b")"#),
                format!("{none} Prompt {{ named: true }}"),
                r#"Some("three") File("x@y")"#.to_owned(),
                r#"Some("default") File("c")"#.to_owned(),
                r#"Some("default") File("last")"#.to_owned(),
                r#"Some("default") Prompt { named: false }"#.to_owned(),
            ]
        );
        let nothing = Settings { identity_list: Vec::new(), password_file: None, ..settings };
        let of = |ask| sources(&VaultOptions::default(), &nothing, ask).unwrap().len();
        assert_eq!((of(Ask::IfWanted), of(Ask::IfNone), of(Ask::New)), (0, 1, 1));
    }

    #[test]
    fn white_space() {
        assert_eq!(trimmed(b" \t a b \r\n\x0b"), b"a b");
        assert_eq!(without_line_ends(b"\n a \r\n\n"), b" a ");
        assert_eq!(trimmed(b" \n"), b"");
    }
}
