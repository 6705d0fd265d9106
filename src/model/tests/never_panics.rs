//! Whatever is written, there is an answer: texts of the other tests, mutated by a fixed generator, go
//! through every reader. `REEMO_FUZZ_ROUNDS` makes it longer.

#[path = "common/dice.rs"]
mod dice;

use std::path::Path;
use std::sync::Arc;

use dice::Dice;
use indexmap::IndexMap;
use reemo_model::ansible_cfg::{self, Around};
use reemo_model::catalogue::{Catalogue, RoleLayer};
use reemo_model::declare::{self, Declarations};
use reemo_model::diag::Diagnostics;
use reemo_model::inventory::list::{Format, Printer};
use reemo_model::inventory::{self, Memory, Options, pattern};
use reemo_model::template::{Engine, Scope, Value};
use reemo_model::vars::{Vars, extra};
use reemo_model::{vault, yaml};

const SPICE: [&str; 60] = [
    ":",
    ": ",
    "- ",
    "\n",
    "\t",
    "  ",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!vault |",
    "!unsafe ",
    "!!int ",
    "!!set",
    "!!binary x",
    "|",
    ">-",
    "#",
    "---",
    "...",
    "\\",
    "é",
    "日",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "010",
    "1_0:30",
    "2024-01-02",
    "all",
    "children",
    "hosts",
    "vars",
    "web[01:99]",
    "[1:",
    "[a:z:3]",
    "::1",
    "~",
    "!",
    "&",
    "*",
    "?",
    "=",
    "@",
    "$ANSIBLE_VAULT;1.1;AES256",
    "yes",
    "1e400",
    "-",
    ".",
];

fn mutate(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => drop(bytes.splice(at..at, SPICE[dice.below(SPICE.len())].bytes())),
            1 if !bytes.is_empty() => drop(bytes.remove(dice.below(bytes.len()))),
            2 if !bytes.is_empty() => {
                let index = dice.below(bytes.len());
                bytes[index] = dice.next() as u8;
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let piece = bytes[at.min(end)..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                drop(bytes.splice(to..to, piece));
            }
            _ => {
                let end = (at + dice.below(20)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
        }
    }
    bytes
}

fn corpus() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        out.extend(text.split("=== file ").skip(1).filter_map(|part| {
            let (_, body) = part.split_once('\n')?;
            Some(body.split("=== ").next().unwrap_or_default().to_owned())
        }));
    }
    out.sort();
    out.extend(
        include_str!("data/scalars.tsv")
            .lines()
            .map(|l| format!("all: {{hosts: {{h: {{v: {}}}}}}}\n", l.split('\t').next().unwrap_or_default())),
    );
    out.push(
        "[defaults]\nforks = 3\nssh_args: -C ; x\n  -o A=b\n\n[DEFAULT]\ninventory = ~/a, $B/{{CWD}}/../c\n".to_owned(),
    );
    out.push(
        "networks: {a: {driver: overlay}}\nvariables:\n  V: {type: enum, values: [a], default: b, since: 1.2.3}\n"
            .to_owned(),
    );
    out.extend(include_str!("data/filters.tsv").lines().map(|l| {
        format!(
            "all:\n  hosts: {{h: }}\n  vars:\n    l: [1]\n    PORTAL_TYPE: \"{{{{ {} }}}}\"\n",
            l.split('\t').next().unwrap_or_default().replace('"', "'")
        )
    }));
    // Every sixth expression of the tables: each has siblings of its kind.
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates");
    let mut tables: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    tables.sort();
    for table in tables.iter().filter(|t| t.extension().is_some_and(|e| e == "tsv")) {
        let text = std::fs::read_to_string(table).unwrap();
        out.extend(text.lines().step_by(6).map(|l| {
            let expression = l.split('\t').next().unwrap_or_default().replace('"', "'");
            format!("all:\n  hosts: {{h: }}\n  vars:\n    l: [1]\n    v: \"{{{{ {expression} }}}}\"\n")
        }));
    }
    out
}

fn declarations() -> Declarations {
    let text = "A_LICENSE: {type: base64, required: true, secret: true, scope: all}\nPORTAL_TYPE: {type: enum, values: [user, admin]}\nPORTAL_IP: {type: ip_list}\nPORTAL_URL: {type: url, scope: group}\nv: {type: int}\na: {type: string}\nb: {type: bool}\nx: {type: list}\nm: {type: map}\n";
    let variables: IndexMap<String, serde_yaml::Value> = serde_yaml::from_str(text).unwrap();
    Declarations::read(&variables).unwrap()
}

/// Every reader over one input.
fn everything(input: &[u8], engine: &Engine, declarations: &Declarations, dice: &mut Dice) {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    let text = String::from_utf8_lossy(input).into_owned();
    let mut all = Diagnostics::new();
    let _ = vault::parse(input);
    if let Err(error) = yaml::parse(&file, input) {
        assert!(error.place.is_some() || error.code == "yaml", "{text:?}: {}", error.message);
    }
    let name = ["i.yml", "hosts", "inv/x"][dice.below(3)];
    let memory = Memory::new().with(name, input).with("group_vars/all.yml", input).with("e.yml", input);
    let loaded = inventory::load(&memory, &[name.to_owned(), text.clone()], &Options::default());
    all.extend(loaded.diagnostics);
    let mut texts = loaded.texts;
    let extra = extra::parse(&[text.clone(), "@e.yml".to_owned()], &memory, &mut texts, &mut all);
    let settings = Around { file: Some((Arc::clone(&file), text.clone())), ..Around::default() };
    all.extend(ansible_cfg::read(&settings).1);
    let role = RoleLayer { root: "roles".into(), files: [("platform.yml".to_owned(), text.clone())].into() };
    let _ = Catalogue::load(&[role], Default::default()).map(|c| Declarations::of(&c).map(|d| d.schema()));
    let line = text.lines().next().unwrap_or_default();
    let _ = pattern::select(&loaded.inventory, line);
    let vars = Arc::new(
        Vars::new(Arc::new(loaded.inventory))
            .with_declarations(declarations)
            .with_merge(dice.below(2) == 0)
            .with_extra(extra),
    );
    all.extend(declare::check(&vars, declarations, engine).diagnostics);
    let printer = Printer::new(&vars, Format { export: dice.below(2) == 0, limit: None });
    let _ = (printer.list_text(), printer.yaml_text(), printer.graph("all", true).is_ok());
    for host in vars.inventory().hosts.keys().take(2) {
        let scope = Scope::new(engine, vars.of_host(host));
        for name in vars.names(host).iter().take(30) {
            let _ = scope.get_json(name);
            let _ = vars.explain(host, name);
        }
        let _ = scope.render_str(&text, Value::UNDEFINED);
        let _ = scope.eval(line);
    }
    all.sort();
    all.attach(&texts);
    let _ = all.render();
}

#[test]
fn mutated_texts_never_panic() {
    let rounds: usize = std::env::var("REEMO_FUZZ_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(2000);
    let seed = std::env::var("REEMO_FUZZ_SEED").ok().and_then(|r| r.parse().ok()).unwrap_or(0x5eed);
    let (corpus, engine, declarations) = (corpus(), Engine::new(), declarations());
    assert!(corpus.len() > 200, "there is something to mutate");
    let mut dice = Dice(seed);
    for text in &corpus {
        everything(text.as_bytes(), &engine, &declarations, &mut dice);
    }
    for _ in 0..rounds {
        let mut input = corpus[dice.below(corpus.len())].clone().into_bytes();
        for _ in 0..=dice.below(3) {
            input = mutate(&String::from_utf8_lossy(&input), &mut dice);
        }
        // Shown by the test runner only when it fails.
        let shown = input.clone();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            everything(&input, &engine, &declarations, &mut dice)
        }));
        assert!(result.is_ok(), "this input panics: {:?}", String::from_utf8_lossy(&shown));
    }
}
