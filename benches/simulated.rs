//! One measurement in a process of its own: so many hosts simulated in here, with the real SSH client, the real engine
//! and a real SSH server for each. Prints one line of JSON. `benches/scale` runs it and makes the table.
//!
//! `simulated platform N`: a run that finds N hosts as wanted. `simulated bare N`: only N sessions of the SSH client,
//! logged in. What the servers and the simulated hosts cost is the same in both. `simulated plan N`: only the verdicts
//! on N hosts that have been looked at, without a connection.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reemo_infra::engine::apply::{Ask, exit, probes, run_on};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::run::{Options, Run};
use reemo_infra::engine::safety::Safety;
use reemo_infra::engine::site::Site;
use reemo_infra::engine::world::World;
use reemo_model::event::{Event, Sink};
use reemo_transport::Connector;
use reemo_transport::fake::{Net, Sshd};
use support::fifty::{converge, graph, inventory_text};
use support::machine::Machine;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let [kind, count] = &args[..] else {
        // `cargo bench` starts every bench without arguments.
        return say("{}");
    };
    let count: usize = count.parse().expect("how many hosts");
    let net = Net::new();
    let began = Instant::now();
    let (site, _folder) = site(count, &net);
    let read = began.elapsed();
    let began = Instant::now();
    let done = match kind.as_str() {
        "platform" => platform(&site, &net).await,
        "bare" => bare(&site, &net).await,
        "plan" => plan(&site).await,
        other => panic!("platform, bare or plan, not {other}"),
    };
    let took = done.took.unwrap_or_else(|| began.elapsed());
    say(&format!(
        "{{\"hosts\":{count},\"seconds\":{:.4},\"read\":{:.4},\"peak_kb\":{},\"cpu\":{:.2},\"files\":{},\"handshakes\":{},\"commands\":{}}}",
        took.as_secs_f64(),
        read.as_secs_f64(),
        peak_kb(),
        cpu_seconds(),
        done.files,
        done.handshakes,
        done.commands
    ));
}

#[derive(Default)]
struct Done {
    /// Where not all of it is what is measured.
    took: Option<Duration>,
    files: usize,
    handshakes: u64,
    commands: u64,
}

async fn platform(site: &Arc<Site>, net: &Net) -> Done {
    let graph = graph(site);
    let forks = std::env::var("FORKS").ok().and_then(|f| f.parse().ok()).unwrap_or(50);
    let ask = Ask { options: Options { forks, ..Options::default() }, again: "apply".into(), ..Ask::default() };
    let connector = Connector::new(Arc::new(net.clone()));
    let began = Instant::now();
    let mut fleet = Fleet::connect_by(&connector, site, probes(site, &graph), forks).await;
    let world = fleet.first_look(site).await;
    let files = open_files();
    let (give, take) = std::sync::mpsc::channel();
    let sink = Sink::new(move |event| {
        if let Event::Recap { trips, .. } = event {
            give.send(trips).expect("somebody reads it");
        }
    });
    let code = run_on(site.clone(), graph, fleet, world, &ask, sink, began).await;
    assert_eq!(code, exit::OK);
    let trips = take.recv().expect("a recap");
    let sum = |of: fn(&reemo_model::event::Trips) -> u64| trips.values().map(of).sum();
    Done { files, handshakes: sum(|t| t.handshakes), commands: sum(|t| t.execs), ..Done::default() }
}

/// One host is looked at; what it said is said of all.
async fn plan(site: &Arc<Site>) -> Done {
    let net = Net::new();
    let (one, _folder) = self::site(1, &net);
    let connector = Connector::new(Arc::new(net));
    let mut fleet = Fleet::connect_by(&connector, &one, probes(&one, &graph(&one)), 1).await;
    let seen = fleet.first_look(&one).await.unwrap_or_else(|f| panic!("{}", f.cause)).hosts;
    let seen = seen.values().next().expect("a host");
    let world = World { hosts: site.hosts.keys().map(|h| (h.clone(), seen.clone())).collect(), ..World::default() };
    let began = Instant::now();
    let (graph, fleet) = (graph(site), Arc::new(Fleet::of(BTreeMap::new(), BTreeMap::new())));
    let run = Run::new(site.clone(), graph, fleet, world, Sink::new(drop), Options::default(), Safety::default());
    let verdicts = run.verdicts().await;
    let took = began.elapsed();
    assert_eq!(verdicts.len(), 3 * site.hosts.len());
    assert!(verdicts.iter().all(|(_, v)| v.is_unchanged()));
    Done { took: Some(took), ..Done::default() }
}

async fn bare(site: &Arc<Site>, net: &Net) -> Done {
    let connector = Connector::new(Arc::new(net.clone()));
    let slots = tokio::sync::Semaphore::new(50);
    let (connector, slots) = (&connector, &slots);
    let sessions = futures_util::future::join_all(site.hosts.values().map(|host| async move {
        let _slot = slots.acquire().await;
        connector.connect(&host.target).await.unwrap_or_else(|e| panic!("{}", e.message))
    }))
    .await;
    // All of them are open now.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Done { files: open_files(), handshakes: sessions.len() as u64, ..Done::default() }
}

fn site(count: usize, net: &Net) -> (Arc<Site>, tempfile::TempDir) {
    let address = |n: usize| format!("10.{}.{}.{}", n / 62_500, n / 250 % 250, n % 250);
    let hosts = (0..count).map(|n| (format!("host{n:05}"), address(n)));
    let folder = tempfile::tempdir().expect("a folder");
    let inventory = folder.path().join("many.yml");
    std::fs::write(&inventory, inventory_text(hosts)).expect("a file");
    let site = support::site(Path::new(&inventory), &[], net);
    for n in 0..count {
        let machine = Machine::debian();
        converge(&machine);
        net.add(&address(n), Sshd::new(move |exec| machine.answer(&exec)));
    }
    (site, folder)
}

/// The most memory this process has had, in kB.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What all threads of this process have used, in seconds; Linux counts in hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = stat.rsplit_once(')').expect("a name in brackets").1;
    let used = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<f64>().expect("a number"));
    used.sum::<f64>() / 100.0
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

#[allow(clippy::print_stdout, reason = "a measurement prints its figures")]
fn say(line: &str) {
    println!("{line}");
}
