//! The gate before a volume of ours is mounted over what a host has already, on three simulated hosts.

mod support;

use std::path::Path;

use reemo_infra::engine::apply::{Ask, exit};
use reemo_infra::engine::graph;
use reemo_infra::engine::run::Options;
use reemo_transport::fake::Net;
use support::Heard;
use support::machine::{Entry, Machine};
use support::platform::failure;

/// A plan of the example with a volume; `arrange` is given each host's name.
async fn plan(arrange: impl Fn(&str, &Machine)) -> Heard {
    let net = Net::new();
    let inventory = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/gluster.yml");
    let site = support::site(&inventory, &["INSTALL_DOCKER=true".to_owned(), "INIT_DB=true".to_owned()], &net);
    let mut machines = Vec::new();
    for host in site.hosts.values() {
        let machine = Machine::debian();
        arrange(&host.target.name, &machine);
        support::serve(&net, &host.target.address, &machine);
        machines.push(machine);
    }
    let graph = graph::compile(&site).unwrap();
    let options = Options { forks: 50, ..Options::default() };
    let heard =
        support::run(&site, graph, &net, &Ask { check: true, again: "plan".into(), options, ..Ask::default() }).await;
    assert!(machines.iter().all(|m| m.state().unknown.is_empty() && m.state().commands.is_empty()));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_the_volume_would_hide_is_refused() {
    let heard = plan(|_, _| {}).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let heard = plan(|name, machine| {
        if name == "infra_manager2" {
            let file = Entry { mode: 0o640, owner: "999:999".into(), content: Some(b"pages".to_vec()) };
            let folder = Entry { mode: 0o750, owner: "999:999".into(), content: None };
            let files = [("/opt/reemo", &folder), ("/opt/reemo/mysql", &folder), ("/opt/reemo/mysql/ibdata1", &file)];
            machine.state().files.extend(files.map(|(path, entry)| (path.to_owned(), entry.clone())));
        }
    })
    .await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::REFUSED, "{said}");
    assert!(
        said.contains("infra_manager2: /opt/reemo holds a database") && said.contains("restore the dump"),
        "{said}"
    );
}
