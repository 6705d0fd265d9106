//! What an exec request asks for, without the wrapping our own client puts around it.

use crate::ssh::common_args::split;

/// One command, as the fake host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The line as it came.
    pub line: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What `env` sets.
    pub env: Vec<(String, String)>,
    /// By sudo.
    pub privileged: bool,
    /// Everything it was given to read.
    pub stdin: Vec<u8>,
    pub(crate) prompt: Option<String>,
    pub(crate) started: Option<String>,
}

/// What a command left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit code.
    pub code: i32,
}

impl Ran {
    /// Success, with this output.
    pub fn ok(stdout: impl Into<Vec<u8>>) -> Self {
        Ran { stdout: stdout.into(), ..Ran::default() }
    }

    /// This code, with this on standard error.
    pub fn failed(code: i32, stderr: impl Into<Vec<u8>>) -> Self {
        Ran { code, stderr: stderr.into(), ..Ran::default() }
    }
}

/// Undoes what [`crate::quote::line`] does. `None`: the line is not of our making.
pub fn understand(line: &str) -> Option<Exec> {
    let mut exec = Exec { line: line.to_owned(), ..Exec::default() };
    let words = split(line)?;
    if words.get(1).map(String::as_str) != Some("sudo") {
        fill(&mut exec, words)?;
        return Some(exec);
    }
    exec.privileged = true;
    let after = |flag: &str| words.iter().position(|w| w == flag).and_then(|at| words.get(at + 1)).cloned();
    exec.prompt = after("-p");
    let inner = after("-c")?;
    let mut inner = split(&inner)?;
    // printf %s MARKER >&2; …
    if inner.first().map(String::as_str) != Some("printf") || inner.len() < 4 {
        return None;
    }
    exec.started = Some(inner[2].clone());
    inner.drain(..4);
    fill(&mut exec, inner)?;
    Some(exec)
}

fn fill(exec: &mut Exec, words: Vec<String>) -> Option<()> {
    let limited = words.first().map(String::as_str) == Some("set");
    let before = if limited { "$@" } else { "exec" };
    let start = words.iter().position(|w| w == before)? + 1;
    let mut words = words.into_iter().skip(start).peekable();
    if words.peek().map(String::as_str) == Some("env") {
        words.next();
        while let Some((key, value)) = words.peek().and_then(|w| w.split_once('=')) {
            exec.env.push((key.to_owned(), value.to_owned()));
            words.next();
        }
    }
    exec.argv = words.collect();
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quote::{As, line};

    #[test]
    fn what_we_build_is_understood() {
        let argv: Vec<String> = ["printf", "it's", "a  b", "$@"].map(str::to_owned).into();
        let env = vec![("A".to_owned(), "b c=d".to_owned())];
        let sudo = As::Sudo { user: "root".into(), prompt: Some("[ask]".into()), started: "[go]".into() };
        for who in [As::Login, sudo] {
            for limit in [None, Some(Duration::from_secs(3))] {
                let exec = understand(&line(&argv, &env, &who, limit).unwrap()).unwrap();
                assert_eq!((&exec.argv, &exec.env), (&argv, &env));
                assert_eq!(exec.privileged, who != As::Login);
                assert_eq!(exec.started.is_some(), exec.privileged);
            }
        }
    }
}
