//! Whole runs through the UI, compared with what a person or a script should see.
//!
//! After a wanted change: `UPDATE_GOLDEN=1 cargo nextest run -p reemo-ui`, then read the difference.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use reemo_model::change::{Action, FieldDiff};
use reemo_model::event::{Counts, Event, Outcome, Shown, Sink};
use reemo_model::finding::{Finding, State};
use reemo_model::secret::{PLACEHOLDER, Secret};
use reemo_ui::{Color, Format, Options, Paint, Printer, Scene, Streams, Terminal, Ui, play, recap};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A reader that has gone away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn noon() -> Timestamp {
    "2027-01-15T12:00:00Z".parse().unwrap()
}

/// Standard output and standard error of a run.
fn listen(options: &Options, run: impl FnOnce(&Sink)) -> (String, String) {
    let (out, err) = (Buffer::default(), Buffer::default());
    let streams = Streams { out: Box::new(out.clone()), err: Box::new(err.clone()) };
    let (sink, handle) = Ui::start_with(options, &Terminal::default(), streams, noon).unwrap();
    run(&sink);
    handle.finish();
    (out.text(), err.text())
}

fn scene(scene: Scene) -> impl FnOnce(&Sink) {
    move |sink| play(sink, scene, Duration::ZERO)
}

fn golden(name: &str, got: &(String, String)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let got = format!("{}=== stderr ===\n{}", got.0, got.1);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &got).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(got == wanted, "{name} differs; got:\n{got}");
}

#[test]
fn text() {
    let plain = Options::default();
    let diff = Options { diff: true, ..Options::default() };
    let loud = Options { verbosity: 2, ..Options::default() };
    let colored = Options { color: Color::Always, diff: true, ..Options::default() };
    golden("apply.txt", &listen(&plain, scene(Scene::Apply)));
    golden("apply-diff.txt", &listen(&diff, scene(Scene::Apply)));
    golden("apply-vv.txt", &listen(&loud, scene(Scene::Apply)));
    golden("apply-color.txt", &listen(&colored, scene(Scene::Apply)));
    golden("plan.txt", &listen(&plain, scene(Scene::Plan)));
    golden("no-change.txt", &listen(&plain, scene(Scene::NoChange)));
    let timed = Options { timings: true, ..Options::default() };
    golden("timings.txt", &listen(&timed, scene(Scene::NoChange)));
    golden("failure.txt", &listen(&plain, scene(Scene::Failure)));
    golden("unreachable.txt", &listen(&plain, scene(Scene::Unreachable)));
}

#[test]
fn json() {
    for (name, format) in [("json", Format::Json), ("jsonl", Format::Jsonl)] {
        let options = Options { format, ..Options::default() };
        golden(&format!("failure.{name}"), &listen(&options, scene(Scene::Failure)));
        golden(&format!("plan.{name}"), &listen(&options, scene(Scene::Plan)));
    }
}

#[test]
fn json_can_be_read() {
    let lines = listen(&Options { format: Format::Jsonl, ..Options::default() }, scene(Scene::Apply)).0;
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["schema"], 1);
        assert_eq!(event["run_id"], "20270115T080000Z-4f2a");
        assert!(event["event"].is_string());
    }
    let document = listen(&Options { format: Format::Json, ..Options::default() }, scene(Scene::Plan)).0;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["plan"]["create"], &document["exit"]), (&3.into(), &0.into()));
    // A run that was cut short still leaves a document.
    let cut = listen(&Options { format: Format::Json, ..Options::default() }, |sink| sink.warn("x")).0;
    assert!(serde_json::from_str::<serde_json::Value>(&cut).unwrap()["exit"].is_null());
}

/// Printed by ansible-core 2.19 for the same counts.
const ANSIBLE: &str = "
PLAY RECAP *********************************************************************
a-very-long-host-name-indeed.example.org : ok=0    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0   
bbb                        : ok=1    changed=0    unreachable=0    failed=0    skipped=2    rescued=0    ignored=0   
gone                       : ok=0    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0   
";

/// The same with ANSIBLE_FORCE_COLOR.
const ANSIBLE_COLOR: &str = "
PLAY RECAP *********************************************************************
\x1b[0;31ma-very-long-host-name-indeed.example.org\x1b[0m : ok=0    changed=0    unreachable=0    \x1b[0;31mfailed=1   \x1b[0m skipped=0    rescued=0    ignored=0   
\x1b[0;32mbbb\x1b[0m                        : \x1b[0;32mok=1   \x1b[0m changed=0    unreachable=0    failed=0    \x1b[0;36mskipped=2   \x1b[0m rescued=0    ignored=0   
\x1b[0;31mgone\x1b[0m                       : ok=0    changed=0    \x1b[1;31munreachable=1   \x1b[0m failed=0    skipped=0    rescued=0    ignored=0   
";

#[test]
fn recap_as_ansible_prints_it() {
    let failed = Counts { failed: 1, ..Counts::default() };
    let skipped = Counts { ok: 1, skipped: 2, ..Counts::default() };
    let gone = Counts { unreachable: 1, ..Counts::default() };
    let hosts = [("gone", gone), ("a-very-long-host-name-indeed.example.org", failed), ("bbb", skipped)];
    let hosts: BTreeMap<String, Counts> = hosts.map(|(name, counts)| (name.to_owned(), counts)).into();
    assert_eq!(recap(&hosts, 79, Paint(false)), ANSIBLE);
    assert_eq!(recap(&hosts, 79, Paint(true)), ANSIBLE_COLOR);
}

/// Puts a secret everywhere an event can carry text.
fn leak(sink: &Sink, secret: &str) {
    let s = || format!("before {secret} after");
    let (host, stage) = (|| "host1".to_owned(), || "api".to_owned());
    let (run_id, log) = ("r1".to_owned(), "run.log".into());
    sink.send(Event::RunStarted { run_id, command: "apply".into(), hosts: vec![host()], log });
    sink.send(Event::TaskStarted { task: s(), title: s(), host: host(), stage: stage() });
    sink.send(Event::TaskOutput { task: s(), host: host(), line: format!("{}{secret}", "x".repeat(395)) });
    let fields = vec![
        FieldDiff::new(s(), Some(s()), Some(format!("{}{secret}", "x".repeat(155)))),
        FieldDiff { text: Some(format!("-{secret}\n+x")), ..FieldDiff::new("file", None, None) },
    ];
    let outcomes = [
        Outcome::Changed,
        Outcome::Failed { why: s() },
        Outcome::Skipped { why: s() },
        Outcome::Unknown { until: s() },
    ];
    for outcome in outcomes {
        let change = Some(Shown { action: Action::Update, fields: fields.clone() });
        let (task, title) = (s(), s());
        sink.send(Event::TaskFinished { task, title, host: host(), stage: stage(), outcome, change, seconds: 1.0 });
    }
    sink.send(Event::HostUnreachable { host: host(), address: s(), cause: s(), hint: s() });
    let finding = Finding::new("ports", "host1", State::Problem, s(), s());
    sink.send(Event::Preflight { findings: vec![finding] });
    sink.warn(s());
    sink.send(Event::Failure { cause: s(), last_lines: vec![s()], serving: s(), next: s() });
    let counts = BTreeMap::from([(secret.to_owned(), Counts::default())]);
    sink.send(Event::Recap { hosts: counts, seconds: 1.0, exit: 2, trips: BTreeMap::new() });
}

#[test]
fn no_secret_in_any_sink() {
    // Quotes and backslashes are written otherwise in JSON and in quoted values.
    let poison = "p0ison\"quo\\ted'‹x›";
    Secret::new(poison);
    let harmless = "harmless-control-value";
    for format in [Format::Text, Format::Json, Format::Jsonl] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/run.log");
        let options = Options {
            format,
            color: Color::Always,
            verbosity: 3,
            diff: true,
            timings: true,
            log: Some(log.clone()),
            progress: None,
        };
        let shown = |secret: &str| {
            let (out, err) = listen(&options, |sink| leak(sink, secret));
            out + &err + &fs::read_to_string(&log).unwrap()
        };
        let text = shown(poison);
        for piece in ["p0ison", "quo\\ted", "ted'‹x›"] {
            assert!(!text.contains(piece), "{format:?} shows {piece}:\n{text}");
        }
        assert!(text.contains(PLACEHOLDER), "{format:?}");
        // Positive control: what is not secret does come through, in each stream and the log.
        assert!(shown(harmless).matches(harmless).count() > 20, "{format:?}");
    }
}

#[test]
fn a_secret_of_digits_leaves_json_whole() {
    Secret::new("41522");
    let finished = |seconds: f64| Event::StageFinished { cluster: "c".into(), stage: "41522".into(), seconds };
    let options = Options { format: Format::Jsonl, ..Options::default() };
    let line = listen(&options, |sink| sink.send(finished(41522.0))).0;
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["seconds"], &event["stage"]), (&41522.0.into(), &PLACEHOLDER.into()));
}

#[test]
fn closed_streams_fail_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("run.log");
    for format in [Format::Text, Format::Json, Format::Jsonl] {
        let options = Options { format, verbosity: 2, log: Some(log.clone()), ..Options::default() };
        let err = Buffer::default();
        let streams = Streams { out: Box::new(Closed), err: Box::new(err.clone()) };
        let (sink, handle) = Ui::start_with(&options, &Terminal::default(), streams, noon).unwrap();
        play(&sink, Scene::Failure, Duration::ZERO);
        handle.finish();
        assert!(err.text().contains("FAILED: reemo_api"), "the other stream still works");
        sink.warn("after the end");
    }
    let mut printer =
        Printer::with(Color::Auto, &Terminal::default(), Streams { out: Box::new(Closed), err: Box::new(Closed) });
    printer.print("x");
    printer.error("x", "y");
    assert!(fs::read_to_string(&log).unwrap().contains("end: exit code 6"));
}

#[test]
fn the_log_is_private_and_full() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("state/logs/run.log");
    let options = Options { log: Some(log.clone()), ..Options::default() };
    let shown = listen(&options, scene(Scene::Apply));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(log.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.lines().all(|line| line.starts_with("2027-01-15T12:00:00.000Z ")), "{text}");
    for full in ["Setting up docker.io", "ok [infra2] label node", "MAIL_ENABLE is false", "\"mtu\": 1450"] {
        assert!(text.contains(full), "{full} in {text}");
    }
    assert!(!shown.0.contains("Setting up docker.io"), "while the screen stays calm");

    let nowhere = Options { log: Some("/dev/null/run.log".into()), ..Options::default() };
    let streams = Streams { out: Box::new(Closed), err: Box::new(Closed) };
    let error = Ui::start_with(&nowhere, &Terminal::default(), streams, noon).err().unwrap();
    assert!(error.to_string().contains("/dev/null/run.log"), "{error}");
}

#[test]
fn a_full_disk_costs_the_log_only() {
    let options = Options { log: Some("/dev/full".into()), ..Options::default() };
    let (out, err) = listen(&options, scene(Scene::NoChange));
    assert!(out.contains("PLAY RECAP"));
    assert_eq!(err.matches("the log /dev/full ends here").count(), 1, "{err}");
}

#[test]
fn what_hosts_print_moves_no_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("run.log");
    let options = Options { verbosity: 2, log: Some(log.clone()), ..Options::default() };
    let (out, _) = listen(&options, |sink| {
        let line = "\x1b[2Jgone\x1b]0;title\x07\nFAILED: forged\0".to_owned();
        sink.send(Event::TaskOutput { task: "t".into(), host: "h".into(), line });
        sink.send(Event::TaskOutput { task: "t".into(), host: "h".into(), line: "long ".repeat(200_000) });
    });
    let log = fs::read_to_string(&log).unwrap();
    for text in [&out, &log] {
        assert!(!text.contains(['\x1b', '\0', '\x07']));
        assert!(!text.lines().any(|line| line.starts_with("FAILED")));
    }
    assert!(log.len() > 900_000, "the log has all of it");
}

/// The bars are drawn beside the lines; they add and take away none of them.
#[test]
fn bars_cost_no_line() {
    let terminal = Terminal { err: true, rows: Some(10), plain: true, ..Terminal::default() };
    let run = |pace: Duration| {
        let (out, err) = (Buffer::default(), Buffer::default());
        let streams = Streams { out: Box::new(out.clone()), err: Box::new(err.clone()) };
        let (sink, handle) = Ui::start_with(&Options::default(), &terminal, streams, noon).unwrap();
        play(&sink, Scene::Failure, pace);
        handle.finish();
        (out.text(), err.text())
    };
    let without = listen(&Options::default(), scene(Scene::Failure));
    assert_eq!(run(Duration::ZERO), without);
    assert_eq!(run(Duration::from_millis(3)), without, "also when lines come one by one");
}

#[test]
fn dropping_the_handle_writes_what_is_queued() {
    let out = Buffer::default();
    let streams = Streams { out: Box::new(out.clone()), err: Box::new(io::sink()) };
    let (sink, handle) = Ui::start_with(&Options::default(), &Terminal::default(), streams, noon).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let sink = sink.clone();
            std::thread::spawn(move || play(&sink, Scene::NoChange, Duration::ZERO))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(handle);
    assert_eq!(out.text().matches("PLAY RECAP").count(), 8);
}
