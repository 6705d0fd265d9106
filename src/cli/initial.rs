//! What is only for the run that initialises the database: later it is said, and makes no difference.

use reemo_model::diag::Diagnostic;
use reemo_model::inventory::Cluster;
use reemo_model::vars::Layer;

use super::load::Loaded;

/// The administrators' configuration, as the vendor's document lists it. (`INIT_PROVISION` and `INIT_RELAYWS` go on
/// counting: gateways are made of them.)
const FIRST_RUN_ONLY: [&str; 4] = [
    "INIT_MINIMUM_PASSWORD_LENGTH",
    "INIT_PASSWORD_REQUIRE_LETTERS",
    "INIT_PASSWORD_REQUIRE_DIGITS",
    "INIT_PASSWORD_REQUIRE_SPECIALCHAR",
];

/// One warning for all of a cluster's that somebody wrote, in a run without `INIT_DB`.
pub fn too_late(loaded: &Loaded, cluster: &Cluster, init_db: bool) -> Option<Diagnostic> {
    let host = cluster.hosts.first().filter(|_| !init_db)?;
    let found = |name: &'static str| {
        let definition = loaded.vars.find(host, name)?;
        (definition.layer != Layer::RoleDefault).then_some((name, definition))
    };
    let written: Vec<_> = FIRST_RUN_ONLY.into_iter().filter_map(found).collect();
    let (first, definition) = written.first()?;
    let others = if written.len() > 1 { format!(" ({} more likewise)", written.len() - 1) } else { String::new() };
    let problem = Diagnostic::warning("init-too-late", format!("`{first}` has no effect without INIT_DB{others}"));
    let help =
        "it was for the run that initialised the database; from then on administrators change it in the interface";
    Some(problem.at(definition.place.clone()).help(help))
}
