//! `images`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ApplyArgs;
use crate::engine::images::prune::KEPT;

/// Arguments of `images`.
#[derive(Debug, Clone, Args)]
pub struct ImagesArgs {
    /// Without one: engine, Swarm and images on every host, and nothing of the platform is started.
    pub action: Option<ImagesAction>,
    /// With prune: so many releases of each service stay, with the one that is deployed.
    #[arg(long, value_name = "N", default_value_t = KEPT)]
    pub keep: usize,
    /// With prune: do not ask.
    #[arg(long)]
    pub yes: bool,
    /// With save: the file to write. With mirror: the registry to write to, `registry.example.org:5000`.
    #[arg(long, value_name = "FILE|REGISTRY")]
    pub to: Option<String>,
    /// With load: the bundle that `images save` wrote.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// With save: for hosts of this kind.
    #[arg(long, value_name = "OS/ARCH", default_value = "linux/amd64")]
    pub platform: String,
    /// With save: also the packages (.deb, .rpm) of this folder, for hosts of this system (`debian-12=DIR`, `rocky-9=DIR`).
    #[arg(long, value_name = "SYSTEM=DIR")]
    pub packages: Vec<String>,
    /// With mirror: user of the registry that is written to; its password is in --to-password-file.
    #[arg(long, value_name = "USER")]
    pub to_username: Option<String>,
    /// With mirror: file with the password of --to-username.
    #[arg(long, value_name = "FILE")]
    pub to_password_file: Option<PathBuf>,
    /// With mirror: certificate of the authority of the registry that is written to.
    #[arg(long, value_name = "FILE")]
    pub to_ca: Option<PathBuf>,
    /// As for apply.
    #[command(flatten)]
    pub apply: ApplyArgs,
}

/// What `images` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImagesAction {
    /// What each node has of the images it should have.
    List,
    /// Remove images that nothing needs any more, the way back included.
    Prune,
    /// Write all images of the inventory into one file; on a machine that reaches the registry. No engine, no host.
    Save,
    /// Bring the images of such a file to the hosts.
    Load,
    /// Copy all images of the inventory to another registry, digest for digest. No engine, no host.
    Mirror,
}
