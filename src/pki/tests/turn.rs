//! Another authority: which are fit, and the way from one to the next, as OpenSSL sees what comes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use jiff::{Timestamp, ToSpan};
use reemo_model::secret::Secret;
use reemo_pki::{Given, Leaf, Mode, NewAuthority, Origin, Passphrase, Phase, Problem, Reason, Store, Unfit, Way};
use tempfile::TempDir;

fn now() -> Timestamp {
    Timestamp::now()
}

/// A folder with authorities that OpenSSL makes.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn openssl(&self, words: &str) {
        let done = Command::new("openssl").args(words.split(' ')).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A certificate of this name, `NAME.crt` and `NAME.key`, with these extensions; signed by another one, or by itself.
    fn certificate(&self, name: &str, by: Option<&str>, extensions: &str) {
        fs::write(self.path("ext"), extensions).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        let signer = match by {
            Some(by) => format!("-CA {by}.crt -CAkey {by}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -days 900 -extfile ext -out {name}.crt"));
    }

    /// `root` and, below it, `issuing`; `chain.crt` has both.
    fn site(&self) {
        self.certificate("root", None, "basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=keyCertSign,cRLSign\n");
        self.certificate(
            "issuing",
            Some("root"),
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign\n",
        );
        fs::write(self.path("chain.crt"), self.read("issuing.crt") + &self.read("root.crt")).unwrap();
    }

    fn external(&self) -> NewAuthority {
        NewAuthority::External { cert_pem: self.read("chain.crt"), key_pem: Secret::new(self.read("issuing.key")) }
    }

    fn key(&self) -> Passphrase {
        Passphrase::KeyFile(self.path("pki.key"))
    }

    fn create(&self) -> Store {
        Store::create(&self.path("pki"), &self.key(), now()).unwrap()
    }

    fn open(&self) -> Store {
        Store::open(&self.path("pki"), &self.key()).unwrap()
    }

    /// Does a peer that trusts `bundle` accept this certificate?
    fn accepts(&self, bundle: &str, leaf: &Leaf) -> bool {
        fs::write(self.path("bundle"), bundle).unwrap();
        fs::write(self.path("leaf"), &leaf.cert_pem).unwrap();
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-CAfile", "bundle", "-untrusted", "leaf", "leaf"]);
        verify.current_dir(self.folder.path()).output().unwrap().status.success()
    }
}

fn leaf(store: &Store) -> Leaf {
    store.leaf("reemo_api", &[], now()).unwrap()
}

#[test]
fn which_authorities_are_fit() {
    let bench = Bench::new();
    bench.site();
    let ca = "basicConstraints=critical,CA:TRUE\n";
    for (name, extensions) in [
        ("server", "basicConstraints=CA:FALSE\n"),
        ("reader", "basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign\n"),
        ("elsewhere", "basicConstraints=critical,CA:TRUE\nnameConstraints=permitted;DNS:example.org\n"),
        ("without", "basicConstraints=critical,CA:TRUE\nnameConstraints=excluded;DNS:reemo_api\n"),
        ("mail", "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=emailProtection\n"),
        ("other", ca),
    ] {
        bench.certificate(name, None, extensions);
    }
    bench.certificate("low", Some("issuing"), ca);
    fs::write(bench.path("low-chain.crt"), bench.read("low.crt") + &bench.read("chain.crt")).unwrap();
    fs::write(bench.path("upside-down.crt"), bench.read("root.crt") + &bench.read("issuing.crt")).unwrap();
    let check = |cert: &str, key: Option<&str>, at: Timestamp| {
        let key = key.map(|k| bench.read(k));
        reemo_pki::check_ca(bench.read(cert).as_bytes(), key.as_deref().map(str::as_bytes), "reemo_api", at)
    };
    assert_eq!(check("chain.crt", Some("issuing.key"), now()), []);
    assert_eq!(check("root.crt", Some("root.key"), now()), []);
    let of = |name: &str| name.to_owned();
    for (cert, key, expected) in [
        ("issuing.crt", None, Unfit::NoRoot(of("issuing"))),
        ("server.crt", None, Unfit::NotCa(of("server"))),
        ("reader.crt", None, Unfit::MayNotSign(of("reader"))),
        ("elsewhere.crt", None, Unfit::Names { subject: of("elsewhere"), name: of("reemo_api") }),
        ("without.crt", None, Unfit::Names { subject: of("without"), name: of("reemo_api") }),
        ("mail.crt", None, Unfit::Purpose(of("mail"))),
        ("low-chain.crt", None, Unfit::PathTooLong { subject: of("issuing"), allowed: 0, below: 1 }),
        ("upside-down.crt", None, Unfit::Order { subject: of("root"), next: of("issuing") }),
        ("issuing.key", None, Unfit::NotPem),
        ("root.crt", Some("other.key"), Unfit::Key(Problem::KeyMismatch { subject: of("root") })),
        ("root.crt", Some("other.crt"), Unfit::Key(Problem::KeyNotPem)),
    ] {
        let found = check(cert, key, now());
        assert!(found.contains(&expected), "{cert}: {found:?}");
    }
    assert!(matches!(&check("root.crt", None, now() + (24 * 1000).hours())[..], [Unfit::Ended { .. }]));
    assert!(matches!(&check("root.crt", None, now() - 48.hours())[..], [Unfit::NotYetValid { .. }]));
}

#[test]
fn from_ours_to_an_intermediate_of_the_site() {
    let bench = Bench::new();
    bench.site();
    let old = leaf(&bench.create());
    let (id, password) = (bench.open().site_id(), bench.open().generated("mysql_root"));
    let (old_bundle, mark) = (bench.open().ca_pem().to_owned(), bench.open().trust_mark());
    assert_eq!(mark, None, "nothing is written on services of a platform that never changed");

    bench.open().begin(&bench.external(), now()).unwrap();
    let first = bench.open();
    assert_eq!(leaf(&first).cert_pem, old.cert_pem, "the first step replaces no certificate");
    assert!(bench.accepts(first.ca_pem(), &old));
    let both = first.ca_pem().to_owned();
    assert!(first.step(Way::On).unwrap().is_some());

    let second = bench.open();
    let new = leaf(&second);
    assert_eq!(new.origin, Origin::Issued(Reason::AuthorityChanged));
    assert_eq!(second.ca_pem(), both);
    assert_eq!(new.cert_pem.matches("BEGIN CERTIFICATE").count(), 2, "with the intermediate one, without the root");
    assert!(bench.accepts(&both, &new) && bench.accepts(&both, &old), "everybody is understood by everybody");
    assert!(!bench.accepts(&old_bundle, &new), "which is why the first step comes first");
    second.step(Way::On).unwrap();

    let third = bench.open();
    assert_eq!(leaf(&third).cert_pem, new.cert_pem);
    assert!(bench.accepts(third.ca_pem(), &new) && !bench.accepts(third.ca_pem(), &old));
    let marks: Vec<_> = [&first, &second, &third].iter().map(|s| s.trust_mark().unwrap()).collect();
    assert!(marks[0].starts_with("1-") && marks[1].starts_with("2-") && marks[2].starts_with("3-"), "{marks:?}");
    third.step(Way::On).unwrap();

    let done = bench.open();
    assert_eq!((done.trust().mode, done.trust().turn), (Mode::ExternalCa, None));
    assert_eq!((done.ca_pem(), leaf(&done).cert_pem), (third.ca_pem(), new.cert_pem.clone()));
    assert_eq!(done.trust_mark(), third.trust_mark(), "the end of it changes nothing on the hosts");
    assert_eq!((done.site_id(), done.generated("mysql_root")), (id, password), "same site, same passwords");
    assert!(done.is_authority(Mode::ExternalCa, Some(&bench.read("chain.crt")), false));
    assert!(!done.is_authority(Mode::ExternalCa, Some(&bench.read("root.crt")), false));
    let names: Vec<_> = fs::read_dir(bench.path("pki")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().starts_with("next")), "{names:?}");
}

#[test]
fn there_and_back() {
    let bench = Bench::new();
    let (old, ca) = (leaf(&bench.create()), bench.open().ca_pem().to_owned());
    for far in 0..3 {
        bench.open().begin(&NewAuthority::Ours, now()).unwrap();
        for _ in 0..far {
            leaf(&bench.open());
            bench.open().step(Way::On).unwrap();
        }
        leaf(&bench.open());
        let mut bundles = vec![bench.open().ca_pem().to_owned()];
        while bench.open().trust().turn.is_some() {
            bench.open().step(Way::Back).unwrap();
            let (store, before) = (bench.open(), bundles.last().unwrap().clone());
            assert!(bench.accepts(&before, &leaf(&store)), "{far}: not understood by those still a step ahead");
            bundles.push(store.ca_pem().to_owned());
        }
        assert_eq!(bundles.last().unwrap(), &ca);
        bench.open().settle().unwrap();
        assert_eq!(bench.open().trust().floor, 0);
    }
    assert!(bench.accepts(&ca, &leaf(&bench.open())));
    assert!(bench.accepts(&ca, &old));
}

/// Every file operation of a step is cut off after it, one at a time, as `kill -9` would: what is left opens, and the
/// same step again ends where it would have.
#[test]
fn a_step_that_died_is_done_again() {
    let bench = Bench::new();
    let store = bench.create();
    leaf(&store);
    store.begin(&NewAuthority::Ours, now()).unwrap();
    bench.open().step(Way::On).unwrap();
    let new = leaf(&bench.open());
    bench.open().step(Way::On).unwrap();
    let at = |name: &str| bench.path("pki").join(name);
    let before: BTreeMap<&str, Vec<u8>> =
        ["ca.crt", "ca.key", "next.crt", "next.key", "trust"].map(|n| (n, fs::read(at(n)).unwrap())).into();
    // The order of the last step: key, certificate, `trust`, and then what is no longer needed.
    for done in 0..=4 {
        for (name, content) in &before {
            fs::write(at(name), content).unwrap();
        }
        for (n, (to, from)) in [("ca.key", "next.key"), ("ca.crt", "next.crt")].iter().enumerate() {
            if n < done {
                fs::write(at(to), &before[from]).unwrap();
            }
        }
        if done >= 3 {
            fs::write(at("trust"), "generation 3\nfloor 0\nmode auto\n").unwrap();
        }
        if done >= 4 {
            fs::remove_file(at("next.key")).unwrap();
        }
        let store = bench.open();
        assert!(bench.accepts(store.ca_pem(), &new), "cut off after {done}");
        assert_eq!(leaf(&store).cert_pem, new.cert_pem, "cut off after {done}");
        store.step(Way::On).unwrap();
        assert_eq!(bench.open().trust().turn.map(|t| t.phase), None::<Phase>, "cut off after {done}");
        assert!(bench.open().set_aside(&["reemo_api".into()]).is_ok());
        assert!(bench.accepts(bench.open().ca_pem(), &leaf(&bench.open())), "the key is that of the certificate");
        let again = leaf(&bench.open());
        fs::write(bench.path("again"), again.cert_pem).unwrap();
        let leaves = bench.path("pki/leaves");
        for (name, end) in [("reemo_api.crt", ".previous"), ("reemo_api.key", ".previous")] {
            fs::rename(leaves.join(format!("{name}{end}")), leaves.join(name)).unwrap();
        }
    }
}

#[test]
fn certificates_that_the_site_gives() {
    let bench = Bench::new();
    bench.site();
    let issue = |name: &str| {
        let names = "subjectAltName=DNS:reemo_api\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n";
        bench.certificate(name, Some("issuing"), &format!("{names}authorityKeyIdentifier=keyid\n"));
        Given {
            cert_pem: bench.read(&format!("{name}.crt")) + &bench.read("issuing.crt"),
            key_pem: Secret::new(bench.read(&format!("{name}.key"))),
        }
    };
    let (one, two) = (issue("one"), issue("two"));
    let check = |given: &Given, service: &str, anchors: &str| {
        reemo_pki::check_given(given.cert_pem.as_bytes(), given.key_pem.expose(), &bench.read(anchors), service, now())
    };
    assert_eq!(check(&one, "reemo_api", "root.crt"), []);
    assert!(reemo_pki::leads_to(one.cert_pem.as_bytes(), &bench.read("root.crt")));
    assert!(!reemo_pki::leads_to(bench.read("one.crt").as_bytes(), &bench.read("root.crt")), "the way is missing");
    assert!(matches!(&check(&one, "reemo_portal", "root.crt")[..], [Problem::HostNotCovered { .. }]));
    bench.certificate("other", None, "basicConstraints=critical,CA:TRUE\n");
    assert!(matches!(&check(&one, "reemo_api", "other.crt")[..], [Problem::NotOfAuthority { .. }]));
    let lonely = Given { cert_pem: bench.read("one.crt"), ..one.clone() };
    assert!(
        matches!(&check(&lonely, "reemo_api", "root.crt")[..], [Problem::NotOfAuthority { .. }]),
        "the way is missing"
    );

    let store = Store::create_provided(&bench.path("pki"), &bench.key(), &bench.read("root.crt")).unwrap();
    let missing = store.leaf("reemo_api", &[], now()).unwrap_err();
    assert!(missing.hint.contains("reemo_api.crt"), "{}", missing.hint);
    let open = |given: &Given| {
        let store = bench.open();
        store.give(BTreeMap::from([("reemo_api".to_owned(), given.clone())]));
        store
    };
    assert_eq!(leaf(&open(&one)).origin, Origin::Issued(Reason::New));
    let kept = leaf(&open(&one));
    assert_eq!((kept.origin, &kept.cert_pem), (Origin::Stored, &one.cert_pem));
    let another = leaf(&open(&two));
    assert_eq!((another.origin, &another.cert_pem), (Origin::Issued(Reason::Given), &two.cert_pem));
    assert!(bench.accepts(open(&two).ca_pem(), &another));
    assert!(open(&two).export().unwrap().is_none());
    assert!(!bench.path("pki/ca.key").exists());

    // To ours: the copies go on until the certificates are issued here.
    open(&two).begin(&NewAuthority::Ours, now()).unwrap();
    assert_eq!(leaf(&bench.open()).cert_pem, two.cert_pem, "from the copy: nothing is given any more");
    bench.open().step(Way::On).unwrap();
    assert_ne!(leaf(&bench.open()).cert_pem, two.cert_pem);
    bench.open().step(Way::On).unwrap();
    bench.open().step(Way::On).unwrap();
    assert_eq!(bench.open().trust().mode, Mode::Auto);
    let key = bench.open().export().unwrap().expect("now there is a key");
    fs::write(bench.path("exported.pem"), key.as_bytes()).unwrap();
    bench.openssl("pkey -in exported.pem -passin file:pki.key -noout");
    bench.openssl("x509 -in exported.pem -noout");
}
