//! A host reached by SSH.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::Semaphore;

use crate::counters::Counters;
use crate::docker::Engine;
use crate::error::{Kind, TransportError};
use crate::gate::Gate;
use crate::host::{BoxFuture, Command, Host, OnLine, Output, Trips};
use crate::quote;
use crate::run::{Event, Reader, Run, Writer};
use crate::ssh::client::Client;
use crate::ssh::target::Target;
use crate::stream::AnyStream;

/// Commands at once on one connection. sshd allows 10 sessions (`MaxSessions`); 4 are as fast, and
/// leave room for Docker connections that are sessions too.
const SESSIONS: usize = 4;

/// How often a refused session is asked for again.
const TRIES: u32 = 7;

/// A host, connected and logged in to.
pub struct SshHost {
    wire: Arc<SshWire>,
    docker: Engine,
}

impl SshHost {
    pub(crate) fn new(
        target: Target,
        handle: Handle<Client>,
        via: Option<Arc<Handle<Client>>>,
        counters: Arc<Counters>,
    ) -> Self {
        let wire = Arc::new(SshWire {
            target,
            handle: Arc::new(handle),
            _via: via,
            sessions: Semaphore::new(SESSIONS),
            counters,
        });
        SshHost { docker: Engine::new(wire.clone(), wire.counters.clone()), wire }
    }

    /// Forgets the Docker connections and what was learned about the engine. Needed after installing or
    /// restarting it only if it must be asked in another way than before: dead connections are noticed.
    pub async fn forget_docker(&self) {
        self.docker.forget().await;
    }

    /// True when the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.wire.handle.is_closed()
    }
}

impl Host for SshHost {
    fn name(&self) -> &str {
        &self.wire.target.name
    }

    fn exec<'a>(
        &'a self,
        command: Command,
        on_line: Option<OnLine<'a>>,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(self.wire.exec(command, on_line))
    }

    fn docker(&self) -> BoxFuture<'_, Result<crate::docker::Docker, TransportError>> {
        Box::pin(self.docker.docker())
    }

    fn tcp<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            let name = &self.wire.target.name;
            match self.wire.handle.channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0).await {
                Ok(channel) => Ok(Box::new(channel.into_stream()) as AnyStream),
                Err(error) => Err(TransportError::new(
                    match error {
                        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                            Kind::Forwarding
                        }
                        _ => Kind::Broken,
                    },
                    format!("{name}: no connection to {address}:{port} from there: {error}"),
                    "the service must listen there, and sshd must allow forwarding (AllowTcpForwarding yes)",
                )),
            }
        })
    }

    fn trips(&self) -> Trips {
        self.wire.counters.trips()
    }
}

/// The connection, shared by commands and Docker.
pub(crate) struct SshWire {
    target: Target,
    handle: Arc<Handle<Client>>,
    /// Kept open as long as we stand on it.
    _via: Option<Arc<Handle<Client>>>,
    sessions: Semaphore,
    counters: Arc<Counters>,
}

impl SshWire {
    async fn exec(&self, command: Command, on_line: Option<OnLine<'_>>) -> Result<Output, TransportError> {
        let gate = match command.privileged {
            true => Gate::new(&self.target.user, &self.target.r#become)?,
            false => None,
        };
        let who = gate.as_ref().map_or(quote::As::Login, Gate::who);
        let line = quote::line(&command.argv, &command.env, &who, Some(command.timeout))?;
        let _slot = self.sessions.acquire().await;
        let (mut reader, mut writer) = self.start(line).await?;
        let run = Run {
            program: command.argv.first().map_or("", |p| p.as_str()),
            host: &self.target.name,
            stdin: command.stdin,
            gate,
            limit: command.timeout,
            on_line,
        };
        run.drive(&mut reader, &mut writer).await
    }

    async fn start(&self, line: String) -> Result<(ChannelReader, ChannelWriter), TransportError> {
        let channel = self.session().await?;
        self.counters.exec();
        let (read, write) = channel.split();
        let ended = Arc::new(AtomicBool::new(false));
        let writer = ChannelWriter { half: Some(write), ended: ended.clone() };
        if let Some(half) = &writer.half {
            half.exec(true, line).await.map_err(|e| self.broken(&e))?;
        }
        Ok((ChannelReader { half: read, ended }, writer))
    }

    /// Asks once. By a task of its own: who gives up in the middle must not leave a session open that
    /// nobody knows of.
    async fn open(&self) -> Result<Channel<Msg>, russh::Error> {
        let handle = self.handle.clone();
        let (give, take) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let opened = handle.channel_open_session().await;
            if let Err(Ok(unwanted)) = give.send(opened) {
                let _ = unwanted.close().await;
            }
        });
        take.await.unwrap_or(Err(russh::Error::Disconnect))
    }

    /// A session channel. Others of ours, or of another program, may hold them all for a moment.
    async fn session(&self) -> Result<Channel<Msg>, TransportError> {
        let mut pause = 20;
        for last in (0..TRIES).map(|n| n + 1 == TRIES) {
            match self.open().await {
                Ok(channel) => return Ok(channel),
                Err(russh::Error::ChannelOpenFailure(_)) if !last => {
                    let jitter = rand::rng().random_range(0..pause);
                    tokio::time::sleep(Duration::from_millis(pause + jitter)).await;
                    pause *= 2;
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    return Err(TransportError::new(
                        Kind::Broken,
                        format!("sshd on {} opens no more sessions ({reason:?})", self.target.name),
                        "see MaxSessions in its /etc/ssh/sshd_config: 10 is the default and enough",
                    ));
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Err(self.broken(&russh::Error::Disconnect))
    }

    fn broken(&self, error: &russh::Error) -> TransportError {
        TransportError::new(
            Kind::Broken,
            format!("the connection to {} broke: {error}", self.target.name),
            format!("see whether the host is up: {}", self.target.ssh_command()),
        )
    }
}

impl crate::docker::Ways for SshWire {
    fn socket<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<crate::stream::AnyStream>, TransportError>> {
        Box::pin(async move {
            match self.handle.channel_open_direct_streamlocal(path).await {
                Ok(channel) => Ok(Some(Box::new(channel.into_stream()) as crate::stream::AnyStream)),
                // No such socket, not ours to open, or forwarding is forbidden: sshd does not say which.
                Err(russh::Error::ChannelOpenFailure(_)) => Ok(None),
                Err(error) => Err(self.broken(&error)),
            }
        })
    }

    fn dial_stdio(&self) -> BoxFuture<'_, Result<crate::stream::AnyStream, TransportError>> {
        Box::pin(async move {
            let gate = match self.target.r#become.enabled {
                true => Gate::new(&self.target.user, &self.target.r#become)?,
                false => None,
            };
            let who = gate.as_ref().map_or(quote::As::Login, Gate::who);
            let argv = ["docker", "system", "dial-stdio"].map(str::to_owned);
            let line = quote::line(&argv, &[], &who, None)?;
            let channel = self.session().await?;
            self.counters.exec();
            channel.exec(false, line).await.map_err(|e| self.broken(&e))?;
            through_gate(channel, gate).await
        })
    }

    fn exec(&self, command: Command) -> BoxFuture<'_, Result<Output, TransportError>> {
        Box::pin(self.exec(command, None))
    }

    fn name(&self) -> &str {
        &self.target.name
    }

    fn privileged(&self) -> bool {
        self.target.r#become.enabled || self.target.user == "root"
    }
}

/// Answers sudo; what is left is the program's own stream.
async fn through_gate(channel: Channel<Msg>, gate: Option<Gate>) -> Result<crate::stream::AnyStream, TransportError> {
    let Some(mut gate) = gate else {
        return Ok(Box::new(channel.into_stream()));
    };
    let mut channel = Guarded(Some(channel));
    let patience = tokio::time::sleep(crate::run::GATE_PATIENCE);
    tokio::pin!(patience);
    while let Some(inner) = &mut channel.0 {
        let message = tokio::select! {
            message = inner.wait() => message,
            () = &mut patience => None,
        };
        match message {
            Some(ChannelMsg::ExtendedData { data, .. }) => match gate.push(&data)? {
                crate::gate::Step::Wait => {}
                crate::gate::Step::Answer(password) => {
                    let mut line = zeroize::Zeroizing::new(password.expose().to_vec());
                    line.push(b'\n');
                    let _ = inner.data(&line[..]).await;
                }
                crate::gate::Step::Open(_) => {
                    if let Some(channel) = channel.0.take() {
                        return Ok(Box::new(channel.into_stream()));
                    }
                }
            },
            None | Some(ChannelMsg::Close | ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) => break,
            Some(_) => {}
        }
    }
    Err(gate.refused())
}

/// Dropping a channel does not close it; this does.
struct Guarded(Option<Channel<Msg>>);

impl Drop for Guarded {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { channel.close().await });
        }
    }
}

struct ChannelReader {
    half: ChannelReadHalf,
    ended: Arc<AtomicBool>,
}

impl Reader for ChannelReader {
    async fn next(&mut self) -> Event {
        loop {
            let event = match self.half.wait().await {
                None | Some(ChannelMsg::Close | ChannelMsg::Failure) => Event::Closed,
                Some(ChannelMsg::Data { data }) => return Event::Out(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => return Event::Err(data),
                Some(ChannelMsg::ExitStatus { exit_status }) => Event::Exit(exit_status as i32),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => Event::Exit(128 + number(&signal_name)),
                Some(_) => continue,
            };
            self.ended.store(true, Ordering::Relaxed);
            return event;
        }
    }
}

struct ChannelWriter {
    half: Option<ChannelWriteHalf<Msg>>,
    ended: Arc<AtomicBool>,
}

impl Writer for ChannelWriter {
    async fn write(&mut self, bytes: &[u8]) -> bool {
        match &self.half {
            Some(half) => half.data_bytes(Bytes::copy_from_slice(bytes)).await.is_ok(),
            None => false,
        }
    }

    async fn end(&mut self) {
        if let Some(half) = &self.half {
            let _ = half.eof().await;
        }
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        if let (Some(half), Ok(runtime)) = (self.half.take(), tokio::runtime::Handle::try_current()) {
            let given_up = !self.ended.load(Ordering::Relaxed);
            runtime.spawn(async move {
                // Closing alone lets the program run on, and keeps its session taken until it ends.
                if given_up {
                    let _ = half.signal(Sig::TERM).await;
                }
                let _ = half.close().await;
            });
        }
    }
}

fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        // Not among those the protocol names; 127 is no signal.
        Sig::Custom(_) => 127,
    }
}
