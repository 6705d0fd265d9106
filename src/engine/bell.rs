//! Engines tell what happens (a container became healthy, an update ended), which wakes whoever waits for that
//! service. A stream may miss events, begin late or break, so it only ever wakes; what is true is then looked at, and
//! a look every few seconds makes sure without it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reemo_transport::Host;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::pause::Pause;
use super::query::filtered;

/// Looks are never further apart.
const LONGEST: Duration = Duration::from_secs(5);
/// Nor, while some engine is not listened to, than this.
const DEAF: Duration = Duration::from_secs(1);
/// The first look after something happened, and the pause that grows from there: an engine tells of its container
/// before the managers have heard of it.
const SOON: Duration = Duration::from_millis(200);

/// The label by which a container says whose copy it is.
const SERVICE: &str = "com.docker.swarm.service.name";

/// The events of a cluster's engines. Listens until it is dropped.
pub struct Bell {
    chimes: Arc<Chimes>,
    ears: Vec<AbortHandle>,
}

#[derive(Default)]
struct Chimes {
    /// By service.
    rung: Mutex<HashMap<String, watch::Sender<()>>>,
    listening: AtomicUsize,
}

impl Bell {
    /// Listens to these hosts from now on.
    pub fn listen(hosts: impl IntoIterator<Item = Arc<dyn Host>>) -> Arc<Bell> {
        let chimes = Arc::new(Chimes::default());
        let ears = hosts.into_iter().map(|host| tokio::spawn(hear(host, chimes.clone())).abort_handle()).collect();
        Arc::new(Bell { chimes, ears })
    }

    /// One who waits for a service.
    pub fn waiter(self: &Arc<Self>, service: &str) -> Waiter {
        let mut rung = self.chimes.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let rung = rung.entry(service.to_owned()).or_insert_with(|| watch::channel(()).0).subscribe();
        Waiter { bell: self.clone(), rung, pause: Pause::new(SOON, LONGEST) }
    }

    /// Every engine is listened to.
    fn hears_all(&self) -> bool {
        self.chimes.listening.load(Ordering::Relaxed) == self.ears.len()
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ears.iter().for_each(AbortHandle::abort);
    }
}

impl Chimes {
    fn ring(&self, event: &Value) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let of = &event["Actor"]["Attributes"];
        match event["Type"].as_str() {
            // A node that went or came concerns everybody.
            Some("node") => rung.values().for_each(|bell| bell.send_replace(())),
            Some("service") => rung.get(of["name"].as_str().unwrap_or_default()).into_iter().for_each(ring),
            _ => rung.get(of[SERVICE].as_str().unwrap_or_default()).into_iter().for_each(ring),
        }
    }
}

fn ring(bell: &watch::Sender<()>) {
    bell.send_replace(());
}

/// Counts as listening while it lives.
struct Listening<'a>(&'a Chimes);

impl<'a> Listening<'a> {
    fn new(chimes: &'a Chimes) -> Self {
        chimes.listening.fetch_add(1, Ordering::Relaxed);
        Listening(chimes)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listening.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Listens to one engine; one that stops telling is asked again, less and less often.
async fn hear(host: Arc<dyn Host>, chimes: Arc<Chimes>) {
    let filters = json!({
        "type": ["container", "service", "node"],
        "event": ["start", "die", "health_status", "create", "update", "remove"],
    });
    let path = filtered("/events", &filters);
    let mut pause = Pause::new(SOON, LONGEST);
    loop {
        if let Ok(docker) = host.docker().await
            && let Ok(mut events) = docker.listen(&path).await
        {
            let _listening = Listening::new(&chimes);
            while let Some(event) = events.next().await {
                pause.reset();
                chimes.ring(&event);
            }
        }
        tokio::time::sleep(pause.take()).await;
    }
}

/// Waits for the next reason to look.
pub struct Waiter {
    bell: Arc<Bell>,
    rung: watch::Receiver<()>,
    pause: Pause,
}

impl Waiter {
    /// Until something happened to the service (true), or it is time to make sure; `at_most` this long.
    pub async fn wait(&mut self, at_most: Duration) -> bool {
        let pause = self.patience().min(at_most);
        let rung = matches!(tokio::time::timeout(pause, self.rung.changed()).await, Ok(Ok(())));
        if rung {
            self.pause.reset();
            // Several things happen at once; one look sees them all.
            tokio::time::sleep(SOON / 2).await;
            self.rung.mark_unchanged();
        }
        rung
    }

    /// How long to wait this time if nothing happens.
    fn patience(&mut self) -> Duration {
        let limit = if self.bell.hears_all() { LONGEST } else { DEAF };
        self.pause.take().min(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reemo_transport::fake::{Engine, Reply, ScriptedHost};

    const MOMENT: Duration = Duration::from_millis(1);

    fn event(kind: &str, name: &str) -> Value {
        let key = if kind == "container" { SERVICE } else { "name" };
        json!({"Type": kind, "Action": "update", "Actor": {"ID": "x", "Attributes": {key: name}}})
    }

    fn host(reply: Reply) -> (Arc<dyn Host>, Engine) {
        let engine = Engine::new();
        engine.on(http::Method::GET, "/events", move |_| reply.clone());
        (Arc::new(ScriptedHost::new("one").engine(engine.clone())), engine)
    }

    #[tokio::test]
    async fn an_event_wakes_those_it_concerns() {
        let bell = Bell::listen([]);
        let (mut api, mut portal) = (bell.waiter("reemo_api"), bell.waiter("reemo_portal"));
        assert!(!api.wait(MOMENT).await, "nothing has happened");
        for (kind, name, wakes) in [
            ("container", "reemo_api", [true, false]),
            ("service", "reemo_portal", [false, true]),
            ("node", "infra1", [true, true]),
            ("service", "somebody_else", [false, false]),
            ("container", "", [false, false]),
        ] {
            bell.chimes.ring(&event(kind, name));
            assert_eq!([api.wait(MOMENT).await, portal.wait(MOMENT).await], wakes, "{kind} {name}");
        }
    }

    #[tokio::test]
    async fn silence_is_looked_into_less_and_less_often_and_an_event_begins_anew() {
        let bell = Bell::listen([]);
        let mut waiter = bell.waiter("reemo_api");
        let pauses: Vec<Duration> = (0..10).map(|_| waiter.patience()).collect();
        assert!(pauses[0] <= SOON && pauses[9] > LONGEST / 2 && pauses.iter().all(|p| *p <= LONGEST), "{pauses:?}");
        bell.chimes.ring(&event("service", "reemo_api"));
        assert!(waiter.wait(MOMENT).await);
        assert!(waiter.patience() <= SOON, "what began may go on");
    }

    #[tokio::test]
    async fn engines_are_listened_to() {
        let (told, engine) = host(Reply::lines([event("container", "reemo_api")]).then_hangs());
        let bell = Bell::listen([told]);
        let mut waiter = bell.waiter("reemo_api");
        waiter.rung.changed().await.unwrap();
        assert!(bell.hears_all());
        assert_eq!(engine.seen(), ["GET /events"]);
    }

    #[tokio::test]
    async fn an_engine_that_tells_nothing_is_asked_again_and_not_relied_upon() {
        let (told, engine) = host(Reply::error(500, "no"));
        let bell = Bell::listen([told]);
        let mut waiter = bell.waiter("reemo_api");
        while engine.seen().len() < 2 {
            waiter.wait(MOMENT).await;
        }
        assert!(!bell.hears_all());
        assert!((0..10).all(|_| waiter.patience() <= DEAF));
    }
}
