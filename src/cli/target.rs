//! How to log in to a host: Ansible's `ansible_*` variables, the flags, and `~/.ssh/config`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reemo_model::diag::Diagnostic;
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
    let wrong = |message: String| Diagnostic::error("connection", format!("{host}: {message}"));
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
    let kind = text(&["ansible_connection"])?.unwrap_or_else(|| "ssh".into());
    if !matches!(kind.as_str(), "ssh" | "smart" | "paramiko" | "paramiko_ssh") {
        return Err(wrong(format!("ansible_connection `{kind}` is not supported; hosts are reached by ssh")));
    }
    let port = match text(&["ansible_port", "ansible_ssh_port"])? {
        Some(p) => Some(p.parse().map_err(|_| wrong(format!("ansible_port `{p}` is not a port number")))?),
        None => None,
    };
    let key = text(&["ansible_private_key_file", "ansible_ssh_private_key_file"])?;
    let mut arguments = Vec::new();
    for name in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        arguments.extend(text(&[name])?.map(|t| (name.to_owned(), t)));
    }
    arguments.extend(flags.ssh_common_args.clone().map(|t| ("--ssh-common-args".to_owned(), t)));
    let password = text(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])?.map(Secret::new);
    let method = text(&["ansible_become_method"])?.unwrap_or_else(|| "sudo".into());
    if method != "sudo" {
        return Err(wrong(format!("ansible_become_method `{method}` is not supported; only sudo is")));
    }
    let become_password =
        text(&["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"])?.map(Secret::new);
    let become_user = text(&["ansible_become_user"])?
        .unwrap_or_else(|| if flags.become_user.is_empty() { "root".into() } else { flags.become_user.clone() });
    let enabled = get(&["ansible_become"])?.is_none_or(|v| truthy(&v));
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
        host_key_checking: flags.accept_new.then_some(HostKeyChecking::AcceptNew),
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
