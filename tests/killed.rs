//! A run is killed at every line of its journal: before a step is done, and after it was done but before anything else
//! could be. Or it is asked to stop there. A plain apply must then finish the job.
//!
//! With `REEMO_FAULTS=all` (`make test-faults`) every point there is, by enumeration; else every few.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use reemo_infra::engine::apply::{Ask, exit};
use reemo_infra::engine::interrupt::{Interrupt, Signal};
use reemo_infra::engine::journal::{Entry, Journal, Keep, Line, Record};
use reemo_infra::engine::owner::Owner;
use reemo_infra::engine::safety::Safety;
use support::platform::{Platform, ask, changed, failure, owner, wish};
use support::swarm::Swarm;
use tokio::sync::Notify;

/// Keeps lines in memory; at one of them the process is no more: the line is kept, and nothing after it happens.
struct Grave {
    lines: Mutex<Vec<String>>,
    last: usize,
    /// Asked to stop in place of being killed.
    asked: Option<Interrupt>,
    count: AtomicUsize,
    dead: Notify,
}

impl Grave {
    fn at(last: usize, asked: Option<Interrupt>) -> Arc<Grave> {
        Arc::new(Grave { lines: Mutex::default(), last, asked, count: AtomicUsize::new(0), dead: Notify::new() })
    }

    fn record(&self) -> Record {
        Record::parse(&self.lines.lock().unwrap().iter().map(|l| format!("{l}\n")).collect::<String>())
    }
}

impl Keep for Grave {
    fn keep(&self, line: String) -> BoxFuture<'_, std::io::Result<()>> {
        Box::pin(async move {
            let number = self.count.fetch_add(1, Ordering::SeqCst);
            if number <= self.last || self.asked.is_some() {
                self.lines.lock().unwrap().push(line);
            }
            if let Some(interrupt) = &self.asked {
                if number == self.last {
                    interrupt.ask(Signal::Interrupt);
                }
            } else if number >= self.last {
                self.dead.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

/// What a case starts from, and what is asked of it.
struct Case {
    name: &'static str,
    start: fn() -> BoxFuture<'static, Platform>,
    extra: &'static [&'static str],
    /// What is asked of a platform that is installed.
    plain: &'static [&'static str],
}

/// A run that is killed at this line of its journal. `None`: it had ended before.
async fn killed(case: &Case, point: usize) -> Option<(Platform, Record)> {
    let platform = (case.start)().await;
    let grave = Grave::at(point, None);
    let safety = Safety { journal: Journal::kept_by(grave.clone()), ..Safety::default() };
    // Its process is gone, as far as anybody can see.
    let lock = Some(wish(Owner { start: 1, ..owner() }));
    let ended = tokio::select! {
        heard = platform.run(case.extra, Ask { safety, lock, ..ask(&[]) }) => Some(heard),
        () = grave.dead.notified() => None,
    };
    let record = grave.record();
    if ended.is_some() || record.code().is_some() {
        assert_eq!(ended.map_or(exit::OK, |heard| heard.exit), exit::OK, "{}", case.name);
        return None;
    }
    assert_eq!((record.lines.len(), record.torn), (point + 1, false));
    Some((platform, record))
}

/// A run that is asked to stop at this line.
async fn stopped(case: &Case, point: usize) -> Option<(Platform, Record)> {
    let platform = (case.start)().await;
    let interrupt = Interrupt::default();
    let grave = Grave::at(point, Some(interrupt.clone()));
    let safety = Safety { journal: Journal::kept_by(grave.clone()), interrupt };
    let heard = platform.run(case.extra, Ask { safety, ..ask(&[]) }).await;
    let record = grave.record();
    let said = failure(&heard);
    let here = format!("{} stopped at line {point}: {said}", case.name);
    // Whatever was begun has ended, and is known to have.
    assert_eq!((record.open(), record.code()), (vec![], Some(heard.exit)), "{here}");
    if heard.exit == exit::OK {
        // Nothing was left to be begun: it had finished.
        assert!(record.lines.len() <= point + 3, "{here}");
        return None;
    }
    assert_eq!(heard.exit, exit::INTERRUPTED, "{here}");
    assert!(said.contains("stopped by SIGINT") && said.contains("next: reemo-infra apply"), "{here}");
    let noted = record.lines.iter().position(|l| matches!(l.entry, Entry::Interrupted { .. })).expect("written down");
    let begun = |l: &Line| matches!(l.entry, Entry::Intent { .. });
    let first = record.lines[point + 1..noted].iter().filter(|l| begun(l)).count();
    // What is under way: the other tasks that had been let through, and the proof of each service.
    assert!(first <= 60 && !record.lines[noted..].iter().any(begun), "{here}: {first} steps were begun after it");
    Some((platform, record))
}

/// The same command again, or what it says is to be typed, finishes the job.
async fn converges(case: &Case, platform: &Platform, here: &str) {
    let mut heard = platform.apply(case.extra, &[]).await;
    if heard.exit == exit::REFUSED {
        // The database was initialised: said, with what to type.
        assert!(failure(&heard).contains("next: run the same command without INIT_DB"), "{here}: {}", failure(&heard));
        heard = platform.apply(case.plain, &[]).await;
    }
    assert_eq!(heard.exit, exit::OK, "{here}: {}", failure(&heard));
    {
        let machine = platform.machine.state();
        assert!(machine.engine_is_current(), "{here}: the engine was not restarted");
        let kept = machine.files.keys().any(|f| f.contains("reemo-before"));
        assert!(!machine.armed && !kept, "{here}: what works would be taken back");
    }
    let heard = platform.plan(case.plain).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::OK, Default::default()), "{here}");
    assert_eq!(platform.swarm.state().config("io.reemo.lock"), None, "{here}: a lock was left");
    assert!(!platform.machine.state().files.contains_key("/run/reemo-infra.lock"), "{here}: a lock was left");
    let changes = platform.changes();
    let runs = changes.iter().filter(|c| c.starts_with("create reemo_db") || c.starts_with("update reemo_db 3"));
    assert!(runs.count() <= 2, "the schema job is run once, and its success written down: {here}: {changes:#?}");
}

/// Every point of a case, several at a time; how many there were.
async fn everywhere(case: &Case, few: usize) -> usize {
    let step = if std::env::var("REEMO_FAULTS").is_ok_and(|v| v == "all") { 1 } else { few };
    let (last, done) = (AtomicUsize::new(usize::MAX), AtomicUsize::new(0));
    let one = async |point: usize| {
        let mut any = false;
        if let Some((platform, record)) = killed(case, point).await {
            let entry = record.lines.last().map(|l| &l.entry);
            converges(case, &platform, &format!("{} killed at line {point}: {entry:?}", case.name)).await;
            any = true;
        }
        if let Some((platform, _)) = stopped(case, point).await {
            converges(case, &platform, &format!("{} stopped at line {point}", case.name)).await;
            any = true;
        }
        if any {
            done.fetch_add(1, Ordering::SeqCst)
        } else {
            last.fetch_min(point, Ordering::SeqCst)
        };
    };
    let points = (0..5000).step_by(step).take_while(|point| *point < last.load(Ordering::SeqCst));
    futures_util::stream::iter(points).map(one).buffer_unordered(6).collect::<()>().await;
    done.load(Ordering::SeqCst) * step
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_is_killed_anywhere_is_finished() {
    let case = Case {
        name: "an installation",
        start: || Box::pin(async { Platform::new(Swarm::bare()) }),
        extra: &["INIT_DB=true", "INSTALL_DOCKER=true"],
        plain: &["INSTALL_DOCKER=true"],
    };
    let points = everywhere(&case, 23).await;
    assert!(points > 100, "{points}");
}

/// The engine's configuration, a file, the schema and services, all in one run.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_killed_anywhere_is_finished() {
    const NEW: &[&str] = &[
        "INSTALL_DOCKER=true",
        "{\"DOCKER_DAEMON_OPTIONS\": {\"log-level\": \"warn\"}}",
        "DOCKER_VERSION_DB=3.0.0",
        "DOCKER_VERSION_API=3.0.0",
        "DOCKER_VERSION_PORTAL=3.0.0",
        "PORTAL_URL=new.example.org",
    ];
    let case = Case {
        name: "an update",
        start: || {
            Box::pin(async {
                let platform = Platform::new(Swarm::bare());
                let heard = platform.apply(&["INIT_DB=true", "INSTALL_DOCKER=true"], &[]).await;
                assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
                platform.changes();
                platform.machine.state().restarted.clear();
                platform
            })
        },
        extra: NEW,
        plain: NEW,
    };
    // Positive control: the engine has to be restarted for it.
    let platform = (case.start)().await;
    assert_eq!(platform.apply(NEW, &[]).await.exit, exit::OK);
    assert_eq!(platform.machine.state().restarted, ["docker.service"]);
    let points = everywhere(&case, 4).await;
    assert!(points > 20, "{points}");
}
