//! What happens to the network.

use super::{NAMES, Suite};

/// The third host hears and reaches nobody of the others; its sshd is as before.
pub fn between(suite: &Suite) -> String {
    let third = NAMES[2];
    let others: Vec<&str> = NAMES[..2].iter().map(|n| suite.host(n).address.as_str()).collect();
    let rules = |verb: &str| {
        let lines = others
            .iter()
            .map(|a| format!("iptables {verb} INPUT -s {a} -j DROP; iptables {verb} OUTPUT -d {a} -j DROP"));
        lines.collect::<Vec<_>>().join("\n")
    };
    suite.sh(third, &rules("-I"));
    suite.until(NAMES[0], "docker node ls --format '{{.Hostname}} {{.Status}}'", "Down");
    let ran = suite.changed("reemo_apicronlog", &[("FAULT", "between")]).run(&["apply"]);
    suite.sh(third, &rules("-D"));
    suite.gathered();
    ran.ends_with(8).says("infra_manager3 is a manager that has no contact with the others of its Swarm");
    "8: the host that has no contact with the others is named, and the ports".into()
}

/// Nothing comes in on port 22 of the second host any more, not even to what is open.
pub fn ssh(suite: &Suite) -> String {
    let run = suite.changed("reemo_api", &[("FAULT", "ssh")]).start(&["apply"]);
    suite.until_updating(NAMES[0], "reemo_api");
    suite.sh(NAMES[1], "iptables -I INPUT -p tcp --dport 22 -j DROP");
    let ran = run.end();
    suite.sh(NAMES[1], "iptables -D INPUT -p tcp --dport 22 -j DROP");
    let (code, took) = (ran.code, ran.took.as_secs());
    assert!([0, 2, 4, 6].contains(&code), "{}", ran.text());
    if code != 0 {
        ran.says("next:");
    }
    format!("{code} after {took} s, then `apply`: 0")
}
