//! Bad input, through the real binary. Each file of `tests/cli/bad` is an inventory whose first comments
//! say what is expected of it:
//!
//! ```text
//! # args: plan --tags portl      once or several times; absent: `inventory validate`, then `plan`
//! # exit: 3
//! # error: 8:5 unknown variable  line and column (`-`: the file as a whole; `--extra-vars:1:3`: what was
//! #                              typed), and a piece of the sentence
//! # warning: 9:5 belongs in      likewise; every error and warning that is said must be listed
//! # also: 4:5                    another place the message points at
//! # says: did you mean           a piece of the whole output
//! # hides: hunter2               must not be in the output
//! ```
//!
//! All hosts have documentation addresses and are reached through a jump host that is us: a connection
//! that is tried is counted.

// A failed test says why on its own output.
#![allow(clippy::print_stderr)]

mod certs;
mod config;
mod docs;
mod explain;
mod inside;
mod pasted;
mod playbook;
mod roles;
mod sources;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder with everything a case may name, and a jump host that counts who comes.
pub(crate) struct Stage {
    pub folder: tempfile::TempDir,
    jump: String,
    connections: Arc<AtomicUsize>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let jump = format!("-J nobody@127.0.0.1:{}", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                // Closed at once: who comes must not wait.
                drop(stream);
            }
        });
        let stage = Stage { folder: tempfile::tempdir().unwrap(), jump, connections };
        stage.certificates();
        stage
    }

    /// Two pairs, made anew: a private key has no place in the repository.
    fn certificates(&self) {
        let now = jiff::Timestamp::now();
        let store = reemo_pki::Store::ephemeral(None, now).unwrap();
        for name in ["one", "two"] {
            let leaf = store.leaf(name, &["portal.example.org".into()], now).unwrap();
            self.write(&format!("{name}.crt"), leaf.cert_pem.as_bytes());
            self.write(&format!("{name}.key"), leaf.key.expose());
        }
        self.write("not-pem.crt", b"\x30\x82\x01\x0a\x02\x82");
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs the tool on one inventory. Commands that connect go through the jump host.
    fn run(&self, args: &str, inventory: &str) -> Output {
        let (command, rest) = args.split_once(' ').unwrap_or((args, ""));
        let jump = (command != "inventory" && command != "graph").then(|| format!("--ssh-common-args={}", self.jump));
        let mut args = vec![command, "-i", inventory];
        args.extend(jump.as_deref());
        args.extend(rest.split_whitespace());
        self.tool(&args, &[])
    }

    /// Runs the tool in the folder, with nothing of the user who runs the tests; nothing of theirs is touched.
    pub fn tool(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_reemo-infra"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a case expects, in the order of its comments.
#[derive(Default)]
struct Expected {
    args: Vec<String>,
    exit: i32,
    errors: Vec<Said>,
    warnings: Vec<Said>,
    also: Vec<String>,
    says: Vec<String>,
    hides: Vec<String>,
}

/// `8:5 unknown variable`.
struct Said {
    place: String,
    piece: String,
}

impl Said {
    fn read(text: &str) -> Said {
        let (place, piece) = text.split_once(' ').unwrap_or((text, ""));
        Said { place: place.to_owned(), piece: piece.trim().to_owned() }
    }

    fn is(&self, name: &str, block: &Block) -> bool {
        let place = match self.place.as_str() {
            "-" => name.to_owned(),
            typed if typed.starts_with("--") => typed.to_owned(),
            written => format!("{name}:{written}"),
        };
        block.headline.contains(&self.piece) && block.places.first() == Some(&place)
    }
}

impl Expected {
    fn read(text: &str) -> Expected {
        let mut expected = Expected::default();
        for line in text.lines().map_while(|l| l.strip_prefix("# ")) {
            let Some((key, value)) = line.split_once(": ") else { panic!("not a line of a case: {line}") };
            match key {
                "args" => expected.args.push(value.to_owned()),
                "exit" => expected.exit = value.parse().unwrap(),
                "error" => expected.errors.push(Said::read(value)),
                "warning" => expected.warnings.push(Said::read(value)),
                "also" => expected.also.push(value.to_owned()),
                "says" => expected.says.push(value.to_owned()),
                "hides" => expected.hides.push(value.to_owned()),
                // What the case is about, for people.
                "about" => {}
                _ => panic!("not a line of a case: {line}"),
            }
        }
        if expected.args.is_empty() {
            expected.args = vec!["inventory validate".into(), "plan".into()];
        }
        expected
    }

    /// What is wrong with an output.
    fn compare(&self, name: &str, output: &Output) -> Vec<String> {
        let all = text(output);
        let blocks = blocks(&all);
        let mut wrong = Vec::new();
        if output.status.code() != Some(self.exit) {
            wrong.push(format!("ended with {:?}, expected {}", output.status.code(), self.exit));
        }
        for (kind, list) in [("error", &self.errors), ("warning", &self.warnings)] {
            let there: Vec<&Block> = blocks.iter().filter(|b| b.kind == kind).collect();
            for said in list.iter().filter(|s| !there.iter().any(|b| s.is(name, b))) {
                wrong.push(format!("no {kind} at {} with `{}`", said.place, said.piece));
            }
            for block in there.iter().filter(|b| !list.iter().any(|s| s.is(name, b))) {
                wrong.push(format!("an unexpected {kind}: {} {:?}", block.headline, block.places));
            }
        }
        for block in blocks.iter().filter(|b| !b.advises) {
            wrong.push(format!("says neither what was expected nor what to do: {}", block.headline));
        }
        for place in self.also.iter().map(|p| format!("{name}:{p}")) {
            if !blocks.iter().any(|b| b.places.contains(&place)) {
                wrong.push(format!("does not point at {place}"));
            }
        }
        wrong.extend(self.says.iter().filter(|s| !all.contains(*s)).map(|s| format!("does not say `{s}`")));
        wrong.extend(self.hides.iter().filter(|s| all.contains(*s)).map(|s| format!("shows `{s}`")));
        wrong
    }
}

/// One error or warning as it is printed.
struct Block {
    kind: &'static str,
    headline: String,
    places: Vec<String>,
    advises: bool,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("ERROR: ").unwrap_or(line);
        let kind = ["error", "warning"].into_iter().find(|k| line.starts_with(&format!("{k}[")));
        if let Some(kind) = kind {
            out.push(Block { kind, headline: line.to_owned(), places: Vec::new(), advises: false });
        }
        let Some(block) = out.last_mut() else { continue };
        if let Some(place) = line.trim_start().strip_prefix("--> ") {
            block.places.push(place.to_owned());
        }
        let carets = line.split_once('|').is_some_and(|(_, rest)| {
            let rest = rest.trim_start();
            rest.starts_with('^') && rest.trim_start_matches('^').starts_with(' ')
        });
        block.advises |= carets || line.trim_start().starts_with("= help: ");
    }
    out
}

pub fn case_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/bad");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn bad_input_is_refused_where_it_stands() {
    let stage = Stage::new();
    let mut failed = 0;
    let files = case_files();
    assert!(files.len() > 20, "the cases are gone");
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let content = fs::read_to_string(file).unwrap();
        stage.write(&name, content.as_bytes());
        let expected = Expected::read(&content);
        for args in &expected.args {
            let output = stage.run(args, &name);
            let wrong = expected.compare(&name, &output);
            if !wrong.is_empty() {
                failed += 1;
                eprintln!("{name} ({args}):\n  {}\n{}", wrong.join("\n  "), text(&output));
            }
        }
    }
    assert_eq!(failed, 0, "of {} cases", files.len());
    assert_eq!(stage.connections(), 0, "nothing may be connected to before the input is right");
}

pub const GOOD: &str = "\
all:
  vars:
    API_LICENSE: \"eyJsaWNlbmNlIjogImRlbW8ifQ==\"
infra_manager:
  hosts:
    infra1:
      ansible_host: 192.0.2.1
";

/// The control of all that is said above about connections.
#[test]
fn good_input_is_connected_to() {
    let stage = Stage::new();
    stage.write("good.yml", GOOD.as_bytes());
    let output = stage.run("inventory validate", "good.yml");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(stage.connections(), 0);
    let output = stage.run("plan", "good.yml");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("192.0.2.1"), "{}", text(&output));
    assert!(stage.connections() > 0, "the jump host counts");
}

/// Inventories that are no text of a case: exit code, and pieces of what is said.
#[test]
fn inventories_that_cannot_be_read() {
    let stage = Stage::new();
    stage.write("good.yml", GOOD.as_bytes());
    stage.write("latin1.yml", b"all:\n  vars:\n    # caf\xe9\n    a: 1\n");
    stage.write("empty.yml", b"");
    fs::create_dir(stage.folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere.yml", stage.folder.path().join("dangling.yml")).unwrap();
    for (inventory, pieces) in [
        ("missing.yml", ["cannot read the inventory `missing.yml`", "No such file"].as_slice()),
        ("dangling.yml", &["cannot read the inventory `dangling.yml`"]),
        ("good.yml/inside.yml", &["cannot read the inventory `good.yml/inside.yml`"]),
        ("folder", &["the inventory has no host (folder)", "help: "]),
        ("empty.yml", &["the inventory is empty", "--> empty.yml", "help: "]),
        ("latin1.yml", &["the file is not UTF-8 text", "--> latin1.yml:3:10", "Latin-1"]),
    ] {
        for args in ["inventory validate", "plan", "apply", "status", "graph"] {
            let output = stage.run(args, inventory);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(3), "{inventory} ({args}): {said}");
            for piece in pieces {
                assert!(said.contains(piece), "{inventory} ({args}) does not say `{piece}`:\n{said}");
            }
        }
    }
    assert_eq!(stage.connections(), 0);
}

/// Not one of the streams is mixed up: what is wrong goes to standard error, and data does not.
#[test]
fn streams() {
    let stage = Stage::new();
    stage.write("good.yml", GOOD.as_bytes());
    let output = stage.run("plan --tags portl", "good.yml");
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    let output = stage.run("graph", "good.yml");
    assert!(output.status.success() && !output.stdout.is_empty() && output.stderr.is_empty(), "{}", text(&output));
    let output = stage.run("plan --list-hosts", "good.yml");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hosts (1):\n  infra1\n");
    let bare = Command::new(env!("CARGO_BIN_EXE_reemo-infra")).arg("plan").output().unwrap();
    assert_eq!(bare.status.code(), Some(5), "no inventory: {}", text(&bare));
    assert!(text(&bare).contains("-i inventory.yml"), "{}", text(&bare));
    assert_eq!(stage.connections(), 0);
}
