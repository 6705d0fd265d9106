//! What a Swarm can hold: services, networks, secrets, configs, node labels. Each file says what is
//! wanted, reads what is there, and compares the two.

pub mod database;
pub mod fields;
pub mod material;
pub mod network;
pub mod node;
pub mod observed;
pub mod service;
pub mod spec;

/// Label on everything that is ours.
pub const MANAGED: &str = "io.reemo.managed";
/// Label on a service: its role file.
pub const ROLE: &str = "io.reemo.role";
/// Label on a service: the certificates folder it was made with.
pub const SITE: &str = "io.reemo.site";
/// Label on a service: the generation of roles it was made of.
pub const ROLES: &str = "io.reemo.roles";
/// The generation of the roles of this tool. Raised by one when a change of roles or templates must not be taken back by
/// an older tool on another machine, which would read the same inventory and know nothing of it.
pub const GENERATION: u32 = 1;
/// Label on a service whose image is named by its id: the image's own name.
pub const IMAGE: &str = "io.reemo.image";
/// Label on a service: the tag of its image.
pub const RELEASE: &str = "io.reemo.release";
/// Label on a service with certificates: the step of trust they are of, `<generation>-<hash>`, once there was a change.
pub const TRUST: &str = "io.reemo.trust";
/// Label on the job: the fingerprint of the last run that succeeded.
pub const JOB_DONE: &str = "io.reemo.job.done";
/// Node label: the node that holds the internal database's directory.
pub const DATA_NODE: &str = "io.reemo.data";
/// Config that records that the database was initialised: by us, or by whoever installed what was adopted.
pub const INITIALISED: &str = "reemo.record.initialised";
/// Config that records that the platform was installed by other means, and adopted.
pub const ADOPTED: &str = "reemo.record.adopted";
