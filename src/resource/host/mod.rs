//! What a host can hold: packages, files, directories, keys of a JSON file, systemd units.
//!
//! Each resource is a specification, the probes it needs, and a pure comparison of what is wanted with
//! what was seen. Nothing here acts, and nothing here reads a clock or a file.

mod change;
mod directory;
mod facts;
mod file;
mod gluster;
mod json_merge;
mod observation;
mod package;
mod pair;
mod path;
mod stat;
pub mod surroundings;
mod text;
mod told;
mod unit;

use reemo_model::change::Verdict;
use reemo_model::op::Op;

use crate::os::Os;
use crate::probe::Probe;

pub use directory::Directory;
pub use facts::{DiskFree, HostFacts, Selinux, Supported};
pub use file::{File, Wanted};
pub use gluster::{COPIES, Gluster, Made, Pool, Volume, probe as gluster_probe};
pub use json_merge::JsonMerge;
pub use observation::{HostObservation, ObserveError, Section};
pub use package::{Package, PackageSet, PackageState};
pub use pair::{Pair, PairSeen};
pub use stat::{FileState, Kind, Stat};
pub use told::Told;
pub use unit::{Unit, UnitState, restart};

/// One resource of a host.
#[derive(Clone, Debug, PartialEq)]
pub enum HostResource {
    /// Packages of the distribution.
    Package(Package),
    /// A whole file, or its absence.
    File(File),
    /// A directory with its owner and mode.
    Directory(Directory),
    /// Keys of a JSON file whose other keys are not ours.
    JsonMerge(JsonMerge),
    /// A systemd unit.
    Unit(Unit),
    /// A file that says that a container has read something anew.
    Told(Told),
    /// A certificate and its key that lie on the host already.
    Pair(Pair),
}

impl HostResource {
    /// Identity, stable and unique on a host: `file:/etc/docker/daemon.json`.
    pub fn key(&self) -> String {
        match self {
            HostResource::Package(package) => format!("package:{}", package.set.label()),
            HostResource::File(file) => format!("file:{}", file.path),
            HostResource::Directory(directory) => format!("directory:{}", directory.path),
            HostResource::JsonMerge(merge) => format!("json:{}", merge.path),
            HostResource::Unit(unit) => format!("unit:{}", unit.name),
            HostResource::Told(told) => format!("file:{}", told.file.path),
            HostResource::Pair(pair) => format!("pair:{}", pair.cert),
        }
    }

    /// For people: `install docker.io, iptables`.
    pub fn title(&self) -> String {
        match self {
            HostResource::Package(package) => package.title(),
            HostResource::File(file) => file.title(),
            HostResource::Directory(directory) => format!("directory {}", directory.path),
            HostResource::JsonMerge(merge) => format!("settings in {}", merge.path),
            HostResource::Unit(unit) => unit.title(),
            HostResource::Told(told) => told.file.title(),
            HostResource::Pair(pair) => pair.title(),
        }
    }

    /// What differs on the host, why, and what removes the difference.
    pub fn diff(&self, seen: &HostObservation, os: &Os) -> Verdict {
        match self {
            HostResource::Package(package) => package.diff(seen, os),
            HostResource::File(file) => file.diff(seen),
            HostResource::Directory(directory) => directory.diff(seen),
            HostResource::JsonMerge(merge) => merge.diff(seen),
            HostResource::Unit(unit) => unit.diff(seen),
            HostResource::Told(told) => told.diff(seen),
            HostResource::Pair(pair) => pair.diff(seen),
        }
    }
}

/// The probes that answer everything these resources and [`HostFacts`] need, one exec for all of them.
///
/// With no resources at all it asks for the facts alone.
pub fn observe_plan(resources: &[HostResource]) -> Vec<Probe> {
    let mut asks = stat::Asks::default();
    let mut names = package::engine_names();
    let mut units = facts::UNITS.map(str::to_owned).to_vec();
    let mut pairs = Vec::new();
    for resource in resources {
        match resource {
            HostResource::Package(package) => names.extend(package.set.names_to_ask()),
            HostResource::File(file) => file.ask(&mut asks),
            HostResource::Directory(directory) => asks.add(&directory.path, stat::Ask::Stat),
            HostResource::JsonMerge(merge) => asks.add(&merge.path, stat::Ask::Content),
            HostResource::Unit(unit) => units.push(unit.name.clone()),
            HostResource::Told(told) => told.file.ask(&mut asks),
            HostResource::Pair(pair) => {
                pair.ask(&mut asks);
                pairs.push(pair);
            }
        }
    }
    let mut probes = vec![facts::probe(), facts::disk_probe(), package::probe(names), unit::probe(units)];
    probes.extend(asks.probes());
    probes.extend(pair::probe(&pairs));
    probes
}

/// What a notified task does: `restart docker` restarts `docker.service`, having read its unit files
/// anew. `None` if it is no such thing.
pub fn handler(notified: &str) -> Option<Vec<Op>> {
    let name = notified.strip_prefix("restart ")?;
    Some(restart(name))
}
