//! The store: one folder on the control machine, or (for a plan) memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use reemo_model::secret::Secret;
use zeroize::Zeroizing;

use crate::authority::{Authority, Issued};
use crate::certificate::Certificate;
use crate::error::{Kind, PkiError, Result};
use crate::expiry::Expiry;
use crate::folder;
use crate::key::PrivateKey;
use crate::leaf::{Leaf, Origin, Reason, names, why_reissue};
use crate::leaves::{Leaves, Stored, leaf};
use crate::passphrase::{Loaded, Passphrase};
use crate::sealed::{self, Unopened};
use crate::seed::Seed;
use crate::trust::{Mode, Phase, Trust, Turn};

pub(crate) const CA_CERT: &str = "ca.crt";
pub(crate) const CA_KEY: &str = "ca.key";
pub(crate) const NEXT_CERT: &str = "next.crt";
pub(crate) const NEXT_KEY: &str = "next.key";
pub(crate) const TRUST: &str = "trust";
const SITE_KEY: &str = "site.key";
const LEAVES: &str = "leaves";

/// The site's CA, its seed and its leaves.
pub struct Store {
    pub(crate) place: Place,
    seed: Seed,
    /// The present one: the old one while there is a change under way.
    pub(crate) authority: Authority,
    /// The one that a change is under way to.
    pub(crate) next: Option<Authority>,
    pub(crate) trust: Trust,
    /// What every service trusts, in PEM.
    bundle: String,
    /// Certificates the site gave, by service.
    given: OnceLock<BTreeMap<String, Given>>,
    /// Leaves made for a plan: the same within one run.
    provisional: Mutex<BTreeMap<String, Leaf>>,
}

/// A certificate that the site gave, with its intermediate ones, and its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Given {
    /// The certificate first.
    pub cert_pem: String,
    /// Not encrypted.
    pub key_pem: Secret,
}

pub(crate) enum Place {
    Folder { path: PathBuf, passphrase: Loaded, writes: bool },
    Memory { ca_key: Zeroizing<Vec<u8>> },
}

impl Store {
    /// True when there is a store in the folder (whole or damaged).
    pub fn exists(folder: &Path) -> bool {
        [CA_CERT, CA_KEY, SITE_KEY].iter().any(|file| folder.join(file).symlink_metadata().is_ok())
    }

    /// Creates a store with a new CA of ours. The only way a CA comes to be.
    pub fn create(folder: &Path, passphrase: &Passphrase, now: Timestamp) -> Result<Store> {
        refuse_existing(folder)?;
        let (authority, ca_key) = Authority::create(now)?;
        Store::found(folder, passphrase, authority, Some(&ca_key), Mode::Auto)
    }

    /// Creates a store for certificates that the site gives, and what they are held against.
    pub fn create_provided(folder: &Path, passphrase: &Passphrase, anchors: &str) -> Result<Store> {
        refuse_existing(folder)?;
        let bad = || PkiError::new(Kind::Input, "the CA given is not PEM", CA_HINT);
        let authority = Authority::from_pem(anchors).ok_or_else(bad)?;
        Store::found(folder, passphrase, authority, None, Mode::Provided)
    }

    /// Creates a store around the site's own CA: its certificate (followed by those above it) and key.
    pub fn import(
        folder: &Path,
        passphrase: &Passphrase,
        ca_cert: &str,
        ca_key: &Secret,
        now: Timestamp,
    ) -> Result<Store> {
        refuse_existing(folder)?;
        let (authority, der) = usable(ca_cert, ca_key, now)?;
        Store::found(folder, passphrase, authority, Some(&der), Mode::ExternalCa)
    }

    fn found(
        folder: &Path,
        passphrase: &Passphrase,
        authority: Authority,
        ca_key: Option<&[u8]>,
        mode: Mode,
    ) -> Result<Store> {
        let passphrase = passphrase.read_or_make()?;
        let seed = Seed::random()?;
        let password = passphrase.secret.expose();
        let mut files = vec![
            (CA_CERT, Zeroizing::new(authority.pem.clone())),
            (SITE_KEY, sealed::seal(&seed.to_pkcs8(), password, passphrase.stretch())?),
            (folder::LOCK, Zeroizing::default()),
        ];
        if let Some(key) = ca_key {
            files.push((CA_KEY, sealed::seal(key, password, passphrase.stretch())?));
        }
        let trust = Trust { mode, ..Trust::default() };
        if mode != Mode::Auto {
            files.push((TRUST, Zeroizing::new(trust.text())));
        }
        folder::make_whole(folder, LEAVES, &files)?;
        let place = Place::Folder { path: folder.to_owned(), passphrase, writes: true };
        Ok(Store::of(place, seed, authority, None, trust))
    }

    fn of(place: Place, seed: Seed, authority: Authority, next: Option<Authority>, trust: Trust) -> Store {
        let bundle = match (&next, trust.turn.map(|t| t.phase)) {
            (Some(next), Some(Phase::Spread | Phase::Issue)) => lines(&authority.pem) + &next.pem,
            (Some(next), Some(Phase::Drop)) => next.pem.clone(),
            _ => authority.pem.clone(),
        };
        let (given, provisional) = (OnceLock::new(), Mutex::default());
        Store { place, seed, authority, next, trust, bundle, given, provisional }
    }

    /// Opens the store in a folder. Never creates anything.
    pub fn open(folder: &Path, passphrase: &Passphrase) -> Result<Store> {
        if !Store::exists(folder) {
            return Err(PkiError::new(
                Kind::Absent,
                format!("there is no certificate store in {}", folder.display()),
                "copy the folder from the control machine that installed this site; only for a new site, let one be created",
            ));
        }
        let file = |name: &str| {
            let path = folder.join(name);
            folder::read_text(&path)?.ok_or_else(|| PkiError::damaged(&path, "is missing")).map(|text| (path, text))
        };
        let (ca_path, ca) = file(CA_CERT)?;
        let authority = Authority::from_pem(&ca).ok_or_else(|| PkiError::damaged(&ca_path, "is no PEM certificate"))?;
        let (seed_path, sealed) = file(SITE_KEY)?;
        let trust = match folder::read_text(&folder.join(TRUST))? {
            Some(text) => Trust::read(&text)
                .ok_or_else(|| PkiError::damaged(&folder.join(TRUST), "is not what this version writes"))?,
            None => Trust::default(),
        };
        if trust.mode != Mode::Provided {
            file(CA_KEY)?;
        }
        let next = match trust.turn {
            Some(Turn { to, .. }) => {
                let (path, pem) = file(NEXT_CERT)?;
                if to != Mode::Provided {
                    file(NEXT_KEY)?;
                }
                Some(Authority::from_pem(&pem).ok_or_else(|| PkiError::damaged(&path, "is no PEM certificate"))?)
            }
            None => None,
        };
        let passphrase = passphrase.read()?;
        let seed = open_sealed(&seed_path, &sealed, &passphrase)?;
        let seed = Seed::from_pkcs8(&seed).ok_or_else(|| PkiError::damaged(&seed_path, "holds another kind of key"))?;
        let place = Place::Folder { path: folder.to_owned(), passphrase, writes: true };
        Ok(Store::of(place, seed, authority, next, trust))
    }

    /// A store in memory, for a plan of a site that has none yet: touches no disk. All it returns is a
    /// stand-in ([`Store::is_provisional`]), unless the seed is given (tests).
    pub fn ephemeral(seed: Option<[u8; 32]>, now: Timestamp) -> Result<Store> {
        let (authority, ca_key) = Authority::create(now)?;
        let seed = seed.map_or_else(Seed::random, |bytes| Ok(Seed::from_bytes(bytes)))?;
        Ok(Store::of(Place::Memory { ca_key }, seed, authority, None, Trust::default()))
    }

    /// The same store for a plan: what would be issued comes as [`Origin::Provisional`] and is not stored.
    pub fn read_only(mut self) -> Store {
        if let Place::Folder { writes, .. } = &mut self.place {
            *writes = false;
        }
        self
    }

    /// True for a store in memory: passwords, hashes and certificates are others once the real store
    /// exists, so a plan says "known after the certificate store is created" in their place.
    pub fn is_provisional(&self) -> bool {
        matches!(self.place, Place::Memory { .. })
    }

    /// The certificates peers have to trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.bundle
    }

    /// SHA-256 of the issuing certificate, in hexadecimal. Public.
    pub fn ca_fingerprint(&self) -> String {
        self.issuer().issuing.fingerprint()
    }

    /// Where the certificates come from, and where a change stands.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// What tells this step of trust from every other, `<generation>-<hash>`, to be written on services; `None` as long
    /// as there never was a change. Public.
    pub fn trust_mark(&self) -> Option<String> {
        let hash = || self.keyed_hash(format!("{}\n{}", self.ca_fingerprint(), self.bundle).as_bytes());
        (self.trust.generation > 0).then(|| format!("{}-{}", self.trust.generation, &hash()[..8]))
    }

    /// Certificates the site gave, by service: used where the authority has no key here. Once for each store.
    pub fn give(&self, given: BTreeMap<String, Given>) {
        let _ = self.given.set(given);
    }

    /// Who issues now.
    pub(crate) fn issuer(&self) -> &Authority {
        match (&self.next, self.trust.turn) {
            (Some(next), Some(Turn { phase: Phase::Issue | Phase::Drop, .. })) => next,
            _ => &self.authority,
        }
    }

    /// What identifies this site's store, to be recorded in the cluster: another control machine with
    /// another store is told apart by it. Public.
    pub fn site_id(&self) -> String {
        self.keyed_hash(b"site")
    }

    /// A password of the site, always the same for the same name.
    pub fn generated(&self, name: &str) -> Secret {
        self.seed.generated(name)
    }

    /// 16 hexadecimal characters for the names of secrets: they tell that content changed, and are of
    /// no help in guessing it.
    pub fn keyed_hash(&self, content: &[u8]) -> String {
        self.seed.keyed_hash(content)
    }

    /// The certificate of a service, named `service` and the `extra` DNS names and addresses. The
    /// stored one as long as it is good; else a new one.
    pub fn leaf(&self, service: &str, extra: &[String], now: Timestamp) -> Result<Leaf> {
        let names = names(service, extra)?;
        let issue = |ca_key: &[u8]| {
            self.issuer().refuse_ended(now)?;
            self.issuer().issue(ca_key, service, &names, now)
        };
        match &self.place {
            Place::Memory { ca_key } => self.stand_in(service, Reason::New, || issue(ca_key)),
            Place::Folder { path, writes, .. } if self.trust.issues() == Mode::Provided => {
                let _lock = writes.then(|| folder::Lock::take(path)).transpose()?;
                self.provided(path, service, *writes)
            }
            Place::Folder { path, passphrase, writes } => {
                let _lock = writes.then(|| folder::Lock::take(path)).transpose()?;
                let reason = match self.leaves(path).read(service)? {
                    Stored::Whole(leaf, certificate) => match why_reissue(&certificate, &names, self.issuer(), now) {
                        None => return Ok(leaf),
                        Some(reason) => reason,
                    },
                    Stored::Damaged => Reason::Damaged,
                    Stored::None => Reason::New,
                };
                if *writes {
                    let next = matches!(self.trust.turn, Some(Turn { phase: Phase::Issue | Phase::Drop, .. }));
                    let key = open_ca_key(path, if next { NEXT_KEY } else { CA_KEY }, passphrase)?;
                    let issued = issue(&key)?;
                    self.leaves(path).write(service, &issued)?;
                    return Ok(leaf(service, issued, Origin::Issued(reason)));
                }
                // A plan gets a stand-in from a CA that is thrown away: no need of the real key.
                self.stand_in(service, reason, || {
                    let (throwaway, key) = Authority::create(now)?;
                    throwaway.issue(&key, service, &names, now)
                })
            }
        }
    }

    /// The certificate the site gave; before it gave another one, a copy of that. The copy is what a change of authority
    /// goes on with while the files given are those of the new one already.
    fn provided(&self, path: &Path, service: &str, writes: bool) -> Result<Leaf> {
        let stored = match self.leaves(path).read(service)? {
            Stored::Whole(leaf, _) => Some(leaf),
            Stored::Damaged | Stored::None => None,
        };
        let vouched =
            |pem: &str| Certificate::all_from_pem(pem.as_bytes()).is_some_and(|chain| self.issuer().vouches(&chain));
        let given = self.given.get().and_then(|given| given.get(service)).filter(|given| vouched(&given.cert_pem));
        let Some(given) = given else {
            return stored.filter(|leaf| vouched(&leaf.cert_pem)).ok_or_else(|| {
                PkiError::new(
                    Kind::Input,
                    format!("no certificate of {} was given", self.issuer().issuing.subject_name),
                    format!(
                        "CERT_DIR must hold {service}.crt (the certificate, then intermediate ones) and {service}.key"
                    ),
                )
            });
        };
        let reason = match stored {
            Some(leaf) if leaf.cert_pem == given.cert_pem => return Ok(leaf),
            Some(_) => Reason::Given,
            None => Reason::New,
        };
        let bad = |what: String| PkiError::new(Kind::Input, format!("{service}.key: {what}"), CA_HINT);
        let key = PrivateKey::from_pem(given.key_pem.expose()).map_err(|problem| bad(problem.to_string()))?;
        let key_der = key.to_pkcs8().ok_or_else(|| bad("keys of this kind are not known here".into()))?;
        let not_after = Certificate::all_from_pem(given.cert_pem.as_bytes())
            .and_then(|chain| chain.first().map(|c| c.not_after))
            .ok_or_else(|| bad("its certificate is not PEM".into()))?;
        let issued = Issued { cert_pem: given.cert_pem.clone(), key_der, not_after };
        if writes {
            self.leaves(path).write(service, &issued)?;
        }
        Ok(leaf(service, issued, Origin::Issued(reason)))
    }

    /// When each certificate of the store ends: the CA first, then the leaves by name.
    pub fn expiry(&self, now: Timestamp) -> Result<Vec<Expiry>> {
        let row = |name: &str, ca: &Authority, mode: Mode| {
            let window = if mode == Mode::Provided { Expiry::LEAF_WINDOW_DAYS } else { Expiry::CA_WINDOW_DAYS };
            Expiry::of(name, &ca.issuing.subject_name, ca.issuing.not_after, window, now)
        };
        let mut list = vec![row("ca", &self.authority, self.trust.mode)];
        if let (Some(next), Some(turn)) = (&self.next, self.trust.turn) {
            list.push(row("ca-next", next, turn.to));
        }
        let Place::Folder { path, .. } = &self.place else {
            return Ok(list);
        };
        let leaves = self.leaves(path);
        for service in leaves.services()? {
            let leaf = leaves.certificate(&service)?;
            list.push(Expiry::of(&service, &leaf.subject_name, leaf.not_after, Expiry::LEAF_WINDOW_DAYS, now));
        }
        Ok(list)
    }

    /// Sets the certificates of these services aside: the next [`Store::leaf`] of each issues another. Those that have none
    /// are left out. The files stay beside the new ones until the next time, as `….previous`.
    pub fn set_aside(&self, services: &[String]) -> Result<()> {
        let Place::Folder { path, .. } = &self.place else { return Ok(()) };
        let _lock = folder::Lock::take(path)?;
        services.iter().try_for_each(|service| self.leaves(path).set_aside(service))
    }

    fn leaves<'a>(&'a self, folder: &Path) -> Leaves<'a> {
        Leaves { folder: folder.join(LEAVES), seed: &self.seed }
    }

    fn stand_in(&self, service: &str, reason: Reason, issue: impl FnOnce() -> Result<Issued>) -> Result<Leaf> {
        let mut made = self.provisional.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = made.get(service) {
            return Ok(leaf.clone());
        }
        let leaf = leaf(service, issue()?, Origin::Provisional(reason));
        made.insert(service.to_owned(), leaf.clone());
        Ok(leaf)
    }
}

const CA_HINT: &str = "give the CA's certificate (then those above it) and its key, not encrypted, both in PEM";

fn refuse_existing(folder: &Path) -> Result<()> {
    if !Store::exists(folder) {
        return Ok(());
    }
    Err(PkiError::new(
        Kind::Exists,
        format!("there is a certificate store in {} already", folder.display()),
        "it is used as it is; to replace the CA, rotate it",
    ))
}

fn open_ca_key(folder: &Path, file: &str, passphrase: &Loaded) -> Result<Zeroizing<Vec<u8>>> {
    let path = folder.join(file);
    let sealed = folder::read_text(&path)?.ok_or_else(|| PkiError::damaged(&path, "is missing"))?;
    open_sealed(&path, &sealed, passphrase)
}

/// The site's CA, and its key in PKCS#8, if something can be issued with them.
pub(crate) fn usable(ca_cert: &str, ca_key: &Secret, now: Timestamp) -> Result<(Authority, Zeroizing<Vec<u8>>)> {
    let bad = |what: &str| PkiError::new(Kind::Input, format!("the CA given cannot be used: {what}"), CA_HINT);
    let authority = Authority::from_pem(ca_cert).ok_or_else(|| bad("its certificate is not PEM"))?;
    if !authority.issuing.is_ca {
        return Err(bad("its certificate (the first of the file) is not that of a CA"));
    }
    if let Some(problem) = crate::check_pair(ca_cert.as_bytes(), ca_key.expose(), None, now).first() {
        return Err(bad(&problem.to_string()));
    }
    let key = PrivateKey::from_pem(ca_key.expose()).map_err(|problem| bad(&problem.to_string()))?;
    let der = key.to_pkcs8().ok_or_else(|| bad("keys of this kind cannot sign here (RSA, P-256, P-384, Ed25519)"))?;
    // Tried now: the first certificate of an apply is too late to find out.
    authority.issue(&der, "trial", &names("trial", &[])?, now).map_err(|error| bad(&error.message))?;
    Ok((authority, der))
}

/// A PEM text that another one may follow.
fn lines(pem: &str) -> String {
    format!("{}\n", pem.trim_end())
}

fn open_sealed(path: &Path, sealed: &str, passphrase: &Loaded) -> Result<Zeroizing<Vec<u8>>> {
    sealed::open(sealed, passphrase.secret.expose()).map_err(|unopened| match unopened {
        Unopened::Damaged => PkiError::damaged(path, "is no encrypted PKCS#8 key"),
        Unopened::Password => PkiError::new(
            Kind::Passphrase,
            format!("the passphrase does not open {}", path.display()),
            "give the passphrase (or the key file) the store was created with; nothing was changed",
        ),
    })
}
