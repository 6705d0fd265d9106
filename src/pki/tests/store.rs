//! The store, from outside: what is on disk, what stays the same, what OpenSSL says about it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::{Timestamp, ToSpan};
use reemo_model::secret::Secret;
use reemo_pki::{Kind, Leaf, Origin, Passphrase, PkiError, Reason, State, Store};
use tempfile::TempDir;

fn now() -> Timestamp {
    Timestamp::now()
}

fn days(count: i64) -> Timestamp {
    now() + (count * 24).hours()
}

fn given(text: &str) -> Passphrase {
    Passphrase::Given(Secret::new(text))
}

struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Site {
        Site { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    fn key_file(&self) -> Passphrase {
        Passphrase::KeyFile(self.folder.path().join("config/reemo-infra/pki.key"))
    }

    fn create(&self) -> Store {
        Store::create(&self.path(), &self.key_file(), now()).unwrap()
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), &self.key_file()).unwrap()
    }

    /// Every path below, with mode and content.
    fn tree(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut all = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.metadata().unwrap();
                let content = if kind.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
                if kind.is_dir() {
                    folders.push(path.clone());
                }
                all.push((path, kind.permissions().mode() & 0o7777, content));
            }
        }
        all.sort();
        all
    }
}

fn kind<T>(result: Result<T, PkiError>) -> Kind {
    result.err().expect("an error").kind
}

fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("openssl runs")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn leaf(store: &Store, names: &[&str]) -> Leaf {
    let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    store.leaf("reemo_api", &names, now()).unwrap()
}

#[test]
fn only_create_creates() {
    let site = Site::new();
    assert!(!Store::exists(&site.path()));
    assert_eq!(kind(Store::open(&site.path(), &site.key_file())), Kind::Absent);
    assert!(site.tree().is_empty(), "opening touches nothing");

    let fingerprint = site.create().ca_fingerprint();
    assert!(Store::exists(&site.path()));
    assert_eq!(kind(Store::create(&site.path(), &site.key_file(), now())), Kind::Exists);
    assert_eq!(site.open().ca_fingerprint(), fingerprint);
}

#[test]
fn private_from_birth() {
    let site = Site::new();
    leaf(&site.create(), &[]);
    for (path, mode, content) in site.tree() {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
        let content = String::from_utf8(content).unwrap();
        assert!(!content.contains("BEGIN PRIVATE KEY"), "{}", path.display());
        assert!(
            path.extension().is_none_or(|e| e != "key")
                || path.ends_with("pki.key")
                || content.contains("BEGIN ENCRYPTED PRIVATE KEY")
        );
    }
    let names: Vec<_> = site.tree().into_iter().map(|(path, ..)| path.file_name().unwrap().to_owned()).collect();
    for wanted in ["ca.crt", "ca.key", "site.key", "reemo_api.crt", "reemo_api.key", "pki.key"] {
        assert!(names.iter().any(|n| n == wanted), "{wanted} in {names:?}");
    }
    assert_eq!(names.len(), 11, "and no leftovers: {names:?}");
}

#[test]
fn wrong_passphrase_says_so() {
    let site = Site::new();
    Store::create(&site.path(), &given("correct horse battery"), now()).unwrap();
    assert!(Store::open(&site.path(), &given("correct horse battery")).is_ok());
    for wrong in ["correct horse batterx", "wrong-guess"] {
        let error = Store::open(&site.path(), &given(wrong)).err().unwrap();
        assert_eq!(error.kind, Kind::Passphrase);
        assert!(!error.hint.is_empty() && !error.to_string().contains(wrong), "{error}");
    }
    assert_eq!(kind(Store::open(&site.path(), &given(""))), Kind::Passphrase);
    assert_eq!(
        kind(Store::open(&site.path(), &site.key_file())),
        Kind::Passphrase,
        "a key file is not made on opening"
    );
    assert!(!site.folder.path().join("config").exists());
}

#[test]
fn passphrase_files() {
    let site = Site::new();
    let file = site.folder.path().join("passphrase");
    fs::write(&file, "correct horse battery\n").unwrap();
    Store::create(&site.path(), &Passphrase::File(file), now()).unwrap();
    assert!(Store::open(&site.path(), &given("correct horse battery")).is_ok());

    let other = Site::new();
    other.create();
    let Passphrase::KeyFile(path) = other.key_file() else { unreachable!() };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(kind(Store::open(&other.path(), &other.key_file())), Kind::Passphrase);
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    let site = Site::new();
    site.create();
    fs::write(site.path().join("site.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n").unwrap();
    assert_eq!(kind(Store::open(&site.path(), &site.key_file())), Kind::Damaged);
    fs::remove_file(site.path().join("site.key")).unwrap();
    assert_eq!(kind(Store::open(&site.path(), &site.key_file())), Kind::Damaged);
    assert_eq!(
        kind(Store::create(&site.path(), &site.key_file(), now())),
        Kind::Exists,
        "half a store is not overwritten"
    );
}

#[test]
fn openssl_agrees() {
    let site = Site::new();
    let store = Store::create(&site.path(), &given("correct horse"), now()).unwrap();
    leaf(&store, &["reemo_api.reemo", "10.0.0.1", "fd00::1", "*.reemo.example"]);
    let (ca, crt) = (site.path().join("ca.crt"), site.path().join("leaves/reemo_api.crt"));
    for purpose in ["sslserver", "sslclient"] {
        let verify = [
            "verify",
            "-x509_strict",
            "-CAfile",
            text(&ca),
            "-purpose",
            purpose,
            "-verify_hostname",
            "reemo_api",
            text(&crt),
        ];
        let output = openssl(&verify);
        assert!(output.status.success(), "{output:?}");
    }
    let ip = openssl(&["verify", "-x509_strict", "-CAfile", text(&ca), "-verify_ip", "fd00::1", text(&crt)]);
    assert!(ip.status.success(), "{ip:?}");
    let other = openssl(&["verify", "-CAfile", text(&ca), "-verify_hostname", "reemo_db", text(&crt)]);
    assert!(!other.status.success(), "positive control: another name is refused");

    for key in ["ca.key", "site.key"] {
        let path = site.path().join(key);
        let opened = openssl(&["pkcs8", "-in", text(&path), "-passin", "pass:correct horse"]);
        assert!(opened.status.success() && opened.stdout.starts_with(b"-----BEGIN PRIVATE KEY-----"), "{opened:?}");
        assert!(!openssl(&["pkcs8", "-in", text(&path), "-passin", "pass:wrong"]).status.success());
    }
    let public = |arguments: &[&str]| openssl(arguments).stdout;
    let of_key =
        public(&["pkey", "-in", text(&site.path().join("ca.key")), "-passin", "pass:correct horse", "-pubout"]);
    assert_eq!(of_key, public(&["x509", "-in", text(&ca), "-noout", "-pubkey"]));
    assert!(!of_key.is_empty());

    let shown = String::from_utf8(public(&["x509", "-in", text(&ca), "-noout", "-text"])).unwrap();
    for wanted in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Subject Key Identifier", "prime256v1"] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
}

/// The same key file is what an operator without our tool would hand to OpenSSL.
#[test]
fn openssl_reads_with_the_key_file() {
    let site = Site::new();
    site.create();
    let Passphrase::KeyFile(key) = site.key_file() else { unreachable!() };
    let source = format!("file:{}", key.display());
    let output = openssl(&["pkcs8", "-in", text(&site.path().join("ca.key")), "-passin", &source]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_leaf_is_stable_between_runs() {
    let site = Site::new();
    let first = leaf(&site.create(), &["b", "A", "10.0.0.1"]);
    assert_eq!(first.origin, Origin::Issued(Reason::New));
    let before = site.tree();
    let second = leaf(&site.open(), &["10.0.0.1", "a", "b", "b"]);
    assert_eq!(second.origin, Origin::Stored);
    assert_eq!((&second.cert_pem, &second.key, second.not_after), (&first.cert_pem, &first.key, first.not_after));
    assert_eq!(site.tree(), before);
    let left = (second.not_after.as_second() - now().as_second()) as f64 / 86_400.0;
    assert!((823.9..824.1).contains(&left), "{left}");
    let store = site.open();
    assert_eq!(reemo_pki::check_pair(second.cert_pem.as_bytes(), second.key.expose(), Some("reemo_api"), now()), []);
    assert_eq!(store.generated("x"), site.open().generated("x"));
    assert_eq!(store.site_id(), site.open().site_id());
}

#[test]
fn reissued_when_due() {
    let site = Site::new();
    let store = site.create();
    let first = leaf(&store, &[]);
    assert_eq!(store.leaf("reemo_api", &[], days(793)).unwrap().origin, Origin::Stored);
    let renewed = store.leaf("reemo_api", &[], days(795)).unwrap();
    assert_eq!(renewed.origin, Origin::Issued(Reason::Expiring));
    assert_ne!(renewed.key, first.key);
    assert_eq!(store.leaf("reemo_api", &[], days(795)).unwrap().origin, Origin::Stored);

    let renamed = store.leaf("reemo_api", &["extra".into()], days(795)).unwrap();
    assert_eq!(renamed.origin, Origin::Issued(Reason::NamesChanged));
}

#[test]
fn no_renewal_without_end_under_a_ca_that_ends() {
    let site = Site::new();
    let store = site.create();
    let first = store.leaf("reemo_api", &[], days(3640)).unwrap();
    let again = store.leaf("reemo_api", &[], days(3641)).unwrap();
    assert_eq!(again.origin, Origin::Stored);
    assert_eq!(again.cert_pem, first.cert_pem);
    assert_eq!(kind(store.leaf("other", &[], days(3660))), Kind::Input);
}

#[test]
fn damaged_leaves_are_replaced() {
    let site = Site::new();
    let store = site.create();
    leaf(&store, &[]);
    store.leaf("reemo_db", &[], now()).unwrap();
    let leaves = site.path().join("leaves");
    fs::copy(leaves.join("reemo_db.crt"), leaves.join("reemo_api.crt")).unwrap();
    assert_eq!(leaf(&store, &[]).origin, Origin::Issued(Reason::Damaged));
    fs::copy(leaves.join("reemo_db.key"), leaves.join("reemo_api.key")).unwrap();
    assert_eq!(leaf(&store, &[]).origin, Origin::Issued(Reason::Damaged));
    fs::remove_file(leaves.join("reemo_api.crt")).unwrap();
    assert_eq!(leaf(&store, &[]).origin, Origin::Issued(Reason::Damaged));
    assert_eq!(leaf(&store, &[]).origin, Origin::Stored);
}

#[test]
fn another_ca_means_other_leaves() {
    let site = Site::new();
    let other = Site::new();
    leaf(&site.create(), &[]);
    other.create();
    for file in ["ca.crt", "ca.key"] {
        fs::copy(other.path().join(file), site.path().join(file)).unwrap();
    }
    let Passphrase::KeyFile(ours) = site.key_file() else { unreachable!() };
    let Passphrase::KeyFile(theirs) = other.key_file() else { unreachable!() };
    let mixed = site.open().leaf("reemo_api", &[], now());
    assert_eq!(kind(mixed), Kind::Passphrase, "the new CA's key has another passphrase");
    assert_ne!(fs::read(ours).unwrap(), fs::read(theirs).unwrap());
    let plan = site.open().read_only();
    assert_eq!(plan.leaf("reemo_api", &[], now()).unwrap().origin, Origin::Provisional(Reason::AuthorityChanged));
}

#[test]
fn a_plan_touches_nothing() {
    let site = Site::new();
    let store = Store::ephemeral(None, now()).unwrap();
    let stand_in = leaf(&store, &[]);
    assert!(store.is_provisional());
    assert_eq!(stand_in.origin, Origin::Provisional(Reason::New));
    assert_eq!(leaf(&store, &[]).key, stand_in.key, "the same within a run");
    assert!(site.tree().is_empty());

    let made = site.create();
    leaf(&made, &[]);
    drop(made);
    let before = site.tree();
    let plan = site.open().read_only();
    assert!(!plan.is_provisional());
    assert_eq!(leaf(&plan, &[]).origin, Origin::Stored);
    assert_eq!(leaf(&plan, &["more"]).origin, Origin::Provisional(Reason::NamesChanged));
    assert_eq!(plan.leaf("reemo_db", &[], now()).unwrap().origin, Origin::Provisional(Reason::New));
    assert_eq!(site.tree(), before);

    let seeded = |byte| Store::ephemeral(Some([byte; 32]), now()).unwrap().generated("x");
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
}

#[test]
fn names_that_cannot_be() {
    let store = Store::ephemeral(None, now()).unwrap();
    for service in ["", "../ca", "a/b", ".hidden", "sp ace", &"x".repeat(65)] {
        assert_eq!(kind(store.leaf(service, &[], now())), Kind::Input, "{service:?}");
    }
    assert_eq!(kind(store.leaf("ok", &["ä".into()], now())), Kind::Input);
}

#[test]
fn expiry_of_everything() {
    let site = Site::new();
    let store = site.create();
    leaf(&store, &[]);
    store.leaf("reemo_db", &[], now()).unwrap();
    let list = store.expiry(now()).unwrap();
    assert_eq!(list.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["ca", "reemo_api", "reemo_db"]);
    assert!(list.iter().all(|e| e.state == State::Valid));
    let later = store.expiry(days(800)).unwrap();
    assert_eq!((later[0].state, later[1].state), (State::Valid, State::Due));
    let last = store.expiry(days(3700)).unwrap();
    assert_eq!((last[0].state, last[1].state), (State::Expired, State::Expired));
    assert!(last[1].days_left < 0);
}

#[test]
fn two_processes_agree_on_one_leaf() {
    let site = Site::new();
    site.create();
    let leaves: Vec<Leaf> = std::thread::scope(|scope| {
        let one = || leaf(&site.open(), &[]);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(leaves.iter().all(|l| l.cert_pem == leaves[0].cert_pem && l.key == leaves[0].key));
    assert_eq!(leaves.iter().filter(|l| l.origin == Origin::Issued(Reason::New)).count(), 1);
}

#[test]
fn two_creators_make_one_store() {
    let site = Site::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let one = || Store::create(&site.path(), &site.key_file(), now());
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let winners: Vec<_> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    assert!(results.iter().all(|r| r.as_ref().err().is_none_or(|e| e.kind == Kind::Exists)));
    assert_eq!(site.open().ca_fingerprint(), winners[0].ca_fingerprint());
}

#[test]
fn the_sites_own_ca() {
    let site = Site::new();
    let at = |name: &str| site.folder.path().join(name);
    let run = |arguments: &[&str]| {
        let output = openssl(arguments);
        assert!(output.status.success(), "{output:?}");
    };
    // A root and an intermediate, RSA and P-256, as a company would have them.
    run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=Root",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-days",
        "900",
        "-keyout",
        text(&at("root.key")),
        "-out",
        text(&at("root.crt")),
    ]);
    run(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", text(&at("mid.key"))]);
    run(&["req", "-new", "-key", text(&at("mid.key")), "-subj", "/CN=Mid", "-out", text(&at("mid.csr"))]);
    fs::write(at("ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n").unwrap();
    run(&[
        "x509",
        "-req",
        "-in",
        text(&at("mid.csr")),
        "-CA",
        text(&at("root.crt")),
        "-CAkey",
        text(&at("root.key")),
        "-CAcreateserial",
        "-days",
        "400",
        "-extfile",
        text(&at("ext")),
        "-out",
        text(&at("mid.crt")),
    ]);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    let chain = read("mid.crt") + &read("root.crt");

    let wrong = Store::import(&site.path(), &site.key_file(), &chain, &Secret::new(read("root.key")), now());
    assert_eq!(kind(wrong), Kind::Input);
    assert!(!site.path().exists());

    for (ca, key, sent) in [(chain.clone(), "mid.key", 2), (read("root.crt"), "root.key", 1)] {
        let site = Site::new();
        Store::import(&site.path(), &site.key_file(), &ca, &Secret::new(read(key)), now()).unwrap();
        let issued = leaf(&site.open(), &[]);
        assert_eq!(issued.cert_pem.matches("BEGIN CERTIFICATE").count(), sent);
        assert!((issued.not_after.as_second() - now().as_second()) / 86_400 < 825);
        fs::write(at("leaf.pem"), &issued.cert_pem).unwrap();
        run(&[
            "verify",
            "-x509_strict",
            "-CAfile",
            text(&at("root.crt")),
            "-untrusted",
            text(&at("leaf.pem")),
            text(&at("leaf.pem")),
        ]);
        assert_eq!(leaf(&site.open(), &[]).origin, Origin::Stored);
    }
    let leaf_as_ca = leaf(&site.create(), &[]);
    let other = Site::new();
    let no_ca = Store::import(&other.path(), &other.key_file(), &leaf_as_ca.cert_pem, &leaf_as_ca.key, now());
    assert_eq!(kind(no_ca), Kind::Input);
}
