//! Releases that do not work, in ways a health check does not see.

use super::{NAMES, Suite};
use crate::command::docker;

pub fn crashes(suite: &Suite) -> String {
    let ran = suite.changed("reemo_portal", &[("REEMO_CRASH_AFTER_SECONDS", "6")]).run(&["apply"]);
    ran.ends_with(6).says("reemo_portal").says("crashes on purpose").says("still serving:").says("next:");
    "6: the old release serves; the container's last words are shown".into()
}

pub fn answers_errors(suite: &Suite) -> String {
    let ran = suite.changed("reemo_prorelayapi", &[("REEMO_ANSWER_ERRORS", "1")]).run(&["apply"]);
    ran.ends_with(6).says("health tree is not OK").says("still serving:").says("next:");
    "6: the health tree is not OK, what was changed is put back".into()
}

/// Two services are updated, the second does not come up, and the first one's old image is gone from everywhere.
pub fn no_way_back(suite: &Suite) -> String {
    let registry = suite.site.fleet.registry();
    let extra = "DOCKER_VERSION_PROAPI=2.14.0 DOCKER_VERSION_PORTAL=2.14.0-broken";
    let run = suite.tool().start(&["apply", "-e", extra]);
    suite.until_updating(NAMES[0], "reemo_portal");
    docker(&["stop", "-t", "1", &registry]);
    for host in NAMES {
        suite.sh(host, "docker image ls -q --filter reference='*/reemoinfraproapi' | sort -u | xargs docker image rm -f 2>/dev/null; true");
    }
    let ran = run.end();
    docker(&["start", &registry]);
    ran.ends_with(2).says("reemo_proapi").says("next:").does_not_say("the old release serves");
    "2: it is said that not all of the old release serves".into()
}

pub fn other_keys(suite: &Suite) -> String {
    let services = ["reemo_api", "reemo_portal"];
    let shown = || services.map(|s| suite.site.file_of(suite.host(NAMES[0]), s, "/run/secrets/tls.crt"));
    let before = shown();
    suite.tool().run(&["certs", "rotate", services[0], services[1]]).ends_with(0).says("set aside");
    suite.tool().run(&["apply"]).ends_with(0);
    let after = shown();
    assert!(before.iter().zip(&after).all(|(b, a)| a.starts_with("-----BEGIN") && a != b), "{after:?}");
    "`certs rotate`, `apply`: 0, both have others".into()
}
