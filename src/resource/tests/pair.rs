//! A certificate and its key that lie on a host: looked at and copied on this machine, by its own shells.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use reemo_model::change::Verdict;
use reemo_model::op::Op;
use reemo_resource::host::{HostObservation, HostResource, Pair, observe_plan};
use reemo_resource::probe::{parse, script};
use support::{run, shells};

const MARK: &str = "x7Qd02kLmZp9";

fn openssl(folder: &Path, name: &str) {
    let line = format!("req -x509 -nodes -days 9 -subj /CN={name} -newkey rsa:2048 -keyout {name}.key -out {name}.crt");
    let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn observe(shell: &[&str], pair: &HostResource) -> HostObservation {
    let stream = run(shell, &script(&observe_plan(std::slice::from_ref(pair)), MARK));
    HostObservation::parse(&parse(&stream, MARK).unwrap()).unwrap()
}

fn verdict(shell: &[&str], pair: &HostResource) -> Verdict {
    let seen = observe(shell, pair);
    let os = reemo_resource::os::Os::of(&seen.facts.os).expect("a distribution that is known");
    pair.diff(&seen, &os)
}

/// Runs what the verdict says; tells whether it went well.
fn act(verdict: &Verdict) -> bool {
    let Verdict::Change(change) = verdict else { panic!("{verdict:?}") };
    let [Op::Exec(exec)] = &change.ops[..] else { panic!("{change:?}") };
    let shown = format!("{:?}", change.fields);
    assert!(!shown.contains("PRIVATE") && shown.contains("‹secret›"), "{shown}");
    Command::new(&exec.argv[0]).args(&exec.argv[1..]).output().unwrap().status.success()
}

#[test]
fn copied_where_it_is_read_and_noticed_when_it_changes() {
    for shell in shells() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let pair = Pair {
            from_cert: at("live 'it'.crt"),
            from_key: at("live.key"),
            cert: at("0.crt"),
            key: at("0.key"),
            touch: at("common.yml"),
        };
        let resource = HostResource::Pair(pair.clone());
        let absent = verdict(&shell, &resource);
        assert!(matches!(&absent, Verdict::Refused { why, .. } if why.contains("is not there")), "{absent:?}");

        // As certbot leaves them: links.
        openssl(folder.path(), "one");
        openssl(folder.path(), "two");
        let link = |name: &str| {
            for (from, end) in [(&pair.from_cert, "crt"), (&pair.from_key, "key")] {
                let _ = fs::remove_file(from);
                symlink(at(&format!("{name}.{end}")), from).unwrap();
            }
        };
        link("one");
        let seen = observe(&shell, &resource);
        let found = seen.pairs.get(&pair.place()).unwrap();
        assert_eq!(found.certificate.as_deref(), Ok(&fs::read(at("one.crt")).unwrap()[..]));
        assert!(found.public.starts_with("ssh-rsa "), "{found:?}");
        let first = verdict(&shell, &resource);
        assert!(act(&first));
        let same = |of: &str| {
            for end in ["crt", "key"] {
                assert_eq!(fs::read(at(&format!("0.{end}"))).unwrap(), fs::read(at(&format!("{of}.{end}"))).unwrap());
            }
        };
        same("one");
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("0.crt"), mode("0.key")), (0o644, 0o600));
        assert!(!Path::new(&pair.touch).exists(), "what is not there is not made");
        assert_eq!(verdict(&shell, &resource), Verdict::Unchanged);

        fs::write(&pair.touch, "").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(&pair.touch).unwrap().set_modified(long_ago).unwrap();
        link("two");
        let second = verdict(&shell, &resource);
        // Somebody is faster: what was not looked at is not copied.
        link("one");
        assert!(!act(&second));
        same("one");
        link("two");
        assert!(act(&second));
        same("two");
        assert_ne!(fs::metadata(&pair.touch).unwrap().modified().unwrap(), long_ago, "its reader is told");
        assert_eq!(verdict(&shell, &resource), Verdict::Unchanged);
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 9, "nothing half-made stays");

        fs::set_permissions(at("0.key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(verdict(&shell, &resource), Verdict::Change(_)), "a key that others may read");
    }
}

#[test]
fn what_is_no_pair() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    openssl(folder.path(), "one");
    let pair = |cert: &str, key: &str| Pair {
        from_cert: cert.to_owned(),
        from_key: key.to_owned(),
        cert: at("0.crt"),
        key: at("0.key"),
        touch: at("common.yml"),
    };
    let said = |pair: Pair| verdict(&["sh"], &HostResource::Pair(pair));
    for (bad, piece) in [
        (pair(&at("."), &at("one.key")), "/."),
        (pair(folder.path().to_str().unwrap(), &at("one.key")), "is no file"),
        (pair(&at("one.crt"), &at("none")), "is not there"),
        (pair("relative", &at("one.key")), "not absolute"),
    ] {
        let said = said(bad);
        assert!(matches!(&said, Verdict::Refused { why, .. } if why.contains(piece)), "{piece}: {said:?}");
    }
    fs::write(at("large"), vec![b'x'; 70_000]).unwrap();
    let said = said(pair(&at("large"), &at("one.key")));
    assert!(matches!(&said, Verdict::Refused { why, .. } if why.contains("too large")), "{said:?}");
    // A key with a passphrase has no public half that could be told: nobody is asked for one.
    let sealed = ["pkey", "-in", "one.key", "-aes256", "-passout", "pass:x", "-out", "sealed.key"];
    assert!(Command::new("openssl").args(sealed).current_dir(folder.path()).output().unwrap().status.success());
    let sealed = pair(&at("one.crt"), &at("sealed.key"));
    let seen = observe(&["sh"], &HostResource::Pair(sealed.clone()));
    assert_eq!(seen.pairs.get(&sealed.place()).unwrap().public, "");
}
