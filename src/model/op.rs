//! What a run does, as data: a diff returns ops, one interpreter executes them.
//!
//! Nothing here can act. A plan is a list of changes that carry ops; the journal is the same ops,
//! serialised (secrets serialise as a placeholder).

use serde::Serialize;
use serde_json::Value;

use crate::secret::{Blob, Secret};

/// One step of work on one host, or through one host's Docker engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Run a program on the host.
    Exec(Exec),
    /// Write a whole file: temporary file beside it, checksum, owner, mode, rename.
    WriteFile(WriteFile),
    /// Make a directory (and its parents), or correct its owner and mode.
    MakeDir {
        /// Absolute path.
        path: String,
        /// Permission bits, as in `0o755`.
        mode: u32,
        /// `user:group`.
        owner: String,
    },
    /// Set owner and mode of an existing file.
    SetMode {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// `user:group`.
        owner: String,
    },
    /// Remove one file.
    RemoveFile {
        /// Absolute path.
        path: String,
    },
    /// Lay what a file is beside it, so that the host itself can put it back.
    Keep {
        /// Absolute path.
        path: String,
    },
    /// Restart the Docker engine, so that it takes what is in a file. If that was kept, and is not confirmed over a new
    /// connection, the host puts back what was there.
    RestartEngine {
        /// Absolute path.
        path: String,
    },
    /// The engine works with what is in a file: what was kept is let go.
    Confirm {
        /// Absolute path.
        path: String,
    },
    /// One call of the Docker API.
    Docker(DockerOp),
    /// Dump a database into a file of the host.
    Dump(Dump),
    /// Send an image to the host, as far as its engine lacks it, and have it loaded.
    LoadImage(LoadImage),
    /// Send packages to the host.
    CarryPackages(CarryPackages),
}

/// An image out of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadImage {
    /// The bundle: a file of the control machine.
    pub bundle: String,
    /// `registry/name:tag`.
    pub reference: String,
}

/// Packages out of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CarryPackages {
    /// The bundle: a file of the control machine.
    pub bundle: String,
    /// Their places in it.
    pub paths: Vec<String>,
}

/// A dump of a database, taken on the host where its client programs are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dump {
    /// Where the client programs are.
    pub way: DumpWay,
    /// Certificates of ours that the database asks for, as PEM; for one that runs elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Secret>,
    /// Its name.
    pub database: String,
    /// Release whose schema it has; `None`: the last schema job is not known to have succeeded.
    pub release: Option<String>,
    /// What for: `before 2.14.0`.
    pub reason: String,
    /// So many dumps are kept.
    pub keep: u64,
}

/// Where the client programs of a database are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum DumpWay {
    /// In the container of this service.
    Inside {
        /// Its name.
        service: String,
        /// File in the container with their options.
        options: String,
    },
    /// In a container of their own, beside the services.
    Aside {
        /// Its image.
        image: String,
        /// Their options: where the database is, and the login.
        options: Secret,
    },
}

/// A program and its arguments; never a shell line. Quoting is the transport's business.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it reads from standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Blob>,
    /// Environment, set with `env` on the remote side. Never secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Killed after this many seconds.
    pub timeout_s: u64,
    /// What to wait for when the program says it is locked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    /// Exit codes that mean success; empty means only 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub success: Vec<i32>,
}

impl Exec {
    /// A command with the default limit of five minutes.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Exec {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: None,
            env: Vec::new(),
            timeout_s: 300,
            busy: None,
            success: Vec::new(),
        }
    }

    /// The same with another limit, in seconds.
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout_s = seconds;
        self
    }
}

/// A lock held by someone else (the package manager's), recognised by a line of the program's output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Busy {
    /// A piece of output that says the lock is held.
    pub says: Vec<String>,
    /// Files whose holder is named in the message to the operator.
    pub lock_files: Vec<String>,
    /// How long to wait for it, in seconds.
    pub wait_s: u64,
}

/// A file to be written whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WriteFile {
    /// Absolute path.
    pub path: String,
    /// The content.
    pub content: Blob,
    /// Permission bits, as in `0o644`; in force before any content is there.
    pub mode: u32,
    /// `user:group`.
    pub owner: String,
    /// What the file must still be when we replace it.
    pub expect: Expect,
}

/// A precondition on a file: what somebody else changed since the plan is reported, not overwritten.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// There is no such file.
    Absent,
    /// Its content has this SHA-256, in lower-case hexadecimal.
    Sha256(String),
    /// Whatever it is (used only where no observation can exist).
    Anything,
}

/// One call of the Docker API. Specs are the API's own JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum DockerOp {
    /// `POST /images/create`; progress is streamed.
    PullImage {
        /// `registry/name:tag` or `registry/name@sha256:…`.
        reference: String,
        /// Registry login.
        auth: Option<RegistryAuth>,
    },
    /// `DELETE /images/{name}`, not by force: one that a container is made of stays.
    RemoveImage {
        /// A tag, or `name@sha256:…`.
        name: String,
    },
    /// `POST /swarm/init`.
    SwarmInit {
        /// Address (or interface) other nodes reach this one at.
        advertise: String,
        /// The rest of the request, for example address pools.
        spec: Value,
    },
    /// `POST /swarm/join`, with a token fetched from a live manager at that moment.
    SwarmJoin {
        /// As a worker; else as a manager.
        worker: bool,
        /// Address other nodes reach this one at.
        advertise: String,
        /// Hosts of the inventory that may be asked for the token, in order.
        ask: Vec<String>,
    },
    /// `POST /nodes/{id}/update`, read-modify-write: sets these labels, removes those set to `None`.
    NodeLabels {
        /// The node's Swarm id.
        node: String,
        /// Label and wanted value.
        labels: Vec<(String, Option<String>)>,
    },
    /// Nothing is started on a node any more, and what runs there goes elsewhere; waits until it has.
    NodeDrain {
        /// The node's Swarm id.
        node: String,
    },
    /// A manager becomes a worker; waits until the others say so.
    NodeDemote {
        /// The node's Swarm id.
        node: String,
    },
    /// A node is forgotten by its Swarm.
    NodeRemove {
        /// The node's Swarm id.
        node: String,
    },
    /// `POST /networks/create`.
    NetworkCreate {
        /// The request body.
        spec: Value,
    },
    /// `POST /configs/create`.
    ConfigCreate {
        /// Name, unique in the Swarm.
        name: String,
        /// Labels.
        labels: Value,
        /// Content.
        data: Blob,
    },
    /// `POST /secrets/create`.
    SecretCreate {
        /// Name, unique in the Swarm.
        name: String,
        /// Labels.
        labels: Value,
        /// Content.
        data: Secret,
    },
    /// `POST /services/create`. Names of secrets, configs and networks in the spec are resolved to ids
    /// by the interpreter.
    ServiceCreate {
        /// The service spec.
        spec: Value,
        /// Registry login that Swarm keeps with the service.
        auth: Option<RegistryAuth>,
    },
    /// `POST /services/{id}/update` with the version index the diff was made against.
    ServiceUpdate {
        /// Service name.
        name: String,
        /// Version index observed; refused by Swarm if it has moved.
        version: u64,
        /// The whole new spec.
        spec: Value,
        /// Registry login that Swarm keeps with the service.
        auth: Option<RegistryAuth>,
    },
    /// Remove an object of ours by id.
    Remove {
        /// `services`, `configs`, `secrets`, `networks`.
        kind: String,
        /// Full id.
        id: String,
    },
}

/// A registry login; sent in a header, stored in no file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegistryAuth {
    /// `registry.example:5000`.
    pub server: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}
