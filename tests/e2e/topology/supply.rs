//! The ways images come to a site: a bundle, made on a machine that reaches the registry and has no engine, and taken to
//! hosts that reach nothing; a mirror; a proxy. The host `bridge` is that machine, and later the proxy's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Site;
use crate::command;
use crate::story::say;
use crate::swarm;
use crate::web;

const GROUPS: &str = r#"    HEALTHCHECK_ENABLE: "true"
MODE
infra_manager:
  vars:
    PORTAL_URL: "portal.reemo.test"
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

/// The second registry's name.
const MIRROR: &str = "mirror.reemo.test";
/// The proxy's password, in no other file than those that need it.
const PASSWORD: &str = "of-the-proxy-4711";

/// Names of the services that run without a break; the schema job ends by itself.
const SERVICES: usize = 16;

fn groups(mode: &[(&str, &str)]) -> String {
    let lines: Vec<String> = mode.iter().map(|(key, value)| format!("    {key}: \"{value}\"")).collect();
    GROUPS.replace("MODE", &lines.join("\n"))
}

fn offline() -> String {
    groups(&[("IMAGE_MODE", "offline"), ("IMAGE_BUNDLE", "{{ inventory_dir }}/bundle.tar")])
}

/// The whole story.
pub fn tell() {
    let site = Site::raise("supply", &["infra1", "bridge"], &groups(&[]));
    site.step("the engine's packages, fetched on a host of the same kind", packages);
    site.step("images save, on a machine without an engine", save);
    site.write(&offline());
    site.step("the site is cut off: nothing gets out, and what tries is counted", cut_off);
    site.step("bundles that were damaged or are of another release are refused", refused);
    site.step("images load is killed, and goes on where it was", resumed);
    site.step("apply: a whole platform out of one file", install);
    site.step("again: nothing to do; images list", settled);
    site.step("a container dies and an engine is restarted: nobody asks a registry", restarted);
    site.step("another release: only what differs is sent", updated);
    site.step("nothing has tried to get out; the control: something does", counted);
    site.step("images mirror, to a second registry", mirror);
    site.step("apply: from the mirror, and the first registry is gone", mirrored);
    site.step("a release through a proxy with a login", proxied);
    site.step("images prune", pruned);
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

fn docker(args: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(args);
    let ended = command::run(command, "", Duration::from_secs(300));
    assert!(ended.success(), "docker {}: {}", args.join(" "), ended.err);
    ended.out
}

/// What the last run wrote into its log, each line of what was done on the hosts too.
fn log(site: &Site) -> String {
    let runs = site.tool.state.join("reemo-infra/runs");
    let names = fs::read_dir(&runs).expect("its runs").map(|e| e.expect("a run").path());
    fs::read_to_string(names.max().expect("a run").join("run.log")).expect("a log")
}

fn on(site: &Site, host: &str, script: &str) -> String {
    site.fleet.sh(site.fleet.host(host), script)
}

fn bundle(site: &Site) -> PathBuf {
    site.tool.control.join("bundle.tar")
}

fn packages(site: &Site) {
    on(
        site,
        "bridge",
        "set -e; mkdir -p /root/debs/partial; apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends --download-only \
  -o Dir::Cache::archives=/root/debs docker.io iptables >/dev/null 2>&1
ls /root/debs/docker.io_*.deb",
    );
}

/// The program on the bridge, with the inventory and what belongs to it.
fn run_on_bridge(site: &Site, args: &str) -> String {
    on(site, "bridge", &format!("cd /root/control && HOME=/root ../reemo-infra {args} -i inventory.yml 2>&1"))
}

fn save(site: &Site) {
    let bridge = site.fleet.host("bridge").container();
    on(site, "bridge", "mkdir -p /root/control");
    docker(&["cp", env!("CARGO_BIN_EXE_reemo-infra"), &format!("{bridge}:/root/reemo-infra")]);
    for (from, to) in [
        (site.tool.inventory.clone(), "control/inventory.yml"),
        (site.fleet.state.join("registry-ca.crt"), "registry-ca.crt"),
    ] {
        docker(&["cp", &from.display().to_string(), &format!("{bridge}:/root/{to}")]);
    }
    assert!(
        !site.fleet.try_sh(site.fleet.host("bridge"), "command -v docker", "").success(),
        "the bridge has no engine"
    );
    let said = run_on_bridge(site, "images save --to bundle.tar --packages debian-12=/root/debs");
    assert!(said.contains("written and read back"), "{said}");
    assert!(!said.contains(&site.fleet.registry_password()));
    say(said.lines().last().unwrap_or_default().to_owned());
    docker(&["cp", &format!("{bridge}:/root/control/bundle.tar"), &bundle(site).display().to_string()]);
    // Another release of one image: the same software, in another image on the same layer.
    let said = run_on_bridge(site, "images save --to next.tar -e DOCKER_VERSION_HAPROXY=2.6-2");
    assert!(said.contains("written and read back"), "{said}");
    let next = site.tool.control.join("next.tar");
    docker(&["cp", &format!("{bridge}:/root/control/next.tar"), &next.display().to_string()]);
    // What is in it, another program reads too.
    let mut list = Command::new("tar");
    list.args(["-tf", &bundle(site).display().to_string()]);
    let list = command::run(list, "", Duration::from_secs(60)).out;
    assert!(
        list.starts_with("reemo.json\n") && list.contains("\noci-layout\n") && list.contains("docker.io_"),
        "{list}"
    );
}

/// New connections out of the host (its containers' too) end here; the operator's is one that came in.
const CUT: &str = "iptables -t mangle -I POSTROUTING -o eth0 -m conntrack --ctstate NEW -j DROP";

fn dropped(site: &Site) -> u64 {
    let rules = on(site, "infra1", "iptables -t mangle -nvxL POSTROUTING");
    let line = rules.lines().find(|l| l.contains("DROP")).unwrap_or_else(|| panic!("{rules}"));
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

fn tries(site: &Site) -> bool {
    let there = format!("{}.5", site.fleet.subnet());
    let script = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{there}/443'");
    site.fleet.try_sh(site.fleet.host("infra1"), &script, "").success()
}

fn cut_off(site: &Site) {
    assert!(tries(site), "the registry is in reach before");
    on(site, "infra1", CUT);
    assert!(!tries(site), "and not after");
    assert!(dropped(site) > 0, "what tried was counted");
    on(site, "infra1", "iptables -t mangle -Z POSTROUTING");
}

fn refused(site: &Site) {
    let whole = fs::read(bundle(site)).expect("the bundle");
    let with = |name: &str, bytes: &[u8]| {
        let path = site.tool.control.join(name);
        fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    };
    let mut turned = whole.clone();
    let middle = turned.len() / 2;
    turned[middle] ^= 1;
    let apply = |bundle: &str, more: &str| {
        let said = format!("INSTALL_DOCKER=true INIT_DB=true {more}");
        site.tool.run(&["apply", "-e", &said, "-e", &format!("IMAGE_BUNDLE={bundle}")])
    };
    apply(&with("turned.tar", &turned), "").ends_with(8).says("is damaged: the checksum of");
    apply(&with("cut.tar", &whole[..whole.len() - 100_000]), "").ends_with(3).says("is cut short");
    let whole = bundle(site).display().to_string();
    apply(&whole, "DOCKER_VERSION_API=2.14.0")
        .ends_with(3)
        .says("does not have registry.reemo.io/reemoinfraapi:2.14.0")
        .says("it has registry.reemo.io/reemoinfraapi:2.13.10");
    for name in ["turned.tar", "cut.tar"] {
        fs::remove_file(site.tool.control.join(name)).expect("it is there");
    }
    assert!(
        !site.fleet.try_sh(site.fleet.host("infra1"), "command -v docker || ls /var/lib/reemo-images", "").success(),
        "the host is bare"
    );
}

fn resumed(site: &Site) {
    let bundle = bundle(site).display().to_string();
    let load = ["images", "load", "--bundle", &bundle, "-e", "INSTALL_DOCKER=true"];
    let began = Instant::now();
    let running = site.tool.start(&load);
    let size = "cat /var/lib/reemo-images/*.tar 2>/dev/null | wc -c";
    // An image of some size is on its way.
    while on(site, "infra1", size).trim().parse::<u64>().unwrap_or(0) < 24_000_000 {
        assert!(began.elapsed() < Duration::from_secs(240), "no image is being sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.running.signal("KILL");
    assert_eq!(running.end().code, 128 + 9);
    std::thread::sleep(Duration::from_secs(2));
    let left: u64 = on(site, "infra1", size).trim().parse().expect("a number");
    if left == 0 {
        // It was whole a moment ago, and was loaded by what runs on to its end on the host.
        say("           (the image that was on its way had just arrived)".to_owned());
        site.tool.run(&load).ends_with(0);
        return;
    }
    site.tool.run(&load).ends_with(0);
    let log = log(site);
    let line = log.lines().find(|l| l.contains("bytes are here from an earlier run"));
    let line = line.unwrap_or_else(|| panic!("{left} bytes were there:\n{log}"));
    assert!(line.contains(&format!(": {left} of ")), "{left} bytes were there: {line}");
    say(line.rsplit('>').next().unwrap_or_default());
    assert_eq!(on(site, "infra1", "ls /var/lib/reemo-images/*.tar 2>/dev/null | wc -l").trim(), "0");
}

fn install(site: &Site) {
    site.tool.run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(0);
    let running = swarm::replicas(&site.fleet, site.fleet.host("infra1"));
    assert!(running.len() >= SERVICES - 3, "{running:?}");
    assert!(running.iter().all(|(name, (r, w))| name == "reemo_db" || r == w), "{running:?}");
    let images = on(
        site,
        "infra1",
        "docker service ls -q | xargs docker service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Image}} {{index .Spec.Labels \"io.reemo.image\"}}'",
    );
    for line in images.lines() {
        let (id, name) = line.split_once(' ').expect("two words");
        assert!(
            id.starts_with("sha256:") && name.starts_with("registry.reemo.io/reemoinfra") && name.contains("@sha256:"),
            "{line}"
        );
    }
    assert_eq!(site.health("infra1", "portal.reemo.test")["status"], "OK");
}

fn settled(site: &Site) {
    site.settled();
    let list = site.tool.run(&["images", "list", "--detailed-exitcode"]).ends_with(0);
    say(list.out.clone());
    site.tool.run(&["status"]).ends_with(0).says("registry.reemo.io/reemoinfraapi:2.13.10");
}

fn restarted(site: &Site) {
    let infra = site.fleet.host("infra1");
    site.fleet
        .sh(infra, "docker kill $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_proapi | head -n 1)");
    site.fleet.sh(infra, "systemctl restart docker");
    let began = Instant::now();
    loop {
        let up = site.fleet.try_sh(infra, "docker service ls --format '{{.Replicas}}'", "");
        let all = up.out.lines().filter(|l| !l.starts_with("0/1")).all(|l| {
            let l = l.split(' ').next().unwrap_or_default();
            l.split_once('/').is_some_and(|(r, w)| r == w)
        });
        if up.success() && all && up.out.lines().count() >= SERVICES - 3 && web::portal(&infra.address).status == 200 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{}", up.out);
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn updated(site: &Site) {
    let next = format!("IMAGE_BUNDLE={}", site.tool.control.join("next.tar").display());
    site.tool.run(&["apply", "-e", "DOCKER_VERSION_HAPROXY=2.6-2", "-e", &next]).ends_with(0).says("reemo_maintenance");
    let log = log(site);
    let sent: Vec<&str> = log.lines().filter(|l| l.contains(" layers, ")).collect();
    assert_eq!(sent.len(), 1, "the other images are there: {sent:?}");
    assert!(sent[0].ends_with("reemoinfrahaproxy:2.6-2: 0 of 1 layers, 0 bytes"), "{}", sent[0]);
    // And back, out of nothing but what is there.
    site.tool.run(&["apply"]).ends_with(0).says("reemo_maintenance");
}

fn counted(site: &Site) {
    assert_eq!(
        dropped(site),
        0,
        "{}",
        on(site, "infra1", "iptables -t mangle -nvxL POSTROUTING; conntrack -L 2>/dev/null; true")
    );
    assert!(!tries(site));
    assert!(dropped(site) > 0);
    on(site, "infra1", &CUT.replace("-I", "-D"));
    assert!(tries(site), "the cut is mended");
}

/// Another registry, empty, with a certificate and a login of its own.
fn second_registry(site: &Site) -> PathBuf {
    let folder = site.fleet.state.join("mirror");
    fs::create_dir_all(&folder).expect("a folder");
    let made = format!(
        "set -e; cd '{}'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=Authority of a mirror' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={MIRROR} -keyout tls.key -out csr 2>/dev/null
printf 'subjectAltName=DNS:{MIRROR}\\nextendedKeyUsage=serverAuth\\n' >extensions
openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out tls.crt 2>/dev/null
cp ../registry/htpasswd . && rm ca.key csr extensions && chmod 644 *",
        folder.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &made]);
    let ended = command::run(shell, "", Duration::from_secs(60));
    assert!(ended.success(), "{}", ended.err);
    let first = format!("fleet-{}-registry", site.fleet.name);
    let image = docker(&["inspect", "-f", "{{.Config.Image}}", &first]).trim().to_owned();
    let name = format!("fleet-{}-mirror", site.fleet.name);
    docker(&[
        "create",
        "--name",
        &name,
        "--label",
        &format!("reemo.fleet={}", site.fleet.name),
        "--network",
        &format!("fleet-{}", site.fleet.name),
        "--network-alias",
        MIRROR,
        "--env",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/tmp/empty",
        &image,
    ]);
    docker(&["cp", &format!("{}/.", folder.display()), &format!("{name}:/etc/registry")]);
    docker(&["start", &name]);
    folder.join("ca.crt")
}

fn mirror(site: &Site) {
    let ca = second_registry(site);
    let bridge = site.fleet.host("bridge").container();
    docker(&["cp", &ca.display().to_string(), &format!("{bridge}:/root/control/mirror-ca.crt")]);
    fs::copy(&ca, site.tool.control.join("mirror-ca.crt")).expect("a copy");
    let password = site.fleet.control().join("registry-password");
    docker(&["cp", &password.display().to_string(), &format!("{bridge}:/root/control/password")]);
    let to =
        format!("images mirror --to {MIRROR} --to-username demo --to-password-file password --to-ca mirror-ca.crt");
    let said = run_on_bridge(site, &to);
    assert!(said.contains(&format!("{MIRROR}/reemoinfraapi:2.13.10")), "{said}");
    assert!(said.contains(&format!("REGISTRY_URL: \"{MIRROR}\"")), "{said}");
    say(said.lines().filter(|l| l.contains("sha256:")).take(3).collect::<Vec<_>>().join("\n"));
    // Again: everything is there.
    let said = run_on_bridge(site, &format!("{to} --format json"));
    let last = said.lines().last().unwrap_or_default();
    let again: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {said}"));
    let images = again["images"].as_array().expect("a list");
    assert!(images.len() > 10 && images.iter().all(|i| i["sent"] == 0), "{again}");
}

fn mirrored(site: &Site) {
    docker(&["stop", "-t", "1", &format!("fleet-{}-registry", site.fleet.name)]);
    let text = groups(&[("IMAGE_MODE", "mirror"), ("REGISTRY_URL", MIRROR)]);
    site.write(&text);
    let inventory = fs::read_to_string(&site.tool.inventory).expect("the inventory");
    let other = inventory.replace("{{ inventory_dir }}/../registry-ca.crt", "{{ inventory_dir }}/mirror-ca.crt");
    assert_ne!(inventory, other);
    fs::write(&site.tool.inventory, &other).expect("a file");
    site.tool.run(&["apply"]).ends_with(0);
    let images = on(
        site,
        "infra1",
        "docker service ls -q | xargs docker service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Image}}'",
    );
    assert!(
        images.lines().all(|l| l.starts_with(&format!("{MIRROR}/reemoinfra")) && l.contains("@sha256:")),
        "{images}"
    );
    site.settled();
    // Back to the first, whose digests are the same.
    docker(&["start", &format!("fleet-{}-registry", site.fleet.name)]);
}

fn proxied(site: &Site) {
    const INSTALL: &str = r#"set -e
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends tinyproxy >/dev/null 2>&1
cat >/etc/tinyproxy/tinyproxy.conf <<END
User tinyproxy
Group tinyproxy
Port 8888
Timeout 600
LogFile "/var/log/tinyproxy/tinyproxy.log"
LogLevel Connect
BasicAuth reemo PASSWORD
ConnectPort 443
END
install -d -o tinyproxy -g tinyproxy /var/log/tinyproxy
systemctl restart tinyproxy"#;
    on(site, "bridge", &INSTALL.replace("PASSWORD", PASSWORD));
    let bridge = site.fleet.host("bridge").address.clone();
    let url = format!("http://reemo:{PASSWORD}@{bridge}:8888");
    site.write(&groups(&[("IMAGE_PROXY", &url)]));
    // Only through the proxy.
    on(site, "infra1", &format!("iptables -I OUTPUT -d {}.5 -j REJECT", site.fleet.subnet()));
    assert!(!tries(site));
    let release = "DOCKER_VERSION_API=2.14.0 DOCKER_VERSION_DB=2.14.0 DOCKER_VERSION_PORTAL=2.14.0";
    let ran = site.tool.run(&["apply", "-e", release]).ends_with(0).says("reemo-proxy.env").says("restart docker");
    assert!(!ran.text().contains(PASSWORD));
    let log = on(site, "bridge", "cat /var/log/tinyproxy/tinyproxy.log");
    assert!(log.contains("registry.reemo.io:443"), "{log}");
    let files =
        on(site, "infra1", "stat -c '%a %U %n' /etc/docker/reemo-proxy.env; grep -c . /etc/docker/reemo-proxy.env");
    assert!(files.starts_with("600 root "), "{files}");
    // Nobody on the host sees the login: not systemd's word on the unit, not the engine's on itself.
    let shown = on(
        site,
        "infra1",
        "systemctl show docker; docker info 2>/dev/null; cat /etc/systemd/system/docker.service.d/*",
    );
    assert!(shown.contains("reemo-proxy.env") && !shown.contains(PASSWORD), "{shown}");
    let log = fs::read_to_string(site.tool.transcript()).expect("the transcript");
    assert!(!log.contains(PASSWORD));
    let text = groups(&[
        ("IMAGE_PROXY", &url),
        ("DOCKER_VERSION_API", "2.14.0"),
        ("DOCKER_VERSION_DB", "2.14.0"),
        ("DOCKER_VERSION_PORTAL", "2.14.0"),
    ]);
    site.write(&text);
    site.settled();
}

fn pruned(site: &Site) {
    // Swarm keeps what earlier tasks left, and the engine keeps the images of that.
    site.tool.run(&["images", "prune", "--keep", "1", "--yes"]).ends_with(0).says("no image is superfluous");
    on(site, "infra1", "docker container prune -f");
    let count = || on(site, "infra1", "docker images -q | sort -u | wc -l").trim().parse::<usize>().expect("a number");
    let (before, api) =
        (count(), "docker images --format '{{.Repository}}:{{.Tag}}@{{.Digest}}' | grep -c reemoinfraapi");
    assert!(on(site, "infra1", api).trim().parse::<usize>().expect("a number") >= 2);
    let ran = site.tool.run(&["images", "prune", "--keep", "1", "--yes"]).ends_with(0);
    say(ran.out.clone());
    assert!(count() < before, "{before} images before:\n{}", ran.text());
    site.tool.run(&["images", "prune", "--keep", "1", "--yes"]).ends_with(0).says("no image is superfluous");
    // What runs has what it runs on.
    site.tool.run(&["images", "list", "--detailed-exitcode"]).ends_with(0);
}
