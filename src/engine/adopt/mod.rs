//! A platform that was installed by other means (the Ansible role): what it would mean to go on with it, and taking it
//! over. Taking over writes labels and records only, so nothing of it is restarted; the first `apply` after that is an
//! update as any other, and brings what differs.

mod database;
mod examine;
mod take;

use reemo_model::change::FieldDiff;
use serde::Serialize;

pub use database::Database;
pub use examine::{examine, left};

/// What an inventory says that an examination has to know.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `CERT_MODE`.
    pub certificates: String,
    /// Variables that hold what the platform has already, and are not set.
    pub unset: Vec<&'static str>,
}

/// What is not wanted, and stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Services that no role wants.
    pub services: Vec<String>,
    /// Secrets that this tool did not make.
    pub secrets: Vec<String>,
    /// Configs that this tool did not make.
    pub configs: Vec<String>,
}

/// One cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// What it comes to.
    pub state: State,
    /// Its hosts: `manager` or what is wrong.
    pub hosts: Vec<Found>,
    /// The services that are wanted.
    pub services: Vec<Service>,
    /// The networks that are wanted.
    pub networks: Vec<Found>,
    /// The database.
    pub database: Option<Database>,
    /// Where the certificates of the inside will come from.
    pub certificates: String,
    /// What stays as it is.
    pub left: Left,
    /// What an operator should know, or do, before the first apply.
    pub mind: Vec<Remark>,
    /// What stands in the way.
    pub in_the_way: Vec<Remark>,
}

/// What an examination comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// None of its services is there: `apply` installs them.
    Nothing,
    /// Everything that is there is ours.
    Ours,
    /// It can be adopted.
    Adoptable,
    /// Something stands in the way.
    Refused,
}

impl State {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            State::Nothing => "nothing to adopt: none of its services is there",
            State::Ours => "nothing to adopt: its services are of this tool already",
            State::Adoptable => "can be adopted",
            State::Refused => "cannot be adopted as it is",
        }
    }
}

/// A thing, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// In words.
    pub found: String,
}

/// A service that is wanted.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// It is there.
    pub found: bool,
    /// It has our labels.
    pub ours: bool,
    /// Copies that run.
    pub running: u64,
    /// Fields that differ.
    pub differs: Vec<FieldDiff>,
    /// What the first apply will do with it.
    pub first_apply: First,
}

/// What the first apply will do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// It is as wanted.
    Nothing,
    /// It is made.
    Created,
    /// Its settings change, its copies stay.
    Kept,
    /// A new copy runs before the old one ends.
    Replaced,
    /// The old copy ends before the new one starts: away meanwhile, if it was the only one.
    Stopped,
    /// The schema job runs, after a dump.
    Runs,
}

impl First {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            First::Nothing => "-",
            First::Created => "created",
            First::Kept => "settings, its copies stay",
            First::Replaced => "copies replaced, each new one first",
            First::Stopped => "copies replaced, each old one stopped first",
            First::Runs => "run, after a dump",
        }
    }
}

/// Something to know, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// What is so.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl Remark {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Remark {
        Remark { why: why.into(), hint: hint.into() }
    }
}

impl Report {
    /// Services whose copies the first apply stops before it starts others.
    pub fn stopped(&self) -> impl Iterator<Item = &str> {
        self.services.iter().filter(|s| s.first_apply == First::Stopped).map(|s| s.name.as_str())
    }
}
