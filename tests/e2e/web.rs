//! What users and agents get from the platform.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command;

/// An answer; status 0: there was none.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines, in lower case.
    pub headers: String,
    /// Content.
    pub body: String,
}

/// Asks `https://ADDRESS:PORT/PATH` by a host name; the certificate is self-signed and not looked at.
pub fn get(address: &str, port: u16, host: &str, path: &str) -> Answer {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--insecure", "--include", "--http1.1", "--max-time", "10", "--write-out", "\n%{http_code}"])
        .args(["--resolve", &format!("{host}:{port}:{address}"), &format!("https://{host}:{port}{path}")]);
    let ended = command::run(command, "", Duration::from_secs(20));
    let (text, status) = ended.out.rsplit_once('\n').unwrap_or(("", "0"));
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    Answer { status: status.parse().unwrap_or(0), headers: headers.to_lowercase(), body: body.to_owned() }
}

/// The users' portal.
pub fn portal(address: &str) -> Answer {
    get(address, 443, "portal.reemo.test", "/")
}

/// The health tree, as a user's browser would get it from this node.
pub fn health(address: &str) -> Value {
    let answer = get(address, 443, "portal.reemo.test", "/api/healthcheck");
    serde_json::from_str(&answer.body)
        .unwrap_or_else(|e| panic!("{address}: the health tree (HTTP {}): {e}: {}", answer.status, answer.body))
}

/// A user who asks for the portal again and again.
pub struct Visitor {
    stop: Arc<AtomicBool>,
    job: JoinHandle<(usize, Vec<String>)>,
}

impl Visitor {
    /// Asks these nodes in turn until told to stop.
    pub fn start(addresses: Vec<String>) -> Visitor {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let job = thread::spawn(move || {
            let (mut asked, mut failed, began) = (0, Vec::new(), Instant::now());
            for address in addresses.iter().cycle() {
                if flag.load(Ordering::Relaxed) {
                    break;
                }
                let at = began.elapsed().as_secs_f64();
                let answer = portal(address);
                asked += 1;
                if answer.status != 200 {
                    let took = began.elapsed().as_secs_f64() - at;
                    failed.push(format!("{at:.1} s to {address}: HTTP {} after {took:.1} s", answer.status));
                }
                thread::sleep(Duration::from_millis(100));
            }
            (asked, failed)
        });
        Visitor { stop, job }
    }

    /// How often it asked, and what failed.
    pub fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.job.join().expect("the visitor does not panic")
    }
}
