//! Programs of this machine, with a limit, so that nothing hangs for ever.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended.
pub struct Ended {
    /// Exit code; 128 and the number for a signal, as a shell says it.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it said.
    pub err: String,
}

impl Ended {
    /// True for code 0.
    pub fn success(&self) -> bool {
        self.code == 0
    }
}

/// Runs a program to its end. Panics if it cannot be started or is not done in time: a test can do nothing else.
pub fn run(command: Command, stdin: &str, limit: Duration) -> Ended {
    start(command, stdin).wait(limit)
}

/// The same for this machine's `docker`, whatever comes of it.
pub fn try_docker(args: &[&str]) -> Ended {
    let mut command = Command::new("docker");
    command.args(args);
    run(command, "", Duration::from_secs(60))
}

/// The same, and it has to succeed.
pub fn docker(args: &[&str]) {
    let ended = try_docker(args);
    assert!(ended.success(), "docker {}: {}", args.join(" "), ended.err);
}

/// Starts a program. Panics if that is not possible.
pub fn start(mut command: Command, stdin: &str) -> Running {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{shown}: {e}"));
    let input = stdin.to_owned();
    let mut pipe = child.stdin.take().expect("piped");
    // A program that does not read is no fault of the test.
    let writer = thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
    let out = drain(child.stdout.take().expect("piped"));
    let err = drain(child.stderr.take().expect("piped"));
    Running { shown, began: Instant::now(), child, writer, out, err }
}

/// A program that is at work.
pub struct Running {
    shown: String,
    began: Instant,
    child: Child,
    writer: thread::JoinHandle<()>,
    out: thread::JoinHandle<String>,
    err: thread::JoinHandle<String>,
}

impl Running {
    /// Sends it a signal by name: `KILL`, `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|s| s.success()), "{}: no signal {name} can be sent", self.shown);
    }

    /// Waits for its end; after so long since its start the test panics.
    pub fn wait(mut self, limit: Duration) -> Ended {
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                use std::os::unix::process::ExitStatusExt;
                break status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            }
            if self.began.elapsed() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let said = self.err.join().unwrap_or_default();
                panic!("{}: not done after {} s\n{said}", self.shown, limit.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        };
        let _ = self.writer.join();
        Ended { code, out: self.out.join().unwrap_or_default(), err: self.err.join().unwrap_or_default() }
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A program that runs beside the test and is ended with it.
pub struct Beside(pub Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
