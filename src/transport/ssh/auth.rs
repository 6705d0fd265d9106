//! Logging in: named keys, the agent's, the usual ones, then a password.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet, SendError, Signer};

use crate::error::{Kind, TransportError};
use crate::ssh::client::{Client, ClientError};
use crate::ssh::keyring::{Keyring, Loaded};
use crate::ssh::target::{AskPassphrase, Target};

type Agent = AgentClient<tokio::net::UnixStream>;

/// Tries everything the target has, in OpenSSH's order.
pub(crate) async fn log_in(handle: &mut Handle<Client>, target: &Target, ring: &Keyring) -> Result<(), TransportError> {
    let mut login = Login { handle, target, ring, methods: None, tried: Vec::new(), notes: Vec::new(), offers: 0 };
    match login.run().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(login.refused()),
        Err(error) => Err(error),
    }
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    target: &'a Target,
    ring: &'a Keyring,
    /// What the server would still take; unknown before the first attempt.
    methods: Option<MethodSet>,
    tried: Vec<String>,
    notes: Vec<String>,
    offers: usize,
}

impl Login<'_> {
    async fn run(&mut self) -> Result<bool, TransportError> {
        let target = self.target;
        let mut agent = self.agent().await;
        let mut held = match &mut agent {
            Some(agent) => agent.request_identities().await.unwrap_or_default(),
            None => Vec::new(),
        };
        for path in &target.keys {
            if self.key(path, &mut agent, &mut held, true).await? {
                return Ok(true);
            }
        }
        if !target.identities_only {
            for identity in std::mem::take(&mut held) {
                if let Some(agent) = &mut agent
                    && self.by_agent(agent, &identity).await?
                {
                    return Ok(true);
                }
            }
        }
        for path in &target.default_keys {
            if path.exists() && self.key(path, &mut agent, &mut held, false).await? {
                return Ok(true);
            }
        }
        if let Some(password) = target.password.as_ref() {
            let Some(password) = password.expose_str() else {
                self.notes.push("the password is not text".into());
                return Ok(false);
            };
            if self.may(MethodKind::Password) {
                self.tried.push("the password".into());
                let result = self.handle.authenticate_password(&target.user, password).await;
                if self.result(result.map_err(ClientError::from))? {
                    return Ok(true);
                }
            }
            if self.may(MethodKind::KeyboardInteractive) && self.interactive(password).await? {
                return Ok(true);
            }
        }
        if self.tried.is_empty() {
            // Some servers let people in as they are; and the answer names the methods there are.
            let result = self.handle.authenticate_none(&target.user).await;
            return self.result(result.map_err(ClientError::from));
        }
        Ok(false)
    }

    fn may(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|m| m.contains(&method))
    }

    async fn agent(&mut self) -> Option<Agent> {
        let socket = self.target.agent.as_ref()?;
        match AgentClient::connect_uds(socket).await {
            Ok(agent) => Some(agent),
            Err(_) => {
                self.notes.push(format!("no agent answers at {}", socket.display()));
                None
            }
        }
    }

    /// One key file: by itself, or by the agent where that holds it and the file is locked.
    async fn key(
        &mut self,
        path: &Path,
        agent: &mut Option<Agent>,
        held: &mut Vec<AgentIdentity>,
        named: bool,
    ) -> Result<bool, TransportError> {
        if !self.may(MethodKind::PublicKey) {
            return Ok(false);
        }
        let loaded = match self.ring.load(path) {
            Ok(loaded) => loaded,
            Err(reason) => {
                if named {
                    self.notes.push(reason);
                }
                return Ok(false);
            }
        };
        let public = match &loaded {
            Loaded::Ready(key) => key.public_key().clone(),
            Loaded::Locked(public) => public.clone(),
        };
        let at = held.iter().position(|i| i.public_key().key_data() == public.key_data());
        let identity = at.map(|at| held.remove(at));
        match loaded {
            Loaded::Ready(key) => {
                self.tried.push(path.display().to_string());
                let hash = self.hash(key.algorithm()).await?;
                let key = PrivateKeyWithHashAlg::new(key, hash);
                let result = self.handle.authenticate_publickey(&self.target.user, key).await;
                self.result(result.map_err(ClientError::from))
            }
            Loaded::Locked(public) => {
                if let (Some(identity), Some(agent)) = (identity, agent.as_mut()) {
                    return self.by_agent(agent, &identity).await;
                }
                self.tried.push(path.display().to_string());
                self.locked(path, public).await
            }
        }
    }

    async fn by_agent(&mut self, agent: &mut Agent, identity: &AgentIdentity) -> Result<bool, TransportError> {
        if !self.may(MethodKind::PublicKey) {
            return Ok(false);
        }
        self.tried.push(format!("{} of the agent", name(identity)));
        let user = &self.target.user;
        let key = identity.public_key().into_owned();
        let hash = self.hash(key.algorithm()).await?;
        let result = match identity {
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle.authenticate_certificate_with(user, certificate.clone(), hash, agent).await
            }
            _ => self.handle.authenticate_publickey_with(user, key, hash, agent).await,
        };
        match result {
            Ok(result) => self.result(Ok(result)),
            Err(_) => {
                self.notes.push(format!("the agent would not sign with {}", name(identity)));
                Ok(false)
            }
        }
    }

    /// An encrypted key: its passphrase is asked for only if the server would take the key.
    async fn locked(&mut self, path: &Path, public: PublicKey) -> Result<bool, TransportError> {
        if let Algorithm::Rsa { .. } = public.algorithm() {
            return match self.ring.unlock(path, self.target.passphrase.as_ref()).await {
                Ok(key) => {
                    let hash = self.hash(key.algorithm()).await?;
                    let key = PrivateKeyWithHashAlg::new(key, hash);
                    let result = self.handle.authenticate_publickey(&self.target.user, key).await;
                    self.result(result.map_err(ClientError::from))
                }
                Err(reason) => {
                    self.notes.push(reason);
                    Ok(false)
                }
            };
        }
        let mut signer = Locked { path: path.to_owned(), ring: self.ring, ask: self.target.passphrase.clone() };
        match self.handle.authenticate_publickey_with(&self.target.user, public, None, &mut signer).await {
            Ok(result) => self.result(Ok(result)),
            Err(Unsigned(reason)) => {
                self.notes.push(reason);
                Ok(false)
            }
        }
    }

    async fn hash(&self, algorithm: Algorithm) -> Result<Option<HashAlg>, TransportError> {
        match algorithm {
            Algorithm::Rsa { .. } => {
                let best = self.handle.best_supported_rsa_hash().await.map_err(|e| self.broken(&e.into()))?;
                // A server that does not say is newer than SHA-1 all the same.
                Ok(best.flatten().or(Some(HashAlg::Sha256)))
            }
            _ => Ok(None),
        }
    }

    async fn interactive(&mut self, password: &str) -> Result<bool, TransportError> {
        self.tried.push("the password (keyboard-interactive)".into());
        let mut answer = self
            .handle
            .authenticate_keyboard_interactive_start(&self.target.user, None::<String>)
            .await
            .map_err(|e| self.broken(&e.into()))?;
        // A server may ask for ever; people would not answer for ever.
        for _ in 0..8 {
            let prompts = match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. } => {
                    self.methods = Some(remaining_methods);
                    return Ok(false);
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            // A visible answer is a code or a question, not the password.
            let answers = prompts.iter().map(|p| if p.echo { String::new() } else { password.to_owned() }).collect();
            answer = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await
                .map_err(|e| self.broken(&e.into()))?;
        }
        Ok(false)
    }

    fn result(&mut self, result: Result<AuthResult, ClientError>) -> Result<bool, TransportError> {
        self.offers += 1;
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                if self.handle.is_closed() {
                    return Err(self.too_many());
                }
                self.methods = Some(remaining_methods);
                Ok(false)
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &ClientError) -> TransportError {
        if self.offers > 0 {
            return self.too_many();
        }
        error.explain(self.target)
    }

    fn too_many(&self) -> TransportError {
        TransportError::new(
            Kind::Auth,
            format!("{} closed the connection after {} attempts to log in", self.target.name, self.offers),
            format!(
                "name the right key: --private-key FILE, with -o IdentitiesOnly=yes (tried: {})",
                self.tried.join(", ")
            ),
        )
    }

    fn refused(&self) -> TransportError {
        let target = self.target;
        let mut message = format!("{}@{} was not let in", target.user, target.name);
        if !self.tried.is_empty() {
            message += &format!("; tried {}", self.tried.join(", "));
        }
        for note in &self.notes {
            message += &format!("; {note}");
        }
        let takes = |m| self.methods.as_ref().is_some_and(|list| list.contains(&m));
        let password = takes(MethodKind::Password) || takes(MethodKind::KeyboardInteractive);
        let mut hint = format!("see what works: {}", target.ssh_command());
        if let Some(Some(key)) =
            (!takes(MethodKind::Password) || target.password.is_some()).then(|| target.keys.first())
        {
            let port = if target.port == 22 { String::new() } else { format!(" -p {}", target.port) };
            hint =
                format!("put the key there: ssh-copy-id{port} -i {} {}@{}", key.display(), target.user, target.address);
        } else if password && target.password.is_none() {
            hint = "give a password with -k (--ask-pass), or a key with --private-key FILE".to_owned();
        }
        TransportError::new(Kind::Auth, message, hint)
    }
}

fn name(identity: &AgentIdentity) -> String {
    match identity.comment() {
        "" => identity.public_key().fingerprint(HashAlg::Sha256).to_string(),
        comment => comment.to_owned(),
    }
}

/// Signs with a key that is opened only now.
struct Locked<'a> {
    path: PathBuf,
    ring: &'a Keyring,
    ask: Option<AskPassphrase>,
}

struct Unsigned(String);

impl From<SendError> for Unsigned {
    fn from(_: SendError) -> Self {
        Unsigned("the connection broke".into())
    }
}

impl Signer for Locked<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let key: Arc<_> = self.ring.unlock(&self.path, self.ask.as_ref()).await.map_err(Unsigned)?;
        let failed = || Unsigned(format!("{} cannot sign", self.path.display()));
        let signature = key.try_sign(&to_sign).map_err(|_| failed())?;
        let mut encoded = Vec::new();
        signature.encode(&mut encoded).map_err(|_| failed())?;
        // The server gets what was signed and, as one string, the signature.
        encoded.encode(&mut to_sign).map_err(|_| failed())?;
        Ok(to_sign)
    }
}
