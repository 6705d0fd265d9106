//! `images save`: everything a site wants of a registry, in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use reemo_model::bundle::{Bundle, CHECKSUM, DESCRIPTION, Image, Layer, Package, SCHEMA, blob_path, is_digest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::remote::{Manifest, Remote, digest_of, reference};
use super::tar;
use crate::engine::fault::Fault;
use crate::engine::files::hex;
use crate::engine::part;

/// A blob is asked for so often before it counts as not to be had.
const TRIES: u32 = 3;

/// What goes into a bundle.
pub struct Wanted<'a> {
    /// The images.
    pub references: &'a BTreeSet<String>,
    /// `linux/amd64`.
    pub platform: &'a str,
    /// Folders with packages of the Docker engine, by system.
    pub packages: &'a [(String, PathBuf)],
}

/// Where each blob comes from.
#[derive(Default)]
struct Blobs {
    /// Those that are here already: manifests, configurations.
    here: BTreeMap<String, Bytes>,
    /// The others: length, and an image that has it.
    there: BTreeMap<String, (u64, String)>,
}

/// Writes a bundle. It has its name only once it is whole, and was read back and checked.
pub async fn save(
    remote: &Remote,
    wanted: &Wanted<'_>,
    to: &Path,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Bundle, Fault> {
    let mut blobs = Blobs::default();
    let mut images = Vec::new();
    for name in wanted.references {
        let image = resolve(remote, name, wanted.platform, &mut blobs).await?;
        say(&format!("{name}: {}, {} layers", image.digest, image.layers.len()));
        images.push(image);
    }
    let (packages, files) = packages(wanted.packages)?;
    let lengths = blobs.here.iter().map(|(d, b)| (d.clone(), b.len() as u64));
    let lengths: BTreeMap<String, u64> =
        lengths.chain(blobs.there.iter().map(|(d, (size, _))| (d.clone(), *size))).collect();
    let bundle = Bundle {
        schema: SCHEMA,
        made_by: concat!("reemo-infra ", env!("CARGO_PKG_VERSION")).into(),
        platform: wanted.platform.to_owned(),
        release: release(&images),
        images,
        packages,
        blobs: lengths,
    };
    let part = part::name(to);
    let done = async {
        write(remote, &bundle, &blobs, &files, &part, say).await?;
        let written = Archive::open(&part).and_then(|a| a.verify());
        written.map_err(|why| wrong(&part, &why))?;
        std::fs::rename(&part, to).map_err(|e| wrong(to, &e))
    };
    let result = done.await;
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result.map(|()| bundle)
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> Fault {
    Fault::failed(format!("{}: {why}", path.display()))
}

/// Twelve digits over what every reference names.
fn release(images: &[Image]) -> String {
    let mut sum = Sha256::new();
    for image in images {
        sum.update(image.pinned());
        sum.update([0]);
    }
    hex(sum)[..12].to_owned()
}

/// What a reference names now, on that platform; its small parts are fetched.
async fn resolve(remote: &Remote, name: &str, platform: &str, blobs: &mut Blobs) -> Result<Image, Fault> {
    let named = reference(name)?;
    let top = remote.manifest(&named).await?;
    let digest = top.digest.clone();
    let manifest = match top.list() {
        None => top,
        Some(list) => {
            let one = of_platform(list, platform).ok_or_else(|| {
                Fault::failed(format!("{name} is not to be had for {platform}")).hint("say another --platform")
            })?;
            remote.manifest(&named.clone_with_digest(one)).await?
        }
    };
    read_image(remote, name, digest, &manifest, blobs).await
}

/// The manifest for a platform in a list of them.
fn of_platform(list: &[Value], platform: &str) -> Option<String> {
    let (os, rest) = platform.split_once('/')?;
    let (architecture, variant) = rest.split_once('/').map_or((rest, None), |(a, v)| (a, Some(v)));
    let fits = |m: &&Value| {
        let p = &m["platform"];
        p["os"] == os && p["architecture"] == architecture && variant.is_none_or(|v| p["variant"] == v)
    };
    list.iter().find(fits)?["digest"].as_str().map(str::to_owned)
}

async fn read_image(
    remote: &Remote,
    name: &str,
    digest: String,
    manifest: &Manifest,
    blobs: &mut Blobs,
) -> Result<Image, Fault> {
    let odd = |what: &str| Fault::failed(format!("{name}: {what}"));
    let mut parts = manifest.blobs();
    if parts.len() != 1 + manifest.json["layers"].as_array().map_or(0, Vec::len)
        || parts.iter().any(|(d, _)| !is_digest(d))
    {
        return Err(odd("its manifest cannot be read"));
    }
    let (id, size) = parts.remove(0);
    let at = reference(name)?;
    if !blobs.here.contains_key(&id) {
        let bytes = fetch(remote, &at, &id, size).await?;
        blobs.here.insert(id.clone(), bytes);
    }
    let config: Value =
        serde_json::from_slice(&blobs.here[&id]).map_err(|_| odd("its configuration cannot be read"))?;
    let ids: Vec<String> = config["rootfs"]["diff_ids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|d| d.as_str().map(str::to_owned))
        .collect();
    if ids.len() != parts.len() {
        return Err(odd("its configuration and its manifest have different layers"));
    }
    blobs.here.insert(manifest.digest.clone(), manifest.bytes.clone());
    let mut layers = Vec::new();
    for ((layer, size), diff_id) in parts.into_iter().zip(ids) {
        if !blobs.here.contains_key(&layer) {
            blobs.there.insert(layer.clone(), (size, name.to_owned()));
        }
        layers.push(Layer { digest: layer, diff_id });
    }
    let media_type = manifest.media_type.clone();
    Ok(Image { reference: name.to_owned(), digest, manifest: manifest.digest.clone(), media_type, id, layers })
}

/// A small blob, whole.
async fn fetch(remote: &Remote, at: &oci_client::Reference, digest: &str, size: u64) -> Result<Bytes, Fault> {
    let mut stream = remote.blob(at, digest).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|e| Fault::failed(format!("{at}: {digest}: {e}")))?);
        if bytes.len() as u64 > size {
            break;
        }
    }
    if digest_of(&bytes) != digest {
        return Err(Fault::failed(format!("{at}: {digest} is not what the registry sends for it")));
    }
    Ok(bytes.into())
}

/// Packages of the given folders, and where their files are.
fn packages(folders: &[(String, PathBuf)]) -> Result<(Vec<Package>, BTreeMap<String, PathBuf>), Fault> {
    let (mut list, mut files) = (Vec::new(), BTreeMap::new());
    for (system, folder) in folders {
        let said = |e: io::Error| wrong(folder, &e);
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(said)?
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "deb" || e == "rpm"))
            .collect();
        paths.sort();
        if paths.is_empty() {
            return Err(wrong(folder, &"there is no package (.deb, .rpm) in it"));
        }
        for path in paths {
            let mut sum = Sha256::new();
            let size = io::copy(&mut File::open(&path).map_err(said)?, &mut sum).map_err(said)?;
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let package = Package { system: system.clone(), file, sha256: hex(sum), size };
            files.insert(package.path(), path);
            list.push(package);
        }
    }
    let bundle = Bundle { schema: SCHEMA, packages: list.clone(), ..Bundle::default() };
    match bundle.problem() {
        Some(why) => Err(Fault::failed(why)),
        None => Ok((list, files)),
    }
}

/// The layout's own files, beside the blobs.
pub fn layout(images: &[&Image], lengths: &BTreeMap<String, u64>) -> [(&'static str, Vec<u8>); 2] {
    let one = |image: &&Image| {
        json!({
            "mediaType": image.media_type,
            "digest": image.manifest,
            "size": lengths.get(&image.manifest),
            "annotations": {
                "io.containerd.image.name": image.reference,
                "org.opencontainers.image.ref.name": image.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag),
            },
        })
    };
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": images.iter().map(one).collect::<Vec<_>>(),
    });
    [("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()), ("index.json", index.to_string().into_bytes())]
}

async fn write(
    remote: &Remote,
    bundle: &Bundle,
    blobs: &Blobs,
    files: &BTreeMap<String, PathBuf>,
    part: &Path,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Fault> {
    let said = |e: io::Error| wrong(part, &e);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(part).map_err(said)?;
    let description = serde_json::to_vec_pretty(bundle).map_err(|e| Fault::failed(e.to_string()))?;
    let mut sum = Sha256::new();
    sum.update(&description);
    let checksum = format!("{}\n", hex(sum)).into_bytes();
    let images: Vec<&Image> = bundle.images.iter().collect();
    let heads = [(DESCRIPTION, description), (CHECKSUM, checksum)].into_iter().chain(layout(&images, &bundle.blobs));
    for (path, bytes) in heads {
        whole(&mut file, path, &bytes).map_err(said)?;
    }
    for package in &bundle.packages {
        let mut from = File::open(&files[&package.path()]).map_err(said)?;
        file.write_all(&tar::header(&package.path(), package.size).map_err(said)?).map_err(said)?;
        io::copy(&mut (&mut from).take(package.size), &mut file).map_err(said)?;
        file.write_all(&vec![0; tar::padding(package.size)]).map_err(said)?;
    }
    for (digest, bytes) in &blobs.here {
        whole(&mut file, &blob_path(digest), bytes).map_err(said)?;
    }
    let mut left: u64 = blobs.there.values().map(|(size, _)| size).sum();
    for (digest, (size, name)) in &blobs.there {
        say(&format!("{digest}: {size} bytes, {} MB to go", left / 1_000_000));
        file.write_all(&tar::header(&blob_path(digest), *size).map_err(said)?).map_err(said)?;
        layer(remote, name, digest, *size, &mut file, part).await?;
        file.write_all(&vec![0; tar::padding(*size)]).map_err(said)?;
        left -= size;
    }
    file.write_all(&tar::end()).and_then(|()| file.sync_all()).map_err(said)
}

fn whole(file: &mut File, path: &str, bytes: &[u8]) -> io::Result<()> {
    file.write_all(&tar::header(path, bytes.len() as u64)?)?;
    file.write_all(bytes)?;
    file.write_all(&vec![0; tar::padding(bytes.len() as u64)])
}

/// A layer, from the registry into the file; begun anew when the connection is lost.
async fn layer(
    remote: &Remote,
    name: &str,
    digest: &str,
    size: u64,
    file: &mut File,
    part: &Path,
) -> Result<(), Fault> {
    use std::io::{Seek, SeekFrom};
    let said = |e: io::Error| wrong(part, &e);
    let at = reference(name)?;
    let start = file.stream_position().map_err(said)?;
    let mut tried = 0;
    loop {
        tried += 1;
        let fault = match once(remote, &at, digest, size, file, part).await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if tried >= TRIES {
            return Err(fault);
        }
        file.set_len(start).and_then(|()| file.seek(SeekFrom::Start(start))).map_err(said)?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

async fn once(
    remote: &Remote,
    at: &oci_client::Reference,
    digest: &str,
    size: u64,
    file: &mut File,
    part: &Path,
) -> Result<(), Fault> {
    let mut stream = remote.blob(at, digest).await?;
    let (mut sum, mut length) = (Sha256::new(), 0);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|e| Fault::failed(format!("{at}: {digest}: {e}")))?;
        length += piece.len() as u64;
        if length > size {
            break;
        }
        sum.update(&piece);
        file.write_all(&piece).map_err(|e| wrong(part, &e))?;
    }
    if length != size || format!("sha256:{}", hex(sum)) != digest {
        return Err(Fault::failed(format!("{at}: {digest} is not what the registry sends for it")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_a_platform() {
        let list = [
            json!({"digest": "a", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}),
            json!({"digest": "b", "platform": {"os": "linux", "architecture": "amd64"}}),
        ];
        let of = |platform: &str| of_platform(&list, platform);
        assert_eq!(
            (of("linux/amd64"), of("linux/arm64/v8"), of("linux/arm64")),
            (Some("b".into()), Some("a".into()), Some("a".into()))
        );
        assert_eq!((of("linux/arm64/v7"), of("windows/amd64"), of("linux")), (None, None, None));
    }
}
