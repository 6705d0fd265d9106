//! Plays a scene on this terminal: `cargo run -p reemo-ui --example look -- failure -D`.

use std::time::Duration;

use reemo_ui::{Format, Options, Scene, Ui, play};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    let scene = match () {
        () if has("plan") => Scene::Plan,
        () if has("nochange") => Scene::NoChange,
        () if has("failure") => Scene::Failure,
        () if has("unreachable") => Scene::Unreachable,
        () => Scene::Apply,
    };
    let format = match () {
        () if has("json") => Format::Json,
        () if has("jsonl") => Format::Jsonl,
        () => Format::Text,
    };
    let verbosity = if has("-vv") { 2 } else { u8::from(has("-v")) };
    let pace = Duration::from_millis(if has("fast") { 0 } else { 120 });
    let options = Options { format, verbosity, diff: has("-D"), ..Options::default() };
    let (sink, handle) = Ui::start(&options)?;
    play(&sink, scene, pace);
    handle.finish();
    Ok(())
}
