//! The port: what the engine may ask of a host. SSH, the local machine and the strict fakes implement it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use reemo_model::secret::Blob;

use crate::error::TransportError;
use crate::stream::AnyStream;

/// A future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A program to run on a host. Arguments are quoted by the transport, with the one quoting function.
#[derive(Clone, Debug)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Set on the remote side with `env`; never secret.
    pub env: Vec<(String, String)>,
    /// Standard input; always closed after it.
    pub stdin: Option<Blob>,
    /// Run as the become user (root), if the connection is not that user already.
    pub privileged: bool,
    /// The remote process group is ended after this long.
    pub timeout: Duration,
}

impl Command {
    /// A privileged command with no input and a limit of five minutes.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: None,
            privileged: true,
            timeout: Duration::from_secs(300),
        }
    }

    /// The same with this standard input.
    pub fn stdin(mut self, input: Blob) -> Self {
        self.stdin = Some(input);
        self
    }

    /// The same with another limit.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

/// What a command left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code; a signal `n` is reported as 128 + n.
    pub code: i32,
    /// Standard output, at most [`MAX_OUTPUT`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, likewise.
    pub stderr: Vec<u8>,
}

impl Output {
    /// True when the exit code is 0.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// Standard output as text, damaged bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last `n` lines of standard error, or of standard output where that is empty.
    pub fn tail(&self, n: usize) -> Vec<String> {
        let from = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(from);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(n)..].iter().map(|l| (*l).to_owned()).collect()
    }
}

/// Output beyond this many bytes per stream ends the command with an error.
pub const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// Called for each line of output as it arrives (standard output and error alike).
pub type OnLine<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// One host, connected.
pub trait Host: Send + Sync {
    /// The inventory name.
    fn name(&self) -> &str;

    /// Runs a command to its end. A non-zero exit code is not an error here.
    fn exec<'a>(
        &'a self,
        command: Command,
        on_line: Option<OnLine<'a>>,
    ) -> BoxFuture<'a, Result<Output, TransportError>>;

    /// The Docker engine of this host, on a kept connection; API version negotiated.
    /// Callers may share and clone it freely.
    fn docker(&self) -> BoxFuture<'_, Result<crate::docker::Docker, TransportError>>;

    /// A connection from the host itself to an address it can reach (`127.0.0.1:443`): no program of the
    /// host is needed to ask a service of it.
    fn tcp<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, Result<AnyStream, TransportError>>;

    /// Round trips so far.
    fn trips(&self) -> Trips;
}

/// Round trips to one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trips {
    /// SSH handshakes.
    pub handshakes: u64,
    /// Commands run.
    pub execs: u64,
    /// Docker API calls.
    pub docker_calls: u64,
    /// Bytes received and sent.
    pub bytes: u64,
}
