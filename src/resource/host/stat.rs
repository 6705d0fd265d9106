//! What is at a path: asked for all paths of a host at once.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reemo_model::quote::sh_quote;

use super::path;
use super::text::{SHOWN, sha256};
use crate::probe::Probe;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Nothing is.
    Absent {
        /// The nearest directory above that exists.
        ancestor: String,
    },
    /// The login is not allowed to look.
    Hidden,
    /// Something is.
    There(Stat),
}

/// The kind of thing at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link to a directory.
    LinkToDirectory,
    /// Symbolic link to anything else, or to nothing.
    Link,
    /// Device, socket, pipe.
    Other,
}

/// Owner, mode and content of what is at a path. Of a link to a directory: those of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Owner; `UNKNOWN` when the number has no name.
    pub user: String,
    /// Group; `UNKNOWN` when the number has no name.
    pub group: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of a regular file that can be read, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Its content, if it was asked for, differed from what is wanted, and is at most 64 KiB.
    pub content: Option<Vec<u8>>,
}

impl Stat {
    /// True if `owner` (`user:group`, names or numbers; `user` alone) is who owns it.
    pub fn is_owned_by(&self, owner: &str) -> bool {
        let same = |wanted: &str, name: &str, id: u32| match wanted.parse::<u32>() {
            Ok(number) => number == id,
            Err(_) => wanted == name,
        };
        match owner.split_once(':') {
            Some((user, group)) => same(user, &self.user, self.uid) && same(group, &self.group, self.gid),
            None => same(owner, &self.user, self.uid),
        }
    }

    /// The owner, in names or numbers as `like` has it.
    pub fn owner_like(&self, like: &str) -> String {
        let part = |like: &str, name: &str, id: u32| match like.parse::<u32>() {
            Ok(_) => id.to_string(),
            Err(_) if name == "UNKNOWN" => id.to_string(),
            Err(_) => name.to_owned(),
        };
        match like.split_once(':') {
            Some((user, group)) => {
                format!("{}:{}", part(user, &self.user, self.uid), part(group, &self.group, self.gid))
            }
            None => part(like, &self.user, self.uid),
        }
    }

    /// The owner in numbers, which mean the same on every host.
    pub fn owner(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }
}

/// How much is to be known of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Kind, owner, mode, checksum.
    Stat,
    /// Also the content, unless it has this checksum.
    ContentUnless(String),
    /// Also the content.
    Content,
}

/// The paths of one host.
#[derive(Default)]
pub(super) struct Asks(BTreeMap<String, Ask>);

/// Shell text in one argument may be 128 KiB on Linux; this leaves room for quoting.
const TEXT_LIMIT: usize = 48 * 1024;

impl Asks {
    /// Adds a path. Of two questions about one path the one that tells more stands.
    pub(super) fn add(&mut self, path: &str, ask: Ask) {
        // A resource whose path cannot be managed is refused by its diff.
        if path::problem(path).is_some() {
            return;
        }
        let more = match (self.0.get(path), &ask) {
            (None | Some(Ask::Stat), _) => true,
            (Some(Ask::Content), _) | (_, Ask::Stat) => false,
            (Some(was), now) if was == now => false,
            _ => {
                self.0.insert(path.to_owned(), Ask::Content);
                return;
            }
        };
        if more {
            self.0.insert(path.to_owned(), ask);
        }
    }

    /// One probe, or a few when there are very many paths.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let mut chunks: Vec<Vec<(&str, &Ask)>> = Vec::new();
        let mut room = 0;
        for (path, ask) in &self.0 {
            // A path stands in the list, and twice more in the patterns.
            let cost = 3 * sh_quote(path).len() + 80;
            if chunks.is_empty() || cost > room {
                chunks.push(Vec::new());
                room = TEXT_LIMIT;
            }
            room = room.saturating_sub(cost);
            if let Some(chunk) = chunks.last_mut() {
                chunk.push((path, ask));
            }
        }
        chunks.iter().enumerate().map(|(n, chunk)| probe(n, chunk)).collect()
    }
}

/// Tabs part the fields: no path that gets here has one.
const LOOK: &str = "\
stat -c 'stat\t%f\t%u\t%g\t%U\t%G\t%s\t%n' -- \"$@\" 2>/dev/null
for p do
if [ -L \"$p\" ]; then
stat -L -c 'target\t%f\t%u\t%g\t%U\t%G\t%s\t%n' -- \"$p\" 2>/dev/null
elif [ ! -e \"$p\" ]; then
d=$p
while [ ! -e \"$d\" ] && [ ! -L \"$d\" ]; do d=${d%/*}; d=${d:-/}; done
if [ ! -d \"$d\" ] || [ -x \"$d\" ]; then printf 'absent\\t%s\\t%s\\n' \"$d\" \"$p\"; else printf 'hidden\\t%s\\n' \"$p\"; fi
fi
done
for p do shift; if [ -f \"$p\" ] && [ ! -L \"$p\" ]; then set -- \"$@\" \"$p\"; fi; done
[ \"$#\" -gt 0 ] || exit 0
";

/// The content of a file goes through base64, and all contents together stay under a budget: what does
/// not fit is shown as "differs" without its lines.
const SEND: &str = "\
b=$(head -c 65537 <\"$p\" | base64)
if [ \"${#b}\" -le \"$left\" ]; then
left=$((left-${#b}))
printf 'content\\t%s\\n%s\\n.\\n' \"$p\" \"$b\"
fi
";

/// All contents of a probe, in bytes of base64.
const BUDGET: usize = 1_000_000;

fn probe(n: usize, paths: &[(&str, &Ask)]) -> Probe {
    let words: Vec<_> = paths.iter().map(|(path, _)| sh_quote(path)).collect();
    let mut sh = format!("set -- {}\n{LOOK}", words.join(" "));
    sh.push_str("sha256sum -- \"$@\" 2>/dev/null | {\n");
    sh.push_str(&format!("left={BUDGET}\nwhile read -r h p; do\nprintf 'sha256\\t%s\\t%s\\n' \"$h\" \"$p\"\n"));
    let (mut as_wanted, mut shown) = (Vec::new(), Vec::new());
    for (path, ask) in paths {
        match ask {
            Ask::Stat => {}
            Ask::Content => shown.push(sh_quote(path).into_owned()),
            Ask::ContentUnless(sha) => {
                as_wanted.push(sh_quote(&format!("{sha} {path}")).into_owned());
                shown.push(sh_quote(path).into_owned());
            }
        }
    }
    if !shown.is_empty() {
        sh.push_str("case \"$h $p\" in\n");
        if !as_wanted.is_empty() {
            sh.push_str(&format!("{}) ;;\n", as_wanted.join("|")));
        }
        sh.push_str(&format!("*) case \"$p\" in\n{})\n{SEND};;\nesac ;;\nesac\n", shown.join("|")));
    }
    sh.push_str("done\n}\nexit 0\n");
    Probe { cap: BUDGET + 512 * paths.len() + 256 * 1024, ..Probe::new(format!("files.{n}"), sh) }
}

/// Reads one `files.*` answer into `found`; tells what does not fit.
pub(super) fn parse(text: &str, found: &mut BTreeMap<String, FileState>) -> Result<(), String> {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["absent", ancestor, path] => {
                found.insert(path.to_owned(), FileState::Absent { ancestor: ancestor.to_owned() });
            }
            ["hidden", path] => {
                found.insert(path.to_owned(), FileState::Hidden);
            }
            ["stat", raw, uid, gid, user, group, size, path] => {
                let stat = stat([raw, uid, gid, size], user, group).ok_or("a stat line cannot be read")?;
                found.insert(path.to_owned(), FileState::There(stat));
            }
            ["target", raw, uid, gid, user, group, size, path] => {
                let target = stat([raw, uid, gid, size], user, group).ok_or("a stat line cannot be read")?;
                if let Some(FileState::There(link)) = found.get_mut(path)
                    && link.kind == Kind::Link
                    && target.kind == Kind::Directory
                {
                    *link = Stat { kind: Kind::LinkToDirectory, ..target };
                }
            }
            ["sha256", sha, path] => {
                if sha.len() != 64 || !sha.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err("a checksum cannot be read".to_owned());
                }
                if let Some(FileState::There(stat)) = found.get_mut(path)
                    && stat.kind == Kind::File
                {
                    stat.sha256 = Some(sha.to_ascii_lowercase());
                }
            }
            ["content", path] => {
                let mut encoded = String::new();
                loop {
                    match lines.next() {
                        Some(".") => break,
                        Some(line) => encoded.push_str(line.trim()),
                        None => return Err("a file's content is cut".to_owned()),
                    }
                }
                let content = STANDARD.decode(encoded).map_err(|_| "a file's content is not base64")?;
                // Whatever does not match its checksum was changed between the two looks: not shown.
                if let Some(FileState::There(stat)) = found.get_mut(path)
                    && content.len() <= SHOWN
                    && stat.sha256.as_deref() == Some(sha256(&content).as_str())
                {
                    stat.content = Some(content);
                }
            }
            _ => {
                return Err(format!("a line cannot be read: {:?}", line.chars().take(60).collect::<String>()));
            }
        }
    }
    Ok(())
}

fn stat(numbers: [&str; 4], user: &str, group: &str) -> Option<Stat> {
    let [raw, uid, gid, size] = numbers;
    let raw = u32::from_str_radix(raw, 16).ok()?;
    // The file type bits of `st_mode`, the same on every Linux.
    let kind = match raw & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    Some(Stat {
        kind,
        mode: raw & 0o7777,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        user: user.to_owned(),
        group: group.to_owned(),
        size: size.parse().ok()?,
        sha256: None,
        content: None,
    })
}
