//! `vault` and the flags of vault passwords, through the real binary. `tests/vault` has files the real
//! `ansible-vault` (ansible-core 2.19.14) made; where that program is found, in PATH or in
//! `REEMO_ANSIBLE_VAULT`, both programs also read each other's files.

// What could not be asked must be seen.
#![allow(clippy::print_stderr)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with the passwords, and nothing of the user who runs the tests.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Stage {
        let stage = Stage(tempfile::tempdir().unwrap());
        for name in ["first.pw", "dev.pw", "eleven.vault", "twelve.vault", "bytes.vault", "empty.vault"] {
            let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault").join(name);
            stage.write(name, fs::read(recorded).unwrap());
        }
        fs::create_dir(stage.path("run")).unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.write(name, format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Our program, without a terminal.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.arg("-w").arg(env!("CARGO_BIN_EXE_reemo-infra")).args(args);
        self.at_home(&mut command);
        command
    }

    fn at_home(&self, command: &mut Command) {
        command.current_dir(self.0.path()).env_clear().env("HOME", self.0.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Where `edit` has its files: to be looked at.
        command.env("XDG_RUNTIME_DIR", self.path("run"));
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it prints when all is well.
    fn prints(&self, args: &[&str]) -> Vec<u8> {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        output.stdout
    }

    /// What it says when something is wrong.
    fn says(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        text(&output)
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    fn nothing_plain_is_left(&self) {
        let left: Vec<_> = fs::read_dir(self.path("run")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn given(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

const FIRST: [&str; 2] = ["--vault-password-file", "first.pw"];

#[test]
fn files_of_the_real_tool_open() {
    let stage = Stage::new();
    let decrypt = |file: &str, id: &str| stage.prints(&["vault", "decrypt", file, "--output", "-", "--vault-id", id]);
    assert_eq!(decrypt("eleven.vault", "first.pw"), "größe: 1\nsecond: line\n".as_bytes());
    assert_eq!(decrypt("twelve.vault", "dev@dev.pw"), b"of: dev\n");
    assert_eq!(decrypt("bytes.vault", "other@first.pw"), (0..=255).collect::<Vec<u8>>());
    assert_eq!(decrypt("empty.vault", "first.pw"), b"");
    let both =
        stage.prints(&["vault", "view", "twelve.vault", "eleven.vault", "--vault-id", "dev.pw", FIRST[0], FIRST[1]]);
    assert_eq!(both, "of: dev\ngröße: 1\nsecond: line\n".as_bytes());
}

#[test]
fn what_is_written_is_private_and_whole() {
    let stage = Stage::new();
    let plain = stage.write("f.yml", "a: 1\n");
    stage.prints(&["vault", "encrypt", "f.yml", "--vault-id", "dev@dev.pw"]);
    let sealed = fs::read_to_string(&plain).unwrap();
    assert!(sealed.starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"), "{sealed}");
    assert_eq!(stage.mode("f.yml"), 0o600);
    let again = stage.says(3, &["vault", "encrypt", "f.yml", "--vault-id", "dev@dev.pw"]);
    assert!(again.contains("encrypted already"), "{again}");
    // Another password, the same owner and mode.
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
    let old = ["vault", "rekey", "f.yml", "--vault-id", "dev@dev.pw"];
    stage.prints(&[&old[..], &["--new-vault-password-file", "first.pw"]].concat());
    assert!(fs::read_to_string(&plain).unwrap().starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    assert_eq!(stage.mode("f.yml"), 0o640);
    // One that does not open leaves all as they are.
    let before = fs::read(&plain).unwrap();
    let new = ["vault", "rekey", "f.yml", "twelve.vault", "--new-vault-id", "dev@dev.pw"];
    let said = stage.says(3, &[&new[..], &FIRST].concat());
    assert!(said.contains("twelve.vault:1:1") && said.contains("its vault id is `dev`"), "{said}");
    assert_eq!(fs::read(&plain).unwrap(), before);
    // A link is followed; `decrypt` writes with mode 0600, as the real one.
    std::os::unix::fs::symlink("f.yml", stage.path("link")).unwrap();
    stage.prints(&[&["vault", "decrypt", "link"][..], &FIRST].concat());
    assert_eq!((fs::read(&plain).unwrap(), stage.mode("f.yml")), (b"a: 1\n".to_vec(), 0o600));
    assert!(fs::symlink_metadata(stage.path("link")).unwrap().is_symlink());
    let said = stage.says(3, &[&["vault", "view", "f.yml"][..], &FIRST].concat());
    assert!(said.contains("is not encrypted"), "{said}");
}

#[test]
fn standard_input_and_strings() {
    let stage = Stage::new();
    let sealed = given(stage.command(&[&["vault", "encrypt"][..], &FIRST].concat()), "over a pipe");
    let opened = given(stage.command(&[&["vault", "decrypt", "-"][..], &FIRST].concat()), &text(&sealed));
    assert_eq!(opened.stdout, b"over a pipe");
    let args = ["vault", "encrypt_string", "--stdin-name", "PW", "--vault-id", "dev@dev.pw"];
    let block = given(stage.command(&args), "hunter2 from a pipe");
    let block = String::from_utf8(block.stdout).unwrap();
    assert!(block.starts_with("PW: !vault |\n          $ANSIBLE_VAULT;1.2;AES256;dev\n          "), "{block}");
    // As it stands, it is part of a vars file.
    stage.write("vars.yml", &block);
    let args = ["inventory", "-i", "h,", "-e", "@vars.yml", "--graph", "--vars", "--vault-id", "dev@dev.pw"];
    let graph = String::from_utf8(stage.prints(&args)).unwrap();
    assert!(graph.contains("{PW = hunter2 from a pipe}"), "{graph}");
    let two = stage.run(&[&["vault", "encrypt-string", "one", "two", "-n", "A"][..], &FIRST].concat());
    let out = String::from_utf8(two.stdout).unwrap();
    assert!(out.starts_with("A: !vault |\n") && out.contains("\n!vault |\n") && out.ends_with('\n'), "{out}");
    let said = String::from_utf8(two.stderr).unwrap();
    assert!(said.contains("# The encrypted version of variable (\"A\", the string #1 from the command line args).\n"));
    assert!(said.contains("other users of this machine"), "{said}");
}

#[test]
fn where_passwords_come_from() {
    let stage = Stage::new();
    let view = |args: &[&str]| stage.prints(&[&["vault", "view", "twelve.vault"], args].concat());
    stage.script("say.sh", "echo 'developer pass'");
    stage.script("the-client.sh", "[ \"$1 $2\" = '--vault-id dev' ] || exit 2; echo 'developer pass'; echo noise >&2");
    stage.script("fails", "echo 'no such thing' >&2; exit 1");
    assert_eq!(view(&["--vault-password-file", "say.sh"]), b"of: dev\n");
    assert_eq!(view(&["--vault-pass-file", "~/say.sh"]), b"of: dev\n");
    assert_eq!(view(&["--vault-id", "dev@the-client.sh"]), b"of: dev\n");
    let said = stage.says(3, &["vault", "view", "twelve.vault", "--vault-id", "prod@the-client.sh"]);
    assert!(said.contains("knows no password for the id `prod`") && !said.contains("noise"), "{said}");
    let said = stage.says(3, &["vault", "view", "twelve.vault", "--vault-password-file", "fails"]);
    assert!(said.contains("ended with exit status: 1"), "{said}");
    // One that fails is warned of while another is there.
    let output = stage.run(&["vault", "view", "twelve.vault", "--vault-id", "a@fails", "--vault-id", "dev@dev.pw"]);
    assert!(output.status.success() && text(&output).contains("[WARNING]"), "{}", text(&output));
    // A password in a vault, opened by one that stands before it.
    stage.write("inner.pw", "developer pass");
    stage.prints(&[&["vault", "encrypt", "inner.pw"][..], &FIRST].concat());
    assert_eq!(view(&["--vault-id", "first.pw", "--vault-id", "dev@inner.pw"]), b"of: dev\n");
    // Asked for: without a terminal, a line of standard input.
    let asked = given(stage.command(&["vault", "view", "twelve.vault", "-J"]), "developer pass\n");
    assert_eq!(asked.stdout, b"of: dev\n", "{}", text(&asked));
    let said = stage.says(3, &["vault", "view", "twelve.vault", "--ask-vault-pass"]);
    assert!(said.contains("no terminal to ask"), "{said}");
    stage.says(5, &["vault", "view", "twelve.vault", "-J", "--vault-password-file", "dev.pw"]);
    stage.write("empty.pw", "\n \n");
    for (source, piece) in [("no.pw", "No such file"), ("run", "is a directory"), ("empty.pw", "holds no password")] {
        let said = stage.says(3, &["vault", "view", "twelve.vault", "--vault-password-file", source]);
        assert!(said.contains(piece), "{said}");
    }
}

#[test]
fn the_environment_is_read_as_ansible_does() {
    let stage = Stage::new();
    let view = |file: &str, set: &[(&str, &str)]| {
        let mut command = stage.command(&["vault", "view", file]);
        command.envs(set.iter().copied());
        command.output().unwrap()
    };
    assert_eq!(view("eleven.vault", &[("ANSIBLE_VAULT_PASSWORD_FILE", "~/first.pw")]).stdout.len(), 24);
    let both = ("ANSIBLE_VAULT_IDENTITY_LIST", "one@first.pw, two@dev.pw");
    assert_eq!(view("twelve.vault", &[both]).stdout, b"of: dev\n");
    let strict = view("twelve.vault", &[both, ("ANSIBLE_VAULT_ID_MATCH", "true")]);
    assert_eq!(strict.status.code(), Some(3));
    assert!(text(&strict).contains("has the id `dev`"), "{}", text(&strict));
    let strict = [("ANSIBLE_VAULT_IDENTITY_LIST", "dev@dev.pw"), ("ANSIBLE_VAULT_ID_MATCH", "true")];
    assert_eq!(view("twelve.vault", &strict).stdout, b"of: dev\n");
    // Which of two encrypts must be said.
    stage.write("f", "x");
    let two = ["vault", "encrypt", "f", "--vault-id", "a@first.pw", "--vault-id", "b@dev.pw"];
    assert!(stage.says(5, &two).contains("`a`, `b`"));
    assert!(stage.says(5, &[&two[..], &["--encrypt-vault-id", "c"]].concat()).contains("for the id `c`"));
    assert!(stage.command(&two).env("ANSIBLE_VAULT_ENCRYPT_IDENTITY", "b").status().unwrap().success());
    assert!(fs::read_to_string(stage.path("f")).unwrap().starts_with("$ANSIBLE_VAULT;1.2;AES256;b\n"));
}

#[test]
fn edit_changes_the_file_and_leaves_nothing() {
    let stage = Stage::new();
    let file = stage.write("f.yml", fs::read(stage.path("twelve.vault")).unwrap());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let edit = |editor: &str| {
        let mut command = stage.command(&["vault", "edit", "f.yml", "--vault-id", "x@dev.pw"]);
        command.env("EDITOR", editor).output().unwrap()
    };
    let before = fs::read(&file).unwrap();
    assert!(edit("true").status.success());
    assert_eq!(fs::read(&file).unwrap(), before, "unchanged means untouched");
    let failed = edit("sh -c 'echo half >> $0; exit 3'");
    assert_eq!((failed.status.code(), fs::read(&file).unwrap()), (Some(2), before), "{}", text(&failed));
    // What the editor sees: a private file with the same ending; its arguments and environment hold no password.
    stage.script("editor", "stat -c '%a %n' \"$1\" \"${1%/*}\" > seen; env > env; tr '\\0' ' ' < /proc/$PPID/cmdline >> env; cp \"$1\" \"$1~\"; echo more: 1 >> \"$1\"");
    let done = edit(&format!("{} ", stage.path("editor").display()));
    assert!(done.status.success(), "{}", text(&done));
    let seen = fs::read_to_string(stage.path("seen")).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with("600 ") && lines[0].ends_with(".yml") && lines[1].starts_with("700 "), "{seen}");
    let known = fs::read_to_string(stage.path("env")).unwrap();
    assert!(known.contains("vault edit f.yml") && !known.contains("developer pass"), "{known}");
    stage.nothing_plain_is_left();
    assert_eq!(stage.mode("f.yml"), 0o644);
    assert!(fs::read_to_string(&file).unwrap().starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
    assert_eq!(stage.prints(&["vault", "view", "f.yml", "--vault-id", "dev.pw"]), b"of: dev\nmore: 1\n");
    // `create` wants a terminal, or to be told that none is needed.
    let create = ["vault", "create", "new/g.yml", FIRST[0], FIRST[1]];
    assert!(stage.says(5, &create).contains("no terminal"));
    let mut command = stage.command(&[&create[..], &["--skip-tty-check"]].concat());
    assert!(command.env("EDITOR", "sh -c 'echo new > $0'").status().unwrap().success());
    assert_eq!(stage.mode("new/g.yml"), 0o600);
    assert_eq!(stage.prints(&[&["vault", "view", "new/g.yml"][..], &FIRST].concat()), b"new\n");
    assert!(stage.says(5, &[&create[..], &["--skip-tty-check"]].concat()).contains("exists already"));
}

/// Waits until the editor says on our standard output that it runs, then sends a signal.
fn interrupted(stage: &Stage, signal: &str, group: bool) -> i32 {
    let mut command = stage.command(&["vault", "edit", "twelve.vault", "--vault-id", "dev.pw"]);
    command.env("EDITOR", "sh -c 'echo ready; exec sleep 600'").stdout(Stdio::piped());
    let mut child: Child = command.spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert!(fs::read_dir(stage.path("run")).unwrap().count() == 1, "the plain text is there meanwhile");
    // `setsid` became the program, which leads a group of its own.
    let target = format!("{}{}", if group { "-" } else { "" }, child.id());
    assert!(Command::new("kill").args([&format!("-{signal}"), "--", &target]).status().unwrap().success());
    child.wait().unwrap().code().unwrap_or(-1)
}

#[test]
fn an_interrupted_edit_leaves_nothing() {
    let stage = Stage::new();
    let before = fs::read(stage.path("twelve.vault")).unwrap();
    // ^C reaches the whole group; the end of the session, or an operator, the program alone.
    for (signal, group) in [("INT", true), ("TERM", false), ("HUP", true)] {
        assert_eq!(interrupted(&stage, signal, group), 130, "{signal}");
        stage.nothing_plain_is_left();
        assert_eq!(fs::read(stage.path("twelve.vault")).unwrap(), before);
    }
}

/// An inventory of a platform with one value for each thing that can be wrong.
fn site(stage: &Stage, portal_type: &str, common: &str) {
    stage.write(
        "site/inventory.yml",
        format!(
            "all:\n  vars:\n    API_LICENSE: \"eyJhIjogMX0=\"\n\ninfra_manager:\n  vars:\n    PORTAL_URL: portal.example.org\n    PORTAL_TYPE: {portal_type}\n  hosts:\n    h1: {{ansible_host: 192.0.2.1}}\n"
        ),
    );
    stage.write("site/group_vars/all.yml", common);
}

#[test]
fn values_of_vaults_are_not_shown() {
    let stage = Stage::new();
    let sealed = |plain: &str| {
        let output = given(stage.command(&[&["vault", "encrypt-string", "-"][..], &FIRST].concat()), plain);
        String::from_utf8(output.stdout).unwrap()
    };
    let validate = ["inventory", "validate", "-i", "site/inventory.yml", FIRST[0], FIRST[1]];
    let inline = sealed("hunter2-inline");
    // A wrong value: what is said about it does not show it. In the open it is shown.
    site(&stage, "hunter2-open", "---\n");
    assert!(stage.says(3, &validate).contains("hunter2-open"));
    site(&stage, inline.trim_end(), "---\n");
    let said = stage.says(3, &validate);
    assert!(said.contains("PORTAL_TYPE") && said.contains("site/inventory.yml:8:18"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // The same through another variable, and from a file that is a vault as a whole.
    stage.write("all.yml", "inner: hunter2-whole\nnot yaml: [\n");
    stage.prints(&[&["vault", "encrypt", "all.yml"][..], &FIRST].concat());
    let broken = fs::read_to_string(stage.path("all.yml")).unwrap();
    site(&stage, "user", &broken);
    let said = stage.says(3, &validate);
    assert!(said.contains("site/group_vars/all.yml:") && said.contains("vault view site/group_vars/all.yml"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("not yaml"), "{said}");
    stage.write("all.yml", "inner: hunter2-whole\n");
    stage.prints(&[&["vault", "encrypt", "all.yml"][..], &FIRST].concat());
    let whole = fs::read_to_string(stage.path("all.yml")).unwrap();
    site(&stage, "\"x-{{ inner }}\"", &whole);
    let said = stage.says(3, &validate);
    assert!(said.contains("PORTAL_TYPE") && !said.contains("hunter2"), "{said}");
    // A right one is read, and used where it would be used in the open.
    let right = sealed("admin");
    site(&stage, right.trim_end(), &whole);
    let output = stage.run(&validate);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn what_stays_closed_is_said_before_any_connection() {
    let stage = Stage::new();
    let inline = "!vault |\n      $ANSIBLE_VAULT;1.2;AES256;prod\n      6162\n";
    let vault = fs::read_to_string(stage.path("eleven.vault")).unwrap();
    site(&stage, "user", &vault);
    // `plan` would connect: the address is one that nobody has, and the answer comes at once.
    let plan = ["plan", "-i", "site/inventory.yml", "-T", "600"];
    let said = stage.says(3, &plan);
    assert!(said.contains("site/group_vars/all.yml:1:1") && said.contains("no vault password was given"), "{said}");
    assert!(said.contains("--vault-password-file FILE"), "{said}");
    let said = stage.says(3, &[&plan[..], &["--vault-password-file", "dev.pw"]].concat());
    assert!(said.contains("the vault password `default` does not open it"), "{said}");
    let damaged = vault.replacen("\n6", "\n6 ", 1).replacen("\n3", "\n3 ", 1);
    site(&stage, "user", &damaged);
    let said = stage.says(3, &[&plan[..], &FIRST].concat());
    assert!(said.contains("site/group_vars/all.yml:2:2") && said.contains("damaged vault"), "{said}");
    site(&stage, inline.trim_end(), "---\n");
    let said = stage.says(3, &[&plan[..], &FIRST].concat());
    assert!(said.contains("site/inventory.yml:8:18") && said.contains("line 2, column 5 of the vault"), "{said}");
    // `--list` does not need to open it.
    let list = stage.prints(&["inventory", "-i", "site/inventory.yml", "--list"]);
    assert!(String::from_utf8_lossy(&list).contains("\"__ansible_vault\""));
}

/// The real program, if there is one.
fn real() -> Option<PathBuf> {
    let named = std::env::var_os("REEMO_ANSIBLE_VAULT").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|dir| dir.join("ansible-vault")).find(|p| p.is_file()));
    if found.is_none() {
        eprintln!("SKIPPED: no ansible-vault in PATH nor in REEMO_ANSIBLE_VAULT: only recorded files were read");
    }
    found
}

#[test]
fn the_real_tool_and_this_one_read_each_other() {
    let Some(real) = real() else { return };
    let stage = Stage::new();
    let theirs = |args: &[&str]| {
        let mut command = Command::new(&real);
        stage.at_home(command.args(args));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        output.stdout
    };
    let long = "größe\n".repeat(300);
    let contents: [&[u8]; 4] = [b"", b"a: 1\n", &[0, 255, 10, 13], long.as_bytes()];
    for (number, content) in contents.into_iter().enumerate() {
        let id = ["default@first.pw", "dev@dev.pw"][number % 2];
        let (ours, other) = (stage.write("ours", content), stage.write("theirs", content));
        stage.prints(&["vault", "encrypt", "ours", "--vault-id", id]);
        theirs(&["encrypt", "theirs", "--vault-id", id]);
        let first = |path: &Path| fs::read_to_string(path).unwrap().lines().next().map(str::to_owned);
        assert_eq!(first(&ours), first(&other));
        assert_eq!(fs::metadata(&ours).unwrap().len(), fs::metadata(&other).unwrap().len());
        assert_eq!(theirs(&["decrypt", "ours", "--output", "-", "--vault-id", id]), content);
        assert_eq!(stage.prints(&["vault", "decrypt", "theirs", "--output", "-", "--vault-id", id]), content);
    }
    // Other passwords, both ways.
    let new = ["--vault-id", "dev@dev.pw", "--new-vault-id", "prod@first.pw"];
    stage.prints(&[&["vault", "rekey", "theirs"][..], &new].concat());
    assert!(theirs(&["view", "theirs", "--vault-id", "prod@first.pw"]).starts_with("größe".as_bytes()));
    theirs(&[&["rekey", "ours"][..], &new].concat());
    assert!(stage.prints(&["vault", "view", "ours", "--vault-id", "prod@first.pw"]).starts_with("größe".as_bytes()));
    let block = given(stage.command(&[&["vault", "encrypt-string"][..], &FIRST].concat()), "in a value");
    let lines: String = text(&block).lines().skip(1).map(|line| format!("{}\n", line.trim())).collect();
    stage.write("value", lines);
    assert_eq!(theirs(&[&["decrypt", "value", "--output", "-"][..], &FIRST].concat()), b"in a value");
}
