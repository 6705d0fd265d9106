//! Where images come from: `IMAGE_MODE` and what belongs to it.

use std::path::PathBuf;
use std::sync::Arc;

use reemo_model::diag::Diagnostic;
use reemo_model::secret::Secret;
use reemo_model::supply::{Mode, Proxy, entry_problem, proxy_password, proxy_problem, without_proxy};
use reemo_model::vars::Layer;
use reemo_model::wanted::plain;
use reemo_pki::Store;

use super::load::Loaded;
use super::site::{Variables, address_of, scope};
use crate::engine::images::archive::Archive;
use crate::engine::images::references;
use crate::engine::site::{ClusterSite, Supply};

/// Reads it for a cluster.
pub fn read(loaded: &Loaded, store: &Arc<Store>, variables: &Variables<'_>) -> Result<Supply, Diagnostic> {
    let proxy = variables.text("IMAGE_PROXY")?;
    let bundle = variables.text("IMAGE_BUNDLE")?;
    let said = variables.text("IMAGE_MODE")?;
    let mode = Mode::of(said.as_deref().unwrap_or("auto"), proxy.is_some(), bundle.is_some());
    let bundle = match (mode, bundle) {
        (Mode::Offline, Some(path)) => Some(opened(variables, &path)?),
        _ => None,
    };
    if mode == Mode::Mirror && variables.is_default("REGISTRY_URL") {
        let help =
            "add `REGISTRY_URL: \"registry.example.org\"`: the name of the registry of your own that holds the images";
        return Err(variables.wrong("IMAGE_MODE", "IMAGE_MODE `mirror` needs REGISTRY_URL").help(help));
    }
    let proxy = match (mode, proxy) {
        (Mode::Proxy, Some(url)) => Some(of(loaded, store, variables, &url)?),
        (Mode::Proxy, None) => {
            let help = "add `IMAGE_PROXY: \"http://proxy.example.org:3128\"`";
            return Err(variables.wrong("IMAGE_MODE", "IMAGE_MODE `proxy` needs IMAGE_PROXY").help(help));
        }
        _ => None,
    };
    Ok(Supply { mode, proxy, bundle })
}

/// A bundle is read and held against its own description; whether what is in it is still what it was is seen before any
/// of it is used.
fn opened(variables: &Variables<'_>, path: &str) -> Result<Arc<Archive>, Diagnostic> {
    let archive = Archive::open(&PathBuf::from(path)).map_err(|why| {
        let help = "give the file that `reemo-infra images save --to FILE` wrote, copied whole";
        variables.wrong("IMAGE_BUNDLE", format!("IMAGE_BUNDLE: {path} {why}")).help(help)
    })?;
    Ok(Arc::new(archive))
}

/// A bundle of another release is refused before the first connection.
pub fn covers(variables: &Variables<'_>, site: &ClusterSite) -> Result<(), Diagnostic> {
    let Some(archive) = &site.settings.supply.bundle else { return Ok(()) };
    let wanted = references(site);
    let lacks = archive.bundle.lacks(wanted.iter().copied());
    let Some((first, near)) = lacks.first() else { return Ok(()) };
    let more = if lacks.len() > 1 { format!(" (and {} more)", lacks.len() - 1) } else { String::new() };
    let instead = match near.as_slice() {
        [] => String::new(),
        near => format!("; it has {}", near.join(", ")),
    };
    let why = format!(
        "IMAGE_BUNDLE: {} (release {}) does not have {first}{more}{instead}",
        archive.path.display(),
        archive.bundle.release
    );
    let help = "it was made for other DOCKER_VERSION_* or another REGISTRY_URL: make one of this inventory with `reemo-infra images save`";
    Err(variables.wrong("IMAGE_BUNDLE", why).help(help))
}

fn of(loaded: &Loaded, store: &Arc<Store>, variables: &Variables<'_>, url: &str) -> Result<Proxy, Diagnostic> {
    if let Some(why) = proxy_problem(url) {
        let help = "write it as `http://proxy.example.org:3128`, with a login as `http://user:password@proxy.example.org:3128`";
        return Err(variables.wrong("IMAGE_PROXY", format!("IMAGE_PROXY {why}")).help(help));
    }
    if let Some(password) = proxy_password(url) {
        // Also where it stands alone, as it is written and as it is meant.
        Secret::new(password);
        Secret::new(percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned());
    }
    let more = variables.text("IMAGE_NO_PROXY")?.unwrap_or_default();
    if let Some(why) = more.split([',', ' ']).find_map(entry_problem) {
        let help = "write names, addresses and networks with commas between them: `.example.org,10.0.0.0/8`";
        return Err(variables.wrong("IMAGE_NO_PROXY", format!("IMAGE_NO_PROXY: {why}")).help(help));
    }
    let mut nodes = Vec::new();
    for host in loaded.platform.iter().flat_map(|c| &c.hosts) {
        nodes.push(address_of(loaded, store, host));
        let said = scope(loaded, store, host).get_json("SWARM_ADVERTISE_ADDR").ok().flatten();
        nodes.extend(said.map(|v| plain(&v)));
    }
    let registry = variables.text("REGISTRY_URL")?.unwrap_or_default();
    Ok(Proxy { url: Secret::new(url), except: without_proxy(&nodes, &registry, &more) })
}

impl Variables<'_> {
    /// Nobody says anything but what a role says.
    fn is_default(&self, name: &str) -> bool {
        self.vars.find(self.host, name).is_none_or(|d| d.layer == Layer::RoleDefault)
    }
}
