//! A network of simulated hosts in one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::fake::Sshd;
use crate::host::BoxFuture;
use crate::ssh::dial::Dialer;
use crate::ssh::target::{HostKeyChecking, Target};
use crate::stream::AnyStream;

/// What is wrong with the way to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Nobody listens.
    Refused,
    /// Somebody accepts and says nothing.
    Silent,
    /// The connection opens after a while.
    Slow(Duration),
}

struct Place {
    what: What,
    trouble: Trouble,
}

#[derive(Clone)]
enum What {
    Host(Box<Sshd>),
    Service(Arc<dyn Fn(AnyStream) + Send + Sync>),
}

/// Hosts and services by address and port. Cheap to clone; clones are the same network. Use it as the connector's
/// dialer: `Connector::new(Arc::new(net.clone()))`.
#[derive(Clone, Default)]
pub struct Net(Arc<Mutex<HashMap<(String, u16), Place>>>);

impl Net {
    /// Nobody there yet.
    pub fn new() -> Self {
        Net::default()
    }

    /// Puts a host on port 22 of an address.
    pub fn add(&self, address: &str, sshd: Sshd) -> &Self {
        self.lock()
            .insert((address.to_owned(), 22), Place { what: What::Host(Box::new(sshd)), trouble: Trouble::None });
        self
    }

    /// Puts something else on a port: `serve` is given each connection.
    pub fn listen(&self, address: &str, port: u16, serve: impl Fn(AnyStream) + Send + Sync + 'static) -> &Self {
        let what = What::Service(Arc::new(serve));
        self.lock().insert((address.to_owned(), port), Place { what, trouble: Trouble::None });
        self
    }

    /// Breaks or mends the way to a host.
    pub fn trouble(&self, address: &str, trouble: Trouble) {
        if let Some(place) = self.lock().get_mut(&(address.to_owned(), 22)) {
            place.trouble = trouble;
        }
    }

    /// A target that reaches it and takes its key as it comes.
    pub fn target(&self, address: &str) -> Target {
        let mut target = Target::new(address, address, "root");
        target.host_key_checking = HostKeyChecking::AcceptNew;
        target
    }

    pub(crate) async fn open(&self, address: &str, port: u16) -> std::io::Result<AnyStream> {
        let found = self.lock().get(&(address.to_owned(), port)).map(|place| (place.what.clone(), place.trouble));
        let (what, trouble) = match found {
            None | Some((_, Trouble::Refused)) => return Err(std::io::ErrorKind::ConnectionRefused.into()),
            Some(found) => found,
        };
        let (ours, theirs) = super::pipe::pipe();
        match trouble {
            Trouble::Silent => {
                tokio::spawn(async move {
                    let _theirs = theirs;
                    std::future::pending::<()>().await;
                });
            }
            Trouble::Slow(pause) => {
                tokio::time::sleep(pause).await;
                self.serve(what, theirs);
            }
            _ => self.serve(what, theirs),
        }
        Ok(Box::new(ours))
    }

    fn serve(&self, what: What, theirs: super::pipe::Pipe) {
        match what {
            What::Host(sshd) => sshd.serve(theirs, self.clone()),
            What::Service(serve) => serve(Box::new(theirs)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dialer for Net {
    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<AnyStream>> {
        Box::pin(self.open(address, port))
    }
}
