//! From what the inventory, the command line and `~/.ssh/config` say, to a [`Target`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reemo_model::secret::Secret;

use crate::gate::Become;
use crate::ssh::common_args;
use crate::ssh::option::{Options, Place, SettingsError};
use crate::ssh::ssh_config::SshConfig;
use crate::ssh::target::{AskPassphrase, HostKeyChecking, Target};

/// A chain of hops is no longer than this.
const MOST_HOPS: usize = 8;

/// OpenSSH waits as long as TCP does; that is minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The machine we run on, as far as SSH is concerned.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The home folder.
    pub home: PathBuf,
    /// Who runs us.
    pub user: String,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The configuration files.
    pub config: Arc<SshConfig>,
}

impl Surroundings {
    /// As this process finds them.
    pub fn here() -> Result<Surroundings, SettingsError> {
        let from_env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        let home = from_env("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let config = SshConfig::read(&[home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")], &home)?;
        Ok(Surroundings {
            home,
            user: user.unwrap_or_else(|| "root".to_owned()),
            agent: from_env("SSH_AUTH_SOCK").map(PathBuf::from),
            config: Arc::new(config),
        })
    }
}

/// What is wanted of one host. Names in brackets are Ansible's.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Inventory name.
    pub name: String,
    /// `ansible_host`; else the name.
    pub address: Option<String>,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`, `-u`.
    pub user: Option<String>,
    /// `ansible_ssh_private_key_file`, `--private-key`.
    pub key: Option<PathBuf>,
    /// `ansible_password`, `-k`.
    pub password: Option<Secret>,
    /// `-J`.
    pub jump: Option<String>,
    /// `ansible_ssh_args`, `ansible_ssh_common_args`, `ansible_ssh_extra_args`: the name of each and its text.
    pub arguments: Vec<(String, String)>,
    /// `ansible_ssh_timeout`, `-T`.
    pub connect_timeout: Option<Duration>,
    /// Overrides what the files say about unknown host keys.
    pub host_key_checking: Option<HostKeyChecking>,
    /// Asks for passphrases.
    pub passphrase: Option<AskPassphrase>,
    /// `ansible_become…`.
    pub r#become: Become,
}

/// A target, and what people should know about how it was understood.
pub struct Resolved {
    /// Whom to connect to.
    pub target: Target,
    /// For people.
    pub warnings: Vec<String>,
}

impl Wanted {
    /// Decides everything. Variables and options win over arguments, arguments over files.
    pub fn resolve(&self, here: &Surroundings) -> Result<Resolved, SettingsError> {
        let mut options = Options {
            user: self.user.clone(),
            port: self.port,
            identity_files: self.key.iter().map(|k| k.display().to_string()).collect(),
            proxy_jump: self.jump.clone(),
            host_key_checking: self.host_key_checking,
            ..Options::default()
        };
        let mut other_files = None;
        for (variable, text) in &self.arguments {
            let read = common_args::parse(text, variable)?;
            merge(&mut options, read.options, variable)?;
            other_files = other_files.or(read.config);
        }
        let config = match other_files {
            None => here.config.clone(),
            Some(none) if none == Path::new("none") => Arc::default(),
            Some(file) => {
                let file = PathBuf::from(tilde(&file.display().to_string(), &here.home));
                if !file.exists() {
                    return Err(SettingsError {
                        place: Place::File(file.clone(), 0),
                        message: "there is no such file (-F)".into(),
                        hint: "correct the path".into(),
                    });
                }
                Arc::new(SshConfig::read(&[file], &here.home)?)
            }
        };
        let here = Surroundings { config, ..here.clone() };
        let asked = self.address.clone().unwrap_or_else(|| self.name.clone());
        let mut target = self.target(&self.name, &asked, options.clone(), &here)?;
        target.warnings.dedup();
        let mut built = target.target;
        built.password = self.password.clone();
        built.r#become = self.r#become.clone();
        let jump = target.jump.filter(|j| !j.eq_ignore_ascii_case("none"));
        if let Some(jump) = jump {
            built.jump = self.hops(&jump, &built, &here, &mut target.warnings, 0)?;
        }
        Ok(Resolved { target: built, warnings: target.warnings })
    }

    /// One host, from what is said about it and the files; its hops are left as text.
    fn target(
        &self,
        name: &str,
        asked: &str,
        mut options: Options,
        here: &Surroundings,
    ) -> Result<Partly, SettingsError> {
        here.config.apply(&mut options, asked, &here.user)?;
        let user = options.user.clone().unwrap_or_else(|| here.user.clone());
        let port = options.port.unwrap_or(22);
        let address = match &options.host_name {
            Some(pattern) => pattern.replace("%%", "\0").replace("%h", asked).replace("%n", asked).replace('\0', "%"),
            None => asked.to_owned(),
        };
        let expand = |text: &str| {
            let text = text
                .replace("%%", "\0")
                .replace("%h", &address)
                .replace("%n", asked)
                .replace("%p", &port.to_string())
                .replace("%r", &user)
                .replace("%u", &here.user)
                .replace("%d", &here.home.display().to_string())
                .replace('\0', "%");
            PathBuf::from(tilde(&text, &here.home))
        };
        let mut target = Target::new(name, address.clone(), user.clone());
        target.port = port;
        target.host_key_alias = options.host_key_alias.clone();
        target.keys = options.identity_files.iter().filter(|f| *f != "none").map(|f| expand(f)).collect();
        if options.identity_files.is_empty() {
            target.default_keys = ["id_ed25519", "id_ecdsa", "id_rsa"].map(|k| here.home.join(".ssh").join(k)).into();
        }
        target.identities_only = options.identities_only.unwrap_or(false);
        target.agent = match options.identity_agent.as_deref() {
            None | Some("SSH_AUTH_SOCK") => here.agent.clone(),
            Some("none") => None,
            Some(path) => Some(expand(path)),
        };
        target.passphrase = self.passphrase.clone();
        let usual = |list: Option<Vec<String>>, names: [&str; 2]| {
            list.unwrap_or_else(|| names.map(str::to_owned).into()).into_iter().filter(|f| f != "none")
        };
        let personal = usual(options.known_hosts, ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]);
        let global = usual(options.global_known_hosts, ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]);
        target.known_hosts = personal.chain(global).map(|f| expand(&f)).collect();
        target.host_key_checking = options.host_key_checking.unwrap_or_default();
        let seconds = options.connect_timeout.map(Duration::from_secs);
        target.connect_timeout = self.connect_timeout.or(seconds).unwrap_or(CONNECT_TIMEOUT);
        Ok(Partly { target, jump: options.proxy_jump, warnings: options.warnings })
    }

    /// The hops of a `ProxyJump`. The first may have hops of its own; the others are reached from the one before.
    fn hops(
        &self,
        jump: &str,
        to: &Target,
        here: &Surroundings,
        warnings: &mut Vec<String>,
        depth: usize,
    ) -> Result<Vec<Target>, SettingsError> {
        let wrong = |message: String| SettingsError {
            place: Place::Named("ProxyJump".into()),
            message,
            hint: "write user@host:port, several with commas".into(),
        };
        let mut hops = Vec::new();
        for (index, text) in jump.split(',').enumerate() {
            let (user, host, port) = spec(text.trim()).ok_or_else(|| wrong(format!("{text:?} is not a host")))?;
            let options = Options { user, port, host_key_checking: self.host_key_checking, ..Options::default() };
            let mut hop = self.target(&host, &host, options, here)?;
            warnings.append(&mut hop.warnings);
            // What checks the host's key checks the hop's, unless the files say otherwise.
            if hop.target.host_key_checking == HostKeyChecking::Strict {
                hop.target.host_key_checking = to.host_key_checking;
            }
            // A key named for the host opens the way to it as well; its password never does.
            if hop.target.keys.is_empty() {
                hop.target.keys = to.keys.clone();
            }
            if index == 0
                && let Some(before) = hop.jump.filter(|j| !j.eq_ignore_ascii_case("none"))
            {
                if depth == MOST_HOPS {
                    return Err(wrong(format!("the way to {host} goes round in circles")));
                }
                hops = self.hops(&before, &hop.target, here, warnings, depth + 1)?;
            }
            hops.push(hop.target);
        }
        if hops.len() > MOST_HOPS {
            return Err(wrong(format!("{} hops are too many", hops.len())));
        }
        Ok(hops)
    }
}

struct Partly {
    target: Target,
    jump: Option<String>,
    warnings: Vec<String>,
}

/// What later arguments add to earlier ones.
fn merge(into: &mut Options, from: Options, variable: &str) -> Result<(), SettingsError> {
    let place = Place::Named(variable.to_owned());
    into.host_name = into.host_name.take().or(from.host_name);
    into.user = into.user.take().or(from.user);
    into.port = into.port.or(from.port);
    for file in &from.identity_files {
        into.set("IdentityFile", file, &place)?;
    }
    into.identities_only = into.identities_only.or(from.identities_only);
    into.identity_agent = into.identity_agent.take().or(from.identity_agent);
    into.proxy_jump = into.proxy_jump.take().or(from.proxy_jump);
    into.known_hosts = into.known_hosts.take().or(from.known_hosts);
    into.global_known_hosts = into.global_known_hosts.take().or(from.global_known_hosts);
    into.host_key_checking = into.host_key_checking.or(from.host_key_checking);
    into.host_key_alias = into.host_key_alias.take().or(from.host_key_alias);
    into.connect_timeout = into.connect_timeout.or(from.connect_timeout);
    into.warnings.extend(from.warnings);
    Ok(())
}

/// `[user@]host[:port]`, `[user@][v6]:port` or `ssh://…`.
fn spec(text: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()).filter(|u| !u.is_empty()), rest),
        None => (None, text),
    };
    let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (host, rest.strip_prefix(':'))
    } else {
        match rest.split_once(':') {
            // More than one colon without brackets: an IPv6 address.
            Some((_, more)) if more.contains(':') => (rest, None),
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|p| *p > 0)?),
        None => None,
    };
    (!host.is_empty()).then(|| (user, host.to_owned(), port))
}

fn tilde(text: &str, home: &Path) -> String {
    match text.strip_prefix('~') {
        Some("") => home.display().to_string(),
        Some(rest) if rest.starts_with('/') => format!("{}{rest}", home.display()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(config: &str) -> Surroundings {
        let home = PathBuf::from("/home/me");
        Surroundings {
            config: Arc::new(SshConfig::parse(config, Path::new("c"), &home).unwrap()),
            home,
            user: "me".into(),
            agent: Some("/agent".into()),
        }
    }

    fn wanted(name: &str) -> Wanted {
        Wanted { name: name.into(), ..Wanted::default() }
    }

    fn paths(list: &[PathBuf]) -> Vec<String> {
        list.iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn with_nothing_said_it_is_what_ssh_does() {
        let target = wanted("web1").resolve(&here("")).unwrap().target;
        assert_eq!((target.address.as_str(), target.port, target.user.as_str()), ("web1", 22, "me"));
        assert!(target.keys.is_empty() && target.jump.is_empty());
        assert_eq!(paths(&target.default_keys)[0], "/home/me/.ssh/id_ed25519");
        assert_eq!(paths(&target.known_hosts)[0], "/home/me/.ssh/known_hosts");
        assert_eq!(target.host_key_checking, HostKeyChecking::Strict);
        assert_eq!(target.agent, Some("/agent".into()));
    }

    #[test]
    fn variables_then_arguments_then_files() {
        let config =
            "Host 10.*\n HostName %h.internal\n User filed\n Port 3\n IdentityFile ~/%r@%h:%p\n ConnectTimeout 3\n";
        let mut wanted = wanted("web1");
        wanted.address = Some("10.0.0.1".into());
        wanted.user = Some("varied".into());
        wanted.key = Some("~/named".into());
        wanted.arguments = vec![(
            "ansible_ssh_common_args".into(),
            "-o User=argued -o Port=2 -o UserKnownHostsFile=~/kh -o IdentitiesOnly=yes".into(),
        )];
        let target = wanted.resolve(&here(config)).unwrap().target;
        assert_eq!(target.name, "web1");
        assert_eq!((target.address.as_str(), target.port, target.user.as_str()), ("10.0.0.1.internal", 2, "varied"));
        assert_eq!(paths(&target.keys), ["/home/me/named", "/home/me/varied@10.0.0.1.internal:2"]);
        assert_eq!(paths(&target.known_hosts)[0], "/home/me/kh");
        assert!(target.identities_only && target.default_keys.is_empty());
        assert_eq!(target.connect_timeout, Duration::from_secs(3));
        wanted.arguments.push(("ansible_ssh_extra_args".into(), "-F none".into()));
        assert_eq!(wanted.resolve(&here(config)).unwrap().target.address, "10.0.0.1");
    }

    #[test]
    fn hops_have_their_own_settings() {
        let config = "Host inner\n HostName 10.1.1.1\n User in\n ProxyJump outer:2200\n\
                      Host outer\n IdentityFile ~/outer\n\
                      Host web\n ProxyJump ops@inner,last:23\n";
        let mut wanted = wanted("web");
        wanted.key = Some("/k".into());
        wanted.password = Some(Secret::new("hush-hush"));
        wanted.host_key_checking = Some(HostKeyChecking::AcceptNew);
        let target = wanted.resolve(&here(config)).unwrap().target;
        let hops: Vec<_> = target.jump.iter().map(|h| format!("{}@{}:{}", h.user, h.address, h.port)).collect();
        assert_eq!(hops, ["me@outer:2200", "ops@10.1.1.1:22", "me@last:23"]);
        assert_eq!(paths(&target.jump[0].keys), ["/home/me/outer"]);
        assert_eq!(paths(&target.jump[1].keys), ["/k"]);
        assert!(target.jump.iter().all(|h| h.password.is_none()));
        assert!(target.jump.iter().all(|h| h.host_key_checking == HostKeyChecking::AcceptNew));
        assert_eq!(target.ssh_command(), "ssh -i /k -J me@outer:2200,ops@10.1.1.1:22,me@last:23 me@web");
        wanted.jump = Some("none".into());
        assert!(wanted.resolve(&here(config)).unwrap().target.jump.is_empty());
    }

    #[test]
    fn circles_and_nonsense_are_refused() {
        let circle = "Host a\n ProxyJump b\nHost b\n ProxyJump a\n";
        assert!(wanted("a").resolve(&here(circle)).err().unwrap().message.contains("circles"));
        for jump in ["", "user@", "a:x", "a:0", "[::1", "a,,b"] {
            let mut wanted = wanted("web");
            wanted.jump = Some(jump.into());
            assert!(wanted.resolve(&here("")).is_err(), "{jump:?}");
        }
        assert_eq!(spec("u@[::1]:5"), Some((Some("u".into()), "::1".into(), Some(5))));
        assert_eq!(spec("ssh://u@h:5/"), Some((Some("u".into()), "h".into(), Some(5))));
        assert_eq!(spec("fe80::1"), Some((None, "fe80::1".into(), None)));
    }
}
