//! `reset`: takes the platform off its hosts. Asks first; the data stays unless asked otherwise.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reemo_resource::swarm::MANAGED;
use reemo_resource::swarm::observed::{at, text};
use reemo_transport::{Command, Host};

use super::args::ResetArgs;
use super::confirm::confirm;
use super::look::{Looked, look};
use super::output;
use super::prepare::{self, Exit, Ready};
use crate::engine::fault::Fault;
use crate::engine::fleet::Fleet;
use crate::engine::record;
use crate::engine::world::World;

/// Removes what an apply put on a host. `$1`: also the data; `$2`: also the engine; `$3`: folder of the
/// registry's certificate.
const CLEAN: &str = include_str!("reset.sh");

/// Runs it.
pub async fn run(args: &ResetArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let hosts: Vec<&str> = ready.site.run_hosts().map(String::as_str).collect();
    let data = if args.delete_data { "AND ITS DATA " } else { "" };
    confirm(args.yes, &format!("Remove the platform {data}from {}", hosts.join(", ")))?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let mut printer = output::printer(&args.output);
    let mut code = if looked.say_unreachable(&mut printer) { 4 } else { 0 };
    let Looked { fleet, world, .. } = looked;
    for cluster in ready.site.clusters.keys() {
        match objects(&ready, &fleet, &world, cluster).await {
            Ok(removed) => printer.print(&format!("{cluster}: {removed} objects removed from the Swarm")),
            Err(fault) => {
                printer.error(&fault.cause, &fault.hint);
                code = 2;
            }
        }
    }
    let ready = &ready;
    let cleans = fleet.hosts().map(|(name, conn)| async move { (name.clone(), clean(args, ready, name, conn).await) });
    let cleans: Vec<_> = cleans.collect();
    for (name, result) in join_all(cleans).await {
        match result {
            Ok(()) => printer.print(&format!("{name}: clean")),
            Err(fault) => {
                printer.error(&format!("{name}: {}\n{}", fault.cause, fault.last_lines.join("\n")), &fault.hint);
                code = 2;
            }
        }
    }
    Ok(code)
}

/// Removes services first, so that the rest is no longer in use.
async fn objects(ready: &Ready, fleet: &Fleet, world: &World, cluster: &str) -> Result<usize, Fault> {
    let (Some(there), Some(manager)) = (world.swarms.get(cluster), world.manager(&ready.site, cluster)) else {
        return Ok(0);
    };
    let docker = fleet.host(manager)?.docker().await?;
    let said = |e: bollard::errors::Error| Fault::docker("remove", &e);
    let mut removed = 0;
    for service in there.services.iter().filter(|s| at(s, &["Spec", "Labels", MANAGED]).is_some()) {
        docker.delete_service(text(service, &["ID"])).await.map_err(said)?;
        removed += 1;
    }
    for secret in there.secrets.iter().filter(|s| at(s, &["Spec", "Labels", MANAGED]).is_some()) {
        docker.delete_secret(text(secret, &["ID"])).await.map_err(said)?;
        removed += 1;
    }
    for config in there.configs.iter().filter(|s| at(s, &["Spec", "Labels", MANAGED]).is_some()) {
        docker.delete_config(text(config, &["ID"])).await.map_err(said)?;
        removed += 1;
    }
    removed += record::remove_all(&docker).await?;
    // The nodes let go of a network a moment after its last task has ended.
    for network in there.networks.iter().filter(|n| at(n, &["Labels", MANAGED]).is_some()) {
        for attempt in 0..60 {
            match docker.remove_network(text(network, &["Id"])).await {
                Ok(()) => break,
                Err(e) if attempt == 59 => return Err(said(e)),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        removed += 1;
    }
    Ok(removed)
}

async fn clean(args: &ResetArgs, ready: &Ready, name: &str, conn: &Arc<dyn Host>) -> Result<(), Fault> {
    let settings = &ready.site.clusters[&ready.site.hosts[name].cluster].settings;
    let flag = |on: bool| if on { "yes" } else { "no" };
    let registry = settings.registry_ca.as_ref().map(|(r, _)| r.as_str()).unwrap_or_default();
    let argv = ["sh", "-s", "--", flag(args.delete_data), flag(settings.install_docker), registry];
    let command = Command::new(argv).stdin(CLEAN.into()).timeout(Duration::from_secs(900));
    let output = conn.exec(command, None).await?;
    if output.success() {
        return Ok(());
    }
    Err(Fault::failed(format!("cleaning ended with code {}", output.code)).lines(output.tail(20)))
}
