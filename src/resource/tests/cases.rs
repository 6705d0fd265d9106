//! Table of situations: `cases/<resource>/*.yml` says what is wanted, what was seen, and what must
//! come of it. `cases/hosts/*.yml` are the answers of whole hosts that the situations start from.
//! In all of them `\t` stands for a tab.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use reemo_model::change::Verdict;
use reemo_model::op::Op;
use reemo_model::secret::{Blob, Secret};
use reemo_resource::host::{
    Directory, File, HostObservation, HostResource, JsonMerge, Package, PackageSet, Unit, Wanted, observe_plan,
};
use reemo_resource::os::Os;
use reemo_resource::probe::{ProbeOutput, ProbeOutputs};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Digest as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Why this situation is here.
    doc: String,
    /// File in `cases/hosts`, without its ending.
    host: String,
    #[serde(with = "serde_yaml::with::singleton_map")]
    spec: Spec,
    #[serde(default)]
    observed: Observed,
    /// The verdict, as it is serialised.
    expected: Value,
    /// Content of the one file that is written.
    #[serde(default)]
    written: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Observed {
    /// Probe answers that replace the host's.
    probes: BTreeMap<String, Answer>,
    /// Regular files.
    files: BTreeMap<String, SeenFile>,
    /// Raw lines of the `files` probe.
    lines: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Text(String),
    Code(i32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenFile {
    content: String,
    #[serde(default = "ordinary")]
    mode: String,
    #[serde(default)]
    uid: u32,
    #[serde(default = "root")]
    user: String,
    /// Whether the content came along.
    #[serde(default = "yes")]
    sent: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Spec {
    Package { names: Vec<String>, present: bool },
    Engine { present: bool },
    File { path: String, content: Option<String>, secret: Option<String>, mode: Option<String>, owner: Option<String> },
    Absent { path: String },
    Directory { path: String, mode: String, owner: String },
    JsonMerge { path: String, keys: Map<String, Value>, secret: Option<bool> },
    Unit { name: String, enabled: Option<bool>, active: Option<bool> },
}

fn ordinary() -> String {
    "0644".to_owned()
}

fn root() -> String {
    "root".to_owned()
}

fn yes() -> bool {
    true
}

fn mode(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap()
}

impl Spec {
    fn resource(&self) -> HostResource {
        match self {
            Spec::Package { names, present } => {
                HostResource::Package(Package { set: PackageSet::Named(names.clone()), present: *present })
            }
            Spec::Engine { present } => {
                HostResource::Package(Package { set: PackageSet::DockerEngine, present: *present })
            }
            Spec::File { path, content, secret, mode: bits, owner } => {
                let content = match (content, secret) {
                    (Some(text), None) => Blob::from(text.as_str()),
                    (None, Some(text)) => Blob::Secret(Secret::new(text.as_str())),
                    _ => panic!("content or secret"),
                };
                let mode = mode(bits.as_deref().unwrap_or("0644"));
                let owner = owner.clone().unwrap_or_else(|| "root:root".to_owned());
                HostResource::File(File { path: path.clone(), wanted: Wanted::Present { content, mode, owner } })
            }
            Spec::Absent { path } => HostResource::File(File { path: path.clone(), wanted: Wanted::Absent }),
            Spec::Directory { path, mode: bits, owner } => {
                HostResource::Directory(Directory { path: path.clone(), mode: mode(bits), owner: owner.clone() })
            }
            Spec::JsonMerge { path, keys, secret } => HostResource::JsonMerge(JsonMerge {
                path: path.clone(),
                keys: keys.clone(),
                mode: 0o644,
                owner: "root:root".to_owned(),
                secret: secret.unwrap_or(false),
                kept: true,
            }),
            Spec::Unit { name, enabled, active } => {
                HostResource::Unit(Unit { name: name.clone(), enabled: *enabled, active: *active })
            }
        }
    }
}

impl Observed {
    fn answers(&self, host: &BTreeMap<String, String>) -> ProbeOutputs {
        let text = |text: &str| ProbeOutput { code: Some(0), out: text.replace("\\t", "\t").into_bytes() };
        let mut outputs: ProbeOutputs = host.iter().map(|(id, out)| (id.clone(), text(out))).collect();
        let mut lines = self.lines.clone();
        for (path, file) in &self.files {
            let (raw, size) = (0o100_000 | mode(&file.mode), file.content.len());
            let sha: String = sha2::Sha256::digest(&file.content).iter().map(|b| format!("{b:02x}")).collect();
            lines += &format!(
                "stat\t{raw:x}\t{0}\t{0}\t{1}\t{1}\t{size}\t{path}\nsha256\t{sha}\t{path}\n",
                file.uid, file.user
            );
            if file.sent {
                let encoded = base64::engine::general_purpose::STANDARD.encode(&file.content);
                lines += &format!("content\t{path}\n{encoded}\n.\n");
            }
        }
        outputs.insert("files.0".to_owned(), text(&lines));
        for (id, answer) in &self.probes {
            let output = match answer {
                Answer::Text(out) => text(out),
                Answer::Code(code) => ProbeOutput { code: Some(*code), out: Vec::new() },
            };
            outputs.insert(id.clone(), output);
        }
        outputs
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn run(path: &Path) -> Result<(), String> {
    let case: Case = read(path);
    assert!(!case.doc.is_empty());
    let host = read(&folder().join("hosts").join(format!("{}.yml", case.host)));
    let seen = HostObservation::parse(&case.observed.answers(&host)).unwrap();
    let os = Os::of(&seen.facts.os).unwrap();
    let resource = case.spec.resource();
    let verdict = resource.diff(&seen, &os);
    let got = serde_json::to_value(&verdict).unwrap();
    if got != case.expected {
        return Err(format!("{}: came to\n{}", path.display(), serde_yaml::to_string(&got).unwrap()));
    }
    if let Some(wanted) = case.written {
        let Verdict::Change(change) = &verdict else {
            return Err(format!("{}: no change", path.display()));
        };
        let written = change.ops.iter().find_map(|op| match op {
            Op::WriteFile(file) => Some(String::from_utf8_lossy(file.content.bytes()).into_owned()),
            _ => None,
        });
        if written.as_deref() != Some(wanted.as_str()) {
            return Err(format!("{}: wrote {written:?}", path.display()));
        }
    }
    assert!(!resource.title().is_empty() && !observe_plan(&[resource]).is_empty());
    Ok(())
}

#[test]
fn every_situation() {
    let mut problems = Vec::new();
    let mut count = 0;
    for kind in ["package", "file", "directory", "json_merge", "unit"] {
        for path in files_in(&folder().join(kind)) {
            count += 1;
            problems.extend(run(&path).err());
        }
    }
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n"));
    assert!(count >= 40, "only {count} situations were found");
}

/// Every host that a situation starts from can itself be read, whole.
#[test]
fn every_host() {
    for path in files_in(&folder().join("hosts")) {
        let host = read(&path);
        let seen = HostObservation::parse(&Observed::default().answers(&host)).unwrap();
        assert!(Os::of(&seen.facts.os).is_some(), "{}", path.display());
        assert!(seen.packages.problem().is_none() && seen.units.problem().is_none(), "{}", path.display());
        assert_eq!(seen.facts.disks.len(), 3, "{}", path.display());
    }
}
