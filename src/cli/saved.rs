//! `plan --out FILE` and `apply FILE`: what was looked at is what is done, or nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use reemo_model::change::Verdict;
use reemo_model::declare::Declarations;
use reemo_model::op::{DockerOp, Op};
use reemo_pki::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::{ApplyArgs, Cli, Command};
use super::prepare::Exit;
use super::recipe::{self, Recipe};
use crate::engine::apply::Review;
use crate::engine::fault::Fault;
use crate::engine::journal::scrubbed;
use crate::engine::task::Task;

/// Form of the file; another one is refused.
const FORMAT: u32 = 1;

/// A plan in a file. No secrets: contents are there as keyed hashes, texts are scrubbed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    format: u32,
    /// Version of the program: another one may decide otherwise.
    tool: String,
    /// The command line.
    pub recipe: Recipe,
    /// Directory it was given in.
    pub cwd: String,
    /// What would be done, by task.
    changes: BTreeMap<String, Value>,
}

/// What a plan came to, for the file.
fn changes(verdicts: &[(Arc<Task>, Verdict)], store: &Store) -> BTreeMap<String, Value> {
    let one = |(task, verdict): &(Arc<Task>, Verdict)| {
        let hashes: Vec<String> = match verdict {
            Verdict::Unchanged => return None,
            Verdict::Change(change) => {
                change.ops.iter().filter_map(|op| Some(store.keyed_hash(content(op)?))).collect()
            }
            _ => Vec::new(),
        };
        let verdict = scrubbed(serde_json::to_value(verdict).unwrap_or_default());
        Some((task.id.clone(), json!({"title": task.title, "contents": hashes, "is": verdict})))
    };
    verdicts.iter().filter_map(one).collect()
}

fn content(op: &Op) -> Option<&[u8]> {
    match op {
        Op::WriteFile(file) => Some(file.content.bytes()),
        Op::Docker(DockerOp::ConfigCreate { data, .. }) => Some(data.bytes()),
        Op::Docker(DockerOp::SecretCreate { data, .. }) => Some(data.expose()),
        _ => None,
    }
}

/// Writes the plan when it is made.
pub fn keep(path: &Path, recipe: Recipe, store: &Arc<Store>) -> Result<Review, Exit> {
    if store.is_provisional() {
        return Err(Exit::refused(
            "the certificates of this platform are not made yet, and a plan that is kept would not be what is done",
            "install first: reemo-infra apply; plans of what comes after it can be kept",
        ));
    }
    let cwd = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
    let (path, store) = (path.to_owned(), store.clone());
    Ok(Arc::new(move |verdicts| {
        let tool = env!("CARGO_PKG_VERSION").to_owned();
        let saved = Saved {
            format: FORMAT,
            tool,
            recipe: recipe.clone(),
            cwd: cwd.clone(),
            changes: changes(verdicts, &store),
        };
        write(&path, &saved).map_err(|e| Fault::failed(format!("cannot write {}: {e}", path.display())))
    }))
}

/// Beside it, whole, for its owner only; then in its place.
fn write(path: &Path, saved: &Saved) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{:08x}", rand::random::<u32>()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(saved)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// Reads a plan.
pub fn read(path: &Path) -> Result<Saved, Exit> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Exit::usage(format!("cannot read the plan {}: {e}", path.display())))?;
    let again = |why: String| Exit { hint: "make it anew: reemo-infra plan --out FILE".into(), ..Exit::usage(why) };
    let saved: Saved = serde_json::from_str(&text)
        .map_err(|e| again(format!("{} is no plan that was written by `plan --out`: {e}", path.display())))?;
    let tool = env!("CARGO_PKG_VERSION");
    if saved.format != FORMAT || saved.tool != tool {
        return Err(again(format!("{} was made by version {} (this is {tool})", path.display(), saved.tool)));
    }
    Ok(saved)
}

/// `apply FILE`: the command line the plan was made with, to be done now.
pub fn again(args: &ApplyArgs, argv: &[String]) -> Result<(Cli, Vec<String>), Exit> {
    let path = args.plan.clone().unwrap_or_default();
    let given = recipe::of(argv, &Declarations::default()).argv;
    let allowed = |word: &&String| ["--extra-vars", "--lock-wait"].iter().any(|a| word.starts_with(a));
    let path_word = path.display().to_string();
    if let Some(word) = given.iter().skip(1).filter(|w| **w != path_word).find(|w| !allowed(w)) {
        return Err(Exit::usage(format!("a plan brings its own options: `{word}` cannot be given with {path_word}")));
    }
    let path = std::env::current_dir().map(|d| d.join(&path)).unwrap_or(path);
    let saved = read(&path)?;
    let how = format!("apply {path_word}");
    let (mut cli, argv) = recipe::again(&saved.recipe, &saved.cwd, &args.inventory.extra_vars, &path_word, &how)?;
    let Command::Plan(mut apply) = cli.command else {
        return Err(Exit::usage(format!("{path_word} is not the plan of an apply")));
    };
    apply.plan = Some(path);
    apply.lock_wait = args.lock_wait.or(apply.lock_wait);
    (apply.out, apply.check, apply.detailed_exitcode) = (None, false, false);
    cli.command = Command::Apply(apply);
    Ok((cli, argv))
}

impl Saved {
    /// Refuses when what is to be done now is not what the plan says, and names what has moved.
    pub fn hold(self, store: &Arc<Store>) -> Review {
        let store = store.clone();
        Arc::new(move |verdicts| {
            let moved = moved(&self.changes, &changes(verdicts, &store));
            if moved.is_empty() {
                return Ok(());
            }
            let count = moved.len();
            let what = if count == 1 { "one thing has".to_owned() } else { format!("{count} things have") };
            Err(Fault::refused(
                format!("the plan does not hold any more: {what} moved since it was made"),
                "look at a new one: reemo-infra plan --out FILE",
            )
            .lines(moved))
        })
    }
}

/// What differs between two plans, in words.
fn moved(then: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let mut moved = Vec::new();
    for (task, was) in then {
        match now.get(task) {
            None => moved.push(format!("{task}: there is nothing to do any more")),
            Some(is) if is != was => moved.push(format!("{task}: {}", differs(was, is))),
            Some(_) => {}
        }
    }
    moved.extend(
        now.keys().filter(|task| !then.contains_key(*task)).map(|task| format!("{task}: is to be done as well")),
    );
    moved
}

fn differs(was: &Value, is: &Value) -> String {
    let fields = |v: &Value| v["is"]["fields"].clone();
    if was["contents"] != is["contents"] {
        return "its wanted content is another one".to_owned();
    }
    if fields(was) != fields(is) {
        return "what is there, or what is wanted, is another".to_owned();
    }
    "somebody has changed it since".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_has_moved() {
        let change = |was: &str, version: u64, content: &str| json!({"title": "t", "contents": [content], "is": {"fields": [{"was": was}], "ops": [{"version": version}]}});
        let then = BTreeMap::from([
            ("a".to_owned(), change("1", 1, "x")),
            ("b".to_owned(), change("1", 1, "x")),
            ("c".to_owned(), change("1", 1, "x")),
            ("d".to_owned(), change("1", 1, "x")),
            ("e".to_owned(), change("1", 1, "x")),
        ]);
        assert_eq!(moved(&then, &then), Vec::<String>::new());
        let now = BTreeMap::from([
            ("a".to_owned(), change("1", 1, "x")),
            ("b".to_owned(), change("2", 1, "x")),
            ("c".to_owned(), change("1", 2, "x")),
            ("d".to_owned(), change("1", 1, "y")),
            ("f".to_owned(), change("1", 1, "x")),
        ]);
        let said = moved(&then, &now);
        assert_eq!(said.len(), 5, "{said:?}");
        for (line, piece) in said.iter().zip([
            "b: what is there",
            "c: somebody",
            "d: its wanted content",
            "e: there is nothing",
            "f: is to be done",
        ]) {
            assert!(line.starts_with(piece), "{line}");
        }
    }
}
