//! A change of authority, as far as this machine is concerned. Each step is one rename of the file `trust`; what it names
//! is on the disk before it, so a process that dies leaves either the step before or the step after.

use std::path::Path;

use jiff::Timestamp;
use reemo_model::secret::Secret;
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::certificate::Certificate;
use crate::error::{Kind, PkiError, Result};
use crate::folder;
use crate::pair::{Problem, check_pair};
use crate::passphrase::Loaded;
use crate::sealed;
use crate::store::{CA_CERT, CA_KEY, NEXT_CERT, NEXT_KEY, Place, Store, TRUST, usable};
use crate::trust::{Mode, Phase, Trust, Turn, Way};

/// Who is to issue from now on.
#[derive(Clone, Debug)]
pub enum NewAuthority {
    /// Another CA of ours.
    Ours,
    /// The site's, with its key.
    External {
        /// Its certificate, then those above it.
        cert_pem: String,
        /// Its key.
        key_pem: Secret,
    },
    /// The site issues by itself; this is what its certificates are held against.
    Provided {
        /// Roots and intermediate ones.
        anchors_pem: String,
    },
}

impl Store {
    /// True when this is the authority of the store: the present one, or, with `next`, the one a change is under way to.
    /// One of ours is known by the mode alone.
    pub fn is_authority(&self, mode: Mode, pem: Option<&str>, next: bool) -> bool {
        let (authority, of) = match (next, &self.next, self.trust.turn) {
            (true, Some(authority), Some(turn)) => (authority, turn.to),
            (true, ..) => return false,
            _ => (&self.authority, self.trust.mode),
        };
        of == mode && (mode == Mode::Auto || pem.and_then(Authority::from_pem).is_some_and(|a| a.is_same(authority)))
    }

    /// Names of the authorities services trust now, for people.
    pub fn authorities(&self) -> Vec<String> {
        let both = [Some(&self.authority), self.next.as_ref()];
        both.into_iter().flatten().map(|authority| authority.issuing.subject_name.clone()).collect()
    }

    /// Begins a change. From here on, [`Store::open`] gives what its first step puts on the hosts.
    pub fn begin(&self, to: &NewAuthority, now: Timestamp) -> Result<Trust> {
        let (path, passphrase) = self.folder()?;
        let _lock = folder::Lock::take(path)?;
        if stored(path)?.turn.is_some() {
            return Err(PkiError::new(Kind::Exists, "a change of authority is under way", "go on with it, or go back"));
        }
        let (authority, key, mode) = match to {
            NewAuthority::Ours => {
                let (authority, key) = Authority::create(now)?;
                (authority, Some(key), Mode::Auto)
            }
            NewAuthority::External { cert_pem, key_pem } => {
                let (authority, key) = usable(cert_pem, key_pem, now)?;
                (authority, Some(key), Mode::ExternalCa)
            }
            NewAuthority::Provided { anchors_pem } => {
                let bad = || PkiError::new(Kind::Input, "the CA given is not PEM", "give its certificate in PEM");
                (Authority::from_pem(anchors_pem).ok_or_else(bad)?, None, Mode::Provided)
            }
        };
        match key {
            Some(key) => folder::replace(&path.join(NEXT_KEY), seal(&key, passphrase)?.as_bytes())?,
            None => folder::remove(&path.join(NEXT_KEY))?,
        }
        folder::replace(&path.join(NEXT_CERT), authority.pem.as_bytes())?;
        write(path, self.trust.begin(mode))
    }

    /// The step after the present one, once every service has been brought to it. The last one makes the new authority
    /// the present one. `None`: there is no change under way.
    pub fn step(&self, way: Way) -> Result<Option<Trust>> {
        let (path, _) = self.folder()?;
        let _lock = folder::Lock::take(path)?;
        let before = stored(path)?;
        if before != self.trust {
            return Err(PkiError::new(Kind::Busy, "another process went on with the change", "look: certs list"));
        }
        let Some(after) = before.step(way) else { return Ok(None) };
        if way == Way::On && after.turn.is_none() {
            // Until the file `trust` is written, the store still reads `next`.
            if let Some(key) = folder::read(&path.join(NEXT_KEY))?.filter(|_| after.mode != Mode::Provided) {
                folder::replace(&path.join(CA_KEY), &key)?;
            }
            let next = folder::read(&path.join(NEXT_CERT))?;
            let next = next.ok_or_else(|| PkiError::damaged(&path.join(NEXT_CERT), "is missing"))?;
            folder::replace(&path.join(CA_CERT), &next)?;
        }
        write(path, after)?;
        if after.turn.is_none() {
            if after.mode == Mode::Provided {
                folder::remove(&path.join(CA_KEY))?;
            }
            folder::remove(&path.join(NEXT_KEY))?;
            folder::remove(&path.join(NEXT_CERT))?;
        }
        Ok(Some(after))
    }

    /// The way back has been brought to every service.
    pub fn settle(&self) -> Result<()> {
        let (path, _) = self.folder()?;
        let _lock = folder::Lock::take(path)?;
        let trust = stored(path)?;
        if trust.settled() == trust { Ok(()) } else { write(path, trust.settled()).map(|_| ()) }
    }

    /// The CA as one text to keep elsewhere: its certificate and its key, encrypted as it is in the store. `None`: there
    /// is no key, since the site gives the certificates.
    pub fn export(&self) -> Result<Option<Zeroizing<String>>> {
        let (path, _) = self.folder()?;
        let next = matches!(self.trust.turn, Some(Turn { phase: Phase::Issue | Phase::Drop, .. }));
        let key = folder::read_text(&path.join(if next { NEXT_KEY } else { CA_KEY }))?;
        Ok(key.map(|key| Zeroizing::new(format!("{}\n{key}", self.issuer().pem.trim_end()))))
    }

    fn folder(&self) -> Result<(&Path, &Loaded)> {
        match &self.place {
            Place::Folder { path, passphrase, .. } => Ok((path, passphrase)),
            Place::Memory { .. } => {
                Err(PkiError::new(Kind::Absent, "there is no certificate store yet", "the first apply makes it"))
            }
        }
    }
}

/// Looks at a certificate that the site gives for a service: the pair, its order, its end, its name, and whether it
/// leads to one of the anchors.
pub fn check_given(cert_pem: &[u8], key_pem: &[u8], anchors: &str, service: &str, now: Timestamp) -> Vec<Problem> {
    let mut problems = check_pair(cert_pem, key_pem, Some(service), now);
    let chain = Certificate::all_from_pem(cert_pem).unwrap_or_default();
    if let (Some(first), Some(anchors)) = (chain.first(), Authority::from_pem(anchors))
        && !anchors.vouches(&chain)
    {
        problems.push(Problem::NotOfAuthority {
            subject: first.subject_name.clone(),
            issuer: first.issuer_name.clone(),
            authority: anchors.issuing.subject_name.clone(),
        });
    }
    problems
}

/// True when a certificate (with its intermediate ones) leads to one of these anchors.
pub fn leads_to(cert_pem: &[u8], anchors: &str) -> bool {
    let chain = Certificate::all_from_pem(cert_pem).unwrap_or_default();
    Authority::from_pem(anchors).is_some_and(|authority| authority.vouches(&chain))
}

fn seal(key: &[u8], passphrase: &Loaded) -> Result<Zeroizing<String>> {
    sealed::seal(key, passphrase.secret.expose(), passphrase.stretch())
}

fn stored(path: &Path) -> Result<Trust> {
    let file = path.join(TRUST);
    match folder::read_text(&file)? {
        Some(text) => Trust::read(&text).ok_or_else(|| PkiError::damaged(&file, "is not what this version writes")),
        None => Ok(Trust::default()),
    }
}

fn write(path: &Path, trust: Trust) -> Result<Trust> {
    folder::replace(&path.join(TRUST), trust.text().as_bytes())?;
    Ok(trust)
}
