//! A run that changes something and is no `apply`: connected, looked at, locked, written down, and told as one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reemo_model::event::{Event, Sink};
use reemo_ui::{Handle, Ui};

use super::args::HandArgs;
use super::prepare::{self, Exit, Ready};
use super::{apply, output, signals, state, words};
use crate::engine::apply::{code_of, exit, probes};
use crate::engine::fault::Fault;
use crate::engine::fleet::Fleet;
use crate::engine::graph;
use crate::engine::journal::Entry;
use crate::engine::lock::{Timing, Wish};
use crate::engine::owner::Owner;
use crate::engine::run::{Options, Run};
use crate::engine::safety::Safety;

/// The run.
pub struct ByHand {
    /// What was read.
    pub ready: Ready,
    /// Connected and looked at; nothing is changed yet.
    pub run: Arc<Run>,
    events: Sink,
    ui: Handle,
    wish: Wish,
    again: String,
    started: Instant,
}

impl ByHand {
    /// Reads, connects, looks. `command`: its name, as the lock and the journal say it. `quiet`: it changes nothing that
    /// others must know of, and leaves no journal.
    pub async fn begin(command: &str, given: &HandArgs, argv: &[String], quiet: bool) -> Result<ByHand, Exit> {
        let ready = prepare::read(&given.inventory, &given.connect)?;
        ByHand::with(command, given, argv, quiet, ready).await
    }

    /// The same with what was read already.
    pub async fn with(
        command: &str,
        given: &HandArgs,
        argv: &[String],
        quiet: bool,
        ready: Ready,
    ) -> Result<ByHand, Exit> {
        let started = Instant::now();
        let graph = graph::compile(&ready.site).map_err(|e| Exit::invalid(e.to_string()))?;
        let run_id = state::run_id();
        let folder = state::folder(&run_id)?;
        let log = folder.join("run.log");
        let (events, ui) = Ui::start(&output::options(&given.output, false, Some(log.clone())))
            .map_err(|e| Exit::failed(format!("cannot write the log {}: {e}", log.display())))?;
        let safety = match quiet {
            true => Safety::default(),
            false => apply::safety(&folder, &run_id, Some(command), argv, &ready).await?,
        };
        signals::listen(&safety.interrupt, &events);
        let hosts = ready.site.run_hosts().cloned().collect();
        events.send(Event::RunStarted { run_id: run_id.clone(), command: command.into(), hosts, log });
        let mut fleet = Fleet::connect(&ready.site, probes(&ready.site, &graph), given.connect.forks).await;
        let looked = async {
            let world = fleet.first_look(&ready.site).await?;
            if let Some((host, error)) = fleet.unreachable.iter().next() {
                let message = format!("{host} cannot be reached: {}", error.message);
                return Err(Exit { code: exit::UNREACHABLE, message, hint: error.hint.clone() });
            }
            apply::same_site(&ready, &world)?;
            Ok(world)
        };
        let world = match looked.await {
            Ok(world) => world,
            Err(exit) => {
                let _ = safety.journal.note(Entry::Ended { code: exit.code }).await;
                ui.finish();
                return Err(exit);
            }
        };
        let wish = Wish {
            owner: Owner::here(&run_id),
            reason: command.to_owned(),
            wait: Duration::from_millis(given.lock_wait.map_or(0, |s| s.0)),
            timing: Timing::default(),
            interrupt: safety.interrupt.clone(),
        };
        let options =
            Options { forks: given.connect.forks, same_site: words::same_site(&given.inventory), ..Options::default() };
        let run = Run::new(ready.site.clone(), graph, Arc::new(fleet), world, events.clone(), options, safety);
        Ok(ByHand { ready, run, events, ui, wish, again: words::again(argv), started })
    }

    /// Takes the locks.
    pub async fn lock(&self) -> Result<(), Fault> {
        self.run.lock(self.wish.clone()).await.map(drop)
    }

    /// Holds the locks while something is done that changes nothing of the platform, and must not meet what does.
    pub async fn while_locked<T>(&self, work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
        if let Err(fault) = self.lock().await {
            return Err(Exit { code: code_of(&self.run, &fault), ..fault.into() });
        }
        let done = work.await;
        self.run.unlock().await;
        done
    }

    /// Nothing was begun: the journal says so.
    pub async fn refuse(self, exit: Exit) -> Exit {
        let _ = self.run.safety.journal.note(Entry::Ended { code: exit.code }).await;
        self.ui.finish();
        exit
    }

    /// Gives the locks back, and says how it ended.
    pub async fn end(self, result: Result<(), Fault>) -> u8 {
        let code = result.as_ref().map_or_else(|fault| code_of(&self.run, fault), |()| exit::OK);
        let serving = if result.is_err() { self.run.serving().await } else { String::new() };
        self.run.unlock().await;
        if let Err(fault) = result {
            let next = if fault.hint.is_empty() { format!("reemo-infra {}", self.again) } else { fault.hint };
            self.events.send(Event::Failure { cause: fault.cause, last_lines: fault.last_lines, serving, next });
        }
        let hosts = self.run.tally();
        let seconds = self.started.elapsed().as_secs_f64();
        self.events.send(Event::Recap { hosts, seconds, exit: code, trips: Default::default() });
        let _ = self.run.safety.journal.note(Entry::Ended { code }).await;
        self.ui.finish();
        code
    }
}
