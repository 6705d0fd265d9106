//! Who runs something: enough to tell, on the same machine, whether that process is still there.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// A process of ours, on some machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The run.
    pub run: String,
    /// Name of the machine.
    pub host: String,
    /// Who started it.
    pub user: String,
    /// Changes with each boot.
    pub boot: String,
    /// Which processes it can see: a container has its own.
    pub space: String,
    /// Its process.
    pub pid: u32,
    /// When that process began, in the kernel's ticks since boot: numbers of processes come again.
    pub start: u64,
}

impl Owner {
    /// This very process.
    pub fn here(run: &str) -> Owner {
        let read = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
        let pid = std::process::id();
        let root = || fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0).then(|| "root".to_owned());
        let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|v| std::env::var(v).ok());
        Owner {
            run: run.to_owned(),
            host: read("/proc/sys/kernel/hostname"),
            user: user.or_else(root).unwrap_or_default(),
            boot: read("/proc/sys/kernel/random/boot_id"),
            space: space(),
            pid,
            start: started(pid).unwrap_or_default(),
        }
    }

    /// The process is gone for certain. `None`: who can say. It is on another machine, in another container, or of
    /// another boot, and that may as well be a machine with the same name as this one.
    pub fn is_gone(&self) -> Option<bool> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let here = Owner::here("");
        if self.host != here.host || self.space != here.space || self.boot != boot.trim() {
            return None;
        }
        Some(started(self.pid) != Some(self.start))
    }

    /// `root on control1 (process 812)`.
    pub fn in_words(&self) -> String {
        let user = if self.user.is_empty() { "somebody" } else { &self.user };
        format!("{user} on {} (process {}, run {})", self.host, self.pid, self.run)
    }
}

fn space() -> String {
    fs::read_link("/proc/self/ns/pid").map(|l| l.display().to_string()).unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat`; the second field is a name in parentheses that may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = &stat[stat.rfind(')')? + 1..];
    // A process that has ended and was not waited for is no process any more.
    let mut fields = after.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_whether_a_process_is_still_there() {
        let me = Owner::here("r1");
        assert!(me.start > 0 && !me.boot.is_empty(), "{me:?}");
        assert_eq!(me.is_gone(), Some(false));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let other = Owner { pid: child.id(), start: started(child.id()).unwrap(), ..me.clone() };
        assert_eq!(other.is_gone(), Some(false));
        child.kill().unwrap();
        while other.is_gone() == Some(false) {
            std::thread::yield_now();
        }
        assert_eq!(other.is_gone(), Some(true), "killed, though nobody has waited for it yet");
        child.wait().unwrap();
        assert_eq!(other.is_gone(), Some(true));
        // The same number, another process.
        assert_eq!(Owner { start: me.start + 1, ..me.clone() }.is_gone(), Some(true));
        assert_eq!(Owner { boot: "another one".into(), ..me.clone() }.is_gone(), None);
        assert_eq!(Owner { host: "elsewhere".into(), ..me.clone() }.is_gone(), None);
        assert_eq!(Owner { space: "pid:[1]".into(), ..me }.is_gone(), None, "a container sees other processes");
    }
}
