//! From a target to a host.

use std::sync::Arc;

use crate::error::TransportError;
use crate::host::Host;
use crate::ssh::{Connector, Target};

/// Connects to one host by itself. For a whole run use one [`Connector`]: it shares keys, files and bastions.
pub async fn connect(target: &Target) -> Result<Arc<dyn Host>, TransportError> {
    Ok(Connector::default().connect(target).await?)
}
