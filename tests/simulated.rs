//! The real engine and the real SSH client against fifty hosts simulated in this process.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reemo_infra::engine::apply::{Ask, exit, probes};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::run::Options;
use reemo_model::event::{Event, Outcome};
use reemo_transport::Connector;
use reemo_transport::fake::{Engine, Ran, Sshd, Sudo, Trouble};
use serde_json::json;
use support::fifty::{CONTENT, Fifty, HOSTS, address, name};
use support::machine::Machine;
use support::{Heard, counts, run};

fn apply() -> Ask {
    Ask { options: Options { forks: 50, ..Options::default() }, again: "apply -i fifty.yml".into(), ..Ask::default() }
}

fn plan() -> Ask {
    Ask { check: true, ..apply() }
}

async fn go(fifty: &Fifty, ask: &Ask) -> Heard {
    run(&fifty.site, fifty.graph(), &fifty.net, ask).await
}

fn failure(heard: &Heard) -> (String, Vec<String>, String) {
    let found = heard.events.iter().find_map(|e| match e {
        Event::Failure { cause, last_lines, next, .. } => Some((cause.clone(), last_lines.clone(), next.clone())),
        _ => None,
    });
    found.expect("a failure was told")
}

/// An engine that runs, in no Swarm.
fn engine() -> Engine {
    let engine = Engine::new();
    engine.get("/info", json!({"ServerVersion": "20.10.24", "Swarm": {"LocalNodeState": "inactive"}}));
    engine.get("/images/json", json!([]));
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn a_converged_platform_costs_one_handshake_and_one_command_per_host() {
    let engines: Vec<Engine> = (0..HOSTS).map(|_| engine()).collect();
    let fifty = Fifty::with(|n, machine| {
        let machine = machine.clone();
        Sshd::new(move |exec| machine.answer(&exec)).engine(engines[n].clone())
    });
    (0..HOSTS).for_each(|n| fifty.converge(n));
    for ask in [plan(), apply()] {
        let before: Vec<usize> = fifty.servers.iter().map(Sshd::execs).collect();
        let heard = go(&fifty, &ask).await;
        assert_eq!(heard.exit, exit::OK);
        let Some(Event::Recap { hosts, trips, .. }) = heard.events.last() else { panic!("no recap") };
        assert_eq!((hosts.len(), trips.len()), (HOSTS, HOSTS));
        for (n, server) in fifty.servers.iter().enumerate() {
            let (host, trips) = (&hosts[&name(n)], &trips[&name(n)]);
            assert_eq!((host.ok, host.changed, host.failed), (3, 0, 0), "host{n}");
            assert_eq!((trips.handshakes, trips.execs), (1, 1), "host{n}");
            // Its version, what it is, its images.
            assert_eq!(trips.docker_calls, 3, "host{n}");
            assert_eq!(server.execs() - before[n], 1, "host{n} as the server counts");
        }
    }
    engines.iter().for_each(Engine::finish);
    assert!(fifty.machines.iter().all(|m| m.state().commands.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_planned_then_done_then_gone() {
    let fifty = Fifty::new();
    (0..10).for_each(|n| fifty.converge(n));
    let heard = go(&fifty, &plan()).await;
    assert_eq!(heard.exit, exit::OK);
    let planned = counts(&heard.events);
    assert_eq!(planned.values().filter(|c| c.changed == 3).count(), HOSTS - 10);
    assert!(fifty.machines.iter().all(|m| m.state().commands.is_empty()), "a plan touches nothing");
    let pending = Ask { detailed_exitcode: true, ..plan() };
    assert_eq!(go(&fifty, &pending).await.exit, exit::PENDING);

    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::OK);
    assert_eq!(counts(&heard.events), planned, "what was done is what was planned");
    for (n, machine) in fifty.machines.iter().enumerate() {
        let state = machine.state();
        assert!(state.unknown.is_empty(), "host{n}: {:?}", state.unknown);
        assert_eq!(state.files["/etc/example/one.conf"].content.as_deref(), Some(CONTENT.as_bytes()));
        let changes = if n < 10 { 0 } else { 3 };
        assert_eq!(state.commands.len(), changes, "host{n}: {:?}", state.commands);
    }
    let heard = go(&fifty, &Ask { detailed_exitcode: true, ..plan() }).await;
    assert_eq!(heard.exit, exit::OK, "a second look finds nothing");
    assert!(counts(&heard.events).values().all(|c| c.ok == 3 && c.changed == 0));
}

fn troubled() -> Fifty {
    let mut fifty = Fifty::new();
    for host in fifty.site_mut().hosts.values_mut() {
        host.target.connect_timeout = Duration::from_millis(1500);
    }
    for n in [3, 13, 23] {
        fifty.net.trouble(&address(n), Trouble::Slow(Duration::from_millis(100)));
    }
    fifty.net.trouble(&address(7), Trouble::Silent);
    fifty.net.trouble(&address(8), Trouble::Refused);
    fifty
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_gone_stop_the_run_before_the_first_change() {
    let fifty = troubled();
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::UNREACHABLE);
    let gone: Vec<&String> = heard
        .events
        .iter()
        .filter_map(|e| match e {
            Event::HostUnreachable { host, cause, hint, .. } => {
                assert!(!cause.is_empty() && !hint.is_empty(), "{host}: {cause} / {hint}");
                Some(host)
            }
            _ => None,
        })
        .collect();
    assert_eq!(gone, [&name(7), &name(8)]);
    assert!(matches!(heard.events.first(), Some(Event::HostUnreachable { .. })), "first of all");
    assert!(fifty.machines.iter().all(|m| m.state().commands.is_empty()), "nothing was changed");
    let recap = counts(&heard.events);
    assert_eq!(recap.values().map(|c| c.unreachable).sum::<u32>(), 2);

    let heard = go(&fifty, &Ask { skip_unreachable: true, ..apply() }).await;
    assert_eq!(heard.exit, exit::UNREACHABLE, "still not everything");
    for (host, c) in counts(&heard.events) {
        let wanted = if host == name(7) || host == name(8) { (0, 0, 1) } else { (3, 3, 0) };
        assert_eq!((c.ok, c.changed, c.unreachable), wanted, "{host}");
    }

    // So many were allowed for; or not.
    for (most, left) in [("2", true), ("4%", true), ("1", false), ("3%", false)] {
        let heard = go(&fifty, &Ask { max_fail: Some(most.parse().unwrap()), ..plan() }).await;
        assert_eq!(heard.exit, exit::UNREACHABLE, "{most}");
        assert_eq!(counts(&heard.events).values().any(|c| c.ok > 0), left, "{most}");
    }

    // They come back.
    fifty.net.trouble(&address(7), Trouble::None);
    fifty.net.trouble(&address(8), Trouble::None);
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::OK);
    assert_eq!(counts(&heard.events).values().map(|c| c.changed).sum::<u32>(), 6, "only theirs was owed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_delays_nobody() {
    let mut fifty = Fifty::new();
    // It would be waited for longer than anybody waits for a test.
    for host in fifty.site_mut().hosts.values_mut() {
        host.target.connect_timeout = Duration::from_secs(3600);
    }
    fifty.net.trouble(&address(20), Trouble::Silent);
    let connector = Connector::new(Arc::new(fifty.net.clone()));
    let graph = fifty.graph();
    let connecting = Fleet::connect_by(&connector, &fifty.site, probes(&fifty.site, &graph), 50);
    let all_others_seen = async {
        while fifty.servers.iter().filter(|s| s.execs() > 0).count() < HOSTS - 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = connecting => panic!("the dead host cannot have been given up yet"),
        () = all_others_seen => {}
    }
    assert_eq!(fifty.servers[20].execs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_are_honoured() {
    for forks in [2, 50] {
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let fifty = Fifty::with(|_, machine| {
            let (machine, busy, most) = (machine.clone(), busy.clone(), most.clone());
            Sshd::new_async(move |exec| {
                let (machine, busy, most) = (machine.clone(), busy.clone(), most.clone());
                Box::pin(async move {
                    most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let ran = machine.answer(&exec);
                    busy.fetch_sub(1, Ordering::SeqCst);
                    ran
                })
            })
        });
        let ask = Ask { options: Options { forks, ..Options::default() }, ..apply() };
        assert_eq!(go(&fifty, &ask).await.exit, exit::OK);
        // A bare host is asked for its engine beside the probe script: two commands on one host.
        let most = most.load(Ordering::SeqCst);
        assert!(most <= forks * 2, "{most} commands at once with {forks} forks");
        assert!(most > 1, "with {forks} forks something runs at once ({most})");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_that_fails_fails_alone() {
    let fifty = Fifty::new();
    let said = "E: Unable to fetch some archives\nE: No space left on device\n";
    fifty.machines[11].state().broken_packages = Some(said.into());
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::FAILED);
    for (host, c) in counts(&heard.events) {
        let wanted = if host == name(11) { (2, 2, 1) } else { (3, 3, 0) };
        assert_eq!((c.ok, c.changed, c.failed), wanted, "{host}");
    }
    let (cause, lines, next) = failure(&heard);
    assert!(cause.contains("install curl on host11") && cause.contains("code 100"), "{cause}");
    assert!(lines.iter().any(|l| l.contains("No space left on device")), "{lines:?}");
    assert!(next.contains("apply -i fifty.yml"), "{next}");
    // It is mended, and only what was owed is done.
    fifty.machines[11].state().broken_packages = None;
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::OK);
    assert_eq!(counts(&heard.events).values().map(|c| c.changed).sum::<u32>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_changed_between_plan_and_apply_is_seen_as_it_is() {
    let fifty = Fifty::new();
    (0..HOSTS).for_each(|n| fifty.converge(n));
    let heard = go(&fifty, &plan()).await;
    assert_eq!((heard.exit, counts(&heard.events).values().map(|c| c.changed).sum::<u32>()), (exit::OK, 0));

    fifty.machines[3].state().files.get_mut("/etc/example/one.conf").unwrap().mode = 0o600;
    fifty.machines[4].state().packages.remove("curl");
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::OK);
    for (host, c) in counts(&heard.events) {
        assert_eq!(c.changed, u32::from(host == name(3) || host == name(4)), "{host}");
    }
    assert_eq!(fifty.machines[3].state().files["/etc/example/one.conf"].mode, 0o640);
    assert!(fifty.machines[4].state().packages.contains_key("curl"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let fifty = Fifty::with(|n, machine| {
        let machine = machine.clone();
        Sshd::new(move |exec| {
            let ran = machine.answer(&exec);
            if n == 5 && exec.argv == ["mkdir", "-p", "--", "/etc/example"] {
                let mut state = machine.state();
                let mut entry = state.files["/etc/example"].clone();
                entry.content = Some(b"of somebody else\n".to_vec());
                state.files.insert("/etc/example/one.conf".into(), entry);
            }
            ran
        })
    });
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::FAILED);
    let (cause, _, next) = failure(&heard);
    assert!(cause.contains("no longer what it was when it was looked at"), "{cause}");
    assert!(next.contains("run the same command again"), "{next}");
    let state = fifty.machines[5].state();
    assert_eq!(state.files["/etc/example/one.conf"].content.as_deref(), Some(b"of somebody else\n".as_slice()));
    assert!(!state.packages.contains_key("curl"), "what comes after has not begun");
}

/// Replaces what one host answers to the probe script.
fn answering(n: usize, change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Fifty {
    let change = Arc::new(change);
    Fifty::with(|at, machine: &Machine| {
        let (machine, change) = (machine.clone(), change.clone());
        Sshd::new(move |exec| {
            let ran = machine.answer(&exec);
            if at == n && exec.argv == ["sh"] { Ran { stdout: change(ran.stdout), ..ran } } else { ran }
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_damaged_change_nothing() {
    let cut = |mut all: Vec<u8>| {
        all.truncate(all.len() / 2);
        all
    };
    let noise = |all: Vec<u8>| {
        let middle = all.len() / 2;
        [&all[..middle], b"broadcast message: the system goes down", &all[middle..]].concat()
    };
    let nothing = |_: Vec<u8>| b"This account is currently not available.\n".to_vec();
    let cases: [(Fifty, &str); 3] =
        [(answering(9, cut), "cut after"), (answering(9, noise), "damaged"), (answering(9, nothing), "not available")];
    for (fifty, piece) in cases {
        let heard = go(&fifty, &apply()).await;
        assert_eq!(heard.exit, exit::FAILED, "{piece}");
        let (cause, lines, _) = failure(&heard);
        assert!(cause.contains("host09") && format!("{cause} {lines:?}").contains(piece), "{cause} {lines:?}");
        assert!(fifty.machines.iter().all(|m| m.state().commands.is_empty()), "{piece}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn banners_and_bytes_that_are_no_text_do_no_harm() {
    // 1 MB of a line before the answer, and bytes that are not UTF-8 after it.
    let loud = |all: Vec<u8>| [vec![b'#'; 1 << 20], b"\n".to_vec(), all, b"\xff\xfe goodbye\n".to_vec()].concat();
    let fifty = answering(2, loud);
    assert_eq!(go(&fifty, &apply()).await.exit, exit::OK);

    // The same from a program that a task runs.
    let fifty = Fifty::with(|n, machine| {
        let machine = machine.clone();
        Sshd::new(move |exec| {
            let ran = machine.answer(&exec);
            if n != 4 || !exec.argv.contains(&"install".to_owned()) {
                return ran;
            }
            Ran { stdout: [vec![b'.'; 1 << 20], b"\n\xc3\x28 done\n".to_vec()].concat(), ..ran }
        })
    });
    let heard = go(&fifty, &apply()).await;
    assert_eq!(heard.exit, exit::OK);
    let lines = heard.events.iter().filter(|e| matches!(e, Event::TaskOutput { host, .. } if *host == name(4)));
    assert!(lines.count() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudo_that_refuses_counts_as_unreachable_and_keeps_its_words() {
    let mut fifty = Fifty::with(|n, machine| {
        let machine = machine.clone();
        let sshd = Sshd::new(move |exec| machine.answer(&exec));
        if n == 30 { sshd.sudo(Sudo::Refuses("admin is not in the sudoers file".into())) } else { sshd }
    });
    fifty.site_mut().hosts.values_mut().for_each(|h| h.target.user = "admin".into());
    let heard = go(&fifty, &Ask { skip_unreachable: true, ..apply() }).await;
    assert_eq!(heard.exit, exit::UNREACHABLE);
    let said = heard.events.iter().find_map(|e| match e {
        Event::HostUnreachable { host, cause, .. } => Some((host.clone(), cause.clone())),
        _ => None,
    });
    let (host, cause) = said.unwrap();
    assert_eq!(host, name(30));
    assert!(cause.contains("not in the sudoers file"), "{cause}");
    let done = heard.events.iter().filter(|e| matches!(e, Event::TaskFinished { outcome: Outcome::Changed, .. }));
    assert_eq!(done.count(), (HOSTS - 1) * 3);
}
