//! Resources.
pub mod host;
pub mod os;
pub mod probe;
pub mod swarm;
