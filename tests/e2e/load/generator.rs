//! Users and agents in numbers: `hey` (a Debian package) on a host beside the platform, one process for each kind of
//! request and first address.
//!
//! Every process asks by a name that has all three addresses, in an order of its own: what round-robin DNS gives a
//! browser. A connection that cannot be made is tried at the name's next address; nothing that was sent is sent again
//! (`hey` gives its requests no way to be repeated, and Go's client then repeats none but a GET on a connection that
//! turned out to be closed).

use std::time::Instant;

use crate::fleet::{Fleet, Host};

/// A kind of request.
struct Kind {
    /// What it is for.
    what: &'static str,
    /// Port of the entry, path, and arguments of `hey`.
    port: u16,
    path: &'static str,
    arguments: &'static str,
    /// Workers, and requests a second of each.
    workers: u32,
    each: u32,
    /// Where it counts: users' requests or agents'.
    agents: bool,
}

/// Together 66 requests a second of users (24 of them POST, 12 on a new connection each) and 18 of agents.
const KINDS: [Kind; 5] = [
    Kind { what: "get", port: 443, path: "/api/version", arguments: "", workers: 5, each: 2, agents: false },
    Kind {
        what: "post",
        port: 443,
        path: "/api/notes",
        arguments: "-m POST -T text/plain -d note",
        workers: 4,
        each: 2,
        agents: false,
    },
    Kind { what: "page", port: 443, path: "/", arguments: "-disable-keepalive", workers: 4, each: 1, agents: false },
    Kind { what: "agent-get", port: 8443, path: "/agent", arguments: "", workers: 3, each: 1, agents: true },
    Kind {
        what: "agent-post",
        port: 8443,
        path: "/agent",
        arguments: "-m POST -T text/plain -d offer",
        workers: 3,
        each: 1,
        agents: true,
    },
];

/// What came of the requests of one side.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// All of them.
    pub requests: u64,
    /// Those without an answer of the 200s.
    pub failed: u64,
    /// Why, and how often, as `hey` says it.
    pub why: Vec<String>,
}

/// What came of a stretch of time.
pub struct Heard {
    /// Users on 443.
    pub users: Count,
    /// Agents on 8443.
    pub agents: Count,
    /// How long it was.
    pub seconds: f64,
}

/// A host with `hey` on it.
pub struct Generator<'a> {
    fleet: &'a Fleet,
    host: &'a Host,
    addresses: Vec<String>,
}

/// Requests that are being made.
pub struct Running {
    number: u32,
    began: Instant,
}

impl<'a> Generator<'a> {
    /// Makes one of a bare host.
    pub fn on(fleet: &'a Fleet, host: &'a Host, entries: &[&str]) -> Generator<'a> {
        let addresses: Vec<String> = entries.iter().map(|e| fleet.host(e).address.clone()).collect();
        let mut names = String::new();
        for turn in 0..addresses.len() {
            for step in 0..addresses.len() {
                names += &format!("{} from{turn}.reemo.test\n", addresses[(turn + step) % addresses.len()]);
            }
        }
        let install = "apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qqy \
                       --no-install-recommends hey >/dev/null 2>&1 && cat >>/etc/hosts && hey -h 2>&1 | grep -q disable-keepalive";
        let made = fleet.try_sh(host, install, &names);
        assert!(made.success(), "hey on {}: {}{}", host.name, made.out, made.err);
        Generator { fleet, host, addresses }
    }

    /// Begins to ask. The order in which Go takes a name's addresses is that of the file (`netdns=go`).
    pub fn start(&self, number: u32) -> Running {
        let mut script = format!("mkdir -p /run/load/{number}; cd /run/load/{number}; export GODEBUG=netdns=go\n");
        for kind in &KINDS {
            for turn in 0..self.addresses.len() {
                let Kind { what, port, path, arguments, workers, each, .. } = kind;
                script += &format!(
                    "hey -z 2h -t 30 -c {workers} -q {each} {arguments} 'https://from{turn}.reemo.test:{port}{path}' \
                     >{what}.{turn} 2>&1 </dev/null & echo $! >>pids\n"
                );
            }
        }
        self.fleet.sh(self.host, &format!("setsid sh -c '{}' >/dev/null 2>&1", script.replace('\'', "'\\''")));
        Running { number, began: Instant::now() }
    }

    /// Stops asking; what is under way is waited for.
    pub fn stop(&self, running: &Running) -> Heard {
        let seconds = running.began.elapsed().as_secs_f64();
        let script = format!(
            "cd /run/load/{} || exit 1; kill -INT $(cat pids) || exit 1
for t in $(seq 350); do for p in $(cat pids); do [ ! -d /proc/$p ] || {{ sleep 0.1; continue 2; }}; done; break; done
grep -H '' [a-z]*.[0-9]",
            running.number
        );
        let text = self.fleet.sh(self.host, &script);
        let mut heard = Heard { users: Count::default(), agents: Count::default(), seconds };
        for kind in &KINDS {
            for turn in 0..self.addresses.len() {
                let prefix = format!("{}.{turn}:", kind.what);
                let report: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix(&prefix)).collect();
                assert!(report.contains(&"Summary:"), "{prefix} has no report:\n{}", report.join("\n"));
                let side = if kind.agents { &mut heard.agents } else { &mut heard.users };
                side.add(kind.what, &report);
            }
        }
        heard
    }
}

impl Count {
    /// Adds what `hey` reports: `  [200]  17 responses`, and below `Error distribution:` `  [2]  Get "…": …`.
    fn add(&mut self, what: &str, report: &[&str]) {
        let mut errors = false;
        for line in report {
            errors |= line.starts_with("Error distribution:");
            let Some((number, rest)) = line.trim().strip_prefix('[').and_then(|l| l.split_once(']')) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let rest = rest.trim();
            if errors {
                self.requests += number;
                self.failed += number;
                self.why.push(format!("{what}: {number} × {rest}"));
            } else if let Some(count) = rest.strip_suffix(" responses").and_then(|c| c.parse::<u64>().ok()) {
                self.requests += count;
                if !(200..300).contains(&number) {
                    self.failed += count;
                    self.why.push(format!("{what}: {count} × HTTP {number}"));
                }
            }
        }
    }
}
