//! Fifty simulated hosts and a graph of things that concern hosts alone.

use std::path::Path;
use std::sync::Arc;

use reemo_infra::engine::graph::TaskGraph;
use reemo_infra::engine::site::Site;
use reemo_infra::engine::task::{Select, Task, What};
use reemo_model::catalogue::Stage;
use reemo_resource::host::{Directory, File, HostResource, Package, PackageSet, Wanted};
use reemo_transport::fake::{Net, Sshd};

use super::machine::{Entry, Machine};

/// How many.
pub const HOSTS: usize = 50;
/// What the file of the graph holds.
pub const CONTENT: &str = "what is wanted\n";

/// The hosts, the network they are on and the site they make.
pub struct Fifty {
    pub net: Net,
    pub site: Arc<Site>,
    pub machines: Vec<Machine>,
    pub servers: Vec<Sshd>,
    _folder: tempfile::TempDir,
}

pub fn name(n: usize) -> String {
    format!("host{n:02}")
}

pub fn address(n: usize) -> String {
    format!("10.0.1.{n}")
}

impl Fifty {
    /// Fifty bare hosts.
    pub fn new() -> Fifty {
        Self::with(|_, machine| {
            let machine = machine.clone();
            Sshd::new(move |exec| machine.answer(&exec))
        })
    }

    /// The same, each behind a server of one's own making.
    pub fn with(server: impl Fn(usize, &Machine) -> Sshd) -> Fifty {
        let folder = tempfile::tempdir().unwrap();
        let inventory = folder.path().join("fifty.yml");
        std::fs::write(&inventory, inventory_text((0..HOSTS).map(|n| (name(n), address(n))))).unwrap();
        let net = Net::new();
        let site = super::site(Path::new(&inventory), &[], &net);
        let machines: Vec<Machine> = (0..HOSTS).map(|_| Machine::debian()).collect();
        let servers: Vec<Sshd> = machines.iter().enumerate().map(|(n, machine)| server(n, machine)).collect();
        for (n, sshd) in servers.iter().enumerate() {
            net.add(&address(n), sshd.clone());
        }
        Fifty { net, site, machines, servers, _folder: folder }
    }

    /// Changes the site before anything is connected to.
    pub fn site_mut(&mut self) -> &mut Site {
        Arc::get_mut(&mut self.site).expect("nobody else has it yet")
    }

    /// On every host: a directory, a file in it, and after both a package.
    pub fn graph(&self) -> TaskGraph {
        graph(&self.site)
    }

    /// Makes a host what the graph wants.
    pub fn converge(&self, n: usize) {
        converge(&self.machines[n]);
    }
}

/// On every host of a site: a directory, a file in it, and after both a package.
pub fn graph(site: &Site) -> TaskGraph {
    let mut graph = TaskGraph::default();
    for host in site.hosts.keys() {
        chain(&mut graph, host, wanted());
    }
    graph
}

/// Puts resources of a host into a graph, each after the one before.
pub fn chain(graph: &mut TaskGraph, host: &str, resources: impl IntoIterator<Item = HostResource>) {
    let mut last = None;
    for resource in resources {
        let task = Task {
            id: format!("infra_manager/{host}/{}", resource.title()),
            title: resource.title(),
            cluster: "infra_manager".into(),
            host: Some(host.to_owned()),
            stage: Stage::Engine,
            select: Select::Always,
            what: What::Host(Box::new(resource)),
        };
        let index = graph.dag.add_node(Arc::new(task));
        last.map(|before| graph.dag.add_edge(before, index, ()));
        last = Some(index);
    }
}

/// Makes a host what [`graph`] wants.
pub fn converge(machine: &Machine) {
    let mut state = machine.state();
    let entry = |mode, content: Option<&str>| Entry {
        mode,
        owner: "root:root".into(),
        content: content.map(|c| c.as_bytes().to_vec()),
    };
    state.files.insert("/etc/example".into(), entry(0o750, None));
    state.files.insert("/etc/example/one.conf".into(), entry(0o640, Some(CONTENT)));
    state.packages.insert("curl".into(), "7.88.1".into());
}

fn wanted() -> [HostResource; 3] {
    [
        HostResource::Directory(Directory { path: "/etc/example".into(), mode: 0o750, owner: "root:root".into() }),
        HostResource::File(File {
            path: "/etc/example/one.conf".into(),
            wanted: Wanted::Present { content: CONTENT.into(), mode: 0o640, owner: "root:root".into() },
        }),
        HostResource::Package(Package { set: PackageSet::Named(vec!["curl".into()]), present: true }),
    ]
}

/// An inventory of hosts, each a name and an address.
pub fn inventory_text(hosts: impl Iterator<Item = (String, String)>) -> String {
    let hosts: String = hosts.map(|(name, address)| format!("    {name}: {{ansible_host: {address}}}\n")).collect();
    format!("all:\n  vars:\n    API_LICENSE: eyJsaWNlbmNlIjogImRlbW8ifQ==\ninfra_manager:\n  hosts:\n{hosts}")
}
