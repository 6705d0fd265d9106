//! The world that lookups see: files beside the inventory, the environment, commands where they are allowed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::TryRngCore;
use reemo_model::template::World;
use reemo_model::vault::{self, Vault};

/// The longest a command of `lookup('pipe', …)` may run.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest file a lookup reads.
const LARGEST: u64 = 16 << 20;

/// The control machine.
#[derive(Debug)]
pub struct Outside {
    folders: Vec<PathBuf>,
    allow_pipe: bool,
    vault: Arc<Vault>,
    new: Mutex<BTreeMap<PathBuf, New>>,
}

/// A password that was generated and is not yet written.
#[derive(Debug)]
struct New {
    content: String,
    replaces: Option<Vec<u8>>,
}

impl Outside {
    /// `inventory`: as given with `-i`; files are looked for beside each. `vault` opens those that are encrypted.
    pub fn new(inventory: &[String], allow_pipe: bool, vault: Arc<Vault>) -> Self {
        let mut folders: Vec<PathBuf> = Vec::new();
        for source in inventory.iter().filter(|s| !s.contains(',')) {
            let path = std::path::absolute(source).unwrap_or_else(|_| PathBuf::from(source));
            let folder = if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_path_buf) };
            folders.extend(folder.filter(|f| !folders.contains(f)));
        }
        let here = std::env::current_dir().ok();
        folders.extend(here.filter(|f| !folders.contains(f)));
        Outside { folders, allow_pipe, vault, new: Mutex::default() }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, New>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the passwords that were generated, for their owner only. Only a run that changes hosts does:
    /// what merely looks leaves no files behind.
    pub fn save(&self) -> Result<(), String> {
        for (path, new) in std::mem::take(&mut *self.pending()) {
            let failed = |e: std::io::Error| format!("cannot write the password file {}: {e}", path.display());
            if let Some(folder) = path.parent() {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let Some(before) = new.replaces else {
                options.open(&path).and_then(|mut f| f.write_all(new.content.as_bytes())).map_err(failed)?;
                continue;
            };
            if std::fs::read(&path).map_err(failed)? != before {
                return Err(format!("the password file {} was changed meanwhile; run again", path.display()));
            }
            let mut name = path.clone().into_os_string();
            name.push(format!(".{}.new", std::process::id()));
            let beside = PathBuf::from(name);
            options.open(&beside).and_then(|mut f| f.write_all(new.content.as_bytes())).map_err(failed)?;
            std::fs::rename(&beside, &path).map_err(failed)?;
        }
        Ok(())
    }
}

impl World for Outside {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn candidates(&self, path: &str, folder: Option<&str>) -> Vec<PathBuf> {
        let home = path.strip_prefix("~/").and_then(|rest| Some(Path::new(&std::env::var_os("HOME")?).join(rest)));
        let path = home.unwrap_or_else(|| PathBuf::from(path));
        if path.is_absolute() {
            return vec![path];
        }
        let inside = |base: &PathBuf| folder.map(|f| base.join(f).join(&path)).into_iter().chain([base.join(&path)]);
        self.folders.iter().flat_map(inside).collect()
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if let Some(new) = self.pending().get(path) {
            return Ok(Some(new.content.clone().into_bytes()));
        }
        let failed = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            return Err(format!("{} is larger than {} MiB", path.display(), LARGEST >> 20));
        }
        if !vault::is_vault(&bytes) {
            return Ok(Some(bytes));
        }
        let opened = self.vault.open(&bytes).map_err(|e| format!("{}: {e}; {}", path.display(), e.help()))?;
        vault::protect(&String::from_utf8_lossy(&opened.plain));
        Ok(Some(opened.plain.to_vec()))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { return Ok(Vec::new()) };
        let regex = shell_pattern(&name.to_string_lossy()).ok_or("the pattern of names is not well formed")?;
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
        let dotted = name.to_string_lossy().starts_with('.');
        let named = |n: &str| regex.is_match(n) && (dotted || !n.starts_with('.'));
        let fits = |p: &PathBuf| p.is_file() && p.file_name().is_some_and(|n| named(&n.to_string_lossy()));
        let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(fits).collect();
        found.sort();
        Ok(found)
    }

    fn pipe(&self, command: &str) -> Result<Vec<u8>, String> {
        if !self.allow_pipe {
            return Err("it runs a command on this machine, which is off; --allow-pipe allows it".into());
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = self.folders.first() {
            shell.current_dir(folder);
        }
        let mut child = shell.spawn().map_err(|e| format!("cannot start a shell: {e}"))?;
        let reader = |pipe: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.map(|p| p.take(LARGEST).read_to_end(&mut bytes));
                bytes
            })
        };
        let out = reader(child.stdout.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
        let said = reader(child.stderr.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
        let started = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("the command did not end within {} s", PATIENCE.as_secs()));
                }
                Err(e) => return Err(e.to_string()),
            }
        };
        if !status.success() {
            let said = said.join().unwrap_or_default();
            return Err(format!("the command ended with {status}: {}", String::from_utf8_lossy(&said).trim()));
        }
        Ok(out.join().unwrap_or_default())
    }

    fn keep(&self, path: &Path, content: &str, replace: bool) -> Result<String, String> {
        let mut pending = self.pending();
        if let Some(new) = pending.get_mut(path) {
            if replace {
                content.clone_into(&mut new.content);
            }
            return Ok(new.content.clone());
        }
        let replaces = if replace { std::fs::read(path).ok() } else { None };
        pending.insert(path.to_path_buf(), New { content: content.to_owned(), replaces });
        Ok(content.to_owned())
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        rand::rngs::OsRng.try_fill_bytes(bytes).map_err(|e| format!("the system gives no random numbers: {e}"))
    }

    fn now(&self) -> Result<f64, String> {
        Ok(jiff::Timestamp::now().as_second() as f64)
    }
}

/// `*`, `?` and `[…]` of a name; a leading dot is only found by a dot.
fn shell_pattern(pattern: &str) -> Option<regex::Regex> {
    let mut out = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' | ']' | '-' => out.push(c),
            '!' => out.push('^'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex::Regex::new(&format!("{out}$")).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use reemo_model::inventory::{self, Memory};
    use reemo_model::secret::{Secret, scrub};
    use reemo_model::template::{Engine, Scope, Value};
    use reemo_model::vars::Vars;
    use reemo_model::vault::{Password, seal};

    use super::*;

    fn outside(folder: &Path, allow_pipe: bool) -> Arc<Outside> {
        outside_with(folder, allow_pipe, Vec::new())
    }

    fn outside_with(folder: &Path, allow_pipe: bool, passwords: Vec<Password>) -> Arc<Outside> {
        let inventory = folder.join("inventory.yml").display().to_string();
        Arc::new(Outside::new(&[inventory], allow_pipe, Arc::new(Vault::new(passwords))))
    }

    fn ask(world: &Arc<Outside>, text: &str) -> Result<String, String> {
        let loaded = inventory::load(&Memory::new(), &["h,".to_owned()], &Default::default());
        let vars = Arc::new(Vars::new(Arc::new(loaded.inventory)));
        let scope = Scope::new(&Engine::in_world(world.clone(), |_| {}), vars.of_host("h"));
        let value = scope.template(&format!("{{{{ {text} }}}}"), Value::UNDEFINED);
        value.map(|v| v.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_password_is_one_in_a_run_and_written_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets/db");
        let world = outside(dir.path(), false);
        let first = ask(&world, "lookup('password', 'secrets/db length=12')").unwrap();
        assert_eq!(first.len(), 12);
        assert_eq!(ask(&world, "lookup('password', 'secrets/db')").unwrap(), first);
        assert!(!file.exists(), "looking writes nothing");
        world.save().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{first}\n"));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let later = outside(dir.path(), false);
        assert_eq!(ask(&later, "lookup('password', 'secrets/db')").unwrap(), first);
        // A hash needs a salt, which is then kept beside the password.
        let hash = ask(&later, "lookup('password', 'secrets/db encrypt=md5_crypt')").unwrap();
        assert!(hash.starts_with("$1$"), "{hash}");
        later.save().unwrap();
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(kept.starts_with(&format!("{first} salt=")), "{kept}");
        assert_eq!(mode(&file), 0o600);
        let again = outside(dir.path(), false);
        assert_eq!(ask(&again, "lookup('password', 'secrets/db encrypt=md5_crypt')").unwrap(), hash);
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_password_somebody_wrote_meanwhile_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let world = outside(dir.path(), false);
        ask(&world, "lookup('password', 'pw')").unwrap();
        std::fs::write(dir.path().join("pw"), "theirs\n").unwrap();
        assert!(world.save().unwrap_err().contains("pw"));
        assert_eq!(std::fs::read_to_string(dir.path().join("pw")).unwrap(), "theirs\n");
    }

    #[test]
    fn commands_run_only_where_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let refused = ask(&outside(dir.path(), false), "lookup('pipe', 'echo x > ran; echo yes')").unwrap_err();
        assert!(refused.contains("--allow-pipe"), "{refused}");
        assert!(!dir.path().join("ran").exists());
        let allowed = outside(dir.path(), true);
        assert_eq!(ask(&allowed, "lookup('pipe', 'echo x > ran; echo yes')").unwrap(), "yes");
        assert!(dir.path().join("ran").exists());
        let failed = ask(&allowed, "lookup('pipe', 'echo reason >&2; exit 3')").unwrap_err();
        assert!(failed.contains("reason") && failed.contains('3'), "{failed}");
    }

    #[test]
    fn an_encrypted_file_is_opened_and_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = seal(b"a-secret-in-a-file\n", b"pw", &[7; 32], None);
        std::fs::write(dir.path().join("sealed"), sealed).unwrap();
        let closed = ask(&outside(dir.path(), false), "lookup('file', 'sealed')").unwrap_err();
        assert!(closed.contains("sealed") && closed.contains("password"), "{closed}");
        assert_eq!(scrub("a-secret-in-a-file"), "a-secret-in-a-file", "the control: not known yet");
        let password = Password { label: "default".to_owned(), secret: Secret::new("pw") };
        let open = outside_with(dir.path(), false, vec![password]);
        for lookup in ["file", "unvault"] {
            let found = ask(&open, &format!("lookup('{lookup}', 'sealed') | trim")).unwrap();
            assert_eq!(found, "a-secret-in-a-file", "{lookup}");
        }
        assert!(!scrub("x a-secret-in-a-file x").contains("a-secret-in-a-file"));
    }

    #[test]
    fn files_stand_beside_the_inventory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("files")).unwrap();
        std::fs::write(dir.path().join("files/a.txt"), "in files\n").unwrap();
        std::fs::write(dir.path().join("a.txt"), "beside\n").unwrap();
        std::fs::write(dir.path().join("b.conf"), "b\n").unwrap();
        std::fs::write(dir.path().join(".hidden.conf"), "b\n").unwrap();
        let world = outside(dir.path(), false);
        assert_eq!(ask(&world, "lookup('file', 'a.txt')").unwrap(), "in files");
        assert_eq!(ask(&world, "q('fileglob', '*.conf') | map('basename') | join(',')").unwrap(), "b.conf");
        assert_eq!(ask(&world, "lookup('first_found', ['none', 'b.conf']) | basename").unwrap(), "b.conf");
        let missing = ask(&world, "lookup('file', 'none.txt')").unwrap_err();
        assert!(missing.contains(&dir.path().join("files/none.txt").display().to_string()), "{missing}");
    }
}
