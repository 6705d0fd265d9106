//! `group_vars` and `host_vars` beside the playbook. The values are what ansible-core 2.19 gives for the same files:
//! `ansible-playbook -i inv/i.yml playbooks/p.yml` for runs, `ansible-inventory --host h1` for listings.

use crate::explain::layout;
use crate::{Stage, text};

fn host(stage: &Stage, args: &[&str]) -> (serde_json::Value, String) {
    let output = stage.tool(&[&["inventory", "-i", "inv/i.yml", "--host", "h1"], args].concat(), &[]);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (json, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_listing_is_that_of_ansible_inventory() {
    let stage = Stage::new();
    layout(&stage);
    let (json, said) = host(&stage, &[]);
    let plain = serde_json::json!({"a": "file_all", "b": "inv_all", "c": "inv_all", "d": "inv_all", "e": "inv_g", "f": "file_host", "hv": "inv_host"});
    assert_eq!(json, plain);
    assert!(said.contains("the variables in `playbooks` are not in this listing"), "{said}");
    let (json, said) = host(&stage, &["--playbook-dir", "playbooks"]);
    let with = serde_json::json!({"a": "file_all", "b": "inv_all", "c": "pb_all", "d": "pb_all", "e": "pb_g", "f": "file_host", "hv": "pb_host"});
    assert_eq!((json, said.as_str()), (with.clone(), ""));
    stage.write("ansible.cfg", b"[defaults]\nplaybook_dir = playbooks\n");
    assert_eq!(host(&stage, &[]).0, with);
    std::fs::remove_file(stage.folder.path().join("ansible.cfg")).unwrap();
    // The working directory counts as the playbook's when none is named.
    stage.write("group_vars/all.yml", b"{b: here, e: here}\n");
    let (json, _) = host(&stage, &[]);
    assert_eq!((&json["b"], &json["e"]), (&"here".into(), &"inv_g".into()));
    let missing = stage.tool(&["inventory", "-i", "inv/i.yml", "--list", "--playbook-dir", "nowhere"], &[]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(text(&missing).contains("the playbook directory `nowhere` is no directory"), "{}", text(&missing));
}

/// Where each variable of `h1` comes from in a run.
fn from(stage: &Stage, variable: &str, args: &[&str]) -> (String, String) {
    let output = stage.tool(&[&["explain", "h1", variable, "-i", "inv/i.yml", "--format", "json"], args].concat(), &[]);
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let file = json["definitions"][0]["file"].as_str().unwrap_or_default().to_owned();
    (file, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_run_takes_the_playbooks_or_says_so() {
    let stage = Stage::new();
    layout(&stage);
    assert_eq!(from(&stage, "c", &[]), ("playbooks/group_vars/all.yml".into(), String::new()));
    // Not beside the playbook: Ansible would not read it either.
    stage.write("group_vars/all.yml", b"{b: here}\n");
    let (file, said) = from(&stage, "b", &[]);
    assert_eq!(file, "inv/group_vars/all.yml");
    assert!(said.contains("`./group_vars` is not read") && said.contains("`--playbook-dir .`"), "{said}");
    let (file, said) = from(&stage, "b", &["--playbook-dir", "."]);
    assert_eq!((file.as_str(), said.as_str()), ("./group_vars/all.yml", ""));
    // Without a folder of playbooks the playbook stands in the working directory.
    std::fs::remove_dir_all(stage.folder.path().join("playbooks")).unwrap();
    assert_eq!(from(&stage, "b", &[]), ("./group_vars/all.yml".into(), String::new()));
    // `group_vars/all` beside the playbook counts as `all` for the rule of places.
    stage.write("good.yml", crate::GOOD.replace("  hosts:", "  vars: {PORTAL_TYPE: user}\n  hosts:").as_bytes());
    stage.write("playbooks/group_vars/all.yml", b"PORTAL_TYPE: admin\n");
    let said = text(&stage.tool(&["inventory", "validate", "-i", "good.yml"], &[]));
    assert!(said.contains("`PORTAL_TYPE` is set in `all` and in a group"), "{said}");
    assert!(said.contains("--> playbooks/group_vars/all.yml:1:1"), "{said}");
}
