//! Why a vault stays closed, and what to do about it.

use std::fmt;

use super::DEFAULT_LABEL;
use super::envelope::Damage;

/// Why a vault stays closed. Names labels, never passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// The text is no vault, or not whole.
    Damaged(Damage),
    /// No password was given at all.
    NoPassword {
        /// The vault id in its header.
        label: Option<String>,
    },
    /// No password that was tried fits.
    NoMatch {
        /// The vault id in its header.
        label: Option<String>,
        /// Labels of the passwords that were tried, in order.
        tried: Vec<String>,
        /// Labels of those that were not, because `ANSIBLE_VAULT_ID_MATCH` is set.
        untried: Vec<String>,
    },
    /// It opens, and what it holds is no UTF-8 text where text is needed.
    NotText,
}

impl VaultError {
    /// What to do.
    pub fn help(&self) -> String {
        let given = |label: &Option<String>| match label.as_deref().filter(|l| *l != DEFAULT_LABEL) {
            Some(label) => format!("`--vault-id {label}@FILE` or `--vault-id {label}@prompt`"),
            None => "`--ask-vault-pass` or `--vault-password-file FILE`".to_owned(),
        };
        match self {
            VaultError::Damaged(_) => "restore it from a copy that opens, or encrypt the value again".into(),
            VaultError::NoPassword { label } => format!("give {}", given(label)),
            VaultError::NoMatch { label, tried, .. } if tried.is_empty() => format!("give {}", given(label)),
            VaultError::NoMatch { label, .. } => format!(
                "check the password ({}); if it is right, the text was changed after it was encrypted",
                given(label).replace(" or ", ", ")
            ),
            VaultError::NotText => "variables are text in UTF-8".into(),
        }
    }

    /// The place inside the vault's own text, where there is one.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            VaultError::Damaged(damage) => Some(damage),
            _ => None,
        }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |labels: &[String]| labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
        let id = |label: &Option<String>| match label {
            Some(label) => format!(" (its vault id is `{label}`)"),
            None => String::new(),
        };
        match self {
            VaultError::Damaged(damage) => {
                write!(f, "line {}, column {} of the vault: {}", damage.line, damage.column, damage.message)
            }
            VaultError::NoPassword { label } => write!(f, "no vault password was given{}", id(label)),
            VaultError::NoMatch { label, tried, untried } if tried.is_empty() => write!(
                f,
                "none of the vault passwords given ({}) has the id `{}`, and ANSIBLE_VAULT_ID_MATCH asks for it",
                list(untried),
                label.as_deref().unwrap_or(DEFAULT_LABEL)
            ),
            VaultError::NoMatch { label, tried, .. } => match tried.as_slice() {
                [one] => write!(f, "the vault password `{one}` does not open it{}", id(label)),
                _ => write!(f, "none of the vault passwords {} opens it{}", list(tried), id(label)),
            },
            VaultError::NotText => f.write_str("what it holds is no text"),
        }
    }
}

impl std::error::Error for VaultError {}
