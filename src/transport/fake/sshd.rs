//! A simulated host: a real SSH server in this process, with something else behind it.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session};
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, MethodKind, MethodSet,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::docker::SOCKET;
use crate::fake::exec::{Exec, Ran, understand};
use crate::fake::{Engine, Net};
use crate::host::BoxFuture;

/// Whom a simulated host lets in.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Anybody, without asking. The quickest.
    #[default]
    Anyone,
    /// Who knows this password.
    Password(String),
    /// Who answers the question with this.
    Interactive(String),
    /// Who has one of these keys.
    Keys(Vec<PublicKey>),
}

/// What sudo does there.
#[derive(Clone, Debug, Default)]
pub enum Sudo {
    /// Asks for nothing.
    #[default]
    Free,
    /// Wants this password.
    Password(String),
    /// Refuses, with these words.
    Refuses(String),
}

type Answers = Arc<dyn Fn(Exec) -> BoxFuture<'static, Ran> + Send + Sync>;

#[derive(Clone)]
enum Behind {
    Answers(Answers),
    Shell(PathBuf),
}

/// A simulated host. Cheap to clone; clones are the same host. Change it before it is connected to.
#[derive(Clone)]
pub struct Sshd {
    config: Arc<server::Config>,
    public: PublicKey,
    behind: Behind,
    login: Login,
    sudo: Sudo,
    engine: Option<Engine>,
    forwards: bool,
    most_sessions: usize,
    execs: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Sshd {
    /// A host whose commands are answered by `answers`. Input is read to its end first.
    pub fn new(answers: impl Fn(Exec) -> Ran + Send + Sync + 'static) -> Self {
        Sshd::new_async(move |exec| {
            let ran = answers(exec);
            Box::pin(async move { ran })
        })
    }

    /// The same, for answers that take time.
    pub fn new_async(answers: impl Fn(Exec) -> BoxFuture<'static, Ran> + Send + Sync + 'static) -> Self {
        Sshd::with(Behind::Answers(Arc::new(answers)))
    }

    /// A host whose commands a real `/bin/sh` runs in `folder`, with `folder/bin` first in its PATH.
    /// `sudo` there is whatever that folder has.
    pub fn shell(folder: impl Into<PathBuf>) -> Self {
        Sshd::with(Behind::Shell(folder.into()))
    }

    fn with(behind: Behind) -> Self {
        Sshd {
            config: Arc::default(),
            public: key(0).public_key().clone(),
            behind,
            login: Login::Anyone,
            sudo: Sudo::Free,
            engine: None,
            forwards: true,
            most_sessions: 10,
            execs: Arc::default(),
            connections: Arc::default(),
        }
        .host_key(0)
    }

    /// Another host key; the same number is the same key.
    pub fn host_key(mut self, number: u64) -> Self {
        let key = key(number);
        self.public = key.public_key().clone();
        self.config = Arc::new(server::Config {
            keys: vec![key],
            // Constant-time rejection is for the internet.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            max_auth_attempts: 6,
            ..server::Config::default()
        });
        self
    }

    /// Its public host key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Whom to let in.
    pub fn login(mut self, login: Login) -> Self {
        self.login = login;
        self
    }

    /// What sudo does. Of no effect with a real shell behind.
    pub fn sudo(mut self, sudo: Sudo) -> Self {
        self.sudo = sudo;
        self
    }

    /// The Docker engine of the host: on its socket, and behind `docker system dial-stdio`.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Forbids forwarding of sockets, and of ports, as `DisableForwarding yes` does.
    pub fn without_forwarding(mut self) -> Self {
        self.forwards = false;
        self
    }

    /// `MaxSessions`.
    pub fn most_sessions(mut self, most: usize) -> Self {
        self.most_sessions = most;
        self
    }

    /// Commands run so far.
    pub fn execs(&self) -> usize {
        self.execs.load(Ordering::Relaxed)
    }

    /// Connections to it so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Speaks SSH on a stream until that ends.
    pub(crate) fn serve(&self, stream: impl crate::stream::Stream, net: Net) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (config, handler) =
            (self.config.clone(), Handler { sshd: self.clone(), net, channels: HashMap::new(), open: Arc::default() });
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, handler).await {
                let _ = session.await;
            }
        });
    }
}

/// The key pair of a number, for tests that need one.
fn key(number: u64) -> PrivateKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "fake").expect("a key pair of fixed form")
}

struct Handler {
    sshd: Sshd,
    net: Net,
    /// Sessions open and not yet given a command.
    channels: HashMap<ChannelId, Channel<Msg>>,
    open: Arc<Mutex<usize>>,
}

impl Handler {
    fn lets_in(&self, yes: bool) -> Result<Auth, russh::Error> {
        let method = match &self.sshd.login {
            Login::Anyone => MethodKind::None,
            Login::Password(_) => MethodKind::Password,
            Login::Interactive(_) => MethodKind::KeyboardInteractive,
            Login::Keys(_) => MethodKind::PublicKey,
        };
        Ok(match yes {
            true => Auth::Accept,
            false => {
                Auth::Reject { proceed_with_methods: Some(MethodSet::from(&[method][..])), partial_success: false }
            }
        })
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        self.lets_in(matches!(self.sshd.login, Login::Anyone))
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.lets_in(matches!(&self.sshd.login, Login::Password(right) if right == password))
    }

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        let offered = offer.public_key;
        self.lets_in(
            matches!(&self.sshd.login, Login::Keys(keys) if keys.iter().any(|k| k.key_data() == offered.key_data())),
        )
    }

    async fn auth_publickey(&mut self, _user: &str, key: server::VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let shown = key.public_key;
        self.lets_in(
            matches!(&self.sshd.login, Login::Keys(keys) if keys.iter().any(|k| k.key_data() == shown.key_data())),
        )
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Login::Interactive(right) = &self.sshd.login else { return self.lets_in(false) };
        match response {
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            }),
            Some(mut answers) => {
                let yes = answers.next().is_some_and(|a| &a[..] == right.as_bytes());
                self.lets_in(yes)
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        let full = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let full = *open >= self.sshd.most_sessions;
            *open += usize::from(!full);
            full
        };
        if full {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.channels.insert(channel.id(), channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        match &self.sshd.engine {
            _ if !self.sshd.forwards => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
            Some(engine) if socket_path == SOCKET => {
                reply.accept().await;
                let mut engine = engine.connect();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut engine).await;
                });
            }
            _ => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if !self.sshd.forwards {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let port = u16::try_from(port_to_connect).unwrap_or(0);
        match self.net.open(host_to_connect, port).await {
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            Ok(mut there) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut there).await;
                });
            }
        }
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        self.sshd.execs.fetch_add(1, Ordering::Relaxed);
        let line = String::from_utf8_lossy(data).into_owned();
        let (sshd, open) = (self.sshd.clone(), self.open.clone());
        tokio::spawn(async move {
            let (read, write) = channel.split();
            let _ = sshd.run(line, read, &write).await;
            let _ = write.close().await;
            *open.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        });
        Ok(())
    }
}

impl Sshd {
    async fn run(
        &self,
        line: String,
        mut read: ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
    ) -> Result<(), russh::Error> {
        let answers = match &self.behind {
            Behind::Answers(answers) => answers,
            Behind::Shell(folder) => return shell(&line, folder, read, write).await,
        };
        let mut exec = understand(&line).unwrap_or_else(|| Exec { line, ..Exec::default() });
        let mut early = Vec::new();
        if exec.privileged {
            let through = match &self.sudo {
                Sudo::Free => true,
                Sudo::Refuses(words) => {
                    write.extended_data_bytes(1, format!("{words}\n")).await?;
                    false
                }
                Sudo::Password(right) => match &exec.prompt {
                    None => {
                        write.extended_data_bytes(1, "sudo: a password is required\n").await?;
                        false
                    }
                    Some(prompt) => asked(right, prompt, &mut read, write, &mut early).await?,
                },
            };
            if !through {
                write.exit_status(1).await?;
                return write.eof().await;
            }
            if let Some(started) = &exec.started {
                write.extended_data_bytes(1, started.clone()).await?;
            }
        }
        let dials = exec.argv == ["docker", "system", "dial-stdio"];
        match &self.engine {
            Some(engine) if dials => return bridge(engine.connect(), read, write).await,
            // At once: who dials waits for an answer before it says that no more will come.
            None if dials => {
                write.extended_data_bytes(1, "docker: not found\n").await?;
                write.exit_status(127).await?;
                return write.eof().await;
            }
            _ => {}
        }
        exec.stdin = early;
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => exec.stdin.extend_from_slice(&data),
                ChannelMsg::Eof => break,
                ChannelMsg::Close => return Ok(()),
                _ => {}
            }
        }
        let ran = answers(exec).await;
        write.data_bytes(ran.stdout).await?;
        write.extended_data_bytes(1, ran.stderr).await?;
        write.exit_status(ran.code as u32).await?;
        write.eof().await
    }
}

/// sudo -S: three tries; what follows the right one belongs to the program.
async fn asked(
    right: &str,
    prompt: &str,
    read: &mut ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    early: &mut Vec<u8>,
) -> Result<bool, russh::Error> {
    for _ in 0..3 {
        write.extended_data_bytes(1, prompt.to_owned()).await?;
        while !early.contains(&b'\n') {
            match read.wait().await {
                Some(ChannelMsg::Data { data }) => early.extend_from_slice(&data),
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return Ok(false),
                Some(_) => {}
            }
        }
        let end = early.iter().position(|b| *b == b'\n').unwrap_or(0);
        let line: Vec<u8> = early.drain(..=end).collect();
        if line[..end] == *right.as_bytes() {
            return Ok(true);
        }
        write.extended_data_bytes(1, "Sorry, try again.\n").await?;
    }
    Ok(false)
}

async fn bridge(
    stream: crate::stream::AnyStream,
    mut read: ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
) -> Result<(), russh::Error> {
    let (mut from, mut to) = tokio::io::split(stream);
    let up = async {
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } if to.write_all(&data).await.is_err() => break,
                ChannelMsg::Eof | ChannelMsg::Close => break,
                _ => {}
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if write.data_bytes(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    write.exit_status(0).await?;
    write.eof().await
}

async fn shell(
    line: &str,
    folder: &PathBuf,
    mut read: ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
) -> Result<(), russh::Error> {
    let path = format!("{}/bin:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Taken off the channel at once, whatever the program does: a server whose channel is full stops
    // reading and writing for all of them.
    let (queue, mut queued) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let feed = async move {
        let Some(mut pipe) = stdin else { return };
        while let Some(data) = queued.recv().await {
            if pipe.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    let up = async {
        let mut queue = Some(queue);
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    if let Some(queue) = &queue {
                        let _ = queue.send(data);
                    }
                }
                ChannelMsg::Eof => queue = None,
                ChannelMsg::Close => return,
                _ => {}
            }
        }
    };
    let down = async {
        let out = async {
            if let Some(mut pipe) = stdout {
                let mut buffer = vec![0; 32 * 1024];
                while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                    let _ = write.data_bytes(Bytes::copy_from_slice(&buffer[..count])).await;
                }
            }
        };
        let err = async {
            if let Some(mut pipe) = stderr {
                let mut buffer = vec![0; 32 * 1024];
                while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                    let _ = write.extended_data_bytes(1, Bytes::copy_from_slice(&buffer[..count])).await;
                }
            }
        };
        tokio::join!(out, err, child.wait()).2
    };
    let feed = async {
        feed.await;
        std::future::pending().await
    };
    let status = tokio::select! {
        () = up => return Ok(()),
        () = feed => return Ok(()),
        status = down => status?,
    };
    // russh's server cannot send a signal's name from here; shells report it in this way too.
    let code = status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(255);
    write.exit_status(code as u32).await?;
    write.eof().await
}
