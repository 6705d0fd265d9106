//! Inventories of every kind, patterns, clusters, and which definition of a variable counts.

use std::sync::Arc;

use reemo_model::inventory::{self, Environment, Inventory, Loaded, Memory, Options, clusters, pattern};
use reemo_model::vars::{Layer, Vars, extra};

fn load(files: &[(&str, &str)], specs: &[&str]) -> Loaded {
    let memory = files.iter().fold(Memory::new(), |m, (path, text)| m.with(*path, *text));
    let specs: Vec<String> = specs.iter().map(|s| (*s).to_owned()).collect();
    let mut loaded = inventory::load(&memory, &specs, &Options::default());
    let texts = std::mem::take(&mut loaded.texts);
    loaded.diagnostics.attach(&texts);
    loaded
}

fn yaml(text: &str) -> Inventory {
    let loaded = load(&[("inv/i.yml", text)], &["inv/i.yml"]);
    assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render());
    loaded.inventory
}

fn messages(text: &str) -> String {
    load(&[("inv/i.yml", text)], &["inv/i.yml"]).diagnostics.render()
}

fn value(inventory: Inventory, host: &str, name: &str) -> String {
    let vars = Vars::new(Arc::new(inventory));
    vars.find(host, name).map_or("-".into(), |d| d.value.to_json().to_string())
}

const SEED: &str = r#"
all:
    vars:
        API_LICENSE: "ewogICAg ... "
    infra_manager:
        hosts:
            infra_manager1:
                ansible_host: "10.0.0.1"
"#;

#[test]
fn the_vendors_example_is_read_as_it_is_meant_with_a_warning() {
    let loaded = load(&[("inv/i.yml", SEED)], &["inv/i.yml"]);
    assert!(!loaded.diagnostics.has_errors());
    let text = loaded.diagnostics.render();
    assert!(text.contains("inv/i.yml:5:5"), "{text}");
    assert!(text.contains("`infra_manager:` stands directly under `all:`"), "{text}");
    assert!(text.contains("children:"), "{text}");
    let clusters = clusters(&loaded.inventory);
    assert_eq!(clusters.len(), 1);
    assert_eq!(clusters[0].hosts, ["infra_manager1"]);
    assert_eq!(value(loaded.inventory, "infra_manager1", "ansible_host"), "\"10.0.0.1\"");
}

#[test]
fn the_split_example_has_three_clusters() {
    let inventory = yaml(
        "all:\n  vars: {A: 1}\nportal_manager:\n  children:\n    portaluser_manager: {hosts: {pu1: , pu2: }}\n    portaladmin_manager: {hosts: {pa1: }}\napi_manager: {hosts: {api1: , api2: }}\n",
    );
    let found: Vec<(String, Environment, usize)> =
        clusters(&inventory).into_iter().map(|c| (c.name, c.environment, c.hosts.len())).collect();
    assert_eq!(
        found,
        [
            ("api_manager".into(), Environment::Api, 2),
            ("portaluser_manager".into(), Environment::Portal, 2),
            ("portaladmin_manager".into(), Environment::Portal, 1)
        ]
    );
    assert_eq!(inventory.group_names("pu1"), ["portal_manager", "portaluser_manager"]);
}

#[test]
fn stray_keys_are_lints_with_a_suggestion() {
    let text = messages("all:\n  host:\n    a:\n  children:\n    g: 5\n");
    assert!(text.contains("unexpected key `host`") && text.contains("did you mean `hosts:`?"), "{text}");
    assert!(text.contains("`g` is no group"), "{text}");
    assert!(text.starts_with("warning"), "{text}");
}

#[test]
fn what_is_wrong_is_all_said_at_once() {
    let text = messages(
        "all:\n  hosts:\n    - a\n  vars: x\n  children:\n    g:\n      hosts:\n        'w[1:': \n        5:\n        h: text\n    5: {}\n",
    );
    for say in [
        "`hosts:` of the group `all` must be a mapping",
        "not closed with `]`",
        "`5` is read as a whole number",
        "the host `h` must have a mapping",
        "a group name must be text",
    ] {
        assert!(text.contains(say), "{say}: {text}");
    }
    assert!(text.contains("5 errors"), "{text}");
}

#[test]
fn ranges() {
    for (pattern, expected) in [
        ("web[01:03]", "web01 web02 web03"),
        ("n[0:10:5].x", "n0.x n5.x n10.x"),
        ("db[a:c]", "dba dbb dbc"),
        ("r[1:2]-[a:b]", "r1-a r1-b r2-a r2-b"),
        ("x[:2]", "x0 x1 x2"),
        ("plain", "plain"),
        ("10.0.0.[1:2]", "10.0.0.1 10.0.0.2"),
        ("h:2222", "h"),
        ("[::1]:22", "::1"),
        ("::1", "::1"),
    ] {
        let inventory = yaml(&format!("g:\n  hosts:\n    '{pattern}':\n"));
        let hosts: Vec<&str> = inventory.hosts.keys().map(String::as_str).collect();
        assert_eq!(hosts.join(" "), expected, "{pattern}");
    }
    assert_eq!(value(yaml("g: {hosts: {'h:2222': }}\n"), "h", "ansible_port"), "2222");
    for wrong in ["w[1:2:0]", "w[01:100]", "w[b:a]", "w[1:]", "w[1]", "w[1:99999999999]"] {
        let text = messages(&format!("g:\n  hosts:\n    '{wrong}':\n"));
        assert!(text.contains("inventory-range"), "{wrong}: {text}");
    }
}

#[test]
fn group_loops_name_the_way() {
    let text = messages("a: {children: {b: }}\nb: {children: {c: }}\nc: {children: {a: }}\n");
    assert!(text.contains("circle") && text.contains("a → b → c → a"), "{text}");
    assert!(messages("a: {children: {a: }}\n").contains("child of itself"));
}

#[test]
fn depth_and_ungrouped() {
    let inventory = yaml(
        "all: {hosts: {lone: , x: }}\na: {children: {b: {children: {c: {hosts: {x: }}}}}}\nd: {children: {c: }}\n",
    );
    let depth = |name: &str| inventory.group(name).unwrap().depth;
    assert_eq!((depth("a"), depth("b"), depth("c"), depth("d")), (1, 2, 3, 1));
    assert_eq!(inventory.group_names("lone"), ["ungrouped"]);
    assert_eq!(inventory.group_names("x"), ["a", "b", "c", "d"]);
    assert_eq!(inventory.hosts_of("a"), ["x"]);
}

/// Pattern and the hosts it selects; `!` marks an error.
#[test]
fn patterns() {
    let inventory = yaml(
        "web: {hosts: {'w[1:4]': }}\ndb: {hosts: {d1: , d2: , w1: }}\nodd: {hosts: {w1: , w3: , d1: }}\nip: {hosts: {10.0.0.1: }}\n",
    );
    for (text, expected) in [
        ("all", "w1 w2 w3 w4 d1 d2 10.0.0.1"),
        ("web", "w1 w2 w3 w4"),
        ("web:db", "w1 w2 w3 w4 d1 d2"),
        ("web,db", "w1 w2 w3 w4 d1 d2"),
        ("web:!odd", "w2 w4"),
        ("web:&odd", "w1 w3"),
        ("web:db:!odd:&web", "w2 w4"),
        ("!odd", "w2 w4 d2 10.0.0.1"),
        ("w*", "w1 w2 w3 w4"),
        ("w?", "w1 w2 w3 w4"),
        ("[w]1", "w1"),
        ("~w[34]", "w3 w4"),
        ("~^d", "d1 d2 w1"),
        ("web[0]", "w1"),
        ("web[-1]", "w4"),
        ("web[1:2]", "w2 w3"),
        ("web[2:]", "w3 w4"),
        ("web[9]", "!"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.*", "10.0.0.1"),
        ("w1, d2", "w1 d2"),
        ("~[", "!"),
        ("!", "!"),
        ("", "w1 w2 w3 w4 d1 d2 10.0.0.1"),
    ] {
        let got = match pattern::select(&inventory, text) {
            Ok(selection) => selection.hosts.join(" "),
            Err(_) => "!".to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }
    let none = pattern::select(&inventory, "wbe").unwrap();
    assert!(none.hosts.is_empty());
    assert_eq!(none.unmatched[0].to_string(), "no host and no group matches `wbe`; did you mean `web`?");
}

#[test]
fn ini() {
    let text = r#"
; comment
lone ansible_host=10.0.0.9
[web]
web[01:02] a=1 b="two words" c=[1,'x'] d="{'k': True}" # rest
w3:2222 e=0x10 f=1e3 g=None h='#no comment' i=yes
[web:vars]
x=1
y = text with = and # sign
z="quoted"
[all:children]
site
[site:children]
web
[db:vars]
p=1
[db]
"#;
    let loaded = load(&[("inv/hosts", text)], &["inv/hosts"]);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render());
    let inventory = loaded.inventory;
    assert_eq!(inventory.hosts.keys().map(String::as_str).collect::<Vec<_>>(), ["lone", "web01", "web02", "w3"]);
    for (host, name, expected) in [
        ("lone", "ansible_host", "\"10.0.0.9\""),
        ("web01", "a", "1"),
        ("web01", "b", "\"two words\""),
        ("web01", "c", "\"[1,x]\""),
        ("web01", "d", r#"{"k":true}"#),
        ("w3", "ansible_port", "2222"),
        ("w3", "e", "16"),
        ("w3", "f", "1000.0"),
        ("w3", "g", "null"),
        ("w3", "h", "\"#no comment\""),
        ("w3", "i", "\"yes\""),
        ("w3", "x", "1"),
        ("w3", "y", "\"text with = and # sign\""),
        ("w3", "z", "\"quoted\""),
    ] {
        assert_eq!(value(inventory.clone(), host, name), expected, "{host} {name}");
    }
    assert_eq!(inventory.group_names("web01"), ["site", "web"]);
}

#[test]
fn ini_errors() {
    let text = "[web]\nh1 x\nh2 a=\"b\n[web:var]\n[we b]\n[web:children]\nnope\n[other:vars]\na=1\nb\n";
    let text = load(&[("inv/hosts", text)], &["inv/hosts"]).diagnostics.render();
    for say in [
        "hosts:2:4",
        "`x` is no `name=value`",
        "never closed",
        "`[web:var]` is no kind of section",
        "did you mean `[web:vars]`?",
        "`[we b]` is no section header",
        "names the group `nope`, which is declared nowhere",
        "`[other:vars]` is of a group that is declared nowhere",
        "`b` is no `name=value`",
    ] {
        assert!(text.contains(say), "{say}: {text}");
    }
}

#[test]
fn several_sources_directories_and_hosts_on_the_command_line() {
    let files = [
        ("inv/10-a.yml", "g: {hosts: {h1: }, vars: {v: a, w: a}}\n"),
        ("inv/20-b", "[g]\nh2\n[g:vars]\nv=b\n"),
        ("inv/skip.txt", "nonsense: ["),
        ("inv/.hidden", "x"),
        ("inv/group_vars/g.yml", "w: file\n"),
        ("inv/sub/c.yml", "k: {hosts: {h3: }}\n"),
    ];
    let loaded = load(&files, &["inv", "x1,x2:23,"]);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render());
    let inventory = loaded.inventory;
    assert_eq!(inventory.hosts.keys().map(String::as_str).collect::<Vec<_>>(), ["h1", "h2", "h3", "x1", "x2"]);
    assert_eq!(value(inventory.clone(), "h1", "v"), "\"b\"");
    assert_eq!(value(inventory.clone(), "h1", "w"), "\"file\"");
    assert_eq!(value(inventory, "x2", "ansible_port"), "23");
    let text = load(&files, &["nowhere.yml"]).diagnostics.render();
    assert!(text.contains("cannot read the inventory `nowhere.yml`: no such file"), "{text}");
}

#[test]
fn precedence_and_explain() {
    let files = [
        (
            "inv/i.yml",
            "all: {vars: {v: all, only_all: 1}}\nparent: {vars: {v: parent}, children: {child: {vars: {v: child}, hosts: {h: {v: host}}}}}\nzed: {vars: {v: zed, t: zed}, hosts: {h: }}\nant: {vars: {t: ant}, hosts: {h: }}\nprio: {vars: {ansible_group_priority: 10, t2: prio}, hosts: {h: }}\nzz: {vars: {t2: zz}, hosts: {h: }}\n",
        ),
        ("inv/group_vars/all.yml", "v: gv_all\n"),
        ("inv/group_vars/parent/a.yml", "v: gv_parent_a\n"),
        ("inv/group_vars/parent/b.yml", "v: gv_parent_b\n"),
        ("inv/host_vars/h", "v: hv\n"),
    ];
    let loaded = load(&files, &["inv/i.yml"]);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render());
    let memory = Memory::new().with("e.yml", "v: e_file\n");
    let (mut texts, mut diagnostics) = Default::default();
    let args: Vec<String> = ["v=e1 n=5", "@e.yml", "{\"v\": 7, \"j\": [1]}"].map(str::to_owned).to_vec();
    let extra = extra::parse(&args, &memory, &mut texts, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render());
    let vars = Vars::new(Arc::new(loaded.inventory)).with_extra(extra);
    let all: Vec<String> = vars
        .explain("h", "v")
        .iter()
        .map(|d| format!("{} {} {}", d.value.scalar_text().unwrap(), d.layer.describe(), d.place.as_ref().unwrap()))
        .collect();
    assert_eq!(
        all,
        [
            "7 --extra-vars --extra-vars:3:7",
            "e_file --extra-vars e.yml:1:4",
            "e1 --extra-vars --extra-vars:1:3",
            "hv host_vars inv/host_vars/h:1:4",
            "host host inv/i.yml:2:81",
            "gv_parent_b group_vars/parent inv/group_vars/parent/b.yml:1:4",
            "gv_parent_a group_vars/parent inv/group_vars/parent/a.yml:1:4",
            "gv_all group_vars/all inv/group_vars/all.yml:1:4",
            "child group child inv/i.yml:2:58",
            "zed group zed inv/i.yml:3:17",
            "parent group parent inv/i.yml:2:20",
            "all group all inv/i.yml:1:17",
        ]
    );
    let get = |name: &str| vars.find("h", name).map(|d| d.value.to_json().to_string()).unwrap_or_default();
    assert_eq!(get("t"), "\"zed\"");
    assert_eq!(get("t2"), "\"prio\"");
    assert_eq!(get("n"), "\"5\"");
    assert_eq!(get("j"), "[1]");
    assert_eq!(vars.find("h", "inventory_hostname").unwrap().layer, Layer::Magic);
    assert_eq!(get("inventory_file"), "\"inv/i.yml\"");
    assert_eq!(get("group_names"), r#"["ant","child","parent","prio","zed","zz"]"#);
}

#[test]
fn extra_vars_errors() {
    let (mut texts, mut diagnostics) = Default::default();
    let args: Vec<String> =
        ["novalue", "/etc/x.yml", "@missing.yml", "[1]", "{a: b: c}", "a='b c' d=\"{{ x | default('y z') }}\""]
            .map(str::to_owned)
            .to_vec();
    let vars = extra::parse(&args, &Memory::new(), &mut texts, &mut diagnostics);
    diagnostics.attach(&texts);
    let text = diagnostics.render();
    for say in [
        "`novalue` is no `name=value`",
        "-e @/etc/x.yml",
        "cannot read `missing.yml`",
        "extra variables are a mapping, and this is a list",
        "--extra-vars:5:",
    ] {
        assert!(text.contains(say), "{say}: {text}");
    }
    assert_eq!(vars["a"].value.as_str(), Some("b c"));
    assert_eq!(vars["d"].value.as_str(), Some("{{ x | default('y z') }}"));
}
