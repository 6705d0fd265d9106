//! A registry, asked from the control machine over HTTPS: no engine is needed for it. HTTPS_PROXY and NO_PROXY of the
//! environment count.

use std::sync::Once;

use bytes::Bytes;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, SizedStream};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth as Login;
use oci_client::{Client, Reference, RegistryOperation};
use reemo_model::op::RegistryAuth;
use serde_json::Value;

use crate::engine::fault::Fault;
use crate::engine::files::sha256;

/// Types of manifests we can carry; lists of them last.
pub const MANIFESTS: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

/// A registry.
pub struct Remote {
    client: Client,
    /// Which registry the login is for, and the login.
    login: Option<(String, Login)>,
}

/// A manifest as the registry has it.
pub struct Manifest {
    /// Its digest.
    pub digest: String,
    /// Its type.
    pub media_type: String,
    /// The same, byte for byte.
    pub bytes: Bytes,
    /// The same, read.
    pub json: Value,
}

impl Manifest {
    /// Manifests it lists, if it is a list.
    pub fn list(&self) -> Option<&Vec<Value>> {
        self.json["manifests"].as_array()
    }

    /// Digest and length of its configuration and its layers, in this order.
    pub fn blobs(&self) -> Vec<(String, u64)> {
        let layers = self.json["layers"].as_array().into_iter().flatten();
        let one = |d: &Value| Some((d["digest"].as_str()?.to_owned(), d["size"].as_u64()?));
        std::iter::once(&self.json["config"]).chain(layers).filter_map(one).collect()
    }
}

/// `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// A reference as the client wants it.
pub fn reference(text: &str) -> Result<Reference, Fault> {
    text.parse().map_err(|e| Fault::failed(format!("{text} names no image: {e}")))
}

impl Remote {
    /// A registry with this login, whose certificate an authority of the system's or this one has signed.
    pub fn new(auth: Option<&RegistryAuth>, ca: Option<&[u8]>) -> Result<Remote, Fault> {
        static PROVIDER: Once = Once::new();
        // It is there already if another part came first.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let certificate = ca.map(|ca| Certificate { encoding: CertificateEncoding::Pem, data: ca.to_vec() });
        let config = ClientConfig {
            extra_root_certificates: certificate.into_iter().collect(),
            use_monolithic_push: true,
            connect_timeout: Some(std::time::Duration::from_secs(20)),
            read_timeout: Some(std::time::Duration::from_secs(120)),
            user_agent: concat!("reemo-infra/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|e| said("the registry's client", &e))?;
        let login = auth.map(|a| {
            let password = a.password.expose_str().unwrap_or_default().to_owned();
            let server = a.server.split('/').next().unwrap_or_default().to_owned();
            (server, Login::Basic(a.username.clone(), password))
        });
        Ok(Remote { client, login })
    }

    /// The login of this image's registry; no other registry is shown it.
    fn login(&self, of: &Reference) -> Login {
        let own = self.login.as_ref().filter(|(server, _)| server == of.registry());
        own.map_or(Login::Anonymous, |(_, login)| login.clone())
    }

    /// The manifest (or the list) a reference names.
    pub async fn manifest(&self, of: &Reference) -> Result<Manifest, Fault> {
        let doing = || format!("ask the registry for {of}");
        let login = self.login(of);
        self.client.auth(of, &login, RegistryOperation::Pull).await.map_err(|e| said(&doing(), &e))?;
        let answer = self.client.pull_manifest_raw(of, &login, &MANIFESTS).await;
        let (bytes, _) = answer.map_err(|e| said(&doing(), &e))?;
        let digest = digest_of(&bytes);
        if of.digest().is_some_and(|wanted| wanted != digest) {
            return Err(Fault::failed(format!("{}: what it sent has the digest {digest}", doing())));
        }
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Fault::failed(format!("{}: its answer is no manifest: {e}", doing())))?;
        let media_type = json["mediaType"].as_str().unwrap_or(MANIFESTS[1]).to_owned();
        if json["schemaVersion"] != 2 {
            return Err(Fault::failed(format!("{}: its manifest has an old form that cannot be carried", doing())));
        }
        Ok(Manifest { digest, media_type, bytes, json })
    }

    /// The bytes of a blob, as they come; its digest is checked when the last has come.
    pub async fn blob(&self, of: &Reference, digest: &str) -> Result<SizedStream, Fault> {
        let answer = self.client.pull_blob_stream(of, digest).await;
        answer.map_err(|e| said(&format!("fetch {digest} of {of}"), &e))
    }

    /// Gets ready to write.
    pub async fn write_to(&self, to: &Reference) -> Result<(), Fault> {
        let ready = self.client.auth(to, &self.login(to), RegistryOperation::Push).await;
        ready.map(drop).map_err(|e| said(&format!("log in to write {to}"), &e))
    }

    /// The blob is there.
    pub async fn has(&self, to: &Reference, digest: &str) -> Result<bool, Fault> {
        let there = self.client.blob_exists(to, digest).await;
        there.map_err(|e| said(&format!("ask for {digest} of {to}"), &e))
    }

    /// Writes a blob.
    pub async fn put_blob(&self, to: &Reference, digest: &str, size: u64, from: SizedStream) -> Result<(), Fault> {
        use futures_util::TryStreamExt;
        let stream = from.stream.map_err(OciDistributionError::from);
        let done = self.client.push_blob_stream(to, stream, digest, Some(size)).await;
        done.map(drop).map_err(|e| said(&format!("write {digest} of {to}"), &e))
    }

    /// Writes a manifest, byte for byte, so that its digest stays.
    pub async fn put_manifest(&self, to: &Reference, manifest: &Manifest) -> Result<(), Fault> {
        let kind = manifest.media_type.parse().map_err(|_| Fault::failed(format!("{to}: a manifest of no type")))?;
        let done = self.client.push_manifest_raw(to, manifest.bytes.clone(), kind).await;
        done.map(drop).map_err(|e| said(&format!("write the manifest {to}"), &e))
    }
}

/// A failure with every cause behind it: `reqwest` keeps the one that matters ("invalid peer certificate") to the last.
fn said(doing: &str, error: &OciDistributionError) -> Fault {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    let hint = if text.contains("certificate") {
        "name the authority of the registry's certificate: REGISTRY_CA_FILE (for `images mirror`: --to-ca)"
    } else if text.contains("401") || text.contains("Not authorized") || text.contains("Authentication") {
        "REGISTRY_USERNAME and REGISTRY_PASSWORD (for `images mirror`: --to-username and its password)"
    } else if text.contains("manifest unknown") {
        "the registry has no such tag: check the DOCKER_VERSION_* variable"
    } else {
        ""
    };
    Fault::failed(format!("{doing}: {text}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use reemo_model::secret::Secret;

    use super::*;

    #[test]
    fn a_login_is_for_its_own_registry() {
        let auth = RegistryAuth {
            server: "registry.example:5000/path".into(),
            username: "user".into(),
            password: Secret::unregistered("word"),
        };
        let remote = Remote::new(Some(&auth), None).unwrap();
        let login = |name: &str| remote.login(&reference(name).unwrap());
        assert_eq!(login("registry.example:5000/path/api:1"), Login::Basic("user".into(), "word".into()));
        assert_eq!(login("registry.example/path/api:1"), Login::Anonymous);
        assert_eq!(login("docker.io/library/debian:12"), Login::Anonymous);
    }

    #[test]
    fn the_parts_of_a_manifest() {
        let json = serde_json::json!({"config": {"digest": "c", "size": 1}, "layers": [{"digest": "l", "size": 2}]});
        let manifest = Manifest { digest: String::new(), media_type: String::new(), bytes: Bytes::new(), json };
        assert_eq!(manifest.blobs(), [("c".to_owned(), 1), ("l".to_owned(), 2)]);
        assert!(manifest.list().is_none());
    }
}
