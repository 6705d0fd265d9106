//! Variables that are templates, filters, and what is said when they fail.

mod world;

use std::path::Path;
use std::sync::Arc;

use reemo_model::inventory::{self, Memory, Options};
use reemo_model::secret;
use reemo_model::template::{Engine, Scope, Trouble, Value, lookup_names, to_json};
use reemo_model::vars::Vars;
use reemo_model::vault::{self, Password, SALT_LENGTH, Vault};

fn scope(vars: &str) -> Scope {
    let mut text = String::from(
        "all:\n  hosts:\n    h.example.org: {}\n    other: {mine: from-other, ref: '{{ mine }}!'}\n  vars:\n",
    );
    for line in vars.lines() {
        text.push_str(&format!("    {line}\n"));
    }
    text.push_str("    unused: 1\n");
    let memory = Memory::new().with("inv/i.yml", text);
    let loaded = inventory::load(&memory, &["inv/i.yml".to_owned()], &Options::default());
    assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render());
    let vars = Arc::new(Vars::new(Arc::new(loaded.inventory)));
    Scope::new(&Engine::new(), vars.of_host("h.example.org"))
}

fn json(scope: &Scope, name: &str) -> String {
    match scope.get_json(name) {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => "-".into(),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn native_types_recursion_and_laziness() {
    let scope = scope(
        "n: 5\nm: '{{ n }}'\nk: '{{ m + 1 }}'\ntext: 'n={{ n }}'\nflag: yes\nt: 'is {{ flag }} {{ none }}'\nlist: [1, '{{ m }}', {a: '{{ text }}'}]\nself: {x: 1, y: '{{ self.x + 1 }}', bad: '{{ nowhere }}'}\nuse: '{{ self.y }}'\nraw: !unsafe '{{ n }}'\nstr: \"{{ '5' }}\"\nspace: ' {{ n }}'\ntwo: '{{ n }}{{ n }}'\nnothing: ~",
    );
    for (name, expected) in [
        ("m", "5"),
        ("k", "6"),
        ("text", "\"n=5\""),
        ("t", "\"is True \""),
        ("list", r#"[1,5,{"a":"n=5"}]"#),
        ("use", "2"),
        ("raw", "\"{{ n }}\""),
        ("str", "\"5\""),
        ("space", "\" 5\""),
        ("two", "\"55\""),
        ("nothing", "null"),
        ("absent", "-"),
        ("inventory_hostname_short", "\"h\""),
    ] {
        assert_eq!(json(&scope, name), expected, "{name}");
    }
    assert!(json(&scope, "self").contains("nowhere"), "{}", json(&scope, "self"));
}

#[test]
fn undefined_names_the_way() {
    let scope = scope(
        "a: '{{ b }}'\nb: 'x {{ c }}'\nc: '{{ missing_thing }}'\nd: \"{{ a | default('no') }}\"\ne: '{{ m.k }}'\nm: {j: 1}\nmissing_thin: 1",
    );
    let error = scope.get("a").unwrap_err();
    assert_eq!(error.trouble, Trouble::Undefined);
    assert_eq!(error.to_string(), "`missing_thing` is not defined (in a → b → c)");
    assert_eq!(error.help.as_deref(), Some("did you mean `missing_thin`?"));
    assert_eq!(error.place.as_ref().unwrap().to_string(), "inv/i.yml:8:8");
    assert_eq!(json(&scope, "d"), "\"no\"");
    assert!(json(&scope, "e").contains("`m.k` is not defined"), "{}", json(&scope, "e"));
    assert!(scope.render_str("x {{ a }}", Value::UNDEFINED).unwrap_err().to_string().contains("missing_thing"));
    assert!(scope.eval("nope").unwrap_err().to_string().contains("`nope` is not defined"));
}

#[test]
fn cycles_are_named() {
    let scope = scope("a: '{{ b }}'\nb: '{{ c }}'\nc: '{{ a }}'\ns: '{{ s }}'\nl: ['{{ l[0] }}']\nx: '{{ a }}'");
    let error = scope.get("a").unwrap_err();
    assert_eq!(error.trouble, Trouble::Cycle);
    assert_eq!(error.to_string(), "variables need each other: a → b → c → a");
    assert!(json(&scope, "s").contains("s → s"));
    assert!(json(&scope, "l").starts_with('!'));
    assert!(json(&scope, "x").contains("a → b → c → a"));
}

/// Twenty variables that all name each other, and a chain that is too long: an error, quickly.
#[test]
fn dense_cycles_and_deep_chains_end() {
    let names: Vec<String> = (0..20).map(|n| format!("v{n}")).collect();
    let all = names.iter().map(|n| format!("{{{{ {n} }}}}")).collect::<String>();
    let text = names.iter().map(|n| format!("{n}: '{all}'\n")).collect::<String>();
    assert_eq!(scope(&text).get("v0").unwrap_err().trouble, Trouble::Cycle);
    let chain = (0..500).map(|n| format!("c{n}: '{{{{ c{} }}}}'\n", n + 1)).collect::<String>();
    assert!(scope(&chain).get("c0").unwrap_err().to_string().contains("deep"));
}

#[test]
fn extra_names_win_and_hostvars_work() {
    let scope = scope(
        "item: 1\nuse: '{{ item }}'\nhv: \"{{ hostvars['other'].ref }}\"\ncount: '{{ hostvars | length }}'\ng: \"{{ groups['all'] }}\"",
    );
    assert_eq!(json(&scope, "use"), "1");
    let inner = scope.with("item", "x").with("nodes", Value::from(vec!["a", "b"]));
    assert_eq!(json(&inner, "use"), "\"x\"");
    assert_eq!(inner.render_str("{{ nodes | join(',') }} {{ true }}", Value::UNDEFINED).unwrap(), "a,b true");
    assert_eq!(json(&scope, "hv"), "\"from-other!\"");
    assert_eq!(json(&scope, "count"), "2");
    assert_eq!(json(&scope, "g"), r#"["h.example.org","other"]"#);
}

#[test]
fn functions_can_be_added() {
    let engine = Engine::with(|env| env.add_function("generated", |name: String| format!("pw-{name}")));
    let loaded = inventory::load(&Memory::new(), &["h,".to_owned()], &Options::default());
    let scope = Scope::new(&engine, Arc::new(Vars::new(Arc::new(loaded.inventory))).of_host("h"));
    assert_eq!(scope.render_str("{{ generated('db') }}", Value::UNDEFINED).unwrap(), "pw-db");
    assert!(scope.eval("generatd('x')").unwrap_err().help.unwrap().contains("generated"));
    let text = scope.render_template("a.cfg", "{% if true %}\nx\n{% endif %}\ny\n", Value::UNDEFINED).unwrap();
    assert_eq!(text, "x\ny\n");
    let error = scope.render_template("a.cfg", "line\n{{ nope }}\n", Value::UNDEFINED).unwrap_err();
    assert_eq!(error.to_string(), "templates/a.cfg: `nope` is not defined, line 2");
}

#[test]
fn unknown_filters_are_named() {
    let scope = scope("a: '{{ 1 | defualt(2) }}'\nb: '{{ 1 | nonsense }}'\nc: '{{ 1 is nonsens }}'\nd: '{{ 1 +  }}'");
    let error = scope.get("a").unwrap_err();
    assert_eq!(error.trouble, Trouble::Unknown);
    assert_eq!(error.message, "there is no filter `defualt`");
    assert_eq!(error.help.as_deref(), Some("did you mean `default`?"));
    assert!(scope.get("b").unwrap_err().help.unwrap().contains("regex_replace"));
    assert!(scope.get("c").unwrap_err().message.contains("no test `nonsens`"));
    assert_eq!(scope.get("d").unwrap_err().trouble, Trouble::Syntax);
}

/// Expression and its value as JSON; the values were checked against Ansible's.
#[test]
fn filters() {
    let scope = scope("d: {a: 1, b: {c: 2}}\nl: [3, 1, 2, 1]\nitems_: [{name: x, v: 1}, {name: y, v: 2}]");
    for line in include_str!("data/filters.tsv").lines().filter(|l| !l.starts_with('#')) {
        let (expression, expected) = line.split_once('\t').expect("a tab");
        let got = match scope.template(&format!("{{{{ {expression} }}}}"), Value::UNDEFINED) {
            Ok(value) => to_json(&value).to_string(),
            Err(error) => format!("! {error}"),
        };
        let same = serde_json::from_str::<serde_json::Value>(&got).ok() == serde_json::from_str(expected).ok();
        assert!(got == expected || (same && !got.starts_with('!')), "{expression}: expected {expected}, got {got}");
    }
}

#[test]
fn secrets_are_registered_when_evaluated() {
    struct Secrets;
    impl reemo_model::template::Lookup for Secrets {
        fn find(&self, name: &str) -> Option<reemo_model::template::Found> {
            let text = match name {
                "pw" => "{{ 'poison-' ~ 'value-1' }}",
                _ => return None,
            };
            Some(reemo_model::template::Found { value: reemo_model::yaml::Node::str(text), place: None, raw: false })
        }
        fn names(&self) -> Vec<String> {
            vec!["pw".into()]
        }
        fn is_secret(&self, name: &str) -> bool {
            name == "pw"
        }
    }
    let scope = Scope::new(&Engine::new(), Arc::new(Secrets));
    assert_eq!(secret::scrub("poison-value-1"), "poison-value-1");
    assert_eq!(scope.get("pw").unwrap().unwrap().as_str(), Some("poison-value-1"));
    assert_eq!(secret::scrub("poison-value-1"), secret::PLACEHOLDER);
    let error = scope.eval("pw | from_json").unwrap_err();
    assert!(!error.to_string().contains("poison-value-1"), "{error}");
}

#[test]
fn vault_values_are_opened_and_secret() {
    let sealed = |text: &str, label| vault::seal(text.as_bytes(), b"the password", &[1; SALT_LENGTH], label);
    let (pw, word) = (sealed("opened-1 {{ x }}", Some("dev")), sealed("False", None));
    let text = serde_json::json!({"all": {"hosts": {"h": {}}, "vars": {
        "pw": {"__ansible_vault": pw}, "word": {"__ansible_vault": word}, "list": [{"p": "<{{ pw }}>"}],
        "use": "x-{{ pw }}", "coded": "{{ use | b64encode }}", "apart": "{{ 'apart' | upper }}-and-long",
    }}});
    let memory = Memory::new().with("i.json", text.to_string());
    let loaded = inventory::load(&memory, &["i.json".to_owned()], &Options::default());
    let inventory = Arc::new(loaded.inventory);
    let closed = Scope::new(&Engine::new(), Arc::new(Vars::new(Arc::clone(&inventory))).of_host("h"));
    let error = closed.get("use").unwrap_err();
    assert!(error.to_string().contains("no vault password was given (its vault id is `dev`) (in use → pw)"), "{error}");
    assert!(error.place.is_some() && error.help.unwrap().contains("--vault-id dev@FILE"));
    let passwords = vec![Password { label: "default".into(), secret: secret::Secret::new("the password") }];
    let open = Vars::new(inventory).with_vault(Arc::new(Vault::new(passwords)));
    let open = Scope::new(&Engine::new(), Arc::new(open).of_host("h"));
    // Not templated again, as in Ansible.
    assert_eq!(json(&open, "use"), "\"x-opened-1 {{ x }}\"");
    assert_eq!(secret::scrub("opened-1 {{ x }}"), secret::PLACEHOLDER);
    // What is computed from it is a secret too; what is not, is none.
    assert_eq!(json(&open, "coded"), "\"eC1vcGVuZWQtMSB7eyB4IH19\"");
    assert_eq!(secret::scrub("eC1vcGVuZWQtMSB7eyB4IH19"), secret::PLACEHOLDER);
    assert_eq!(json(&open, "list"), "[{\"p\":\"<opened-1 {{ x }}>\"}]");
    assert_eq!(secret::scrub("<opened-1 {{ x }}>"), secret::PLACEHOLDER);
    assert_eq!(json(&open, "apart"), "\"APART-and-long\"");
    assert_eq!(secret::scrub("APART-and-long"), "APART-and-long");
    // A word that stands everywhere is not scrubbed from everywhere.
    assert_eq!(json(&open, "word"), "\"False\"");
    assert_eq!(secret::scrub("False"), "False");
}

#[test]
fn a_template_in_a_role_has_no_place_of_the_operator() {
    let scope = scope("a: 1");
    let error = scope.render_str("{{ b }}", Value::UNDEFINED).unwrap_err();
    assert_eq!(error.place, None);
    assert_eq!(error.to_diagnostic().code, "variable-undefined");
    let _ = Path::new("");
}

/// The operator finds what there is: every name is in the documentation.
#[test]
fn every_filter_test_and_lookup_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/templates.md");
    let text = std::fs::read_to_string(path).unwrap();
    let engine = Engine::new();
    let names = engine.filters().iter().chain(engine.tests()).cloned().chain(lookup_names().map(str::to_owned));
    let missing: Vec<String> = names.filter(|n| !text.contains(&format!("`{n}`"))).collect();
    assert!(engine.filters().len() > 100 && engine.tests().len() > 60);
    assert!(missing.is_empty(), "not in docs/templates.md: {}", missing.join(", "));
}

#[test]
fn lookups_that_do_not_exist_are_named_with_their_place() {
    let scope =
        scope("a: \"{{ lookup('fil', 'x') }}\"\nb: \"{{ lookup('url', 'x') }}\"\nc: \"{{ lookup('file', 'x') }}\"");
    let error = scope.get("a").unwrap_err();
    assert_eq!(error.trouble, Trouble::Unknown);
    assert_eq!(error.to_string(), "there is no lookup `fil` (in a)");
    assert_eq!(error.help.as_deref(), Some("did you mean `file`?"));
    assert_eq!(error.place.as_ref().unwrap().to_string(), "inv/i.yml:6:8");
    assert!(json(&scope, "b").contains("nothing is fetched"), "{}", json(&scope, "b"));
    assert!(json(&scope, "c").contains("the lookup `file`: files, environment and clock are not available here"));
}

/// What only looks keeps a password for the run, and leaves no file.
#[test]
fn a_password_is_kept_through_the_world() {
    let ask = |world: &Arc<world::Fake>, text: &str| {
        let loaded = inventory::load(&Memory::new(), &["h,".to_owned()], &Options::default());
        let vars = Arc::new(Vars::new(Arc::new(loaded.inventory)));
        let scope = Scope::new(&Engine::in_world(world.clone(), |_| {}), vars.of_host("h"));
        scope.template(text, Value::UNDEFINED).map(|v| v.to_string())
    };
    let world = Arc::new(world::Fake { writable: true, ..world::Fake::default() });
    let first = ask(&world, "{{ lookup('password', 'x/pw length=10') }}").unwrap();
    assert_eq!(ask(&world, "{{ lookup('password', 'x/pw') }}").unwrap(), first);
    assert_eq!(*world.kept.lock().unwrap(), [Path::new("$base/x/pw")]);
    assert_eq!(world.files.lock().unwrap()[Path::new("$base/x/pw")], format!("{first}\n"));
    assert_eq!(secret::scrub(&first), secret::PLACEHOLDER);
    let other = Arc::new(world::Fake::default());
    ask(&other, "{{ lookup('password', 'x/pw') }}").unwrap();
    assert!(other.files.lock().unwrap().is_empty());
    let refused = ask(&other, "{{ lookup('pipe', 'id') }}").unwrap_err().to_string();
    assert!(refused.contains("the lookup `pipe`"), "{refused}");
}
