//! `exec` and `logs`: what `ansible GROUP -m shell -a …` was used for.

use std::time::Duration;

use futures_util::future::join_all;
use reemo_model::inventory::pattern;
use reemo_resource::swarm::spec::tag;
use reemo_transport::{Command, Connector, Host as _};
use tokio::sync::Semaphore;

use super::args::{ConnectOptions, ExecArgs, InventoryOptions, LogsArgs, OutputArgs};
use super::output;
use super::prepare::{self, Exit, Ready};

/// Limit of a command given by hand.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs a command on all hosts of a pattern.
pub async fn run(args: &ExecArgs) -> Result<u8, Exit> {
    let argv = match args.command.as_slice() {
        [line] => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        several => several.to_vec(),
    };
    on_hosts(&args.inventory, &args.connect, Some(&args.pattern), argv).await
}

/// Lines of a service in the syslog of every host.
pub async fn logs(args: &LogsArgs) -> Result<u8, Exit> {
    const READ: &str = r#"tag=$1 lines=$2
for f in /var/log/syslog /var/log/messages; do
  [ -r "$f" ] || continue
  grep -E -- " $tag(\[[0-9]+\])?:" "$f" | tail -n "$lines"; exit 0
done
journalctl -q -n "$lines" -o short -t "$tag""#;
    let name = if args.service == "traefik" || args.service.starts_with("reemo_") {
        args.service.clone()
    } else {
        format!("reemo_{}", args.service)
    };
    let argv = ["sh", "-c", READ, "logs", &tag(&name), &args.lines.to_string()].map(str::to_owned).to_vec();
    on_hosts(&args.inventory, &args.connect, None, argv).await
}

async fn on_hosts(
    inventory: &InventoryOptions,
    connect: &ConnectOptions,
    only: Option<&str>,
    argv: Vec<String>,
) -> Result<u8, Exit> {
    let ready = prepare::read(inventory, connect)?;
    let hosts = hosts_of(&ready, only)?;
    // One connector: hosts behind the same bastion share it.
    let (connector, slots) = (Connector::default(), Semaphore::new(connect.forks.max(1)));
    let runs = hosts.iter().map(|name| {
        let (target, argv) = (&ready.site.hosts[name].target, argv.clone());
        let (connector, slots) = (&connector, &slots);
        async move {
            let _slot = slots.acquire().await;
            let conn = connector.connect(target).await?;
            conn.exec(Command::new(argv).timeout(LIMIT), None).await
        }
    });
    let mut printer = output::printer(&OutputArgs::default());
    let mut code = 0;
    for (name, result) in hosts.iter().zip(join_all(runs).await) {
        match result {
            Ok(output) => {
                let word = if output.success() { "CHANGED" } else { "FAILED" };
                printer.print(&format!("{name} | {word} | rc={} >>\n{}", output.code, output.text().trim_end()));
                let stderr = String::from_utf8_lossy(&output.stderr);
                if !stderr.trim().is_empty() {
                    printer.note(stderr.trim_end());
                }
                if !output.success() {
                    code = crate::engine::apply::worse(code, 2);
                }
            }
            Err(e) => {
                printer.error(&format!("{name} | UNREACHABLE! => {}", e.message), &e.hint);
                code = crate::engine::apply::worse(code, 4);
            }
        }
    }
    Ok(code)
}

fn hosts_of(ready: &Ready, only: Option<&str>) -> Result<Vec<String>, Exit> {
    let all: Vec<String> = ready.site.run_hosts().cloned().collect();
    let Some(only) = only else { return Ok(all) };
    let chosen = pattern::select(&ready.loaded.inventory, only).map_err(|e| Exit::usage(e.to_string()))?;
    let hosts: Vec<String> = all.into_iter().filter(|h| chosen.hosts.contains(h)).collect();
    if let Some(part) = chosen.unmatched.first() {
        return Err(Exit::usage(part.to_string()));
    }
    if hosts.is_empty() {
        return Err(Exit::usage(format!("the pattern `{only}` matches no host of this inventory")));
    }
    Ok(hosts)
}
