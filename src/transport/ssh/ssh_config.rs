//! `~/.ssh/config`, as far as it says where a host is and how to get in.

use std::path::{Path, PathBuf};

use crate::ssh::common_args::split;
use crate::ssh::known_hosts::wildcard;
use crate::ssh::option::{Options, Place, SettingsError};

/// Files may include files; not for ever.
const DEEPEST: usize = 16;

#[derive(Clone, Debug)]
enum Condition {
    /// `Host` patterns.
    Host(Vec<String>),
    /// `Match` criteria we can judge.
    Match(Vec<(Criterion, bool, Vec<String>)>),
    /// Never: a `Match` we cannot judge, or one about a second pass that we do not make.
    Never,
}

#[derive(Clone, Copy, Debug)]
enum Criterion {
    Host,
    OriginalHost,
    User,
    LocalUser,
}

#[derive(Clone, Debug)]
struct Setting {
    /// All of them must hold: an included file stands under the conditions of its `Include`.
    conditions: Vec<Condition>,
    key: String,
    value: String,
    place: Place,
}

/// Configuration files, read.
#[derive(Clone, Debug, Default)]
pub struct SshConfig {
    settings: Vec<Setting>,
    warnings: Vec<String>,
}

impl SshConfig {
    /// Reads files in order; what an earlier one says stays. Absent files are empty.
    pub fn read(files: &[PathBuf], home: &Path) -> Result<SshConfig, SettingsError> {
        let mut config = SshConfig::default();
        for file in files {
            config.add_file(file, home, &mut Vec::new(), 0)?;
        }
        Ok(config)
    }

    /// Reads a text as if it stood in `file`.
    pub fn parse(text: &str, file: &Path, home: &Path) -> Result<SshConfig, SettingsError> {
        let mut config = SshConfig::default();
        config.add(text, file, home, &mut Vec::new(), 0)?;
        Ok(config)
    }

    /// What the files say about a host, on top of what is known already: `options` stays where it says something.
    pub fn apply(&self, options: &mut Options, host: &str, local_user: &str) -> Result<(), SettingsError> {
        for setting in &self.settings {
            let holds = setting.conditions.iter().all(|c| holds(c, options, host, local_user));
            if holds {
                options.set(&setting.key, &setting.value, &setting.place)?;
            }
        }
        options.warnings.extend(self.warnings.iter().cloned());
        Ok(())
    }

    fn add_file(
        &mut self,
        file: &Path,
        home: &Path,
        conditions: &mut Vec<Condition>,
        depth: usize,
    ) -> Result<(), SettingsError> {
        match std::fs::read(file) {
            Ok(bytes) => self.add(&String::from_utf8_lossy(&bytes), file, home, conditions, depth),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(SettingsError {
                place: Place::File(file.to_owned(), 0),
                message: format!("cannot be read: {error}"),
                hint: format!("make it readable: ls -l {}", file.display()),
            }),
        }
    }

    fn add(
        &mut self,
        text: &str,
        file: &Path,
        home: &Path,
        conditions: &mut Vec<Condition>,
        depth: usize,
    ) -> Result<(), SettingsError> {
        let outer = conditions.len();
        for (number, line) in text.lines().enumerate() {
            let place = Place::File(file.to_owned(), number + 1);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |message: String, hint: &str| {
                Err(SettingsError { place: place.clone(), message, hint: hint.to_owned() })
            };
            let end = line.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let rest = rest.trim_start();
            let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
            let Some(words) = split(rest) else {
                return wrong("a quote is not closed".into(), "close it");
            };
            let words: Vec<String> = words.into_iter().take_while(|w| !w.starts_with('#')).collect();
            if words.is_empty() {
                return wrong(format!("{key} has no value"), "add it, or remove the line");
            }
            match key.to_ascii_lowercase().as_str() {
                "host" => {
                    conditions.truncate(outer);
                    conditions.push(Condition::Host(words));
                }
                "match" => {
                    conditions.truncate(outer);
                    let condition = self.criteria(&words, &place);
                    conditions.push(condition);
                }
                "include" => {
                    if depth == DEEPEST {
                        return wrong("files include each other too deeply".into(), "remove the circle");
                    }
                    for pattern in words {
                        for found in expand(&pattern, file, home) {
                            self.add_file(&found, home, conditions, depth + 1)?;
                        }
                    }
                }
                // A command is one value, blanks and quotes included.
                "proxycommand" | "localcommand" | "remotecommand" | "knownhostscommand" => {
                    self.push(conditions, key, rest.to_owned(), place);
                }
                _ => self.push(conditions, key, words.join(" "), place),
            }
        }
        conditions.truncate(outer);
        Ok(())
    }

    fn push(&mut self, conditions: &[Condition], key: &str, value: String, place: Place) {
        self.settings.push(Setting { conditions: conditions.to_vec(), key: key.to_owned(), value, place });
    }

    fn criteria(&mut self, words: &[String], place: &Place) -> Condition {
        let mut list = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (plain, wanted) = match word.strip_prefix('!') {
                Some(rest) => (rest, false),
                None => (word.as_str(), true),
            };
            let criterion = match plain.to_ascii_lowercase().as_str() {
                "all" => continue,
                // We make one pass and rewrite no names.
                "final" | "canonical" => return Condition::Never,
                "host" => Criterion::Host,
                "originalhost" => Criterion::OriginalHost,
                "user" => Criterion::User,
                "localuser" => Criterion::LocalUser,
                _ => {
                    self.warnings.push(format!("{place}: Match {plain} is not supported; its lines are left out"));
                    return Condition::Never;
                }
            };
            let patterns = words.next().map(|p| p.split(',').map(str::to_owned).collect()).unwrap_or_default();
            list.push((criterion, wanted, patterns));
        }
        Condition::Match(list)
    }
}

fn holds(condition: &Condition, options: &Options, host: &str, local_user: &str) -> bool {
    match condition {
        Condition::Never => false,
        Condition::Host(patterns) => among(patterns, host),
        Condition::Match(list) => list.iter().all(|(criterion, wanted, patterns)| {
            let value = match criterion {
                Criterion::OriginalHost => host,
                Criterion::Host => options.host_name.as_deref().unwrap_or(host),
                Criterion::User => options.user.as_deref().unwrap_or(local_user),
                Criterion::LocalUser => local_user,
            };
            among(patterns, value) == *wanted
        }),
    }
}

/// At least one pattern fits, and no negated one does.
fn among(patterns: &[String], value: &str) -> bool {
    let value = value.to_lowercase();
    let fits = |pattern: &str| wildcard(pattern.to_lowercase().as_bytes(), value.as_bytes());
    let refused = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(fits);
    !refused && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| fits(p))
}

/// The files an `Include` names, sorted; `*` and `?` may stand in any part of a path.
fn expand(pattern: &str, from: &Path, home: &Path) -> Vec<PathBuf> {
    let base = match from.starts_with("/etc") {
        true => PathBuf::from("/etc/ssh"),
        false => home.join(".ssh"),
    };
    let whole = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => base.join(pattern),
    };
    let mut found = vec![PathBuf::new()];
    for part in whole.components() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let hidden = name.to_string_lossy().starts_with('.') && !text.starts_with('.');
                if !hidden && wildcard(text.as_bytes(), name.to_string_lossy().as_bytes()) {
                    next.push(folder.join(name));
                }
            }
        }
        next.sort();
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::target::HostKeyChecking;

    fn options(text: &str, host: &str) -> Options {
        let config = SshConfig::parse(text, Path::new("/home/me/.ssh/config"), Path::new("/home/me")).unwrap();
        let mut options = Options::default();
        config.apply(&mut options, host, "me").unwrap();
        options
    }

    #[test]
    fn the_first_value_stays_and_keys_add_up() {
        let text = "\
            # comment\n\
            User = early\n\
            Host web* !web9\n\
            \tHostName 10.0.0.1\n\
            \tPort=2222\n\
            \tUser late\n\
            \tIdentityFile \"~/my keys/a\" # why\n\
            \tUserKnownHostsFile /a /b\n\
            \tStrictHostKeyChecking accept-new\n\
            Host web1 db\n\
            \tPort 1\n\
            \tIdentityFile ~/b\n\
            \tIdentitiesOnly yes\n\
            Host *\n\
            \tProxyJump bastion\n\
            \tSendEnv LANG\n";
        let web = options(text, "WEB1");
        assert_eq!(web.host_name.as_deref(), Some("10.0.0.1"));
        assert_eq!((web.port, web.user.as_deref()), (Some(2222), Some("early")));
        assert_eq!(web.identity_files, ["~/my keys/a", "~/b"]);
        assert_eq!(web.known_hosts, Some(vec!["/a".into(), "/b".into()]));
        assert_eq!(web.host_key_checking, Some(HostKeyChecking::AcceptNew));
        assert_eq!((web.identities_only, web.proxy_jump.as_deref()), (Some(true), Some("bastion")));
        assert!(web.warnings.is_empty());
        let other = options(text, "web9");
        assert_eq!((other.port, other.host_name.as_deref()), (None, None));
        assert_eq!(options(text, "db").port, Some(1));
    }

    #[test]
    fn match_blocks() {
        let text = "\
            Host web\n HostName real.example\n\
            Match host real.* !user root\n Port 1\n\
            Match originalhost web localuser me\n HostKeyAlias alias\n\
            Match final all\n User nobody\n\
            Match exec \"true\"\n User executed\n\
            Match all\n User everybody\n";
        let web = options(text, "web");
        assert_eq!((web.port, web.host_key_alias.as_deref()), (Some(1), Some("alias")));
        assert_eq!(web.user.as_deref(), Some("everybody"));
        assert_eq!(web.warnings, ["/home/me/.ssh/config:9: Match exec is not supported; its lines are left out"]);
        assert_eq!(options(text, "db").port, None);
    }

    #[test]
    fn includes_stand_under_their_conditions() {
        let unique: u64 = rand::random();
        let home = std::env::temp_dir().join(format!("reemo-config-{unique:x}"));
        std::fs::create_dir_all(home.join(".ssh/config.d")).unwrap();
        std::fs::write(home.join(".ssh/config.d/1.conf"), "Port 11\nHost db\nPort 12\n").unwrap();
        std::fs::write(home.join(".ssh/config.d/2.conf"), "User two\n").unwrap();
        std::fs::write(home.join(".ssh/config.d/ignored"), "User three\n").unwrap();
        let text = "Host web db\nInclude config.d/*.conf\nCompression yes\nHost *\nPort 13\n";
        let config = SshConfig::parse(text, &home.join(".ssh/config"), &home).unwrap();
        let of = |host| {
            let mut options = Options::default();
            config.apply(&mut options, host, "me").unwrap();
            (options.port, options.user)
        };
        assert_eq!(of("web"), (Some(11), Some("two".into())));
        assert_eq!(of("other"), (Some(13), None));
        std::fs::write(home.join(".ssh/config.d/1.conf"), "Include config.d/1.conf\n").unwrap();
        assert!(SshConfig::parse(text, &home.join(".ssh/config"), &home).is_err());
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn wrong_lines_are_named() {
        let at = |text: &str| {
            let config = SshConfig::parse(text, Path::new("c"), Path::new("/h"));
            config.and_then(|c| c.apply(&mut Options::default(), "a", "me")).unwrap_err().to_string()
        };
        assert_eq!(at("Port 22\n\nPort\n"), "c:3: Port has no value");
        assert_eq!(at("User \"me\nX y"), "c:1: a quote is not closed");
        assert_eq!(at("Port many"), "c:1: \"many\" is not a port");
        assert_eq!(at("ProxyCommand nc %h %p"), "c:1: ProxyCommand \"nc %h %p\" is not supported");
        // For other hosts it is nobody's business.
        let config = SshConfig::parse("Host b\nProxyCommand nc %h %p", Path::new("c"), Path::new("/h")).unwrap();
        config.apply(&mut Options::default(), "a", "me").unwrap();
    }
}
