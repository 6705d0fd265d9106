//! Bare hosts with a registry, raised for a test and taken away after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Ended};

/// One host.
#[derive(Clone)]
pub struct Host {
    /// The fleet it belongs to.
    pub fleet: String,
    /// 1, 2, 3.
    pub number: usize,
    /// Its name in the inventory.
    pub name: String,
    /// Its address.
    pub address: String,
    /// It is a machine with a kernel of its own, in its container.
    pub machine: bool,
}

/// The hosts, as long as this value lives.
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// All hosts, in order.
    pub hosts: Vec<Host>,
    /// Where the fleet's files are.
    pub state: PathBuf,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True if the hosts are to stay up.
fn keeps() -> bool {
    std::env::var_os("REEMO_KEEP_FLEET").is_some_and(|v| v == "1")
}

/// A script of the project; panics with its words if it fails.
pub fn script(path: &str, args: &[&str], env: &[(&str, &str)], limit: u64) -> String {
    let mut command = Command::new(project().join(path));
    command.args(args).envs(env.iter().copied());
    let ended = command::run(command, "", Duration::from_secs(limit));
    assert!(ended.success(), "{path} {}: {}{}", args.join(" "), ended.err, ended.out);
    ended.out
}

impl Host {
    /// The container it is.
    pub fn container(&self) -> String {
        format!("fleet-{}-{}", self.fleet, self.number)
    }
}

impl Fleet {
    /// Raises the demo's three hosts. The name is that of their folder, network and containers. `again`: it goes on
    /// with those that an earlier run kept; else it begins with bare ones.
    pub fn raise(name: &str, again: bool) -> Fleet {
        let fleet = Fleet::of(name, &["infra_manager1", "infra_manager2", "infra_manager3"], again);
        script("examples/demo/elsewhere", &["up", name], &[], 300);
        fleet
    }

    /// Raises bare hosts with these names in the inventory, and a registry.
    pub fn of(name: &str, hosts: &[&str], again: bool) -> Fleet {
        Fleet::with_options(name, hosts, &[], again)
    }

    /// The same, with options of `fleet up`: `--shared DIR`, `--kind KIND`.
    pub fn with_options(name: &str, hosts: &[&str], options: &[&str], again: bool) -> Fleet {
        let state = project().join(".fleet").join(name);
        script("tests/fleet/prepare", &[], &[], 600);
        if !again {
            script("tests/fleet/fleet", &["down", name], &[], 120);
        }
        // From here on the fleet is taken down again, whatever happens.
        let mut fleet = Fleet { name: name.to_owned(), hosts: vec![], state };
        let count = hosts.len().to_string();
        let up: Vec<&str> = ["up", name, &count].into_iter().chain(options.iter().copied()).collect();
        script("tests/fleet/fleet", &up, &[], 900);
        let password = fleet.registry_password();
        let login = [("REGISTRY_PASSWORD", password.as_str())];
        script("examples/demo/registry", &["up", name], &login, 900);
        let list = script("tests/fleet/fleet", &["address", name], &[], 10);
        for line in list.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number: usize = words[0].parse().expect("a number");
            let known_as = hosts[number - 1].to_owned();
            let address = words[2].to_owned();
            let machine = words[4] == "vm";
            fleet.hosts.push(Host { fleet: name.to_owned(), number, name: known_as, address, machine });
        }
        assert_eq!(fleet.hosts.len(), hosts.len(), "{list}");
        fleet
    }

    /// A fleet of that name was kept.
    pub fn is_up(name: &str) -> bool {
        project().join(".fleet").join(name).join("hosts").exists()
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|h| h.name == name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The first three numbers of every address.
    pub fn subnet(&self) -> String {
        self.hosts[0].address.rsplit_once('.').expect("an address").0.to_owned()
    }

    /// A password nobody else has, so that finding it anywhere means that it leaked. Made with the fleet.
    pub fn registry_password(&self) -> String {
        let file = self.control().join("registry-password");
        if let Ok(known) = fs::read_to_string(&file) {
            return known;
        }
        let made = format!("e2e-{:032x}", rand::random::<u128>());
        fs::create_dir_all(self.control()).expect("a folder");
        fs::write(&file, &made).expect("a file");
        made
    }

    /// The container of its registry.
    pub fn registry(&self) -> String {
        format!("fleet-{}-registry", self.name)
    }

    /// What stands for the operator's machine: inventory, home, state, certificates.
    pub fn control(&self) -> PathBuf {
        self.state.join("control")
    }

    /// Runs a shell script on a host as root, from outside it: also while its sshd or its engine is
    /// down, unless it is a machine of its own.
    pub fn try_sh(&self, host: &Host, script: &str, stdin: &str) -> Ended {
        let mut command;
        if host.machine {
            command = Command::new(project().join("tests/fleet/fleet"));
            command.args(["ssh", &self.name, &host.number.to_string(), script]);
        } else {
            command = Command::new("docker");
            command.args(["exec", "-i", &host.container(), "sh", "-c", script]);
        }
        command::run(command, stdin, Duration::from_secs(120))
    }

    /// The same, and it has to succeed; returns what it printed.
    pub fn sh(&self, host: &Host, script: &str) -> String {
        let ended = self.try_sh(host, script, "");
        assert!(ended.success(), "{}: `{script}` ended with code {}: {}", host.name, ended.code, ended.err);
        ended.out
    }

    /// The same on all hosts at once; in their order.
    pub fn each<T: Send>(&self, work: impl Fn(&Host) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let work = &work;
            let jobs: Vec<_> = self.hosts.iter().map(|h| scope.spawn(move || work(h))).collect();
            jobs.into_iter().map(|j| j.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
        })
    }

    /// Pulls the plug.
    pub fn kill(&self, host: &Host) {
        script("tests/fleet/fleet", &["kill", &self.name, &host.number.to_string()], &[], 60);
    }

    /// Switches it on again and waits until it has booted.
    pub fn start(&self, host: &Host) {
        script("tests/fleet/fleet", &["start", &self.name, &host.number.to_string()], &[], 180);
    }

    /// Gives the places that the platform calls their certificates, as soon as there are some: beside the first apply.
    pub fn certify_elsewhere(&self) -> command::Beside {
        let mut command = Command::new(project().join("examples/demo/elsewhere"));
        command.args(["certify", &self.name]);
        command::Beside(command.spawn().expect("elsewhere certify"))
    }

    /// The demo's inventory with this fleet's addresses, keys and login, and a licence of its own.
    pub fn inventory(&self, licence: &str) -> String {
        let demo = fs::read_to_string(project().join("inventories/demo.yml")).expect("the demo's inventory");
        let subnet = self.subnet();
        let swap = |text: String, old: &str, new: &str| {
            assert!(text.contains(old), "the demo's inventory no longer holds `{old}`");
            text.replace(old, new)
        };
        let text = swap(demo, "172.31.10.", &format!("{subnet}."));
        let text = swap(text, "{{ inventory_dir }}/../.fleet/demo/", "{{ inventory_dir }}/../");
        let text = swap(text, "demo-pull-only", &self.registry_password());
        let line = |l: &str| l.trim_start().starts_with("API_LICENSE:");
        assert_eq!(text.lines().filter(|l| line(l)).count(), 1);
        text.lines()
            .map(|l| if line(l) { format!("    API_LICENSE: \"{licence}\"\n") } else { format!("{l}\n") })
            .collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !keeps() {
            let mut down = Command::new(project().join("tests/fleet/fleet"));
            down.args(["down", &self.name]);
            let _ = down.output();
        }
    }
}
