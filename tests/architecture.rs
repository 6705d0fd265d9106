//! The project's own shape: what may know what, how large a file may get, and what is written where.
//! Reads the sources as text; what the compiler keeps already (no tokio in the model) is only named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder, as paths from the root.
fn files(folder: &str) -> Vec<PathBuf> {
    fn walk(at: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(at).unwrap().map(|e| e.unwrap()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What is not in the repository: builds, fleets, certificates.
            if name == "target" || name == ".git" || name == ".fleet" || name == ".reemo" {
                continue;
            }
            match entry.path() {
                path if path.is_dir() => walk(&path, out),
                path => out.push(path),
            }
        }
    }
    let mut out = Vec::new();
    let start = root().join(folder);
    if start.is_dir() {
        walk(&start, &mut out);
    }
    out.sort();
    out.into_iter().map(|p| p.strip_prefix(root()).unwrap().to_path_buf()).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Rust files of `src` that are not tests.
fn sources() -> Vec<(String, String)> {
    let found = files("src").into_iter().map(|p| p.to_string_lossy().into_owned());
    let all: Vec<(String, String)> = found
        .filter(|p| {
            p.ends_with(".rs") && !p.contains("/tests/") && !p.ends_with("/tests.rs") && !p.contains("/examples/")
        })
        .map(|p| (p.clone(), read(&p)))
        .collect();
    assert!(all.len() > 100, "the sources are gone");
    all
}

/// The code of a file without its test module and without comments, line by line with numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate().map(|(n, l)| (n + 1, l));
    lines.filter(|(_, l)| !l.trim_start().starts_with("//"))
}

/// What each crate may know of ours; the manifests say so, and Cargo holds them to it.
const ARROWS: [(&str, &[&str]); 5] = [
    ("model", &[]),
    ("resource", &["reemo-model"]),
    ("transport", &["reemo-model"]),
    ("pki", &["reemo-model"]),
    ("ui", &["reemo-model"]),
];

#[test]
fn crates_know_what_they_may() {
    for (name, allowed) in ARROWS {
        let manifest = read(format!("src/{name}/Cargo.toml"));
        let ours: BTreeSet<&str> = manifest
            .lines()
            .skip_while(|l| *l != "[dependencies]")
            .filter_map(|l| l.split(['.', ' ', '=']).next())
            .filter(|l| l.starts_with("reemo-"))
            .collect();
        assert_eq!(ours, allowed.iter().copied().collect(), "src/{name}/Cargo.toml");
    }
}

#[test]
fn the_model_and_the_resources_are_pure() {
    for name in ["model", "resource"] {
        let manifest = read(format!("src/{name}/Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for impure in ["tokio", "russh", "bollard", "hyper", "rand.", "jiff"] {
            assert!(!dependencies.contains(&format!("\n{impure}")), "src/{name} depends on {impure}");
        }
    }
    let impure =
        ["std::fs::", "std::net::Tcp", "std::process::", "SystemTime", "Instant::now", "std::env::", "std::thread::"];
    let pure = |p: &str| p.starts_with("src/model/") || p.starts_with("src/resource/");
    let (mut found, mut elsewhere) = (Vec::new(), 0);
    for (path, text) in sources() {
        for (n, line) in code(&text) {
            let words = impure.iter().filter(|w| line.contains(*w)).map(|w| format!("{path}:{n}: {w}"));
            if pure(&path) { found.extend(words) } else { elsewhere += words.count() }
        }
    }
    assert!(elsewhere > 10, "the words that are looked for are those the rest is written with");
    assert!(found.is_empty(), "the model asks nobody:\n{}", found.join("\n"));
}

/// The engine speaks in events: it knows neither who listens nor which command it serves.
#[test]
fn the_engine_knows_neither_ui_nor_cli() {
    let mut seen = BTreeMap::new();
    for (path, text) in sources() {
        let layer = if path.starts_with("src/engine/") { "engine" } else { "other" };
        *seen.entry(layer).or_insert(0) += 1;
        if layer == "engine" {
            for word in ["reemo_ui", "reemo_pki::Store", "crate::cli", "super::super::cli", "clap::", "indicatif"] {
                let at = code(&text).find(|(_, l)| l.contains(word));
                assert!(at.is_none(), "{path}:{} uses {word}", at.unwrap().0);
            }
        }
    }
    assert!(seen["engine"] > 10);
}

/// Printing is the UI's business. (Clippy says so too, where it is run.)
#[test]
fn only_the_ui_prints() {
    for (path, text) in sources().iter().filter(|(p, _)| !p.starts_with("src/ui/")) {
        for word in ["println!", "eprintln!", "print!(", "eprint!(", "dbg!(", "stdout().write", "stderr().write"] {
            let at = code(text).find(|(_, l)| l.contains(word));
            assert!(at.is_none(), "{path}:{} prints ({word})", at.unwrap().0);
        }
    }
}

/// Files that may be longer than [`LONGEST`], up to the number said, and why.
const LONG: &[(&str, usize, &str)] = &[
    ("src/transport/ssh/known_hosts.rs", 530, "OpenSSH's file format, half of it tests"),
    ("src/transport/fake/sshd.rs", 550, "a whole SSH server for tests"),
];

const LONGEST: usize = 450;

#[test]
fn files_are_small() {
    let limit = |path: &str| LONG.iter().find(|(p, ..)| *p == path).map_or(LONGEST, |(_, n, _)| *n);
    let long: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(path, lines)| *lines > limit(path))
        .map(|(path, lines)| format!("{path}: {lines} lines, {} are allowed", limit(path)))
        .collect();
    assert!(long.is_empty(), "divide them, or say in LONG why they are one thing:\n{}", long.join("\n"));
    for (path, ..) in LONG {
        assert!(root().join(path).exists(), "{path} is listed as long and is not there");
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "no `//!` at the top of:\n{}", silent.join("\n"));
}

/// Where the program may stop itself, by a piece of the line, and why that cannot happen.
const STOPS: &[(&str, &str, &str)] =
    &[("src/pki/seed.rs", "HMAC takes keys of any length", "the only error is one of length")];

#[test]
fn nothing_a_user_can_cause_is_a_panic() {
    let stops = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    // The fakes stop on purpose: a test that asks for what it did not announce has failed.
    for (path, text) in sources().iter().filter(|(p, _)| !p.starts_with("src/transport/fake/")) {
        for (n, line) in code(text).filter(|(_, l)| stops.iter().any(|s| l.contains(s))) {
            match STOPS.iter().find(|(p, piece, _)| p == path && line.contains(piece)) {
                Some((_, piece, _)) => drop(known.insert(*piece)),
                None => found.push(format!("{path}:{n}: {}", line.trim())),
            }
        }
    }
    assert_eq!(known.len(), STOPS.len(), "of STOPS only these are still there: {known:?}");
    assert!(found.is_empty(), "give an error instead, or say in STOPS why it cannot happen:\n{}", found.join("\n"));
}

/// Every variable is documented, every template is used, every role says what it is.
#[test]
fn roles_are_documented() {
    let mut variables = BTreeMap::new();
    let mut used = String::new();
    let roles = files("roles");
    for path in &roles {
        let name = path.display().to_string();
        let text = read(path);
        let role: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        used.push_str(&text);
        if role.get("service").is_some() {
            assert!(role["doc"].as_str().is_some_and(|d| d.len() > 5), "{name} has no `doc`");
        }
        let Some(declared) = role.get("variables").and_then(|v| v.as_mapping()) else { continue };
        for (key, value) in declared {
            let variable = key.as_str().unwrap().to_owned();
            let doc = value.get("doc").and_then(|d| d.as_str()).unwrap_or_default();
            assert!(doc.len() > 5, "{name}: {variable} has no `doc`");
            assert!(value.get("type").is_some() && value.get("scope").is_some(), "{name}: {variable}");
            let before = variables.insert(variable.clone(), name.clone());
            assert!(before.is_none(), "{variable} is declared in {name} and {}", before.unwrap_or_default());
        }
    }
    assert!(roles.len() > 15 && variables.len() > 60, "{} roles, {} variables", roles.len(), variables.len());
    let documented = read("docs/variables.md");
    let missing: Vec<&String> = variables.keys().filter(|v| !documented.contains(&format!("`{v}`"))).collect();
    assert!(missing.is_empty(), "not in docs/variables.md: {missing:?}");
    for template in files("templates") {
        let name = template.strip_prefix("templates").unwrap().display().to_string();
        assert!(used.contains(&name), "no role uses {}", template.display());
    }
}

/// Every command, every flag of theirs and every exit code is in the documentation.
#[test]
fn commands_and_exit_codes_are_documented() {
    use clap::CommandFactory;
    let text = read("docs/commands.md");
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    let mut command = reemo_infra::cli::args::Cli::command();
    command.build();
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
        assert!(text.contains(sub.get_name()), "docs/commands.md does not name `{}`", sub.get_name());
        for flag in sub.get_arguments().filter(|a| !matches!(a.get_long(), None | Some("help" | "version"))) {
            let long = format!("--{}", flag.get_long().unwrap_or_default());
            let short = flag.get_short().map(|s| format!("-{s}"));
            let named = words.contains(long.as_str()) || short.is_some_and(|s| words.contains(s.as_str()));
            assert!(named, "docs/commands.md: `{}` has {long}", sub.get_name());
        }
    }
    let text = read("docs/exit-codes.md");
    use reemo_infra::engine::apply::exit;
    let codes = [
        exit::OK,
        exit::FAILED,
        exit::UNREACHABLE,
        exit::ROLLED_BACK,
        exit::LOCKED,
        exit::REFUSED,
        exit::PENDING,
        1,
        3,
        5,
    ];
    assert!(text.contains("| 129, 130, 143 |"), "docs/exit-codes.md: signals");
    for code in codes {
        assert!(text.lines().any(|l| l.starts_with(&format!("| {code} |"))), "docs/exit-codes.md: {code}");
    }
}

/// Nothing of a developer's machine, and no key, is in the repository.
#[test]
fn nothing_private_is_in_the_tree() {
    // Put together here, so that this file does not find itself.
    let forbidden = [
        format!("-----BEGIN {}", "PRIVATE KEY"),
        format!("-----BEGIN {}", "EC PRIVATE KEY"),
        format!("-----BEGIN {}", "RSA PRIVATE KEY"),
        format!("-----BEGIN {}", "OPENSSH PRIVATE KEY"),
        format!("/{}/", "work/main"),
        format!("/{}/", "work/shared"),
    ];
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in ["src", "roles", "templates", "inventories", "tests", "examples", "docs", "benches", ".ci", ".cargo"]
    {
        folders.extend(files(folder));
    }
    folders.extend(["README.md", "Makefile", "Cargo.toml", "Cargo.lock"].map(PathBuf::from));
    for path in folders {
        // Only text can hold what is looked for.
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (n, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|w| line.contains(w.as_str())) {
                // A constant that code compares with is no key.
                let compared = path.extension().is_some_and(|e| e == "rs") && !line.trim().starts_with("-----");
                assert!(compared && word.starts_with('-'), "{}:{}: {word}", path.display(), n + 1);
            }
        }
    }
}
