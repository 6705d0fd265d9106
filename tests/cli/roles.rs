//! Mistakes in role files: file, line and column, all of them together.

use crate::{Stage, text};

#[test]
fn mistakes_in_role_files_are_shown_where_they_stand() {
    let stage = Stage::new();
    stage.write("good.yml", crate::GOOD.as_bytes());
    stage.write("mine/api.yml", b"# ours\nreplicas: {per_nod: 2}\n");
    stage.write("mine/portal.yml", b"variables:\n  PORTAL_TYPE:\n    type: enum\n    secrt: true\n");
    stage.write("mine/own.yml", b"service: own\ndoc: [\n");
    let validate = ["inventory", "validate", "-i", "good.yml", "--roles", "mine"];
    let output = stage.tool(&validate, &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for piece in ["--> mine/api.yml:2:1", "did you mean `per_node`?", "--> mine/own.yml:"] {
        assert!(said.contains(piece), "no `{piece}`: {said}");
    }
    // Declarations are read once the files are right.
    stage.write("mine/api.yml", b"replicas: {per_node: 2}\n");
    std::fs::remove_file(stage.write("mine/own.yml", b"")).unwrap();
    stage.write("mine/db.yml", b"variables:\n  INIT_MINIMUM_PASSWORD_LENGTH:\n    default: many\n    since: soon\n");
    let said = text(&stage.tool(&validate, &[]));
    for piece in [
        "variable `PORTAL_TYPE`: unknown key `secrt`",
        "--> mine/portal.yml:4:5",
        "did you mean `secret`?",
        "--> mine/db.yml:4:5",
        "`since` is `soon`",
        "2 errors",
    ] {
        assert!(said.contains(piece), "no `{piece}`: {said}");
    }
    // The control: the same folder without the mistakes.
    stage.write("mine/portal.yml", b"variables:\n  PORTAL_TYPE:\n    secret: false\n");
    stage.write("mine/db.yml", b"variables:\n  INIT_MINIMUM_PASSWORD_LENGTH:\n    default: \"12\"\n");
    let said = text(&stage.tool(&validate, &[]));
    assert!(said.contains("nothing wrong found"), "{said}");
    let said = text(
        &stage.tool(&["explain", "infra1", "INIT_MINIMUM_PASSWORD_LENGTH", "-i", "good.yml", "--roles", "mine"], &[]),
    );
    assert!(said.contains("mine/db.yml:3:5"), "{said}");
}
