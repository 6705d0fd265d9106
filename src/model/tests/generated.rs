//! Inventories nobody wrote, and patterns over them, held against Ansible: 500 against the answers recorded
//! in `data/generated.jsonl`; with `REEMO_ANSIBLE_INVENTORY` against Ansible itself, as many as
//! `REEMO_GENERATED` says (default 20), from `REEMO_FUZZ_SEED`. `REEMO_RECORD` writes the recorded ones anew.
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::dice::Dice;
use common::oracle::Oracle;
use common::{Case, Disk, REFUSED};
use reemo_model::inventory::{self, Options, pattern};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn pick<'a>(dice: &mut Dice, items: &[&'a str]) -> &'a str {
    items[dice.below(items.len())]
}

const YAML_VALUES: [&str; 24] = [
    "1",
    "yes",
    "'yes'",
    "010",
    "1_0",
    "22:22",
    "1e5",
    "1.5",
    "~",
    "text",
    "\"a: b\"",
    "[1, {a: b}]",
    "{x: 1, y: [no]}",
    "2024-01-02",
    "''",
    "0x1f",
    "!unsafe '{{ x }}'",
    "'{{ v0 }}'",
    "-3",
    ".5",
    "é",
    "|\n{pad}  two\n{pad}  lines",
    ">-\n{pad}  folded\n{pad}  text",
    "[]",
];
const INI_VALUES: [&str; 18] = [
    "1",
    "yes",
    "True",
    "'q'",
    "\"two words\"",
    "010",
    "0x1f",
    "1.5",
    "[1,2]",
    "None",
    "text",
    "10.0.0.1",
    "a=b",
    "-1",
    "1_000",
    "''",
    "x'y'z",
    "1e5",
];
const HOSTS: [&str; 10] =
    ["a", "b", "c.example.org", "web[1:3]", "n[01:03]", "d[a:c]", "10.0.0.1", "p:22", "a", "'q[0:4:2]x'"];
const PATTERNS: [&str; 20] = [
    "g0",
    "g1",
    "all",
    "ungrouped",
    "a",
    "b",
    "web*",
    "~^[ab]$",
    "g0[0]",
    "g3[1:]",
    "g0[0:1]",
    "g2[-1]",
    "!g0",
    "g*",
    "nosuch",
    "g1[9]",
    "10.0.0.1",
    "*.example.org",
    "[ab]",
    "&g4",
];
const NAMES: [&str; 6] = ["g0", "g1", "g2", "g3", "g4", "g5"];

fn yaml(dice: &mut Dice) -> String {
    let mut out = String::new();
    if dice.below(2) == 0 {
        let _ = writeln!(
            out,
            "all:\n  vars:\n    v{}: {}",
            dice.below(4),
            pick(dice, &YAML_VALUES).replace("{pad}", "    ")
        );
    }
    for (n, name) in NAMES.iter().enumerate() {
        let _ = writeln!(out, "{name}:");
        if dice.below(3) > 0 {
            let _ = writeln!(out, "  hosts:");
            for host in pick_some(dice, &HOSTS) {
                let _ = writeln!(out, "    {host}:");
                for var in 0..dice.below(3) {
                    let _ = writeln!(out, "      v{var}: {}", pick(dice, &YAML_VALUES).replace("{pad}", "      "));
                }
            }
        }
        // Only groups with a higher number, so that there are no loops.
        let below: Vec<&str> = NAMES[n + 1..].iter().copied().filter(|_| dice.below(4) == 0).collect();
        if !below.is_empty() {
            let _ = writeln!(out, "  children:");
            below.iter().for_each(|child| out.push_str(&format!("    {child}:\n")));
        }
        if dice.below(2) == 0 {
            let _ = writeln!(out, "  vars:");
            for var in 0..1 + dice.below(3) {
                let _ = writeln!(out, "    v{var}: {}", pick(dice, &YAML_VALUES).replace("{pad}", "    "));
            }
            if dice.below(4) == 0 {
                let _ = writeln!(out, "    ansible_group_priority: {}", dice.below(5));
            }
        }
    }
    out
}

fn ini(dice: &mut Dice) -> String {
    let mut out = String::new();
    for (n, name) in NAMES.iter().enumerate() {
        let _ = writeln!(out, "[{name}]");
        for host in pick_some(dice, &HOSTS[..9]) {
            let _ = write!(out, "{host}");
            for var in 0..dice.below(3) {
                let _ = write!(out, " v{var}={}", pick(dice, &INI_VALUES));
            }
            let _ = writeln!(out, "{}", pick(dice, &["", " # comment", "  "]));
        }
        if dice.below(2) == 0 {
            let _ = writeln!(out, "[{name}:vars]");
            for var in 0..1 + dice.below(3) {
                let _ = writeln!(out, "v{var}{}{}", pick(dice, &["=", " = "]), pick(dice, &INI_VALUES));
            }
        }
        let below: Vec<&str> = NAMES[n + 1..].iter().copied().filter(|_| dice.below(4) == 0).collect();
        if !below.is_empty() {
            let _ = writeln!(out, "[{name}:children]\n{}", below.join("\n"));
        }
    }
    out
}

fn pick_some<'a>(dice: &mut Dice, from: &[&'a str]) -> Vec<&'a str> {
    let mut out: Vec<&str> = (0..dice.below(4)).map(|_| from[dice.below(from.len())]).collect();
    out.dedup();
    // A key twice in one mapping is another matter.
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|host| seen.insert(*host));
    out
}

fn case(number: usize, dice: &mut Dice) -> Case {
    let mut files = BTreeMap::new();
    let mut args: Vec<String> = Vec::new();
    for source in 0..1 + dice.below(2) {
        let (name, text) = if dice.below(2) == 0 { ("i.yml", yaml(dice)) } else { ("hosts.ini", ini(dice)) };
        let path = format!("s{source}/{name}");
        files.insert(path.clone(), text);
        args.extend(["-i".to_owned(), if dice.below(4) == 0 { format!("s{source}") } else { path }]);
        for name in ["all", "g0", "g3", "ungrouped"] {
            if dice.below(4) == 0 {
                let file = format!("s{source}/group_vars/{name}{}", pick(dice, &["", ".yml", "/x.yml", ".json"]));
                let text = if file.ends_with("json") {
                    "{\"v1\": \"json\"}\n".to_owned()
                } else {
                    format!("v1: {}\n", pick(dice, &YAML_VALUES[..20]))
                };
                files.insert(file, text);
            }
        }
        if dice.below(3) == 0 {
            files.insert(format!("s{source}/host_vars/a.yml"), format!("v2: {}\n", pick(dice, &YAML_VALUES[..20])));
        }
    }
    match dice.below(8) {
        0 | 1 => args.push("--export".to_owned()),
        2 => args.push("-y".to_owned()),
        3 => args.push("--graph".to_owned()),
        4 => args.extend(["--graph".to_owned(), "--vars".to_owned()]),
        5 => args.extend(["--host".to_owned(), pick(dice, &["a", "b", "web2", "nosuch"]).to_owned()]),
        _ => {}
    }
    if dice.below(4) == 0 && !args.contains(&"--host".to_owned()) {
        args.extend(["-l".to_owned(), pick(dice, &PATTERNS).to_owned()]);
    }
    if dice.below(4) == 0 {
        args.extend(["-e".to_owned(), "v0=extra".to_owned()]);
    }
    Case { files, ..Case::new(PathBuf::from(format!("generated-{number}.case")), args) }
}

/// Random patterns over the names there may be.
fn some_patterns(dice: &mut Dice) -> Vec<String> {
    (0..4)
        .map(|_| {
            let mut out = pick(dice, &PATTERNS).to_owned();
            for _ in 0..dice.below(3) {
                out += pick(dice, &[":", ",", ":!", ",&", ":&"]);
                out += pick(dice, &PATTERNS);
            }
            out
        })
        .collect()
}

/// What is recorded of one case.
#[derive(serde::Serialize, serde::Deserialize)]
struct Answer {
    /// Of the files and arguments, so that a change of the generator is noticed.
    input: String,
    /// What `ansible-inventory` prints: its JSON, other text as it is, null where it ends with an error.
    output: Json,
    /// The hosts of each pattern, null where it ends with an error.
    patterns: Vec<Json>,
}

fn digest(case: &Case, patterns: &[String]) -> String {
    let hash = Sha256::digest(format!("{:?}{:?}{patterns:?}", case.args, case.files));
    hash.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

fn output(text: String) -> Json {
    match serde_json::from_str::<Json>(&text) {
        _ if text.starts_with(REFUSED) => Json::Null,
        Ok(json @ Json::Object(_)) => json,
        _ => Json::String(text),
    }
}

fn sources(case: &Case) -> Vec<String> {
    let pairs = case.args.iter().zip(case.args.iter().skip(1));
    pairs.filter(|(a, _)| *a == "-i").map(|(_, b)| b.clone()).collect()
}

fn our_patterns(case: &Case, dir: &Path, patterns: &[String]) -> (Vec<Json>, usize) {
    let loaded = inventory::load(&Disk(dir.to_path_buf()), &sources(case), &Options::default());
    let chosen = |p: &String| pattern::select(&loaded.inventory, p).map_or(Json::Null, |s| Json::from(s.hosts));
    let depth = loaded.inventory.groups.values().map(|group| group.depth).max().unwrap_or_default();
    (patterns.iter().map(chosen).collect(), depth)
}

/// Both outputs alike? YAML is compared by its values.
fn alike(case: &Case, ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::String(ours), Json::String(theirs)) => case.same(ours, theirs),
        _ => ours == theirs,
    }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// How many cases are recorded, and from which seed.
const RECORDED: (usize, usize) = (500, 7);

#[test]
fn generated_inventories_read_as_in_ansible() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/generated.jsonl");
    let mut oracle = Oracle::start();
    let record = std::env::var_os("REEMO_RECORD").is_some() && oracle.is_some();
    let live = oracle.is_some() && !record;
    // Asked again, others are generated: as many and from where it is said.
    let (count, seed) = match live {
        true => (number("REEMO_GENERATED").unwrap_or(20), number("REEMO_FUZZ_SEED").unwrap_or(RECORDED.1)),
        false => RECORDED,
    };
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut recorded = text.lines().map(|line| serde_json::from_str::<Answer>(line).unwrap());
    let mut dice = Dice((seed as u64).wrapping_mul(0x9e37_79b9) + 1);
    let (mut wrong, mut written, mut refused) = (String::new(), String::new(), 0);
    for n in 0..count {
        let case = case(n, &mut dice);
        let patterns = some_patterns(&mut dice);
        let dir = case.lay_out();
        let ours = output(case.ours(&dir));
        let (our_hosts, depth) = our_patterns(&case, &dir, &patterns);
        let theirs = match &mut oracle {
            Some(oracle) => Answer {
                input: digest(&case, &patterns),
                output: output(case.theirs(&dir, oracle)),
                patterns: oracle
                    .patterns(&sources(&case), &dir, &patterns)
                    .into_iter()
                    .map(|found| found.map_or(Json::Null, Json::from))
                    .collect(),
            },
            None => recorded.next().expect("as many answers are recorded as cases"),
        };
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(theirs.input, digest(&case, &patterns), "the generator has changed: record anew (make oracle)");
        refused += usize::from(theirs.output.is_null());
        if !alike(&case, &ours, &theirs.output) {
            let files: String = case.files.iter().map(|(name, text)| format!("== {name}\n{text}")).collect();
            let _ =
                writeln!(wrong, "{n}: {:?}\n{files}\n-- ours\n{ours:#}\n-- ansible\n{:#}", case.args, theirs.output);
        }
        for ((pattern, ours), theirs) in patterns.iter().zip(&our_hosts).zip(&theirs.patterns) {
            // Where groups have groups, Ansible's own order is that of a set, and changes from run to run.
            let sorted = |json: &Json| {
                let mut names: Vec<_> = json.as_array().into_iter().flatten().map(|n| n.to_string()).collect();
                names.sort();
                (json.is_array(), names)
            };
            if ours != theirs && (depth <= 1 || sorted(ours) != sorted(theirs)) {
                let _ = writeln!(wrong, "{n}: {pattern}: ours {ours}, ansible {theirs}");
            }
        }
        if record {
            written += &(serde_json::to_string(&theirs).unwrap() + "\n");
        }
    }
    if record {
        std::fs::write(file, written).unwrap();
    }
    let asked = if live { "Ansible was asked" } else { "against recorded answers" };
    println!("{count} generated inventories from seed {seed}, {refused} of them refused by Ansible: {asked}");
    assert!(refused * 10 < count.max(100), "most are read");
    assert!(wrong.is_empty(), "{wrong}");
}
