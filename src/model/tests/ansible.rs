//! Held against `ansible-inventory` itself. Each file of `cases/` has the arguments, the files, and what
//! Ansible printed. With `REEMO_ANSIBLE_INVENTORY` (the path of the program) Ansible is asked again;
//! with `REEMO_RECORD` too, its answers are written into the cases.
#![allow(clippy::print_stdout)]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::oracle::Oracle;
use common::{Case, parse};
use reemo_model::inventory::load::is_our_group;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.into_iter().map(parse).collect()
}

#[test]
fn every_case_reads_as_in_ansible() {
    let mut oracle = Oracle::start();
    let record = std::env::var_os("REEMO_RECORD").is_some();
    let (mut wrong, mut count, mut text_equal) = (String::new(), 0, 0);
    for case in cases() {
        count += 1;
        let dir = case.lay_out();
        let ours = case.ours(&dir);
        let mut expected = case.expected.clone();
        if let Some(oracle) = &mut oracle {
            let theirs = case.theirs(&dir, oracle);
            if record {
                let mut text = std::fs::read_to_string(&case.path).unwrap();
                text.truncate(text.find("=== expected").unwrap_or(text.len()));
                std::fs::write(&case.path, format!("{text}=== expected\n{theirs}")).unwrap();
                expected = Some(theirs);
            } else if !case.same(&theirs, expected.as_deref().unwrap_or_default()) {
                let _ = writeln!(wrong, "{}: Ansible no longer prints what was recorded", case.path.display());
            }
        }
        let _ = std::fs::remove_dir_all(&dir);
        let expected = expected.unwrap_or_else(|| panic!("{} has no recorded answer", case.path.display()));
        text_equal += usize::from(ours == expected);
        if !case.same(&ours, &expected) {
            let _ = writeln!(wrong, "{}:\n-- ours\n{ours}\n-- ansible\n{expected}", case.path.display());
        }
    }
    let asked =
        if oracle.is_some() { "Ansible was asked again" } else { "NOT asked again: set REEMO_ANSIBLE_INVENTORY" };
    println!("{count} cases, {text_equal} of them equal to the letter; {asked}");
    assert!(count >= 40, "the cases are there");
    assert!(wrong.is_empty(), "{wrong}");
}

/// A stray group key directly under `all:` (which we read as a child, and Ansible skips) put where it belongs.
fn corrected(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut out, mut inside, mut in_all) = (String::new(), false, false);
    for line in text.lines() {
        let key = line.trim().trim_end_matches(':');
        if !line.trim().is_empty() && indent(line) == 0 {
            in_all = line.trim() == "all:";
        }
        if inside && !line.trim().is_empty() && indent(line) <= 2 {
            inside = false;
        }
        if in_all && indent(line) == 2 && line.trim().ends_with(':') && is_our_group(key) {
            out += "  children:\n";
            inside = true;
        }
        out += if inside { "  " } else { "" };
        out += line;
        out += "\n";
    }
    out
}

/// What Ansible printed for a file as it was then.
#[derive(serde::Serialize, serde::Deserialize)]
struct Recorded {
    file: String,
    /// Of the text that was asked about: one that has changed since is not compared.
    text: String,
    output: Option<Json>,
}

#[test]
fn the_projects_inventories_read_as_in_ansible() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recorded_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/project.jsonl");
    let mut oracle = Oracle::start();
    let text = std::fs::read_to_string(&recorded_file).unwrap_or_default();
    let recorded: Vec<Recorded> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut wrong, mut compared, mut both_refuse, mut changed, mut new) = (String::new(), 0, 0, 0, Vec::new());
    for folder in ["inventories", "tests/cli/bad"] {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(root.join(folder)).unwrap().flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "yml")) {
            let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
            let text = std::fs::read_to_string(&path).unwrap();
            let dir = path.parent().unwrap().to_path_buf();
            let mut case =
                Case::new(path.clone(), vec!["-i".into(), path.file_name().unwrap().to_string_lossy().into()]);
            let ours = case.ours(&dir);
            let twin = corrected(&text);
            let digest: String = Sha256::digest(&twin).iter().take(6).map(|b| format!("{b:02x}")).collect();
            let theirs = match &mut oracle {
                Some(oracle) => {
                    case.path = PathBuf::from(format!("twin-{}", name.replace('/', "-")));
                    case.files.insert(case.args[1].clone(), twin.clone());
                    let twin_dir = case.lay_out();
                    let answer = case.theirs(&twin_dir, oracle);
                    let _ = std::fs::remove_dir_all(twin_dir);
                    let output = serde_json::from_str::<Json>(&answer).ok().filter(Json::is_object);
                    new.push(Recorded { file: name.clone(), text: digest, output: output.clone() });
                    output
                }
                None => match recorded.iter().find(|r| r.file == name && r.text == digest) {
                    Some(found) => found.output.clone(),
                    None => {
                        changed += 1;
                        continue;
                    }
                },
            };
            compared += 1;
            match (serde_json::from_str::<Json>(&ours).ok().filter(Json::is_object), theirs) {
                (None, None) => both_refuse += 1,
                (ours, theirs) if ours == theirs => {}
                (_, theirs) => {
                    let _ = writeln!(wrong, "{name}:\n-- ours\n{ours}\n-- ansible\n{theirs:#?}");
                }
            }
        }
    }
    if oracle.is_some() && std::env::var_os("REEMO_RECORD").is_some() {
        let lines: String = new.iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect();
        std::fs::write(recorded_file, lines).unwrap();
    }
    println!(
        "{compared} inventories of the project, {both_refuse} refused by both; {changed} not recorded as they are now"
    );
    assert!(compared > 5, "the recorded ones are of another time: tests/oracle/run record");
    assert!(wrong.is_empty(), "{wrong}");
}
