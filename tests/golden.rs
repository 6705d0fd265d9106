//! What the inventories of `inventories/` come to, compared with `tests/golden/`: the task graph of each,
//! and the plan against bare hosts.
//!
//! After a wanted change: `UPDATE_GOLDEN=1 cargo test --test golden`, then read the difference.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reemo_infra::engine::apply::Ask;
use reemo_infra::engine::graph;
use reemo_model::event::Event;
use reemo_transport::fake::Net;
use support::database::Database;
use support::machine::Machine;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn inventories() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("inventories")).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "yml")).collect();
    files.sort();
    assert!(files.len() >= 5, "the inventories are gone");
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// What every inventory is read with: nothing of the machine the tests run on.
fn extra(folder: &Path) -> String {
    let authority = folder.join("registry-ca.crt");
    fs::write(&authority, "the authority of a registry\n").unwrap();
    format!("REGISTRY_CA_FILE={}", authority.display())
}

/// Compares with the file of that name, or writes it.
fn golden(name: &str, text: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let differs = wanted.lines().zip(text.lines()).position(|(w, t)| w != t);
    let line = differs.unwrap_or_else(|| wanted.lines().count().min(text.lines().count()));
    assert!(
        wanted == text,
        "tests/golden/{name} differs from line {}:\n- {}\n+ {}\n(UPDATE_GOLDEN=1 writes it anew)",
        line + 1,
        wanted.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}

#[test]
fn graphs() {
    for inventory in inventories() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_reemo-infra"));
        command.arg("graph").arg("-i").arg(&inventory);
        // The demo's registry has an authority of its own, which is made with the demo.
        if stem(&inventory) == "demo" {
            command.args(["-e", &extra(folder.path())]);
        }
        let pki = folder.path().join("pki");
        let output = command.arg("--pki-dir").arg(&pki).env("HOME", folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", inventory.display());
        assert!(!pki.exists(), "to read is not to make certificates");
        golden(&format!("{}.graph.txt", stem(&inventory)), &String::from_utf8_lossy(&output.stdout));
    }
}

/// A plan against nothing: bare hosts on which everything is still to be done.
#[tokio::test]
async fn plans_against_bare_hosts() {
    for inventory in inventories() {
        let folder = tempfile::tempdir().unwrap();
        let mut extra = vec!["INSTALL_DOCKER=true".to_owned(), "INIT_DB=true".to_owned()];
        if stem(&inventory) == "demo" {
            extra.push(self::extra(folder.path()));
        }
        let net = Net::new();
        let site = support::site(&inventory, &extra, &net);
        // The certificate it would ask for is not made by a plan: it is reached, and no more is asked.
        let database = Database::new("reemo", "example-password", "reemo");
        net.listen("10.0.9.1", 3306, move |stream| database.serve(stream));
        let mut machines = BTreeMap::new();
        for host in site.hosts.values() {
            let machine = Machine::debian();
            support::serve(&net, &host.target.address, &machine);
            machines.insert(host.target.name.clone(), machine);
        }
        let graph = graph::compile(&site).unwrap();
        let ask = Ask { check: true, again: "plan".into(), options: forks(50), ..Ask::default() };
        let mut heard = support::run(&site, graph, &net, &ask).await;
        for event in &mut heard.events {
            // What a name stands for is a question to this machine's name server.
            if let Event::Preflight { findings } = event {
                findings.retain(|f| f.check != "portal");
            }
        }
        let text = without_keys(&support::as_text("plan", heard.events));
        // The smallest one in full; of the others what would be done, without the fields.
        let detail = stem(&inventory) == "one";
        let shown: String = text.split_inclusive('\n').filter(|l| detail || !l.starts_with("    ")).collect();
        golden(&format!("{}.plan.txt", stem(&inventory)), &format!("{shown}(exit {})\n", heard.exit));
        for (name, machine) in machines {
            let state = machine.state();
            assert!(state.unknown.is_empty(), "{name}: {:?}", state.unknown);
            assert!(state.commands.is_empty(), "{name}: a plan has run {:?}", state.commands);
        }
        assert_no_secret(&inventory, &text);
    }
}

fn forks(forks: usize) -> reemo_infra::engine::run::Options {
    reemo_infra::engine::run::Options { forks, ..Default::default() }
}

/// Names of configs end with a keyed hash, and the key is another one each time.
fn without_keys(text: &str) -> String {
    regex::Regex::new(r"\.[0-9a-f]{12}\b").unwrap().replace_all(text, ".‹hash›").into_owned()
}

/// Nothing of what the inventory calls secret is in the output.
fn assert_no_secret(inventory: &Path, text: &str) {
    let written = fs::read_to_string(inventory).unwrap();
    let secret = ["API_LICENSE", "HMACSECRET", "REGISTRY_PASSWORD", "DB_USER_PASSWORD"];
    let values = written.lines().filter_map(|l| l.trim().split_once(": ")).filter(|(k, _)| secret.contains(k));
    let mut seen = 0;
    for (name, value) in values {
        let value = value.trim_matches('"');
        assert!(!text.contains(value), "{}: the value of {name} is shown", inventory.display());
        seen += 1;
    }
    assert!(seen > 0, "there are secrets to look for");
    assert!(!text.contains("PRIVATE KEY"), "{}", inventory.display());
}
