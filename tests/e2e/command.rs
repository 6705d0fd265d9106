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
pub fn run(mut command: Command, stdin: &str, limit: Duration) -> Ended {
    let shown = format!("{command:?}");
    let began = Instant::now();
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
    let code = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            use std::os::unix::process::ExitStatusExt;
            break status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown}: not done after {} s\n{}", limit.as_secs(), err.join().unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(10));
    };
    let _ = writer.join();
    Ended { code, out: out.join().unwrap_or_default(), err: err.join().unwrap_or_default() }
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
