//! Quoting for a POSIX shell: the one place where an argument becomes part of a line.

use std::borrow::Cow;

/// Words the shell reads as grammar when they stand first; quoting takes that away.
const RESERVED: [&str; 20] = [
    "case",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "esac",
    "fi",
    "for",
    "function",
    "if",
    "in",
    "namespace",
    "select",
    "then",
    "time",
    "typeset",
    "until",
    "while",
    "declare",
];

/// The word as a POSIX shell must be given it to read back exactly these bytes as one word.
///
/// Total and idempotent in meaning: whatever the word holds (quotes, newlines, `$(…)`, a leading `~`
/// or `NAME=`), the shell sees one word. A NUL cannot be part of any program's argument; whoever takes
/// text from outside refuses it before it gets here.
///
/// ```
/// use reemo_model::quote::sh_quote;
/// assert_eq!(sh_quote("/etc/docker/daemon.json"), "/etc/docker/daemon.json");
/// assert_eq!(sh_quote("it's"), r"'it'\''s'");
/// assert_eq!(sh_quote(""), "''");
/// ```
pub fn sh_quote(word: &str) -> Cow<'_, str> {
    match sh_quote_bytes(word.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(word),
        // Only ASCII was added: what was UTF-8 still is.
        Cow::Owned(quoted) => Cow::Owned(String::from_utf8_lossy(&quoted).into_owned()),
    }
}

/// [`sh_quote`] for bytes that need not be text.
pub fn sh_quote_bytes(word: &[u8]) -> Cow<'_, [u8]> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:@%+,".contains(b);
    let reserved = || RESERVED.iter().any(|r| r.as_bytes() == word);
    if !word.is_empty() && word.iter().all(plain) && !reserved() {
        return Cow::Borrowed(word);
    }
    let mut quoted = Vec::with_capacity(word.len() + 2);
    quoted.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    Cow::Owned(quoted)
}

/// A program and its arguments as one shell command.
///
/// ```
/// use reemo_model::quote::join;
/// assert_eq!(join(["printf", "%s\n", "a b"]), "printf '%s\n' 'a b'");
/// ```
pub fn join<S: AsRef<str>>(argv: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in argv {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&sh_quote(word.as_ref()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_act_on_is_quoted() {
        for word in ["a b", "$HOME", "`id`", "*", "~", "A=b", "if", "!", "{", "#x", "a\nb", "", "\\", "é", "a;b", "[x]"]
        {
            assert!(sh_quote(word).starts_with('\''), "{word:?} must be quoted");
        }
    }

    #[test]
    fn ordinary_words_stay_readable() {
        for word in ["systemctl", "-o", "Dpkg::Lock", "/var/lib/x_1.y", "user@host", "50%", "a,b+c"] {
            assert_eq!(sh_quote(word), word);
        }
    }
}
