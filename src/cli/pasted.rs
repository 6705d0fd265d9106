//! A line written for Ansible, pasted after our name: what stands in the way, and the command that is meant.
//!
//! Documents made by word processors turn `--tags` into `–tags` and straight quotes into curly ones; the vendor's does.

use clap::{Command, CommandFactory, Parser};
use reemo_model::quote::sh_quote;

use super::args::Cli;
use super::prepare::Exit;

/// Characters that look like the minus sign an option begins with.
const DASHES: [char; 6] = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}'];
/// Quotes that no shell knows.
const QUOTES: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];
/// Options of Ansible that take a value and that we may not know.
const WITH_VALUE: [&str; 15] = [
    "--start-at-task",
    "--vault-id",
    "--vault-password-file",
    "--vault-pass-file",
    "--become-method",
    "--become-password-file",
    "--become-pass-file",
    "--connection",
    "-c",
    "--connection-password-file",
    "--conn-pass-file",
    "--module-path",
    "-M",
    "--ssh-extra-args",
    "--playbook-dir",
];

/// What the line was written for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    /// Ours, with a command.
    Ours,
    /// `ansible-playbook`, or no word at all.
    Playbook,
    /// `ansible PATTERN -m shell -a …`.
    AdHoc,
    /// `ansible-inventory`, `ansible-vault`: the command that takes their arguments.
    Same(&'static str),
}

/// Arguments after the program's name. `None`: nothing of that kind, for clap to judge.
pub fn recognise(args: &[String]) -> Option<Exit> {
    let ours = Cli::command();
    let mut found = Vec::new();
    let mut words = straight(args, &mut found);
    let mut tool = None;
    while let Some(first) = words.first().cloned() {
        let name = first.rsplit('/').next().unwrap_or_default();
        let next = match name {
            "sudo" | "reemo-infra" => None,
            "ansible-playbook" => Some(Tool::Playbook),
            "ansible" => Some(Tool::AdHoc),
            "ansible-inventory" => Some(Tool::Same("inventory")),
            "ansible-vault" => Some(Tool::Same("vault")),
            _ => break,
        };
        found.push(format!("`{first}` is not needed here"));
        tool = tool.or(next);
        words.remove(0);
    }
    let command = words.first().filter(|word| ours.find_subcommand(word).is_some()).cloned();
    let tool = match (tool, &command) {
        (None | Some(Tool::Playbook), Some(_)) => Tool::Ours,
        (Some(tool), _) => tool,
        (None, None) => Tool::Playbook,
    };
    let fixed = match (tool, command) {
        (Tool::Ours, Some(command)) => {
            words.remove(0);
            let rest = match command.as_str() {
                "apply" | "plan" | "images" => without_playbooks(&ours, words, &mut found),
                _ => words,
            };
            [vec![command], rest].concat()
        }
        (Tool::Same(command), _) => [vec![command.to_owned()], words].concat(),
        (Tool::AdHoc, _) => ad_hoc(words),
        _ => {
            // The vendor's playbook that stops after the images.
            let images = words.iter().any(|word| word.ends_with("reemo-infra-images.yml"));
            let command = if images { "images" } else { "apply" };
            [vec![command.to_owned()], without_playbooks(&ours, words, &mut found)].concat()
        }
    };
    if found.is_empty() {
        return None;
    }
    let line = std::iter::once("reemo-infra").chain(fixed.iter().map(String::as_str));
    let typed: Vec<String> = line.clone().map(quoted).collect();
    let mut hint = format!("type: {}", typed.join(" "));
    if let Err(error) = Cli::try_parse_from(line)
        && error.use_stderr()
    {
        let why = error.to_string();
        let first = why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        hint += &format!("\n  which will say: {first}");
    }
    Some(Exit { hint, ..Exit::usage(format!("this line was written for Ansible: {}", found.join("; "))) })
}

/// Words as they were meant: real dashes and quotes. What follows `--` is somebody else's.
fn straight(args: &[String], found: &mut Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            out.push(arg.clone());
            out.extend(rest.by_ref().cloned());
            break;
        }
        let mut word = arg.clone();
        if word.starts_with(DASHES) {
            let name = word.trim_start_matches(|c| DASHES.contains(&c) || c == '-');
            // An option of one letter has one dash.
            let letters = name.split('=').next().unwrap_or_default().chars().count();
            let option = format!("{}{name}", if letters == 1 { "-" } else { "--" });
            if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let dash = word.chars().next().unwrap_or('–');
                found.push(format!("`{word}` begins with `{dash}`, which is no minus sign: `{option}`"));
                word = option;
            }
        }
        if word.contains(QUOTES) {
            // Inside curly quotes the shell saw several words.
            while word.chars().filter(|c| QUOTES.contains(c)).count() % 2 == 1 {
                let Some(next) = rest.next() else { break };
                word = format!("{word} {next}");
            }
            found.push(format!("`{word}` has quotes that no shell knows"));
            word.retain(|c| !QUOTES.contains(&c));
        }
        out.push(word);
    }
    out
}

/// Takes playbooks out: positional words that end as YAML files do.
fn without_playbooks(ours: &Command, words: Vec<String>, found: &mut Vec<String>) -> Vec<String> {
    let valued = |word: &str| {
        let apply = ours.find_subcommand("apply");
        let known = apply.into_iter().flat_map(Command::get_arguments).filter(|a| a.get_action().takes_values());
        let mut names = known.flat_map(|arg| {
            let long = arg.get_long_and_visible_aliases().unwrap_or_default().into_iter().map(|l| format!("--{l}"));
            long.chain(arg.get_short().map(|s| format!("-{s}"))).collect::<Vec<_>>()
        });
        names.any(|name| name == word) || WITH_VALUE.contains(&word)
    };
    let mut out = Vec::new();
    let mut playbooks = Vec::new();
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        if valued(&word) {
            out.push(word);
            out.extend(rest.next());
        } else if !word.starts_with('-') && (word.ends_with(".yml") || word.ends_with(".yaml")) {
            playbooks.push(word);
        } else {
            out.push(word);
        }
    }
    for playbook in &playbooks {
        found.push(format!("the playbook `{playbook}` is not needed: the roles are built in"));
        // Where its group_vars would not be looked for by themselves.
        let dir = std::path::Path::new(playbook).parent().filter(|d| !d.as_os_str().is_empty());
        let has_vars = |d: &std::path::Path| d.join("group_vars").is_dir() || d.join("host_vars").is_dir();
        if let Some(dir) = dir.filter(|d| *d != std::path::Path::new("playbooks") && has_vars(d))
            && !out.iter().any(|word| word == "--playbook-dir")
        {
            out.extend(["--playbook-dir".to_owned(), dir.display().to_string()]);
        }
    }
    out
}

/// `ansible PATTERN -i … -m shell -a CMD` → `exec PATTERN -i … -- CMD`.
fn ad_hoc(words: Vec<String>) -> Vec<String> {
    let mut out = vec!["exec".to_owned()];
    let mut command = Vec::new();
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-m" | "--module-name" => drop(rest.next()),
            "-a" | "--args" => command.extend(rest.next()),
            _ => out.push(word),
        }
    }
    if !command.is_empty() {
        out.push("--".to_owned());
        out.extend(command);
    }
    out
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { sh_quote(word).into_owned() }
}
