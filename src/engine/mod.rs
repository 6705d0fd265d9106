//! Runs: connect, observe, compare, act, prove.

pub mod apply;
pub mod bell;
pub mod evaluate;
pub mod fault;
pub mod files;
pub mod fleet;
pub mod graph;
pub mod health;
pub mod interpret;
pub mod observe;
pub mod order;
pub mod pause;
pub mod phases;
pub mod preflight;
pub mod prove;
pub mod rollback;
pub mod run;
pub mod settle;
pub mod site;
pub mod task;
pub mod world;
