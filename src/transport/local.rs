//! The machine we run on, as a host (`ansible_connection=local`).

use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use crate::counters::Counters;
use crate::docker::{Engine, Ways};
use crate::error::{Kind, TransportError};
use crate::gate::{Become, Gate};
use crate::host::{BoxFuture, Command, Host, OnLine, Output, Trips};
use crate::quote;
use crate::run::{Event, Reader, Run, Writer};
use crate::stream::AnyStream;

/// This machine.
pub struct LocalHost {
    here: Arc<Here>,
    docker: Engine,
}

struct Here {
    name: String,
    user: String,
    r#become: Become,
    counters: Arc<Counters>,
}

impl LocalHost {
    /// This machine under its inventory name. `user` is who runs us.
    pub fn new(name: impl Into<String>, user: impl Into<String>, r#become: Become) -> Self {
        let counters = Arc::new(Counters::default());
        let here = Arc::new(Here { name: name.into(), user: user.into(), r#become, counters: counters.clone() });
        LocalHost { docker: Engine::new(here.clone(), counters), here }
    }

    /// See [`crate::SshHost::forget_docker`].
    pub async fn forget_docker(&self) {
        self.docker.forget().await;
    }
}

impl Host for LocalHost {
    fn name(&self) -> &str {
        &self.here.name
    }

    fn exec<'a>(
        &'a self,
        command: Command,
        on_line: Option<OnLine<'a>>,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(self.here.exec(command, on_line))
    }

    fn docker(&self) -> BoxFuture<'_, Result<crate::docker::Docker, TransportError>> {
        Box::pin(self.docker.docker())
    }

    fn tcp<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            match tokio::net::TcpStream::connect((address, port)).await {
                Ok(stream) => Ok(Box::new(stream) as AnyStream),
                Err(error) => Err(TransportError::new(
                    Kind::Broken,
                    format!("{}: no connection to {address}:{port}: {error}", self.here.name),
                    "the service must listen there",
                )),
            }
        })
    }

    fn trips(&self) -> Trips {
        self.here.counters.trips()
    }
}

impl Here {
    async fn exec(&self, command: Command, on_line: Option<OnLine<'_>>) -> Result<Output, TransportError> {
        let gate = match command.privileged {
            true => Gate::new(&self.user, &self.r#become)?,
            false => None,
        };
        let who = gate.as_ref().map_or(quote::As::Login, Gate::who);
        let line = quote::line(&command.argv, &command.env, &who, Some(command.timeout))?;
        let mut child = self.spawn(&line)?;
        self.counters.exec();
        let mut writer = Stdin(child.stdin.take());
        let mut reader = Pipes { out: child.stdout.take(), err: child.stderr.take(), child, ended: false };
        let run = Run {
            program: command.argv.first().map_or("", |p| p.as_str()),
            host: &self.name,
            stdin: command.stdin,
            gate,
            limit: command.timeout,
            on_line,
        };
        run.drive(&mut reader, &mut writer).await
    }

    fn spawn(&self, line: &str) -> Result<Child, TransportError> {
        tokio::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // ^C in our terminal is for us to handle, not for what we started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| TransportError::new(Kind::Broken, format!("{}: cannot start /bin/sh: {e}", self.name), ""))
    }
}

impl Ways for Here {
    fn socket<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<AnyStream>, TransportError>> {
        Box::pin(async move {
            let stream = tokio::net::UnixStream::connect(path).await.ok();
            Ok(stream.map(|s| Box::new(s) as AnyStream))
        })
    }

    fn dial_stdio(&self) -> BoxFuture<'_, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            let gate = match self.r#become.enabled {
                true => Gate::new(&self.user, &self.r#become)?,
                false => None,
            };
            if gate.as_ref().is_some_and(Gate::holds_input) {
                return Err(TransportError::new(
                    Kind::Engine,
                    format!("{}: {} may not use {}", self.name, self.user, crate::docker::SOCKET),
                    format!("sudo usermod -aG docker {}, then log in again", self.user),
                ));
            }
            let who = gate.as_ref().map_or(quote::As::Login, Gate::who);
            let argv = ["docker", "system", "dial-stdio"].map(str::to_owned);
            let mut child = self.spawn(&quote::line(&argv, &[], &who, None)?)?;
            self.counters.exec();
            let (input, output) = (child.stdin.take(), child.stdout.take());
            let (Some(input), Some(output)) = (input, output) else {
                return Err(TransportError::new(Kind::Internal, "a child without pipes", ""));
            };
            // Its errors are of no interest, but somebody must read them.
            if let Some(mut errors) = child.stderr.take() {
                tokio::spawn(async move { tokio::io::copy(&mut errors, &mut tokio::io::sink()).await });
            }
            tokio::spawn(async move { child.wait().await });
            Ok(Box::new(tokio::io::join(output, input)) as AnyStream)
        })
    }

    fn exec(&self, command: Command) -> BoxFuture<'_, Result<Output, TransportError>> {
        Box::pin(self.exec(command, None))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn privileged(&self) -> bool {
        self.r#become.enabled || self.user == "root"
    }
}

struct Pipes {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    child: Child,
    ended: bool,
}

impl Reader for Pipes {
    async fn next(&mut self) -> Event {
        use std::os::unix::process::ExitStatusExt;
        loop {
            if self.ended && self.out.is_none() && self.err.is_none() {
                return Event::Closed;
            }
            let (mut out, mut err) = ([0; 32 * 1024], [0; 32 * 1024]);
            let (has_out, has_err) = (self.out.is_some(), self.err.is_some());
            tokio::select! {
                read = read(&mut self.out, &mut out), if has_out => match read {
                    0 => self.out = None,
                    n => return Event::Out(Bytes::copy_from_slice(&out[..n])),
                },
                read = read(&mut self.err, &mut err), if has_err => match read {
                    0 => self.err = None,
                    n => return Event::Err(Bytes::copy_from_slice(&err[..n])),
                },
                status = self.child.wait(), if !self.ended => {
                    self.ended = true;
                    let code = status.ok().and_then(|s| s.code().or(s.signal().map(|n| 128 + n)));
                    return Event::Exit(code.unwrap_or(255));
                }
            }
        }
    }
}

async fn read<R: tokio::io::AsyncRead + Unpin>(from: &mut Option<R>, into: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(into).await.unwrap_or(0),
        None => 0,
    }
}

struct Stdin(Option<ChildStdin>);

impl Writer for Stdin {
    async fn write(&mut self, bytes: &[u8]) -> bool {
        match &mut self.0 {
            Some(stdin) => stdin.write_all(bytes).await.is_ok(),
            None => false,
        }
    }

    async fn end(&mut self) {
        self.0 = None;
    }
}
