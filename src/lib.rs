//! reemo-infra installs and runs the Reemo platform from an Ansible inventory.

pub mod cli;
pub mod engine;
