//! `ansible.cfg`: where it is looked for, what of it counts, and what is said of the rest. What is compared with
//! Ansible was asked of ansible-core 2.19 (`ansible-config dump`, `ansible-inventory`, and the command line its ssh
//! plugin builds).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use reemo_infra::cli::args::{Cli, Command};
use reemo_infra::cli::{config, prepare};
use reemo_model::ansible_cfg::{self, Around};
use reemo_transport::ssh::{HostKeyChecking, Target};

use crate::{GOOD, Stage, text};

fn around(cfg: &str, env: &[(&str, &str)]) -> Around {
    Around {
        file: Some((Arc::from(Path::new("/site/ansible.cfg")), cfg.to_owned())),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        cwd: PathBuf::from("/here"),
        home: PathBuf::from("/home/me"),
    }
}

#[test]
fn found_where_ansible_finds_it() {
    let stage = Stage::new();
    let inventory = |name: &str| format!("all: {{hosts: {{from_{name}: }}}}\n");
    for name in ["named", "here", "home", "typed", "env"] {
        stage.write(&format!("inv/{name}.yml"), inventory(name).as_bytes());
    }
    stage.write("cfg/ansible.cfg", b"[defaults]\ninventory = ../inv/named.yml\n");
    stage.write("ansible.cfg", b"[defaults]\ninventory = inv/here.yml, inv/typed.yml\n");
    stage.write(".ansible.cfg", b"[defaults]\ninventory = inv/home.yml\n");
    let graph = |args: &[&str], env: &[(&str, &str)]| {
        let output = stage.tool(&[&["inventory", "--graph"], args].concat(), env);
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let hosts = |out: &str| -> Vec<String> {
        out.lines().filter_map(|l| l.rsplit_once("--from_")).map(|(_, name)| name.to_owned()).collect()
    };
    // The file itself, or the folder it is in; relative paths start at the file.
    for named in ["cfg/ansible.cfg", "cfg"] {
        assert_eq!(hosts(&graph(&[], &[("ANSIBLE_CONFIG", named)]).0), ["named"]);
    }
    assert_eq!(hosts(&graph(&[], &[]).0), ["here", "typed"]);
    // The environment wins over the file, and a flag over both.
    assert_eq!(hosts(&graph(&[], &[("ANSIBLE_INVENTORY", "inv/env.yml")]).0), ["env"]);
    assert_eq!(hosts(&graph(&["-i", "inv/typed.yml"], &[("ANSIBLE_INVENTORY", "inv/env.yml")]).0), ["typed"]);
    // What is named and does not exist is passed over, as Ansible does, and said.
    let output = stage.tool(&["inventory", "validate"], &[("ANSIBLE_CONFIG", "gone.cfg")]);
    assert!(text(&output).contains("`ANSIBLE_CONFIG` names `gone.cfg`, which does not exist"), "{}", text(&output));
    // Everybody may write here.
    let folder = stage.folder.path();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (out, said) = graph(&[], &[]);
    assert_eq!(hosts(&out), ["home"]);
    assert!(said.contains("this ansible.cfg is not read: everybody may write to its folder"), "{said}");
    let (out, said) = graph(&[], &[("ANSIBLE_CONFIG", "ansible.cfg")]);
    assert_eq!((hosts(&out).len(), said.as_str()), (2, ""), "named, it is read");
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The target of `infra1` for a command line, an inventory, and an `ansible.cfg`.
fn target(args: &[&str], host_vars: &str, cfg: &str, env: &[(&str, &str)]) -> Target {
    let stage = Stage::new();
    let inventory =
        GOOD.replace("      ansible_host: 192.0.2.1\n", &format!("      ansible_host: 192.0.2.1\n{host_vars}"));
    let path = stage.write("good.yml", inventory.as_bytes());
    let words = [&["reemo-infra", "plan", "-i", path.to_str().unwrap()], args].concat();
    let matches = Cli::command().try_get_matches_from(words).unwrap();
    let mut cli = Cli::from_arg_matches(&matches).unwrap();
    let (settings, diagnostics) = ansible_cfg::read(&around(cfg, env));
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render());
    let texts = Default::default();
    config::settle(&mut cli, &matches, config::Config { settings, diagnostics, texts });
    let Command::Plan(args) = &cli.command else { panic!("not a plan") };
    let ready = prepare::read(&args.inventory, &args.connect).unwrap_or_else(|e| panic!("{}", e.message));
    ready.site.hosts["infra1"].target.clone()
}

const LOGIN: &str = "\
[defaults]
remote_user = \"joe\"
private_key_file = keys/id
remote_port = 2222
timeout = 7
[ssh_connection]
timeout = 3
ssh_common_args = -o ProxyJump=bastion
ssh_extra_args = -o
  ServerAliveInterval=5 ; a comment
[privilege_escalation]
become_user = 'app'
";

#[test]
fn connection_keys_are_honoured_below_flags_and_variables() {
    let from_cfg = target(&[], "", LOGIN, &[]);
    // As in the command line of Ansible's ssh plugin for the same file.
    assert_eq!((from_cfg.user.as_str(), from_cfg.port), ("joe", 2222));
    assert_eq!(from_cfg.keys, [PathBuf::from("/site/keys/id")]);
    assert_eq!(from_cfg.connect_timeout.as_secs(), 7);
    assert_eq!(from_cfg.r#become.user, "app");
    assert_eq!(from_cfg.jump.len(), 1);
    assert_eq!(from_cfg.host_key_checking, HostKeyChecking::Strict);

    let env = [
        ("ANSIBLE_REMOTE_USER", "eve"),
        ("ANSIBLE_PRIVATE_KEY_FILE", "keys/env"),
        ("ANSIBLE_HOST_KEY_CHECKING", "False"),
        ("ANSIBLE_SSH_COMMON_ARGS", "-o ProxyJump=one,two"),
    ];
    let from_env = target(&[], "", LOGIN, &env);
    assert_eq!((from_env.user.as_str(), from_env.jump.len()), ("eve", 2));
    assert_eq!(from_env.keys, [PathBuf::from("/here/keys/env")]);
    assert_eq!(from_env.host_key_checking, HostKeyChecking::AcceptNew);

    let flags = ["-u", "typed", "-T", "9", "--private-key", "/k", "--become-user", "root", "--ssh-common-args=-C"];
    let typed = target(&flags, "", LOGIN, &env);
    assert_eq!((typed.user.as_str(), typed.connect_timeout.as_secs(), typed.jump.len()), ("typed", 9, 0));
    assert_eq!((typed.keys, typed.r#become.user.as_str()), (vec![PathBuf::from("/k")], "root"));

    let written = "      ansible_user: var\n      ansible_port: 22\n      ansible_host_key_checking: true\n      ansible_ssh_common_args: -o ProxyJump=three\n";
    let var = target(&flags, written, LOGIN, &env);
    assert_eq!((var.user.as_str(), var.port), ("var", 22));
    assert_eq!(var.jump.iter().map(|hop| hop.address.as_str()).collect::<Vec<_>>(), ["three"]);
    assert_eq!(var.host_key_checking, HostKeyChecking::Strict);

    // Root is the default here, unlike in Ansible; who switches it off means it.
    assert!(target(&[], "", "", &[]).r#become.enabled);
    let off = "[privilege_escalation]\nbecome = no\n";
    assert!(!target(&[], "", off, &[]).r#become.enabled);
    assert!(target(&["-b"], "", off, &[]).r#become.enabled);
    assert!(target(&[], "      ansible_become: true\n", off, &[]).r#become.enabled);
    let secret = target(&[], "", "[sudo_become_plugin]\npassword = hunter2\n", &[]).r#become.password;
    assert_eq!(secret.unwrap().expose_str(), Some("hunter2"));
}

#[test]
fn forks_and_vault_and_the_rest_have_values() {
    let (settings, diagnostics) = ansible_cfg::read(&around(
        "[defaults]\nFORKS: 7\nvault_password_file = ~/.vault\nvault_identity_list = dev@$SECRETS/dev, prod@prompt\n\
         hash_behaviour=merge\ninventory_ignore_extensions = \".a\", '.b'\n[DEFAULT]\nremote_user = all\n",
        &[("SECRETS", "/s"), ("HOME", "/home/me")],
    ));
    assert!(diagnostics.is_empty(), "{}", diagnostics.render());
    assert_eq!(settings.forks.unwrap().value, 7);
    let vault = settings.vault_password_file.unwrap();
    assert_eq!(
        (vault.value, vault.place.unwrap().to_string()),
        ("/home/me/.vault".into(), "/site/ansible.cfg:3:1".into())
    );
    assert_eq!(settings.vault_identity_list.unwrap().value, ["dev@$SECRETS/dev", "prod@prompt"]);
    assert_eq!(settings.ignore_extensions.unwrap().value, [".a", ".b"]);
    assert!(settings.merge);
    assert_eq!(settings.remote_user.unwrap().value, "all");
}

#[test]
fn what_has_no_meaning_here_is_named_once() {
    let cfg = "[defaults]\nforks = 5\nroles_path = roles\n\n[ssh_connection]\npipelining = True\nssh_args = -C\n[colors]\nok = green\n";
    let (_, diagnostics) =
        ansible_cfg::read(&around(cfg, &[("ANSIBLE_STDOUT_CALLBACK", "yaml"), ("ANSIBLE_FORKS", "3")]));
    let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["/site/ansible.cfg:3:1: settings of Ansible that have no effect here: [defaults] roles_path (line 3), \
          [ssh_connection] pipelining (line 6), [colors] ok (line 9), $ANSIBLE_STDOUT_CALLBACK"]
    );
    // In runs and in `validate`, never in a listing.
    let stage = Stage::new();
    stage.write("good.yml", GOOD.as_bytes());
    stage.write("ansible.cfg", cfg.as_bytes());
    for (args, says) in
        [(["inventory", "validate"], true), (["graph", "--dot"], true), (["inventory", "--list"], false)]
    {
        let output = stage.tool(&[&args[..], &["-i", "good.yml"]].concat(), &[]);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr).matches("have no effect here").count(), usize::from(says));
    }
}

/// Files and values that Ansible refuses, or reads as something nobody means. All are said together.
#[test]
fn mistakes_have_a_place() {
    for (cfg, says) in [
        ("forks = 3\n", "1:1: no section stands above this line"),
        ("[defaults]\nforks\n", "2:1: this line is no `key = value`"),
        ("[defaults]\nforks = 3\nForks : 4\n", "3:1: `forks` is written twice in `[defaults]`"),
        ("[defaults]\n[other]\n[defaults]\n", "3:1: the section `[defaults]` is written twice"),
        ("[defaults]\nforks = \"3\"\n", "2:1: `forks` is `\"3\"`, expected a whole number"),
        ("[defaults]\nremote_port = 70000\n", "2:1: `remote_port` is `70000`, expected a whole number"),
        ("[defaults]\nhost_key_checking = maybe\n", "2:1: `host_key_checking` is `maybe`, expected true or false"),
        ("[defaults]\nhash_behaviour = merged\n", "2:1: `hash_behaviour` is `merged`, expected `replace` or `merge`"),
        ("[defaults]\ninventory_ignore_patterns = [\n", "2:1: `inventory_ignore_patterns` has `[`"),
    ] {
        let (_, diagnostics) = ansible_cfg::read(&around(cfg, &[]));
        let said: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
        assert!(said.iter().any(|s| s.starts_with(&format!("/site/ansible.cfg:{says}"))), "{cfg}: {said:?}");
        assert!(diagnostics.errors().all(|d| d.help.is_some()));
    }
    let stage = Stage::new();
    stage.write(
        "wrong.yml",
        GOOD.replace("hosts:", "hosts: # x\n    infra0:\n      ansible_host: 192.0.2.1").as_bytes(),
    );
    stage.write("ansible.cfg", b"[defaults]\nforks = many\n");
    let output = stage.tool(&["inventory", "validate", "-i", "wrong.yml"], &[("ANSIBLE_TIMEOUT", "long")]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for piece in
        ["--> ansible.cfg:2:1", "2 | forks = many", "--> $ANSIBLE_TIMEOUT", "have the same address", "3 errors"]
    {
        assert!(said.contains(piece), "no `{piece}`: {said}");
    }
}

/// What `ansible-inventory` printed for the same files with `hash_behaviour = merge`.
#[test]
fn hash_behaviour_merge() {
    let stage = Stage::new();
    for (name, content) in [
        (
            "i.yml",
            "all:\n  vars: {m: {a: 1, b: {x: 1, y: [1]}, c: 1}}\n  children:\n    g: {vars: {m: {b: {x: 2, z: 1}, d: 1}}, hosts: {h: {m: {e: 5}, n: {k: 1}, n2: 3}}}\n",
        ),
        ("j.yml", "all: {vars: {m: {from_j: 1}}, hosts: {h: {n: {l: 2}}}}\n"),
        ("group_vars/g.yml", "m: {gv: 1, b: {y: [2]}}\n"),
        ("ansible.cfg", "[defaults]\nhash_behaviour = merge\n"),
    ] {
        stage.write(name, content.as_bytes());
    }
    let ours = |args: &[&str], env: &[(&str, &str)]| {
        let output = stage.tool(&[&["inventory", "-i", "i.yml", "-i", "j.yml"], args].concat(), env);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    };
    assert_eq!(
        ours(&["--host", "h"], &[]),
        serde_json::json!({"m": {"a": 1, "b": {"x": 2, "y": [2], "z": 1}, "c": 1, "d": 1, "e": 5, "from_j": 1, "gv": 1}, "n": {"k": 1, "l": 2}, "n2": 3})
    );
    assert_eq!(
        ours(&["--host", "h", "-e", "{\"m\": {\"extra\": 1}}", "-e", "{\"m\": {\"extra2\": 1}}"], &[])["m"],
        serde_json::json!({"a": 1, "b": {"x": 2, "y": [2], "z": 1}, "c": 1, "d": 1, "e": 5, "extra": 1, "extra2": 1, "from_j": 1, "gv": 1})
    );
    assert_eq!(
        ours(&["--list", "--export"], &[])["g"]["vars"],
        serde_json::json!({"m": {"b": {"x": 2, "y": [2], "z": 1}, "d": 1, "gv": 1}})
    );
    assert_eq!(ours(&["--host", "h"], &[("ANSIBLE_HASH_BEHAVIOUR", "replace")])["m"], serde_json::json!({"e": 5}));
}
