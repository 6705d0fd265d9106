//! What an update of Traefik itself looks like, whose ports only one copy on a node can have: how long each node's entry
//! is gone to a client that knows one address only, and what is left of it to one that knows all of them.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{command, web};

/// What a client saw that goes on to the name's next address where a connection cannot be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Browser {
    /// Pages it asked for, each over a connection of its own.
    pub requests: u32,
    /// Those whose connection was closed without an answer: Traefik had taken it, and was told to stop.
    pub again: u32,
    /// Those that failed when they were asked for once more, as browsers do with what changes nothing.
    pub lost: u32,
}

/// Asks each node by itself, several times a second, until it is stopped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    nodes: Vec<(String, JoinHandle<(u32, Duration)>)>,
    browsers: Vec<JoinHandle<Browser>>,
}

impl Watch {
    /// Begins.
    pub fn start(nodes: &[(String, String)]) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |(name, address): &(String, String)| {
            let (flag, address) = (stop.clone(), address.clone());
            (name.clone(), thread::spawn(move || watch(&address, &flag)))
        };
        let mut addresses: Vec<String> = nodes.iter().map(|(_, address)| address.clone()).collect();
        let browser = |_| {
            addresses.rotate_left(1);
            let (flag, list) = (stop.clone(), addresses.join(","));
            thread::spawn(move || browse(&list, &flag))
        };
        let browsers = (0..nodes.len()).map(browser).collect();
        Watch { nodes: nodes.iter().map(one).collect(), browsers, stop }
    }

    /// For each node: its longest time between two answers that had failures in it, and how many failures there were.
    /// And what browsers saw.
    pub fn stop(self) -> (Vec<(String, u32, Duration)>, Browser) {
        self.stop.store(true, Ordering::Relaxed);
        let done = |(name, job): (String, JoinHandle<(u32, Duration)>)| {
            let (failed, gap) = job.join().expect("the watch does not panic");
            (name, failed, gap)
        };
        let mut all = Browser::default();
        for one in self.browsers.into_iter().map(|job| job.join().expect("a browser does not panic")) {
            all.requests += one.requests;
            all.again += one.again;
            all.lost += one.lost;
        }
        (self.nodes.into_iter().map(done).collect(), all)
    }
}

fn browse(addresses: &str, stop: &AtomicBool) -> Browser {
    let ask = || {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--insecure",
            "--max-time",
            "30",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ]);
        curl.args(["--resolve", &format!("portal.reemo.test:443:{addresses}"), "https://portal.reemo.test/"]);
        command::run(curl, "", Duration::from_secs(40)).out == "200"
    };
    let mut seen = Browser::default();
    while !stop.load(Ordering::Relaxed) {
        seen.requests += 1;
        if !ask() {
            seen.again += 1;
            seen.lost += u32::from(!ask());
        }
        thread::sleep(Duration::from_millis(100));
    }
    seen
}

fn watch(address: &str, stop: &AtomicBool) -> (u32, Duration) {
    let (mut failed, mut gap, mut good, mut bad) = (0, Duration::ZERO, Instant::now(), false);
    while !stop.load(Ordering::Relaxed) {
        if web::portal(address).status == 200 {
            if bad {
                gap = gap.max(good.elapsed());
            }
            (good, bad) = (Instant::now(), false);
        } else {
            failed += 1;
            bad = true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    (failed, gap)
}
