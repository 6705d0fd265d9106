//! One JSON line for each event, as it happens.

use jiff::Timestamp;
use reemo_model::event::Event;
use serde_json::{Map, Value, json};

use crate::listener::Listener;
use crate::output::Pending;

/// Version of the JSON forms; raised when a reader of the old one would go wrong.
pub(crate) const SCHEMA: u32 = 1;

/// The JSON lines listener.
#[derive(Default)]
pub(crate) struct Jsonl {
    run_id: Option<String>,
}

impl Listener for Jsonl {
    fn hear(&mut self, event: &Event, at: Timestamp, pending: &mut Pending) {
        if let Event::RunStarted { run_id, .. } = event {
            self.run_id = Some(run_id.clone());
        }
        let mut line = Map::new();
        line.insert("schema".to_owned(), json!(SCHEMA));
        line.insert("run_id".to_owned(), json!(self.run_id));
        line.insert("time".to_owned(), json!(at.to_string()));
        if let Ok(Value::Object(fields)) = serde_json::to_value(event) {
            line.extend(fields);
        }
        pending.json(Value::Object(line), false);
    }
}
