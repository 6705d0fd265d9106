//! `explain HOST VAR`.

use crate::{Stage, text};
use serde_json::Value;

/// A layout with a definition in every place Ansible knows, and what wins in it. The values of `h1` are those
/// `ansible-inventory -i inv/i.yml --host h1 --playbook-dir playbooks` prints (ansible-core 2.19).
pub fn layout(stage: &Stage) {
    for (name, content) in [
        (
            "inv/i.yml",
            "all:\n  vars: {a: file_all, b: file_all, c: file_all, d: file_all}\ng:\n  vars: {d: file_g, e: file_g, f: file_g}\n  hosts:\n    h1: {f: file_host, hv: file_host}\n",
        ),
        ("inv/group_vars/all.yml", "{b: inv_all, c: inv_all, d: inv_all}\n"),
        ("inv/group_vars/g.yml", "{e: inv_g}\n"),
        ("inv/host_vars/h1.yml", "{hv: inv_host}\n"),
        ("playbooks/group_vars/all.yml", "{c: pb_all, d: pb_all}\n"),
        ("playbooks/group_vars/g.yml", "{e: pb_g}\n"),
        ("playbooks/host_vars/h1.yml", "{hv: pb_host}\n"),
    ] {
        stage.write(name, content.as_bytes());
    }
}

fn explained(stage: &Stage, variable: &str, more: &[&str]) -> Value {
    let args = [&["explain", "h1", variable, "-i", "inv/i.yml", "--format", "json"], more].concat();
    let output = stage.tool(&args, &[]);
    assert!(output.status.success(), "{variable}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_definition_in_order() {
    let stage = Stage::new();
    layout(&stage);
    let table: &[(&str, &[&str], &str, &[&str])] = &[
        ("a", &[], "file_all", &["inv/i.yml:2"]),
        ("b", &[], "inv_all", &["inv/group_vars/all.yml:1", "inv/i.yml:2"]),
        ("c", &[], "pb_all", &["playbooks/group_vars/all.yml:1", "inv/group_vars/all.yml:1", "inv/i.yml:2"]),
        // All of `group_vars/all` wins over a group's `vars:` in the inventory file.
        (
            "d",
            &[],
            "pb_all",
            &["playbooks/group_vars/all.yml:1", "inv/group_vars/all.yml:1", "inv/i.yml:4", "inv/i.yml:2"],
        ),
        ("e", &[], "pb_g", &["playbooks/group_vars/g.yml:1", "inv/group_vars/g.yml:1", "inv/i.yml:4"]),
        ("f", &[], "file_host", &["inv/i.yml:6", "inv/i.yml:4"]),
        ("hv", &[], "pb_host", &["playbooks/host_vars/h1.yml:1", "inv/host_vars/h1.yml:1", "inv/i.yml:6"]),
        (
            "f",
            &["-e", "f=one", "-e", "f=two"],
            "two",
            &["--extra-vars:2", "--extra-vars:1", "inv/i.yml:6", "inv/i.yml:4"],
        ),
    ];
    for (variable, more, value, places) in table {
        let found = explained(&stage, variable, more);
        let definitions = found["definitions"].as_array().unwrap();
        let at: Vec<String> =
            definitions.iter().map(|d| format!("{}:{}", d["file"].as_str().unwrap(), d["line"])).collect();
        assert_eq!(found["value"], *value, "{variable}");
        assert_eq!(at, *places, "{variable}");
        let counts: Vec<bool> = definitions.iter().map(|d| d["counts"].as_bool().unwrap()).collect();
        assert!(counts[0] && counts[1..].iter().all(|c| !c), "{variable}: {counts:?}");
    }
    let said = text(&stage.tool(&["explain", "h1", "c", "-i", "inv/i.yml"], &[]));
    assert_eq!(
        said,
        "c for h1: \"pb_all\"\n  \
         counts  group_vars/all  playbooks/group_vars/all.yml:1:5  \"pb_all\"\n  \
         beaten  group_vars/all  inv/group_vars/all.yml:1:17       \"inv_all\"\n  \
         beaten  group all       inv/i.yml:2:39                    \"file_all\"\n"
    );
}

#[test]
fn defaults_stand_in_role_files() {
    let stage = Stage::new();
    layout(&stage);
    let found = explained(&stage, "SYSLOG_FACILITY_API", &[]);
    assert_eq!((found["value"].as_str(), found["set"].as_bool()), (Some("daemon"), Some(true)));
    let place = &found["definitions"][0];
    assert_eq!((place["layer"].as_str(), place["file"].as_str()), (Some("role default"), Some("roles/api.yml")));
    assert!(place["line"].as_u64().is_some_and(|line| line > 1), "{place}");
    assert_eq!(found["declaration"]["since"], "0.1.0");
    // Declared without a default, and set nowhere.
    let found = explained(&stage, "DB_HOST", &[]);
    assert_eq!((found["set"].as_bool(), &found["value"]), (Some(false), &Value::Null));
}

#[test]
fn secrets_are_not_shown() {
    let stage = Stage::new();
    stage.write(
        "s.yml",
        b"all:\n  vars:\n    REGISTRY_PASSWORD: hunter2hunter2\n    MY_COPY: \"{{ REGISTRY_PASSWORD }}!\"\n    OPEN: plain-to-see\ninfra_manager:\n  hosts:\n    h1: {ansible_password: correct-horse, MY_TOKEN: abcabcabc, of_it: \"{{ ansible_password }}\"}\n",
    );
    for format in ["text", "json"] {
        for variable in ["REGISTRY_PASSWORD", "MY_COPY", "ansible_password", "MY_TOKEN", "of_it"] {
            let output = stage.tool(&["explain", "h1", variable, "-i", "s.yml", "--format", format], &[]);
            let said = text(&output);
            assert!(output.status.success() && said.contains("‹secret›"), "{variable}: {said}");
            for value in ["hunter2", "correct-horse", "abcabc"] {
                assert!(!said.contains(value), "{variable}: {said}");
            }
        }
        // The control: what is no secret is shown.
        let said = text(&stage.tool(&["explain", "h1", "OPEN", "-i", "s.yml", "--format", format], &[]));
        assert!(said.contains("plain-to-see"), "{said}");
    }
}

#[test]
fn a_wrong_name_gets_the_nearest() {
    let stage = Stage::new();
    layout(&stage);
    for (host, variable, says) in [
        ("h2", "a", ["there is no host `h2`", "did you mean `h1`?"]),
        ("g", "a", ["there is no host `g`", "`g` is a group; its hosts are: h1"]),
        ("elsewhere", "a", ["there is no host `elsewhere`", "its hosts are: h1"]),
        ("h1", "PORTAL_ULR", ["no variable `PORTAL_ULR` is set for `h1`", "did you mean `PORTAL_URL`?"]),
        ("h1", "nothing_like_it", ["no role declares it", "`docs variables`"]),
    ] {
        let output = stage.tool(&["explain", host, variable, "-i", "inv/i.yml"], &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(says.iter().all(|s| said.contains(s)), "{said}");
    }
}

#[test]
fn what_cannot_be_computed_is_shown_as_it_is_written() {
    let stage = Stage::new();
    stage.write("t.yml", b"all:\n  vars:\n    x: \"{{ y }}\"\n    y: \"{{ nowhere }}\"\n  hosts:\n    h1:\n");
    let output = stage.tool(&["explain", "h1", "x", "-i", "t.yml"], &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for piece in ["t.yml:3:8  \"{{ y }}\"", "`nowhere` is not defined", "--> t.yml:4:8"] {
        assert!(said.contains(piece), "no `{piece}`: {said}");
    }
}
