//! A plan: what would be done, with a sign for each task and its fields below.

use reemo_model::change::Action;
use reemo_model::event::{Outcome, Shown};
use serde::Serialize;

use crate::clean::printable;
use crate::diff::{field_lines, sign};
use crate::paint::{Paint, Tone};

/// One task of a plan.
#[derive(Clone, Debug)]
pub struct PlanItem {
    /// Host (or cluster) it is counted for.
    pub host: String,
    /// For people.
    pub title: String,
    /// `Changed`, `Unknown` or `Failed`; anything else shows nothing.
    pub outcome: Outcome,
    /// What would change.
    pub change: Option<Shown>,
}

impl PlanItem {
    /// Its lines; empty when there is nothing to do.
    pub fn render(&self, paint: Paint) -> String {
        let place = format!("[{}] {}", self.host, printable(&self.title));
        let line = |sign: &str, tone: Tone, rest: &str| format!("{} {place}{rest}", paint.paint(tone, sign));
        match &self.outcome {
            Outcome::Changed => {
                let (sign, tone) = sign(self.action());
                let fields = self.change.as_ref().map(|c| field_lines(&c.fields, None, paint)).unwrap_or_default();
                std::iter::once(line(sign, tone, "")).chain(fields).collect::<Vec<_>>().join("\n")
            }
            Outcome::Unknown { until } => line("?", Tone::Skipped, &format!(" (known after: {})", printable(until))),
            Outcome::Failed { why } => line("x", Tone::Failed, &format!(": {}", printable(why))),
            Outcome::Ok | Outcome::Skipped { .. } | Outcome::Unreachable => String::new(),
        }
    }

    fn action(&self) -> Action {
        self.change.as_ref().map_or(Action::Update, |change| change.action)
    }
}

/// What a plan comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// `+`
    pub create: usize,
    /// `~`
    pub change: usize,
    /// `-`
    pub remove: usize,
    /// `!`
    pub run: usize,
    /// `?`
    pub unknown: usize,
    /// Could not be planned.
    pub failed: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, item: &PlanItem) {
        match (&item.outcome, item.action()) {
            (Outcome::Changed, Action::Create) => self.create += 1,
            (Outcome::Changed, Action::Update) => self.change += 1,
            (Outcome::Changed, Action::Remove) => self.remove += 1,
            (Outcome::Changed, Action::Run) => self.run += 1,
            (Outcome::Unknown { .. }, _) => self.unknown += 1,
            (Outcome::Failed { .. } | Outcome::Unreachable, _) => self.failed += 1,
            (Outcome::Ok | Outcome::Skipped { .. }, _) => {}
        }
    }

    /// True when an apply would do nothing.
    pub fn is_empty(&self) -> bool {
        *self == Tally::default()
    }

    /// `Plan: 3 to create, 2 to change, 0 to remove; nothing was touched.`
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "No changes.".to_owned();
        }
        let mut text = format!("Plan: {} to create, {} to change, {} to remove", self.create, self.change, self.remove);
        let more = [(self.run, "to run"), (self.unknown, "known only later"), (self.failed, "that cannot be planned")];
        for (number, what) in more.iter().filter(|(number, _)| *number > 0) {
            text += &format!(", {number} {what}");
        }
        text + "; nothing was touched."
    }
}

/// A whole plan with its summary, without a line end after it.
pub fn render_plan(items: &[PlanItem], paint: Paint) -> String {
    let mut tally = Tally::default();
    items.iter().for_each(|item| tally.add(item));
    let lines = items.iter().map(|item| item.render(paint)).filter(|text| !text.is_empty());
    let body: String = lines.map(|text| text + "\n").collect();
    if body.is_empty() { tally.summary() } else { format!("{body}\n{}", tally.summary()) }
}
