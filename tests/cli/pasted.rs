//! Lines written for Ansible: the command that is meant, to the letter.

use crate::{Stage, text};

/// What is typed after our name, and what the answer says to type.
const LINES: &[(&[&str], &str)] = &[
    // The vendor's document, word for word.
    (
        &["ansible-playbook", "-i", "inventory.yml", "playbooks/reemo-infra.yml", "–tags", "db"],
        "apply -i inventory.yml --tags db",
    ),
    (
        &["ansible-playbook", "-i", "inventory.yml", "playbooks/reemo-infra.yml", "--extra-vars", "INIT_DB=true"],
        "apply -i inventory.yml --extra-vars INIT_DB=true",
    ),
    (
        &[
            "ansible-playbook",
            "-i",
            "inventory.yml",
            "playbooks/reemo-infra.yml",
            "--tags",
            "maintenance",
            "--extra-vars",
            "MAINTENANCE_ENABLE=true",
        ],
        "apply -i inventory.yml --tags maintenance --extra-vars MAINTENANCE_ENABLE=true",
    ),
    (
        &["ansible", "infra_manager", "-i", "inventory.yml", "-m", "shell", "-a", "grep ' 500 [0-9]' /var/log/syslog"],
        "exec infra_manager -i inventory.yml -- 'grep '\\'' 500 [0-9]'\\'' /var/log/syslog'",
    ),
    // Parts of it.
    (&["apply", "-i", "inventory.yml", "reemo-infra.yml"], "apply -i inventory.yml"),
    (&["apply", "-i", "inventory.yml", "–tags=db"], "apply -i inventory.yml --tags=db"),
    (&["plan", "–i", "inventory.yml", "—limit", "web"], "plan -i inventory.yml --limit web"),
    (&["-i", "inventory.yml", "playbooks/reemo-infra.yml"], "apply -i inventory.yml"),
    (&["sudo", "ansible-playbook", "−i", "i.yml", "p.yml", "-b"], "apply -i i.yml -b"),
    (&["/usr/bin/ansible-playbook", "-i", "i.yml", "p.yml", "-C"], "apply -i i.yml -C"),
    (
        &["apply", "-i", "i.yml", "--extra-vars", "“INIT_DB=true", "INSTALL_DOCKER=true”"],
        "apply -i i.yml --extra-vars 'INIT_DB=true INSTALL_DOCKER=true'",
    ),
    (&["ansible-inventory", "-i", "i.yml", "–list"], "inventory -i i.yml --list"),
    (
        &[
            "ansible-playbook",
            "-i",
            "inventory.yml",
            "playbooks/reemo-infra-images.yml",
            "--extra-vars",
            "INSTALL_DOCKER=true",
        ],
        "images -i inventory.yml --extra-vars INSTALL_DOCKER=true",
    ),
    // group_vars of a playbook that stands elsewhere are not forgotten.
    (&["ansible-playbook", "-i", "i.yml", "site/reemo.yml"], "apply -i i.yml --playbook-dir site"),
];

#[test]
fn the_command_that_is_meant_is_printed() {
    let stage = Stage::new();
    stage.write("site/group_vars/all.yml", b"{}\n");
    for (words, meant) in LINES {
        let output = stage.tool(words, &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(5), "{words:?}: {said}");
        assert!(said.contains(&format!("hint: type: reemo-infra {meant}\n")), "{words:?}: {said}");
        assert!(!said.contains("which will say"), "{words:?}: {said}");
        assert_eq!(output.stdout, b"", "{words:?}");
    }
    // What we have no option for is said with it.
    let said = text(&stage.tool(&["ansible-playbook", "-i", "i.yml", "p.yml", "--flush-cache"], &[]));
    assert!(said.contains("type: reemo-infra apply -i i.yml --flush-cache\n"), "{said}");
    assert!(said.contains("which will say: unexpected argument '--flush-cache'"), "{said}");
}

/// What stands behind `--`, or is the value of an option, is nobody's mistake.
#[test]
fn other_lines_are_left_alone() {
    let stage = Stage::new();
    for words in [
        &["exec", "all", "-i", "missing.yml", "--", "echo", "–x", "“quoted”"][..],
        &["apply", "-i", "missing.yml", "-e", "@vars.yml"],
        &["inventory", "validate", "-i", "missing.yml"],
    ] {
        let said = text(&stage.tool(words, &[]));
        assert!(!said.contains("written for Ansible") && said.contains("cannot read"), "{words:?}: {said}");
    }
    assert!(stage.tool(&["--version"], &[]).status.success());
}
