//! The built program, run as an operator would, with a home of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::command;

/// No run of the story is near this; only what hangs reaches it.
const LIMIT: Duration = Duration::from_secs(400);

/// The program with its inventory.
#[derive(Clone)]
pub struct Tool {
    /// The operator's machine.
    pub control: PathBuf,
    /// Inventory file.
    pub inventory: PathBuf,
    /// Where it keeps its runs.
    pub state: PathBuf,
    /// A run that takes longer hangs.
    pub limit: Duration,
}

/// A run of it.
pub struct Ran {
    /// What was typed.
    pub line: String,
    /// Exit code.
    pub code: i32,
    /// Data: standard output.
    pub out: String,
    /// For people: standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Tool {
    /// A program on that machine, with its inventory.
    pub fn new(control: PathBuf) -> Tool {
        Tool { inventory: control.join("inventory.yml"), state: control.join("state"), limit: LIMIT, control }
    }

    /// The same with another text in a file of that name beside the inventory.
    pub fn with_inventory(&self, name: &str, text: &str) -> Tool {
        let inventory = self.control.join(name);
        fs::write(&inventory, text).expect("a file");
        Tool { inventory, ..self.clone() }
    }

    /// What everything was printed to, run after run.
    pub fn transcript(&self) -> PathBuf {
        self.control.join("transcript")
    }

    /// The same operator on another control machine: its own record of runs, the same inventory and certificates.
    pub fn elsewhere(&self) -> Tool {
        Tool { state: self.control.join("state-elsewhere"), ..self.clone() }
    }

    /// Runs `reemo-infra ARGS…` with the inventory, the folder of certificates and nothing of this machine's user.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// The same, and does not wait for its end.
    pub fn start(&self, args: &[&str]) -> Started {
        let running = command::start(self.command(args), "");
        Started { limit: self.limit, running, transcript: self.transcript(), line: line(args), began: Instant::now() }
    }

    /// Runs it without an inventory: what was typed before is known, from a journal or a plan that was kept.
    pub fn again(&self, args: &[&str]) -> Ran {
        let full = self.command(&[]);
        let mut command = Command::new(full.get_program());
        command.args(args).envs(full.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let running = command::start(command, "");
        Started { limit: self.limit, running, transcript: self.transcript(), line: line(args), began: Instant::now() }
            .end()
    }

    /// What is run for these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reemo-infra"));
        // What comes after `--` belongs to the command that is run on the hosts.
        let cut = args.iter().position(|a| *a == "--").unwrap_or(args.len());
        command.args(&args[..cut]).arg("-i").arg(&self.inventory);
        command.arg("--pki-dir").arg(self.control.join("pki"));
        command.args(&args[cut..]);
        command
            .env("HOME", self.control.join("home"))
            .env("XDG_STATE_HOME", &self.state)
            .env("XDG_CONFIG_HOME", self.control.join("config"))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("REEMO_PKI_DIR")
            .env_remove("REEMO_PKI_PASSPHRASE_FILE");
        command
    }
}

fn line(args: &[&str]) -> String {
    format!("reemo-infra {}", args.join(" "))
}

/// A run that is under way.
pub struct Started {
    limit: Duration,
    /// The process.
    pub running: command::Running,
    transcript: PathBuf,
    line: String,
    began: Instant,
}

impl Started {
    /// Waits for its end, and keeps what it printed.
    pub fn end(self) -> Ran {
        let limit = self.limit;
        self.end_within(limit)
    }

    /// The same for what takes longer than any single run.
    pub fn end_within(self, limit: Duration) -> Ran {
        let ended = self.running.wait(limit);
        let took = self.began.elapsed();
        let ran = Ran { line: self.line, code: ended.code, out: ended.out, err: ended.err, took };
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.transcript).expect("the transcript");
        writeln!(file, "$ {}\n{}\n{}\n[code {} after {:?}]", ran.line, ran.out, ran.err, ran.code, ran.took)
            .expect("the transcript is written");
        ran
    }
}

impl Ran {
    /// Everything that was printed.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    /// It ended with this code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code of `{}`:\n{}", self.line, self.text());
        self
    }

    /// It said this, on either stream. Runs of white space count as one: tables are padded.
    #[track_caller]
    pub fn says(self, part: &str) -> Ran {
        assert!(
            squeezed(&self.text()).contains(&squeezed(part)),
            "`{}` does not say `{part}`:\n{}",
            self.line,
            self.text()
        );
        self
    }

    /// It did not say this.
    #[track_caller]
    pub fn does_not_say(self, part: &str) -> Ran {
        assert!(!squeezed(&self.text()).contains(&squeezed(part)), "`{}` says `{part}`:\n{}", self.line, self.text());
        self
    }

    /// The lines of the recap: host, field, number.
    pub fn recap(&self) -> BTreeMap<String, BTreeMap<String, u32>> {
        let lines = self.out.lines().skip_while(|l| !l.starts_with("PLAY RECAP")).skip(1);
        lines
            .filter_map(|line| {
                let (host, fields) = line.split_once(" : ")?;
                let fields = fields.split_whitespace().filter_map(|f| {
                    let (name, number) = f.split_once('=')?;
                    Some((name.to_owned(), number.parse().ok()?))
                });
                Some((host.trim().to_owned(), fields.collect()))
            })
            .collect()
    }

    /// The recap has the three hosts, and this field is zero on all of them.
    #[track_caller]
    pub fn none(self, field: &str) -> Ran {
        let recap = self.recap();
        assert_eq!(recap.len(), 3, "the recap of `{}`:\n{}", self.line, self.text());
        for (host, fields) in recap {
            assert_eq!(fields.get(field), Some(&0), "{field} of {host} after `{}`:\n{}", self.line, self.text());
        }
        self
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
