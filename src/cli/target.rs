//! How to log in to a host: Ansible's `ansible_*` variables, the flags, and `~/.ssh/config`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reemo_model::diag::{Diagnostic, Located};
use reemo_model::secret::Secret;
use reemo_model::template::Scope;
use reemo_model::wanted::{plain, truthy};
use reemo_transport::Become;
use reemo_transport::ssh::{HostKeyChecking, Surroundings, Target, Wanted};
use serde_json::Value;

use super::load::Loaded;

static HERE: OnceLock<Result<Surroundings, String>> = OnceLock::new();
static LOGIN: OnceLock<Option<Secret>> = OnceLock::new();
static SUDO: OnceLock<Option<Secret>> = OnceLock::new();

/// The target of one host.
pub fn of(loaded: &Loaded, scope: &Scope, host: &str) -> Result<Target, Diagnostic> {
    let flags = &loaded.connect;
    // Messages begin with the variable they are about.
    let wrong = |message: String| {
        let name = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let place = loaded.vars.find(host, name).and_then(|found| found.place);
        Diagnostic::error("connection", format!("{host}: {message}")).at(place)
    };
    let get = |names: &[&str]| -> Result<Option<Value>, Diagnostic> {
        for name in names {
            let found = scope.get_json(name).map_err(|e| {
                let why = e.to_diagnostic();
                Diagnostic { message: format!("{host}: {name}: {}", why.message), ..why }
            })?;
            if let Some(value) = found.filter(|v| !v.is_null()) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    };
    let text = |names: &[&str]| Ok::<_, Diagnostic>(get(names)?.map(|v| plain(&v)).filter(|s| !s.is_empty()));
    let cfg = &flags.config.settings;
    let (kind, set) = either(text(&["ansible_connection"])?, "ansible_connection", &cfg.transport, "transport");
    let kind = kind.unwrap_or_else(|| "ssh".into());
    if !matches!(kind.as_str(), "ssh" | "smart" | "paramiko" | "paramiko_ssh") {
        let error = wrong(format!("{set} `{kind}` is not supported; hosts are reached by ssh"));
        return Err(error.help("remove it, or write `ssh`"));
    }
    let port = match text(&["ansible_port", "ansible_ssh_port"])? {
        Some(p) => Some(p.parse().map_err(|_| {
            wrong(format!("ansible_port `{p}` is not a port number")).help("write a number from 1 to 65535")
        })?),
        None => cfg.remote_port.as_ref().map(|port| port.value),
    };
    let key = text(&["ansible_private_key_file", "ansible_ssh_private_key_file"])?;
    // As in Ansible: a variable wins over the flag, and both over ansible.cfg.
    let mut arguments = Vec::new();
    for (name, flag, set) in [
        ("ansible_ssh_args", None, &cfg.ssh_args),
        ("ansible_ssh_common_args", flags.ssh_common_args.as_ref(), &cfg.ssh_common_args),
        ("ansible_ssh_extra_args", None, &cfg.ssh_extra_args),
    ] {
        let from_flag = || flag.map(|t| ("--ssh-common-args".to_owned(), t.clone()));
        let from_cfg = || set.as_ref().map(|set| (place(set), set.value.clone()));
        arguments.extend(text(&[name])?.map(|t| (name.to_owned(), t)).or_else(from_flag).or_else(from_cfg));
    }
    let password = text(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])?.map(Secret::new);
    let method = text(&["ansible_become_method"])?;
    let (method, set) = either(method, "ansible_become_method", &cfg.become_method, "become_method");
    if let Some(method) = method.filter(|method| !matches!(method.as_str(), "sudo" | "ansible.builtin.sudo")) {
        return Err(
            wrong(format!("{set} `{method}` is not supported; only sudo is")).help("remove it, or write `sudo`")
        );
    }
    let become_password =
        text(&["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"])?.map(Secret::new);
    let become_password = become_password.or_else(|| cfg.become_password.as_ref().map(|found| found.value.clone()));
    let become_user = text(&["ansible_become_user"])?
        .unwrap_or_else(|| if flags.become_user.is_empty() { "root".into() } else { flags.become_user.clone() });
    // Unlike in Ansible, root is the default; who writes `become = False` means it.
    let wanted = flags.r#become || cfg.r#become.as_ref().is_none_or(|found| found.value);
    let enabled = get(&["ansible_become"])?.map_or(wanted, |v| truthy(&v));
    let checking = get(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"])?;
    let checking = checking.map(|v| truthy(&v)).or(cfg.host_key_checking.as_ref().map(|found| found.value));
    let timeout = text(&["ansible_timeout", "ansible_ssh_timeout"])?.and_then(|t| t.parse().ok());
    let wanted = Wanted {
        name: host.to_owned(),
        address: text(&["ansible_host", "ansible_ssh_host"])?,
        port,
        // As in Ansible: a variable wins over the flag.
        user: text(&["ansible_user", "ansible_ssh_user"])?.or_else(|| flags.user.clone()),
        key: key.map(PathBuf::from).or_else(|| flags.private_key.clone()),
        password: password.or_else(|| asked(&LOGIN, flags.ask_pass, "SSH password: ")),
        jump: None,
        arguments,
        connect_timeout: Some(Duration::from_secs(timeout.unwrap_or(if flags.timeout == 0 {
            10
        } else {
            flags.timeout
        }))),
        host_key_checking: (flags.accept_new || checking == Some(false)).then_some(HostKeyChecking::AcceptNew),
        passphrase: std::io::stdin().is_terminal().then(|| {
            Arc::new(|path: &std::path::Path| ask(&format!("Passphrase of {}: ", path.display())))
                as reemo_transport::ssh::target::AskPassphrase
        }),
        r#become: Become {
            enabled,
            user: become_user,
            password: become_password.or_else(|| asked(&SUDO, flags.ask_become_pass, "BECOME password: ")),
        },
    };
    let here = HERE.get_or_init(|| Surroundings::here().map_err(|e| e.to_string()));
    let here = here.as_ref().map_err(|e| Diagnostic::error("ssh-config", e.clone()))?;
    let resolved = wanted.resolve(here).map_err(|e| wrong(e.to_string()).help(e.hint.clone()))?;
    Ok(resolved.target)
}

/// A variable, or else a setting of `ansible.cfg`; with the name it has in messages.
fn either(written: Option<String>, name: &str, set: &Option<Located<String>>, key: &str) -> (Option<String>, String) {
    match (written, set) {
        (Some(value), _) => (Some(value), name.to_owned()),
        (None, Some(set)) => (Some(set.value.clone()), format!("{}: {key}", place(set))),
        (None, None) => (None, name.to_owned()),
    }
}

fn place<T>(set: &Located<T>) -> String {
    set.place.as_ref().map_or_else(|| "ansible.cfg".to_owned(), ToString::to_string)
}

/// Asks once for all hosts.
fn asked(cell: &OnceLock<Option<Secret>>, wanted: bool, prompt: &str) -> Option<Secret> {
    if !wanted {
        return None;
    }
    cell.get_or_init(|| ask(prompt)).clone()
}

fn ask(prompt: &str) -> Option<Secret> {
    rpassword::prompt_password(prompt).ok().map(Secret::new)
}
