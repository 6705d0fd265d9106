//! The store: one folder on the control machine, or (for a plan) memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use reemo_model::secret::Secret;
use zeroize::Zeroizing;

use crate::authority::{Authority, Issued};
use crate::error::{Kind, PkiError, Result};
use crate::expiry::Expiry;
use crate::folder;
use crate::key::PrivateKey;
use crate::leaf::{Leaf, Origin, Reason, names, why_reissue};
use crate::leaves::{Leaves, Stored, leaf};
use crate::passphrase::{Loaded, Passphrase};
use crate::sealed::{self, Stretch, Unopened};
use crate::seed::Seed;

const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const SITE_KEY: &str = "site.key";
const LEAVES: &str = "leaves";

/// The site's CA, its seed and its leaves.
pub struct Store {
    place: Place,
    seed: Seed,
    authority: Authority,
    /// Leaves made for a plan: the same within one run.
    provisional: Mutex<BTreeMap<String, Leaf>>,
}

enum Place {
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
        Store::found(folder, passphrase, authority, &ca_key)
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
        let bad = |what: &str| PkiError::new(Kind::Input, format!("the CA given cannot be used: {what}"), CA_HINT);
        let authority = Authority::from_pem(ca_cert).ok_or_else(|| bad("its certificate is not PEM"))?;
        if !authority.issuing.is_ca {
            return Err(bad("its certificate (the first of the file) is not that of a CA"));
        }
        if let Some(problem) = crate::check_pair(ca_cert.as_bytes(), ca_key.expose(), None, now).first() {
            return Err(bad(&problem.to_string()));
        }
        let key = PrivateKey::from_pem(ca_key.expose()).map_err(|problem| bad(&problem.to_string()))?;
        let der =
            key.to_pkcs8().ok_or_else(|| bad("keys of this kind cannot sign here (RSA, P-256, P-384, Ed25519)"))?;
        // Tried now: the first certificate of an apply is too late to find out.
        authority.issue(&der, "trial", &names("trial", &[])?, now).map_err(|error| bad(&error.message))?;
        Store::found(folder, passphrase, authority, &der)
    }

    fn found(folder: &Path, passphrase: &Passphrase, authority: Authority, ca_key: &[u8]) -> Result<Store> {
        let passphrase = passphrase.read_or_make()?;
        let seed = Seed::random()?;
        let stretch = if passphrase.random { Stretch::Random } else { Stretch::Person };
        let password = passphrase.secret.expose();
        let files = [
            (CA_CERT, Zeroizing::new(authority.pem.clone())),
            (CA_KEY, sealed::seal(ca_key, password, stretch)?),
            (SITE_KEY, sealed::seal(&seed.to_pkcs8(), password, stretch)?),
            (folder::LOCK, Zeroizing::default()),
        ];
        folder::make_whole(folder, LEAVES, &files)?;
        Ok(Store {
            place: Place::Folder { path: folder.to_owned(), passphrase, writes: true },
            seed,
            authority,
            provisional: Mutex::default(),
        })
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
        file(CA_KEY)?;
        let passphrase = passphrase.read()?;
        let seed = open_sealed(&seed_path, &sealed, &passphrase)?;
        let seed = Seed::from_pkcs8(&seed).ok_or_else(|| PkiError::damaged(&seed_path, "holds another kind of key"))?;
        Ok(Store {
            place: Place::Folder { path: folder.to_owned(), passphrase, writes: true },
            seed,
            authority,
            provisional: Mutex::default(),
        })
    }

    /// A store in memory, for a plan of a site that has none yet: touches no disk. All it returns is a
    /// stand-in ([`Store::is_provisional`]), unless the seed is given (tests).
    pub fn ephemeral(seed: Option<[u8; 32]>, now: Timestamp) -> Result<Store> {
        let (authority, ca_key) = Authority::create(now)?;
        let seed = seed.map_or_else(Seed::random, |bytes| Ok(Seed::from_bytes(bytes)))?;
        Ok(Store { place: Place::Memory { ca_key }, seed, authority, provisional: Mutex::default() })
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
        &self.authority.pem
    }

    /// SHA-256 of the issuing certificate, in hexadecimal. Public.
    pub fn ca_fingerprint(&self) -> String {
        self.authority.issuing.fingerprint()
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
            self.authority.refuse_ended(now)?;
            self.authority.issue(ca_key, service, &names, now)
        };
        match &self.place {
            Place::Memory { ca_key } => self.stand_in(service, Reason::New, || issue(ca_key)),
            Place::Folder { path, passphrase, writes } => {
                let _lock = writes.then(|| folder::Lock::take(path)).transpose()?;
                let reason = match self.leaves(path).read(service)? {
                    Stored::Whole(leaf, certificate) => match why_reissue(&certificate, &names, &self.authority, now) {
                        None => return Ok(leaf),
                        Some(reason) => reason,
                    },
                    Stored::Damaged => Reason::Damaged,
                    Stored::None => Reason::New,
                };
                if *writes {
                    let issued = issue(&open_ca_key(path, passphrase)?)?;
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

    /// When each certificate of the store ends: the CA first, then the leaves by name.
    pub fn expiry(&self, now: Timestamp) -> Result<Vec<Expiry>> {
        let ca = &self.authority.issuing;
        let mut list = vec![Expiry::of("ca", &ca.subject_name, ca.not_after, Expiry::CA_WINDOW_DAYS, now)];
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

fn open_ca_key(folder: &Path, passphrase: &Loaded) -> Result<Zeroizing<Vec<u8>>> {
    let path = folder.join(CA_KEY);
    let sealed = folder::read_text(&path)?.ok_or_else(|| PkiError::damaged(&path, "is missing"))?;
    open_sealed(&path, &sealed, passphrase)
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
