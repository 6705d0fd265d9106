//! A change of a host that could stop its engine for good: the host itself takes it back after a while, unless it is
//! confirmed over a new connection. Whoever made it may be killed at any moment; the host needs nobody.
//!
//! Three scripts act on the file. KEEP lays what it was beside it, before it is written. ARM starts a timer of the host's
//! own systemd, before the engine is restarted. DISARM stops that timer and lets go of what was kept. If it never comes,
//! REVERT, which the timer runs, puts the old file back and restarts the engine.

use std::time::{Duration, Instant};

use reemo_transport::{Command, Host};

use super::fault::Fault;
use super::interpret::Scene;
use super::pause::Pause;

/// The engine's configuration.
pub const DAEMON: &str = "/etc/docker/daemon.json";

/// So long a change may go unconfirmed, in seconds. A restart that takes longer is waited for (REVERT).
const UNCONFIRMED_S: u64 = 120;
/// So long an engine may take to answer over the new connection.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(30);
/// A restart, with all its containers.
const RESTARTED: Duration = Duration::from_secs(300);

/// Stops the engine and starts it again. One that is stopped while networks are in use may leave their VXLAN interfaces
/// in the host's own namespace, and then never gets these networks up again ("error creating vxlan interface: file
/// exists", seen with 20.10). While it is stopped nobody uses them, so they go.
const RESTART: &str = r#"systemctl daemon-reload
systemctl stop docker.socket docker.service
for i in /sys/class/net/vx-*; do
  if [ -e "$i" ]; then ip link delete "${i##*/}"; fi
done
systemctl start docker.service"#;

/// Argument: the file. What an engine that was not restarted since still runs with is not lost to a second change.
const KEEP: &str = r#"set -eu
path=$1 kept=$1.reemo-before none=$1.reemo-absent
[ -e /run/docker.pid ] || exit 0
if [ "$path" -nt /run/docker.pid ]; then
  if [ -e "$kept" ] || [ -e "$none" ]; then exit 0; fi
fi
rm -f "$kept" "$none"
if [ -e "$path" ]; then
  cp -p "$path" "$kept.new"
  mv -f "$kept.new" "$kept"
else
  : > "$none"
fi
"#;

/// Argument: the file. For an engine that was not restarted since.
const PUT_BACK: &str = r#"path=$1
if [ -e "$path.reemo-before" ]; then mv -f "$path.reemo-before" "$path"
elif [ -e "$path.reemo-absent" ]; then rm -f "$path" "$path.reemo-absent"
fi
"#;

/// Arguments: the file, seconds. Standard input: the script to be run then. Exit codes: 20 = this host has no timers,
/// 21 = nothing was kept.
const ARM: &str = r#"set -eu
path=$1 after=$2 script=/run/reemo-infra-revert
[ -e "$path.reemo-before" ] || [ -e "$path.reemo-absent" ] || exit 21
[ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1 || exit 20
umask 077
cat > "$script.new"
mv -f "$script.new" "$script"
systemctl stop reemo-infra-revert.timer 2>/dev/null || true
systemctl reset-failed reemo-infra-revert.service 2>/dev/null || true
systemd-run --quiet --collect --unit=reemo-infra-revert --on-active="$after" --timer-property=AccuracySec=1s \
  /bin/sh "$script" "$path"
"#;

/// Argument: the file. Exit code 22: too late, the old one is back (or on its way).
const DISARM: &str = r#"path=$1
systemctl stop reemo-infra-revert.timer 2>/dev/null
if systemctl --quiet is-active reemo-infra-revert.service 2>/dev/null; then exit 22; fi
[ -e "$path.reemo-before" ] || [ -e "$path.reemo-absent" ] || exit 22
rm -f "$path.reemo-before" "$path.reemo-absent" /run/reemo-infra-revert
"#;

/// Argument: the file. A restart that is under way is let end first, and whoever made it gets a moment to confirm.
const REVERT: &str = r#"set -u
path=$1 waited=0
while [ "$waited" -lt 180 ]; do
  case $(systemctl is-active docker.service) in
  activating | deactivating | reloading) sleep 1; waited=$((waited + 1)) ;;
  *) break ;;
  esac
done
[ "$waited" -eq 0 ] || sleep 20
if [ -e "$path.reemo-before" ]; then mv -f "$path.reemo-before" "$path"
elif [ -e "$path.reemo-absent" ]; then rm -f "$path" "$path.reemo-absent"
else exit 0
fi
systemctl reset-failed docker.service
"#;

/// Lays what a file is beside it, for [`restart`].
pub async fn keep(host: &dyn Host, path: &str) -> Result<(), Fault> {
    let output = host.exec(Command::new(["sh", "-c", KEEP, "keep", path]).timeout(SHORT), None).await?;
    match output.code {
        0 => Ok(()),
        _ => Err(Fault::failed(format!("{}: {path} could not be kept", host.name())).lines(output.tail(5))),
    }
}

/// What there is to go back to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WayBack {
    /// The host goes back by itself.
    Timer,
    /// What was there is kept, and this host has no timers.
    Kept,
    /// Nothing was kept.
    None,
}

/// Restarts the engine, so that it takes what is in that file; confirmed, or taken back.
pub async fn restart(scene: &Scene<'_>, path: &str) -> Result<(), Fault> {
    let host = &*scene.host;
    let name = host.name();
    let way = arm(scene, path).await?;
    let command = Command::new(["sh", "-ec", RESTART]).timeout(RESTARTED);
    // How far it came where the connection breaks is not known: the next run confirms it, or the host takes it back.
    let restarted = host.exec(command, Some(&|line| (scene.on_line)(line))).await?;
    let trouble = match restarted.success() {
        true => match anew(scene).await {
            Ok(_) if way == WayBack::None => return Ok(()),
            Ok(fresh) => return confirm(&*fresh, path).await,
            Err(trouble) => vec![trouble],
        },
        false => restarted.tail(5),
    };
    let failed = format!("{name}: the engine does not work with its new {path}");
    let mut lines = said(host).await;
    lines.extend(trouble);
    if way == WayBack::None {
        return Err(Fault::failed(failed).lines(lines).hint("correct it there, then run the same command again"));
    }
    let back = host.exec(Command::new(["sh", "-c", &revert(), "revert", path]).timeout(RESTARTED * 2), None).await;
    let back = match (back, way) {
        (Ok(output), _) if output.success() => {
            // A timer that still runs would find nothing to put back any more.
            let _ = host.exec(Command::new(["sh", "-c", DISARM, "disarm", path]).timeout(SHORT), None).await;
            "the old one was put back, and the engine restarted with it".to_owned()
        }
        (_, WayBack::Timer) => {
            format!("{name} puts the old one back by itself, within {UNCONFIRMED_S} s and a restart")
        }
        _ => format!("the old one is {path}.reemo-before there"),
    };
    Err(Fault::failed(format!("{failed}: {back}"))
        .lines(lines)
        .hint("correct DOCKER_DAEMON_OPTIONS, then run the same command again"))
}

/// Puts a file back that nobody has read yet.
pub async fn put_back(host: &dyn Host, path: &str) -> Result<(), Fault> {
    let output = host.exec(Command::new(["sh", "-c", PUT_BACK, "put-back", path]).timeout(SHORT), None).await?;
    match output.code {
        0 => Ok(()),
        _ => Err(Fault::failed(format!("{}: {path} could not be put back", host.name())).lines(output.tail(5))),
    }
}

/// Over a connection that was made since: what is there works, and stays.
pub async fn confirm(fresh: &dyn Host, path: &str) -> Result<(), Fault> {
    let output = fresh.exec(Command::new(["sh", "-c", DISARM, "disarm", path]).timeout(SHORT), None).await?;
    match output.code {
        0 => Ok(()),
        22 => Err(Fault::failed(format!(
            "{}: the restart took so long that the old {path} is back already: it was not confirmed in time",
            fresh.name()
        ))),
        _ => Err(Fault::failed(format!("{}: {path} could not be confirmed", fresh.name())).lines(output.tail(5))),
    }
}

async fn arm(scene: &Scene<'_>, path: &str) -> Result<WayBack, Fault> {
    let (host, after) = (&*scene.host, UNCONFIRMED_S.to_string());
    let command = Command::new(["sh", "-c", ARM, "arm", path, &after]).stdin(revert().as_str().into()).timeout(SHORT);
    let output = host.exec(command, None).await?;
    match output.code {
        0 => Ok(WayBack::Timer),
        20 => {
            (scene.on_line)("this host has no systemd-run: it cannot take the change back by itself");
            Ok(WayBack::Kept)
        }
        21 => {
            (scene.on_line)(&format!("{path} was not written by this program: there is nothing to go back to"));
            Ok(WayBack::None)
        }
        _ => Err(Fault::failed(format!("{}: the way back of {path} could not be prepared", host.name()))
            .lines(output.tail(5))),
    }
}

fn revert() -> String {
    format!("{REVERT}{RESTART}\n")
}

/// A new login, over which the engine answers.
async fn anew(scene: &Scene<'_>) -> Result<std::sync::Arc<dyn Host>, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Pause::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let tried = async {
            let fresh = (scene.anew)().await.map_err(|e| format!("a new connection: {}", e.message))?;
            fresh.docker().await.map_err(|e| e.message)?.info().await.map_err(|e| e.to_string())?;
            Ok(fresh)
        };
        match tried.await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(pause.take()).await,
            done => return done,
        }
    }
}

/// The engine's last words.
async fn said(host: &dyn Host) -> Vec<String> {
    let argv = ["journalctl", "--no-pager", "--quiet", "-o", "cat", "-n", "8", "-u", "docker.service"];
    match host.exec(Command::new(argv).timeout(SHORT), None).await {
        Ok(output) => output.text().lines().map(str::to_owned).collect(),
        Err(_) => vec![],
    }
}
