//! Recorded host keys: whom we believe.
//!
//! OpenSSH's rules, in the strict reading: a host with any recorded key is only ever offered the
//! algorithms of the recorded ones, so that a stranger cannot come with a key of another kind and be
//! taken for new.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, Mac};
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey};
use sha1::Sha1;

use crate::error::{Kind, TransportError};
use crate::ssh::target::{HostKeyChecking, Target};

/// One line of a file. The key stays text until a name matches: files are long, matches few.
#[derive(Clone)]
struct Line {
    number: usize,
    marker: Option<Marker>,
    hosts: HostPatterns,
    key: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    inode: u64,
    modified: (i64, i64),
}

struct File {
    stamp: Option<Stamp>,
    lines: Arc<Vec<Line>>,
}

/// The files, read once and again when they change.
#[derive(Default)]
pub struct Files {
    files: Mutex<HashMap<PathBuf, File>>,
}

/// A recorded key and where it stands.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The key.
    pub key: PublicKey,
    /// In which file.
    pub file: PathBuf,
    /// On which line.
    pub line: usize,
}

/// Everything recorded about one host.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its keys.
    pub keys: Vec<Recorded>,
    /// Keys recorded for the same host without its port: good if they match, no evidence if not.
    pub without_port: Vec<Recorded>,
    /// Authorities that may vouch for it.
    pub authorities: Vec<Recorded>,
    /// Keys it must not use.
    pub revoked: Vec<Recorded>,
}

impl Files {
    /// Everything the target's files say about it.
    pub fn known(&self, target: &Target) -> Known {
        let mut known = Known::default();
        let name = target.recorded_name();
        let bare = (target.host_key_alias.is_none() && target.port != 22).then(|| target.address.to_lowercase());
        for path in &target.known_hosts {
            for line in self.lines(path).iter() {
                let exact = matches(&line.hosts, &name);
                let loose = !exact && bare.as_deref().is_some_and(|bare| matches(&line.hosts, bare));
                if !exact && !loose {
                    continue;
                }
                // Kinds of keys we do not know cannot be used against us, nor by us.
                let Ok(key) = PublicKey::from_openssh(&line.key) else {
                    continue;
                };
                let recorded = Recorded { key, file: path.clone(), line: line.number };
                match line.marker {
                    Some(Marker::Revoked) => known.revoked.push(recorded),
                    Some(Marker::CertAuthority) => known.authorities.push(recorded),
                    None if exact => known.keys.push(recorded),
                    None => known.without_port.push(recorded),
                }
            }
        }
        known
    }

    /// Records a new key in the target's first file.
    pub fn record(&self, target: &Target, key: &PublicKey) -> Result<(), TransportError> {
        let Some(path) = target.known_hosts.first() else {
            return Ok(());
        };
        // Held over the write, so that two hosts of ours never interleave; O_APPEND guards against others.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let text = key.to_openssh().map_err(|e| e.to_string()).and_then(|key| {
            append(path, &target.recorded_name(), &key).map_err(|e| e.to_string())?;
            Ok(key)
        });
        let text = text.map_err(|reason| {
            TransportError::new(
                Kind::HostKey,
                format!("the key of {} could not be recorded in {}: {reason}", target.name, path.display()),
                format!("make it writable: ls -l {}", path.display()),
            )
        })?;
        if let Some(file) = files.get_mut(path)
            && let Ok(hosts) = target.recorded_name().parse()
        {
            let lines = Arc::make_mut(&mut file.lines);
            let number = lines.last().map_or(1, |l| l.number + 1);
            lines.push(Line { number, marker: None, hosts, key: text });
            file.stamp = stamp(path);
        }
        Ok(())
    }

    fn lines(&self, path: &Path) -> Arc<Vec<Line>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(path);
        if let Some(file) = files.get(path)
            && file.stamp == now
        {
            return file.lines.clone();
        }
        let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines = Arc::new(text.lines().enumerate().filter_map(|(i, line)| parse(i + 1, line)).collect());
        files.insert(path.to_owned(), File { stamp: now, lines: Arc::clone(&lines) });
        lines
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some(Stamp { length: data.len(), inode: data.ino(), modified: (data.mtime(), data.mtime_nsec()) })
}

fn parse(number: usize, line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace();
    let mut first = words.next().filter(|w| !w.starts_with('#'))?;
    let mut marker = None;
    if first.starts_with('@') {
        marker = Some(first.parse().ok()?);
        first = words.next()?;
    }
    let (kind, key) = (words.next()?, words.next()?);
    Some(Line { number, marker, hosts: lower_case(first)?, key: format!("{kind} {key}") })
}

/// Patterns compare in lower case; a hash must stay as it is.
fn lower_case(names: &str) -> Option<HostPatterns> {
    Some(match names.parse().ok()? {
        HostPatterns::Patterns(list) => HostPatterns::Patterns(list.iter().map(|p| p.to_lowercase()).collect()),
        hashed => hashed,
    })
}

fn matches(hosts: &HostPatterns, name: &str) -> bool {
    match hosts {
        HostPatterns::Patterns(list) => {
            let hit = |pattern: &str| wildcard(pattern.as_bytes(), name.as_bytes());
            let refused = list.iter().filter_map(|p| p.strip_prefix('!')).any(hit);
            !refused && list.iter().filter(|p| !p.starts_with('!')).any(|p| hit(p))
        }
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
    }
}

/// `*` and `?`, and nothing else.
pub(crate) fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

fn append(path: &Path, name: &str, key: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut line = format!("{name} {key}\n");
    // Somebody's editor may have left the last line without an end.
    let data = file.metadata()?;
    if data.is_file() && data.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.insert(0, '\n');
        }
    }
    // One write: with O_APPEND it is whole or absent for every reader.
    file.write_all(line.as_bytes())
}

/// The host key algorithms this build can verify, best first.
pub fn supported() -> Vec<Algorithm> {
    let curve = |curve| Algorithm::Ecdsa { curve };
    let mut list =
        vec![Algorithm::Ed25519, curve(EcdsaCurve::NistP256), curve(EcdsaCurve::NistP384), curve(EcdsaCurve::NistP521)];
    if cfg!(feature = "rsa") {
        // Never plain ssh-rsa: that is SHA-1.
        list.extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }));
    }
    list
}

impl Known {
    /// The algorithms to offer: those of the recorded keys if there are any, else all.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let same = |a: &Algorithm, key: &PublicKey| match (a, key.algorithm()) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (a, b) => *a == b,
        };
        let of = |keys: &[Recorded], a: &Algorithm| keys.iter().any(|r| same(a, &r.key));
        let mut list = supported();
        if self.keys.is_empty() {
            list.sort_by_key(|a| !of(&self.without_port, a));
        } else {
            list.retain(|a| of(&self.keys, a));
        }
        list
    }

    /// The algorithms to ask a certificate for.
    pub fn certificate_algorithms(&self) -> Vec<Algorithm> {
        if self.authorities.is_empty() { Vec::new() } else { supported() }
    }

    /// Judges a bare key. `Ok(true)`: it is new and to be recorded.
    pub fn judge(&self, target: &Target, key: &PublicKey) -> Result<bool, TransportError> {
        let shown = key.fingerprint(HashAlg::Sha256);
        self.not_revoked(target, key)?;
        let same = |r: &&Recorded| r.key.key_data() == key.key_data();
        if self.keys.iter().any(|r| same(&r)) || self.without_port.iter().any(|r| same(&r)) {
            return Ok(false);
        }
        if let Some(old) = self.keys.iter().find(|r| r.key.algorithm() == key.algorithm()).or(self.keys.first()) {
            return Err(changed(target, old, &format!("it now shows {} {shown}", key.algorithm())));
        }
        match target.host_key_checking {
            HostKeyChecking::AcceptNew => Ok(true),
            HostKeyChecking::Strict => Err(TransportError::new(
                Kind::HostKey,
                format!("the key of {} is not known: {} {shown}", target.recorded_name(), key.algorithm()),
                unknown_hint(target),
            )),
        }
    }

    /// Judges a host certificate at a time given in seconds since 1970.
    pub fn judge_certificate(&self, target: &Target, cert: &Certificate, now: u64) -> Result<(), TransportError> {
        let refuse = |why: String| {
            TransportError::new(
                Kind::HostKey,
                format!("the host certificate of {} ({:?}) is refused: {why}", target.name, cert.key_id()),
                "have the certificate authority issue a new one for this name: ssh-keygen -s CA -h -n NAME …",
            )
        };
        self.not_revoked(target, &PublicKey::from(cert.public_key().clone()))?;
        self.not_revoked(target, &PublicKey::from(cert.signature_key().clone()))?;
        if !cert.cert_type().is_host() {
            return Err(refuse("it is a user's certificate".into()));
        }
        let trusted: Vec<_> = self.authorities.iter().map(|r| r.key.fingerprint(HashAlg::Sha256)).collect();
        if !trusted.contains(&cert.signature_key().fingerprint(HashAlg::Sha256)) {
            return Err(refuse("its authority is not one recorded for this host".into()));
        }
        let name = match &target.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None => target.address.to_lowercase(),
        };
        // An empty list would stand for every host there is.
        let names = cert.valid_principals();
        if !names.iter().any(|p| wildcard(p.to_lowercase().as_bytes(), name.as_bytes())) {
            return Err(refuse(format!("it is for {}, not for {name}", names.join(", "))));
        }
        if cert.critical_options().iter().next().is_some() {
            return Err(refuse("it has critical options, and none is defined for hosts".into()));
        }
        cert.validate_at(now, &trusted).map_err(|_| refuse("it is not valid now, or its signature is wrong".into()))
    }

    /// The error for a server that has no key of any algorithm we offered.
    pub fn nothing_in_common(&self, target: &Target, theirs: &[String]) -> TransportError {
        match self.keys.first() {
            Some(old) => changed(target, old, &format!("it now has only {}", theirs.join(", "))),
            None => TransportError::new(
                Kind::HostKey,
                format!("{} has no host key of a kind we can verify, only {}", target.name, theirs.join(", ")),
                "create one on the host: ssh-keygen -A",
            ),
        }
    }

    fn not_revoked(&self, target: &Target, key: &PublicKey) -> Result<(), TransportError> {
        match self.revoked.iter().find(|r| r.key.key_data() == key.key_data()) {
            None => Ok(()),
            Some(line) => Err(TransportError::new(
                Kind::HostKey,
                format!("{} uses a key revoked in {}:{}", target.name, line.file.display(), line.line),
                "do not connect; give the host a new key: rm /etc/ssh/ssh_host_*; ssh-keygen -A",
            )),
        }
    }
}

fn changed(target: &Target, old: &Recorded, now: &str) -> TransportError {
    let (name, file) = (target.recorded_name(), old.file.display());
    TransportError::new(
        Kind::HostKey,
        format!(
            "the key of {name} has changed, or somebody is in between: {file}:{} has {} {}, {now}",
            old.line,
            old.key.algorithm(),
            old.key.fingerprint(HashAlg::Sha256)
        ),
        format!("if the host was rebuilt: ssh-keygen -R {} -f {file}", crate::quote::quote(&name)),
    )
}

fn unknown_hint(target: &Target) -> String {
    let file = target.known_hosts.first().map_or("~/.ssh/known_hosts".into(), |f| f.display().to_string());
    let port = if target.port == 22 { String::new() } else { format!("-p {} ", target.port) };
    let scan = match target.jump.is_empty() {
        true => format!("ssh-keyscan {port}{} >> {file}", target.address),
        false => format!("{} # and answer yes", target.ssh_command()),
    };
    format!("compare the fingerprint, then: {scan} (or -o StrictHostKeyChecking=accept-new)")
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

    use super::*;

    fn key(seed: u8) -> PublicKey {
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32]));
        PrivateKey::new(pair, "").unwrap().public_key().clone()
    }

    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

    struct Case {
        folder: PathBuf,
        files: Files,
        target: Target,
    }

    impl Drop for Case {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn case(name: &str, port: u16, text: &str) -> Case {
        let unique: u64 = rand::random();
        let folder = std::env::temp_dir().join(format!("reemo-known-{unique:x}"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("known_hosts");
        std::fs::write(&file, text).unwrap();
        let mut target = Target::new("web", name, "root");
        target.port = port;
        target.known_hosts = vec![file];
        Case { folder, files: Files::default(), target }
    }

    fn line(pattern: &str, key: &PublicKey) -> String {
        format!("{pattern} {}\n", key.to_openssh().unwrap())
    }

    /// `Ok(new)` or the kind of refusal.
    fn judge(name: &str, port: u16, text: &str, checking: HostKeyChecking, shown: &PublicKey) -> Result<bool, String> {
        let mut case = case(name, port, text);
        case.target.host_key_checking = checking;
        case.files.known(&case.target).judge(&case.target, shown).map_err(|e| {
            assert_eq!(e.kind, Kind::HostKey);
            e.message.split([':', '(']).next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn names_and_patterns() {
        use HostKeyChecking::{AcceptNew, Strict};
        let (k, other) = (key(1), key(2));
        let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ";
        // What ssh-keygen -H makes of "192.168.1.61".
        let hashed = format!("{hashed}{}\n", k.to_openssh().unwrap());
        let table: [(&str, u16, String, bool); 16] = [
            ("web1", 22, line("web1", &k), true),
            ("WEB1", 22, line("web1", &k), true),
            ("web1", 22, line("Web1,web2", &k), true),
            ("web1", 22, line("web?", &k), true),
            ("web1.example.org", 22, line("*.example.org", &k), true),
            ("web1.example.org", 22, line("!web1.*,*.example.org", &k), false),
            ("web1", 2222, line("[web1]:2222", &k), true),
            ("web1", 2222, line("[web1]:2223", &k), false),
            ("web1", 2222, line("[web*]:2222", &k), true),
            ("web1", 2222, line("web1", &k), true),
            ("web1", 22, line("[web1]:2222", &k), false),
            ("web1", 22, format!("# web1\n\nnonsense\n@foo web1 x y\n{}", line("  web1", &k)), true),
            ("web1", 22, format!("web1\t{}", k.to_openssh().unwrap()), true),
            ("192.168.1.61", 22, hashed.clone(), true),
            ("192.168.1.62", 22, hashed, false),
            ("web1", 22, line("web1", &other) + &line("web1", &k), true),
        ];
        for (name, port, text, known) in table {
            let expected = if known { Ok(false) } else { Err(()) };
            assert_eq!(judge(name, port, &text, Strict, &k).map_err(|_| ()), expected, "{name}:{port} in {text}");
            if !known {
                assert_eq!(judge(name, port, &text, AcceptNew, &k), Ok(true), "{name}:{port} in {text}");
            }
        }
    }

    #[test]
    fn changed_other_algorithm_and_revoked_are_refused_even_when_new_ones_are_welcome() {
        use HostKeyChecking::AcceptNew;
        let (k, other) = (key(1), key(2));
        let changed = "the key of web1 has changed, or somebody is in between";
        assert_eq!(judge("web1", 22, &line("web1", &other), AcceptNew, &k), Err(changed.into()));
        assert_eq!(judge("web1", 22, &format!("web1 {ECDSA}\n"), AcceptNew, &k), Err(changed.into()));
        let revoked = format!("@revoked * {}\n{}", k.to_openssh().unwrap(), line("web1", &k));
        assert!(judge("web1", 22, &revoked, AcceptNew, &k).unwrap_err().contains("revoked"));
        // A key of the port-less name is no evidence against one of this port.
        assert_eq!(judge("web1", 2222, &line("web1", &other), AcceptNew, &k), Ok(true));
        // An authority says nothing about bare keys.
        let authority = format!("@cert-authority * {}\n", other.to_openssh().unwrap());
        assert_eq!(judge("web1", 22, &authority, AcceptNew, &k), Ok(true));
        assert!(judge("web1", 22, &authority, HostKeyChecking::Strict, &other).is_err());
    }

    #[test]
    fn only_recorded_algorithms_are_offered() {
        let case1 = case("web1", 22, &format!("web1 {ECDSA}\n"));
        let known = case1.files.known(&case1.target);
        assert_eq!(known.algorithms(), [Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }]);
        let error = known.nothing_in_common(&case1.target, &["ssh-ed25519".into()]);
        assert!(error.message.contains("has changed") && error.hint.contains("ssh-keygen -R web1"));
        let case2 = case("web2", 22, "");
        assert_eq!(case2.files.known(&case2.target).algorithms(), supported());
        // Without its port: preferred, not required.
        let case3 = case("web1", 2222, &format!("web1 {ECDSA}\n"));
        let list = case3.files.known(&case3.target).algorithms();
        assert_eq!(list[0], Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
        assert_eq!(list.len(), supported().len());
    }

    #[test]
    fn new_keys_are_recorded_for_us_and_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let mut case = case("web1", 2222, "");
        let fresh = case.folder.join("new/known_hosts");
        case.target.known_hosts = vec![fresh.clone()];
        case.target.host_key_checking = HostKeyChecking::AcceptNew;
        let judge = |case: &Case, seed| case.files.known(&case.target).judge(&case.target, &key(seed));
        assert!(judge(&case, 1).unwrap());
        case.files.record(&case.target, &key(1)).unwrap();
        assert!(!judge(&case, 1).unwrap());
        assert!(judge(&case, 2).is_err());
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&fresh), mode(fresh.parent().unwrap())), (0o600, 0o700));
        assert!(std::fs::read_to_string(&fresh).unwrap().starts_with("[web1]:2222 ssh-ed25519 "));
        // A last line without an end stays a line of its own, and what others write is seen.
        std::fs::write(&fresh, line("other", &key(3)).trim_end()).unwrap();
        case.files.record(&case.target, &key(2)).unwrap();
        assert_eq!(std::fs::read_to_string(&fresh).unwrap().lines().count(), 2);
        assert!(!judge(&case, 2).unwrap());
    }

    #[test]
    fn wildcards() {
        for (pattern, text, hit) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?", "", false),
            ("a**b", "ab", true),
            ("*a*a*", "banana", true),
            ("[a]:1", "[a]:1", true),
            ("", "x", false),
        ] {
            assert_eq!(wildcard(pattern.as_bytes(), text.as_bytes()), hit, "{pattern} {text}");
        }
    }
}
