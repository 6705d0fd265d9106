//! The last words of a run.

use std::collections::BTreeMap;
use std::time::Instant;

use reemo_model::event::{Counts, Event, Sink, Trips};

use super::apply::Ask;
use super::fault::Fault;
use super::fleet::Fleet;
use super::site::Site;

/// The end of a run.
pub(super) struct Finish<'a> {
    pub site: &'a Site,
    pub fleet: &'a Fleet,
    pub ask: &'a Ask,
    pub events: &'a Sink,
    pub started: Instant,
}

impl Finish<'_> {
    pub fn failed(&self, counts: BTreeMap<String, Counts>, fault: Fault, serving: String, code: u8) -> u8 {
        let next = if fault.hint.is_empty() { format!("reemo-infra {}", self.ask.again) } else { fault.hint };
        self.events.send(Event::Failure { cause: fault.cause, last_lines: fault.last_lines, serving, next });
        self.recap(counts, code)
    }

    pub fn recap(&self, hosts: BTreeMap<String, Counts>, code: u8) -> u8 {
        let trips = self
            .fleet
            .hosts()
            .map(|(name, conn)| {
                let t = conn.trips();
                (
                    name.clone(),
                    Trips { handshakes: t.handshakes, execs: t.execs, docker_calls: t.docker_calls, bytes: t.bytes },
                )
            })
            .collect();
        self.fleet.phases.tell(self.events);
        debug_assert!(self.site.hosts.len() >= hosts.len());
        self.events.send(Event::Recap { hosts, seconds: self.started.elapsed().as_secs_f64(), exit: code, trips });
        code
    }
}
