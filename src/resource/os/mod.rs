//! What differs between distributions, as data: one file per family, one line in [`FAMILIES`].
//!
//! A family says how it is recognised, what its package manager is called with, what it is called when
//! somebody else holds the lock, and what the Docker engine's packages, unit and socket are named.

mod debian;
mod redhat;
mod release;

use reemo_model::op::{Busy, Exec};

pub use redhat::repository_url_problem;
pub use release::OsRelease;

/// Every family this program knows. A host is asked by the first whose package tool it has.
pub static FAMILIES: [&Family; 2] = [&debian::FAMILY, &redhat::FAMILY];

/// Distributions that share a package manager and names.
#[derive(Debug)]
pub struct Family {
    /// `debian`, `redhat`.
    pub name: &'static str,
    /// Values of `ID` or `ID_LIKE` in os-release that mean this family.
    pub ids: &'static [&'static str],
    /// How installed packages are asked for.
    pub query: Query,
    /// Refreshes the package index; `None` where the installer does so by itself.
    pub index: Option<&'static [&'static str]>,
    /// Takes up an installation that was interrupted; `None` where the installer does so by itself.
    pub repair: Option<&'static [&'static str]>,
    /// Installs the packages named after it.
    pub install: &'static [&'static str],
    /// What is added to install from files alone, without a look at any repository.
    pub from_files: &'static [&'static str],
    /// Removes the packages named after it, with their configuration.
    pub remove: &'static [&'static str],
    /// Environment of all of them.
    pub env: &'static [(&'static str, &'static str)],
    /// Output that says that somebody else holds the package manager's lock.
    pub busy_says: &'static [&'static str],
    /// The lock files; their holder is named to the operator.
    pub lock_files: &'static [&'static str],
    /// Names around the Docker engine.
    pub engine: Engine,
    /// GlusterFS, server and client.
    pub gluster: &'static [&'static str],
    /// Writes the definition of a package repository; `None` where the distribution brings Docker.
    pub repository: Option<fn(&str, Signed<'_>) -> RepositoryFile>,
}

/// How a host is asked which packages it has.
#[derive(Debug)]
pub struct Query {
    /// The program that must be there.
    pub tool: &'static str,
    /// Shell text; the names are its positional parameters. Prints `name TAB state TAB version` for
    /// those it knows of, `index TAB epoch` if there is a package index, and `interrupted` if an
    /// installation broke off. State is `installed`, or something else. Exits with another code than 0
    /// if it cannot tell.
    pub sh: &'static str,
}

/// Names around the Docker engine.
#[derive(Debug)]
pub struct Engine {
    /// What is installed.
    pub packages: fn(&OsRelease) -> Vec<&'static str>,
    /// Any one of these already is a Docker engine, from this vendor or another: it is left as it is.
    pub providers: &'static [&'static str],
    /// Packages that take the name `docker` without being it; the engine does not install beside them.
    pub impostors: &'static [&'static str],
    /// Its systemd unit.
    pub unit: &'static str,
    /// Its socket.
    pub socket: &'static str,
    /// Its configuration file.
    pub config: &'static str,
    /// Where it keeps images and volumes.
    pub data: &'static str,
}

/// How packages of a repository are known to be genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'a> {
    /// They are signed with the key at this address, which is imported.
    By(&'a str),
    /// The host's own setting decides; every distribution of the Red Hat family then refuses packages
    /// that are not signed with a key it already has.
    AsHostDemands,
    /// They are not checked: a mirror inside the site that signs nothing. Only when asked for.
    NotAtAll,
}

/// A file that tells the package manager of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFile {
    /// Absolute path.
    pub path: String,
    /// Content.
    pub content: String,
}

/// How long a held package lock is waited for, in seconds.
const LOCK_WAIT_S: u64 = 120;
/// Limit of an installation, in seconds: hundreds of megabytes over a slow line.
const INSTALL_LIMIT_S: u64 = 1800;
/// Limit of an index update, in seconds.
const INDEX_LIMIT_S: u64 = 300;

impl Family {
    /// Installs these packages.
    pub fn install<S: AsRef<str>>(&self, names: &[S]) -> Exec {
        self.exec(self.install, names, INSTALL_LIMIT_S)
    }

    /// Installs these files.
    pub fn install_files(&self, paths: &[String]) -> Exec {
        let words: Vec<&str> = self.from_files.iter().copied().chain(paths.iter().map(String::as_str)).collect();
        self.exec(self.install, &words, INSTALL_LIMIT_S)
    }

    /// Removes these packages.
    pub fn remove<S: AsRef<str>>(&self, names: &[S]) -> Exec {
        self.exec(self.remove, names, INSTALL_LIMIT_S)
    }

    /// Refreshes the package index, where that is a step of its own.
    pub fn update_index(&self) -> Option<Exec> {
        self.index.map(|argv| self.exec::<&str>(argv, &[], INDEX_LIMIT_S))
    }

    /// Takes up an installation that broke off, where that is a step of its own.
    pub fn repair(&self) -> Option<Exec> {
        self.repair.map(|argv| self.exec::<&str>(argv, &[], INSTALL_LIMIT_S))
    }

    fn exec<S: AsRef<str>>(&self, argv: &[&str], names: &[S], limit_s: u64) -> Exec {
        let words = argv.iter().copied().chain(names.iter().map(AsRef::as_ref));
        let mut exec = Exec::new(words).timeout(limit_s);
        exec.env = self.env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        exec.busy = Some(Busy {
            says: self.busy_says.iter().map(|&s| s.to_owned()).collect(),
            lock_files: self.lock_files.iter().map(|&s| s.to_owned()).collect(),
            wait_s: LOCK_WAIT_S,
        });
        exec
    }
}

/// A host's distribution, as far as it concerns us.
#[derive(Clone, Debug)]
pub struct Os {
    /// Its family.
    pub family: &'static Family,
    /// Exactly which one.
    pub release: OsRelease,
}

impl Os {
    /// Recognises a distribution by what its os-release says of itself; its own name counts before
    /// those it says it resembles.
    pub fn of(release: &OsRelease) -> Option<Os> {
        let family_of = |id: &str| FAMILIES.iter().find(|f| f.ids.contains(&id)).copied();
        let family = family_of(&release.id).or_else(|| release.id_like.iter().find_map(|id| family_of(id)))?;
        Some(Os { family, release: release.clone() })
    }

    /// The packages of the Docker engine on this distribution.
    pub fn engine_packages(&self) -> Vec<&'static str> {
        (self.family.engine.packages)(&self.release)
    }
}
