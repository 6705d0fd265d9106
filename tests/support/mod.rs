//! What several test files share: simulated hosts, a site read from an inventory, a run that is listened to.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod database;
pub mod fifty;
pub mod machine;
pub mod platform;
pub mod swarm;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use machine::Machine;
use reemo_infra::cli::args::{ConnectOptions, InventoryOptions};
use reemo_infra::cli::prepare;
use reemo_infra::engine::apply::{Ask, look, probes, run_on};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::graph::TaskGraph;
use reemo_infra::engine::site::Site;
use reemo_model::event::{Event, Sink};
use reemo_transport::Connector;
use reemo_transport::fake::{Net, Sshd};
use reemo_ui::{Color, Format, Options, Streams, Terminal, Ui};

/// A site read as the program reads it, its hosts put on a simulated network.
pub fn site(inventory: &Path, extra: &[String], net: &Net) -> Arc<Site> {
    site_with(inventory, extra, net, None)
}

/// The same with a folder of certificates and the file of its passphrase.
pub fn site_with(inventory: &Path, extra: &[String], net: &Net, pki: Option<(PathBuf, PathBuf)>) -> Arc<Site> {
    // Where there is no folder, the certificates are made in memory and left.
    let (folder, passphrase) = match pki {
        Some((folder, passphrase)) => (folder, Some(passphrase)),
        None => (inventory.with_extension("no-certificates"), None),
    };
    let options = InventoryOptions {
        inventory: vec![inventory.display().to_string()],
        extra_vars: extra.to_vec(),
        pki_dir: Some(folder),
        pki_passphrase_file: passphrase,
        ..InventoryOptions::default()
    };
    // As apply does: certificates that are issued stay in the folder.
    let ready = match &options.pki_passphrase_file {
        Some(_) => prepare::to_write(&options, &ConnectOptions::default()),
        None => prepare::read(&options, &ConnectOptions::default()),
    };
    let ready = ready.unwrap_or_else(|e| panic!("{}", e.message));
    let mut site = Arc::into_inner(ready.site).expect("nobody else has it");
    for host in site.hosts.values_mut() {
        let name = host.target.name.clone();
        host.target = net.target(&host.target.address.clone());
        host.target.name = name;
    }
    Arc::new(site)
}

/// Puts a machine behind a real SSH server at an address.
pub fn serve(net: &Net, address: &str, machine: &Machine) -> Sshd {
    let machine = machine.clone();
    let sshd = Sshd::new(move |exec| machine.answer(&exec));
    net.add(address, sshd.clone());
    sshd
}

/// Everything a run said.
pub struct Heard {
    pub exit: u8,
    pub events: Vec<Event>,
}

/// Connects, looks and runs, as `apply` and `plan` do.
pub async fn run(site: &Arc<Site>, graph: TaskGraph, net: &Net, ask: &Ask) -> Heard {
    let events = Arc::new(Mutex::new(Vec::new()));
    let into = events.clone();
    let sink = Sink::new(move |event| into.lock().unwrap().push(event));
    let connector = Connector::new(Arc::new(net.clone()));
    let mut fleet = Fleet::connect_by(&connector, site, probes(site, &graph), ask.options.forks).await;
    let world = look(site, &graph, &mut fleet).await;
    let exit = run_on(site.clone(), graph, fleet, world, ask, sink, Instant::now()).await;
    let events = std::mem::take(&mut *events.lock().unwrap());
    Heard { exit, events }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an operator would have read on standard output.
pub fn as_text(command: &str, events: Vec<Event>) -> String {
    let out = Buffer::default();
    let streams = Streams { out: Box::new(out.clone()), err: Box::new(Buffer::default()) };
    let options = Options { format: Format::Text, color: Color::Never, diff: true, ..Options::default() };
    let noon = || "2027-01-15T12:00:00Z".parse().unwrap();
    let (sink, ui) = Ui::start_with(&options, &Terminal::default(), streams, noon).unwrap();
    let started =
        Event::RunStarted { run_id: "test".into(), command: command.into(), hosts: vec![], log: "run.log".into() };
    for event in std::iter::once(started).chain(events) {
        sink.send(event);
    }
    ui.finish();
    let text = out.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

/// The recap's counts by host.
pub fn counts(events: &[Event]) -> BTreeMap<String, reemo_model::event::Counts> {
    let recap = events.iter().find_map(|e| match e {
        Event::Recap { hosts, .. } => Some(hosts.clone()),
        _ => None,
    });
    recap.expect("every run ends with a recap")
}
