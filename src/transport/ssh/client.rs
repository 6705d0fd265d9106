//! Connecting: stream, handshake, host key, login, through any number of hops.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng;
use russh::client::{self, Handle};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{ChannelOpenFailure, Preferred};
use tokio::sync::OnceCell;

use crate::counters::{Counted, Counters};
use crate::error::{Kind, TransportError};
use crate::ssh::auth;
use crate::ssh::dial::{Dialer, Tcp};
use crate::ssh::keyring::Keyring;
use crate::ssh::known_hosts::{Files, Known};
use crate::ssh::session::SshHost;
use crate::ssh::target::Target;
use crate::stream::AnyStream;

/// A host that says nothing for this long is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// And after so many questions is taken for dead.
const KEEPALIVES: usize = 3;

/// The least a login may take, and what it may where somebody types a passphrase.
const LOGIN: Duration = Duration::from_secs(30);
const ASKING: Duration = Duration::from_secs(110);

/// Messages a channel may hold that nobody has read yet. Beyond it the whole connection waits, so a
/// stream of events left alone for a while must fit.
const CHANNEL_BUFFER: usize = 2048;

/// What the russh session runs on our side.
pub(crate) struct Client {
    target: Arc<Target>,
    known: Known,
    files: Arc<Files>,
    /// Judged once; a later key exchange must show the same.
    accepted: Option<PublicKey>,
}

/// A failure below the login.
pub(crate) enum ClientError {
    /// russh's own.
    Russh(russh::Error),
    /// Ours, from judging the host key.
    Judged(TransportError),
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Russh(error) => fmt::Debug::fmt(error, f),
            ClientError::Judged(error) => fmt::Debug::fmt(error, f),
        }
    }
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        ClientError::Russh(error)
    }
}

impl ClientError {
    /// For people, while connecting.
    pub(crate) fn explain(&self, target: &Target) -> TransportError {
        let at = format!("{} ({}:{})", target.name, target.address, target.port);
        let hint = format!("try it by hand: {}", target.ssh_command());
        match self {
            ClientError::Judged(error) => TransportError::new(error.kind, &*error.message, &*error.hint),
            ClientError::Russh(error) => {
                let message = match error {
                    russh::Error::Disconnect | russh::Error::HUP => {
                        format!("{at} closed the connection")
                    }
                    russh::Error::Version => format!("what answers at {at} is not an SSH server"),
                    other => format!("{at}: {other}"),
                };
                TransportError::new(Kind::Unreachable, message, hint)
            }
        }
    }
}

impl client::Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        let key = shown.public_key();
        if let Some(accepted) = &self.accepted {
            return Ok(accepted.key_data() == key.key_data());
        }
        match shown {
            PublicKeyOrCertificate::Certificate(cert) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                self.known.judge_certificate(&self.target, cert, now).map_err(ClientError::Judged)?;
            }
            PublicKeyOrCertificate::PublicKey { .. } => {
                if self.known.judge(&self.target, &key).map_err(ClientError::Judged)? {
                    self.files.record(&self.target, &key).map_err(ClientError::Judged)?;
                }
            }
        }
        self.accepted = Some(key);
        Ok(true)
    }
}

type Shared = Arc<OnceCell<Arc<Handle<Client>>>>;

/// Connects to hosts. One serves a whole run: keys are decrypted once, files of host keys read once,
/// and hosts behind the same bastion share one connection to it.
pub struct Connector {
    dialer: Arc<dyn Dialer>,
    keyring: Keyring,
    files: Arc<Files>,
    hops: Mutex<HashMap<String, Shared>>,
}

impl Default for Connector {
    fn default() -> Self {
        Connector::new(Arc::new(Tcp))
    }
}

impl Connector {
    /// One that gets its streams from `dialer`.
    pub fn new(dialer: Arc<dyn Dialer>) -> Self {
        Connector { dialer, keyring: Keyring::default(), files: Arc::default(), hops: Mutex::default() }
    }

    /// Another one, with the same way out: no connection, key or file that was read is shared with it.
    pub fn anew(&self) -> Self {
        Connector::new(self.dialer.clone())
    }

    /// Connects and logs in.
    pub async fn connect(&self, target: &Target) -> Result<Arc<SshHost>, TransportError> {
        let counters = Arc::new(Counters::default());
        let (handle, via) = self.reach(target, &counters).await?;
        Ok(Arc::new(SshHost::new(target.clone(), handle, via, counters)))
    }

    /// Through the hops, then to the target itself.
    async fn reach(
        &self,
        target: &Target,
        counters: &Arc<Counters>,
    ) -> Result<(Handle<Client>, Option<Arc<Handle<Client>>>), TransportError> {
        let via = self.through(&target.jump, counters).await?;
        let handle = self.enter(via.as_deref(), target, counters).await?;
        Ok((handle, via))
    }

    /// The last hop of a chain, connected. Shared between all that go the same way at the same time.
    async fn through(
        &self,
        hops: &[Target],
        counters: &Arc<Counters>,
    ) -> Result<Option<Arc<Handle<Client>>>, TransportError> {
        let mut via: Option<Arc<Handle<Client>>> = None;
        let mut way = String::new();
        for hop in hops {
            way += &format!("{}@{}:{}|", hop.user, hop.address, hop.port);
            let shared = {
                let mut hops = self.hops.lock().unwrap_or_else(PoisonError::into_inner);
                let shared = hops.entry(way.clone()).or_default();
                if shared.get().is_some_and(|handle| handle.is_closed()) {
                    *shared = Shared::default();
                }
                shared.clone()
            };
            let before = via.clone();
            let handle = shared
                .get_or_try_init(|| async { self.enter(before.as_deref(), hop, counters).await.map(Arc::new) })
                .await?;
            via = Some(handle.clone());
        }
        Ok(via)
    }

    /// Stream, handshake and login, each with its limit.
    async fn enter(
        &self,
        via: Option<&Handle<Client>>,
        target: &Target,
        counters: &Arc<Counters>,
    ) -> Result<Handle<Client>, TransportError> {
        let open = async {
            let mut tries = 0;
            loop {
                let stream = match via {
                    None => {
                        self.dialer.dial(&target.address, target.port).await.map_err(|e| unreachable(target, &e))?
                    }
                    Some(hop) => forwarded(hop, target).await?,
                };
                match self.shake_hands(stream, target, counters).await {
                    // A server with too many logins under way hangs up on some of us (MaxStartups).
                    Err(Shaken::HungUp(_)) if tries < 3 => {
                        tries += 1;
                        let pause = rand::rng().random_range(50..150 << tries);
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                    Err(Shaken::HungUp(error) | Shaken::Failed(error)) => return Err(error),
                    Ok(handle) => return Ok(handle),
                }
            }
        };
        let mut handle = limited(target, target.connect_timeout, open).await?;
        counters.handshake();
        // A person may have to type a passphrase meanwhile.
        let patience = if target.passphrase.is_some() { ASKING } else { target.connect_timeout.max(LOGIN) };
        limited(target, patience, auth::log_in(&mut handle, target, &self.keyring)).await?;
        Ok(handle)
    }

    async fn shake_hands(
        &self,
        stream: AnyStream,
        target: &Target,
        counters: &Arc<Counters>,
    ) -> Result<Handle<Client>, Shaken> {
        let known = self.files.known(target);
        let config = client::Config {
            nodelay: true,
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: KEEPALIVES,
            // Answered keepalives count as activity; a write that nobody takes does not.
            inactivity_timeout: Some(KEEPALIVE * 6),
            channel_buffer_size: CHANNEL_BUFFER,
            preferred: Preferred {
                key: known.algorithms().into(),
                host_key_certificates: known.certificate_algorithms().into(),
                ..Preferred::default()
            },
            ..client::Config::default()
        };
        let client = Client {
            target: Arc::new(target.clone()),
            known: known.clone(),
            files: self.files.clone(),
            accepted: None,
        };
        let stream = Counted::new(stream, counters.clone());
        match client::connect_stream(Arc::new(config), stream, client).await {
            Ok(handle) => Ok(handle),
            Err(ClientError::Russh(russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, theirs, .. })) => {
                Err(Shaken::Failed(known.nothing_in_common(target, &theirs)))
            }
            Err(error) => {
                let explained = error.explain(target);
                Err(match error {
                    ClientError::Russh(russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_)) => {
                        Shaken::HungUp(explained)
                    }
                    _ => Shaken::Failed(explained),
                })
            }
        }
    }
}

enum Shaken {
    HungUp(TransportError),
    Failed(TransportError),
}

/// A stream to the target through a host already connected.
async fn forwarded(hop: &Handle<Client>, target: &Target) -> Result<AnyStream, TransportError> {
    let address = target.address.trim_start_matches('[').trim_end_matches(']');
    match hop.channel_open_direct_tcpip(address, u32::from(target.port), "127.0.0.1", 0).await {
        Ok(channel) => Ok(Box::new(channel.into_stream())),
        Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited)) => {
            Err(TransportError::new(
                Kind::Unreachable,
                format!("the host before {} forwards no connections", target.name),
                "set AllowTcpForwarding yes in its /etc/ssh/sshd_config",
            ))
        }
        Err(error) => Err(ClientError::from(error).explain(target)),
    }
}

async fn limited<T>(
    target: &Target,
    limit: Duration,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(TransportError::new(
            Kind::Unreachable,
            format!("{} ({}:{}) did not answer within {} s", target.name, target.address, target.port, limit.as_secs()),
            format!("see whether it is up and not behind a firewall: {}", target.ssh_command()),
        )),
    }
}

fn unreachable(target: &Target, error: &std::io::Error) -> TransportError {
    TransportError::new(
        Kind::Unreachable,
        format!("{} ({}:{}): {error}", target.name, target.address, target.port),
        format!("see whether it is up and sshd runs: {}", target.ssh_command()),
    )
}
