use super::*;

const ROLE: &str = "
service: reemo_x
doc: X
image: x
version: V
environments: [infra]
stage: services
tags: [x]
replicas: {per_node: 2}
variables: {V: {type: string, default: '1'}}
";

fn layer(root: &str, text: &str) -> RoleLayer {
    RoleLayer { root: root.into(), files: BTreeMap::from([("x.yml".into(), text.into())]) }
}

fn one(text: &str) -> Result<Catalogue, RoleError> {
    Catalogue::load(&[layer("roles", text)], BTreeMap::new())
}

#[test]
fn reads_a_role_and_refuses_an_unknown_key() {
    assert_eq!(one(ROLE).unwrap().roles["x"].service, "reemo_x");
    let e = one(&format!("{ROLE}\nreplica: 3\n")).unwrap_err().to_string();
    assert!(e.contains("--> roles/x.yml:12:1") && e.contains("did you mean `replicas`?"), "{e}");
}

#[test]
fn free_keys_are_free_and_layers_merge() {
    let base = layer("roles", &format!("{ROLE}\nx-note: mine\n"));
    let over = layer("mine", "doc: Y\nenv: {A: b}\n");
    let both = Catalogue::load(&[base, over], BTreeMap::new()).unwrap();
    assert_eq!((both.roles["x"].doc.as_str(), both.roles["x"].env.len()), ("Y", 1));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let over = |text: &str| {
        let layers = [layer("roles", ROLE), layer("mine", text)];
        Catalogue::load(&layers, BTreeMap::new()).unwrap_err().to_string()
    };
    for (text, says) in [
        ("stage: service\n", ["mine/x.yml:1:1", "did you mean `services`?"]),
        ("replicas: {per_nod: 2}\n", ["mine/x.yml:1:", "did you mean `per_node`?"]),
        ("secrets:\n  - {target: a, content: b}\n  - target: c\n    contnt: d\n", ["mine/x.yml:4:5", "`content`?"]),
        ("stop_grace_period: 30\n", ["mine/x.yml:1:1", "30"]),
        ("networks: [remo]\n", ["mine/x.yml:1:12", "`remo` is not in platform.yml"]),
        ("configs: [{target: a, template: x/y}]\n", ["mine/x.yml:1:23", "no templates/x/y"]),
        ("doc: a\ndoc: b\n", ["mine/x.yml:2:1", "written twice"]),
        ("env: {A: b\n", ["mine/x.yml:", "not closed"]),
        ("job: {}\n", ["roles/x.yml:9:1", "belong together"]),
    ] {
        let said = over(text);
        assert!(says.iter().all(|s| said.contains(s)), "{text}: {said}");
    }
    let both = [
        layer("roles", "nonsense: 1\n"),
        RoleLayer { root: "roles".into(), files: BTreeMap::from([("y.yml".into(), "\t".into())]) },
    ];
    let said = Catalogue::load(&both, BTreeMap::new()).unwrap_err().to_string();
    assert!(said.contains("roles/x.yml") && said.contains("roles/y.yml"), "{said}");
}
