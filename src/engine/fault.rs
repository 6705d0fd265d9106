//! Why a step failed, as kinds: the kind decides the exit code and what is printed, never the text.

use reemo_transport::TransportError;

/// A step that failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The cause, for people.
    pub cause: String,
    /// Last lines of the command or container it is about.
    pub last_lines: Vec<String>,
    /// What to do.
    pub hint: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The host cannot be reached (any more).
    Unreachable,
    /// A command or API call failed.
    Failed,
    /// A safety gate said no; nothing was changed by this step.
    Refused,
    /// A service did not become healthy; Swarm or we put the old one back.
    Unhealthy,
    /// What we wanted to change is no longer what was observed.
    Moved,
    /// The operator asked the run to stop; this step was not begun.
    Interrupted,
    /// The lock is not ours, or not any more.
    Locked,
}

impl Fault {
    /// A plain failure.
    pub fn failed(cause: impl Into<String>) -> Self {
        Fault { kind: FaultKind::Failed, cause: cause.into(), last_lines: vec![], hint: String::new() }
    }

    /// A refusal by a gate.
    pub fn refused(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { kind: FaultKind::Refused, cause: cause.into(), last_lines: vec![], hint: hint.into() }
    }

    /// Not begun, because the operator asked to stop.
    pub fn interrupted(signal: &str) -> Self {
        Fault { kind: FaultKind::Interrupted, ..Fault::failed(format!("not begun: {signal} asked to stop")) }
    }

    /// The same with what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same with the last lines of what failed.
    pub fn lines(mut self, lines: Vec<String>) -> Self {
        self.last_lines = lines;
        self
    }

    /// The last line of what failed, which mostly says why; the cause where it said nothing.
    pub fn last_word(&self) -> &str {
        self.last_lines.last().unwrap_or(&self.cause)
    }

    /// What Docker's API answered, with the known answers explained.
    pub fn docker(doing: &str, error: &bollard::errors::Error) -> Self {
        let text = match error {
            bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
            bollard::errors::Error::DockerStreamError { error } => error.clone(),
            other => other.to_string(),
        };
        let fault = Fault::failed(format!("{doing}: {text}"));
        let explained = EXPLAINED.iter().find(|(piece, _)| text.contains(piece));
        match explained {
            Some((_, hint)) => fault.hint(*hint),
            None => fault,
        }
    }

    /// The Swarm answered that it has no leader at this moment.
    pub fn is_leaderless(error: &bollard::errors::Error) -> bool {
        matches!(error, bollard::errors::Error::DockerResponseServerError { message, .. }
            if LEADERLESS.iter().any(|said| message.contains(said)))
    }

    /// The engine answered that the object changed since it was read.
    pub fn is_out_of_sequence(error: &bollard::errors::Error) -> bool {
        matches!(error, bollard::errors::Error::DockerResponseServerError { message, .. } if message.contains("out of sequence"))
    }
}

/// Pieces of Docker's answers and what to do about them. For hints only: no decision hangs on them.
const EXPLAINED: [(&str, &str); 10] = [
    ("no basic auth credentials", "the registry wants a login: set REGISTRY_USERNAME and REGISTRY_PASSWORD"),
    ("401 Unauthorized", "the registry refused the login: check REGISTRY_USERNAME and REGISTRY_PASSWORD"),
    ("unauthorized", "the registry refused the login: check REGISTRY_USERNAME and REGISTRY_PASSWORD"),
    (
        "certificate signed by unknown authority",
        "the registry's certificate is signed by an authority this host does not know: set REGISTRY_CA_FILE",
    ),
    ("manifest unknown", "the registry has no such tag: check the DOCKER_VERSION_* variable"),
    ("not found: manifest", "the registry has no such tag: check the DOCKER_VERSION_* variable"),
    ("no such host", "the host cannot resolve the registry's name: check REGISTRY_URL and the host's DNS"),
    (
        "no space left on device",
        "the disk is full: free space on that host (`docker system df` shows what the engine holds)",
    ),
    (
        LEADERLESS[0],
        "the Swarm has no leader: bring managers back until more than half run, then run the same command again",
    ),
    (
        LEADERLESS[1],
        "the Swarm has no leader: bring managers back until more than half run, then run the same command again",
    ),
];

/// What a Swarm says that has no leader: for the seconds of an election, or because its quorum is lost.
const LEADERLESS: [&str; 2] = ["does not have a leader", "DeadlineExceeded"];

impl From<TransportError> for Fault {
    fn from(e: TransportError) -> Self {
        let kind = if e.is_unreachable() { FaultKind::Unreachable } else { FaultKind::Failed };
        Fault { kind, cause: e.message, last_lines: vec![], hint: e.hint }
    }
}
