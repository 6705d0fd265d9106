//! Inventories and files of variables of other people, held against Ansible.
//!
//! `REEMO_PUBLIC` is a directory of checkouts, one folder each; `REEMO_ANSIBLE_INVENTORY` must be set too.
//! No script in them is run, by Ansible or by us.
#![allow(clippy::print_stdout)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::oracle::{Oracle, shown};
use common::{Case, REFUSED};
use reemo_model::yaml;

/// Every file below, with its path; links are not followed.
fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_symlink() {
            continue;
        } else if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

fn lower_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// True below `group_vars`, `host_vars`, `vars` or `defaults`.
fn is_vars(path: &Path) -> bool {
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders.map(|c| c.as_os_str().to_string_lossy().to_lowercase()).any(|c| {
        matches!(c.as_str(), "group_vars" | "host_vars" | "vars" | "defaults" | "tasks" | "templates" | "handlers")
    })
}

/// True for a file that looks like an inventory.
fn is_inventory(path: &Path) -> bool {
    let name = lower_name(path);
    let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
    let data =
        matches!(name.rsplit_once('.').map(|(_, e)| e), None | Some("ini" | "yml" | "yaml" | "json" | "inventory"));
    let folder = path.parent().map(lower_name).unwrap_or_default();
    let looks = matches!(stem, "hosts" | "inventory" | "inv") || folder.starts_with("inventor");
    data && looks && !is_vars(path) && !is_script(path)
}

fn is_script(path: &Path) -> bool {
    std::fs::read(path).map_or(true, |bytes| bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF"))
}

/// Checkouts with the paths below them that pass.
fn by_repository(root: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeMap<String, Vec<PathBuf>> {
    let mut all = Vec::new();
    files(root, &mut all);
    let mut out: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in all.into_iter().filter(|path| wanted(path)) {
        let first = path.strip_prefix(root).ok().and_then(|p| p.components().next());
        let name = first.map(|c| c.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        out.entry(name).or_default().push(path);
    }
    out
}

fn setting() -> Option<(PathBuf, Oracle)> {
    let found = std::env::var_os("REEMO_PUBLIC").map(PathBuf::from).zip(Oracle::start());
    if found.is_none() {
        println!("SKIPPED: set REEMO_PUBLIC and REEMO_ANSIBLE_INVENTORY");
    }
    found
}

/// Of one repository at most so many, evenly spread.
fn at_most(paths: &[PathBuf], most: usize) -> impl Iterator<Item = &PathBuf> {
    paths.iter().step_by(paths.len().div_ceil(most).max(1))
}

fn most() -> usize {
    std::env::var("REEMO_PUBLIC_EACH").ok().and_then(|v| v.parse().ok()).unwrap_or(30)
}

#[test]
fn public_inventories_read_as_in_ansible() {
    let Some((root, mut oracle)) = setting() else { return };
    let (mut count, mut equal, mut both_refuse, mut plugins, mut vaults) = (0, 0, 0, 0, 0);
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    let repositories = by_repository(&root, is_inventory);
    for paths in repositories.values() {
        let mut sources: Vec<PathBuf> = at_most(paths, most()).cloned().collect();
        // A folder with several files, or with `group_vars` beside them, is a source too.
        let folders: BTreeSet<&Path> = paths.iter().filter_map(|p| p.parent()).collect();
        for folder in folders {
            let mut inside = Vec::new();
            files(folder, &mut inside);
            // Ansible's own INI reader fails on a relative path with a comma.
            if folder.to_string_lossy().contains(',') {
                continue;
            }
            if folder != root && inside.len() < 60 && !inside.iter().any(|p| !is_vars(p) && is_script(p)) {
                sources.push(folder.to_owned());
            }
        }
        for path in sources {
            // The same file in two forks is one inventory.
            if path.is_file() && !seen.insert(std::fs::read(&path).unwrap_or_default()) {
                continue;
            }
            count += 1;
            let (dir, name) = (path.parent().unwrap().to_path_buf(), path.file_name().unwrap().to_string_lossy());
            let how: &[&str] = [&[][..], &["--export"], &["-y"], &["--graph", "--vars"]][count % 4];
            let mut args = vec!["-i".to_owned(), name.into_owned()];
            args.extend(how.iter().map(|a| (*a).to_owned()));
            let case = Case::new(path.clone(), args.clone());
            let ours = case.ours(&dir);
            // Vaults need their passwords.
            if ours.contains("error[vault]") {
                vaults += 1;
                continue;
            }
            if ours.contains("[inventory-plugin]") {
                plugins += 1;
                continue;
            }
            if !args.contains(&"--graph".to_owned()) {
                args.push("--list".to_owned());
            }
            // What we refuse, Ansible must find something wrong with; what we read must be what it prints,
            // also where it goes on with a warning.
            let answer = oracle.inventory(&args, &dir, ours.starts_with(REFUSED), false);
            if answer.err.contains("no vault secrets") {
                vaults += 1;
                continue;
            }
            match (answer.code == 0, ours.starts_with(REFUSED)) {
                (false, true) => both_refuse += 1,
                (true, false) if case.same(&ours, &answer.out) => equal += 1,
                (theirs, refused) => {
                    let _ = writeln!(
                        wrong,
                        "## {} {:?}: ansible {}, ours {}\n{}\n{}",
                        path.display(),
                        &args[2..],
                        if theirs { "reads it" } else { "refuses it" },
                        if refused { "refuses it" } else { "reads it" },
                        if refused { ours.clone() } else { difference(&ours, &answer.out) },
                        if theirs { "" } else { &answer.err },
                    );
                }
            }
        }
    }
    println!(
        "{count} inventories of {} repositories: {equal} equal, {both_refuse} refused by both, {plugins} for plugins, \
         {vaults} with vaults",
        repositories.len()
    );
    assert!(wrong.is_empty(), "{wrong}");
}

/// The first lines that differ.
fn difference(ours: &str, theirs: &str) -> String {
    let sorted = |text: &str| {
        let json: Result<serde_json::Value, _> = serde_json::from_str(text);
        json.ok().and_then(|j| serde_json::to_string_pretty(&j).ok()).unwrap_or_else(|| text.to_owned())
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    let pairs = ours.lines().zip(theirs.lines()).enumerate().filter(|(_, (a, b))| a != b).take(4);
    pairs.map(|(n, (a, b))| format!("{n}: ours {a:.300}\n{n}: them {b:.300}\n")).collect()
}

#[test]
fn public_vars_files_have_the_values_of_ansible() {
    let Some((root, mut oracle)) = setting() else { return };
    let wanted = |path: &Path| {
        let folders = ["group_vars", "host_vars", "vars", "defaults"];
        let name = lower_name(path);
        let data = matches!(name.rsplit_once('.').map(|(_, e)| e), None | Some("yml" | "yaml" | "json"));
        data && path
            .parent()
            .into_iter()
            .flat_map(Path::components)
            .any(|c| folders.iter().any(|f| c.as_os_str() == *f))
            && !path.components().any(|c| matches!(c.as_os_str().to_str(), Some("tasks" | "templates" | "files")))
    };
    let (mut count, mut equal, mut both_refuse, mut wrong) = (0, 0, 0, String::new());
    let mut seen = BTreeSet::new();
    let repositories = by_repository(&root, wanted);
    for path in repositories.values().flat_map(|paths| at_most(paths, 2 * most())) {
        let bytes = std::fs::read(path).unwrap_or_default();
        // Vaults need their password.
        if bytes.starts_with(b"$ANSIBLE_VAULT") || !seen.insert(bytes.clone()) {
            continue;
        }
        count += 1;
        let file: Arc<Path> = Arc::from(path.as_path());
        let ours = yaml::parse(&file, &bytes).map(|document| shown(&document.root)).map_err(|e| e.message);
        match (ours, oracle.yaml(path)) {
            (Err(_), Err(_)) => both_refuse += 1,
            (Ok(ours), Ok(theirs)) if ours == theirs => equal += 1,
            (Ok(ours), Ok(theirs)) => {
                let pretty = |json| serde_json::to_string_pretty(json).unwrap_or_default();
                let _ = writeln!(wrong, "## {}\n{}", path.display(), difference(&pretty(&ours), &pretty(&theirs)));
            }
            (ours, theirs) => {
                let short = |text: String| text.chars().take(400).collect::<String>();
                let _ = writeln!(
                    wrong,
                    "## {}\nours: {:?}\nansible: {:?}",
                    path.display(),
                    ours.map(|_| "read").map_err(short),
                    theirs.map(|_| "read").map_err(short)
                );
            }
        }
    }
    println!("{count} files of {} repositories: {equal} equal, {both_refuse} refused by both", repositories.len());
    assert!(wrong.is_empty(), "{wrong}");
}
