//! `docs`: the pages that are made from the declarations are those in `docs/`, and the schema says of inventories what
//! it should.

use std::path::Path;
use std::process::Command;

use crate::{Stage, case_files, text};

fn printed(what: &str) -> String {
    let output = Stage::new().tool(&["docs", what], &[]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_pages_are_up_to_date() {
    for (what, file) in [("variables", "docs/variables.md"), ("schema", "docs/inventory.schema.json")] {
        let there = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(printed(what) == there, "make it anew: reemo-infra docs {what} > {file}");
    }
}

/// What a validator says of one file or text.
#[derive(serde::Deserialize)]
struct Verdict {
    name: String,
    valid: bool,
}

/// Texts with a name, and whether they are right. Templates and vault values may stand anywhere; stray keys may not.
const TEXTS: [(&str, bool); 10] = [
    ("infra_manager: {vars: {PORTAL_TYPE: '{{ x }}', SIGNAL_COUNT: '{{ y }}', RELAYS_IP: '{{ z }}'}}", true),
    ("infra_manager: {vars: {RELAYS_IP: some text}}", false),
    ("all: {infra_manager: {hosts: {a: }}}", false),
    ("all: {children: {infra_manager: {hosts: {a: {ansible_port: 22, SWARM_ADVERTISE_ADDR: 10.0.0.1}}}}}", true),
    ("all: {hosts: {a: {ansible_port: many}}}", false),
    ("all: {vars: {my_own: 1, MY_OWN: 1, API_anything: 1}}", true),
    ("all: {vars: {CRON_ENABLE: 'No', HEALTHCHECK_ENABLE: 1}}", true),
    ("all: {vars: {CRON_ENABLE: nope}}", false),
    ("all: {vars: {DB_USER_PASSWORD: !vault '$ANSIBLE_VAULT;1.1;AES256'}}", true),
    ("all: {vars: {PORTAL_URL_RESTRICT_IP: 10.0.0.0/33}, hosts: {}}", false),
];

/// Asks PyPI's `jsonschema` where `REEMO_JSONSCHEMA_PYTHON` names a Python that has it and PyYAML.
#[test]
fn the_schema_holds_for_every_inventory_and_not_for_wrong_ones() {
    let Ok(python) = std::env::var("REEMO_JSONSCHEMA_PYTHON") else {
        eprintln!("NOT checked against jsonschema: set REEMO_JSONSCHEMA_PYTHON");
        return;
    };
    let stage = Stage::new();
    let schema = stage.write("schema.json", printed("schema").as_bytes());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inventories: Vec<_> = std::fs::read_dir(root.join("inventories")).unwrap().map(|e| e.unwrap().path()).collect();
    let texts = TEXTS.iter().enumerate().map(|(n, (text, _))| stage.write(&format!("text{n}.yml"), text.as_bytes()));
    let texts: Vec<_> = texts.collect();
    let output = Command::new(python)
        .arg(root.join("tests/cli/validate.py"))
        .arg(schema)
        .args(&inventories)
        .args(case_files())
        .args(&texts)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let verdicts: Vec<Verdict> = serde_json::from_slice(&output.stdout).unwrap();
    let valid = |path: &Path| {
        let name = path.display().to_string();
        verdicts.iter().find(|v| v.name == name).map(|v| v.valid)
    };
    let right = inventories.iter().filter(|p| p.extension().is_some_and(|e| e == "yml"));
    assert!(right.clone().count() >= 5);
    right.for_each(|path| assert_eq!(valid(path), Some(true), "{}", path.display()));
    for (path, (text, expected)) in texts.iter().zip(TEXTS) {
        assert_eq!(valid(path), Some(expected), "{text}");
    }
    // Of the wrong ones beside this test, those that a single file and its values show.
    let wrong = [
        "licence-placeholder",
        "not-an-inventory",
        "placeholder-database",
        "several-at-once",
        "unknown-prefix",
        "value-address",
        "value-enum",
        "value-secret",
        "value-type",
    ];
    for path in case_files() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if wrong.contains(&name.as_str()) {
            assert_eq!(valid(&path), Some(false), "{name}");
        } else if name == "certificate-good" {
            assert_eq!(valid(&path), Some(true), "the control");
        }
    }
}
