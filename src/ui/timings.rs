//! Where the time of a run went, for those who ask with `--timings`.

use reemo_model::event::Event;

use crate::paint::Paint;
use crate::table::{Cell, Table};

/// The parts that have ended, in that order.
#[derive(Default)]
pub(crate) struct Timings(Vec<[String; 3]>);

impl Timings {
    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::PhaseFinished { phase, of, seconds } => self.add(phase.clone(), of, *seconds),
            Event::StageFinished { cluster, stage, seconds } => self.add(format!("stage {stage}"), cluster, *seconds),
            _ => {}
        }
    }

    fn add(&mut self, part: String, of: &str, seconds: f64) {
        self.0.push([part, of.to_owned(), format!("{seconds:.3}")]);
    }

    /// The table, the whole run last.
    pub(crate) fn table(&mut self, whole: f64) -> String {
        self.add("all".into(), "", whole);
        let mut table = Table::new(["PART", "OF", "SECONDS"]);
        for row in self.0.drain(..) {
            table.row(row.map(Cell::new));
        }
        table.render(Paint(false))
    }
}
