//! Whole files: encrypt, decrypt, view, edit, rekey, create.

use std::fs::Metadata;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::TryRngCore;
use reemo_model::diag::{Diagnostic, Diagnostics, Span};
use reemo_model::vault::{self, Opened, Password, SALT_LENGTH, Vault, VaultError};
use zeroize::Zeroizing;

use super::args::{CreateArgs, DecryptArgs, EncryptArgs, FilesArgs, RekeyArgs, VaultOptions};
use super::editor;
use super::passwords::{self, Ask};
use super::settings::Settings;
use super::write::{Old, replace};
use crate::cli::args::OutputArgs;
use crate::cli::output;
use crate::cli::prepare::Exit;

/// Standard input or output, as Ansible writes it.
const DASH: &str = "-";

/// `vault create`.
pub async fn create(args: &CreateArgs) -> Result<(), Exit> {
    let with = encrypting(&args.vault, args.with.encrypt_vault_id.as_deref())?;
    if !args.skip_tty_check && !std::io::stdout().is_terminal() {
        let hint = "`vault encrypt` encrypts a file that is there; `--skip-tty-check` opens the editor all the same";
        return Err(Exit { hint: hint.into(), ..Exit::usage("there is no terminal to open an editor on") });
    }
    let shown = args.file.display();
    if args.file.exists() {
        return Err(Exit {
            hint: "change it with `vault edit`".into(),
            ..Exit::usage(format!("{shown} exists already"))
        });
    }
    if let Some(dir) = args.file.parent().filter(|dir| *dir != Path::new("") && !dir.exists()) {
        std::fs::create_dir_all(dir).map_err(|e| Exit::failed(format!("{}: {e}", dir.display())))?;
    }
    let plain = editor::edit(&args.file, b"").await?;
    store(&args.file, &seal(&plain, &with, Some(&with.label))?, None, Old::Leave)
}

/// `vault encrypt`.
pub fn encrypt(args: &EncryptArgs) -> Result<(), Exit> {
    let with = encrypting(&args.vault, args.with.encrypt_vault_id.as_deref())?;
    for input in inputs(&args.files, args.output.as_deref(), "plain text")? {
        if vault::is_vault(&input.content) {
            let hint = "to change its password: `vault rekey`";
            return Err(Exit { hint: hint.into(), ..Exit::invalid(format!("{} is encrypted already", input.shown())) });
        }
        let text = seal(&input.content, &with, Some(&with.label))?;
        input.store(text.as_bytes(), args.output.as_deref(), Old::Shred)?;
    }
    done("Encryption successful");
    Ok(())
}

/// `vault decrypt`.
pub fn decrypt(args: &DecryptArgs) -> Result<(), Exit> {
    let vault = decrypting(&args.vault)?;
    for input in inputs(&args.files, args.output.as_deref(), "encrypted text")? {
        let opened = input.open(&vault)?;
        input.store(&opened.plain, args.output.as_deref(), Old::Leave)?;
    }
    done("Decryption successful");
    Ok(())
}

/// `vault view`.
pub fn view(args: &FilesArgs) -> Result<(), Exit> {
    let vault = decrypting(&args.vault)?;
    for file in &args.files {
        let mut plain = Input::read(file)?.open(&vault)?.plain;
        if !editor::page(&plain) {
            if !plain.ends_with(b"\n") {
                plain.push(b'\n');
            }
            print(&plain)?;
        }
    }
    Ok(())
}

/// `vault edit`: password, vault id, owner and mode stay.
pub async fn edit(args: &FilesArgs) -> Result<(), Exit> {
    let vault = decrypting(&args.vault)?;
    for file in &args.files {
        let input = Input::read(file)?;
        let opened = input.open(&vault)?;
        let plain = editor::edit(&input.path, &opened.plain).await?;
        if *plain != *opened.plain {
            let text = seal(&plain, &opened.with, opened.label.as_deref())?;
            store(&input.path, &text, input.meta.as_ref(), Old::Leave)?;
        }
    }
    Ok(())
}

/// `vault rekey`. No file is written before all could be opened.
pub fn rekey(args: &RekeyArgs) -> Result<(), Exit> {
    let settings = Settings::of_process();
    let vault = decrypting(&args.vault)?;
    let wanted = args.with.encrypt_vault_id.clone().or_else(|| settings.encrypt_identity.clone());
    let mut files = Vec::new();
    for file in &args.files {
        let input = Input::read(file)?;
        let plain = input.open(&vault)?.plain;
        files.push((input, plain));
    }
    let new = VaultOptions {
        vault_id: args.new_vault_id.iter().cloned().collect(),
        vault_password_file: args.new_vault_password_file.iter().cloned().collect(),
        ask_vault_pass: false,
    };
    // The ids of the environment are for the old password, unless one of them is asked for by name.
    let known = if wanted.is_some() { settings.identity_list.clone() } else { Vec::new() };
    let settings = Settings { identity_list: known, ask: false, ..settings };
    let new = passwords::open(&new, &settings, Ask::New)?;
    let with = match &wanted {
        Some(_) => choose(&new, wanted.as_deref())?,
        None => new.passwords().first().cloned().ok_or_else(|| Exit::usage("no new password was given"))?,
    };
    for (input, plain) in files {
        let text = seal(&plain, &with, Some(&with.label))?;
        store(&input.path, &text, input.meta.as_ref(), Old::Leave)?;
    }
    output::printer(&OutputArgs::default()).note("Rekey successful");
    Ok(())
}

/// A text that was read, and where it came from.
struct Input {
    /// The file itself, links followed; `-`: standard input.
    path: PathBuf,
    meta: Option<Metadata>,
    content: Zeroizing<Vec<u8>>,
}

impl Input {
    fn read(file: &Path) -> Result<Self, Exit> {
        let failed = |e: std::io::Error| Exit::failed(format!("cannot read {}: {e}", file.display()));
        if file == Path::new(DASH) {
            let mut content = Zeroizing::new(Vec::new());
            std::io::stdin().lock().read_to_end(&mut content).map_err(failed)?;
            return Ok(Input { path: file.to_path_buf(), meta: None, content });
        }
        let path = std::fs::canonicalize(file).map_err(failed)?;
        let meta = std::fs::metadata(&path).map_err(failed)?;
        let content = std::fs::read(&path).map(Zeroizing::new).map_err(failed)?;
        // As the operator named it where that is the file itself: messages should say the same.
        let linked = std::fs::symlink_metadata(file).map_or(true, |m| m.is_symlink());
        Ok(Input { path: if linked { path } else { file.to_path_buf() }, meta: Some(meta), content })
    }

    fn shown(&self) -> String {
        if self.meta.is_none() { "standard input".into() } else { format!("`{}`", self.path.display()) }
    }

    fn open(&self, vault: &Vault) -> Result<Opened, Exit> {
        vault.open(&self.content).map_err(|why| {
            let (line, column) = why.damage().map_or((1, 1), |damage| (damage.line, damage.column));
            let file: Arc<Path> = Arc::from(self.path.as_path());
            let shown = self.shown();
            let message = match why.damage() {
                Some(_) if !vault::is_vault(&self.content) => format!("{shown} is not encrypted"),
                Some(damage) => format!("{shown} is a damaged vault: {}", damage.message),
                None => format!("{shown} cannot be opened: {why}"),
            };
            let help = match &why {
                VaultError::Damaged(_) if !vault::is_vault(&self.content) => "nothing needs to be decrypted".into(),
                _ => why.help(),
            };
            let problem = Diagnostic::error("vault", message).at(Span::new(line, column, 1).at(&file)).help(help);
            Exit::invalid(Diagnostics::from(problem).render())
        })
    }

    /// To the output, or over the input.
    fn store(&self, bytes: &[u8], output: Option<&Path>, old: Old) -> Result<(), Exit> {
        let to = output.unwrap_or(&self.path);
        if to == Path::new(DASH) {
            return print(bytes);
        }
        // Only what is written over is plain: another file at the place of the output is not ours to judge.
        replace(to, bytes, None, if output.is_none() { old } else { Old::Leave })
            .map_err(|e| Exit::failed(format!("cannot write {}: {e}", to.display())))
    }
}

fn inputs(files: &[PathBuf], output: Option<&Path>, what: &str) -> Result<Vec<Input>, Exit> {
    if output.is_some() && files.len() > 1 {
        return Err(Exit::usage("--output takes one file at a time"));
    }
    if files.is_empty() {
        if std::io::stdin().is_terminal() {
            output::printer(&OutputArgs::default()).note(&format!("Reading {what} from standard input"));
        }
        return Ok(vec![Input::read(Path::new(DASH))?]);
    }
    files.iter().map(|file| Input::read(file)).collect()
}

fn decrypting(options: &VaultOptions) -> Result<Vault, Exit> {
    passwords::open(options, &Settings::of_process(), Ask::IfNone)
}

/// The password that encrypts.
pub(super) fn encrypting(options: &VaultOptions, wanted: Option<&str>) -> Result<Password, Exit> {
    let settings = Settings::of_process();
    let vault = passwords::open(options, &settings, Ask::New)?;
    choose(&vault, wanted.or(settings.encrypt_identity.as_deref()))
}

fn choose(vault: &Vault, wanted: Option<&str>) -> Result<Password, Exit> {
    let all = vault.passwords();
    let labels = || all.iter().map(|p| format!("`{}`", p.label)).collect::<Vec<_>>().join(", ");
    let found = match wanted {
        Some(label) => all.iter().find(|p| p.label == label),
        None if all.len() > 1 => {
            let hint = "say which with `--encrypt-vault-id LABEL`".into();
            return Err(Exit { hint, ..Exit::usage(format!("several passwords could encrypt: {}", labels())) });
        }
        None => all.first(),
    };
    let missing = || match wanted {
        Some(label) => format!("no password was given for the id `{label}`, only for {}", labels()),
        None => "no vault password was given".into(),
    };
    found.cloned().ok_or_else(|| Exit::usage(missing()))
}

/// Encrypts with a new salt.
pub(super) fn seal(plain: &[u8], with: &Password, label: Option<&str>) -> Result<String, Exit> {
    let mut salt = [0; SALT_LENGTH];
    let random = rand::rngs::OsRng.try_fill_bytes(&mut salt);
    random.map_err(|e| Exit::failed(format!("the system gives no random bytes: {e}")))?;
    Ok(vault::seal(plain, with.secret.expose(), &salt, label))
}

fn store(path: &Path, text: &str, keep: Option<&Metadata>, old: Old) -> Result<(), Exit> {
    let written = replace(path, text.as_bytes(), keep, old);
    written.map_err(|e| Exit::failed(format!("cannot write {}: {e}", path.display())))
}

/// What was asked for, byte for byte.
pub(super) fn print(bytes: &[u8]) -> Result<(), Exit> {
    let printed = output::printer(&OutputArgs::default()).raw(bytes);
    printed.map_err(|e| Exit::failed(format!("cannot write to standard output: {e}")))
}

/// Said to people only, as Ansible does.
pub(super) fn done(what: &str) {
    if std::io::stdout().is_terminal() {
        output::printer(&OutputArgs::default()).note(what);
    }
}
