//! The other shapes of a platform, each on bare hosts of its own: what an operator types, and what is there then.

pub mod adoption;
pub mod apis;
pub mod back;
pub mod database;
pub mod external;
pub mod farms;
mod on_server;
pub mod one;
mod outside;
pub mod split;
pub mod storage;
pub mod supply;
pub mod trust;

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::fleet::{Fleet, Host};
use crate::story::say;
use crate::swarm;
use crate::tool::{Ran, Tool};
use crate::web;

/// `{"licence": "topologies"}`
const LICENCE: &str = "eyJsaWNlbmNlIjogInRvcG9sb2dpZXMifQ==";
/// What an operator types on bare hosts.
pub const FIRST: [&str; 3] = ["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"];

/// Where a topology plays.
pub struct Site {
    /// The hosts.
    pub fleet: Fleet,
    /// The program, with its inventory.
    pub tool: Tool,
    began: Instant,
}

impl Site {
    /// Bare hosts of these names, and an inventory: what stands below `all: vars:` beside the usual, and the groups.
    /// `ADDRESS(name)` becomes the host's address.
    pub fn raise(fleet: &str, hosts: &[&str], groups: &str) -> Site {
        Site::raise_again(fleet, hosts, groups, std::env::var_os("REEMO_E2E_AGAIN").is_some())
    }

    /// The same; `again`: on the hosts that an earlier run kept.
    pub fn raise_again(fleet: &str, hosts: &[&str], groups: &str, again: bool) -> Site {
        Site::with_options(fleet, hosts, &[], groups, again)
    }

    /// The same, with options of `fleet up`: `--shared DIR`, `--kind KIND`.
    pub fn with_options(fleet: &str, hosts: &[&str], options: &[&str], groups: &str, again: bool) -> Site {
        let began = Instant::now();
        let fleet = Fleet::with_options(fleet, hosts, options, again);
        let tool = Tool::new(fleet.control());
        let site = Site { fleet, tool, began };
        site.write(groups);
        say(format!("{:7.1} s  {} bare hosts, a registry", began.elapsed().as_secs_f64(), hosts.len()));
        site
    }

    /// The licence in its inventory.
    pub fn licence(&self) -> &'static str {
        LICENCE
    }

    /// Writes the inventory anew.
    pub fn write(&self, groups: &str) {
        fs::create_dir_all(self.fleet.control()).expect("a folder");
        fs::write(&self.tool.inventory, self.text(groups)).expect("a file");
    }

    /// The inventory with these groups.
    pub fn text(&self, groups: &str) -> String {
        let mut text = format!(
            "all:
  vars:
    API_LICENSE: \"{LICENCE}\"
    REGISTRY_USERNAME: demo
    REGISTRY_PASSWORD: \"{}\"
    REGISTRY_CA_FILE: \"{{{{ inventory_dir }}}}/../registry-ca.crt\"
    DOCKER_VERSION_TRAEFIK: v3.7.15
    DOCKER_VERSION_MYSQL: 10.11-mariadb
    DOCKER_VERSION_HAPROXY: \"2.6\"
    DOCKER_VERSION_EXIM4: \"4.96\"
    DOCKER_VERSION_NGINX: \"1.22\"
    ansible_user: root
    ansible_ssh_private_key_file: \"{{{{ inventory_dir }}}}/../id_ed25519\"
    ansible_ssh_common_args: \"-o UserKnownHostsFile={{{{ inventory_dir }}}}/../known_hosts -o StrictHostKeyChecking=yes\"
{groups}",
            self.fleet.registry_password()
        );
        for host in &self.fleet.hosts {
            text = text.replace(&format!("ADDRESS({})", host.name), &host.address);
        }
        text = text.replace("SUBNET", &self.fleet.subnet());
        assert!(!text.contains("ADDRESS("), "{text}");
        text
    }

    /// One step, with the time it took.
    pub fn step<T>(&self, title: &str, work: impl FnOnce(&Site) -> T) -> T {
        let began = Instant::now();
        say(format!("           {title} …"));
        let result = work(self);
        say(format!("{:7.1} s  {title}", began.elapsed().as_secs_f64()));
        result
    }

    /// Says how long all of it took.
    pub fn done(&self) {
        say(format!("{:7.1} s  in all", self.began.elapsed().as_secs_f64()));
    }

    /// From bare hosts to a platform.
    pub fn install(&self) -> Ran {
        let ran = self.tool.run(&FIRST).ends_with(0);
        let recap = ran.recap();
        assert_eq!(recap.len(), self.fleet.hosts.len(), "{}", ran.text());
        assert!(recap.values().all(|f| f["changed"] > 0 && f["failed"] == 0), "every host was bare: {recap:?}");
        ran
    }

    /// A second run changes nothing anywhere.
    pub fn settled(&self) {
        let ran = self.tool.run(&["apply"]).ends_with(0);
        let changed: Vec<_> = ran.recap().into_iter().filter(|(_, f)| f["changed"] != 0).collect();
        assert!(changed.is_empty(), "{changed:?} in\n{}", ran.text());
    }

    /// The services of the Swarm a host belongs to are these, all their copies running.
    pub fn runs(&self, host: &str, services: &[(&str, u64, u64)]) {
        let expected: BTreeMap<String, (u64, u64)> =
            services.iter().map(|(name, running, wanted)| ((*name).to_owned(), (*running, *wanted))).collect();
        assert_eq!(swarm::replicas(&self.fleet, self.fleet.host(host)), expected, "on {host}");
    }

    /// The health tree through a host, asked for by this name.
    pub fn health(&self, host: &str, name: &str) -> Value {
        let answer = web::get(&self.fleet.host(host).address, 443, name, "/api/healthcheck");
        serde_json::from_str(&answer.body)
            .unwrap_or_else(|e| panic!("{host}: the health tree (HTTP {}): {e}: {}", answer.status, answer.body))
    }

    /// When a service was made, as Docker writes it; such times sort as text.
    pub fn made(&self, host: &str, service: &str) -> String {
        let ask = format!("docker service inspect -f '{{{{json .CreatedAt}}}}' {service}");
        self.fleet.sh(self.fleet.host(host), &ask).trim().trim_matches('"').to_owned()
    }

    /// A file of a service's container under /run/secrets, or of another folder.
    pub fn file_of(&self, host: &Host, service: &str, path: &str) -> String {
        self.fleet.sh(host, &format!("{}cat /proc/$pid/root{path}", swarm::pid_of(service)))
    }

    /// Puts the certificate of a service where this machine's curl finds it, as its administrator could.
    pub fn certificate_of(&self, host: &str, service: &str) -> Vec<String> {
        let folder = self.fleet.control().join(format!("as-{service}"));
        fs::create_dir_all(&folder).expect("a folder");
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            let text = self.file_of(self.fleet.host(host), service, &format!("/run/secrets/{name}"));
            fs::write(folder.join(name), text).expect("a file");
        }
        let path = |name: &str| folder.join(name).display().to_string();
        ["--cert", &path("tls.crt"), "--key", &path("tls.key"), "--cacert", &path("ca.crt")].map(str::to_owned).to_vec()
    }

    /// Is somebody listening there, seen from a host?
    pub fn open(&self, from: &str, to: &str, port: u16) -> bool {
        let address = &self.fleet.host(to).address;
        let script = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'");
        self.fleet.try_sh(self.fleet.host(from), &script, "").success()
    }
}
