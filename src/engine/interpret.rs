//! The interpreter: the one place where ops become actions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::auth::DockerCredentials;
use bollard::models;
use bollard::query_parameters::{CreateImageOptionsBuilder, DeleteNodeOptionsBuilder, UpdateNodeOptionsBuilder};
use futures_util::StreamExt;
use reemo_model::op::{Busy, DockerOp, Exec, Op, RegistryAuth};
use reemo_resource::swarm::observed::{SwarmObservation, text};
use reemo_transport::{BoxFuture, Command, Docker, Host, Output, TransportError};
use serde_json::{Value, json};

use super::dump;
use super::fault::{Fault, FaultKind};
use super::files;
use super::guard;
use super::images::{prune, send};
use super::join;
use super::nodes;

/// Where a task's ops act, and whom they may ask.
pub struct Scene<'a> {
    /// The host of the ops.
    pub host: Arc<dyn Host>,
    /// Other hosts by name, for join tokens.
    pub others: &'a (dyn Fn(&str) -> Option<Arc<dyn Host>> + Send + Sync),
    /// Logs in to the host once more.
    pub anew: &'a (dyn Fn() -> BoxFuture<'a, Result<Arc<dyn Host>, TransportError>> + Send + Sync),
    /// What the Swarm held at the last look: names become ids.
    pub swarm: Option<&'a SwarmObservation>,
    /// Called with each line of output.
    pub on_line: &'a (dyn Fn(&str) + Send + Sync),
}

impl Scene<'_> {
    /// Runs one op to its end.
    pub async fn run(&self, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Exec(exec) => self.exec(exec).await.map(drop),
            Op::WriteFile(file) => files::write(&*self.host, file).await,
            Op::MakeDir { path, mode, owner } => {
                self.quiet(["mkdir", "-p", "--", path]).await?;
                self.set_mode(path, *mode, owner).await
            }
            Op::SetMode { path, mode, owner } => self.set_mode(path, *mode, owner).await,
            Op::RemoveFile { path } => self.quiet(["rm", "-f", "--", path]).await,
            Op::Keep { path } => guard::keep(&*self.host, path).await,
            Op::RestartEngine { path } => guard::restart(self, path).await,
            Op::Confirm { path } => guard::confirm(&*(self.anew)().await?, path).await,
            Op::Docker(op) => self.docker(op).await,
            Op::LoadImage(op) => send::load(&*self.host, &self.engine().await?, op, self.on_line).await,
            Op::CarryPackages(op) => send::packages(&*self.host, op, self.on_line).await,
            Op::Dump(op) => {
                let kept = dump::take(&*self.host, op).await?;
                (self.on_line)(&format!("{}: {} tables, {} bytes", kept.name, kept.tables, kept.bytes));
                Ok(())
            }
        }
    }

    async fn set_mode(&self, path: &str, mode: u32, owner: &str) -> Result<(), Fault> {
        self.quiet(["chown", owner, "--", path]).await?;
        self.quiet(["chmod", &format!("{mode:04o}"), "--", path]).await
    }

    async fn quiet<'s>(&self, argv: impl IntoIterator<Item = &'s str>) -> Result<(), Fault> {
        self.exec(&Exec::new(argv).timeout(30)).await.map(drop)
    }

    /// Runs a program, waiting while somebody else holds its lock.
    async fn exec(&self, exec: &Exec) -> Result<Output, Fault> {
        let started = Instant::now();
        loop {
            let mut command = Command::new(exec.argv.iter().cloned()).timeout(Duration::from_secs(exec.timeout_s));
            command.env = exec.env.clone();
            command.stdin = exec.stdin.clone();
            let output = self.host.exec(command, Some(&|line| (self.on_line)(line))).await?;
            if output.success() || exec.success.contains(&output.code) {
                return Ok(output);
            }
            let Some(busy) = exec.busy.as_ref().filter(|b| is_busy(b, &output)) else {
                let cause = format!("{}: `{}` ended with code {}", self.host.name(), exec.argv.join(" "), output.code);
                return Err(Fault::failed(cause).lines(output.tail(20)));
            };
            let holder = self.holder(busy).await;
            if started.elapsed() >= Duration::from_secs(busy.wait_s) {
                let cause = format!(
                    "{}: the package manager is still locked after {} s by {holder}",
                    self.host.name(),
                    busy.wait_s
                );
                return Err(Fault::failed(cause)
                    .lines(output.tail(5))
                    .hint("let that program finish (or stop it), then run the same command again"));
            }
            (self.on_line)(&format!("waiting for the package manager: locked by {holder}"));
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }

    /// Who holds the first lock that is held, in words.
    async fn holder(&self, busy: &Busy) -> String {
        const WHO: &str = r#"for f; do
  i=$(stat -c %i "$f" 2>/dev/null) || continue
  pid=$(awk -v i="$i" '{ split($6, a, ":"); if (a[3] == i) { print $5; exit } }' /proc/locks)
  [ -n "$pid" ] || continue
  printf '%s (process %s, %s)\n' "$(tr '\0' ' ' < /proc/$pid/cmdline)" "$pid" "$f"; exit
done"#;
        let argv = ["sh", "-c", WHO, "who"].into_iter().map(str::to_owned).chain(busy.lock_files.iter().cloned());
        let found = self.host.exec(Command::new(argv).timeout(Duration::from_secs(10)), None).await;
        let found = found.map(|o| o.text().trim().to_owned()).unwrap_or_default();
        if found.is_empty() { "another program".to_owned() } else { found }
    }

    async fn engine(&self) -> Result<Docker, Fault> {
        Ok(self.host.docker().await?)
    }

    async fn docker(&self, op: &DockerOp) -> Result<(), Fault> {
        let docker = self.engine().await?;
        let name = self.host.name();
        let said = |doing: &str| {
            let doing = format!("{name}: {doing}");
            move |e: bollard::errors::Error| Fault::docker(&doing, &e)
        };
        match op {
            DockerOp::PullImage { reference, auth } => self.pull(&docker, reference, auth.as_ref()).await,
            DockerOp::RemoveImage { name: image } => prune::remove(&docker, name, image).await,
            DockerOp::SwarmInit { advertise, spec } => {
                let mut body = json!({"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": advertise});
                merge(&mut body, spec);
                let request: models::SwarmInitRequest = typed(body)?;
                docker.init_swarm(request).await.map(drop).map_err(said("initialise the Swarm"))
            }
            DockerOp::SwarmJoin { worker, advertise, ask } => join::join(self, &docker, *worker, advertise, ask).await,
            DockerOp::NodeLabels { node, labels } => {
                let found = docker.inspect_node(node).await.map_err(said("read the node"))?;
                let mut spec = found.spec.unwrap_or_default();
                let kept = spec.labels.get_or_insert_with(HashMap::new);
                for (label, value) in labels {
                    match value {
                        Some(value) => kept.insert(label.clone(), value.clone()),
                        None => kept.remove(label),
                    };
                }
                let version = found.version.and_then(|v| v.index).unwrap_or_default();
                let options = UpdateNodeOptionsBuilder::new().version(version as i64).build();
                docker.update_node(node, spec, options).await.map_err(said("label the node"))
            }
            DockerOp::NodeDrain { node } => nodes::drain(&docker, node).await,
            DockerOp::NodeDemote { node } => nodes::demote(&docker, name, node).await,
            // By force: a node that runs would have to leave by itself first, and nobody is let in there any more.
            DockerOp::NodeRemove { node } => {
                let force = DeleteNodeOptionsBuilder::new().force(true).build();
                docker.delete_node(node, Some(force)).await.map_err(said("remove the node"))
            }
            DockerOp::NetworkCreate { spec } => {
                let request: models::NetworkCreateRequest = typed(spec.clone())?;
                docker.create_network(request).await.map(drop).map_err(said("create the network"))
            }
            DockerOp::ConfigCreate { name, labels, data } => {
                let request = models::ConfigSpec {
                    name: Some(name.clone()),
                    labels: Some(typed(labels.clone())?),
                    data: Some(base64(data.bytes())),
                    ..Default::default()
                };
                docker.create_config(request).await.map(drop).map_err(said(&format!("create config {name}")))
            }
            DockerOp::SecretCreate { name, labels, data } => {
                let request = models::SecretSpec {
                    name: Some(name.clone()),
                    labels: Some(typed(labels.clone())?),
                    data: Some(base64(data.expose())),
                    ..Default::default()
                };
                docker.create_secret(request).await.map(drop).map_err(said(&format!("create secret {name}")))
            }
            DockerOp::ServiceCreate { spec, auth } => {
                let spec = self.with_ids(spec.clone())?;
                let auth = auth.as_ref().map(header);
                let made = docker.post("/services/create", &spec, auth.as_deref()).await;
                made.map(drop).map_err(said("create the service"))
            }
            DockerOp::ServiceUpdate { name, version, spec, auth } => {
                update_service(&docker, name, *version, self.with_ids(spec.clone())?, auth.as_ref()).await.map_err(
                    |e| {
                        if Fault::is_out_of_sequence(&e) {
                            Fault {
                                kind: FaultKind::Moved,
                                cause: format!("{name} was changed by somebody else since it was looked at"),
                                last_lines: vec![],
                                hint: "run the same command again to see the new difference".into(),
                            }
                        } else {
                            Fault::docker(&format!("update {name}"), &e)
                        }
                    },
                )
            }
            DockerOp::Remove { kind, id } => {
                let done = match kind.as_str() {
                    "services" => docker.delete_service(id).await,
                    "configs" => docker.delete_config(id).await,
                    "secrets" => docker.delete_secret(id).await,
                    _ => docker.remove_network(id).await,
                };
                done.map_err(said(&format!("remove {id} of {kind}")))
            }
        }
    }

    async fn pull(&self, docker: &Docker, reference: &str, auth: Option<&RegistryAuth>) -> Result<(), Fault> {
        let (image, tag) = match reference.split_once('@') {
            Some((image, digest)) => (image, digest),
            None => reference.rsplit_once(':').unwrap_or((reference, "latest")),
        };
        let options = CreateImageOptionsBuilder::new().from_image(image).tag(tag).build();
        let mut progress = Box::pin(docker.create_image(Some(options), None, auth.map(credentials)));
        while let Some(step) = progress.next().await {
            let step = step.map_err(|e| Fault::docker(&format!("{}: pull {reference}", self.host.name()), &e))?;
            if let Some(status) = step.status.filter(|s| !s.starts_with("Waiting")) {
                (self.on_line)(&format!("{}{status}", step.id.map(|i| format!("{i}: ")).unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Names of secrets, configs and networks become the ids the API wants.
    fn with_ids(&self, mut spec: Value) -> Result<Value, Fault> {
        let Some(swarm) = self.swarm else {
            return Ok(spec);
        };
        let task = &mut spec["TaskTemplate"];
        for (list, name_key, id_key) in [("Secrets", "SecretName", "SecretID"), ("Configs", "ConfigName", "ConfigID")] {
            for item in task["ContainerSpec"][list].as_array_mut().into_iter().flatten() {
                let name = text(item, &[name_key]).to_owned();
                let found = if list == "Secrets" { swarm.secret(&name) } else { swarm.config(&name) };
                let id = found.map(|f| text(f, &["ID"])).unwrap_or_default();
                if id.is_empty() {
                    return Err(Fault::failed(format!(
                        "{} `{name}` is not in the Swarm",
                        list.to_lowercase().trim_end_matches('s')
                    )));
                }
                item[id_key] = json!(id);
            }
        }
        for item in task["Networks"].as_array_mut().into_iter().flatten() {
            let name = text(item, &["Target"]).to_owned();
            if let Some(network) = swarm.network(&name) {
                item["Target"] = network["Id"].clone();
            }
        }
        Ok(spec)
    }
}

/// Posts a service update. The spec is the API's own JSON: nothing in it is lost on the way.
pub async fn update_service(
    docker: &Docker,
    name: &str,
    version: u64,
    spec: Value,
    auth: Option<&RegistryAuth>,
) -> Result<(), bollard::errors::Error> {
    // Without a login the one kept with the service stays.
    let from = if auth.is_some() { "" } else { "&registryAuthFrom=spec" };
    let path = format!("/services/{name}/update?version={version}{from}");
    docker.post(&path, &spec, auth.map(header).as_deref()).await.map(drop)
}

/// The login as Docker's `X-Registry-Auth` header carries it.
fn header(auth: &RegistryAuth) -> String {
    use base64::Engine as _;
    let login = json!({
        "username": auth.username,
        "password": auth.password.expose_str().unwrap_or_default(),
        "serveraddress": auth.server,
    });
    base64::engine::general_purpose::URL_SAFE.encode(login.to_string())
}

pub(super) fn credentials(auth: &RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: Some(auth.username.clone()),
        password: auth.password.expose_str().map(str::to_owned),
        serveraddress: Some(auth.server.clone()),
        ..Default::default()
    }
}

fn is_busy(busy: &Busy, output: &Output) -> bool {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), output.text());
    busy.says.iter().any(|piece| text.contains(piece.as_str()))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|e| Fault::failed(format!("a request to Docker cannot be built: {e}")))
}
