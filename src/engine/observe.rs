//! Looking: one exec per host that carries every probe, and a handful of concurrent lists of each
//! engine, on kept connections. Nothing here changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::ListImagesOptionsBuilder;
use futures_util::StreamExt;
use reemo_model::secret::{Blob, Secret};
use reemo_resource::host::HostObservation;
use reemo_resource::os::Os;
use reemo_resource::probe::{Probe, ProbeOutputs, parse, script};
use reemo_resource::swarm::observed::{EngineObservation, SwarmObservation, text};
use reemo_transport::{Command, Host, Kind};
use serde_json::Value;

use super::fault::{Fault, FaultKind};
use super::world::HostView;

/// Limit of the whole probe script.
const SCRIPT_LIMIT: Duration = Duration::from_secs(60);

/// What a host's shell answers to all probes.
pub async fn shell(conn: &Arc<dyn Host>, probes: &[Probe]) -> Result<HostObservation, Fault> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let asked = now();
    let outputs = ask(conn, probes).await?;
    let answered = now();
    let mut seen = HostObservation::parse(&outputs)
        .map_err(|e| Fault::failed(format!("{}: what the host answered cannot be read: {e}", conn.name())))?;
    seen.facts.asked_between(asked, answered);
    Ok(seen)
}

/// Their answers, unread: one command.
pub async fn ask(conn: &Arc<dyn Host>, probes: &[Probe]) -> Result<ProbeOutputs, Fault> {
    let delimiter = format!("{:032x}", rand::random::<u128>());
    let command =
        Command::new(["sh"]).stdin(Blob::Plain(script(probes, &delimiter).into_bytes())).timeout(SCRIPT_LIMIT);
    // A command of its own environment: what the probes print must not depend on the host's language.
    let command = Command { env: vec![("LC_ALL".into(), "C".into())], ..command };
    let name = conn.name();
    let output = conn.exec(command, None).await.map_err(|e| match e.kind {
        Kind::Timeout => silent(name),
        _ => e.into(),
    })?;
    parse(&output.stdout, &delimiter).map_err(|e| {
        Fault::failed(format!("{name}: what the host answered cannot be read: {e}")).lines(output.tail(10))
    })
}

/// Its sshd works, and nothing behind it: no host to work on.
fn silent(host: &str) -> Fault {
    let cause = format!("{host} lets us in and then says nothing for {} s", SCRIPT_LIMIT.as_secs());
    let hint = format!("ssh {host} true: does it end? A full disk, a lost mount or too much load make a shell hang");
    Fault { kind: FaultKind::Unreachable, ..Fault::failed(cause) }.hint(hint)
}

/// Everything about one host, from what its shell and its engine answered.
pub fn host(
    seen: Result<HostObservation, Fault>,
    engine: Result<Option<EngineObservation>, Fault>,
) -> Result<HostView, Fault> {
    let seen = seen?;
    let (engine, engine_trouble) = match engine {
        Ok(engine) => (engine, None),
        Err(e) => (None, Some(e.cause)),
    };
    Ok(HostView { reachable: true, os: Os::of(&seen.facts.os), seen: Some(seen), engine, engine_trouble })
}

/// What one engine says of itself; `None` when there is none.
pub async fn engine(conn: &Arc<dyn Host>) -> Result<Option<EngineObservation>, Fault> {
    let docker = match conn.docker().await {
        Ok(docker) => docker,
        Err(e) if e.kind == Kind::NoEngine => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let images = ListImagesOptionsBuilder::new().build();
    let (info, images) = tokio::join!(docker.info(), docker.list_images(Some(images)));
    let said = |e: bollard::errors::Error| Fault::docker(&format!("{}: ask the engine", conn.name()), &e);
    let (info, images) = (info.map_err(said)?, images.map_err(said)?);
    let swarm = info.swarm.unwrap_or_default();
    let mut known = BTreeMap::new();
    for image in images {
        for reference in image.repo_tags.into_iter().chain(image.repo_digests) {
            known.insert(reference, image.id.clone());
        }
    }
    Ok(Some(EngineObservation {
        version: info.server_version.unwrap_or_default(),
        swarm_state: swarm.local_node_state.map(|s| s.to_string()).unwrap_or_default(),
        node_id: swarm.node_id.unwrap_or_default(),
        swarm_id: swarm.cluster.and_then(|c| c.id).unwrap_or_default(),
        manager: swarm.control_available.unwrap_or_default(),
        images: known,
    }))
}

/// Ours, and the lock: `{"label": ["io.reemo.managed"]}`. A list of configs carries what is in them; the records of
/// earlier runs, which can be long, do not have that label.
const CONFIGS: &str = "/configs?filters=%7B%22label%22%3A%5B%22io.reemo.managed%22%5D%7D";

/// Everything about one Swarm, asked of one of its managers.
pub async fn swarm(conn: &Arc<dyn Host>) -> Result<SwarmObservation, Fault> {
    let docker = conn.docker().await?;
    let (nodes, services, tasks, networks, secrets, configs) = tokio::join!(
        docker.read("/nodes"),
        docker.read("/services"),
        docker.read("/tasks"),
        docker.read("/networks"),
        docker.read("/secrets"),
        docker.read(CONFIGS),
    );
    let list = |answer: Result<Value, bollard::errors::Error>| match answer {
        Ok(Value::Array(items)) => Ok(items),
        Ok(Value::Null) => Ok(Vec::new()),
        Ok(_) => Err(Fault::failed(format!("{}: the engine answers something that is not Docker's", conn.name()))),
        Err(e) => Err(Fault::docker(&format!("{}: ask the Swarm", conn.name()), &e)),
    };
    let mut configs = list(configs)?;
    for config in &mut configs {
        // The content is not needed: its name says what it is.
        if let Some(spec) = config.get_mut("Spec").and_then(Value::as_object_mut) {
            spec.remove("Data");
        }
    }
    let services = list(services)?;
    hide(&services);
    Ok(SwarmObservation {
        asked: conn.name().to_owned(),
        id: String::new(),
        nodes: list(nodes)?,
        services,
        tasks: list(tasks)?,
        networks: list(networks)?,
        secrets: list(secrets)?,
        configs,
        tables: None,
    })
}

/// Services that this tool did not make may have passwords in their environment: from here on no output, log or record
/// shows them.
fn hide(services: &[Value]) {
    for service in services {
        let env = service.pointer("/Spec/TaskTemplate/ContainerSpec/Env").and_then(Value::as_array);
        for line in env.into_iter().flatten().filter_map(Value::as_str) {
            let Some((name, value)) = line.split_once('=') else { continue };
            let name = name.to_ascii_uppercase();
            let told =
                ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "LICENSE", "_KEY"].iter().any(|end| name.ends_with(end));
            // A word as short as `reemo` stands everywhere: hiding it would leave nothing to read.
            if told && value.len() >= 8 && !value.starts_with('/') {
                let _ = Secret::new(value);
            }
        }
    }
}

/// Asks the internal database how many tables it holds, in its own container. `None`: it does not run.
pub async fn tables(
    there: &SwarmObservation,
    service: &str,
    argv: &[String],
    by_node: &(dyn Fn(&str) -> Option<Arc<dyn Host>> + Send + Sync),
) -> Result<Option<u64>, Fault> {
    let Some(found) = there.service(service) else {
        return Ok(None);
    };
    let tasks = there.tasks_of(text(found, &["ID"]));
    let Some(task) = tasks.into_iter().find(|t| text(t, &["Status", "State"]) == "running") else {
        return Ok(None);
    };
    let container = text(task, &["Status", "ContainerStatus", "ContainerID"]);
    let Some(host) = by_node(text(task, &["NodeID"])) else {
        return Ok(None);
    };
    let docker = host.docker().await?;
    let output = exec_in(&docker, container, argv).await?;
    let number = output.lines().rev().find_map(|l| l.trim().parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Fault::failed(format!("{service} did not say whether the database holds data"))
            .lines(output.lines().rev().take(10).map(str::to_owned).collect())),
    }
}

/// Runs a program in a container and returns what it printed.
async fn exec_in(docker: &bollard::Docker, container: &str, argv: &[String]) -> Result<String, Fault> {
    use bollard::exec::StartExecResults;
    let config = bollard::models::ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv.to_vec()),
        ..Default::default()
    };
    let said = |e: bollard::errors::Error| Fault::docker("ask the database", &e);
    let exec = docker.create_exec(container, config).await.map_err(said)?;
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec.id, None).await.map_err(said)? {
        while let Some(chunk) = output.next().await {
            text.push_str(&chunk.map_err(said)?.to_string());
        }
    }
    Ok(text)
}
