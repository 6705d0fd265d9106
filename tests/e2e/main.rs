//! The product on real hosts, from three bare machines to a platform and back: one story, told in order, since each
//! step stands on what the one before it left. It runs what an operator would type and looks at what the hosts then
//! are, never at what the program says alone.
//!
//! The other topologies have stories of their own, one test each, selected by name: `topology_3_split` with `make test`,
//! the others and the drifts (`--run-ignored all`) with `make test-all`. One at a time: a machine of two cores has no room for two.
//!
//! `REEMO_KEEP_FLEET=1` leaves the hosts up at the end; `REEMO_E2E_STEPS=7,8` then tells only these steps on them.

mod command;
mod drifts;
mod faults;
mod fleet;
mod load;
mod machine;
mod poison;
mod snapshot;
mod story;
mod swarm;
mod tool;
mod topology;
mod web;

#[test]
fn story() {
    story::tell();
}

#[test]
#[ignore = "make test-all"]
fn drifts_one_at_a_time() {
    drifts::tell();
}

#[test]
#[ignore = "make test-all"]
fn topology_1_one_server() {
    topology::one::tell();
}

#[test]
fn topology_3_split() {
    topology::split::tell();
}

#[test]
#[ignore = "make test-all"]
fn topology_4_external_database() {
    topology::external::tell();
}

#[test]
#[ignore = "make test-all"]
fn topology_5_6_7_relays_and_farms() {
    topology::farms::tell();
}

#[test]
#[ignore = "make test-all"]
fn way_back() {
    topology::back::tell();
}

#[test]
#[ignore = "make test-all"]
fn dumps_of_the_database() {
    topology::database::tell();
}

#[test]
#[ignore = "make test-all"]
fn adoption() {
    topology::adoption::tell();
}

#[test]
#[ignore = "make test-all"]
fn topology_8_two_apis() {
    topology::apis::tell();
}

#[test]
#[ignore = "make test-all"]
fn load_every_tag() {
    load::tell();
}

#[test]
#[ignore = "make test-faults"]
fn faults() {
    faults::tell();
}

#[test]
#[ignore = "make test-vm"]
fn machine_of_its_own() {
    machine::tell();
}

#[test]
#[ignore = "make test-all"]
fn trust_of_the_inside() {
    topology::trust::tell();
}

#[test]
#[ignore = "make test-all"]
fn storage_replicated_by_the_site() {
    topology::storage::replicated();
}

#[test]
#[ignore = "make test-all"]
fn storage_gluster() {
    topology::storage::gluster();
}

#[test]
#[ignore = "make test-all"]
fn supply_air_gap_mirror_proxy() {
    topology::supply::tell();
}
