//! The stages of a rollout.

use serde::Deserialize;

/// The stages of a rollout, in the order that binds every run, tagged ones too (seed 001:
/// "commencer par DB, puis API, tous les autres services et terminé par PORTAL").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything is changed.
    Preflight,
    /// Packages, daemon.json, the unit.
    Engine,
    /// Swarm init and join.
    Swarm,
    /// Pulls on every node.
    Images,
    /// Files, directories, networks, secrets and configs.
    Objects,
    /// The internal database.
    Mysql,
    /// The schema job.
    Db,
    /// The core API.
    Api,
    /// Everything else.
    Services,
    /// The portals.
    Portal,
    /// The platform's own health tree.
    Health,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 11] = [
        Stage::Preflight,
        Stage::Engine,
        Stage::Swarm,
        Stage::Images,
        Stage::Objects,
        Stage::Mysql,
        Stage::Db,
        Stage::Api,
        Stage::Services,
        Stage::Portal,
        Stage::Health,
    ];

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Preflight => "preflight",
            Stage::Engine => "engine",
            Stage::Swarm => "swarm",
            Stage::Images => "images",
            Stage::Objects => "objects",
            Stage::Mysql => "mysql",
            Stage::Db => "db",
            Stage::Api => "api",
            Stage::Services => "services",
            Stage::Portal => "portal",
            Stage::Health => "health",
        }
    }
}
