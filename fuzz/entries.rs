//! What each fuzz target does with its input. The ordinary tests run the kept corpora through the same
//! functions (`tests/fuzz_corpus.rs`).

use std::path::Path;
use std::sync::{Arc, LazyLock};

use reemo_infra::engine::dump;
use reemo_infra::engine::journal::Record;
use reemo_model::ansible_cfg;
use reemo_model::diag::{Diagnostics, Texts};
use reemo_model::inventory::list::{Format, Printer};
use reemo_model::inventory::{self, Inventory, Memory, Options, SourceError, Sources, pattern};
use reemo_model::template::{Engine, Scope, Value};
use reemo_model::vars::{Vars, extra};
use reemo_model::vault;
use reemo_model::yaml;
use reemo_resource::host::{File, HostObservation, HostResource, Package, PackageSet, Unit, Wanted};
use reemo_resource::os::{Os, OsRelease};
use reemo_resource::probe::{self, ProbeOutput};
use reemo_resource::swarm::fields::{compare, flatten};
use reemo_resource::swarm::node::{self, Member};
use reemo_resource::swarm::observed::{EngineObservation, SwarmObservation};
use reemo_transport::ssh::option::Options as SshOptions;
use reemo_transport::ssh::ssh_config::SshConfig;
use reemo_transport::ssh::{Target, common_args, known_hosts};

/// Does something with an input.
pub type Entry = fn(&[u8]);

/// The targets by name: the folder of the corpus, and the function.
pub const ALL: [(&str, Entry); 13] = [
    ("yaml", yaml),
    ("inventory", inventory),
    ("ini", ini),
    ("range", range),
    ("pattern", pattern),
    ("extra_vars", extra_vars),
    ("template", template),
    ("vault", vault),
    ("probe", probe),
    ("swarm", swarm),
    ("ansible_cfg", ansible_cfg),
    ("ssh", ssh),
    ("kept", kept),
];

/// A YAML text as a file of variables is read.
pub fn yaml(data: &[u8]) {
    let file: Arc<Path> = Arc::from(Path::new("f.yml"));
    match yaml::parse(&file, data) {
        Ok(document) => {
            let _ = (document.root.to_json(), document.root.key_text());
            show(document.warnings, &[("f.yml", data)]);
        }
        Err(error) => {
            let mut all = Diagnostics::new();
            all.push(*error);
            show(all, &[("f.yml", data)]);
        }
    }
}

/// Renders messages: their excerpts cut the text at places that come from the input.
fn show(mut diagnostics: Diagnostics, files: &[(&str, &[u8])]) {
    let mut texts = Texts::default();
    for (name, data) in files {
        texts.add(&Arc::from(Path::new(name)), String::from_utf8_lossy(data).into_owned());
    }
    diagnostics.sort();
    diagnostics.attach(&texts);
    let _ = diagnostics.render();
}

fn listed(read: inventory::Loaded) {
    let (mut diagnostics, texts) = (read.diagnostics, read.texts);
    diagnostics.sort();
    diagnostics.attach(&texts);
    let _ = diagnostics.render();
    // A range of a few bytes may stand for very many hosts; printing each takes its time.
    if read.inventory.hosts.len() > 5_000 {
        return;
    }
    let vars = Vars::new(Arc::new(read.inventory));
    for export in [false, true] {
        let printer = Printer::new(&vars, Format { export, limit: None });
        let _ = (printer.list_text(), printer.yaml_text());
        if vars.inventory().groups.len() < 20 {
            let _ = printer.graph("all", true);
        }
    }
}

/// A YAML inventory, and the same text as `group_vars/all.yml`.
pub fn inventory(data: &[u8]) {
    let files = Memory::new().with("inv/i.yml", data).with("inv/group_vars/all.yml", data);
    listed(inventory::load(&files, &["inv/i.yml".to_owned()], &Options::default()));
    let script = Script(data);
    listed(inventory::load(&script, &["script".to_owned()], &Options::default()));
}

/// An executable that prints the input, whatever it is asked.
struct Script<'a>(&'a [u8]);

impl Sources for Script<'_> {
    fn read(&self, _: &Path) -> Result<Vec<u8>, SourceError> {
        Ok(b"#!/bin/sh\n".to_vec())
    }
    fn list(&self, _: &Path) -> Result<Vec<String>, SourceError> {
        Err(SourceError::missing())
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
    fn exists(&self, path: &Path) -> bool {
        path == Path::new("script")
    }
    fn is_executable(&self, _: &Path) -> bool {
        true
    }
    fn run(&self, _: &Path, _: &[&str]) -> Result<Vec<u8>, SourceError> {
        Ok(self.0.to_vec())
    }
}

/// An INI inventory.
pub fn ini(data: &[u8]) {
    let files = Memory::new().with("hosts.ini", data);
    listed(inventory::load(&files, &["hosts.ini".to_owned()], &Options::default()));
}

/// One host entry, as the key of a YAML inventory and in a list of hosts.
pub fn range(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\x{:02x}", c as u32),
            c => c.to_string(),
        })
        .collect();
    let files = Memory::new().with("i.yml", format!("all: {{hosts: {{\"{key}\": }}}}\n"));
    let _ = inventory::load(&files, &["i.yml".to_owned(), format!("{text},")], &Options::default());
}

static SAMPLE: LazyLock<Inventory> = LazyLock::new(|| {
    let text = "a.example.org\n[web]\nweb[01:20]\n[db]\ndb[a:f]\n10.0.0.[1:9]\n[site:children]\nweb\ndb\n";
    inventory::load(&Memory::new().with("i.ini", text), &["i.ini".to_owned()], &Options::default()).inventory
});

/// A host pattern.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = pattern::select(&SAMPLE, text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let _ = pattern::select_parts(&SAMPLE, &lines);
}

/// The arguments of `-e`, one a line, and the whole as a file.
pub fn extra_vars(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut args: Vec<String> = text.lines().map(str::to_owned).collect();
    args.extend([text.clone(), "@e.yml".to_owned()]);
    let files = Memory::new().with("e.yml", data);
    let (mut texts, mut diagnostics) = (Texts::default(), Diagnostics::new());
    let _ = extra::parse(&args, &files, &mut texts, &mut diagnostics);
    diagnostics.sort();
    diagnostics.attach(&texts);
    let _ = diagnostics.render();
}

/// A template, where variables that hold the same text can be reached.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);
    let files = Memory::new().with("i.ini", "h\n[all:vars]\nn=1\nl=[3, 1, {'k': 'v'}]\nt=a text\nm={'a': 1}\n");
    let loaded = inventory::load(&files, &["i.ini".to_owned()], &Options::default());
    let memory = Memory::new();
    let (mut texts, mut diagnostics) = (Texts::default(), Diagnostics::new());
    let argument = serde_json_like(text);
    let extra = extra::parse(&[argument], &memory, &mut texts, &mut diagnostics);
    let vars = Arc::new(Vars::new(Arc::new(loaded.inventory)).with_extra(extra));
    let scope = Scope::new(&ENGINE, vars.of_host("h"));
    let _ = scope.render_str(text, Value::UNDEFINED);
    let _ = scope.get_json("self_text");
    let _ = scope.eval(text.lines().next().unwrap_or_default());
}

/// `{"self_text": "…"}`
fn serde_json_like(text: &str) -> String {
    let mut out = String::from("{\"self_text\": \"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\"}"
}

/// A vault, and the same bytes below a header, so that its inner parts are reached.
pub fn vault(data: &[u8]) {
    for text in [data.to_vec(), [b"$ANSIBLE_VAULT;1.1;AES256\n", data].concat()] {
        if let Err(damage) = vault::parse(&text) {
            assert!(damage.line >= 1 && damage.column >= 1, "{damage:?}");
        }
    }
}

/// What a host answered: the stream itself; and, past the framing, each probe's answer (the parts
/// between `\x1e`), with the resources compared to it.
pub fn probe(data: &[u8]) {
    let _ = probe::parse(data, "DELIMITER");
    let _ = OsRelease::parse(&String::from_utf8_lossy(data));
    let ids = ["facts", "disk", "packages", "units", "files.0", "files.1", "gluster"];
    let outputs = ids
        .iter()
        .zip(data.split(|b| *b == 0x1e))
        .map(|(id, out)| ((*id).to_owned(), ProbeOutput { code: Some(0), out: out.to_vec() }))
        .collect();
    let Ok(seen) = HostObservation::parse(&outputs) else { return };
    let _ = (seen.engine_package(), seen.has_engine());
    let Some(os) = Os::of(&seen.facts.os) else { return };
    let wanted = Wanted::Present { content: "x".into(), mode: 0o644, owner: "root:root".to_owned() };
    for resource in [
        HostResource::File(File { path: "/a".to_owned(), wanted }),
        HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }),
        HostResource::Unit(Unit { name: "docker.service".to_owned(), enabled: Some(true), active: Some(true) }),
    ] {
        let _ = resource.diff(&seen, &os);
    }
}

/// What an engine answers: the lists of a Swarm (JSON, the parts between `\x1e`), and what is decided from them.
pub fn swarm(data: &[u8]) {
    let mut lists = data.split(|b| *b == 0x1e).map(|part| {
        let read = serde_json::from_slice::<serde_json::Value>(part).unwrap_or_default();
        read.as_array().cloned().unwrap_or_default()
    });
    let mut next = || lists.next().unwrap_or_default();
    let there = SwarmObservation {
        asked: "one".into(),
        id: "s".into(),
        nodes: next(),
        services: next(),
        tasks: next(),
        networks: next(),
        secrets: next(),
        configs: next(),
        tables: None,
    };
    let member = |host: &str, swarm_id: &str, manager| Member {
        host: host.into(),
        advertise: "10.0.0.1".into(),
        engine: Some(EngineObservation {
            swarm_state: "active".into(),
            swarm_id: swarm_id.into(),
            node_id: host.into(),
            manager,
            ..Default::default()
        }),
        reachable: true,
        worker: false,
    };
    let members = [member("one", "s", true), member("two", "", false)];
    let _ = (node::diff("one", &members, Some(&there)), node::diff_pruned("two", &members, Some(&there)));
    let _ = (node::set_aside(&there), node::label(&there, "one", "io.reemo.data", "true"), there.ours());
    for stranger in node::strangers(&members, &there) {
        let _ = node::name_of(stranger, &members);
    }
    let plain = |id: &str| id.to_owned();
    for service in &there.services {
        let id = service["ID"].as_str().unwrap_or_default();
        let _ = (there.running(id), there.possible(service), there.tasks_of(id));
        let (now, before) = (flatten(&service["Spec"], &plain), flatten(&service["PreviousSpec"], &plain));
        let _ = compare(&now, &before);
    }
}

/// The text of an `ansible.cfg`.
pub fn ansible_cfg(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let file: Arc<Path> = Arc::from(Path::new("/x/ansible.cfg"));
    let around = ansible_cfg::Around { file: Some((file, text)), ..Default::default() };
    let (_, diagnostics) = ansible_cfg::read(&around);
    show(diagnostics, &[("/x/ansible.cfg", data)]);
}

/// Files of OpenSSH: configuration, arguments, known hosts.
pub fn ssh(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let home = Path::new("/nonexistent/home");
    if let Ok(config) = SshConfig::parse(&text, Path::new("/nonexistent/config"), home) {
        let _ = config.apply(&mut SshOptions::default(), "host.example.org", "user");
    }
    let _ = common_args::parse(&text, "ansible_ssh_common_args");
    let file = std::env::temp_dir().join(format!("reemo-fuzz-known-{}", std::process::id()));
    if std::fs::write(&file, data).is_ok() {
        let mut target = Target::new("host", "host.example.org", "root");
        target.known_hosts = vec![file.clone()];
        let known = known_hosts::Files::default().known(&target);
        let _ = (known.algorithms(), known.certificate_algorithms());
        let _ = std::fs::remove_file(file);
    }
}

/// What lies on disks of ours: a journal, a list of dumps.
pub fn kept(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let record = Record::parse(&text);
    let _ = (record.began(), record.at(), record.code(), record.open(), record.steps());
    let dumps = dump::once(dump::read("one", &text));
    let _ = dump::superseded(&dumps, 3);
}
