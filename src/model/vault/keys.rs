//! The passwords of a run, and which of them opens a vault.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zeroize::Zeroizing;

use super::cipher::Keys;
use super::envelope::{self, Envelope};
use super::{DEFAULT_LABEL, VaultError};
use crate::secret::Secret;

/// A password and the vault id it was given for.
#[derive(Clone, Debug)]
pub struct Password {
    /// The vault id; [`DEFAULT_LABEL`] where none was said.
    pub label: String,
    /// The password.
    pub secret: Secret,
}

/// A vault that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it holds.
    pub plain: Zeroizing<Vec<u8>>,
    /// The vault id in its header.
    pub label: Option<String>,
    /// The password that opened it.
    pub with: Password,
}

type Cell<T> = Arc<OnceLock<T>>;
/// By password and salt.
type DerivedKeys = HashMap<(usize, Vec<u8>), Cell<Keys>>;
/// By the encrypted text.
type Texts = HashMap<String, Cell<Result<Secret, VaultError>>>;

/// All passwords of a run, in the order they are tried. Keys are derived once for a password and a salt,
/// and each text is decrypted once.
#[derive(Default)]
pub struct Vault {
    passwords: Vec<Password>,
    match_label: bool,
    keys: Mutex<DerivedKeys>,
    texts: Mutex<Texts>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("passwords", &self.passwords).finish_non_exhaustive()
    }
}

impl Vault {
    /// With these passwords.
    pub fn new(passwords: Vec<Password>) -> Self {
        Vault { passwords, ..Self::default() }
    }

    /// Tries only passwords of the same vault id (Ansible's `DEFAULT_VAULT_ID_MATCH`).
    pub fn match_label(mut self, on: bool) -> Self {
        self.match_label = on;
        self
    }

    /// The passwords, in order.
    pub fn passwords(&self) -> &[Password] {
        &self.passwords
    }

    /// Opens a vault. A password is tried first where its id is the one in the header, then the others in
    /// order: which one opens it does not depend on that, only how long it takes.
    pub fn open(&self, text: &[u8]) -> Result<Opened, VaultError> {
        let envelope = envelope::parse(text).map_err(VaultError::Damaged)?;
        let label = envelope.label.clone();
        if self.passwords.is_empty() {
            return Err(VaultError::NoPassword { label });
        }
        let wanted = label.as_deref().unwrap_or(DEFAULT_LABEL);
        let (same, other): (Vec<usize>, Vec<usize>) =
            (0..self.passwords.len()).partition(|n| self.passwords[*n].label == wanted);
        let (tried, untried) = match self.match_label {
            true => (same, other),
            false => ([same, other].concat(), Vec::new()),
        };
        for &index in &tried {
            if let Some(plain) =
                self.keys(index, &envelope).get_or_init(|| self.derive(index, &envelope)).open(&envelope)
            {
                return Ok(Opened { plain, label, with: self.passwords[index].clone() });
            }
        }
        let labels = |of: Vec<usize>| of.into_iter().map(|n| self.passwords[n].label.clone()).collect();
        Err(VaultError::NoMatch { label, tried: labels(tried), untried: labels(untried) })
    }

    /// The text of an inline `!vault` value, decrypted once.
    pub fn text(&self, armoured: &str) -> Result<Secret, VaultError> {
        let cell = {
            let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
            match texts.get(armoured) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(texts.entry(armoured.to_owned()).or_default()),
            }
        };
        cell.get_or_init(|| {
            let opened = self.open(armoured.as_bytes())?;
            match std::str::from_utf8(&opened.plain) {
                // Not yet in the register: whether it may be shown is the caller's to say.
                Ok(text) => Ok(Secret::unregistered(text)),
                Err(_) => Err(VaultError::NotText),
            }
        })
        .clone()
    }

    fn keys(&self, index: usize, envelope: &Envelope) -> Cell<Keys> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry((index, envelope.salt.clone())).or_default())
    }

    fn derive(&self, index: usize, envelope: &Envelope) -> Keys {
        Keys::derive(self.passwords[index].secret.expose(), &envelope.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(label: &str, text: &str) -> Password {
        Password { label: label.into(), secret: Secret::unregistered(text) }
    }

    fn sealed(text: &str, with: &str, label: Option<&str>) -> String {
        super::super::seal(text.as_bytes(), with.as_bytes(), &[9; super::super::SALT_LENGTH], label)
    }

    #[test]
    fn any_password_that_fits_opens() {
        let vault = Vault::new(vec![password("default", "one"), password("dev", "two"), password("dev", "three")]);
        let with = |text: &str| vault.open(text.as_bytes()).map(|o| (o.with.label, o.label));
        assert_eq!(with(&sealed("x", "one", Some("dev"))), Ok(("default".into(), Some("dev".into()))));
        assert_eq!(with(&sealed("x", "three", Some("dev"))), Ok(("dev".into(), Some("dev".into()))));
        assert_eq!(with(&sealed("x", "two", None)), Ok(("dev".into(), None)));
        let error = with(&sealed("x", "four", Some("prod"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of the vault passwords `default`, `dev`, `dev` opens it (its vault id is `prod`)"
        );
        assert!(error.help().contains("--vault-id prod@FILE"), "{}", error.help());
    }

    #[test]
    fn ids_must_match_where_asked() {
        let vault = Vault::new(vec![password("default", "one"), password("dev", "two")]).match_label(true);
        assert!(vault.open(sealed("x", "one", None).as_bytes()).is_ok());
        assert!(vault.open(sealed("x", "two", Some("dev")).as_bytes()).is_ok());
        assert!(vault.open(sealed("x", "one", Some("dev")).as_bytes()).is_err());
        let error = vault.open(sealed("x", "one", Some("prod")).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("has the id `prod`"), "{error}");
    }

    #[test]
    fn texts() {
        let vault = Vault::new(vec![password("default", "one")]);
        let text = sealed("größe\n", "one", None);
        assert_eq!(vault.text(&text).unwrap().expose_str(), Some("größe\n"));
        assert_eq!(vault.text(&text).unwrap(), vault.text(&text).unwrap());
        let bytes = super::super::seal(&[0xff, 0xfe], b"one", &[9; super::super::SALT_LENGTH], None);
        assert_eq!(vault.text(&bytes), Err(VaultError::NotText));
        assert_eq!(Vault::default().text(&text), Err(VaultError::NoPassword { label: None }));
        assert!(!format!("{vault:?}").contains("one"));
    }
}
