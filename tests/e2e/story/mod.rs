//! The story, step by step.

mod access;
mod bare;
mod drift;
mod first;
mod gone;
mod looking;
mod loss;
mod maintenance;
mod mtls;
mod rollout;
mod settled;

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::time::Instant;

use base64::Engine;

use crate::fleet::Fleet;
use crate::poison;
use crate::tool::Tool;
use crate::web::Visitor;

/// What an operator types on bare hosts.
pub const FIRST: [&str; 2] = ["-e", "INSTALL_DOCKER=true INIT_DB=true"];

/// Where it plays.
pub struct Stage {
    /// The hosts.
    pub fleet: Fleet,
    /// The program, with the inventory of these hosts.
    pub tool: Tool,
    /// The licence in it.
    pub licence: String,
}

type Step = (&'static str, fn(&Stage));

/// In this order. Each stands on what those before it left.
const STEPS: [Step; 16] = [
    ("1 plan: bare hosts are looked at and not touched", bare::plan_touches_nothing),
    ("2 refused: an installation has to be asked for", access::has_to_be_asked_for),
    ("3 refused: hosts that are not known, hosts that do not let us in", access::only_known_hosts),
    ("4 apply: bare hosts become a platform", first::apply),
    ("5 again: nothing to do, and the database is initialised once", settled::nothing_to_do),
    ("6 nobody without a certificate", mtls::nobody_without_certificate),
    ("7 drift is named and repaired", drift::is_named_and_repaired),
    ("8 a release in order, without a failed request", rollout::in_order),
    ("9 a broken release: the old one serves", rollout::broken_release),
    ("10 images that cannot be fetched", rollout::cannot_be_fetched),
    ("11 maintenance: a page for users only", maintenance::page_for_users_only),
    ("12 a host is lost and comes back", loss::one_host),
    ("13 a node nobody named", loss::unknown_node),
    ("14 status, exec, logs", looking::every_day),
    ("15 secrets lie open nowhere", secrets_lie_open_nowhere),
    ("16 reset: the hosts are what they were", gone::as_they_were),
];

/// Says something at once: the test's own output is kept back until it ends.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells all of it, or the steps asked for.
pub fn tell() {
    let began = Instant::now();
    let only = std::env::var("REEMO_E2E_STEPS").ok();
    let stage = Stage::set("e2e", only.is_some());
    say(format!("{:7.1} s  0 three bare hosts, a registry", began.elapsed().as_secs_f64()));
    for (title, step) in STEPS {
        let number = title.split(' ').next().unwrap_or_default();
        if only.as_ref().is_some_and(|o| !o.split(',').any(|n| n == number)) {
            continue;
        }
        let step_began = Instant::now();
        say(format!("           {title} …"));
        step(&stage);
        say(format!("{:7.1} s  {title}", step_began.elapsed().as_secs_f64()));
    }
    say(format!("{:7.1} s  in all", began.elapsed().as_secs_f64()));
}

impl Stage {
    /// Three bare hosts and the demo's inventory for them, or those that an earlier run kept.
    pub fn set(name: &str, again: bool) -> Stage {
        let fleet = Fleet::raise(name, again);
        // As the demo's, but nobody else's: wherever it is found, it came from here.
        let mark = fleet.registry_password();
        let licence = format!(r#"{{"licence": "e2e", "organisation": "of {mark}", "users": 25}}"#);
        let licence = base64::engine::general_purpose::STANDARD.encode(licence);
        let tool = Tool::new(fleet.control());
        // A kept fleet has its inventory, with what the story changed in it.
        if !tool.inventory.exists() {
            fs::write(&tool.inventory, fleet.inventory(&licence)).expect("a file");
        }
        Stage { fleet, tool, licence }
    }

    /// The inventory with another text in one place.
    pub fn swapped(&self, old: &str, new: &str) -> String {
        let text = fs::read_to_string(&self.tool.inventory).expect("the inventory");
        assert_eq!(text.matches(old).count(), 1, "`{old}` stands in the inventory once");
        text.replace(old, new)
    }

    /// Changes the inventory itself, from here on.
    pub fn rewrite(&self, old: &str, new: &str) {
        fs::write(&self.tool.inventory, self.swapped(old, new)).expect("a file");
    }

    /// A user of the portal, through every node in turn.
    pub fn visitor(&self) -> Visitor {
        Visitor::start(self.fleet.hosts.iter().map(|h| h.address.clone()).collect())
    }
}

/// Step 15, after everything that could have leaked one.
fn secrets_lie_open_nowhere(stage: &Stage) {
    let secrets = poison::secrets_of_containers(&stage.fleet);
    poison::nowhere(&stage.fleet, &stage.tool, &secrets, &stage.licence);
}
