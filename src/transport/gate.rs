//! What sudo says before it lets us through: the password goes to its prompt and to nothing else.
//!
//! Our line makes sudo print one random marker when it asks and another one, by the shell it starts,
//! when it has let us through. Everything the program reads is held back until then. So a password
//! never reaches the program, input never reaches sudo, and a refusal is told from a failure of the
//! program without reading sudo's words.

use rand::Rng;
use reemo_model::secret::Secret;

use crate::error::{Kind, TransportError};
use crate::quote::As;

/// Text before the marker beyond this much is not sudo's.
const MOST: usize = 64 * 1024;

/// How to become another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Become {
    /// May we? If not, a privileged command fails unless the connection is that user already.
    pub enabled: bool,
    /// Whom.
    pub user: String,
    /// What sudo asks for; `None` where it does not.
    pub password: Option<Secret>,
}

impl Default for Become {
    /// root, by a sudo that asks for nothing.
    fn default() -> Self {
        Become { enabled: true, user: "root".to_owned(), password: None }
    }
}

/// The state between starting sudo and its letting us through.
pub(crate) struct Gate {
    prompt: String,
    started: String,
    password: Option<Secret>,
    login: String,
    user: String,
    asked: bool,
    open: bool,
    seen: Vec<u8>,
}

/// What to do after some more of standard error.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing yet.
    Wait,
    /// Send the password and a newline.
    Answer(Secret),
    /// We are through; this much of standard error is the program's own.
    Open(Vec<u8>),
}

impl Gate {
    /// The gate for `login` becoming what `how` says, or `None` where nothing is to be done.
    pub(crate) fn new(login: &str, how: &Become) -> Result<Option<Gate>, TransportError> {
        if login == how.user {
            return Ok(None);
        }
        if !how.enabled {
            return Err(TransportError::new(
                Kind::Become,
                format!("connected as {login}, and this needs {}", how.user),
                "add -b (--become), or connect as root with -u root",
            ));
        }
        Ok(Some(Gate {
            prompt: marker(),
            started: marker(),
            password: how.password.clone(),
            login: login.to_owned(),
            user: how.user.clone(),
            asked: false,
            open: false,
            seen: Vec::new(),
        }))
    }

    /// For the builder of the line.
    pub(crate) fn who(&self) -> As {
        As::Sudo {
            user: self.user.clone(),
            prompt: self.password.is_some().then(|| self.prompt.clone()),
            started: self.started.clone(),
        }
    }

    /// True once sudo has let us through.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// True when sudo may ask, so that input must be held back.
    pub(crate) fn holds_input(&self) -> bool {
        self.password.is_some() && !self.open
    }

    /// Takes more of standard error, up to the marker.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Step, TransportError> {
        self.seen.extend_from_slice(bytes);
        if let Some(at) = find(&self.seen, self.started.as_bytes()) {
            self.open = true;
            let own = self.seen.split_off(at + self.started.len());
            return Ok(Step::Open(own));
        }
        if let Some(at) = find(&self.seen, self.prompt.as_bytes()) {
            if self.asked {
                return Err(self.wrong());
            }
            self.asked = true;
            self.seen.drain(..at + self.prompt.len());
            if let Some(password) = &self.password {
                return Ok(Step::Answer(password.clone()));
            }
        }
        if self.seen.len() > MOST {
            return Err(self.refused());
        }
        Ok(Step::Wait)
    }

    fn wrong(&self) -> TransportError {
        TransportError::new(
            Kind::Become,
            format!("sudo does not accept the password of {}", self.login),
            "give it with -K (--ask-become-pass), or correct ansible_become_password",
        )
    }

    /// The error for a sudo that ended, or went silent, without letting us through.
    pub(crate) fn refused(&self) -> TransportError {
        let said = String::from_utf8_lossy(&self.seen);
        let said = said.trim().lines().last().unwrap_or("nothing was said").trim();
        let message = format!("{} may not become {}: {said}", self.login, self.user);
        let look = format!("`sudo -l` on the host, as {}, tells what is allowed", self.login);
        let hint = match (&self.password, self.asked) {
            (None, _) => format!(
                "give sudo's password with -K (--ask-become-pass), or allow {0} to use sudo without one: \
                 echo '{0} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/reemo",
                self.login
            ),
            // One try only may be allowed, so that a wrong password ends here as well.
            (Some(_), true) => format!("check the password given with -K (--ask-become-pass); {look}"),
            (Some(_), false) => look,
        };
        TransportError::new(Kind::Become, message, hint)
    }
}

/// Text that no program prints by chance.
fn marker() -> String {
    format!("[{:032x}]", rand::rng().random::<u128>())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(password: Option<&str>) -> Gate {
        let how = Become { password: password.map(Secret::new), ..Become::default() };
        Gate::new("admin", &how).unwrap().unwrap()
    }

    #[test]
    fn root_needs_no_gate_and_a_forbidden_one_says_so() {
        assert!(Gate::new("root", &Become::default()).unwrap().is_none());
        let how = Become { enabled: false, ..Become::default() };
        assert_eq!(Gate::new("admin", &how).err().unwrap().kind, Kind::Become);
        assert!(Gate::new("root", &how).unwrap().is_none());
    }

    #[test]
    fn the_password_goes_to_the_prompt_only() {
        let mut gate = gate(Some("correct horse"));
        let (prompt, started) = (gate.prompt.clone(), gate.started.clone());
        assert!(gate.holds_input());
        assert_eq!(gate.push(b"We trust you have received the usual lecture\n").unwrap(), Step::Wait);
        // The prompt may come in pieces.
        assert_eq!(gate.push(&prompt.as_bytes()[..9]).unwrap(), Step::Wait);
        assert_eq!(gate.push(&prompt.as_bytes()[9..]).unwrap(), Step::Answer(Secret::new("correct horse")));
        assert_eq!(gate.push(format!("\n{started}own error").as_bytes()).unwrap(), Step::Open(b"own error".to_vec()));
        assert!(gate.is_open() && !gate.holds_input());
    }

    #[test]
    fn asked_twice_means_wrong() {
        let mut gate = gate(Some("correct horse"));
        let prompt = gate.prompt.clone();
        assert!(matches!(gate.push(prompt.as_bytes()).unwrap(), Step::Answer(_)));
        let error = gate.push(format!("Sorry, try again.\n{prompt}").as_bytes()).unwrap_err();
        assert_eq!(error.kind, Kind::Become);
        assert!(error.hint.contains("-K"));
    }

    #[test]
    fn a_sudo_that_ends_is_a_refusal_with_its_words() {
        let mut gate = gate(None);
        assert!(!gate.holds_input());
        gate.push(b"sudo: a password is required\n").unwrap();
        let error = gate.refused();
        assert_eq!(error.message, "admin may not become root: sudo: a password is required");
        assert!(error.hint.contains("-K"));
    }
}
