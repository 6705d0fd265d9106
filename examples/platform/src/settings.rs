//! What a service is told by its environment.

use std::path::PathBuf;
use std::time::Duration;

/// The part of the environment every service reads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its Swarm name (`reemo_api`), which is also the name in its certificate.
    pub service: String,
    /// Release; baked into the image.
    pub version: String,
    /// Container it runs in.
    pub host: String,
    /// Where the certificate and the secrets are.
    pub secrets: PathBuf,
    /// How long it keeps serving after SIGTERM.
    pub drain: Duration,
    /// Starts, but never becomes healthy.
    pub broken: bool,
    /// Ends at once on SIGTERM.
    pub dies_on_term: bool,
    /// Crashes when it has run for so long, healthy until then.
    pub crashes_after: Option<Duration>,
    /// Is healthy to look at, and answers every question with an error.
    pub answers_errors: bool,
}

impl Settings {
    /// Reads the environment; `word` is what it was started as.
    pub fn from_env(word: &str) -> Settings {
        Settings {
            service: text("REEMO_SERVICE").unwrap_or_else(|| format!("reemo_{word}")),
            version: text("REEMO_VERSION").unwrap_or_else(|| "0.0.0".into()),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
            secrets: secrets_dir(),
            drain: Duration::from_secs(text("DRAIN_SECONDS").and_then(|t| t.parse().ok()).unwrap_or(5)),
            broken: truthy("REEMO_BROKEN"),
            dies_on_term: truthy("REEMO_DIE_ON_TERM"),
            crashes_after: text("REEMO_CRASH_AFTER_SECONDS").and_then(|t| t.parse().ok()).map(Duration::from_secs),
            answers_errors: truthy("REEMO_ANSWER_ERRORS"),
        }
    }

    /// A secret's content without the line end an editor may have left.
    pub fn secret(&self, name: &str) -> Result<String, crate::Failure> {
        let path = self.secrets.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim_end().is_empty() => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Ok(_) => Err(crate::Failure::new(3, format!("the secret {} is empty", path.display()))),
            Err(e) => Err(crate::Failure::new(3, format!("the secret {} cannot be read: {e}", path.display()))),
        }
    }
}

/// Folder of the secrets.
pub fn secrets_dir() -> PathBuf {
    text("REEMO_SECRETS").unwrap_or_else(|| "/run/secrets".into()).into()
}

/// A variable; an empty one counts as absent.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable is switched on.
pub fn truthy(name: &str) -> bool {
    text(name).is_some_and(|value| is_true(&value))
}

/// The words that mean yes.
pub fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_yes() {
        assert!(is_true("True") && is_true("1") && is_true(" yes "));
        assert!(!is_true("false") && !is_true("") && !is_true("2"));
    }
}
