//! The one builder of the line a remote shell reads.

use std::time::Duration;

use reemo_model::quote::sh_quote;

use crate::error::{Kind, TransportError};

/// Seconds between asking a program to end and ending it.
pub const KILL_AFTER: u64 = 5;

/// One argument as a POSIX shell word, quoted by the one quoting function.
pub fn quote(argument: &str) -> String {
    sh_quote(argument).into_owned()
}

/// Who runs the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum As {
    /// The user of the connection.
    Login,
    /// Another user, by sudo.
    Sudo {
        /// That user.
        user: String,
        /// What sudo asks for the password with; `None`: it must not ask.
        prompt: Option<String>,
        /// Written to standard error once sudo has let us through: what comes before it is sudo's.
        started: String,
    },
}

/// The line for the remote shell: environment by `env`, another user by `sudo`, and a limit that ends
/// the whole process group.
///
/// With sudo, `timeout` stands inside: outside it could not signal processes of root. A host without
/// `timeout` runs the program without it; our own clock still ends the wait.
pub fn line(
    argv: &[String],
    env: &[(String, String)],
    who: &As,
    limit: Option<Duration>,
) -> Result<String, TransportError> {
    if argv.is_empty() {
        return Err(bug("an empty command"));
    }
    let mut words = Vec::with_capacity(argv.len() + env.len() + 1);
    if !env.is_empty() || argv[0].contains('=') {
        words.push("env".to_owned());
    }
    for (key, value) in env {
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(bug(format!("{key:?} is no name for an environment variable")));
        }
        words.push(quote(&format!("{key}={value}")));
    }
    words.extend(argv.iter().map(|a| quote(a)));
    if argv.iter().chain(env.iter().map(|(_, v)| v)).any(|w| w.contains('\0')) {
        return Err(bug(format!("{:?} is run with a NUL byte in an argument", argv[0])));
    }
    let program = words.join(" ");

    let limited = match limit {
        Some(limit) => {
            let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
            format!(
                "set -- timeout -k {KILL_AFTER} {}; command -v timeout >/dev/null 2>&1 || set --; exec \"$@\" {program}",
                seconds.max(1)
            )
        }
        None => format!("exec {program}"),
    };
    Ok(match who {
        As::Login => limited,
        As::Sudo { user, prompt, started } => {
            let ask = match prompt {
                Some(prompt) => format!("-S -k -p {}", quote(prompt)),
                None => "-n".to_owned(),
            };
            let inner = format!("printf %s {} >&2; {limited}", quote(started));
            format!("exec sudo {ask} -u {} -- sh -c {}", quote(user), quote(&inner))
        }
    })
}

fn bug(message: impl Into<String>) -> TransportError {
    TransportError::new(Kind::Internal, message, "this is a bug of reemo-infra; please report it")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rand::{Rng, SeedableRng};

    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    fn sh(line: impl AsRef<std::ffi::OsStr>) -> Vec<u8> {
        Command::new("/bin/sh").arg("-c").arg(line).output().unwrap().stdout
    }

    #[test]
    fn any_bytes_come_back_from_a_real_shell() {
        use std::os::unix::ffi::OsStringExt;
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        for round in 0..60 {
            // Many words in one shell: a process each would be slow. Each byte but NUL occurs.
            let list: Vec<Vec<u8>> = (0..40)
                .map(|_| {
                    let length = random.random_range(0..40);
                    let hard = b"'\"\\$`!*?~#&|;<>(){}[] \t\n\r=%\xff\xc3";
                    (0..length)
                        .map(|_| match round % 2 {
                            0 => hard[random.random_range(0..hard.len())],
                            _ => random.random_range(1..=255u8),
                        })
                        .collect()
                })
                .collect();
            let mut script = b"printf '%s\\001' ".to_vec();
            for word in &list {
                script.extend_from_slice(&reemo_model::quote::sh_quote_bytes(word));
                script.push(b' ');
            }
            let mut expected = Vec::new();
            for word in &list {
                expected.extend(word);
                expected.push(1);
            }
            assert_eq!(sh(std::ffi::OsString::from_vec(script)), expected);
        }
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(quote("/etc/docker/daemon.json"), "/etc/docker/daemon.json");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("~root"), "'~root'");
        assert_eq!(quote("A=b"), "'A=b'");
    }

    #[test]
    fn a_line_runs() {
        let env = [("GREETING".to_owned(), "a 'b' $c".to_owned())];
        let argv = words(&["sh", "-c", "printf '%s|%s' \"$GREETING\" \"$1\"", "-", "x  y"]);
        let script = line(&argv, &env, &As::Login, Some(Duration::from_secs(9))).unwrap();
        assert_eq!(sh(script), b"a 'b' $c|x  y");
        // A program whose name looks like an assignment is still a program.
        let script = line(&words(&["A=b"]), &[], &As::Login, None).unwrap();
        assert_eq!(script, "exec env 'A=b'");
    }

    #[test]
    fn a_host_without_timeout_still_runs_it() {
        let script = line(&words(&["/bin/echo", "yes"]), &[], &As::Login, Some(Duration::from_secs(9))).unwrap();
        let output = Command::new("/bin/sh").arg("-c").arg(script).env("PATH", "/nowhere").output().unwrap();
        assert_eq!(output.stdout, b"yes\n");
    }

    #[test]
    fn sudo_stands_outside_the_limit() {
        let who = As::Sudo { user: "root".into(), prompt: Some("ask:".into()), started: "go".into() };
        assert_eq!(
            line(&words(&["id", "-u"]), &[], &who, None).unwrap(),
            "exec sudo -S -k -p ask: -u root -- sh -c 'printf %s go >&2; exec id -u'"
        );
        let who = As::Sudo { user: "root".into(), prompt: None, started: "go".into() };
        assert!(line(&words(&["id"]), &[], &who, None).unwrap().starts_with("exec sudo -n -u root -- sh -c "));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (argv, env) in [
            (vec![], vec![]),
            (words(&["a\0b"]), vec![]),
            (words(&["a"]), vec![("B C".to_owned(), String::new())]),
            (words(&["a"]), vec![("B".to_owned(), "\0".to_owned())]),
        ] {
            assert_eq!(line(&argv, &env, &As::Login, None).unwrap_err().kind, Kind::Internal);
        }
    }
}
