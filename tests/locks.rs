//! One run at a time: two controllers at every moment of each other, owners that are dead, asleep, or far away.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reemo_infra::engine::apply::{Ask, exit};
use reemo_infra::engine::interrupt::{Interrupt, Signal};
use reemo_infra::engine::journal::{Journal, Keep};
use reemo_infra::engine::lock::raft::{self, RaftLock};
use reemo_infra::engine::lock::{NAME, Wish};
use reemo_infra::engine::owner::Owner;
use reemo_infra::engine::safety::Safety;
use reemo_transport::Host;
use reemo_transport::fake::ScriptedHost;
use support::Heard;
use support::platform::{Platform, ask, failure, owner, wish};
use support::swarm::Swarm;

const NEW: &[&str] = &["DOCKER_VERSION_API=3.0.0", "DOCKER_VERSION_PORTAL=3.0.0"];

/// Does something when a line of the journal is written.
struct At<F> {
    line: usize,
    count: AtomicUsize,
    then: F,
}

impl<F: Fn() -> BoxFuture<'static, ()> + Send + Sync> Keep for At<F> {
    fn keep(&self, _: String) -> BoxFuture<'_, std::io::Result<()>> {
        Box::pin(async move {
            if self.count.fetch_add(1, Ordering::SeqCst) == self.line {
                (self.then)().await;
            }
            Ok(())
        })
    }
}

fn at(line: usize, then: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Safety {
    let journal = Journal::kept_by(Arc::new(At { line, count: AtomicUsize::new(0), then }));
    Safety { journal, ..Safety::default() }
}

/// The Swarm's manager, as a controller elsewhere reaches it.
fn manager(platform: &Platform) -> Vec<Arc<dyn Host>> {
    vec![Arc::new(ScriptedHost::new("one").engine(platform.swarm.engine.clone()))]
}

fn elsewhere() -> Owner {
    Owner { host: "control2".into(), user: "anna".into(), ..owner() }
}

fn free(platform: &Platform) -> bool {
    platform.swarm.state().config(NAME).is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_changes_takes_no_lock_and_one_with_changes_gives_it_back() {
    let platform = Platform::installed().await;
    let taken = platform.swarm.state().locks.len();
    assert!(taken == 1 && free(&platform));
    let before = platform.swarm.engine.seen().len();
    assert_eq!(platform.apply(&[], &[]).await.exit, exit::OK);
    let calls = platform.swarm.engine.seen().split_off(before);
    assert_eq!((calls.len(), calls.iter().any(|c| c.contains(NAME))), (9, false), "{calls:?}");
    assert_eq!(platform.plan(NEW).await.exit, exit::PENDING);
    assert_eq!(platform.swarm.state().locks.len(), taken, "a plan takes none either");
    let heard = platform.apply(NEW, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(platform.swarm.state().locks.len(), taken + 1);
    assert!(free(&platform));
    // Also after a failure.
    platform.swarm.state().sick.insert("reemo_portal".into());
    let heard = platform.apply(&["DOCKER_VERSION_PORTAL=4.0.0"], &[]).await;
    assert!(heard.exit == exit::ROLLED_BACK && free(&platform), "{}", failure(&heard));
}

/// A second controller comes at each line of the first one's journal, on a platform and on bare hosts.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_is_told_who_is_at_work_whenever_it_comes() {
    for (bare, extra, lines) in
        [(false, NEW, vec![0, 1, 3, 6]), (true, &["INIT_DB=true", "INSTALL_DOCKER=true"], vec![0, 5, 12, 20])]
    {
        for line in lines {
            let platform = Arc::new(if bare { Platform::new(Swarm::bare()) } else { Platform::installed().await });
            let (tell, told) = std::sync::mpsc::channel::<(u8, String)>();
            let second = platform.clone();
            let safety = at(line, move || {
                let (second, tell) = (second.clone(), tell.clone());
                Box::pin(async move {
                    let heard = second.run(extra, ask(&[])).await;
                    tell.send((heard.exit, failure(&heard))).unwrap();
                })
            });
            let first = Ask { safety, lock: Some(wish(elsewhere())), ..ask(&[]) };
            let heard = platform.run(extra, first).await;
            assert_eq!(heard.exit, exit::OK, "line {line}: {}", failure(&heard));
            let (code, said) = told.recv().unwrap();
            assert_eq!(code, exit::LOCKED, "line {line}: {said}");
            assert!(said.contains("`apply` of anna on control2 (process"), "line {line}: {said}");
            assert!(said.contains("--lock-wait"), "{said}");
            assert!(free(&platform), "line {line}");
            assert_eq!(platform.apply(&extra[usize::from(bare)..], &[]).await.exit, exit::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_begin_together_one_wins() {
    for _ in 0..5 {
        let platform = Platform::installed().await;
        let (a, b) = tokio::join!(platform.run(NEW, ask(&[])), platform.run(NEW, ask(&[])));
        let codes = |h: &Heard| h.exit;
        let mut both = [codes(&a), codes(&b)];
        both.sort_unstable();
        assert_eq!(both, [exit::OK, exit::LOCKED], "{}{}", failure(&a), failure(&b));
        let changes = platform.changes();
        assert_eq!(changes.iter().filter(|c| c.contains("reemo_api 3.0.0 max=5")).count(), 1, "{changes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gets_it_and_looks_again() {
    let platform = Platform::installed().await;
    let patient = |owner: Owner| Wish { wait: Duration::from_secs(60), ..wish(owner) };
    let waiting = || Ask { lock: Some(patient(owner())), ..ask(&[]) };
    let (a, b) = tokio::join!(platform.run(NEW, waiting()), platform.run(NEW, waiting()));
    assert_eq!((a.exit, b.exit), (exit::OK, exit::OK), "{}{}", failure(&a), failure(&b));
    let changes = platform.changes();
    assert_eq!(changes.iter().filter(|c| c.contains("reemo_api 3.0.0 max=5")).count(), 1, "done once: {changes:?}");
    assert_eq!(platform.plan(NEW).await.exit, exit::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_far_away_is_broken_only_after_a_time_without_a_sign_of_life() {
    let platform = Platform::installed().await;
    let managers = manager(&platform);
    let (held, waited) = RaftLock::take("infra_manager", managers.clone(), &wish(elsewhere()), &|_| {}).await.unwrap();
    assert!(!waited);
    // It lives: it gives signs while somebody waits for longer than it takes to be called dead.
    let impatient = Wish { wait: Duration::from_millis(2500), ..wish(owner()) };
    let beating = async {
        loop {
            held.prove(true).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::select! {
        heard = platform.run(NEW, Ask { lock: Some(impatient.clone()), ..ask(&[]) }) => heard,
        () = beating => unreachable!(),
    };
    assert_eq!(heard.exit, exit::LOCKED, "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
    // It has died.
    let heard = platform.run(NEW, Ask { lock: Some(impatient), ..ask(&[]) }).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    // It had only slept: whatever it does now is refused, and it does not remove what is not its own.
    let fault = held.prove(true).await.unwrap_err();
    assert!(fault.cause.contains("does not hold the lock any more"), "{}", fault.cause);
    let (other, _) = RaftLock::take("infra_manager", managers.clone(), &wish(owner()), &|_| {}).await.unwrap();
    held.release().await.unwrap();
    other.prove(true).await.unwrap();
    other.release().await.unwrap();
    assert!(free(&platform));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lock_was_broken_writes_no_more() {
    let platform = Platform::installed().await;
    let managers = manager(&platform);
    let other = owner();
    let safety = at(0, move || {
        let (managers, other) = (managers.clone(), other.clone());
        Box::pin(async move {
            let (_, there) = raft::look("infra_manager", &managers).await.unwrap().expect("held");
            // Its own beats come in between.
            if !raft::break_open(&managers, "infra_manager", &there, &other).await.unwrap() {
                let (_, there) = raft::look("infra_manager", &managers).await.unwrap().expect("held");
                assert!(raft::break_open(&managers, "infra_manager", &there, &other).await.unwrap());
            }
            // Longer than what was proven a moment ago counts.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        })
    });
    let heard = platform.run(NEW, Ask { safety, ..ask(&[]) }).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::LOCKED, "{said}");
    assert!(said.contains("does not hold the lock any more"), "{said}");
    let changes = platform.changes();
    assert!(changes.iter().all(|c| !c.contains("reemo_portal")), "nothing after it: {changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_may_be_told_to_stop() {
    let platform = Platform::installed().await;
    let held = RaftLock::take("infra_manager", manager(&platform), &wish(elsewhere()), &|_| {}).await.unwrap().0;
    let interrupt = Interrupt::default();
    let safety = Safety { interrupt: interrupt.clone(), ..Safety::default() };
    let lock = Wish { wait: Duration::from_secs(600), interrupt: interrupt.clone(), ..wish(owner()) };
    let lock =
        Wish { timing: reemo_infra::engine::lock::Timing { stale: Duration::from_secs(600), ..lock.timing }, ..lock };
    let soon = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        interrupt.ask(Signal::Terminate);
    };
    let (heard, ()) = tokio::join!(platform.run(NEW, Ask { safety, lock: Some(lock), ..ask(&[]) }), soon);
    assert_eq!(heard.exit, exit::TERMINATED, "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
    held.prove(true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_half_done_is_judged_by_no_gate() {
    let platform = Platform::installed().await;
    let held = RaftLock::take("infra_manager", manager(&platform), &wish(elsewhere()), &|_| {}).await.unwrap().0;
    // A second INIT_DB is refused; but not while it may be the other one's first.
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::LOCKED, "{}", failure(&heard));
    held.release().await.unwrap();
    assert_eq!(platform.apply(&["INIT_DB=true"], &[]).await.exit, exit::REFUSED);
}
