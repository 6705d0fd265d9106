//! The external database, asked through a simulated host before anything is changed: every answer it can give.

mod support;

use reemo_infra::engine::apply::exit;
use reemo_model::event::Event;
use reemo_transport::fake::Sshd;
use support::platform::{Platform, changed, failure};
use support::swarm::Swarm;

/// What is set up on the server, what is asked for, the words of the refusal.
type Case = (fn(&Platform), &'static [&'static str], &'static [&'static str]);

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_refused_before_the_first_change() {
    let cases: [Case; 8] = [
        (|_| {}, &["INIT_DB=true", "DB_PORT=3307"], &["10.0.9.1:3307 is not reached", "DB_HOST and DB_PORT"]),
        (|_| {}, &["INIT_DB=true", "DB_USER_PASSWORD=mistyped"], &["refuses the login of `reemo`", "DB_USER_PASSWORD"]),
        (|_| {}, &["INIT_DB=true", "DB_USER=somebody"], &["refuses the login of `somebody`"]),
        (|_| {}, &["INIT_DB=true", "DB_NAME=other"], &["has no database `other`", "create it"]),
        (|_| {}, &["INIT_DB=true", "DB_TLS=tls"], &["does not speak TLS", "DB_TLS: none"]),
        (|p| p.database.state().version = "5.7.44".into(), &["INIT_DB=true"], &["is version 5.7.44", "MySQL 8.0"]),
        (|_| {}, &[], &["the database was never initialised", "INIT_DB=true"]),
        (|p| p.database.fill(), &["INIT_DB=true"], &["already holds 7 tables", "without INIT_DB"]),
    ];
    for (arrange, extra, words) in cases {
        let platform = Platform::new(Swarm::ready());
        arrange(&platform);
        for (command, heard) in [("plan", platform.plan(extra).await), ("apply", platform.apply(extra, &[]).await)] {
            let said = failure(&heard);
            assert_eq!(heard.exit, exit::REFUSED, "{command} {extra:?}: {said}");
            assert!(words.iter().all(|w| said.contains(w)), "{command} {extra:?}: {said}");
            assert!(!said.contains("mistyped") && !said.contains("of-the-database"), "{said}");
        }
        assert_eq!(platform.changes(), Vec::<String>::new(), "{extra:?}");
        assert!(platform.machine.state().commands.is_empty(), "{extra:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_there_is_used() {
    let platform = Platform::new(Swarm::ready());
    platform.database.fill();
    let heard = platform.apply(&[], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(platform.changes().contains(&"create configs reemo.record.initialised".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_while_it_is_a_question() {
    let platform = Platform::new(Swarm::ready());
    assert_eq!(platform.apply(&["INIT_DB=true"], &[]).await.exit, exit::OK);
    assert_eq!(platform.database.state().connections, 1, "the first run asks once");
    assert_eq!(platform.apply(&[], &[]).await.exit, exit::OK);
    assert_eq!(platform.plan(&["DOCKER_VERSION_API=3.0.0"]).await.exit, exit::PENDING);
    assert_eq!(platform.database.state().connections, 1, "nothing is asked any more");
    platform.changes();

    // Another login is a question again.
    let heard = platform.apply(&["DB_USER_PASSWORD=mistyped"], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    assert!(failure(&heard).contains("refuses the login"), "{}", failure(&heard));
    platform.database.state().password = "another".into();
    platform.database.state().tables = 0;
    let heard = platform.apply(&["DB_USER_PASSWORD=another"], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    assert!(failure(&heard).contains("it is empty"), "another server, without the data: {}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
    platform.database.fill();
    let heard = platform.apply(&["DB_USER_PASSWORD=another"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let asked = platform.database.state().connections;
    let heard = platform.plan(&["DB_USER_PASSWORD=another"]).await;
    assert_eq!((heard.exit, changed(&heard).len()), (exit::OK, 0));
    assert_eq!(platform.database.state().connections, asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sshd_forbids_forwarding_it_says_so_and_goes_on() {
    let platform = Platform::new(Swarm::ready());
    let host = platform.machine.clone();
    let sshd = Sshd::new(move |exec| host.answer(&exec)).engine(platform.swarm.engine.clone());
    platform.net.add("10.0.0.1", sshd.without_forwarding());
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(platform.database.state().connections, 0);
    let warned = heard.events.iter().any(|e| match e {
        Event::Warning { message } => message.contains("was not asked: sshd there forbids forwarding"),
        _ => false,
    });
    assert!(warned);
}
