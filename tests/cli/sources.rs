//! Corners of sources, through the real binary. What is expected is what `ansible-inventory` of ansible-core 2.19
//! printed for the same files.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::{Stage, text};

fn script(stage: &Stage, name: &str, body: &str) {
    let path = stage.write(name, format!("#!/bin/sh\n{body}\n").as_bytes());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn listed(stage: &Stage, args: &[&str]) -> Value {
    let output = stage.tool(&[&["inventory"], args].concat(), &[]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
}

/// `localhost` exists without being written; it is in no list.
#[test]
fn implicit_localhost() {
    let stage = Stage::new();
    stage.write("i.yml", b"all: {vars: {v: 1, ansible_connection: ssh}, hosts: {a: }}\n");
    for name in ["localhost", "127.0.0.1", "::1"] {
        // Ansible also says which Python it runs in (`ansible_python_interpreter`); there is none here.
        assert_eq!(listed(&stage, &["-i", "i.yml", "--host", name]), json!({"ansible_connection": "local", "v": 1}));
    }
    let all = listed(&stage, &["-i", "i.yml", "--list"]);
    assert_eq!(all["ungrouped"]["hosts"], json!(["a"]));
    assert!(all["_meta"]["hostvars"].get("localhost").is_none());
    // Written, it is a host as any other.
    stage.write("w.yml", b"all: {vars: {v: 1}, hosts: {localhost: {x: 2}}}\n");
    assert_eq!(listed(&stage, &["-i", "w.yml", "--host", "localhost"]), json!({"v": 1, "x": 2}));
    let nobody = stage.tool(&["inventory", "-i", "i.yml", "--host", "locolhost"], &[]);
    assert_eq!(nobody.status.code(), Some(5), "{}", text(&nobody));
}

#[test]
fn scripts() {
    let stage = Stage::new();
    let meta = r#"{"web": {"hosts": ["s1", "s2"], "vars": {"v": 1}, "children": ["sub"]}, "sub": ["s3"], "_meta": {"hostvars": {"s1": {"x": [1, {"a": null}]}, "s9": {"q": 1}}}}"#;
    // With `_meta` nobody is asked for each host: the script would fail.
    let body = format!("[ \"$1\" = --list ] || exit 9\necho '{meta}'");
    let expected = json!({
        "_meta": {"hostvars": {"s1": {"v": 1, "x": [1, {"a": null}]}, "s2": {"v": 1}, "s3": {"v": 1}}, "profile": "inventory_legacy"},
        "all": {"children": ["ungrouped", "web"]},
        "sub": {"hosts": ["s3"]},
        "web": {"children": ["sub"], "hosts": ["s1", "s2"]},
    });
    for name in ["s.sh", "script", "script.yml"] {
        script(&stage, name, &body);
        assert_eq!(listed(&stage, &["-i", name, "--list"]), expected, "{name}");
    }
    script(
        &stage,
        "nometa",
        "[ \"$1\" = --list ] && echo '{\"web\": {\"hosts\": [\"s1\"]}}' || echo '{\"asked\": \"'$2'\"}'",
    );
    assert_eq!(listed(&stage, &["-i", "nometa", "--list"])["_meta"]["hostvars"], json!({"s1": {"asked": "s1"}}));
    // Ansible warns and goes on with no host; here it is refused, by `--list` too.
    for (name, body, says) in [
        ("fails", "echo oops >&2; exit 3", "exit status: 3: oops"),
        ("list", "echo '[1, 2]'", "printed no mapping"),
        ("text", "echo hello", "printed no JSON"),
    ] {
        script(&stage, name, body);
        let output = stage.tool(&["inventory", "-i", name, "--list"], &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{name}: {said}");
        assert!(said.contains(says) && said.contains(&format!("--> {name}")) && said.contains("help: "), "{said}");
    }
}

/// A YAML file that is none: Ansible tries it as INI, warns of three readers in turn, and goes on with no host.
#[test]
fn a_broken_yaml_file_is_refused_with_the_yaml_error_alone() {
    let stage = Stage::new();
    stage.write("broken.yml", b"all:\n  hosts:\n    a\n   b: 1\n");
    let output = stage.tool(&["inventory", "-i", "broken.yml", "--list"], &[]);
    let said = text(&output);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]), "{said}");
    assert_eq!(said.matches("error[").count(), 1, "{said}");
    assert!(said.contains("--> broken.yml:4:5") && said.contains("help: "), "{said}");
}

#[test]
fn what_is_passed_over_in_a_directory() {
    let stage = Stage::new();
    for name in [
        "b.ini",
        "c.txt",
        "d.md",
        "e.bak",
        "f~",
        ".h.yml",
        "g.cfg",
        "h.retry",
        "i.orig",
        "j.rst",
        "k.pyc",
        "l.swp",
        "m.rpm",
        "t.foo",
        "u.skip",
        "vars_plugins/p.ini",
        "group_vars/x.ini",
    ] {
        let host: String = name.chars().filter(char::is_ascii_alphabetic).collect();
        stage.write(&format!("d/{name}"), format!("[all]\nh_{host}\n").as_bytes());
    }
    stage.write("d/sub/q.yml", b"all: {hosts: {h_q: }}\n");
    let hosts = |env: &[(&str, &str)]| -> String {
        let output = stage.tool(&["inventory", "-i", "d", "--graph"], env);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = out.lines().filter_map(|l| l.rsplit_once("--h_")).map(|(_, n)| n).collect();
        names.join(" ")
    };
    assert_eq!(hosts(&[]), "bini q tfoo uskip");
    // A list of endings replaces Ansible's own; patterns are added.
    let env = [("ANSIBLE_INVENTORY_IGNORE", ".foo, .yml"), ("ANSIBLE_INVENTORY_IGNORE_REGEX", "skip$,^b")];
    assert_eq!(hosts(&env), "ctxt dmd ebak f gcfg hretry iorig jrst kpyc lswp mrpm");
    stage.write("ansible.cfg", b"[inventory]\nignore_patterns = skip$,^[b-t]\n");
    assert_eq!(hosts(&[]), "");
}

/// What `ansible-inventory -i i.yml --graph site` printed; a name that is no group's ends both.
#[test]
fn a_tree_from_one_group_down() {
    let stage = Stage::new();
    stage.write("i.yml", b"all: {children: {site: {children: {web: {hosts: {w1: , w2: }}, db: {hosts: {d1: }}}}}}\n");
    let output = stage.tool(&["inventory", "-i", "i.yml", "--graph", "site"], &[]);
    let tree = "@site:\n  |--@web:\n  |  |--w1\n  |  |--w2\n  |--@db:\n  |  |--d1\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), tree, "{}", text(&output));
    let nothing = stage.tool(&["inventory", "-i", "i.yml", "--graph", "sites"], &[]);
    assert_eq!(nothing.status.code(), Some(5));
    assert!(text(&nothing).contains("did you mean `site`?"), "{}", text(&nothing));
}
