//! A host that exists in memory only: it answers the probe script and the commands that change files,
//! packages and units, from what it holds. What it was not told about is an error that is remembered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use reemo_transport::fake::{Exec, Ran};
use sha2::{Digest, Sha256};

/// A simulated host. Cheap to clone; clones are the same host.
#[derive(Clone)]
pub struct Machine(Arc<Mutex<State>>);

/// What there is on a host.
pub struct State {
    /// Answers of the probes that need no simulation, as they were recorded.
    pub recorded: BTreeMap<String, String>,
    /// Name and version.
    pub packages: BTreeMap<String, String>,
    /// Files and directories.
    pub files: BTreeMap<String, Entry>,
    /// Units that were restarted, in order.
    pub restarted: Vec<String>,
    /// Commands run, without the probe script.
    pub commands: Vec<String>,
    /// Commands nobody had told it about.
    pub unknown: Vec<String>,
    /// What an installation says before it fails.
    pub broken_packages: Option<String>,
    /// What the database says when it cannot be dumped.
    pub broken_database: Option<String>,
    /// A timer runs that takes a change back.
    pub armed: bool,
    /// It has no systemd-run.
    pub no_timers: bool,
    /// How wrong its clock is.
    pub clock_ahead_s: u64,
    /// Signs of life of who holds the lock.
    beats: u64,
    /// Counts what happens, in place of a clock.
    clock: u64,
    /// When the engine was started last, and when its configuration was written.
    engine_started: u64,
    configured: u64,
    /// When what we tell it of its proxy was written.
    proxied: u64,
}

/// A file, or with `content: None` a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub mode: u32,
    pub owner: String,
    pub content: Option<Vec<u8>>,
}

impl Machine {
    /// A bare Debian 12, as it was recorded for the tests of the resources.
    pub fn debian() -> Machine {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(root.join("src/resource/tests/cases/hosts/debian-12-bare.yml")).unwrap();
        let recorded: BTreeMap<String, String> = serde_yaml::from_str(&text.replace("\\t", "\t")).unwrap();
        let directory = |path: &str| (path.to_owned(), Entry { mode: 0o755, owner: "root:root".into(), content: None });
        Machine(Arc::new(Mutex::new(State {
            recorded,
            packages: BTreeMap::from([("iptables".into(), "1.8.9-2".into())]),
            files: ["/", "/etc", "/opt"].map(directory).into(),
            restarted: Vec::new(),
            commands: Vec::new(),
            unknown: Vec::new(),
            broken_packages: None,
            broken_database: None,
            clock_ahead_s: 0,
            beats: 0,
            armed: false,
            no_timers: false,
            clock: 0,
            engine_started: 0,
            configured: 0,
            proxied: 0,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the host answers to one command.
    pub fn answer(&self, exec: &Exec) -> Ran {
        self.state().run(exec)
    }
}

impl State {
    fn run(&mut self, exec: &Exec) -> Ran {
        let argv: Vec<&str> = exec.argv.iter().map(String::as_str).collect();
        if argv == ["sh"] {
            return Ran::ok(self.probed(&String::from_utf8_lossy(&exec.stdin)));
        }
        match argv[..] {
            ["sh", "-c", _, "write", path, mode, owner, sum, expect] => {
                self.commands.push(format!("write {path}"));
                self.write(path, mode, owner, sum, expect, &exec.stdin)
            }
            ["sh", "-c", _, "dump", folder, verb, ..] => self.dump(folder, verb, &argv[6..]),
            ["test", "-e", path] => Ran { code: i32::from(!self.files.contains_key(path)), ..Ran::default() },
            ["sh", "-c", script, "lock", path, ..] => self.lock(script, path, &argv[5..], &exec.stdin),
            ["mkdir", "-p", "--", path] | ["mkdir", "-p", "-m", _, "--", path] => {
                if !self.files.contains_key(path) {
                    self.commands.push(format!("mkdir {path}"));
                }
                let entry = Entry { mode: 0o755, owner: "root:root".into(), content: None };
                for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
                    self.files.entry(path[..at].to_owned()).or_insert_with(|| entry.clone());
                }
                Ran::ok("")
            }
            ["chown", owner, "--", path] => self.change(path, |entry| entry.owner = owner.to_owned()),
            ["chmod", mode, "--", path] => {
                self.change(path, |entry| entry.mode = u32::from_str_radix(mode, 8).unwrap())
            }
            ["rm", "-f", "--", path] => {
                self.commands.push(format!("rm {path}"));
                self.files.remove(path);
                Ran::ok("")
            }
            ["apt-get", "-q", "update"] => Ran::ok("Reading package lists...\n"),
            ["apt-get", .., "install", _] | ["apt-get", .., "install", _, _] => self.install(&argv),
            ["systemctl", "daemon-reload"] => Ran::ok(""),
            ["systemctl", "restart", unit] | ["systemctl", "restart", "--", unit] => {
                self.restarted.push(unit.to_owned());
                Ran::ok("")
            }
            ["sh", "-ec", script] if script.ends_with("systemctl start docker.service") => {
                self.restarted.push("docker.service".to_owned());
                self.start_engine();
                match self.files.get("/etc/docker/daemon.json").and_then(|f| f.content.as_ref()) {
                    Some(text) if String::from_utf8_lossy(text).contains("refused-by-the-engine") => {
                        Ran::failed(1, "Job for docker.service failed\n")
                    }
                    _ => Ran::ok(""),
                }
            }
            ["sh", "-c", _, verb @ ("keep" | "arm" | "disarm" | "revert"), path, ..] => self.guard(verb, path),
            ["journalctl", ..] => Ran::ok("unable to configure the Docker daemon with file /etc/docker/daemon.json\n"),
            // Where the engine would be: there is none, or it is behind the socket.
            ["sh", "-c", _, "sh", "/var/run/docker.sock"] => Ran::failed(12, ""),
            _ => {
                self.unknown.push(exec.argv.join(" "));
                Ran::failed(127, format!("this host was not told about {argv:?}\n"))
            }
        }
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Entry)) -> Ran {
        match self.files.get_mut(path) {
            Some(entry) => {
                change(entry);
                Ran::ok("")
            }
            None => Ran::failed(1, format!("{path}: No such file or directory\n")),
        }
    }

    fn write(&mut self, path: &str, mode: &str, owner: &str, sum: &str, expect: &str, content: &[u8]) -> Ran {
        let there = self.files.get(path).and_then(|e| e.content.as_ref()).map(|c| sha256(c));
        if sha256(content) != sum {
            return Ran::failed(11, "");
        }
        match (expect, there) {
            ("any", _) | ("absent", None) => {}
            (wanted, Some(found)) if wanted == found => {}
            _ => return Ran::failed(10, ""),
        }
        let parent = path.rsplit_once('/').map_or("/", |(p, _)| if p.is_empty() { "/" } else { p });
        if !self.files.contains_key(parent) {
            return Ran::failed(1, format!("mktemp: failed to create file via template '{path}.XXXXXX'\n"));
        }
        if path == "/etc/docker/daemon.json" {
            self.clock += 1;
            self.configured = self.clock;
        }
        if path.contains("reemo-proxy") {
            self.clock += 1;
            self.proxied = self.clock;
        }
        let mode = u32::from_str_radix(mode, 8).unwrap();
        self.files.insert(path.to_owned(), Entry { mode, owner: owner.to_owned(), content: Some(content.to_vec()) });
        Ran::ok("")
    }

    fn install(&mut self, argv: &[&str]) -> Ran {
        let names = argv.iter().skip_while(|w| **w != "install").skip(1);
        let names: Vec<String> = names.map(|n| (*n).to_owned()).collect();
        self.commands.push(format!("install {}", names.join(" ")));
        if let Some(said) = &self.broken_packages {
            return Ran::failed(100, said.clone());
        }
        if names.iter().any(|n| n == "docker.io") {
            self.start_engine();
        }
        names.into_iter().for_each(|n| drop(self.packages.insert(n, "1.0-1".into())));
        Ran::ok("Setting up\n")
    }

    /// The script of the database's dumps, as far as a run needs it; the real one is tried on real hosts.
    fn dump(&mut self, folder: &str, verb: &str, args: &[&str]) -> Ran {
        let info = |name: &str| format!("{folder}/{name}.info");
        match (verb, args) {
            ("take", [name, _database, "aside", _image, _length, told @ ..]) => {
                if let Some(why) = &self.broken_database {
                    return Ran::failed(1, why.clone());
                }
                self.commands.push(format!("dump {}", name.split_once('-').map_or("", |(_, reason)| reason)));
                let text = format!("{}\ntables 7\nbytes 99\nsha256 {}\n", told.join("\n"), "0".repeat(64));
                let entry = Entry { mode: 0o600, owner: "root:root".into(), content: Some(text.clone().into()) };
                self.files.insert(info(name), entry);
                Ran::ok(text)
            }
            ("list", []) => {
                let all = self.files.iter().filter_map(|(path, entry)| {
                    let name = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".info")?;
                    Some(format!("dump {name}\n{}", String::from_utf8_lossy(entry.content.as_ref()?)))
                });
                Ran::ok(all.collect::<String>())
            }
            ("drop", [name]) => {
                self.files.remove(&info(name));
                Ran::ok("")
            }
            _ => {
                self.unknown.push(format!("dump {verb} {args:?}"));
                Ran::failed(127, "")
            }
        }
    }

    /// The scripts of the lock: taken, kept, broken, given back.
    fn lock(&mut self, script: &str, path: &str, args: &[&str], stdin: &[u8]) -> Ran {
        let there = self.files.get(path).and_then(|f| f.content.clone());
        let text = there.map(|c| String::from_utf8(c).unwrap());
        let ours = |run: &str| text.as_ref().is_some_and(|t| t.contains(run));
        match (script, args) {
            (s, []) if s.contains("mktemp") => {
                if let Some(text) = &text {
                    return Ran { stdout: format!("{text}{}\n", self.beats).into(), code: 17, ..Ran::default() };
                }
                let entry = Entry { mode: 0o600, owner: "root:root".into(), content: Some(stdin.to_vec()) };
                self.files.insert(path.to_owned(), entry);
                Ran::ok("")
            }
            (s, []) if s.starts_with("rm") => {
                self.files.remove(path);
                Ran::ok("")
            }
            (s, [run]) if s.contains("touch") => {
                self.beats += 1;
                if ours(run) { Ran::ok("") } else { Ran::failed(1, "") }
            }
            (s, [_, run]) if s.starts_with("mv") => {
                if !ours(run) {
                    return Ran::failed(18, "");
                }
                self.files.remove(path);
                Ran::ok("")
            }
            (s, [run]) if s.starts_with("if grep") => {
                if ours(run) {
                    self.files.remove(path);
                }
                Ran::ok("")
            }
            _ => {
                self.unknown.push(script.to_owned());
                Ran::failed(127, "")
            }
        }
    }

    fn start_engine(&mut self) {
        self.clock += 1;
        self.engine_started = self.clock;
    }

    /// The engine runs with the configuration it has.
    pub fn engine_is_current(&self) -> bool {
        self.engine_started >= self.configured
    }

    /// The scripts of a change that is taken back unless it is confirmed.
    fn guard(&mut self, verb: &str, path: &str) -> Ran {
        let kept = format!("{path}.reemo-before");
        let is_kept = self.files.contains_key(&kept);
        match verb {
            "keep" if self.engine_started == 0 || (is_kept && !self.engine_is_current()) => {}
            "keep" => {
                let none = Entry { mode: 0o644, owner: "nobody:nobody".into(), content: None };
                let was = self.files.get(path).cloned().unwrap_or(none);
                self.files.insert(kept, was);
            }
            "arm" if self.no_timers => return Ran::failed(20, ""),
            "arm" if !is_kept => return Ran::failed(21, ""),
            "arm" => self.armed = true,
            "disarm" => {
                self.armed = false;
                if self.files.remove(&kept).is_none() {
                    return Ran::failed(22, "");
                }
            }
            _ => self.goes_back(path),
        }
        Ran::ok("")
    }

    /// What the timer does.
    pub fn goes_back(&mut self, path: &str) {
        self.armed = false;
        if let Some(was) = self.files.remove(&format!("{path}.reemo-before")) {
            match was.content {
                Some(_) => drop(self.files.insert(path.to_owned(), was)),
                None => drop(self.files.remove(path)),
            }
            self.restarted.push("docker.service".to_owned());
            self.start_engine();
        }
    }

    /// Frames as the real script sends them.
    fn probed(&self, script: &str) -> String {
        let mark = script.lines().find_map(|l| l.strip_prefix("mark=")).expect("a probe script").to_owned();
        let asked = script.split_once("true </dev/null").expect("a probe script").1;
        let (words, mut out, mut count) = (words(asked), String::from("Welcome to this host\n"), 0);
        for ask in words.split(|w| w == "|").filter(|part| part.first().is_some_and(|w| w == "ask")) {
            let (id, text) = (&ask[1], &ask[4]);
            let body = format!("{}\n0 {mark}", self.probe(id, text));
            let _ = write!(out, "\n{mark} begin {id} {0}\n{body}\n{mark} end {id} {0}\n", body.len());
            count += 1;
        }
        let _ = write!(out, "\n{mark} done {count}\n");
        out
    }

    fn probe(&self, id: &str, text: &str) -> String {
        let names = || {
            let line = text.lines().find_map(|l| l.strip_prefix("set -- ")).unwrap_or_default();
            words(line)
        };
        match id {
            "packages" => {
                let asked: String = names().iter().map(|n| format!("asked\t{n}\n")).collect();
                let there = self.packages.iter().filter(|(n, _)| names().contains(n));
                let there: String = there.map(|(n, v)| format!("{n}\tinstalled\t{v}\n")).collect();
                format!("{asked}{there}index\t1795231886\n")
            }
            "units" => {
                let asked: String = names().iter().map(|n| format!("asked\t{n}\n")).collect();
                asked + &names().iter().map(|n| self.unit(n)).collect::<String>()
            }
            files if files.starts_with("files.") => names().iter().map(|path| self.look(path)).collect(),
            "facts" => self.facts(),
            "gluster" => "absent\n".into(),
            _ => self.recorded.get(id).cloned().unwrap_or_default(),
        }
    }

    /// What was recorded, at the time it is now (or an hour off).
    fn facts(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + self.clock_ahead_s;
        let lines = self.recorded["facts"].lines().map(|line| match line.starts_with("time\t") {
            true => format!("time\t{now}\n"),
            false => format!("{line}\n"),
        });
        let mut text: String = lines.collect();
        if self.engine_started > 0 && !self.engine_is_current() {
            text.push_str("is\tengine-outdated\n");
        }
        if self.engine_started > 0 && self.engine_started < self.proxied {
            text.push_str("is\tproxy-outdated\n");
        }
        if self.files.contains_key("/etc/docker/daemon.json.reemo-before") {
            text.push_str("is\tengine-unconfirmed\n");
        }
        text
    }

    /// As systemd shows it: Debian enables and starts a service when its package is installed.
    fn unit(&self, name: &str) -> String {
        let there = match name {
            "docker.service" => self.packages.contains_key("docker.io"),
            other => other == "rsyslog.service",
        };
        let (load, active, sub, file) = match there {
            true => ("loaded", "active", "running", "enabled"),
            false => ("not-found", "inactive", "dead", ""),
        };
        let state = format!("LoadState={load}\nActiveState={active}\nSubState={sub}\n");
        format!("{state}UnitFileState={file}\nNeedDaemonReload=no\n\n")
    }

    fn look(&self, path: &str) -> String {
        let Some(entry) = self.files.get(path) else {
            let mut above = path;
            while !self.files.contains_key(above) {
                above = above.rsplit_once('/').map_or("/", |(p, _)| if p.is_empty() { "/" } else { p });
            }
            return format!("absent\t{above}\t{path}\n");
        };
        let kind = if entry.content.is_some() { 0o100_000 } else { 0o040_000 };
        let (user, group) = entry.owner.split_once(':').unwrap_or((&entry.owner, "root"));
        let number = |name: &str| if name == "root" { 0 } else { name.parse().unwrap_or(1000) };
        let name = |name: &str| if name.parse::<u32>().is_ok() { "UNKNOWN".to_owned() } else { name.to_owned() };
        let size = entry.content.as_ref().map_or(4096, Vec::len);
        let mut out = format!(
            "stat\t{:x}\t{}\t{}\t{}\t{}\t{size}\t{path}\n",
            kind | entry.mode,
            number(user),
            number(group),
            name(user),
            name(group)
        );
        if let Some(content) = &entry.content {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(content);
            let _ = writeln!(out, "sha256\t{}\t{path}\ncontent\t{path}\n{text}\n.", sha256(content));
        }
        out
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Takes our own quoting apart: bare words, and `'…'` with `'\''` inside.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut open) = (Vec::new(), None::<String>, false);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                open = !open;
                word.get_or_insert_default();
            }
            '\\' if !open => word.get_or_insert_default().extend(rest.next()),
            c if c.is_whitespace() && !open => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}
