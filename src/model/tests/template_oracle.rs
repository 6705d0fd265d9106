//! Expressions held against what Ansible makes of them: `templates/*.tsv`, recorded by
//! `templates/record.py` (it says how).
//!
//! A line is `expression<TAB>value as JSON`, or `!` where Ansible refuses. A third field says where we
//! differ, and is held too: `refused: why`, or `ours VALUE: why`. What differs without a third field
//! fails, and so does a third field that is not needed.

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reemo_model::template::{Engine, Found, Lookup, Scope, Value, to_json};
use reemo_model::yaml::{self, Node};

struct Table(Node);

impl Lookup for Table {
    fn find(&self, name: &str) -> Option<Found> {
        if name == "base" {
            return Some(Found { value: Node::str("$base"), place: None, raw: true });
        }
        let yaml::Value::Map(map) = &self.0.value else { return None };
        Some(Found { value: map.entry(name)?.value.clone(), place: None, raw: false })
    }

    fn names(&self) -> Vec<String> {
        let yaml::Value::Map(map) = &self.0.value else { return Vec::new() };
        map.iter().map(|e| e.key.key_text()).collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates")
}

fn ours(expression: &str, engine: &Engine, vars: &Arc<Table>) -> String {
    let text = expression.replace('⏎', "\n");
    let whole = ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark));
    let text = if whole { text } else { format!("{{{{ {text} }}}}") };
    let scope = Scope::new(engine, vars.clone());
    match scope.template(&text, Value::UNDEFINED) {
        Ok(value) => bare(&to_json(&value).to_string()),
        Err(error) => format!("! {error}"),
    }
}

/// The JSON at the start of `VALUE: why`.
fn value_of(text: &str) -> &str {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let _ = values.next();
    &text[..values.byte_offset()]
}

/// Numbers too large for JSON's reader are texts with a mark; as numbers again.
fn bare(json: &str) -> String {
    let mark = regex::Regex::new("\"\u{10fffe}(-?[0-9]+)\"").unwrap();
    mark.replace_all(json, "$1").into_owned()
}

/// Equal as JSON; floats by their last printed digit.
fn same(a: &str, b: &str) -> bool {
    if a.starts_with('!') || b.starts_with('!') {
        return a.starts_with('!') && b.starts_with('!');
    }
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || (read(a).is_some() && read(a) == read(b))
}

#[test]
fn expressions_are_as_in_ansible() {
    let vars = Arc::new(Table(yaml::parse_str(&fs::read_to_string(folder().join("vars.yml")).unwrap()).unwrap()));
    let engine = Engine::in_world(world::oracle(), |_| {});
    let mut tables: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "tsv"))
        .collect();
    tables.sort();
    let (mut wrong, mut count, mut differ) = (Vec::new(), 0, 0);
    for table in &tables {
        let name = table.file_name().unwrap().to_string_lossy().into_owned();
        for (n, line) in fs::read_to_string(table).unwrap().lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            count += 1;
            let parts: Vec<&str> = line.split('\t').collect();
            let got = ours(parts[0], &engine, &vars);
            let told =
                |why: &str| format!("{name}:{}: {}\n    ansible {}\n    ours    {got}{why}", n + 1, parts[0], parts[1]);
            match parts.get(2) {
                None if same(&got, parts[1]) => {}
                None => wrong.push(told("")),
                Some(_) if same(&got, parts[1]) => wrong.push(told("\n    is said to differ, and does not")),
                Some(said) => {
                    differ += 1;
                    let expected = match said.strip_prefix("ours ") {
                        Some(rest) => value_of(rest),
                        None => "!",
                    };
                    let reason = said.starts_with("refused: ") || said.starts_with("ours ");
                    if !reason || !same(&got, expected) {
                        wrong.push(told(&format!("\n    said    {said}")));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} are wrong ({differ} differ as said):\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 600, "the tables are gone: {count}");
}
