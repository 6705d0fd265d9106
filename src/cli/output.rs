//! From flags to the UI's options.

use std::path::PathBuf;

use reemo_ui::{Options, Printer};

use super::args::{Color, Format, OutputArgs};

/// For commands that print one text.
pub fn printer(args: &OutputArgs) -> Printer {
    Printer::new(color(args))
}

/// For runs.
pub fn options(args: &OutputArgs, diff: bool, log: Option<PathBuf>) -> Options {
    let format = match args.format {
        Format::Text => reemo_ui::Format::Text,
        Format::Json => reemo_ui::Format::Json,
        Format::Jsonl => reemo_ui::Format::Jsonl,
    };
    Options { format, color: color(args), verbosity: args.verbose, diff, timings: args.timings, progress: None, log }
}

fn color(args: &OutputArgs) -> reemo_ui::Color {
    match args.color {
        Color::Auto => reemo_ui::Color::Auto,
        Color::Always => reemo_ui::Color::Always,
        Color::Never => reemo_ui::Color::Never,
    }
}
