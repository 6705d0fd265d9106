//! The pure part of reemo-infra: no clock, no network, no file system, no tokio.

pub mod ansible_cfg;
pub mod bundle;
pub mod carried;
pub mod catalogue;
pub mod change;
pub mod declare;
pub mod diag;
pub mod event;
pub mod finding;
pub mod inventory;
pub mod op;
pub mod options;
pub mod quote;
pub mod schedule;
pub mod secret;
pub mod supply;
pub mod template;
pub mod vars;
pub mod vault;
pub mod wanted;
pub mod yaml;
