//! `images mirror`: images from one registry to another, byte for byte, so that every digest stays what it is.

use std::collections::BTreeSet;

use oci_client::Reference;

use super::remote::{Remote, reference};
use crate::engine::fault::Fault;

/// What became of one image.
pub struct Mirrored {
    /// Its name there.
    pub reference: String,
    /// Its digest, here and there.
    pub digest: String,
    /// Blobs that had to be sent.
    pub sent: usize,
    /// Bytes of them.
    pub bytes: u64,
}

/// The name of an image in the other registry: only the registry's own part is another.
pub fn renamed(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from.trim_end_matches('/'))?.strip_prefix('/')?;
    Some(format!("{}/{rest}", to.trim_end_matches('/')))
}

/// Copies one image, on all platforms it is there for. What the other registry has already is not sent.
pub async fn copy(from: &Remote, to: &Remote, source: &str, target: &str) -> Result<Mirrored, Fault> {
    let (source, target) = (reference(source)?, reference(target)?);
    to.write_to(&target).await?;
    let mut done = Mirrored { reference: target.to_string(), digest: String::new(), sent: 0, bytes: 0 };
    let top = from.manifest(&source).await?;
    done.digest = top.digest.clone();
    let listed: Vec<String> =
        top.list().into_iter().flatten().filter_map(|m| m["digest"].as_str().map(str::to_owned)).collect();
    for digest in listed {
        let manifest = from.manifest(&source.clone_with_digest(digest.clone())).await?;
        blobs(from, to, &source, &target, manifest.blobs(), &mut done).await?;
        to.put_manifest(&target.clone_with_digest(digest), &manifest).await?;
    }
    if top.list().is_none() {
        blobs(from, to, &source, &target, top.blobs(), &mut done).await?;
    }
    to.put_manifest(&target, &top).await?;
    let there = to.manifest(&target).await?;
    if there.digest != top.digest {
        return Err(Fault::failed(format!(
            "{target} has the digest {} now, and {source} has {}",
            there.digest, top.digest
        )));
    }
    Ok(done)
}

async fn blobs(
    from: &Remote,
    to: &Remote,
    source: &Reference,
    target: &Reference,
    wanted: Vec<(String, u64)>,
    done: &mut Mirrored,
) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (digest, size) in wanted {
        if !seen.insert(digest.clone()) || to.has(target, &digest).await? {
            continue;
        }
        let stream = from.blob(source, &digest).await?;
        to.put_blob(target, &digest, size, stream).await?;
        done.sent += 1;
        done.bytes += size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_registry_is_another() {
        let name = "registry.reemo.io/reemoinfraapi:2.13.10";
        let to = |to: &str| renamed(name, "registry.reemo.io", to);
        assert_eq!(to("mirror:5000").as_deref(), Some("mirror:5000/reemoinfraapi:2.13.10"));
        assert_eq!(to("hub.site.org/reemo/").as_deref(), Some("hub.site.org/reemo/reemoinfraapi:2.13.10"));
        assert_eq!(renamed("other.io/x:1", "registry.reemo.io", "mirror"), None);
        assert_eq!(renamed("registry.reemo.io.evil/x:1", "registry.reemo.io", "mirror"), None);
    }
}
