//! What happens to the way in.

use std::fs;

use super::{NAMES, Suite};

const SECOND: &str = NAMES[1];

/// A run with something to do while the second host is out of reach changes nothing.
fn not_reached(suite: &Suite, fault: &str, heal: &str, says: &str) -> String {
    let before = suite.versions();
    suite.sh(SECOND, fault);
    let ran = suite.changed("reemo_apicronlog", &[("FAULT", "ssh")]).run(&["apply"]);
    suite.sh(SECOND, heal);
    let ran = ran.ends_with(4).says("UNREACHABLE").says(SECOND).says(says);
    assert_eq!(suite.versions(), before, "nothing was changed");
    let took = ran.took.as_secs();
    format!("4 after {took} s, nothing changed: `{says}`")
}

pub fn refuses(suite: &Suite) -> String {
    not_reached(suite, "systemctl stop ssh", "systemctl start ssh", "refused")
}

pub fn silent(suite: &Suite) -> String {
    not_reached(suite, "pkill -STOP -o -x sshd", "pkill -CONT -o -x sshd", "did not answer")
}

pub fn hangs(suite: &Suite) -> String {
    let hang = "echo 'ForceCommand sleep 1000' >/etc/ssh/sshd_config.d/fault.conf && systemctl reload ssh";
    let heal = "rm /etc/ssh/sshd_config.d/fault.conf && systemctl reload ssh; pkill -x sleep; true";
    not_reached(suite, hang, heal, "lets us in and then says nothing")
}

pub fn dies(suite: &Suite) -> String {
    let run = suite.changed("reemo_api", &[("FAULT", "dies")]).start(&["apply"]);
    suite.until_updating(NAMES[0], "reemo_api");
    // The sessions and not the listener.
    for host in NAMES {
        suite.sh(host, "pkill -KILL -f '^sshd: root' || true");
    }
    let ran = run.end();
    assert!([0, 2, 4, 6].contains(&ran.code), "{}", ran.text());
    let code = ran.code;
    if code != 0 {
        ran.says("next:");
    }
    format!("all sessions killed: {code}, then `apply`: 0")
}

pub fn sudo(suite: &Suite) -> String {
    for host in NAMES {
        suite.sh(
            host,
            "id ops >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --groups sudo ops
             echo ops:of-nobody-else | chpasswd
             install -d -m 700 -o ops -g ops ~ops/.ssh && install -m 600 -o ops -g ops ~/.ssh/authorized_keys ~ops/.ssh/",
        );
    }
    let text = fs::read_to_string(&suite.tool().inventory).expect("the inventory");
    let text = text.replace("ansible_user: root", "ansible_user: ops\n    ansible_become: true");
    let tool = suite.tool().with_inventory("sudo.yml", &text);
    tool.run(&["apply"]).ends_with(4).says("may not become root").says("sudo: a password is required").says("-K");
    let word = text.replace("ansible_become: true", "ansible_become: true\n    ansible_become_password: of-somebody");
    let tool = suite.tool().with_inventory("sudo.yml", &word);
    tool.run(&["apply"]).ends_with(4).says("sudo does not accept the password of ops").does_not_say("of-somebody");
    for host in NAMES {
        suite.sh(host, "pkill -u ops; userdel --remove ops 2>/dev/null; true");
    }
    "4: `sudo: a password is required`, use -K; a wrong one: 4".into()
}

pub fn other_key(suite: &Suite) -> String {
    let fault = "cd /etc/ssh && mkdir kept && mv ssh_host_* kept/ && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key \
                 && systemctl restart ssh";
    let heal = "cd /etc/ssh && mv -f kept/* . && rmdir kept && systemctl restart ssh";
    not_reached(suite, fault, heal, "has changed")
}

pub fn noise(suite: &Suite) -> String {
    let talk = "cp -a ~/.bashrc /root/.bashrc.kept 2>/dev/null; printf '%s\n' \
         'head -c 1000000 /dev/zero | tr \"\\0\" x; printf \"\\377\\376\\300 hello\\n\"' \
         'head -c 1000000 /dev/zero | tr \"\\0\" y >&2; printf \"\\377\\376 hello\\n\" >&2' >/root/.bashrc.new
         mv /root/.bashrc.new /root/.bashrc; printf 'only on Tuesdays\\n' >/etc/motd
         test \"$(bash -c '. /root/.bashrc' 2>/dev/null | wc -c)\" -gt 1000000";
    suite.sh(SECOND, talk);
    let ran = suite.tool().run(&["plan", "--detailed-exitcode"]);
    let heal = "rm -f /root/.bashrc /etc/motd; mv /root/.bashrc.kept /root/.bashrc 2>/dev/null; true";
    suite.sh(SECOND, heal);
    ran.ends_with(0);
    "read past it: 0, no changes".into()
}
