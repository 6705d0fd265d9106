//! Held against `ansible-inventory` itself. Each file of `cases/` has the arguments, the files, and what
//! Ansible printed. With `REEMO_ANSIBLE_INVENTORY` (the path of the program) Ansible is asked again;
//! with `REEMO_RECORD` too, its answers are written into the cases.
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Case, Disk, parse};
use reemo_model::inventory::Sources;

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.into_iter().map(parse).collect()
}

#[test]
fn every_case_reads_as_in_ansible() {
    let program = std::env::var("REEMO_ANSIBLE_INVENTORY").ok();
    let record = std::env::var_os("REEMO_RECORD").is_some();
    let (mut wrong, mut count, mut text_equal) = (String::new(), 0, 0);
    for case in cases() {
        count += 1;
        let dir = case.lay_out();
        let ours = case.ours(&dir);
        let mut expected = case.expected.clone();
        if let Some(program) = &program {
            let theirs = case.theirs(&dir, program);
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
        if program.is_some() { "Ansible was asked again" } else { "NOT asked again: set REEMO_ANSIBLE_INVENTORY" };
    println!("{count} cases, {text_equal} of them equal to the letter; {asked}");
    assert!(count >= 40, "the cases are there");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Files below a directory that look like inventories.
fn candidates(dir: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_dir()
            && !path.is_symlink()
            && depth < 10
            && !matches!(name.as_str(), "group_vars" | "host_vars" | ".git")
        {
            candidates(&path, depth + 1, out);
        } else if path.is_file() {
            let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
            let data = matches!(
                name.rsplit_once('.').map(|(_, e)| e),
                None | Some("ini" | "yml" | "yaml" | "json" | "inventory")
            );
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().to_lowercase();
            if data && (matches!(stem, "hosts" | "inventory" | "inv") || folder.starts_with("inventor")) {
                out.push(path);
            }
        }
    }
}

/// Inventories of other people: `REEMO_PUBLIC_INVENTORIES` is a directory of checkouts, and
/// `REEMO_ANSIBLE_INVENTORY` must be set too.
#[test]
fn public_inventories_read_as_in_ansible() {
    let (Ok(root), Ok(program)) = (std::env::var("REEMO_PUBLIC_INVENTORIES"), std::env::var("REEMO_ANSIBLE_INVENTORY"))
    else {
        println!("SKIPPED: set REEMO_PUBLIC_INVENTORIES and REEMO_ANSIBLE_INVENTORY");
        return;
    };
    let mut paths = Vec::new();
    candidates(Path::new(&root), 0, &mut paths);
    let (mut equal, mut both_refuse, mut plugins, mut wrong) = (0, 0, 0, String::new());
    for path in &paths {
        let dir = path.parent().unwrap().to_path_buf();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let case =
            Case { path: path.clone(), args: vec!["-i".into(), name.clone()], files: BTreeMap::new(), expected: None };
        // A script is not run: it may do anything.
        if Disk(dir.clone()).is_executable(Path::new(&name)) {
            continue;
        }
        let output = Command::new(&program)
            .args(["-i", &name, "--list"])
            .current_dir(&dir)
            .env("ANSIBLE_CONFIG", "/nowhere.cfg")
            .env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true")
            .output()
            .unwrap();
        let ours = case.ours(&dir);
        if ours.contains("[inventory-plugin]") {
            plugins += 1;
            continue;
        }
        match (output.status.success(), ours.starts_with("\"refused\"")) {
            (false, true) => both_refuse += 1,
            (true, false) if case.same(&ours, &String::from_utf8_lossy(&output.stdout)) => equal += 1,
            (theirs, refused) => {
                let _ = writeln!(
                    wrong,
                    "{}: ansible {}, ours {}\n{}\n{}",
                    path.display(),
                    if theirs { "reads it" } else { "refuses it" },
                    if refused { "refuses it" } else { "reads it" },
                    if refused { ours.as_str() } else { "" },
                    if theirs { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() },
                );
            }
        }
    }
    println!("{} inventories: {equal} equal, {both_refuse} refused by both, {plugins} for plugins", paths.len());
    assert!(wrong.is_empty(), "{wrong}");
}
