//! One JSON document when the run has ended.

use jiff::Timestamp;
use reemo_model::event::Event;
use serde_json::{Map, Value, json};

use crate::jsonl::SCHEMA;
use crate::listener::Listener;
use crate::output::Pending;
use crate::plan::{PlanItem, Tally};

/// The JSON document listener.
#[derive(Default)]
pub(crate) struct Document {
    run: Map<String, Value>,
    tasks: Vec<Value>,
    unreachable: Vec<Value>,
    preflight: Vec<Value>,
    warnings: Vec<Value>,
    failure: Value,
    timings: Vec<Value>,
    recap: Map<String, Value>,
    tally: Option<Tally>,
}

impl Listener for Document {
    fn hear(&mut self, event: &Event, _at: Timestamp, _pending: &mut Pending) {
        let fields = || match serde_json::to_value(event) {
            Ok(Value::Object(mut fields)) => {
                fields.shift_remove("event");
                fields
            }
            _ => Map::new(),
        };
        match event {
            Event::RunStarted { command, .. } => {
                self.run = fields();
                self.tally = (command == "plan").then(Tally::default);
            }
            Event::TaskFinished { title, host, outcome, change, .. } => {
                self.tasks.push(Value::Object(fields()));
                if let Some(tally) = &mut self.tally {
                    let (host, title, outcome) = (host.clone(), title.clone(), outcome.clone());
                    tally.add(&PlanItem { host, title, outcome, change: change.clone() });
                }
            }
            Event::HostUnreachable { .. } => self.unreachable.push(Value::Object(fields())),
            Event::Preflight { findings } => self.preflight.extend(findings.iter().map(|f| json!(f))),
            Event::Warning { message } => self.warnings.push(json!(message)),
            Event::Failure { .. } => self.failure = Value::Object(fields()),
            Event::Recap { .. } => self.recap = fields(),
            Event::PhaseFinished { .. } | Event::StageFinished { .. } => self.timings.push(Value::Object(fields())),
            // What happened in between is for those who follow along: `jsonl` and the log.
            Event::StageStarted { .. } | Event::TaskStarted { .. } | Event::TaskOutput { .. } => {}
        }
    }

    fn end(&mut self, pending: &mut Pending) {
        let mut run = std::mem::take(&mut self.run);
        let mut recap = std::mem::take(&mut self.recap);
        let mut take = |name: &str| recap.remove(name).unwrap_or_default();
        let document = json!({
            "schema": SCHEMA,
            "run_id": run.remove("run_id").unwrap_or_default(),
            "command": run.remove("command").unwrap_or_default(),
            "hosts": run.remove("hosts").unwrap_or_default(),
            "log": run.remove("log").unwrap_or_default(),
            "exit": take("exit"),
            "seconds": take("seconds"),
            "recap": take("hosts"),
            "trips": take("trips"),
            "timings": self.timings,
            "plan": self.tally,
            "unreachable": self.unreachable,
            "failure": self.failure,
            "preflight": self.preflight,
            "warnings": self.warnings,
            "tasks": self.tasks,
        });
        pending.json(document, true);
    }
}
