//! All that was seen of one host in one round trip.

use std::collections::BTreeMap;

use super::facts::{self, HostFacts};
use super::gluster::{self, Gluster};
use super::package::{self, PackageState};
use super::pair::{self, PairSeen};
use super::stat::{self, FileState};
use super::unit::{self, UnitState};
use crate::probe::ProbeOutputs;

/// One kind of thing on a host: what was found, and what kept us from finding more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<T> {
    found: BTreeMap<String, T>,
    problem: Option<String>,
}

impl<T> Section<T> {
    /// What is known under a name, or why nothing is.
    pub fn get(&self, name: &str) -> Result<&T, &str> {
        self.found.get(name).ok_or_else(|| self.problem.as_deref().unwrap_or("it was not asked for"))
    }

    /// Everything found, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.found.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What kept us from finding more, in words.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn new(found: BTreeMap<String, T>) -> Self {
        Section { found, problem: None }
    }

    pub(super) fn failed(problem: impl Into<String>) -> Self {
        Section { found: BTreeMap::new(), problem: Some(problem.into()) }
    }
}

/// A host as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostObservation {
    /// What does not depend on any resource.
    pub facts: HostFacts,
    /// Paths that were asked for.
    pub files: Section<FileState>,
    /// Packages that were asked for, and all that make a Docker engine.
    pub packages: Section<PackageState>,
    /// When the package index was last refreshed (seconds since 1970), where there is one.
    pub package_index_s: Option<u64>,
    /// An installation broke off in the middle.
    pub packages_interrupted: bool,
    /// Units that were asked for, and `docker`, `firewalld`, `ufw`, `rsyslog`.
    pub units: Section<UnitState>,
    /// Pairs of certificate and key that were asked for, by [`super::Pair::place`].
    pub pairs: Section<PairSeen>,
    /// GlusterFS, where it was asked for; else why nothing is known.
    pub gluster: Result<Gluster, String>,
}

/// Why nothing can be said of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// The probe for the facts gave no usable answer.
    #[error("the host's facts cannot be read: {why}")]
    Facts {
        /// In words.
        why: String,
    },
}

impl HostObservation {
    /// Reads the answers to [`super::observe_plan`].
    ///
    /// Only missing facts are an error; any other probe that failed leaves its section with a
    /// [`Section::problem`], and the diffs that need it say so.
    pub fn parse(outputs: &ProbeOutputs) -> Result<HostObservation, ObserveError> {
        let mut facts = answer(outputs, "facts").and_then(facts::parse).map_err(|why| ObserveError::Facts { why })?;
        // Free space is wanted by checks, which report a path they know nothing of.
        facts.disks = answer(outputs, "disk").and_then(facts::parse_disk).unwrap_or_default();
        let units = answer(outputs, "units").and_then(unit::parse).map_or_else(Section::failed, Section::new);
        facts.add_units(&units);
        let mut seen = HostObservation {
            facts,
            files: files(outputs),
            packages: Section::new(BTreeMap::new()),
            package_index_s: None,
            packages_interrupted: false,
            units,
            pairs: answer(outputs, "pairs").and_then(pair::parse).map_or_else(Section::failed, Section::new),
            gluster: answer(outputs, "gluster").and_then(gluster::parse),
        };
        match answer(outputs, "packages").and_then(package::parse) {
            Ok(packages) => {
                seen.packages = Section::new(packages.states);
                seen.package_index_s = packages.index_s;
                seen.packages_interrupted = packages.interrupted;
            }
            Err(why) => seen.packages = Section::failed(why),
        }
        Ok(seen)
    }

    /// The package that is this host's Docker engine, from whatever vendor.
    pub fn engine_package(&self) -> Option<&str> {
        let providers = crate::os::FAMILIES.iter().flat_map(|family| family.engine.providers);
        providers.copied().find(|name| self.packages.get(name).is_ok_and(PackageState::is_installed))
    }

    /// True if a Docker engine is there, by package or otherwise.
    pub fn has_engine(&self) -> bool {
        self.engine_package().is_some() || self.facts.has("dockerd")
    }
}

fn answer<'a>(outputs: &'a ProbeOutputs, id: &str) -> Result<&'a str, String> {
    outputs.get(id).ok_or_else(|| "it was not asked for".to_owned())?.text()
}

fn files(outputs: &ProbeOutputs) -> Section<FileState> {
    let mut section = Section::new(BTreeMap::new());
    for (id, output) in outputs.iter().filter(|(id, _)| id.starts_with("files.")) {
        let mut found = BTreeMap::new();
        match output.text().and_then(|text| stat::parse(text, &mut found)) {
            Ok(()) => section.found.append(&mut found),
            // Half an answer is no answer: a path that is missing in it could be taken for anything.
            Err(why) => section.problem = Some(format!("{id}: {why}")),
        }
    }
    section
}
