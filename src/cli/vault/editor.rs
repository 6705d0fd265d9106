//! The operator's editor and pager.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use super::private::PrivateFile;
use crate::cli::prepare::Exit;

/// Interrupted: nothing was changed, nothing is left.
const INTERRUPTED: u8 = 130;

/// Lets the operator change `content`. Whatever ends it, no plain text is left on the disk.
pub async fn edit(like: &Path, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Exit> {
    let name = ["ANSIBLE_EDITOR", "EDITOR"].into_iter().find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
    let words = words(name.as_deref().unwrap_or("vi"));
    let Some((program, args)) = words.split_first() else {
        return Err(Exit::usage("$EDITOR cannot be read as a command"));
    };
    // Before there is anything to tidy up: from here on a signal is ours to answer.
    let failed = |e: std::io::Error| Exit::failed(format!("the text cannot be given to an editor: {e}"));
    let mut signals = Signals::new().map_err(failed)?;
    let file = PrivateFile::new(like, content).map_err(failed)?;
    let child = Command::new(program).args(args).arg(&file.path).kill_on_drop(true).spawn();
    let child = child.map_err(|e| Exit {
        hint: "name one in $EDITOR".into(),
        ..Exit::failed(format!("the editor `{program}` cannot be run: {e}"))
    })?;
    let status = signals.wait(child).await?;
    if !status.success() {
        let code = if status.code().is_none() { INTERRUPTED } else { 2 };
        return Err(Exit {
            code,
            ..Exit::failed(format!("the editor `{program}` ended with {status}; nothing was changed"))
        });
    }
    file.read().map_err(failed)
}

/// The signals that would end the program before it has tidied up.
struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self, mut child: Child) -> Result<std::process::ExitStatus, Exit> {
        loop {
            tokio::select! {
                status = child.wait() => {
                    return status.map_err(|e| Exit::failed(format!("the editor was lost: {e}")));
                }
                // From the keyboard they reach the editor as well, and it knows what to do about them.
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
                _ = self.terminate.recv() => break,
                _ = self.hangup.recv() => break,
            }
        }
        let _ = child.kill().await;
        Err(Exit { code: INTERRUPTED, ..Exit::failed("interrupted: nothing was changed") })
    }
}

/// Shows a text with $PAGER, or `less`. False where standard output is no terminal or there is no pager.
pub fn page(text: &[u8]) -> bool {
    if !std::io::stdout().is_terminal() {
        return false;
    }
    let pager = std::env::var("PAGER").ok().filter(|p| !p.trim().is_empty());
    let words = words(pager.as_deref().unwrap_or("less"));
    let Some((program, args)) = words.split_first() else { return false };
    let mut command = std::process::Command::new(program);
    command.args(args).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // As Ansible: short texts are printed, colours kept, long lines cut. Nothing is kept of searches.
        command.env("LESS", "FRSX");
    }
    command.env("LESSHISTFILE", "-").env("LESSSECURE", "1");
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut input) = child.stdin.take() {
        // A pager that was left before the end has shown enough.
        let _ = input.write_all(text);
    }
    child.wait().is_ok()
}

fn words(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_default()
}
