//! `ansible_ssh_common_args` and its like: the arguments people give to OpenSSH's `ssh`.

use std::path::PathBuf;

use crate::ssh::option::{Options, Place, SettingsError};

/// Arguments, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// What they set.
    pub options: Options,
    /// `-F`: the configuration file to read instead of the usual ones; `none` for no file.
    pub config: Option<PathBuf>,
}

/// Flags that change nothing here, all without a value.
const HARMLESS: &str = "46AaCfGgKknNqsTtvXxYy";

/// Reads arguments as a shell would split them. `variable` is where they come from.
pub fn parse(text: &str, variable: &str) -> Result<Arguments, SettingsError> {
    let place = Place::Named(variable.to_owned());
    let wrong =
        |message: String, hint: &str| Err(SettingsError { place: place.clone(), message, hint: hint.to_owned() });
    let Some(words) = split(text) else {
        return wrong("a quote is not closed".into(), "close it");
    };
    let mut read = Arguments::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(flags) = word.strip_prefix('-').filter(|f| !f.is_empty() && !f.starts_with('-')) else {
            return wrong(
                format!("{word:?} is not an option of ssh"),
                "only options can stand here: -o -J -i -p -l -F",
            );
        };
        for (at, flag) in flags.char_indices() {
            if HARMLESS.contains(flag) {
                continue;
            }
            if !"oJiplF".contains(flag) {
                return wrong(format!("-{flag} is not supported"), "supported are -o -J -i -p -l -F; remove it");
            }
            let rest = &flags[at + 1..];
            let value = match rest.is_empty() {
                true => words.next(),
                false => Some(rest.to_owned()),
            };
            let Some(value) = value else { return wrong(format!("-{flag} has no value"), "add it") };
            let options = &mut read.options;
            match flag {
                'o' => {
                    let value = value.trim_start();
                    let end = value.find(|c: char| c == '=' || c.is_ascii_whitespace());
                    let Some((key, value)) = end.map(|end| value.split_at(end)) else {
                        return wrong(format!("-o {value} has no value"), "write -o Option=value");
                    };
                    let value = value.trim_start_matches(|c: char| c == '=' || c.is_ascii_whitespace()).trim_end();
                    options.set(key, unquoted(value), &place)?;
                }
                'J' => options.set("ProxyJump", &value, &place)?,
                'i' => options.set("IdentityFile", &value, &place)?,
                'p' => options.set("Port", &value, &place)?,
                'l' => options.set("User", &value, &place)?,
                _ => read.config = Some(PathBuf::from(value)),
            }
            break;
        }
    }
    Ok(read)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
}

/// The `ProxyJump` that a `ProxyCommand` of the usual form stands for: `ssh -W %h:%p user@bastion`.
pub(crate) fn jump_of(command: &str) -> Option<String> {
    let words = split(command)?;
    let (program, rest) = words.split_first()?;
    if program.rsplit('/').next() != Some("ssh") {
        return None;
    }
    let (mut user, mut port, mut host, mut forwards) = (None, None, None, false);
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let Some(flag) = word.strip_prefix('-') else {
            if host.replace(word.clone()).is_some() {
                return None;
            }
            continue;
        };
        let (letter, glued) = flag.split_at_checked(1)?;
        let mut value = || if glued.is_empty() { rest.next().cloned() } else { Some(glued.to_owned()) };
        match letter {
            "W" => forwards = matches!(value()?.as_str(), "%h:%p" | "[%h]:%p"),
            "l" => user = Some(value()?),
            "p" => port = Some(value()?),
            "o" => {
                // Only what a hop takes from the host anyway may be set on the way.
                let option = value()?.to_ascii_lowercase();
                let harmless = [
                    "stricthostkeychecking",
                    "userknownhostsfile",
                    "controlmaster",
                    "controlpath",
                    "controlpersist",
                    "forwardagent",
                    "loglevel",
                    "batchmode",
                ];
                if !harmless.iter().any(|h| option.starts_with(h)) {
                    return None;
                }
            }
            "q" | "A" | "a" | "T" | "x" | "C" => {}
            _ => return None,
        }
    }
    let host = host.filter(|_| forwards)?;
    let (at_user, host) = match host.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host.to_owned()),
        None => (None, host),
    };
    let mut jump = String::new();
    if let Some(user) = user.or(at_user) {
        jump += &format!("{user}@");
    }
    jump += &host;
    if let Some(port) = port {
        jump += &format!(":{port}");
    }
    Some(jump)
}

/// Words as a POSIX shell splits them, without expanding anything. `None`: a quote is open.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::target::HostKeyChecking;

    fn ok(text: &str) -> Options {
        parse(text, "ansible_ssh_common_args").unwrap().options
    }

    #[test]
    fn what_inventories_have() {
        let options = ok(
            "-o ProxyJump=ops@bastion:2222 -o StrictHostKeyChecking=accept-new -oUserKnownHostsFile=/a -i /k -p 22 -l me",
        );
        assert_eq!(options.proxy_jump.as_deref(), Some("ops@bastion:2222"));
        assert_eq!(options.host_key_checking, Some(HostKeyChecking::AcceptNew));
        assert_eq!(options.known_hosts, Some(vec!["/a".to_owned()]));
        assert_eq!((options.port, options.user.as_deref()), (Some(22), Some("me")));
        assert_eq!(options.identity_files, ["/k"]);
        assert!(options.warnings.is_empty());
        // Ansible's own default.
        assert_eq!(ok("-C -o ControlMaster=auto -o ControlPersist=60s"), Options::default());
        assert_eq!(ok("-Jbastion").proxy_jump.as_deref(), Some("bastion"));
        assert_eq!(ok("-qJ bastion").proxy_jump.as_deref(), Some("bastion"));
        assert_eq!(ok("-o 'ConnectTimeout 7'").connect_timeout, Some(7));
        let proxy = r#"-o ProxyCommand="ssh -W %h:%p -q -p 2222 ops@bastion""#;
        assert_eq!(ok(proxy).proxy_jump.as_deref(), Some("ops@bastion:2222"));
        assert_eq!(ok("").host_name, None);
    }

    #[test]
    fn checking_switched_off_is_accept_new_with_a_warning() {
        let options = ok("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null");
        assert_eq!(options.host_key_checking, Some(HostKeyChecking::AcceptNew));
        assert_eq!(options.warnings.len(), 1);
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (text, named) in [
            ("-w 0", "-w"),
            ("-L 1:a:2", "-L"),
            ("-o", "-o has no value"),
            ("-o Port", "-o Port has no value"),
            ("-p x", "\"x\""),
            ("-p 0", "\"0\""),
            ("host", "\"host\""),
            ("--long", "\"--long\""),
            ("-o 'open", "quote"),
            ("-o ProxyCommand='nc %h %p'", "ProxyCommand"),
            ("-o ProxyCommand='ssh -W %h:%p -o Foo=1 b'", "ProxyCommand"),
            ("-o CertificateFile=x", "CertificateFile"),
        ] {
            let error = parse(text, "ansible_ssh_common_args").unwrap_err();
            assert!(error.to_string().starts_with("ansible_ssh_common_args: "), "{error}");
            assert!(error.message.contains(named), "{text}: {error}");
            assert!(!error.hint.is_empty());
        }
        // Unknown to us is not refused: OpenSSH grows.
        assert_eq!(ok("-o FutureThing=yes").warnings.len(), 1);
    }

    #[test]
    fn words_are_a_shells() {
        for (text, words) in [
            ("a 'b c' \"d e\"f\\ g", vec!["a", "b c", "d ef g"]),
            ("'' \"\\\"\" \"\\x\"", vec!["", "\"", "\\x"]),
            ("  ", vec![]),
        ] {
            assert_eq!(split(text).unwrap(), words);
        }
        assert!(split("'a").is_none() && split("\"a").is_none() && split("a\\").is_none());
    }
}
