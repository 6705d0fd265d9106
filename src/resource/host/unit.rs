//! systemd units.

use std::collections::{BTreeMap, BTreeSet};

use reemo_model::change::{Action, Verdict};
use reemo_model::op::{Exec, Op};
use reemo_model::quote;

use super::change::{field, refused, unseen, verdict};
use super::observation::HostObservation;
use crate::probe::Probe;

/// A unit that is to be started at boot, or running, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// With its suffix: `docker.service`.
    pub name: String,
    /// Started at boot; `None`: as it is.
    pub enabled: Option<bool>,
    /// Running now; `None`: as it is.
    pub active: Option<bool>,
}

/// A unit as systemd describes it, in systemd's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `running`, `dead`, `auto-restart`, …
    pub sub: String,
    /// `enabled`, `disabled`, `static`, …; empty for a unit without a file.
    pub file: String,
    /// Its files have changed since systemd read them.
    pub needs_reload: bool,
}

impl UnitState {
    /// True if it runs.
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading")
    }

    /// True if it is, or need not be, started at boot by a link of its own.
    pub fn is_enabled(&self) -> bool {
        matches!(self.file.as_str(), "enabled" | "static" | "alias" | "generated" | "indirect")
    }

    /// True if there is such a unit.
    pub fn exists(&self) -> bool {
        !matches!(self.load.as_str(), "not-found" | "")
    }
}

/// Limit of starting, stopping or restarting a unit, in seconds: an engine with many containers takes
/// its time.
const START_LIMIT_S: u64 = 180;

fn systemctl(verb: &str, name: &str) -> Op {
    Op::Exec(Exec::new(["systemctl", verb, "--", name]).timeout(START_LIMIT_S))
}

/// Restarts a unit (`docker` is `docker.service`), having read its files anew.
pub fn restart(name: &str) -> Vec<Op> {
    let reload = Op::Exec(Exec::new(["systemctl", "daemon-reload"]).timeout(60));
    let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
    vec![reload, systemctl("restart", &name)]
}

impl Unit {
    pub(super) fn title(&self) -> String {
        let mut words = Vec::new();
        match self.enabled {
            Some(true) => words.push("enable"),
            Some(false) => words.push("disable"),
            None => {}
        }
        match self.active {
            Some(true) => words.push("start"),
            Some(false) => words.push("stop"),
            None => {}
        }
        format!("{} {}", words.join(" and "), self.name)
    }

    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        if !is_name(&self.name) {
            return refused(format!("{:?} is no unit name", self.name), "write it with its suffix: docker.service");
        }
        let state = match seen.units.get(&self.name) {
            Ok(state) => state,
            Err(why) => return unseen(&format!("unit {}", self.name), why),
        };
        let wants = self.enabled == Some(true) || self.active == Some(true);
        if !state.exists() {
            if wants {
                return Verdict::Unknown { until: format!("a package has brought {}", self.name) };
            }
            return Verdict::Unchanged;
        }
        if wants && (state.load == "masked" || state.file.starts_with("masked")) {
            return refused(
                format!("{} is masked: somebody has forbidden it to start", self.name),
                format!("if that is no longer meant: systemctl unmask {}", self.name),
            );
        }
        self.change(state)
    }

    fn change(&self, state: &UnitState) -> Verdict {
        let (mut fields, mut ops) = (Vec::new(), Vec::new());
        if let Some(enabled) = self.enabled
            && state.is_enabled() != enabled
            // What has no link of its own cannot be disabled.
            && (enabled || matches!(state.file.as_str(), "enabled" | "enabled-runtime"))
        {
            let (verb, wanted) = if enabled { ("enable", "enabled") } else { ("disable", "disabled") };
            fields.push(field("enabled", &state.file, wanted));
            ops.push(systemctl(verb, &self.name));
        }
        match self.active {
            Some(true) if !state.is_active() => {
                fields.push(field("active", format!("{} ({})", state.active, state.sub), "active"));
                if state.active == "failed" {
                    // One that failed too often is not started again before this.
                    ops.push(systemctl("reset-failed", &self.name));
                }
                ops.push(systemctl("start", &self.name));
            }
            Some(false) if !matches!(state.active.as_str(), "inactive" | "failed") => {
                fields.push(field("active", format!("{} ({})", state.active, state.sub), "inactive"));
                ops.push(systemctl("stop", &self.name));
            }
            _ => {}
        }
        verdict(Action::Update, fields, ops)
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "@:_.-".contains(c);
    name.contains('.') && !name.starts_with(['-', '.']) && name.chars().all(inner)
}

/// systemd answers for all units at once, with a block for each, in the order of the question.
pub(super) fn probe(names: Vec<String>) -> Probe {
    let names: BTreeSet<String> = names.into_iter().filter(|n| is_name(n)).collect();
    let sh = format!(
        "[ -d /run/systemd/system ] || {{ printf 'no systemd\\n'; exit 0; }}\nset -- {}\nprintf 'asked\\t%s\\n' \"$@\"\n\
         systemctl show -p LoadState -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload -- \"$@\"\n",
        quote::join(&names)
    );
    Probe::new("units", sh)
}

pub(super) fn parse(text: &str) -> Result<BTreeMap<String, UnitState>, String> {
    if text.trim_end() == "no systemd" {
        return Err("the host does not run systemd".to_owned());
    }
    let mut lines = text.lines().peekable();
    let mut names = Vec::new();
    while let Some(name) = lines.next_if(|line| line.starts_with("asked\t")) {
        names.push(name["asked\t".len()..].to_owned());
    }
    let mut states: Vec<UnitState> = Vec::new();
    let mut in_block = false;
    for line in lines {
        let Some((key, value)) = line.split_once('=') else {
            in_block = false;
            continue;
        };
        if !in_block {
            states.push(UnitState::default());
            in_block = true;
        }
        let Some(state) = states.last_mut() else {
            continue;
        };
        match key {
            "LoadState" => state.load = value.to_owned(),
            "ActiveState" => state.active = value.to_owned(),
            "SubState" => state.sub = value.to_owned(),
            "UnitFileState" => state.file = value.to_owned(),
            "NeedDaemonReload" => state.needs_reload = value == "yes",
            _ => {}
        }
    }
    if states.len() != names.len() || states.iter().any(|s| s.load.is_empty() || s.active.is_empty()) {
        return Err("systemd did not answer for every unit".to_owned());
    }
    Ok(names.into_iter().zip(states).collect())
}
