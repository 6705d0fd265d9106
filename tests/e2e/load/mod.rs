//! Updates under load: every tag of the vendor's document to a new release on a platform of three servers, while users
//! and agents ask for things all the time. It ends with a table; `docs/performance.md` has one.
//!
//! `REEMO_LOAD_TAGS=db,api` measures only these (and leaves out what needs all of them).

mod gap;
pub mod generator;

use std::time::Duration;

use generator::{Generator, Heard, Running};

use crate::story::say;
use crate::topology::Site;

/// Everything is on that an update could touch.
const GROUPS: &str = r#"    HEALTHCHECK_ENABLE: "true"
    API_MAIL_ACTIVE: "true"
    EXIM_SMARTHOST: "mail.reemo.test::25"
    PROCLOUDAPI_ENABLE: "true"
infra_manager:
  vars:
    DB_STORAGE: "local"
    PORTALADMIN_URL: "admin.reemo.test"
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
    infra2: {ansible_host: "ADDRESS(infra2)"}
    infra3: {ansible_host: "ADDRESS(infra3)"}
"#;

const NODES: [&str; 3] = ["infra1", "infra2", "infra3"];

/// The tags of the vendor's document, in an order that its rule allows: db, api, the others, portal last. For each the
/// variable of its release and what the new one is. `portaladmin` is ours, and the last of all.
const TAGS: [(&str, &str); 16] = [
    ("db", "DB=2.14.0"),
    ("api", "API=2.14.0"),
    ("apicron", "APICRON=2.14.0"),
    ("apicronlog", "APICRONLOG=2.14.0"),
    ("apicronldap", "APICRONLDAP=2.14.0"),
    ("apicroncloud", "APICRONCLOUD=2.14.0"),
    ("signal", "SIGNAL=2.14.0"),
    ("proapi", "PROAPI=2.14.0"),
    ("prorelayapi", "PRORELAYAPI=2.14.0"),
    ("procloudapi", "PROCLOUDAPI=2.14.0"),
    ("exim4", "EXIM4=4.96-2"),
    ("maintenance", "HAPROXY=2.6-2"),
    ("mysql", "MYSQL=10.11-mariadb-2"),
    ("traefik", "TRAEFIK=v3.7.15-2"),
    ("portal", "PORTAL=2.14.0"),
    ("portaladmin", "PORTAL=2.14.0"),
];

/// These may lose requests: the database is one, Traefik's ports belong to one copy a node, and maintenance is for it.
const MAY_LOSE: [&str; 3] = ["mysql", "traefik", "maintenance"];

/// The least the document's reader was promised: users' requests a second.
const LEAST: f64 = 50.0;

/// A row of the table.
struct Row {
    tag: String,
    heard: Heard,
}

/// The whole story.
pub fn tell() {
    let site = Site::raise("load", &["infra1", "infra2", "infra3", "outside"], GROUPS);
    let only = std::env::var("REEMO_LOAD_TAGS").ok();
    let generator = site.step("a load generator on a host beside the platform", |_| {
        Generator::on(&site.fleet, site.fleet.host("outside"), &NODES)
    });
    site.step("apply: three bare hosts become a platform", |s| {
        s.tool.run(&crate::topology::FIRST).ends_with(0).none("failed");
    });

    let all: Vec<String> = TAGS.iter().map(|(_, v)| format!("DOCKER_VERSION_{v}")).collect();
    let all = all.join(" ");
    let mut load = Load { site: &site, generator: &generator, running: generator.start(0), number: 0, rows: vec![] };
    load.pause();
    load.turn("(nothing)");
    if only.is_none() {
        site.tool.run(&["apply", "-t", "portal", "-e", &all]).ends_with(8).says("--tags db").none("changed");
        load.turn("(refused)");
    }
    for (tag, _) in TAGS {
        if only.as_ref().is_none_or(|o| o.split(',').any(|t| t == tag)) {
            load.update(tag, &all);
        }
    }
    std::thread::sleep(Duration::from_secs(30));
    load.turn("(30 s after)");
    if only.is_none() {
        site.tool.run(&["plan", "--detailed-exitcode", "-e", &all]).ends_with(0);
        load.turn("(plan)");
    }
    let rows = load.end();
    for line in table(&rows) {
        say(line);
    }
    zero(&rows);
    if only.as_ref().is_none_or(|o| o.split(',').any(|t| t == "undrained")) {
        site.step("once more, with portals that end at once when they are told to stop", |s| {
            undrained(s, &generator, &all);
        });
    }
    site.done();
}

struct Load<'a> {
    site: &'a Site,
    generator: &'a Generator<'a>,
    running: Running,
    number: u32,
    rows: Vec<Row>,
}

impl Load<'_> {
    /// The requests that were made so far are counted to `tag`. Others begin before they end: there is no pause.
    fn turn(&mut self, tag: &str) {
        self.number += 1;
        let next = self.generator.start(self.number);
        let heard = self.generator.stop(&self.running);
        self.running = next;
        say(line(tag, &heard));
        self.rows.push(Row { tag: tag.to_owned(), heard });
    }

    fn pause(&self) {
        std::thread::sleep(Duration::from_secs(5));
    }

    fn update(&mut self, tag: &str, all: &str) {
        let hosts = NODES.map(|n| (n.to_owned(), self.site.fleet.host(n).address.clone()));
        let watch = (tag == "traefik").then(|| gap::Watch::start(&hosts));
        let ran = self.site.tool.run(&["apply", "-t", tag, "-e", all]).ends_with(0).none("failed");
        let changed: u32 = ran.recap().values().map(|f| f["changed"]).sum();
        assert!(changed > 0, "--tags {tag} updated nothing:\n{}", ran.text());
        // What follows a replaced copy belongs to its update.
        self.pause();
        self.turn(tag);
        let Some((nodes, browser)) = watch.map(gap::Watch::stop) else { return };
        for (node, failed, gap) in nodes {
            say(format!("           {node} alone: {failed} requests failed, gone for {:.1} s", gap.as_secs_f64()));
            assert!(failed > 0, "Traefik of {node} was replaced, and nobody noticed: the watch does not work");
        }
        say(format!("           browsers, which know all addresses: {browser:?}"));
        assert!(browser.requests >= 50 && browser.lost == 0, "{browser:?}");
    }

    fn end(mut self) -> Vec<Row> {
        let heard = self.generator.stop(&self.running);
        self.rows.push(Row { tag: "(the end)".into(), heard });
        self.rows
    }
}

fn line(tag: &str, heard: &Heard) -> String {
    let Heard { users, agents, seconds } = heard;
    let mut text = format!(
        "| {tag} | {} | {} | {} | {} | {seconds:.0} |",
        users.requests, users.failed, agents.requests, agents.failed
    );
    for why in users.why.iter().chain(&agents.why) {
        text += &format!("\n           {why}");
    }
    text
}

fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![
        "| tag | requests of users, 443 | failed | requests of agents, 8443 | failed | seconds |".to_owned(),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(rows.iter().map(|row| line(&row.tag, &row.heard)));
    lines
}

/// Nobody's request failed, but where that is allowed; and there were enough of them.
fn zero(rows: &[Row]) {
    let (asked, seconds) =
        rows.iter().fold((0, 0.0), |(a, s), row| (a + row.heard.users.requests, s + row.heard.seconds));
    say(format!("           {:.1} requests of users a second", asked as f64 / seconds));
    let lost: Vec<&Row> = rows
        .iter()
        .filter(|row| row.heard.users.failed + row.heard.agents.failed > 0 && !MAY_LOSE.contains(&row.tag.as_str()))
        .collect();
    assert!(lost.is_empty(), "requests failed:\n{}", lost.iter().map(|r| line(&r.tag, &r.heard)).collect::<String>());
    assert!(asked as f64 / seconds >= LEAST, "only {asked} requests in {seconds:.0} s");
}

/// What it costs where an image does not drain. Reported: how many it is depends on the moment.
fn undrained(site: &Site, generator: &Generator<'_>, all: &str) {
    const DIES: &str = r#"{"SERVICE_OPTIONS": {"reemo_portal": {"extra_env": {"REEMO_DIE_ON_TERM": "true"}}}}"#;
    site.tool.run(&["apply", "-t", "portal", "-e", all, "-e", DIES]).ends_with(0).none("failed");
    let running = generator.start(1000);
    std::thread::sleep(Duration::from_secs(3));
    let next = format!("{all} DOCKER_VERSION_PORTAL=2.12.6");
    site.tool.run(&["apply", "-t", "portal", "-e", &next, "-e", DIES]).ends_with(0).none("failed");
    std::thread::sleep(Duration::from_secs(5));
    say(line("portal, no drain", &generator.stop(&running)));
}
