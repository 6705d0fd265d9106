//! Flags of ansible-vault: the passwords, and the commands of `vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where vault passwords come from.
#[derive(Debug, Clone, Default, Args)]
pub struct VaultOptions {
    /// A vault password with its id: `label@prompt`, `label@file` or `label@script`; may be given several
    /// times.
    #[arg(long = "vault-id", value_name = "LABEL@SOURCE")]
    pub vault_id: Vec<String>,
    /// Ask for the vault password.
    #[arg(short = 'J', long = "ask-vault-pass", visible_alias = "ask-vault-password")]
    pub ask_vault_pass: bool,
    /// File with the vault password, or an executable that prints it; may be given several times.
    #[arg(
        long = "vault-password-file",
        visible_alias = "vault-pass-file",
        value_name = "FILE",
        conflicts_with = "ask_vault_pass"
    )]
    pub vault_password_file: Vec<PathBuf>,
}

/// Arguments of `vault`.
#[derive(Debug, Clone, Args)]
pub struct VaultArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: VaultAction,
}

/// What `vault` does. Files are those of `ansible-vault`, both ways.
#[derive(Debug, Clone, Subcommand)]
pub enum VaultAction {
    /// Make a new encrypted file in an editor.
    Create(CreateArgs),
    /// Encrypt files in place, or standard input.
    Encrypt(EncryptArgs),
    /// Decrypt files in place, or standard input.
    Decrypt(DecryptArgs),
    /// Print what encrypted files hold.
    View(FilesArgs),
    /// Change an encrypted file in an editor ($ANSIBLE_EDITOR, $EDITOR, vi).
    Edit(FilesArgs),
    /// Encrypt files again with another password.
    Rekey(RekeyArgs),
    /// Encrypt values for a YAML file: from standard input, a prompt, or arguments.
    #[command(visible_alias = "encrypt_string")]
    EncryptString(EncryptStringArgs),
}

/// Which of several passwords encrypts.
#[derive(Debug, Clone, Default, Args)]
pub struct EncryptWith {
    /// Id of the password to encrypt with; needed when several are given.
    #[arg(long = "encrypt-vault-id", value_name = "LABEL")]
    pub encrypt_vault_id: Option<String>,
}

/// Arguments of `vault create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The new file.
    pub file: PathBuf,
    /// Open the editor also without a terminal.
    #[arg(long = "skip-tty-check")]
    pub skip_tty_check: bool,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
    /// Which of them.
    #[command(flatten)]
    pub with: EncryptWith,
}

/// Arguments of `vault encrypt`.
#[derive(Debug, Clone, Args)]
pub struct EncryptArgs {
    /// Files; none, or `-`: standard input.
    pub files: Vec<PathBuf>,
    /// Write there instead of over the file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
    /// Which of them.
    #[command(flatten)]
    pub with: EncryptWith,
}

/// Arguments of `vault decrypt`.
#[derive(Debug, Clone, Args)]
pub struct DecryptArgs {
    /// Files; none, or `-`: standard input.
    pub files: Vec<PathBuf>,
    /// Write there instead of over the file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
}

/// Arguments of `vault view` and `vault edit`.
#[derive(Debug, Clone, Args)]
pub struct FilesArgs {
    /// Files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
}

/// Arguments of `vault rekey`.
#[derive(Debug, Clone, Args)]
pub struct RekeyArgs {
    /// Files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Passwords they have now.
    #[command(flatten)]
    pub vault: VaultOptions,
    /// The new password with its id: `label@prompt`, `label@file` or `label@script`.
    #[arg(long = "new-vault-id", value_name = "LABEL@SOURCE")]
    pub new_vault_id: Option<String>,
    /// File with the new password, or an executable that prints it.
    #[arg(long = "new-vault-password-file", value_name = "FILE", conflicts_with = "new_vault_id")]
    pub new_vault_password_file: Option<PathBuf>,
    /// Which of them.
    #[command(flatten)]
    pub with: EncryptWith,
}

/// Arguments of `vault encrypt-string`.
#[derive(Debug, Clone, Args)]
pub struct EncryptStringArgs {
    /// Values; other users of this machine can see arguments. None, or `-`: standard input.
    pub values: Vec<String>,
    /// Name of a value's variable, in the order of the values; may be given several times.
    #[arg(short = 'n', long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Name of the variable for the value on standard input.
    #[arg(long = "stdin-name", value_name = "NAME")]
    pub stdin_name: Option<String>,
    /// Ask for the value.
    #[arg(short = 'p', long = "prompt")]
    pub prompt: bool,
    /// Show it while it is typed.
    #[arg(long = "show-input")]
    pub show_input: bool,
    /// Write there; `-`, the default, is standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
    /// Which of them.
    #[command(flatten)]
    pub with: EncryptWith,
}
