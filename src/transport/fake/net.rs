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
    sshd: Sshd,
    trouble: Trouble,
}

/// Hosts by address and port. Cheap to clone; clones are the same network. Use it as the connector's
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
        self.lock().insert((address.to_owned(), 22), Place { sshd, trouble: Trouble::None });
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
        let found = self.lock().get(&(address.to_owned(), port)).map(|place| (place.sshd.clone(), place.trouble));
        let (sshd, trouble) = match found {
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
                sshd.serve(theirs, self.clone());
            }
            _ => sshd.serve(theirs, self.clone()),
        }
        Ok(Box::new(ours))
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
