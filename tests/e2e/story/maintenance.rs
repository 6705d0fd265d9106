//! The maintenance page: for users only, at once, on every node, and until it is lifted.

use super::Stage;
use crate::{swarm, web};

/// Step 11.
pub fn page_for_users_only(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let tasks = swarm::running_tasks(fleet, &fleet.hosts[0]);
    shows_portal(stage);

    tool.run(&["maintenance", "on"]).ends_with(0).none("failed");
    shows_page(stage);
    tool.run(&["maintenance", "on"]).ends_with(0).none("changed");
    // Nobody who only installs an update means to open the doors.
    tool.run(&["apply"]).ends_with(0).none("changed");
    shows_page(stage);
    tool.run(&["maintenance", "off"]).ends_with(0).none("failed");
    shows_portal(stage);

    // The way people know it.
    tool.run(&["apply", "--tags", "maintenance", "--extra-vars", "MAINTENANCE_ENABLE=true"]).ends_with(0);
    shows_page(stage);
    tool.run(&["apply", "--tags", "maintenance", "--extra-vars", "MAINTENANCE_ENABLE=false"]).ends_with(0);
    shows_portal(stage);
    assert_eq!(swarm::running_tasks(fleet, &fleet.hosts[0]), tasks, "no copy was restarted");
}

/// Users get the page, everybody else what they are used to, whichever node is asked.
fn shows_page(stage: &Stage) {
    for host in &stage.fleet.hosts {
        let page = settled(|| web::portal(&host.address), |a| a.status == 503);
        assert_eq!(page.status, 503, "{}: {}", host.name, page.body);
        assert!(page.headers.contains("retry-after: 120"), "{}", page.headers);
        assert!(page.body.contains("<html"), "{}", page.body);
        others_work(&host.address);
    }
}

fn shows_portal(stage: &Stage) {
    for host in &stage.fleet.hosts {
        let page = settled(|| web::portal(&host.address), |a| a.status == 200);
        assert_eq!(page.status, 200, "{}: {}", host.name, page.body);
        others_work(&host.address);
    }
}

/// Administrators, agents, supervision.
fn others_work(address: &str) {
    assert_eq!(
        web::get(address, 443, "admin.reemo.test", "/").status,
        200,
        "the administrators' portal through {address}"
    );
    assert_eq!(web::get(address, 8443, "agents.reemo.test", "/").status, 200, "the agents' entry through {address}");
    assert_eq!(web::health(address)["status"], "OK");
}

/// Traefik takes a changed file into account half a second later; this waits up to ten times as long.
fn settled(ask: impl Fn() -> web::Answer, good: impl Fn(&web::Answer) -> bool) -> web::Answer {
    for _ in 0..50 {
        let answer = ask();
        if good(&answer) {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    ask()
}
