//! The platform's own health tree, asked through Traefik on a host, as a user's browser would: over a
//! connection that SSH opens from the host to itself, so that nothing is needed there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use reemo_transport::Host;
use serde_json::Value;
use tokio_rustls::TlsConnector;

use super::fault::Fault;
use super::pause::Pause;

/// A platform that was just deployed may take so long until every link works.
const PATIENCE: Duration = Duration::from_secs(90);
/// So many green answers in a row, on each host: Traefik and the services behind it hand requests round their copies.
const IN_A_ROW: u32 = 12;
/// Limit of one question.
const ANSWER: Duration = Duration::from_secs(15);
/// Asked for where the portal answers every name.
const ANY_NAME: &str = "portal.localhost";

/// What the portal answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Health {
    /// The tree.
    Tree(Value),
    /// It lets only some addresses in (`PORTAL_URL_RESTRICT_IP`), and the host's own is none of them.
    NotLetIn,
}

impl Health {
    /// The tree, if there is one.
    pub fn tree(self) -> Option<Value> {
        match self {
            Health::Tree(tree) => Some(tree),
            Health::NotLetIn => None,
        }
    }
}

/// Asks once.
pub async fn ask(host: &Arc<dyn Host>, url: Option<&str>) -> Result<Health, Fault> {
    let answer = tokio::time::timeout(ANSWER, get(host, name_of(url))).await;
    let (status, body) = answer.map_err(|_| {
        Fault::failed(format!("{}: the portal does not answer within {} s", host.name(), ANSWER.as_secs()))
    })??;
    match serde_json::from_slice::<Value>(&body) {
        Ok(tree @ Value::Object(_)) => Ok(Health::Tree(tree)),
        _ if status == 403 => Ok(Health::NotLetIn),
        _ => {
            let text = String::from_utf8_lossy(&body);
            let fault = Fault::failed(format!("{}: /api/healthcheck answers {status} and no JSON", host.name()));
            Err(fault.lines(text.lines().take(5).map(str::to_owned).collect()))
        }
    }
}

/// The host name in `PORTAL_URL`, which may be a bare name.
fn name_of(url: Option<&str>) -> &str {
    url.map(host_in).filter(|n| !n.is_empty()).unwrap_or(ANY_NAME)
}

/// `portal.example` of `https://portal.example:8443/`, and of the bare name.
pub(super) fn host_in(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or_default()
}

async fn get(host: &Arc<dyn Host>, name: &str) -> Result<(u16, Vec<u8>), Fault> {
    let failed = |e: &dyn std::fmt::Display| Fault::failed(format!("{}: ask /api/healthcheck: {e}", host.name()));
    let stream = host.tcp("127.0.0.1", 443).await?;
    let server = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(|e| failed(&e))?;
    let tls = TlsConnector::from(Arc::new(unverified().map_err(|e| failed(&e))?));
    let stream = tls.connect(server, stream).await.map_err(|e| failed(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/api/healthcheck").header("host", name).body(Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request.map_err(|e| failed(&e))?).await.map_err(|e| failed(&e))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
    driver.abort();
    Ok((status, body.to_vec()))
}

/// True if the tree says that everything works.
pub fn is_ok(tree: &Value) -> bool {
    tree.get("status").and_then(Value::as_str) == Some("OK")
}

/// Waits until the tree is green, and stays so: each question may reach another copy of the services behind the portal,
/// and right after a rollout a node may not have heard of all services yet (its name server learns of them by gossip, at
/// worst at the next full exchange, 30 s later). So [`IN_A_ROW`] green answers count, and one that is not begins anew.
/// Returns what could not be asked.
pub async fn settled(host: &Arc<dyn Host>, url: Option<&str>) -> Result<Health, Fault> {
    let started = Instant::now();
    let mut streak = Streak::default();
    let mut pause = Pause::new(Duration::from_millis(400), Duration::from_secs(3));
    loop {
        let answer = ask(host, url).await;
        let green = matches!(&answer, Ok(Health::Tree(tree)) if is_ok(tree));
        if streak.suffices(green) || matches!(answer, Ok(Health::NotLetIn)) {
            return answer;
        }
        if green {
            continue;
        }
        if started.elapsed() > PATIENCE {
            let tree = answer?.tree().unwrap_or_default();
            let text = serde_json::to_string_pretty(&tree).unwrap_or_default();
            let fault = Fault::failed(format!("the platform's health tree is not OK through {}", host.name()));
            return Err(fault.lines(text.lines().map(str::to_owned).collect()));
        }
        tokio::time::sleep(pause.take()).await;
    }
}

/// Green answers so far, without another between them.
#[derive(Default)]
struct Streak(u32);

impl Streak {
    /// Counts one answer; true once there were enough.
    fn suffices(&mut self, green: bool) -> bool {
        self.0 = if green { self.0 + 1 } else { 0 };
        self.0 >= IN_A_ROW
    }
}

/// A client that takes any certificate: users' certificates may be self-signed or for another name, and
/// the connection does not leave the host (SSH has verified that it is the right one).
fn unverified() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &rustls::pki_types::CertificateDer<'_>,
        _intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _server_name: &rustls::pki_types::ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy that has not heard of a service yet is met at the fifth question: the count begins anew.
    #[test]
    fn green_counts_only_in_a_row() {
        let mut streak = Streak::default();
        let answers = (1..).map(|n| n != 5);
        let asked = answers.take_while(|green| !streak.suffices(*green)).count();
        assert_eq!(asked, 5 + IN_A_ROW as usize - 1);
    }

    #[test]
    fn the_name_in_a_url() {
        assert_eq!(name_of(None), ANY_NAME);
        assert_eq!(name_of(Some("url.domain.tld")), "url.domain.tld");
        assert_eq!(name_of(Some("https://url.domain.tld:8443/x")), "url.domain.tld");
    }
}
