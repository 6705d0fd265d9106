//! What a host's file system is: type, mode, owner and content of every path that a product could leave something in.

use std::collections::BTreeMap;
use std::fs;

use crate::fleet::{Fleet, Host};
use crate::tool::Tool;

/// Path and what is there.
pub type Tree = BTreeMap<String, String>;

/// Neither the kernel's nor the engine's, and nothing that changes by itself.
const LEFT_OUT: [&str; 9] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/cache", "/var/lib/docker", "/var/lib/containerd"];

/// Looks at a whole host.
pub fn of(fleet: &Fleet, host: &Host) -> Tree {
    look(fleet, host, "")
}

/// The same, and when each file was last written and changed: also who writes the same again is seen.
pub fn with_times(fleet: &Fleet, host: &Host) -> Tree {
    look(fleet, host, " %T@ %C@")
}

fn look(fleet: &Fleet, host: &Host, more: &str) -> Tree {
    let prune = LEFT_OUT.map(|p| format!("-path {p}")).join(" -o ");
    let script = format!(
        r"find / \( {prune} \) -prune -o -printf '%y %m %U:%G %l{more}\t%p\n'
echo =
find / \( {prune} \) -prune -o -type f -print0 | xargs -0 sha256sum"
    );
    let text = fleet.sh(host, &script);
    let (kinds, sums) = text.split_once("\n=\n").expect("two lists");
    let mut tree: Tree = kinds
        .lines()
        .filter_map(|l| l.split_once('\t'))
        .map(|(what, path)| (path.to_owned(), what.to_owned()))
        .collect();
    for (sum, path) in sums.lines().filter_map(|l| l.split_once("  ")) {
        if let Some(what) = tree.get_mut(path) {
            what.push_str(sum);
        }
    }
    assert!(tree.len() > 3000, "a host has more than {} paths", tree.len());
    tree
}

/// What differs, in words; paths for which `ignore` is true count as equal.
pub fn differences(before: &Tree, after: &Tree, ignore: impl Fn(&str) -> bool) -> Vec<String> {
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        // systemd names these anew when a service of its own starts again.
        .filter(|p| !p.starts_with("/var/tmp/systemd-private-"))
        .filter(|p| before.get(*p) != after.get(*p) && !ignore(p))
        .map(|p| {
            let word = |t: &Tree| t.get(p).cloned().unwrap_or_else(|| "absent".into());
            format!("{p}: {} -> {}", word(before), word(after))
        })
        .collect()
}

/// Keeps the bare hosts for the end of the story.
pub fn keep(tool: &Tool, host: &Host, tree: &Tree) {
    let file = tool.control.join(format!("bare-{}.json", host.number));
    fs::write(file, serde_json::to_string(tree).expect("JSON")).expect("a file");
}

/// What was kept.
pub fn kept(tool: &Tool, host: &Host) -> Tree {
    let file = tool.control.join(format!("bare-{}.json", host.number));
    let text = fs::read_to_string(&file).expect("the story began with a bare host");
    serde_json::from_str(&text).expect("JSON")
}
