//! Private keys, read and decrypted once for all hosts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{Algorithm, PrivateKey, PublicKey};

use crate::ssh::target::AskPassphrase;

/// What a key file holds.
#[derive(Clone)]
pub enum Loaded {
    /// A key ready for use.
    Ready(Arc<PrivateKey>),
    /// A key we know the public half of, and need a passphrase for.
    Locked(PublicKey),
}

/// The keys of one run. One decryption serves all hosts: bcrypt is slow on purpose.
#[derive(Default)]
pub struct Keyring {
    keys: Mutex<HashMap<PathBuf, Loaded>>,
    asking: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// Reads a key file. `Err` has a reason for people.
    pub fn load(&self, path: &Path) -> Result<Loaded, String> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = keys.get(path) {
            return Ok(loaded.clone());
        }
        let loaded = read(path)?;
        keys.insert(path.to_owned(), loaded.clone());
        Ok(loaded)
    }

    /// The key behind a [`Loaded::Locked`]; asks for its passphrase once for all who wait.
    pub async fn unlock(&self, path: &Path, ask: Option<&AskPassphrase>) -> Result<Arc<PrivateKey>, String> {
        let _one_at_a_time = self.asking.lock().await;
        if let Loaded::Ready(key) = self.load(path)? {
            return Ok(key);
        }
        let shown = path.display();
        let ask =
            ask.ok_or_else(|| format!("{shown} is encrypted and there is nobody to ask for its passphrase"))?.clone();
        let owned = path.to_owned();
        // Asking waits for a person, decrypting is a second of work: neither belongs on this thread.
        let key = tokio::task::spawn_blocking(move || {
            let passphrase = ask(&owned).ok_or_else(|| format!("no passphrase was given for {}", owned.display()))?;
            let text = std::fs::read_to_string(&owned).map_err(|e| format!("{}: {e}", owned.display()))?;
            let passphrase = passphrase.expose_str().ok_or_else(|| "the passphrase is not text".to_owned())?;
            russh::keys::decode_secret_key(&text, Some(passphrase))
                .map_err(|_| format!("the passphrase does not open {}", owned.display()))
        })
        .await
        .map_err(|_| format!("{shown} could not be decrypted"))??;
        let key = Arc::new(key);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), Loaded::Ready(key.clone()));
        Ok(key)
    }
}

fn read(path: &Path) -> Result<Loaded, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{shown}: {e}"))?;
    if let Ok(key) = PrivateKey::from_openssh(&text) {
        if matches!(key.algorithm(), Algorithm::Rsa { .. }) && !cfg!(feature = "rsa") {
            return Err(format!("{shown} is an RSA key, which this build leaves out (cargo feature `rsa`)"));
        }
        return Ok(match key.is_encrypted() {
            true => Loaded::Locked(key.public_key().clone()),
            false => Loaded::Ready(Arc::new(key)),
        });
    }
    match russh::keys::decode_secret_key(&text, None) {
        Ok(key) => Ok(Loaded::Ready(Arc::new(key))),
        Err(russh::keys::Error::KeyIsEncrypted) => {
            // An old format hides the public half as well; it may lie beside the key.
            let mut public = path.as_os_str().to_owned();
            public.push(".pub");
            russh::keys::load_public_key(PathBuf::from(public)).map(Loaded::Locked).map_err(|_| {
                format!("{shown} is encrypted in an old format; convert it with: ssh-keygen -p -f {shown}")
            })
        }
        Err(russh::keys::Error::UnsupportedKeyType { .. }) => {
            Err(format!("{shown} is of a kind this build leaves out (RSA needs the cargo feature `rsa`)"))
        }
        Err(_) => Err(format!("{shown} is not a private key we can read")),
    }
}
