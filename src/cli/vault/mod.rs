//! `vault`: what `ansible-vault` does, on the same files.

pub mod args;
mod editor;
mod files;
pub mod passwords;
mod private;
mod settings;
mod strings;
mod write;

use args::{VaultAction, VaultArgs};

use super::prepare::Exit;

/// Runs it.
pub async fn run(args: &VaultArgs) -> Result<u8, Exit> {
    match &args.action {
        VaultAction::Create(args) => files::create(args).await,
        VaultAction::Encrypt(args) => files::encrypt(args),
        VaultAction::Decrypt(args) => files::decrypt(args),
        VaultAction::View(args) => files::view(args),
        VaultAction::Edit(args) => files::edit(args).await,
        VaultAction::Rekey(args) => files::rekey(args),
        VaultAction::EncryptString(args) => strings::encrypt(args),
    }?;
    Ok(0)
}
