//! Inventories nobody wrote, held against `ansible-inventory`: `REEMO_ANSIBLE_INVENTORY` must be set;
//! `REEMO_GENERATED` says how many (default 20), `REEMO_FUZZ_SEED` where to begin.
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use common::Case;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
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
const NAMES: [&str; 6] = ["g0", "g1", "g2", "g3", "g4", "g5"];

fn yaml(dice: &mut Dice) -> String {
    let mut out = String::new();
    if dice.below(2) == 0 {
        let _ = writeln!(
            out,
            "all:\n  vars:\n    v{}: {}",
            dice.below(4),
            dice.pick(&YAML_VALUES).replace("{pad}", "    ")
        );
    }
    for (n, name) in NAMES.iter().enumerate() {
        let _ = writeln!(out, "{name}:");
        if dice.below(3) > 0 {
            let _ = writeln!(out, "  hosts:");
            for host in pick_some(dice, &HOSTS) {
                let _ = writeln!(out, "    {host}:");
                for var in 0..dice.below(3) {
                    let _ = writeln!(out, "      v{var}: {}", dice.pick(&YAML_VALUES).replace("{pad}", "      "));
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
                let _ = writeln!(out, "    v{var}: {}", dice.pick(&YAML_VALUES).replace("{pad}", "    "));
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
                let _ = write!(out, " v{var}={}", dice.pick(&INI_VALUES));
            }
            let _ = writeln!(out, "{}", dice.pick(&["", " # comment", "  "]));
        }
        if dice.below(2) == 0 {
            let _ = writeln!(out, "[{name}:vars]");
            for var in 0..1 + dice.below(3) {
                let _ = writeln!(out, "v{var}{}{}", dice.pick(&["=", " = "]), dice.pick(&INI_VALUES));
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
                let file = format!("s{source}/group_vars/{name}{}", dice.pick(&["", ".yml", "/x.yml", ".json"]));
                let text = if file.ends_with("json") {
                    "{\"v1\": \"json\"}\n".to_owned()
                } else {
                    format!("v1: {}\n", dice.pick(&YAML_VALUES[..20]))
                };
                files.insert(file, text);
            }
        }
        if dice.below(3) == 0 {
            files.insert(format!("s{source}/host_vars/a.yml"), format!("v2: {}\n", dice.pick(&YAML_VALUES[..20])));
        }
    }
    if dice.below(4) == 0 {
        args.push("--export".to_owned());
    } else if dice.below(4) == 0 {
        args.push("-y".to_owned());
    }
    if dice.below(4) == 0 {
        args.extend(["-e".to_owned(), "v0=extra".to_owned()]);
    }
    Case { path: PathBuf::from(format!("generated-{number}.case")), args, files, expected: None }
}

#[test]
fn generated_inventories_read_as_in_ansible() {
    let Ok(program) = std::env::var("REEMO_ANSIBLE_INVENTORY") else {
        println!("SKIPPED: set REEMO_ANSIBLE_INVENTORY");
        return;
    };
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse::<usize>().ok()).unwrap_or(default);
    let (count, seed) = (number("REEMO_GENERATED", 20), number("REEMO_FUZZ_SEED", 7));
    let mut dice = Dice(seed as u64 * 0x9e37_79b9 + 1);
    let mut wrong = String::new();
    for n in 0..count {
        let case = case(n, &mut dice);
        let dir = case.lay_out();
        let (ours, theirs) = (case.ours(&dir), case.theirs(&dir, &program));
        let _ = std::fs::remove_dir_all(&dir);
        if !case.same(&ours, &theirs) {
            let _ = writeln!(wrong, "{n}: {:?}\n{:#?}\n-- ours\n{ours}\n-- ansible\n{theirs}", case.args, case.files);
        }
    }
    println!("{count} generated inventories");
    assert!(wrong.is_empty(), "{wrong}");
}
