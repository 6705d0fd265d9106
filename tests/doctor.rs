//! What `doctor` says of a host and of a cluster, from what they answer.

mod support;

use std::net::IpAddr;
use std::sync::Arc;

use reemo_infra::engine::apply::{Ask, exit, probes};
use reemo_infra::engine::doctor::{examine, look};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::graph;
use reemo_model::event::Event;
use reemo_model::finding::{Finding, State};
use reemo_transport::Connector;
use support::platform::{Platform, ask, failure};

/// Its rows, with these addresses behind `PORTAL_URL`.
async fn rows(platform: &Platform, extra: &[&str], portal: Option<&[&str]>) -> Vec<Finding> {
    let site = platform.site(extra);
    let graph = graph::compile(&site).unwrap();
    let connector = Connector::new(Arc::new(platform.net.clone()));
    let mut fleet = Fleet::connect_by(&connector, &site, probes(&site, &graph), 5).await;
    let world = fleet.first_look(&site).await.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let mut seen = look(&site, &fleet, &world, now).await.unwrap();
    for addresses in seen.portals.values_mut() {
        *addresses = portal.unwrap_or_default().iter().map(|a| a.parse::<IpAddr>().unwrap()).collect();
    }
    examine(&seen)
}

fn of<'a>(rows: &'a [Finding], check: &str) -> Vec<(State, &'a str)> {
    rows.iter().filter(|r| r.check == check).map(|r| (r.state, r.found.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_runs_has_no_problem() {
    let platform = Platform::installed().await;
    let rows = rows(&platform, &[], None).await;
    let problems: Vec<&Finding> = rows.iter().filter(|r| r.state == State::Problem).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    for check in ["host", "clock", "syslog", "upgrades", "engine", "managers", "node", "pool"] {
        assert_eq!(of(&rows, check), [(State::Ok, "")], "{check}");
    }
    for row in rows.iter().filter(|r| r.state != State::Ok) {
        assert!(!row.found.is_empty() && !row.remedy.is_empty(), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_around_it_is_named() {
    let platform = Platform::installed().await;
    {
        let mut machine = platform.machine.state();
        machine.clock_ahead_s = 30;
        let around = "route\t10.0.3.0/24 dev eth0 proto kernel scope link src 10.0.3.1\n\
                      apt\tAPT::Periodic::Unattended-Upgrade \"1\";\n";
        machine.recorded.insert("around".into(), around.into());
        let reach = "reach\ttcp\tregistry.reemo.io\t443\tno-name\n";
        machine.recorded.insert("reach".into(), reach.into());
    }
    let rows = rows(&platform, &[], None).await;
    assert_eq!(of(&rows, "clock")[0].0, State::Warning);
    assert_eq!(of(&rows, "upgrades")[0].0, State::Warning);
    let (state, found) = of(&rows, "sources")[0];
    // What is there already need not be fetched.
    assert_eq!((state, found), (State::Warning, "registry.reemo.io has no address here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_the_swarm_would_make_are_warned_of_before() {
    let platform = Platform::new(support::swarm::Swarm::bare());
    let around = "route\t10.0.3.0/24 dev eth0 proto kernel scope link src 10.0.3.1\n";
    platform.machine.state().recorded.insert("around".into(), around.into());
    let rows = rows(&platform, &[], None).await;
    let (state, found) = of(&rows, "pool")[0];
    assert!(state == State::Warning && found.contains("10.0.3.0/24"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_set_of_addresses_counts() {
    let platform = Platform::installed().await;
    let cases: [(&[&str], State, &str); 4] = [
        (&["10.0.0.1"], State::Ok, ""),
        (&[], State::Warning, "has no address on this machine"),
        (&["192.0.2.7"], State::Unknown, "none of the nodes"),
        (&["10.0.0.1", "192.0.2.7"], State::Problem, "is also 192.0.2.7"),
    ];
    for (addresses, state, piece) in cases {
        let rows = rows(&platform, &["PORTAL_URL=portal.example.test"], Some(addresses)).await;
        let (found, said) = of(&rows, "portal")[0];
        assert!(found == state && said.contains(piece), "{addresses:?}: {said}");
    }
}

/// What an apply says of the surroundings before its first change.
fn said_before(heard: &support::Heard) -> Vec<Finding> {
    let of = |e: &Event| if let Event::Preflight { findings } = e { Some(findings.clone()) } else { None };
    heard.events.iter().find_map(of).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_hosts_from_becoming_nodes_is_said_before_the_first_change() {
    let platform = Platform::new(support::swarm::Swarm::bare());
    let extra = ["INIT_DB=true", "INSTALL_DOCKER=true"];
    let reach = "reach\ttcp\tregistry.reemo.io\t443\tsilent\n";
    platform.machine.state().recorded.insert("reach".into(), reach.into());
    for check in [true, false] {
        let heard = platform.run(&extra, Ask { check, ..ask(&[]) }).await;
        assert_eq!(heard.exit, exit::REFUSED);
        let found = said_before(&heard);
        assert!(found.iter().any(|f| f.check == "sources" && f.state == State::Problem), "{found:#?}");
        assert!(found.iter().all(|f| f.state > State::Unknown), "{found:#?}");
        let said = failure(&heard);
        for piece in ["preflight: 1 problem", "registry.reemo.io:443 cannot be reached", "--ignore-preflight sources"] {
            assert!(said.contains(piece), "{piece}: {said}");
        }
    }
    assert_eq!(platform.changes(), Vec::<String>::new());

    let mut knows_better = ask(&[]);
    knows_better.options.ignore_preflight = vec!["sources".into()];
    let heard = platform.run(&extra, knows_better).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(said_before(&heard).iter().any(|f| f.state == State::Problem), "it is said all the same");

    let heard = platform.apply(&["INSTALL_DOCKER=true"], &[]).await;
    assert_eq!((heard.exit, said_before(&heard)), (exit::OK, vec![]), "nodes are not looked around again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_with_a_proxy_of_its_own_goes_its_own_way() {
    let platform = Platform::new(support::swarm::Swarm::bare());
    platform.swarm.state().proxy = "http://proxy.example:3128".into();
    let reach = "reach\ttcp\tregistry.reemo.io\t443\tsilent\n";
    platform.machine.state().recorded.insert("reach".into(), reach.into());
    let rows = rows(&platform, &[], None).await;
    let (state, found) = of(&rows, "sources")[0];
    assert!(state == State::Unknown && found.contains("proxy of its own"), "{found}");
}
