//! Packages of the distribution.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::Op;
use reemo_model::quote;

use super::change::{refused, unseen, verdict};
use super::observation::HostObservation;
use crate::os::{FAMILIES, Os};
use crate::probe::Probe;

/// Packages that are to be there, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Which.
    pub set: PackageSet,
    /// There, or not.
    pub present: bool,
}

/// Which packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSet {
    /// These, by the distribution's own names.
    Named(Vec<String>),
    /// The Docker engine, whatever the distribution calls it. An engine that is there already, from
    /// this vendor or another, is left as it is.
    DockerEngine,
    /// GlusterFS, server and client, likewise.
    Gluster,
}

/// What is known of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageState {
    /// Not installed.
    Absent,
    /// Installed, in this version.
    Installed(String),
    /// Something between: the package manager's own word (`half-configured`).
    Broken(String),
}

impl PackageState {
    /// True for [`PackageState::Installed`].
    pub fn is_installed(&self) -> bool {
        matches!(self, PackageState::Installed(_))
    }

    fn words(&self) -> Option<String> {
        match self {
            PackageState::Absent => None,
            PackageState::Installed(version) => Some(version.clone()),
            PackageState::Broken(state) => Some(state.clone()),
        }
    }
}

/// A package index older than this, in seconds, is refreshed before it is installed from: the
/// archives no longer have what it lists.
const INDEX_AGE_S: u64 = 24 * 3600;

impl PackageSet {
    pub(super) fn label(&self) -> String {
        match self {
            PackageSet::Named(names) => names.join(","),
            PackageSet::DockerEngine => "docker-engine".to_owned(),
            PackageSet::Gluster => "gluster".to_owned(),
        }
    }

    pub(super) fn names_to_ask(&self) -> Vec<String> {
        match self {
            PackageSet::Named(names) => names.clone(),
            PackageSet::DockerEngine => Vec::new(),
            PackageSet::Gluster => FAMILIES.iter().flat_map(|f| f.gluster).map(|&n| n.to_owned()).collect(),
        }
    }

    fn names(&self, os: &Os) -> Vec<String> {
        match self {
            PackageSet::Named(names) => names.clone(),
            PackageSet::DockerEngine => os.engine_packages().into_iter().map(str::to_owned).collect(),
            PackageSet::Gluster => os.family.gluster.iter().map(|&n| n.to_owned()).collect(),
        }
    }
}

impl Package {
    /// It is the Docker engine, and is to be there.
    pub fn is_engine(&self) -> bool {
        self.present && self.set == PackageSet::DockerEngine
    }

    pub(super) fn title(&self) -> String {
        let what = match &self.set {
            PackageSet::Named(names) => names.join(", "),
            PackageSet::DockerEngine => "the Docker engine".to_owned(),
            PackageSet::Gluster => "GlusterFS".to_owned(),
        };
        format!("{} {what}", if self.present { "install" } else { "remove" })
    }

    pub(super) fn diff(&self, seen: &HostObservation, os: &Os) -> Verdict {
        if let PackageSet::Named(names) = &self.set
            && let Some(bad) = names.iter().find(|name| !is_name(name))
        {
            return refused(format!("{bad:?} is no package name"), "correct the name where it is declared");
        }
        if self.set == PackageSet::DockerEngine && self.present && seen.has_engine() {
            return Verdict::Unchanged;
        }
        let mut differing = Vec::new();
        for name in self.set.names(os) {
            match seen.packages.get(&name) {
                Err(why) => return unseen(&format!("package {name}"), why),
                Ok(PackageState::Installed(_)) if self.present => {}
                Ok(PackageState::Absent) if !self.present => {}
                Ok(state) => differing.push((name, state.words())),
            }
        }
        if self.set == PackageSet::DockerEngine && self.present {
            let mut impostors = os.family.engine.impostors.iter();
            if let Some(name) = impostors.find(|n| seen.packages.get(n).is_ok_and(PackageState::is_installed)) {
                return refused(
                    format!("package {name} stands in Docker's place"),
                    format!("remove {name} if nothing on the host needs it, then run again"),
                );
            }
        }
        self.change(&differing, seen, os)
    }

    fn change(&self, differing: &[(String, Option<String>)], seen: &HostObservation, os: &Os) -> Verdict {
        if differing.is_empty() {
            return Verdict::Unchanged;
        }
        let names: Vec<&str> = differing.iter().map(|(name, _)| name.as_str()).collect();
        let wanted = self.present.then(|| "installed".to_owned());
        let fields = differing.iter().map(|(name, was)| FieldDiff::new(name, was.clone(), wanted.clone())).collect();
        // A package manager that was killed in the middle does nothing else before it is told to finish.
        let repair = os.family.repair().filter(|_| seen.packages_interrupted);
        let mut ops: Vec<Op> = repair.map(Op::Exec).into_iter().collect();
        if !self.present {
            ops.push(Op::Exec(os.family.remove(&names)));
            return verdict(Action::Remove, fields, ops);
        }
        let fresh = seen.package_index_s.is_some_and(|at| seen.facts.time_s.saturating_sub(at) <= INDEX_AGE_S);
        if let Some(update) = os.family.update_index().filter(|_| !fresh) {
            ops.push(Op::Exec(update));
        }
        ops.push(Op::Exec(os.family.install(&names)));
        verdict(Action::Create, fields, ops)
    }
}

/// Letters, digits, `+`, `-`, `.`, `_`, beginning with a letter or digit: nothing a package manager
/// could take for an option, a pattern or a request to remove (`name-`).
fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
        && !name.ends_with('-')
        && (!name.ends_with('+') || name.ends_with("++"))
}

/// Every package that has to do with the Docker engine, in every family.
pub(super) fn engine_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for family in FAMILIES {
        let engine = &family.engine;
        // Which of its packages a release has is not known before it is seen: the newest has them all.
        let packages = (engine.packages)(&crate::os::OsRelease { id: family.ids[0].to_owned(), ..Default::default() });
        names.extend(packages.iter().chain(engine.providers).chain(engine.impostors).map(|&n| n.to_owned()));
    }
    names
}

pub(super) fn probe(names: BTreeSet<String>) -> Probe {
    let mut sh =
        format!("set -- {}\nprintf 'asked\\t%s\\n' \"$@\"\n", quote::join(names.iter().filter(|n| is_name(n))));
    for (n, family) in FAMILIES.iter().enumerate() {
        let word = if n == 0 { "if" } else { "elif" };
        let query = &family.query;
        let _ = write!(sh, "{word} command -v {} >/dev/null 2>&1; then\n{}", query.tool, query.sh);
    }
    sh.push_str("else exit 4\nfi\nexit 0\n");
    Probe::new("packages", sh)
}

/// What the probe answered.
pub(super) struct Packages {
    pub states: BTreeMap<String, PackageState>,
    pub index_s: Option<u64>,
    pub interrupted: bool,
}

pub(super) fn parse(text: &str) -> Result<Packages, String> {
    let mut packages = Packages { states: BTreeMap::new(), index_s: None, interrupted: false };
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["asked", name] => {
                packages.states.insert(name.to_owned(), PackageState::Absent);
            }
            ["interrupted"] => packages.interrupted = true,
            ["index", seconds] => packages.index_s = seconds.parse().ok(),
            [name, state, version] => {
                // Of one name in several architectures, one that is installed counts.
                if let Some(known) = packages.states.get_mut(name)
                    && !known.is_installed()
                {
                    *known = match state {
                        "installed" => PackageState::Installed(version.to_owned()),
                        "not-installed" | "config-files" => PackageState::Absent,
                        other => PackageState::Broken(other.to_owned()),
                    };
                }
            }
            // rpm: `package x is not installed`.
            _ => {}
        }
    }
    if packages.states.is_empty() {
        return Err("the package probe answered nothing".to_owned());
    }
    Ok(packages)
}
