//! Everything about inventories and variables that is refused before the first connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use reemo_model::declare::{self, Declarations};
use reemo_model::diag::{Diagnostics, Severity};
use reemo_model::inventory::{self, Memory, Options};
use reemo_model::template::Engine;
use reemo_model::vars::{Vars, extra};

/// The declarations of the project's own roles.
fn declarations() -> Declarations {
    let roles = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    let mut variables: IndexMap<String, serde_yaml::Value> = IndexMap::new();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in std::fs::read_dir(roles).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") {
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    for (file, text) in files {
        let role: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
        for (name, value) in role.get("variables").and_then(|v| v.as_mapping()).into_iter().flatten() {
            variables.insert(name.as_str().unwrap_or_default().to_owned(), value.clone());
        }
    }
    Declarations::read(&variables).unwrap()
}

fn check_files(files: &[(&str, &str)], args: &[&str]) -> Diagnostics {
    let memory = files.iter().fold(Memory::new(), |m, (path, text)| m.with(*path, *text));
    let mut loaded = inventory::load(&memory, &["inv/i.yml".to_owned()], &Options::default());
    let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    let extra = extra::parse(&args, &memory, &mut loaded.texts, &mut loaded.diagnostics);
    let declarations = declarations();
    loaded.texts.hide(declarations.secret_names().map(str::to_owned));
    let vars = Vars::new(Arc::new(loaded.inventory)).with_declarations(&declarations).with_extra(extra);
    let checked = declare::check(&Arc::new(vars), &declarations, &Engine::new());
    let mut all = loaded.diagnostics.strict();
    all.extend(checked.diagnostics);
    all.attach(&loaded.texts);
    all
}

const LICENSE: &str = "eyJsaWNlbmNlIjogImRlbW8ifQ==";

/// An infra inventory with these variables in `all` and in the group.
fn infra(all: &str, group: &str) -> String {
    let indent = |text: &str, by: &str| text.lines().map(|l| format!("{by}{l}\n")).collect::<String>();
    let group = if group.is_empty() { String::new() } else { format!("  vars:\n{}", indent(group, "    ")) };
    format!(
        "all:\n  vars:\n    API_LICENSE: \"{LICENSE}\"\n{}infra_manager:\n{group}  hosts:\n    h1: {{ansible_host: 10.0.0.1}}\n    h2: {{ansible_host: 10.0.0.2}}\n",
        indent(all, "    ")
    )
}

fn check(all: &str, group: &str) -> Diagnostics {
    check_files(&[("inv/i.yml", &infra(all, group))], &[])
}

#[test]
fn a_right_inventory_has_nothing_to_say() {
    let found = check(
        "REGISTRY_URL: registry.reemo.io\nDOCKER_VERSION_API: \"2.13.10\"\nSYSLOG_FACILITY: local3\nansible_user: root\nMY_OWN_THING: 1\nAPI_somethingNew: x",
        "PORTAL_URL: url.domain.tld\nPORTAL_TYPE: admin\nPORTAL_URL_RESTRICT_IP: \"10.1.1.1,10.2.2.0/24\"\nRELAYS_IP:\n  - ip: \"10.10.0.1\"\nHEALTHCHECK_ENABLE: \"true\"\nINIT_MINIMUM_PASSWORD_LENGTH: \"8\"",
    );
    assert!(found.is_empty(), "{}", found.render());
}

/// `all`, group, and what must be said; `W` where it is only a warning.
#[test]
fn one_mistake_each() {
    let table: &[(&str, &str, char, &str, &str)] = &[
        ("", "PORTAL_TPYE: user", 'E', "variable-unknown", "did you mean `PORTAL_TYPE`?"),
        ("", "PORTAL_COLOUR: blue", 'E', "variable-unknown", "names that begin with `PORTAL_` are ours"),
        ("DOCKER_VERSION_PORTALS: \"1\"", "", 'E', "variable-unknown", "did you mean `DOCKER_VERSION_PORTAL`?"),
        ("SYSLOG_FACILITY_APIX: daemon", "", 'E', "variable-unknown", "did you mean `SYSLOG_FACILITY_API`?"),
        ("API_MAIL_ACTIV: \"true\"", "", 'W', "variable-near", "did you mean|if you meant `API_MAIL_ACTIVE`"),
        ("registry_url: x", "", 'W', "variable-case", "write `REGISTRY_URL`"),
        ("", "PORTAL_TYPE: boss", 'E', "variable-value", "is `boss`, expected one of: user, admin"),
        ("", "PORTAL_TYPE: usr", 'E', "variable-value", "did you mean `user`?"),
        ("", "PORTAL_URL_RESTRICT_IP: 10.0.0.300", 'E', "variable-value", "`10.0.0.300` is no address"),
        ("", "PORTAL_URL_RESTRICT_IP: \"10.0.0.1, 10.0.0.0/33\"", 'E', "variable-value", "`10.0.0.0/33` is no network"),
        ("", "PORTALADMIN_URL: \"ftp://x\"", 'E', "variable-value", "begins neither with https://"),
        ("", "PORTALADMIN_URL: \"a b\"", 'E', "variable-value", "no valid host name"),
        ("DOCKER_VERSION_DB: 2.30", "", 'E', "variable-value", "is read by YAML as a number"),
        ("HEALTHCHECK_ENABLE: maybe", "", 'E', "variable-value", "expected true or false"),
        ("INIT_MINIMUM_PASSWORD_LENGTH: 010", "", 'E', "variable-value", "is read by YAML as 8"),
        ("INIT_MINIMUM_PASSWORD_LENGTH: long", "", 'E', "variable-value", "expected a whole number"),
        ("", "RELAYS_IP: {ip: 10.0.0.1}", 'E', "variable-value", "begin each item with `- `"),
        ("", "RELAYS_IP: [{ip: 10.0.0.999}]", 'E', "variable-value", "`ip` is no address: `10.0.0.999`"),
        ("DB_HOST: \"< IP >\"", "", 'E', "variable-value", "placeholder of the vendor's document"),
        ("DB_NAME:", "", 'E', "variable-value", "has no value"),
        ("HEALTHCHECK_ENABLE: \"true\"", "HEALTHCHECK_ENABLE: \"true\"", 'E', "variable-in-both", "in `all`"),
        ("", "REGISTRY_URL: r.example.org", 'W', "variable-place", "belongs in `all`"),
        ("PORTAL_TYPE: user", "", 'W', "variable-place", "belongs in a group"),
        ("SYSLOG_FACILITY: \"{{ nowhere }}\"", "", 'E', "variable-undefined", "`nowhere` is not defined"),
        ("SYSLOG_FACILITY: \"{{ 'loc' ~ 'al9' }}\"", "", 'E', "variable-value", "`local9`"),
        (
            "DB_USER: \"{{ DB_NAME }}\"\nDB_NAME: \"{{ DB_USER }}\"",
            "",
            'E',
            "variable-cycle",
            "DB_NAME → DB_USER → DB_NAME|DB_USER → DB_NAME → DB_USER",
        ),
        ("DB_NAME: a\nDB_NAME: b", "", 'E', "yaml-duplicate-key", "first time"),
    ];
    for (all, group, kind, code, says) in table {
        let found = check(all, group);
        let text = found.render();
        let severity = if *kind == 'E' { Severity::Error } else { Severity::Warning };
        let hit = found.iter().find(|d| d.code == *code && d.severity == severity);
        assert!(hit.is_some(), "{all} | {group}: {text}");
        assert!(says.split('|').any(|s| text.contains(s)), "{all} | {group}: {text}");
        assert!(text.contains("inv/i.yml:") && text.contains('^'), "{text}");
        if *kind == 'W' {
            assert!(!found.has_errors(), "{text}");
        }
    }
}

#[test]
fn the_place_of_a_wrong_entry_is_the_entry() {
    let found = check("", "PORTAL_URL_RESTRICT_IP: \"10.0.0.1,10.0.0.300\"");
    let error = found.errors().next().unwrap();
    let place = error.place.as_ref().unwrap();
    assert_eq!((place.line, place.column, place.len), (6, 39, 10), "{}", found.render());
}

#[test]
fn the_licence() {
    let without = infra("", "").replace(&format!("    API_LICENSE: \"{LICENSE}\"\n"), "    x: 1\n");
    let found = check_files(&[("inv/i.yml", &without)], &[]);
    let text = found.render();
    assert!(text.contains("`API_LICENSE` is not set") && text.contains("inv/i.yml:4:1"), "{text}");
    assert!(text.contains("`infra_manager` needs it"), "{text}");
    // -e counts.
    assert!(check_files(&[("inv/i.yml", &without)], &[&format!("API_LICENSE={LICENSE}")]).is_empty());
    for (value, says) in [
        ("ewogICAg ... Uw5NXhGVDF0NFU2TkxOdjQvZU53PT0iCiAgICC9Cn0=", "placeholder of the vendor's document"),
        ("poison!value", "position 7"),
        ("cG9pc29uLXZhbHVl1", "the end may be missing"),
    ] {
        let found = check_files(&[("inv/i.yml", &infra("", "").replace(LICENSE, value))], &[]);
        let text = found.render();
        assert!(text.contains(says), "{text}");
        assert!(text.contains("inv/i.yml:3:"), "{text}");
        assert!(!text.contains("poison") && !text.contains("cG9pc29u") && !text.contains("Uw5NX"), "{text}");
        assert!(text.contains("‹secret›"), "{text}");
    }
}

#[test]
fn extra_vars_are_checked_but_exempt_from_placement() {
    let inventory = infra("", "HEALTHCHECK_ENABLE: \"true\"");
    assert!(check_files(&[("inv/i.yml", &inventory)], &["HEALTHCHECK_ENABLE=false"]).is_empty());
    let text = check_files(&[("inv/i.yml", &inventory)], &["INIT_DBB=true", "PORTAL_TYPE=boss"]).render();
    assert!(text.contains("--extra-vars:1:1") && text.contains("did you mean `INIT_DB`?"), "{text}");
    assert!(text.contains("--extra-vars:2:13") && text.contains("`boss`"), "{text}");
}

#[test]
fn group_vars_all_counts_as_all() {
    let files = [
        ("inv/i.yml", infra("", "HEALTHCHECK_ENABLE: \"true\"")),
        ("inv/group_vars/all.yml", "HEALTHCHECK_ENABLE: \"false\"\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let text = check_files(&files, &[]).render();
    assert!(text.contains("set in `all` and in a group"), "{text}");
    assert!(text.contains("inv/group_vars/all.yml:1:1") && text.contains("inv/i.yml:6:5"), "{text}");
}

#[test]
fn groups() {
    let head = format!("all: {{vars: {{API_LICENSE: \"{LICENSE}\"}}}}\n");
    for (text, code, says) in [
        ("", "inventory-empty", "no host"),
        ("infra_manager: {hosts: }\n", "inventory-empty", "no host"),
        ("web: {hosts: {a: }}\n", "inventory-no-group", "put the hosts into `infra_manager`"),
        (
            "infra_managers: {hosts: {a: }}\n",
            "inventory-no-group",
            "did you mean `infra_manager` instead of `infra_managers`?",
        ),
        (
            "infra_manager: {hosts: {a: }}\napi_manager: {hosts: {b: }}\n",
            "inventory-mixed",
            "cannot be mixed with `api_manager`",
        ),
        (
            "portal_manager: {children: {pa: {hosts: {a: }}, pb: {hosts: {a: , b: }}}}\n",
            "inventory-two-clusters",
            "the host `a` is in `pa` and in `pb`",
        ),
        (
            "infra_manager: {hosts: {a: {ansible_host: 10.0.0.1}, b: {ansible_host: 10.0.0.1}}}\n",
            "inventory-same-address",
            "`a` and `b` have the same address 10.0.0.1",
        ),
    ] {
        let found = check_files(&[("inv/i.yml", &format!("{head}{text}"))], &[]);
        let rendered = found.render();
        assert!(found.errors().any(|d| d.code == code), "{text}: {rendered}");
        assert!(rendered.contains(says), "{text}: {rendered}");
        assert_eq!(found.errors().count(), 1, "{text}: {rendered}");
    }
}

/// All errors of a load are reported together, in the order of the file.
#[test]
fn everything_at_once() {
    let found = check("REGISTRY_URLL: x\nDB_HOST: \"< IP >\"", "PORTAL_TYPE: boss\nHEALTHCHECK_ENABLE: maybe");
    assert_eq!(found.errors().count(), 4, "{}", found.render());
    let lines: Vec<u32> = found.errors().map(|d| d.place.as_ref().unwrap().line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

/// The project's own inventories have nothing wrong.
#[test]
fn the_projects_inventories() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../inventories");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "yml") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let found = check_files(&[("inv/i.yml", &text)], &[]);
            assert!(found.is_empty(), "{}:\n{}", entry.path().display(), found.render());
            count += 1;
        }
    }
    assert!(count > 0);
}

/// A part of a value has a place of its own, for whoever checks files.
#[test]
fn parts_have_places() {
    let text = infra("", "TRAEFIK_SSL_CERTS:\n  - cert_file: /a.crt\n    key_file: /a.key");
    let memory = Memory::new().with("inv/i.yml", text);
    let loaded = inventory::load(&memory, &["inv/i.yml".to_owned()], &Options::default());
    let vars = Vars::new(Arc::new(loaded.inventory));
    let found = vars.find("h1", "TRAEFIK_SSL_CERTS").unwrap();
    let key = found.value.as_seq().unwrap()[0].get("key_file").unwrap();
    assert_eq!(found.place_of(key).unwrap().to_string(), "inv/i.yml:8:19");
}

#[test]
fn a_declaration_that_contradicts_itself_is_refused() {
    for (text, says) in [
        ("X: {type: enum}", "`values`"),
        ("X: {type: int, default: abc}", "the default"),
        ("X: {type: nonsense}", "unknown variant"),
        ("X: {type: int, defualt: 1}", "unknown key `defualt`"),
        ("X: {type: int, scope: everywhere}", "unknown variant"),
        ("X: {type: int, since: soon}", "`since` is `soon`"),
    ] {
        let variables: IndexMap<String, serde_yaml::Value> = serde_yaml::from_str(text).unwrap();
        let error = Declarations::read(&variables).unwrap_err();
        assert!(error.contains(says) && error.contains("`X`"), "{error}");
    }
    let free: IndexMap<String, serde_yaml::Value> = serde_yaml::from_str("X: {type: int, x-note: hi}").unwrap();
    assert!(Declarations::read(&free).is_ok());
}

/// What a role declares is complete: people and editors see all of it.
#[test]
fn every_variable_is_declared_in_full() {
    for decl in declarations().iter() {
        assert!(decl.since.is_some(), "{}: add `since:`, the version that first knows it", decl.name);
        assert!(decl.doc.len() >= 8, "{}: add `doc:`, a line for people", decl.name);
    }
}

/// A variable of `scope: host` stands at hosts without a word; once for several it is a mistake, unless
/// it is a template.
#[test]
fn what_belongs_at_each_host() {
    let at_hosts =
        infra("", "").replace("ansible_host: 10.0.0.1", "ansible_host: 10.0.0.1, SWARM_ADVERTISE_ADDR: 10.1.0.1");
    let found = check_files(&[("inv/i.yml", &at_hosts)], &[]);
    assert!(found.is_empty(), "{}", found.render());
    // The control: another variable there is warned of.
    let other = at_hosts.replace("SWARM_ADVERTISE_ADDR: 10.1.0.1", "PORTAL_TYPE: user");
    let text = check_files(&[("inv/i.yml", &other)], &[]).render();
    assert!(text.contains("`PORTAL_TYPE` is set for a single host"), "{text}");
    let files = [("inv/i.yml", infra("", "")), ("inv/host_vars/h1.yml", "SWARM_ADVERTISE_ADDR: 10.1.0.1\n".into())];
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    assert!(check_files(&files, &[]).is_empty());
    for (all, group, at) in [
        ("SWARM_ADVERTISE_ADDR: 10.1.0.1", "", "set once in `all`"),
        ("", "SWARM_ADVERTISE_ADDR: 10.1.0.1", "set once in the group `infra_manager`"),
    ] {
        let found = check(all, group);
        assert!(found.render().contains(at) && !found.has_errors(), "{}", found.render());
    }
    assert!(check("", "SWARM_ADVERTISE_ADDR: \"{{ ansible_host }}\"").is_empty());
}
