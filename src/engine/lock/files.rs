//! The lock of hosts that form no Swarm yet: an exclusive file on more than half of them, in `/run`, which a reboot
//! empties. As soon as there is a Swarm, its own lock takes over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reemo_model::secret::Blob;
use reemo_transport::{Command, Host, Output};
use tokio::sync::Mutex;

use super::{Holder, Wish, held};
use crate::engine::fault::{Fault, FaultKind};

/// Where.
pub const PATH: &str = "/run/reemo-infra.lock";

/// `ln` makes a name whole and only where there is none. What is there is printed, with the time of its last beat.
const TAKE: &str = r#"t=$(mktemp "$1.XXXXXX") || exit 1
cat >"$t"
if ln -- "$t" "$1" 2>/dev/null; then rm -f -- "$t"; exit 0; fi
rm -f -- "$t"
[ -e "$1" ] || exit 1
cat -- "$1"; stat -c '%.Y' -- "$1"; exit 17"#;
/// Moved aside, and only then removed: what came meanwhile is put back.
const BREAK: &str = r#"mv -- "$1" "$1.$2" || exit 18
if grep -qF -- "$3" "$1.$2"; then rm -f -- "$1.$2"; exit 0; fi
ln -- "$1.$2" "$1"; rm -f -- "$1.$2"; exit 18"#;
const BEAT: &str = r#"grep -qF -- "$2" "$1" && touch -c -- "$1""#;
const RELEASE: &str = r#"if grep -qsF -- "$2" "$1"; then rm -f -- "$1"; fi"#;

/// Removes what a dead run left on these hosts: where the Swarm's lock is ours, files mean nothing.
pub async fn sweep(hosts: impl Iterator<Item = Arc<dyn Host>>) {
    let one = |host: Arc<dyn Host>| async move {
        let argv = ["sh", "-c", r#"rm -f -- "$1""#, "lock", PATH];
        let _ = host.exec(Command::new(argv).timeout(Duration::from_secs(30)), None).await;
    };
    futures_util::future::join_all(hosts.map(one)).await;
}

/// The files of a cluster, in our hands.
pub struct FileLock {
    cluster: String,
    hosts: Vec<Arc<dyn Host>>,
    needed: usize,
    run: String,
    proven: Mutex<Instant>,
    fresh: Duration,
}

impl FileLock {
    /// Takes the files, one host after the other in the order of their names, so that two who try meet at the first.
    /// `all`: how many hosts the cluster has; `hosts`: those that can be reached.
    pub async fn take(
        cluster: &str,
        mut hosts: Vec<Arc<dyn Host>>,
        all: usize,
        wish: &Wish,
        on_wait: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(FileLock, bool), Fault> {
        hosts.sort_by(|a, b| a.name().cmp(b.name()));
        let needed = all / 2 + 1;
        if hosts.len() < needed {
            return Err(Fault::refused(
                format!("{cluster} has {all} hosts, and {} can be reached: {needed} are needed", hosts.len()),
                "a Swarm is made only where more than half of its future managers are there",
            ));
        }
        let lock = FileLock {
            cluster: cluster.to_owned(),
            hosts,
            needed,
            run: wish.owner.run.clone(),
            proven: Mutex::new(Instant::now()),
            fresh: wish.timing.beat,
        };
        let mut waited = false;
        let asked = Instant::now();
        for (taken, host) in lock.hosts.iter().enumerate() {
            let mut seen: Option<(String, Instant)> = None;
            loop {
                let output = lock.take_one(host, wish).await?;
                let Some((holder, state)) = output else { break };
                let since = match &seen {
                    Some((s, since)) if *s == state => *since,
                    _ => seen.insert((state.clone(), Instant::now())).1,
                };
                if since.elapsed() >= wish.timing.stale || holder.owner.is_gone() == Some(true) {
                    lock.sh(host, BREAK, &[&wish.owner.run, &holder.owner.run], None).await?;
                    on_wait(&format!("{}: the lock of {} was taken over", host.name(), holder.owner.in_words()));
                } else if asked.elapsed() >= wish.wait {
                    lock.release_first(taken).await;
                    return Err(held(cluster, &holder, wish));
                } else {
                    on_wait(&format!("{}: waiting for {}", host.name(), holder.in_words()));
                    wish.go_on()?;
                    tokio::time::sleep(wish.timing.poll).await;
                }
                waited = true;
            }
        }
        Ok((lock, waited))
    }

    /// `None`: it is ours now. Else who has it, and what it looked like.
    async fn take_one(&self, host: &Arc<dyn Host>, wish: &Wish) -> Result<Option<(Holder, String)>, Fault> {
        let me = Holder { owner: wish.owner.clone(), reason: wish.reason.clone(), at: String::new() };
        let content = serde_json::to_string(&me).unwrap_or_default() + "\n";
        let output = self.sh(host, TAKE, &[], Some(content)).await?;
        match output.code {
            0 => Ok(None),
            17 => {
                let text = output.text();
                let first = text.lines().next().unwrap_or_default();
                Ok(Some((serde_json::from_str(first).unwrap_or_default(), text)))
            }
            _ => Err(Fault::failed(format!("{}: cannot write {PATH}", host.name())).lines(output.tail(5))),
        }
    }

    async fn sh(
        &self,
        host: &Arc<dyn Host>,
        script: &str,
        args: &[&str],
        stdin: Option<String>,
    ) -> Result<Output, Fault> {
        let argv = ["sh", "-c", script, "lock", PATH].into_iter().chain(args.iter().copied());
        let mut command = Command::new(argv).timeout(Duration::from_secs(30));
        command.stdin = stdin.map(|s| Blob::Plain(s.into_bytes()));
        Ok(host.exec(command, None).await?)
    }

    /// Still ours on more than half of the hosts?
    pub async fn prove(&self, always: bool) -> Result<(), Fault> {
        let mut proven = self.proven.lock().await;
        if !always && proven.elapsed() < self.fresh {
            return Ok(());
        }
        let run = [self.run.as_str()];
        let beats = self.hosts.iter().map(|host| self.sh(host, BEAT, &run, None));
        let beats = futures_util::future::join_all(beats).await;
        if beats.iter().filter(|b| b.as_ref().is_ok_and(Output::success)).count() < self.needed {
            let cause = format!("{}: this run does not hold the lock ({PATH}) any more", self.cluster);
            return Err(Fault { kind: FaultKind::Locked, ..Fault::failed(cause) });
        }
        *proven = Instant::now();
        Ok(())
    }

    /// Gives them back.
    pub async fn release(&self) {
        self.release_first(self.hosts.len()).await;
    }

    async fn release_first(&self, number: usize) {
        let run = [self.run.as_str()];
        let all = self.hosts.iter().take(number).map(|host| self.sh(host, RELEASE, &run, None));
        futures_util::future::join_all(all).await;
    }
}
