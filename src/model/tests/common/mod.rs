//! Running one case through our reader and through `ansible-inventory`.
//!
//! The oracle is asked when `REEMO_ANSIBLE_INVENTORY` names the program (`make oracle` installs one).
#![allow(dead_code)] // Each test that includes this uses a part of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub mod dice;
pub mod oracle;

use oracle::Oracle;
use reemo_model::inventory::list::{Format, Printer};
use reemo_model::inventory::{self, Options, SourceError, Sources, pattern};
use reemo_model::secret::Secret;
use reemo_model::vars::{Vars, extra};
use reemo_model::vault::{Password, Vault};
use reemo_model::yaml;
use serde_json::Value as Json;

/// The disk, below a directory.
pub struct Disk(pub PathBuf);

impl Disk {
    fn error(error: &std::io::Error) -> SourceError {
        SourceError { message: error.to_string(), missing: error.kind() == std::io::ErrorKind::NotFound }
    }
}

impl Sources for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        std::fs::read(self.0.join(path)).map_err(|e| Self::error(&e))
    }
    fn list(&self, path: &Path) -> Result<Vec<String>, SourceError> {
        let entries = std::fs::read_dir(self.0.join(path)).map_err(|e| Self::error(&e))?;
        Ok(entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.0.join(path).is_dir()
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.join(path).exists()
    }
    fn is_executable(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(self.0.join(path)).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }
    fn absolute(&self, path: &Path) -> PathBuf {
        self.0.join(path).components().filter(|c| *c != std::path::Component::CurDir).collect()
    }
    fn run(&self, path: &Path, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let output = Command::new(self.0.join(path)).args(args).output().map_err(|e| Self::error(&e))?;
        Ok(output.stdout)
    }
}

/// How an answer begins that is a refusal.
pub const REFUSED: &str = "\"refused\"";

/// The disk, and vault passwords.
struct WithVault {
    disk: Disk,
    vault: Vault,
}

impl Sources for WithVault {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        self.disk.read(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<String>, SourceError> {
        self.disk.list(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.disk.is_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn is_executable(&self, path: &Path) -> bool {
        self.disk.is_executable(path)
    }
    fn run(&self, path: &Path, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        self.disk.run(path, args)
    }
    fn absolute(&self, path: &Path) -> PathBuf {
        self.disk.absolute(path)
    }
    fn vault(&self) -> Option<&Vault> {
        Some(&self.vault)
    }
}

/// One inventory and how it is asked.
pub struct Case {
    pub path: PathBuf,
    pub args: Vec<String>,
    pub files: BTreeMap<String, String>,
    /// Files with the executable bit that are no scripts.
    pub executable: Vec<String>,
    pub expected: Option<String>,
    /// Ansible must refuse what it cannot parse, instead of going on with a warning.
    pub strict: bool,
}

/// Reads a `.case` file.
pub fn parse(path: PathBuf) -> Case {
    let text = std::fs::read_to_string(&path).unwrap();
    let mut case = Case::new(path, Vec::new());
    for part in text.split("=== ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        match head.split_once(' ').unwrap_or((head, "")) {
            ("args", args) => case.args = args.split(' ').map(str::to_owned).collect(),
            ("file", name) => drop(case.files.insert(name.to_owned(), body.to_owned())),
            ("executable", name) => {
                case.executable.push(name.to_owned());
                case.files.insert(name.to_owned(), body.to_owned());
            }
            ("expected", _) => case.expected = Some(body.to_owned()),
            (other, _) => panic!("{}: {other}", case.path.display()),
        }
    }
    case
}

impl Case {
    pub fn new(path: PathBuf, args: Vec<String>) -> Self {
        Case { path, args, files: BTreeMap::new(), executable: Vec::new(), expected: None, strict: true }
    }

    /// Writes the files into a directory of their own.
    pub fn lay_out(&self) -> PathBuf {
        let name = self.path.file_stem().unwrap().to_string_lossy().into_owned();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("case-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for (file, text) in &self.files {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            if text.starts_with("#!") || self.executable.contains(file) {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn values(&self, flag: &str) -> Vec<String> {
        let pairs = self.args.iter().zip(self.args.iter().skip(1));
        pairs.filter(|(a, _)| *a == flag).map(|(_, b)| b.clone()).collect()
    }

    fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|a| a == flag)
    }

    /// Of the files that `--vault-id` and `--vault-password-file` name.
    fn passwords(&self) -> Vec<Password> {
        let plain = self.values("--vault-password-file").into_iter().map(|file| format!("default@{file}"));
        let read = |id: String| {
            let (label, file) = id.split_once('@')?;
            Some(Password { label: label.to_owned(), secret: Secret::unregistered(self.files.get(file)?.trim()) })
        };
        self.values("--vault-id").into_iter().chain(plain).filter_map(read).collect()
    }

    /// What we print.
    pub fn ours(&self, dir: &Path) -> String {
        let disk = WithVault { disk: Disk(dir.to_path_buf()), vault: Vault::new(self.passwords()) };
        let options = Options { working_dir: Some(PathBuf::from(".")), ..Options::default() };
        let mut loaded = inventory::load(&disk, &self.values("-i"), &options);
        let extra = extra::parse(&self.values("-e"), &disk, &mut loaded.texts, &mut loaded.diagnostics);
        if loaded.diagnostics.has_errors() {
            return format!("{REFUSED}\n{}", loaded.diagnostics.render());
        }
        // Both ignore the limit.
        let ignored = self.has("--graph") || self.has("--host");
        let limit = match self.values("-l").first().filter(|_| !ignored).map(|l| pattern::select(&loaded.inventory, l))
        {
            Some(Ok(selection)) => Some(selection.hosts),
            Some(Err(error)) => return format!("{REFUSED}\n{error}"),
            None => None,
        };
        let vars = Vars::new(Arc::new(loaded.inventory)).with_extra(extra).with_vault(Arc::new(disk.vault));
        let printer = Printer::new(&vars, Format { export: self.has("--export"), limit: limit.as_deref() });
        if self.has("--graph") {
            match printer.graph("all", self.has("--vars")) {
                Ok(text) => text.unwrap() + "\n",
                Err(error) => format!("{REFUSED}\n{}", error.render()),
            }
        } else if let Some(host) = self.values("--host").first() {
            if vars.inventory().host(host).is_none() {
                return format!("{REFUSED}\nno host {host}");
            }
            printer.host_text(host) + "\n"
        } else if self.has("-y") {
            printer.yaml_text() + "\n"
        } else {
            printer.list_text() + "\n"
        }
    }

    /// What Ansible prints; `"refused"` and its message when it ends with an error.
    pub fn theirs(&self, dir: &Path, oracle: &mut Oracle) -> String {
        let mut args = self.args.clone();
        if !self.has("--graph") && !self.has("--host") {
            args.push("--list".to_owned());
        }
        let answer = oracle.inventory(&args, dir, self.strict, true);
        if answer.code == 0 { answer.out } else { format!("\"refused\"\n{}", answer.err) }
    }

    pub fn same(&self, ours: &str, theirs: &str) -> bool {
        if ours.starts_with(REFUSED) || theirs.starts_with(REFUSED) {
            return ours.starts_with(REFUSED) && theirs.starts_with(REFUSED);
        }
        if self.has("-y") {
            let json =
                |text: &str| yaml::parse_str(text).map(|n| n.to_json()).unwrap_or_else(|e| panic!("{e}: {text}"));
            return json(ours) == json(theirs);
        }
        if self.has("--graph") {
            return ours == theirs;
        }
        let json = |text: &str| serde_json::from_str::<Json>(text).ok();
        ours == theirs || (json(ours).is_some() && json(ours) == json(theirs))
    }
}
