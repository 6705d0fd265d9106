//! The 22 steps of benches/steps, done by the product's own engine and SSH client: `steps INVENTORY STEPS.json` looks at
//! every host of the inventory and makes it what the steps say. Exit code and recap are those of an apply; with `--check`
//! nothing is changed, and the code is 10 if something would be. It is a program of its own because the product's roles
//! describe a platform, not any files one likes.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use reemo_infra::cli::args::{ConnectOptions, InventoryOptions};
use reemo_infra::cli::prepare::{self, Ready};
use reemo_infra::engine::apply::{Ask, probes, run_on};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::graph::TaskGraph;
use reemo_infra::engine::run::Options;
use reemo_model::secret::Blob;
use reemo_model::template::{Engine, Scope, Value};
use reemo_resource::host::{Directory, File, HostResource, Wanted};
use reemo_ui::{Options as Shown, Ui};
use serde::Deserialize;
use support::fifty::chain;

/// One step, as the peers' files have it too.
#[derive(Deserialize)]
struct Step {
    path: String,
    mode: String,
    /// Absent: a directory.
    content: Option<String>,
}

fn main() -> ExitCode {
    let (flags, args): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let [inventory, steps] = &args[..] else {
        // `cargo bench` starts every bench without arguments.
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    ExitCode::from(runtime.block_on(run(inventory, steps, flags.iter().any(|f| f == "--check"))))
}

async fn run(inventory: &str, steps: &str, check: bool) -> u8 {
    let started = Instant::now();
    let steps: Vec<Step> = serde_json::from_slice(&std::fs::read(steps).expect("the steps")).expect("JSON");
    let options = InventoryOptions {
        inventory: vec![inventory.to_owned()],
        pki_dir: Some(PathBuf::from(inventory).with_extension("no-certificates")),
        ..InventoryOptions::default()
    };
    let ready = prepare::read(&options, &ConnectOptions { timeout: 30, ..ConnectOptions::default() });
    let ready = ready.unwrap_or_else(|e| panic!("{}", e.message));
    let graph = graph(&ready, &steps);
    let site = ready.site;
    let forks = 50;
    let (events, ui) = Ui::start(&Shown::default()).expect("the UI");
    let mut fleet = Fleet::connect(&site, probes(&site, &graph), forks).await;
    let world = fleet.first_look(&site).await;
    let options = Options { forks, ..Options::default() };
    let ask = Ask { options, check, detailed_exitcode: check, again: "apply".into(), ..Ask::default() };
    let code = run_on(site, graph, fleet, world, &ask, events, started).await;
    ui.finish();
    code
}

/// Every step on every host, one after another on each.
fn graph(ready: &Ready, steps: &[Step]) -> TaskGraph {
    let mut graph = TaskGraph::default();
    let engine = Engine::new();
    for host in ready.site.hosts.keys() {
        let scope = Scope::new(&engine, ready.loaded.vars.of_host(host));
        let text = |template: &str| scope.render_str(template, Value::UNDEFINED).expect("a template");
        let file = |template: &str| scope.render_template("step", template, Value::UNDEFINED).expect("a template");
        let resource = |step: &Step| {
            let path = text(&step.path);
            let mode = u32::from_str_radix(&step.mode, 8).expect("a mode");
            let owner = "root:root".to_owned();
            match &step.content {
                None => HostResource::Directory(Directory { path, mode, owner }),
                Some(content) => {
                    let content = Blob::Plain(file(content).into_bytes());
                    HostResource::File(File { path, wanted: Wanted::Present { content, mode, owner } })
                }
            }
        };
        chain(&mut graph, host, steps.iter().map(resource));
    }
    graph
}
