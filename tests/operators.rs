//! Two operators, two machines, one platform: what was applied by a newer tool is not taken back by an older one.

use reemo_infra::cli::apply::same_site;
use reemo_infra::cli::args::{ConnectOptions, InventoryOptions};
use reemo_infra::cli::prepare;
use reemo_infra::engine::world::World;
use reemo_resource::swarm::observed::SwarmObservation;
use reemo_resource::swarm::{GENERATION, ROLES};
use serde_json::json;

#[test]
fn a_tool_with_older_roles_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = concat!(env!("CARGO_MANIFEST_DIR"), "/inventories/one.yml").to_owned();
    let options = InventoryOptions {
        inventory: vec![inventory],
        pki_dir: Some(folder.path().join("pki")),
        ..InventoryOptions::default()
    };
    let ready = prepare::read(&options, &ConnectOptions::default()).unwrap();
    let applied_by = |generations: &[u32]| {
        let service = |g: &u32| json!({"Spec": {"Name": "reemo_api", "Labels": {ROLES: g.to_string()}}});
        let there = SwarmObservation { services: generations.iter().map(service).collect(), ..Default::default() };
        World { swarms: [("infra_manager".to_owned(), there)].into(), ..World::default() }
    };
    for mine in [&[][..], &[GENERATION], &[GENERATION, GENERATION.saturating_sub(1)]] {
        same_site(&ready, &applied_by(mine)).unwrap();
    }
    let refused = same_site(&ready, &applied_by(&[GENERATION, GENERATION + 1])).unwrap_err();
    assert_eq!(refused.code, 8);
    assert!(
        refused.message.contains("newer roles") && refused.message.contains("infra_manager"),
        "{}",
        refused.message
    );
    assert!(refused.hint.contains("use the reemo-infra that applied it last"), "{}", refused.hint);
}
