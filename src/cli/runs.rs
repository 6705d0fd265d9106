//! `runs list`, `runs show` and `resume`: what was run from this machine, and the same command again.

use std::path::{Path, PathBuf};

use reemo_model::quote::sh_quote;
use reemo_ui::Table;
use serde_json::{Value, json};

use super::args::{Cli, Command, Format, ResumeArgs, RunsAction, RunsArgs};
use super::prepare::Exit;
use super::recipe::{self, Recipe};
use super::{output, state};
use crate::engine::journal::{Entry, Line, Record};

/// A run that left a journal.
struct Found {
    folder: PathBuf,
    id: String,
    record: Record,
}

/// `runs`.
pub fn run(args: &RunsArgs) -> Result<u8, Exit> {
    let all = state::runs();
    let mut printer = output::printer(&args.output);
    let text = args.output.format == Format::Text;
    match &args.action {
        RunsAction::List => {
            let found = found(&all);
            let document: Value = found.iter().map(in_short).collect();
            if !text {
                printer.print(&json!({"schema": 1, "runs": document}).to_string());
            } else if found.is_empty() {
                printer.print(&format!("no run was made from here (nothing in {})", all.display()));
            } else {
                let mut table = Table::new(["RUN", "COMMAND", "STEPS", "END"]);
                for run in &found {
                    let cells = [run.id.clone(), command(run), run.record.steps().to_string(), end(run)];
                    table.row(cells.map(reemo_ui::Cell::new));
                }
                printer.print(&table.render(printer.out));
            }
        }
        RunsAction::Show { run } => {
            let run = find(&all, run.as_deref())?;
            if text {
                printer.print(&show(&run));
            } else {
                let lines: Vec<&Line> = run.record.lines.iter().collect();
                printer.print(&json!({"schema": 1, "run": in_short(&run), "journal": lines}).to_string());
            }
        }
    }
    Ok(0)
}

fn found(all: &Path) -> Vec<Found> {
    let read = |folder: PathBuf| {
        let id = folder.file_name()?.to_string_lossy().into_owned();
        Some(Found { record: Record::read(&folder).ok()?, folder, id })
    };
    state::list(all).into_iter().filter_map(read).collect()
}

/// A run by the beginning of its name; without one, the last.
fn find(all: &Path, name: Option<&str>) -> Result<Found, Exit> {
    let mut found = found(all);
    let nothing = || Exit::usage(format!("no run was made from here (nothing in {})", all.display()));
    let Some(name) = name else { return found.pop().ok_or_else(nothing) };
    found.retain(|run| run.id.starts_with(name));
    match found.len() {
        1 => found.pop().ok_or_else(nothing),
        0 => Err(Exit::usage(format!("there is no run `{name}`; `reemo-infra runs list` names them"))),
        n => Err(Exit::usage(format!("{n} runs begin with `{name}`: say more of it"))),
    }
}

fn command(run: &Found) -> String {
    let argv = run.record.began().map(|b| b.argv.as_slice()).unwrap_or_default();
    argv.iter().map(|w| sh_quote(w).into_owned()).collect::<Vec<_>>().join(" ")
}

fn end(run: &Found) -> String {
    let owner = run.record.began().map(|b| &b.owner);
    match run.record.code() {
        Some(code) => format!("exit {code}"),
        None if owner.and_then(|o| o.is_gone()) == Some(false) => "still runs".to_owned(),
        None => "died".to_owned(),
    }
}

fn in_short(run: &Found) -> Value {
    json!({
        "run": run.id, "at": run.record.at(), "command": command(run), "steps": run.record.steps(),
        "exit": run.record.code(), "open": run.record.open().len(), "folder": run.folder,
    })
}

fn show(run: &Found) -> String {
    let mut out = format!("run      {}\ncommand  {}\n", run.id, command(run));
    if let Some(began) = run.record.began() {
        out += &format!("in       {}\nby       {}\n", began.cwd, began.owner.in_words());
    }
    out += &format!("end      {}\nlog      {}\n\n", end(run), run.folder.join("run.log").display());
    let failed = |step: u64| {
        run.record.lines.iter().find_map(|l| match &l.entry {
            Entry::Result { step: s, why } if *s == step => Some(why.as_deref()),
            _ => None,
        })
    };
    for Line { at, entry } in &run.record.lines {
        let words = match entry {
            Entry::Intent { step, title, host, op, .. } => {
                let result = match failed(*step) {
                    Some(None) => String::new(),
                    Some(Some(why)) => format!("\n             FAILED: {why}"),
                    None => "\n             begun, its end is not known".to_owned(),
                };
                format!("[{host}] {title}: {}{result}", op_in_words(op))
            }
            Entry::PuttingBack => "putting back the services this run changed".to_owned(),
            Entry::Interrupted { signal } => format!("{signal}: nothing new is begun"),
            Entry::Began(_) | Entry::Result { .. } | Entry::Service { .. } | Entry::Ended { .. } => continue,
        };
        out += &format!("{}  {words}\n", at.strftime("%H:%M:%S"));
    }
    if run.record.torn {
        out += "(its last line was cut off)\n";
    }
    let open = run.record.open();
    if run.record.code() != Some(0) && end(run) != "still runs" {
        let next = if resumes(run) { format!("resume {}", run.id) } else { command(run) };
        out += &format!(
            "\n{} of {} steps have no known end. What is really there is looked at by the next run:\nnext:    reemo-infra \
             {next}\n",
            open.len(),
            run.record.steps(),
        );
    }
    out.trim_end().to_owned()
}

fn op_in_words(op: &Value) -> String {
    let text = |key: &str| op[key].as_str().unwrap_or_default().to_owned();
    match op["op"].as_str().unwrap_or_default() {
        "exec" => {
            let argv: Vec<&str> = op["argv"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let line = argv.join(" ");
            format!("run {}", line.lines().next().unwrap_or_default())
        }
        "docker" => {
            let named = op["name"].as_str().or(op["reference"].as_str()).or(op["spec"]["Name"].as_str());
            format!("{} {}", text("call"), named.unwrap_or_default()).trim_end().to_owned()
        }
        "prove" => format!("wait until {} is proven", text("service")),
        "narrow" => format!("take back the room {} had for its update", text("service")),
        other => format!("{} {}", other.replace('_', " "), text("path")).trim_end().to_owned(),
    }
}

/// What `resume` goes on with. A restore or a rollback asks its operator anew, and is typed again.
fn resumes(run: &Found) -> bool {
    run.record.began().is_some_and(|b| matches!(b.command.as_str(), "apply" | "images" | "maintenance"))
}

/// The command line of an earlier run, with the `-e` that are given now.
pub fn resumed(args: &ResumeArgs) -> Result<(Cli, Vec<String>), Exit> {
    let run = find(&state::runs(), args.run.as_deref())?;
    let again = |why: String| Err(Exit::usage(why));
    let Some(began) = run.record.began() else {
        return again(format!("the journal of {} does not say what was run", run.id));
    };
    match end(&run).as_str() {
        "still runs" => return again(format!("{} still runs: {}", run.id, began.owner.in_words())),
        "exit 0" => return again(format!("{} ended well: nothing of it is left to be done", run.id)),
        _ => {}
    }
    let recipe = Recipe { argv: began.argv.clone(), withheld: began.withheld.clone() };
    let how = format!("resume {}", run.id);
    let (cli, argv) = recipe::again(&recipe, &began.cwd, &args.extra_vars, &run.id, &how)?;
    match cli.command {
        Command::Apply(_) | Command::Images(_) | Command::Maintenance(_) => Ok((cli, argv)),
        _ => {
            again(format!("{} was a `{}`, which is typed again: reemo-infra {}", run.id, began.command, command(&run)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Began;

    fn failed(command: &str, argv: &[&str]) -> Found {
        let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
        let began = Began { run: "r1".into(), command: command.into(), argv, ..Began::default() };
        let at = "2027-01-15T12:00:00Z".parse().unwrap();
        let entries = [Entry::Began(began), Entry::Ended { code: 2 }];
        let lines = entries.map(|entry| Line { at, entry }).into();
        Found { folder: PathBuf::new(), id: "r1".into(), record: Record { lines, torn: false } }
    }

    #[test]
    fn what_resume_refuses_is_not_what_is_said() {
        let said = show(&failed("apply", &["apply"]));
        assert!(said.ends_with("next:    reemo-infra resume r1"), "{said}");
        let said = show(&failed("db restore", &["db", "-i", "x.yml", "restore", "a dump"]));
        assert!(said.ends_with("next:    reemo-infra db -i x.yml restore 'a dump'"), "{said}");
    }
}
