//! YAML as Ansible reads it. The tables were written by PyYAML itself.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;

use reemo_model::diag::{Diagnostic, Texts};
use reemo_model::yaml::{self, Limits, Node, Value};

fn read(text: &str) -> Result<Node, Box<Diagnostic>> {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    yaml::parse(&file, text.as_bytes()).map(|d| d.root)
}

fn rendered(text: &str) -> String {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    let mut texts = Texts::new();
    texts.add(&file, text.to_owned());
    let error = yaml::parse(&file, text.as_bytes()).map(|d| d.root).expect_err(text);
    let mut all = reemo_model::diag::Diagnostics::from(*error);
    all.attach(&texts);
    all.render()
}

/// `scalar<TAB>json`, or `scalar<TAB>!` where PyYAML refuses it.
#[test]
fn scalars_are_what_pyyaml_makes_of_them() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("data/scalars.tsv").lines() {
        let (scalar, expected) = line.split_once('\t').expect("a tab");
        count += 1;
        let got = match read(&format!("v: {scalar}\n")) {
            Ok(node) => node.get("v").map_or("?".into(), |v| v.to_json().to_string()),
            Err(_) => "!".to_owned(),
        };
        let same = got == expected
            || matches!((serde_json::from_str::<serde_json::Value>(&got), serde_json::from_str::<serde_json::Value>(expected)), (Ok(a), Ok(b)) if a == b);
        if !same {
            wrong.push(format!("{scalar}: expected {expected}, got {got}"));
        }
    }
    assert!(count > 150, "the table is there");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn types() {
    let node = read("a: 2024-01-02\nb: ! 12\nc: !!str 12\nd: !!binary aGk=\ne: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\nf: !unsafe '{{ x }}'\n").unwrap();
    assert!(matches!(&node.get("a").unwrap().value, Value::Timestamp(t) if &**t == "2024-01-02"));
    assert_eq!(node.get("c").unwrap().as_str(), Some("12"));
    assert!(matches!(&node.get("d").unwrap().value, Value::Binary(b) if &**b == b"hi"));
    assert!(matches!(&node.get("e").unwrap().value, Value::Vault(_)));
    assert!(node.get("f").unwrap().raw);
}

#[test]
fn merge_keys_and_anchors() {
    let node =
        read("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo: {<<: [*b, *m]}\n").unwrap();
    assert_eq!(node.get("one").unwrap().to_json().to_string(), r#"{"x":9,"y":2}"#);
    assert_eq!(node.get("two").unwrap().to_json(), serde_json::json!({"y": 2, "z": 4, "x": 1}));
}

#[test]
fn a_duplicate_key_has_both_places_and_the_last_wins() {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    let document = yaml::parse(&file, b"a: 1\nb: 2\na: 3\n").unwrap();
    assert_eq!(document.root.to_json().to_string(), r#"{"a":3,"b":2}"#);
    let warning = document.warnings.iter().next().unwrap();
    assert_eq!(warning.code, "yaml-duplicate-key");
    assert!(!warning.is_error());
    assert_eq!(warning.place.as_ref().unwrap().to_string(), "f.yml:3:1");
    assert_eq!(warning.related[0].place.to_string(), "f.yml:1:1");
    assert!(document.warnings.clone().strict().has_errors());
    // Positive control: no warning without a duplicate.
    assert!(yaml::parse(&file, b"a: 1\nb: 2\n").unwrap().warnings.is_empty());
}

#[test]
fn places_are_those_of_the_text() {
    let node = read("a:\n  - x\n  - k: \"v\"\n").unwrap();
    let item = &node.get("a").unwrap().as_seq().unwrap()[1];
    let value = item.get("k").unwrap();
    assert_eq!((value.span.line, value.span.column, value.span.len), (3, 8, 3));
}

/// The two mis-indented `TRAEFIK_SSL_CERTS` of the vendor's document.
#[test]
fn the_vendors_own_mistakes_are_explained_in_words() {
    let left = "vars:\n    TRAEFIK_SSL_CERTS:\n        - cert_file: \"/c.crt\"\n        key_file: \"/k.key\"\n";
    let text = rendered(left);
    assert!(text.contains("f.yml:4:9"), "{text}");
    assert!(text.contains("`key_file:` is not indented like `cert_file:`"), "{text}");
    assert!(text.contains("2 spaces to the right"), "{text}");
    let right = "vars:\n    TRAEFIK_SSL_CERTS:\n        - cert_file: \"/c.crt\"\n            key_file: \"/k.key\"\n";
    let text = rendered(right);
    assert!(text.contains("`key_file:` is not indented like `cert_file:`"), "{text}");
    assert!(text.contains("2 spaces to the left"), "{text}");
}

#[test]
fn errors_are_in_words_and_have_a_place() {
    for (text, place, says) in [
        ("a: 1\n\tb: 2\n", "f.yml:2:1", "a tab is used for indentation"),
        ("a: {{ x }}\n", "f.yml:1:4", "must stand in quotes"),
        ("a: \"x\nb: 2\n", "f.yml:1:4", "never closed"),
        ("a: @x\n", "f.yml:1:4", "cannot begin with `@`"),
        ("a: b: c\n", "f.yml:1:5", "a second `: `"),
        ("a: *nope\n", "f.yml:1:4", "refers to no anchor"),
        ("a: [1, 2\nb: 3\n", "f.yml:2:2", "not closed"),
        ("a: 1\n---\nb: 2\n", "f.yml:2:1", "second YAML document"),
        ("a: !foo x\n", "f.yml:1:4", "unknown tag `!foo`"),
        ("a: 2024-13-01\n", "f.yml:1:4", "looks like a date"),
        ("{a: 1}: b\n? [x]\n: y\n", "f.yml:1:1", "a key cannot be"),
    ] {
        let got = rendered(text);
        assert!(got.contains(says), "{text:?}: {got}");
        assert!(got.contains(place), "{text:?}: {got}");
    }
}

#[test]
fn bytes_that_are_not_text() {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    let error = yaml::parse(&file, b"a: 1\nb: caf\xe9\n").unwrap_err();
    assert_eq!(error.place.unwrap().to_string(), "f.yml:2:7");
    assert!(error.help.unwrap().contains("UTF-8"));
}

#[test]
fn limits_hold() {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..12 {
        let inner = vec![format!("*a{}", n - 1); 10].join(",");
        bomb.push_str(&format!("a{n}: &a{n} [{inner}]\n"));
    }
    assert_eq!(yaml::parse(&file, bomb.as_bytes()).unwrap_err().code, "yaml-too-large");
    let deep = "[".repeat(5000);
    assert!(yaml::parse(&file, deep.as_bytes()).is_err());
    assert_eq!(read("a: &x [*x]\n").unwrap_err().code, "yaml-alias");
    let small = Limits { bytes: 3, ..Limits::default() };
    assert_eq!(yaml::parse_with(&file, b"abcd", small).unwrap_err().code, "yaml-too-large");
}

/// A secret is not shown in the line of an error that is found before anybody knows it is one.
#[test]
fn an_excerpt_hides_what_sounds_secret() {
    let text = rendered("vars:\n  DB_USER_PASSWORD: hunter2: x\n");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("DB_USER_PASSWORD: ‹secret›"), "{text}");
    let text = rendered("vars:\n  PORTAL_URL: a: x\n");
    assert!(text.contains("PORTAL_URL: a: x"), "{text}");
}

/// Files of variables of other people, held against PyYAML: `REEMO_PUBLIC_INVENTORIES` is a directory of
/// checkouts, `REEMO_ANSIBLE_INVENTORY` stands beside the Python that has PyYAML.
#[test]
fn public_files_are_what_pyyaml_makes_of_them() {
    const SCRIPT: &str = r#"
import sys, json, yaml, datetime
class Loader(yaml.CSafeLoader): pass
for tag in ('!vault', '!unsafe', '!vault-encrypted'):
    Loader.add_constructor(tag, lambda l, n: l.construct_scalar(n) if isinstance(n, yaml.ScalarNode) else l.construct_sequence(n, True) if isinstance(n, yaml.SequenceNode) else l.construct_mapping(n, True))
def key(k):
    return k if isinstance(k, (str, int, float, type(None))) else k.isoformat() if hasattr(k, 'isoformat') else str(k)
def plain(v):
    if isinstance(v, dict): return {key(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)): return [plain(x) for x in v]
    if isinstance(v, set): return sorted(v)
    if isinstance(v, (datetime.date, datetime.datetime)): return v.isoformat()
    if isinstance(v, bytes): return v.decode(errors='replace')
    if isinstance(v, int) and not isinstance(v, bool) and abs(v) >= 2**63: return str(v)
    if isinstance(v, float) and (v != v or v in (float('inf'), float('-inf'))): return str(v)
    return v
for path in sys.stdin.read().splitlines():
    try:
        text = open(path, encoding='utf-8').read()
        out = json.dumps(plain(yaml.load(text, Loader)))
    except Exception as e:
        out = '!'
    print(out)
"#;
    let (Ok(root), Ok(program)) = (std::env::var("REEMO_PUBLIC_INVENTORIES"), std::env::var("REEMO_ANSIBLE_INVENTORY"))
    else {
        println!("SKIPPED: set REEMO_PUBLIC_INVENTORIES and REEMO_ANSIBLE_INVENTORY");
        return;
    };
    let mut paths = Vec::new();
    yaml_files(Path::new(&root), 0, &mut paths);
    let python = Path::new(&program).with_file_name("python");
    let mut child = std::process::Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let names = paths.iter().map(|p| p.to_string_lossy().into_owned()).collect::<Vec<_>>().join("\n");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, names.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let (mut wrong, mut equal, mut refused) = (Vec::new(), 0, 0);
    for (path, theirs) in paths.iter().zip(String::from_utf8(output.stdout).unwrap().lines()) {
        let file: Arc<Path> = Arc::from(path.as_path());
        let ours = yaml::parse(&file, &std::fs::read(path).unwrap());
        let theirs: Option<serde_json::Value> = serde_json::from_str(theirs).ok();
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) if bare(&ours.root.to_json()) == theirs => equal += 1,
            (Err(_), None) => refused += 1,
            (Err(error), Some(_)) => wrong.push(format!("{}: refused: {error}", path.display())),
            (Ok(_), None) => wrong.push(format!("{}: PyYAML refuses it", path.display())),
            (Ok(_), Some(_)) => wrong.push(format!("{}: another value", path.display())),
        }
    }
    println!("{} files: {equal} equal, {refused} refused by both", paths.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Vault values as their text.
fn bare(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) if map.len() == 1 && map.contains_key("__ansible_vault") => {
            map["__ansible_vault"].clone()
        }
        serde_json::Value::Object(map) => {
            serde_json::Value::Object(map.iter().map(|(k, v)| (k.clone(), bare(v))).collect())
        }
        serde_json::Value::Array(items) => serde_json::Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

fn yaml_files(dir: &Path, depth: usize, out: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_symlink() || out.len() > 5000 {
            continue;
        }
        if path.is_dir() && depth < 12 {
            yaml_files(&path, depth + 1, out);
        } else if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            out.push(path);
        }
    }
}
