//! The leaves on disk: a certificate and an encrypted key for each service.

use std::path::PathBuf;

use reemo_model::secret::Secret;

use crate::authority::Issued;
use crate::certificate::Certificate;
use crate::error::{PkiError, Result};
use crate::folder;
use crate::key::{PrivateKey, pem_of_key};
use crate::leaf::{Leaf, Origin};
use crate::sealed::{self, Stretch};
use crate::seed::Seed;

/// The folder with the leaves.
pub(crate) struct Leaves<'a> {
    pub folder: PathBuf,
    pub seed: &'a Seed,
}

/// What was found for a service.
pub(crate) enum Stored {
    Whole(Leaf, Box<Certificate>),
    Damaged,
    None,
}

impl Leaves<'_> {
    /// Names of the services, sorted.
    pub(crate) fn services(&self) -> Result<Vec<String>> {
        folder::names(&self.folder, ".crt")
    }

    /// The certificate of a service, without its key.
    pub(crate) fn certificate(&self, service: &str) -> Result<Certificate> {
        let (path, _) = self.paths(service);
        let first = folder::read(&path)?.and_then(|pem| first(&pem));
        first.ok_or_else(|| PkiError::damaged(&path, "is no PEM certificate"))
    }

    /// The certificate of a service and its key, if they open and belong together.
    pub(crate) fn read(&self, service: &str) -> Result<Stored> {
        let (cert_path, key_path) = self.paths(service);
        let (cert_pem, sealed) = match (folder::read_text(&cert_path)?, folder::read_text(&key_path)?) {
            (None, None) => return Ok(Stored::None),
            (Some(cert), Some(key)) => (cert, key),
            _ => return Ok(Stored::Damaged),
        };
        let key_der = sealed::open(&sealed, self.seed.leaf_password(service).as_bytes());
        let (Ok(key_der), Some(certificate)) = (key_der, first(cert_pem.as_bytes())) else {
            return Ok(Stored::Damaged);
        };
        if !PrivateKey::from_pkcs8(&key_der).is_ok_and(|key| key.matches(&certificate) == Some(true)) {
            return Ok(Stored::Damaged);
        }
        let not_after = certificate.not_after;
        Ok(Stored::Whole(leaf(service, Issued { cert_pem, key_der, not_after }, Origin::Stored), Box::new(certificate)))
    }

    /// Keeps what was issued.
    pub(crate) fn write(&self, service: &str, issued: &Issued) -> Result<()> {
        let (cert_path, key_path) = self.paths(service);
        let password = self.seed.leaf_password(service);
        let sealed = sealed::seal(&issued.key_der, password.as_bytes(), Stretch::Random)?;
        folder::make_private(&self.folder)?;
        // Between the two renames the files do not match: such a pair is seen as damaged and replaced.
        folder::replace(&key_path, sealed.as_bytes())?;
        folder::replace(&cert_path, issued.cert_pem.as_bytes())
    }

    /// Puts a service's files aside, beside where they were (`….previous`): it has no leaf any more.
    pub(crate) fn set_aside(&self, service: &str) -> Result<()> {
        let (cert_path, key_path) = self.paths(service);
        for path in [&cert_path, &key_path] {
            folder::set_aside(path)?;
        }
        Ok(())
    }

    fn paths(&self, service: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(format!("{service}.crt")), self.folder.join(format!("{service}.key")))
    }
}

/// The leaf the caller gets.
pub(crate) fn leaf(service: &str, issued: Issued, origin: Origin) -> Leaf {
    Leaf {
        service: service.to_owned(),
        cert_pem: issued.cert_pem,
        key: Secret::new(pem_of_key(&issued.key_der).as_bytes()),
        not_after: issued.not_after,
        origin,
    }
}

fn first(pem: &[u8]) -> Option<Certificate> {
    Certificate::all_from_pem(pem)?.into_iter().next()
}
