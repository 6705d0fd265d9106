//! A world for lookups that knows only what it is told; what it is not told is an error.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reemo_model::template::World;

/// The strict fake.
#[derive(Debug, Default)]
pub struct Fake {
    pub env: BTreeMap<String, String>,
    pub files: Mutex<BTreeMap<PathBuf, String>>,
    pub commands: BTreeMap<String, String>,
    pub writable: bool,
    pub kept: Mutex<Vec<PathBuf>>,
    pub asked: AtomicUsize,
}

/// The world the tables were recorded in: `files.yml` in the folder `$base`.
pub fn oracle() -> Arc<dyn World> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates/files.yml")).unwrap();
    let files: BTreeMap<String, String> = serde_yaml::from_str(&text).unwrap();
    Arc::new(Fake {
        env: [("ORACLE_ENV", "from the environment"), ("HOME", "/root")].map(|(a, b)| (a.into(), b.into())).into(),
        files: Mutex::new(files.into_iter().map(|(name, text)| (Path::new("$base").join(name), text)).collect()),
        commands: [("echo one; echo two", "one\ntwo\n")].map(|(a, b)| (a.into(), b.into())).into(),
        writable: true,
        ..Fake::default()
    })
}

impl World for Fake {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn candidates(&self, path: &str, folder: Option<&str>) -> Vec<PathBuf> {
        match (path.starts_with("$base") || path.starts_with('/'), folder) {
            (true, _) => vec![PathBuf::from(path)],
            (false, None) => vec![Path::new("$base").join(path)],
            (false, Some(folder)) => vec![Path::new("$base").join(folder).join(path), Path::new("$base").join(path)],
        }
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        Ok(self.files.lock().unwrap().get(path).map(|t| t.clone().into_bytes()))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.lock().unwrap().keys().any(|p| p.starts_with(path))
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let pattern = pattern.display().to_string();
        let (before, after) =
            pattern.split_once('*').ok_or_else(|| "the fake knows patterns with one `*`".to_owned())?;
        let fits = |p: &&PathBuf| {
            let text = p.display().to_string();
            text.starts_with(before) && text.ends_with(after) && !text[before.len()..].contains('/')
        };
        Ok(self.files.lock().unwrap().keys().filter(fits).cloned().collect())
    }

    fn pipe(&self, command: &str) -> Result<Vec<u8>, String> {
        let known = self.commands.get(command).map(|t| t.clone().into_bytes());
        known.ok_or_else(|| format!("the fake was not told about `{command}`"))
    }

    fn keep(&self, path: &Path, content: &str, replace: bool) -> Result<String, String> {
        if !self.writable {
            return Ok(content.to_owned());
        }
        let mut files = self.files.lock().unwrap();
        if replace || !files.contains_key(path) {
            files.insert(path.to_path_buf(), content.to_owned());
            self.kept.lock().unwrap().push(path.to_path_buf());
        }
        Ok(files[path].clone())
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        bytes.iter_mut().enumerate().for_each(|(n, b)| *b = (n * 37 + asked * 11) as u8);
        Ok(())
    }

    fn now(&self) -> Result<f64, String> {
        Ok(1_700_000_000.0)
    }
}
