//! What is going on right now, as lines: one for each stage, one for each busy host.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reemo_model::event::Event;

use crate::clean::printable;
use crate::paint::{Paint, Tone};
use crate::tail::short;

/// A step that takes longer than this shows its last line of output.
const SLOW_SECONDS: i64 = 1;
const BAR_WIDTH: usize = 24;
/// Lines left to what scrolls by above.
const KEPT_FREE: usize = 6;

/// State of the run, from events only.
#[derive(Default)]
pub(crate) struct Board {
    hosts: Vec<String>,
    stages: Vec<Stage>,
    tasks: Vec<Running>,
}

struct Stage {
    name: String,
    /// Clusters that are in it now.
    clusters: BTreeSet<String>,
    total: usize,
    done: usize,
    since: Timestamp,
}

struct Running {
    id: String,
    title: String,
    host: String,
    since: Timestamp,
    last_line: String,
}

impl Board {
    pub(crate) fn hear(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RunStarted { hosts, .. } => *self = Board { hosts: hosts.clone(), ..Board::default() },
            Event::StageStarted { cluster, stage, tasks } => self.begin(cluster, stage, *tasks, at),
            Event::StageFinished { cluster, stage, .. } => {
                if let Some(open) = self.stages.iter_mut().find(|s| s.name == *stage) {
                    open.clusters.remove(cluster);
                }
                self.stages.retain(|s| !s.clusters.is_empty());
            }
            Event::TaskStarted { task, title, host, .. } => self.tasks.push(Running {
                id: task.clone(),
                title: printable(title).into_owned(),
                host: host.clone(),
                since: at,
                last_line: String::new(),
            }),
            Event::TaskOutput { task, line, .. } => {
                let line = printable(line);
                if let Some(running) = self.tasks.iter_mut().find(|t| t.id == *task).filter(|_| !line.trim().is_empty())
                {
                    running.last_line = short(line.trim(), 200);
                }
            }
            Event::TaskFinished { task, host, stage, .. } => {
                self.tasks.retain(|t| t.id != *task || t.host != *host);
                if let Some(open) = self.stages.iter_mut().find(|s| s.name == *stage) {
                    open.done += 1;
                }
            }
            Event::Recap { .. } => *self = Board::default(),
            Event::PhaseFinished { .. }
            | Event::HostUnreachable { .. }
            | Event::Preflight { .. }
            | Event::Warning { .. }
            | Event::Failure { .. } => {}
        }
    }

    fn begin(&mut self, cluster: &str, stage: &str, tasks: usize, at: Timestamp) {
        let clusters = BTreeSet::from([cluster.to_owned()]);
        match self.stages.iter_mut().find(|s| s.name == stage) {
            Some(open) => {
                open.clusters.extend(clusters);
                open.total += tasks;
            }
            None => self.stages.push(Stage { name: stage.to_owned(), clusters, total: tasks, done: 0, since: at }),
        }
    }

    /// What to draw now on a screen with so many rows.
    pub(crate) fn lines(&self, now: Timestamp, rows: usize, paint: Paint) -> Vec<String> {
        let mut lines: Vec<String> = self.stages.iter().map(|stage| stage.line(now, paint)).collect();
        let busy = self.busy_hosts();
        let room = rows.saturating_sub(KEPT_FREE + lines.len()).max(1);
        let shown = if busy.len() > room { room.saturating_sub(1).max(1) } else { busy.len() };
        let width = busy.iter().map(|host| console::measure_text_width(host)).max().unwrap_or(0);
        lines.extend(busy.iter().take(shown).map(|host| self.host_line(host, width, now, paint)));
        if busy.len() > shown {
            let more = format!("  … and {} more hosts", busy.len() - shown);
            lines.push(paint.paint(Tone::Quiet, &more));
        }
        lines
    }

    /// In the order of the inventory; what is not a host (a cluster) comes last.
    fn busy_hosts(&self) -> Vec<&str> {
        let mut busy: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        busy.retain(|host| self.tasks.iter().any(|t| t.host == *host));
        for task in &self.tasks {
            if !busy.contains(&task.host.as_str()) {
                busy.push(&task.host);
            }
        }
        busy
    }

    /// The task that has run longest: it is the one people wonder about.
    fn host_line(&self, host: &str, width: usize, now: Timestamp, paint: Paint) -> String {
        let mut tasks = self.tasks.iter().filter(|t| t.host == host);
        let Some(first) = tasks.next() else {
            return String::new();
        };
        let others = match tasks.count() {
            0 => String::new(),
            n => paint.paint(Tone::Quiet, &format!(" (+{n})")),
        };
        let space = " ".repeat(width - console::measure_text_width(host));
        let mut line = format!("  {host}{space}  {}  {}{others}", elapsed(first.since, now), first.title);
        if now.as_second() - first.since.as_second() >= SLOW_SECONDS && !first.last_line.is_empty() {
            line += &paint.paint(Tone::Quiet, &format!("  {}", first.last_line));
        }
        line
    }
}

impl Stage {
    fn line(&self, now: Timestamp, paint: Paint) -> String {
        let done = self.done.min(self.total);
        let filled = (done * BAR_WIDTH).checked_div(self.total).unwrap_or(BAR_WIDTH);
        let bar =
            paint.paint(Tone::Ok, &"━".repeat(filled)) + &paint.paint(Tone::Quiet, &"─".repeat(BAR_WIDTH - filled));
        let clusters: Vec<&str> = self.clusters.iter().map(String::as_str).collect();
        let clusters = paint.paint(Tone::Quiet, &clusters.join(", "));
        let name = paint.paint(Tone::Strong, &format!("{:<12}", self.name));
        format!("{name} {bar} {:>7}  {}  {clusters}", format!("{done}/{}", self.total), elapsed(self.since, now))
    }
}

/// `0:07`, `12:30`, `1:02:03`.
fn elapsed(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - since.as_second()).max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn board(hosts: usize) -> Board {
        let mut board = Board::default();
        let name = |n: usize| format!("host{n}");
        let hosts: Vec<String> = (1..=hosts).map(name).collect();
        let (run_id, command, log) = ("r".into(), "apply".into(), "l".into());
        board.hear(&Event::RunStarted { run_id, command, hosts: hosts.clone(), log }, at(0));
        let stage = || "engine".to_owned();
        board.hear(&Event::StageStarted { cluster: "infra".into(), stage: stage(), tasks: 4 }, at(0));
        for host in hosts.iter().rev() {
            let (task, title) = (format!("docker@{host}"), "install docker.io".to_owned());
            board.hear(&Event::TaskStarted { task, title, host: host.clone(), stage: stage() }, at(1));
        }
        board
    }

    #[test]
    fn stages_and_busy_hosts() {
        let mut board = board(2);
        board.hear(
            &Event::TaskOutput { task: "docker@host1".into(), host: "host1".into(), line: "Setting up…\r\n".into() },
            at(1),
        );
        let quick = board.lines(at(1), 40, Paint(false));
        assert_eq!(quick[1], "  host1  0:00  install docker.io");
        let lines = board.lines(at(75), 40, Paint(false));
        assert_eq!(lines[0], "engine       ────────────────────────     0/4  1:15  infra");
        assert_eq!(lines[1], "  host1  1:14  install docker.io  Setting up…");
        assert_eq!(lines[2], "  host2  1:14  install docker.io");
        board.hear(
            &Event::TaskFinished {
                task: "docker@host1".into(),
                title: "install docker.io".into(),
                host: "host1".into(),
                stage: "engine".into(),
                outcome: reemo_model::event::Outcome::Changed,
                change: None,
                seconds: 1.0,
            },
            at(76),
        );
        let lines = board.lines(at(76), 40, Paint(false));
        assert!(lines[0].starts_with("engine       ━━━━━━──────────────────     1/4"), "{}", lines[0]);
        assert_eq!(lines.len(), 2);
        board.hear(&Event::StageFinished { cluster: "infra".into(), stage: "engine".into(), seconds: 1.0 }, at(77));
        assert_eq!(board.lines(at(77), 40, Paint(false)).len(), 1, "host2 still works");
    }

    #[test]
    fn never_more_than_the_screen() {
        let board = board(50);
        let lines = board.lines(at(2), 24, Paint(false));
        assert_eq!(lines.len(), 18);
        assert_eq!(lines[17], "  … and 34 more hosts");
        assert_eq!(board.lines(at(2), 3, Paint(false)).len(), 3);
    }
}
