//! The product on real hosts, from three bare machines to a platform and back: one story, told in order, since each
//! step stands on what the one before it left. It runs what an operator would type and looks at what the hosts then
//! are, never at what the program says alone.
//!
//! `REEMO_KEEP_FLEET=1` leaves the hosts up at the end; `REEMO_E2E_STEPS=7,8` then tells only these steps on them.

mod command;
mod fleet;
mod poison;
mod snapshot;
mod story;
mod swarm;
mod tool;
mod web;

#[test]
fn story() {
    story::tell();
}
