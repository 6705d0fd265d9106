//! The service's certificate, and mutual TLS in both directions with it. Peers are verified by name = service name.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Failure;

/// A certificate with its key, and the authority peers must come from.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
}

impl Identity {
    /// Reads `tls.crt`, `tls.key` and `ca.crt`.
    pub fn load(dir: &Path) -> Result<Identity, Failure> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read(&path).map_err(|e| Failure::new(3, format!("{} cannot be read: {e}", path.display())))
        };
        Identity::from_pem(&read("tls.crt")?, &read("tls.key")?, &read("ca.crt")?)
    }

    /// The same from PEM texts.
    pub fn from_pem(chain: &[u8], key: &[u8], ca: &[u8]) -> Result<Identity, Failure> {
        let wrong = |what: &str, e: &dyn std::fmt::Display| Failure::new(3, format!("{what} is not usable: {e}"));
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|e| wrong("tls.crt", &e))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| wrong("tls.key", &e))?;
        let mut roots = RootCertStore::empty();
        // Two authorities overlap while the old one is replaced.
        for ca in CertificateDer::pem_slice_iter(ca) {
            roots.add(ca.map_err(|e| wrong("ca.crt", &e))?).map_err(|e| wrong("ca.crt", &e))?;
        }
        Ok(Identity { chain, key, roots: Arc::new(roots) })
    }

    /// For a server: nobody gets in without a certificate of the authority.
    pub fn server(&self) -> Result<ServerConfig, Failure> {
        let clients = WebPkiClientVerifier::builder(self.roots.clone()).build()?;
        let config = ServerConfig::builder().with_client_cert_verifier(clients);
        Ok(config.with_single_cert(self.chain.clone(), self.key.clone_key())?)
    }

    /// For a client: shows the certificate, and verifies the server against the authority and the name asked for.
    pub fn client(&self) -> Result<ClientConfig, Failure> {
        let config = ClientConfig::builder().with_root_certificates(self.roots.clone());
        Ok(config.with_client_auth_cert(self.chain.clone(), self.key.clone_key())?)
    }

    /// The first name in the certificate.
    pub fn name(&self) -> Option<String> {
        self.chain.first().and_then(first_name)
    }
}

/// The first DNS name of a certificate, which for ours is the service's.
pub fn first_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    certificate.valid_dns_names().next().map(str::to_owned)
}

/// A name to verify a peer by. Service names have underscores, which is unusual and allowed.
pub fn server_name(name: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(name.to_owned()).map_err(|e| Failure::new(3, format!("`{name}` is not a name: {e}")))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// An authority and a maker of identities for the tests.
    pub struct Site {
        ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    }

    impl Site {
        pub fn new() -> Site {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut params = rcgen::CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let key = rcgen::KeyPair::generate().unwrap();
            Site { ca: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
        }

        pub fn identity(&self, name: &str) -> Identity {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            let leaf = params.signed_by(&key, &self.ca).unwrap();
            Identity::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes(), self.ca.pem().as_bytes()).unwrap()
        }
    }

    /// A handshake over a real socket, and one byte each way.
    fn talk(server: ServerConfig, client: ClientConfig, name: &str) -> Result<(), String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || -> Result<(), String> {
            let (mut socket, _) = listener.accept().map_err(|e| e.to_string())?;
            let mut tls = rustls::ServerConnection::new(Arc::new(server)).map_err(|e| e.to_string())?;
            let mut stream = rustls::Stream::new(&mut tls, &mut socket);
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|e| e.to_string())?;
            stream.write_all(&byte).map_err(|e| e.to_string())
        });
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::new(client), server_name(name).unwrap()).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        let mut byte = [7];
        let talked = stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte)).map_err(|e| e.to_string());
        drop(socket);
        let served = serving.join().unwrap();
        talked.and(served)
    }

    #[test]
    fn two_services_of_one_site_talk_by_name() {
        let site = Site::new();
        let (api, portal) = (site.identity("reemo_api"), site.identity("reemo_portal"));
        talk(api.server().unwrap(), portal.client().unwrap(), "reemo_api").unwrap();
        assert_eq!(api.name().as_deref(), Some("reemo_api"));
    }

    #[test]
    fn the_name_is_verified() {
        let site = Site::new();
        let (signal, portal) = (site.identity("reemo_signal1"), site.identity("reemo_portal"));
        let refused = talk(signal.server().unwrap(), portal.client().unwrap(), "reemo_api").unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
    }

    #[test]
    fn nobody_gets_in_without_a_certificate_of_the_site() {
        let site = Site::new();
        let api = site.identity("reemo_api");
        let bare = ClientConfig::builder().with_root_certificates(api.roots.clone()).with_no_client_auth();
        assert!(talk(api.server().unwrap(), bare, "reemo_api").is_err());
        let stranger = Site::new().identity("reemo_portal");
        let stranger = Identity { chain: stranger.chain, key: stranger.key, roots: api.roots.clone() };
        assert!(talk(api.server().unwrap(), stranger.client().unwrap(), "reemo_api").is_err());
    }
}
