//! Listens to the events of a run and shows them: text, progress bars, JSON, the log file.
//!
//! What may live here: everything a person or a script reads. It returns nothing and never fails a
//! run: a closed standard output, a full disk under the log, an odd terminal cost output, no more.
//!
//! Streams, as people know them from Ansible: task lines, plans, tables, JSON and the PLAY RECAP go to
//! standard output; progress bars, warnings and the failure block to standard error.
//!
//! Nothing secret gets out: each event is scrubbed before any listener sees it, and each text once
//! more when it is written.

mod aside;
mod board;
mod clean;
mod demo;
mod diff;
mod document;
mod failure;
mod findings;
mod health;
mod jsonl;
mod listener;
mod log;
mod options;
mod output;
mod paint;
mod plan;
mod printer;
mod progress;
mod recap;
mod run;
mod table;
mod tail;
mod text;
mod timings;

pub use demo::{Scene, play, script};
pub use findings::findings;
pub use health::health_tree;
pub use options::{Color, Format, Options, Terminal};
pub use output::Streams;
pub use paint::{Paint, Tone};
pub use plan::{PlanItem, Tally, render_plan};
pub use printer::Printer;
pub use recap::recap;
pub use run::{Clock, Handle, Ui};
pub use table::{Cell, Table};
