//! The lock of a cluster that is a Swarm: a config of one name, kept by its managers in Raft. Whoever makes it holds it.
//!
//! Its labels say who holds it, and count up: each beat is an update against the version that was seen last, so of two
//! that believe they hold it only one can go on. Measured with engine 20.10: creating has one winner among any number,
//! a beat costs 10 ms, a stale version is answered with 500 `update out of sequence`, deleting by id never removes
//! somebody else's.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use reemo_resource::swarm::observed::{at, number, text};
use reemo_transport::Host;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{FRESH, Holder, NAME, Wish, held};
use crate::engine::fault::{Fault, FaultKind};
use crate::engine::owner::Owner;

/// What a manager is asked.
enum Ask {
    Get(String),
    Post(String, Value),
    Delete(String),
}

/// What a manager answered.
enum Answer {
    Done(Value),
    Gone,
    Exists,
    Stale,
}

/// A Swarm's lock, in our hands.
pub struct RaftLock {
    cluster: String,
    managers: Vec<Arc<dyn Host>>,
    wish: Wish,
    id: String,
    beat: Mutex<Beat>,
}

struct Beat {
    version: u64,
    count: u64,
    proven: Option<(Instant, SystemTime)>,
    lost: Option<String>,
}

impl RaftLock {
    /// Takes the lock, waiting as long as is wished. True: somebody else held it meanwhile.
    pub async fn take(
        cluster: &str,
        managers: Vec<Arc<dyn Host>>,
        wish: &Wish,
        on_wait: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(RaftLock, bool), Fault> {
        let asked = Instant::now();
        let mut waited = false;
        // Who held it when, by our own clock.
        let mut seen: Option<(String, u64, Instant)> = None;
        loop {
            let body = json!({"Name": NAME, "Labels": labels(wish, 0), "Data": data()});
            match call(&managers, cluster, &Ask::Post("/configs/create".into(), body)).await? {
                Answer::Done(made) => {
                    let id = text(&made, &["ID"]).to_owned();
                    let Some(there) = read(&managers, cluster, &id).await? else { continue };
                    let version = number(&there, &["Version", "Index"]).unwrap_or_default();
                    let beat = Beat { version, count: 0, proven: now(), lost: None };
                    let (cluster, wish) = (cluster.to_owned(), wish.clone());
                    return Ok((RaftLock { cluster, managers, wish, id, beat: Mutex::new(beat) }, waited));
                }
                Answer::Exists => {}
                Answer::Gone | Answer::Stale => return Err(odd(cluster)),
            }
            let Some(there) = read(&managers, cluster, NAME).await? else { continue };
            let (id, version) = (text(&there, &["ID"]).to_owned(), number(&there, &["Version", "Index"]).unwrap_or(0));
            let holder = holder(&there);
            if holder.owner == wish.owner {
                // Our own request, answered with an error and done all the same.
                remove(&managers, cluster, &id).await?;
                continue;
            }
            let since = match &seen {
                Some((i, v, since)) if *i == id && *v == version => *since,
                _ => seen.insert((id.clone(), version, Instant::now())).2,
            };
            let silent = since.elapsed() >= wish.timing.stale;
            if silent || holder.owner.is_gone() == Some(true) {
                let why = if silent { "no sign of life" } else { "its process is gone" };
                if break_open(&managers, cluster, &there, &wish.owner).await? {
                    on_wait(&format!("{cluster}: the lock of {} was taken over: {why}", holder.owner.in_words()));
                }
                waited = true;
                continue;
            }
            if asked.elapsed() >= wish.wait {
                return Err(held(cluster, &holder, wish));
            }
            waited = true;
            on_wait(&format!("{cluster}: waiting for {}", holder.in_words()));
            wish.go_on()?;
            tokio::time::sleep(wish.timing.poll).await;
        }
    }

    /// Proves that the lock is still ours, by a write that fails if it is not. What was proven a moment ago counts, by
    /// both clocks: one of them stands still while a machine sleeps.
    pub async fn prove(&self, always: bool) -> Result<(), Fault> {
        let mut beat = self.beat.lock().await;
        if let Some(why) = &beat.lost {
            return Err(self.lost(why));
        }
        let fresh = |(at, clock): (Instant, SystemTime)| {
            at.elapsed() < FRESH && SystemTime::now().duration_since(clock).is_ok_and(|d| d < FRESH)
        };
        if !always && beat.proven.is_some_and(fresh) {
            return Ok(());
        }
        // A slow answer may be to a write that was done; then the version has moved by our own hand.
        for _ in 0..3 {
            let count = beat.count + 1;
            let spec = json!({"Name": NAME, "Labels": labels(&self.wish, count), "Data": data()});
            let path = format!("/configs/{}/update?version={}", self.id, beat.version);
            let written = call(&self.managers, &self.cluster, &Ask::Post(path, spec)).await?;
            beat.count = count;
            let there = read(&self.managers, &self.cluster, &self.id).await?;
            match (written, there) {
                (Answer::Done(_), Some(there)) if breaker(&there).is_none() => {
                    beat.version = number(&there, &["Version", "Index"]).unwrap_or(beat.version);
                    beat.proven = now();
                    return Ok(());
                }
                (Answer::Stale, Some(there)) if breaker(&there).is_none() => {
                    beat.version = number(&there, &["Version", "Index"]).unwrap_or(beat.version);
                }
                (_, there) => {
                    let who = there.as_ref().and_then(breaker);
                    let why = who.map_or("it was released by hand".to_owned(), |w| format!("{w} took it over"));
                    let fault = self.lost(&why);
                    beat.lost = Some(why);
                    return Err(fault);
                }
            }
        }
        Err(Fault::failed(format!("{}: the lock cannot be proven to be ours", self.cluster)))
    }

    /// Gives it back.
    pub async fn release(&self) -> Result<(), Fault> {
        let beat = self.beat.lock().await;
        if beat.lost.is_some() {
            return Ok(());
        }
        remove(&self.managers, &self.cluster, &self.id).await
    }

    fn lost(&self, why: &str) -> Fault {
        let cause = format!("{}: this run does not hold the lock any more: {why}", self.cluster);
        Fault { kind: FaultKind::Locked, ..Fault::failed(cause) }
            .hint("`reemo-infra lock status` says who holds it; run the same command again when it is free")
    }
}

/// Somebody else's lock among what was seen of a Swarm, its holder not known to be dead.
pub fn foreign(configs: &[Value], me: &Owner) -> bool {
    let held = configs.iter().find(|c| text(c, &["Spec", "Name"]) == NAME);
    held.map(holder).is_some_and(|h| h.owner != *me && h.owner.is_gone() != Some(true))
}

/// A lock among what was seen of a Swarm, whose holder is certain to be dead.
pub fn orphan(configs: &[Value]) -> Option<&Value> {
    let held = configs.iter().find(|c| text(c, &["Spec", "Name"]) == NAME)?;
    (holder(held).owner.is_gone() == Some(true)).then_some(held)
}

/// Who holds a cluster's lock; `None`: nobody.
pub async fn look(cluster: &str, managers: &[Arc<dyn Host>]) -> Result<Option<(Holder, Value)>, Fault> {
    Ok(read(managers, cluster, NAME).await?.map(|there| (holder(&there), there)))
}

/// Breaks a lock that was seen in this state; false: it has moved since, or is gone.
pub async fn break_open(managers: &[Arc<dyn Host>], cluster: &str, there: &Value, by: &Owner) -> Result<bool, Fault> {
    let id = text(there, &["ID"]);
    let version = number(there, &["Version", "Index"]).unwrap_or_default();
    let mut spec = there["Spec"].clone();
    spec["Labels"]["breaker"] = json!(by.in_words());
    let path = format!("/configs/{id}/update?version={version}");
    // Marked first, against the version that was seen: a holder who still lives is refused at his next beat.
    match call(managers, cluster, &Ask::Post(path, spec)).await? {
        Answer::Done(_) => remove(managers, cluster, id).await.map(|()| true),
        _ => Ok(false),
    }
}

async fn read(managers: &[Arc<dyn Host>], cluster: &str, name: &str) -> Result<Option<Value>, Fault> {
    match call(managers, cluster, &Ask::Get(format!("/configs/{name}"))).await? {
        Answer::Done(there) => Ok(Some(there)),
        Answer::Gone => Ok(None),
        Answer::Exists | Answer::Stale => Err(odd(cluster)),
    }
}

async fn remove(managers: &[Arc<dyn Host>], cluster: &str, id: &str) -> Result<(), Fault> {
    call(managers, cluster, &Ask::Delete(id.to_owned())).await.map(drop)
}

/// Asks one manager after the other, until one gives an answer that means something.
async fn call(managers: &[Arc<dyn Host>], cluster: &str, ask: &Ask) -> Result<Answer, Fault> {
    use bollard::errors::Error::DockerResponseServerError;
    let mut trouble = None;
    for manager in managers {
        let docker = match manager.docker().await {
            Ok(docker) => docker,
            Err(e) => {
                trouble = Some(Fault::from(e));
                continue;
            }
        };
        let doing = format!("{}: the lock of {cluster}", manager.name());
        let answer = match ask {
            Ask::Get(path) => docker.read(path).await,
            Ask::Post(path, body) => docker.post(path, body, None).await,
            Ask::Delete(id) => docker.delete_config(id).await.map(|()| Value::Null),
        };
        match answer {
            Ok(value) => return Ok(Answer::Done(value)),
            Err(DockerResponseServerError { status_code: 404, .. }) => return Ok(Answer::Gone),
            Err(DockerResponseServerError { status_code: 409, .. }) => return Ok(Answer::Exists),
            Err(e) if Fault::is_out_of_sequence(&e) => return Ok(Answer::Stale),
            Err(e) => trouble = Some(Fault::docker(&doing, &e)),
        }
    }
    Err(trouble.unwrap_or_else(|| Fault::failed(format!("no manager of {cluster} can be asked for its lock"))))
}

fn labels(wish: &Wish, count: u64) -> Value {
    json!({
        reemo_resource::swarm::MANAGED: "true",
        "owner": serde_json::to_string(&wish.owner).unwrap_or_default(),
        "reason": wish.reason,
        "beat": count.to_string(),
        "at": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

fn data() -> String {
    base64::engine::general_purpose::STANDARD.encode("held while a run of reemo-infra changes this Swarm\n")
}

fn holder(there: &Value) -> Holder {
    let label = |name: &str| text(there, &["Spec", "Labels", name]);
    Holder {
        owner: serde_json::from_str(label("owner")).unwrap_or_default(),
        reason: label("reason").to_owned(),
        at: label("at").to_owned(),
    }
}

fn breaker(there: &Value) -> Option<String> {
    at(there, &["Spec", "Labels", "breaker"]).and_then(Value::as_str).map(str::to_owned)
}

fn now() -> Option<(Instant, SystemTime)> {
    Some((Instant::now(), SystemTime::now()))
}

fn odd(cluster: &str) -> Fault {
    Fault::failed(format!("{cluster}: the Swarm answers something about its lock that makes no sense"))
}

/// How long a lock is watched before it is broken by hand, at least: two beats and a little.
pub fn watched(beat: Duration) -> Duration {
    beat * 2 + beat / 2
}
