//! From a bundle to a host: only what its engine lacks, in pieces, going on where an earlier run was cut off, and loaded
//! once it has arrived whole.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use reemo_model::bundle::{Image, Layer, blob_path, missing};
use reemo_model::op::{CarryPackages, LoadImage};
use reemo_model::secret::{Blob, Secret};
use reemo_resource::swarm::observed::text;
use reemo_transport::{Command, Docker, Host, Output};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::{save, tar};
use crate::engine::fault::Fault;
use crate::engine::files::hex;

const SCRIPT: &str = include_str!("script.sh");
/// Where a host keeps what has not been loaded yet.
pub const FOLDER: &str = "/var/lib/reemo-images";
/// So much goes in one command.
const PIECE: usize = 8 * 1024 * 1024;
/// Limit of one piece, or of loading an image: slow lines, slow disks.
const LIMIT: Duration = Duration::from_secs(1800);
/// What the script ends with when the checksum is another.
const DAMAGED: i32 = 8;

/// A part of what is sent.
enum Part {
    /// These bytes.
    Here(Vec<u8>),
    /// A file of the archive: its place, and its length.
    There(String, u64),
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Part::Here(bytes) => bytes.len() as u64,
            Part::There(_, size) => *size,
        }
    }
}

/// What is sent, as one stream that can be begun anywhere.
struct Stream<'a> {
    archive: &'a Archive,
    parts: Vec<Part>,
}

impl Stream<'_> {
    fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// At most [`PIECE`] bytes from there on.
    fn at(&self, mut offset: u64) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        for part in &self.parts {
            if offset >= part.len() {
                offset -= part.len();
                continue;
            }
            let room = (PIECE - piece.len()) as u64;
            let take = room.min(part.len() - offset);
            match part {
                Part::Here(bytes) => piece.extend_from_slice(&bytes[offset as usize..(offset + take) as usize]),
                Part::There(path, _) => {
                    let mut file = self.archive.read(path)?.into_inner();
                    file.seek(SeekFrom::Current(offset as i64))?;
                    if file.take(take).read_to_end(&mut piece)? as u64 != take {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            offset = 0;
            if piece.len() == PIECE {
                break;
            }
        }
        Ok(piece)
    }
}

async fn run(host: &dyn Host, words: &[&str], stdin: Option<Vec<u8>>) -> Result<Output, Fault> {
    let argv = ["sh", "-c", SCRIPT, "images"].into_iter().chain(words.iter().copied());
    let mut command = Command::new(argv).timeout(LIMIT);
    // Not shown anywhere, and not looked for in texts either.
    command.stdin = stdin.map(|bytes| Blob::Secret(Secret::unregistered(bytes)));
    Ok(host.exec(command, None).await?)
}

fn done(host: &dyn Host, doing: &str, output: Output) -> Result<Output, Fault> {
    if output.success() {
        return Ok(output);
    }
    let why = output.tail(1).pop().unwrap_or_default();
    Err(Fault::failed(format!("{}: {doing}: {why}", host.name())).lines(output.tail(10)))
}

/// Brings a stream to a file of the host and sees that it arrived. What an earlier run brought stays.
async fn bring(
    host: &dyn Host,
    file: &str,
    stream: &Stream<'_>,
    on_line: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), Fault> {
    let said = |e: io::Error| Fault::failed(format!("{}: {e}", stream.archive.path.display()));
    let length = stream.len();
    let here = done(host, "look for what was sent before", run(host, &["size", file], None).await?)?;
    let mut from = here.text().trim().parse::<u64>().unwrap_or(0);
    if from > length {
        from = 0;
    }
    for attempt in 0.. {
        let (mut sum, mut offset) = (Sha256::new(), 0);
        if from > 0 {
            on_line(&format!("{file}: {from} of {length} bytes are here from an earlier run"));
        }
        while offset < length {
            let mut piece = stream.at(offset).map_err(said)?;
            sum.update(&piece);
            let next = offset + piece.len() as u64;
            if next > from {
                let begin = from.max(offset);
                piece.drain(..(begin - offset) as usize);
                let put = run(host, &["put", file, &begin.to_string()], Some(piece)).await?;
                done(host, "receive an image", put)?;
                on_line(&format!("{file}: {} of {} MB", next / 1_000_000, length.div_ceil(1_000_000)));
            }
            offset = next;
        }
        let checked = run(host, &["check", file, &hex(sum)], None).await?;
        if checked.code != DAMAGED || attempt > 0 {
            return done(host, "receive an image", checked).map(drop);
        }
        // What was there before was not the beginning of this.
        from = 0;
    }
    Ok(())
}

/// The archive that `docker load` is given: an OCI layout and what Docker's own store reads, in one.
fn docker_archive<'a>(archive: &'a Archive, image: &Image, layers: &[&Layer]) -> io::Result<Stream<'a>> {
    let manifest = json!([{
        "Config": blob_path(&image.id),
        "RepoTags": [image.reference],
        "Layers": image.layers.iter().map(|l| blob_path(&l.digest)).collect::<Vec<_>>(),
    }]);
    let mut parts = Vec::new();
    let own = save::layout(&[image], &archive.bundle.blobs);
    let heads = own.into_iter().chain([("manifest.json", manifest.to_string().into_bytes())]);
    for (path, mut bytes) in heads {
        let size = bytes.len() as u64;
        let mut whole = tar::header(path, size)?;
        whole.append(&mut bytes);
        whole.resize(whole.len() + tar::padding(size), 0);
        parts.push(Part::Here(whole));
    }
    for digest in [&image.manifest, &image.id].into_iter().chain(layers.iter().map(|l| &l.digest)) {
        let (path, size) = (blob_path(digest), archive.bundle.blobs[digest]);
        parts.push(Part::Here(tar::header(&path, size)?));
        parts.push(Part::There(path, size));
        parts.push(Part::Here(vec![0; tar::padding(size)]));
    }
    parts.push(Part::Here(tar::end()));
    Ok(Stream { archive, parts })
}

/// The layers of every image of an engine, each with those below it. Containerd's image store does not find layers
/// again this way: there it is as if there were none.
async fn stacks(docker: &Docker, host: &dyn Host) -> Result<Vec<Vec<String>>, Fault> {
    let said = |e: bollard::errors::Error| Fault::docker(&format!("{}: ask for its images", host.name()), &e);
    let info = docker.info().await.map_err(said)?;
    let status = info.driver_status.unwrap_or_default();
    if status.iter().flatten().any(|word| word.contains("io.containerd.snapshotter")) {
        return Ok(Vec::new());
    }
    let images = docker.read("/images/json").await.map_err(said)?;
    let mut all = Vec::new();
    for image in images.as_array().into_iter().flatten() {
        let found = docker.read(&format!("/images/{}/json", text(image, &["Id"]))).await.map_err(said)?;
        let layers = found["RootFS"]["Layers"].as_array().into_iter().flatten();
        all.push(layers.filter_map(|l| l.as_str().map(str::to_owned)).collect());
    }
    Ok(all)
}

fn opened(path: &str) -> Result<Archive, Fault> {
    Archive::open(Path::new(path)).map_err(|why| Fault::failed(format!("{path} {why}")))
}

/// Sends an image and has it loaded.
pub async fn load(
    host: &dyn Host,
    docker: &Docker,
    op: &LoadImage,
    on_line: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), Fault> {
    let archive = opened(&op.bundle)?;
    let said = |e: io::Error| Fault::failed(format!("{}: {e}", op.bundle));
    let image = archive.bundle.image(&op.reference);
    let image = image.ok_or_else(|| Fault::failed(format!("{} is not in {}", op.reference, op.bundle)))?;
    let there = stacks(docker, host).await?;
    let all: Vec<&Layer> = missing(image, &[]);
    let mut layers = missing(image, &there);
    loop {
        let stream = docker_archive(&archive, image, &layers).map_err(said)?;
        let bytes: u64 = layers.iter().map(|l| archive.bundle.blobs[&l.digest]).sum();
        on_line(&format!("{}: {} of {} layers, {bytes} bytes", op.reference, layers.len(), all.len()));
        let file = format!("{}-{}.tar", &image.id["sha256:".len()..][..12], layers.len());
        bring(host, &file, &stream, on_line).await?;
        let loaded = run(host, &["load", &file], None).await?;
        if loaded.success() {
            break;
        }
        if layers.len() == all.len() {
            return done(host, &format!("load {}", op.reference), loaded).map(drop);
        }
        // An engine that wants all of it, whatever it has.
        layers = all.clone();
    }
    let found = docker.read(&format!("/images/{}/json", op.reference)).await;
    let found = found.map_err(|e| Fault::docker(&format!("{}: {}", host.name(), op.reference), &e))?;
    let id = text(&found, &["Id"]);
    if image.is(id) {
        return Ok(());
    }
    Err(Fault::failed(format!("{}: {} was loaded, and its id is {id}, not {}", host.name(), op.reference, image.id)))
}

/// Brings packages to a host.
pub async fn packages(
    host: &dyn Host,
    op: &CarryPackages,
    on_line: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), Fault> {
    let archive = opened(&op.bundle)?;
    for path in &op.paths {
        let package = archive.bundle.packages.iter().find(|p| p.path() == *path);
        let package = package.ok_or_else(|| Fault::failed(format!("{path} is not in {}", op.bundle)))?;
        let stream = Stream { archive: &archive, parts: vec![Part::There(path.clone(), package.size)] };
        bring(host, &package.file, &stream, on_line).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths that fall on and beside the borders of pieces; begun at any of them, the stream goes on as it would.
    #[test]
    fn a_stream_can_be_begun_anywhere() {
        let archive = Archive::empty();
        let part = |n: u8, length: usize| Part::Here((0..length).map(|i| n ^ (i % 251) as u8).collect());
        let stream = Stream {
            archive: &archive,
            parts: vec![part(1, 512), part(2, PIECE - 512), part(3, 0), part(4, PIECE + 7)],
        };
        let mut whole = Vec::new();
        while (whole.len() as u64) < stream.len() {
            whole.extend(stream.at(whole.len() as u64).unwrap());
        }
        assert_eq!(whole.len(), 2 * PIECE + 7);
        for begin in [0, 1, 511, 512, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 6] {
            let piece = stream.at(begin as u64).unwrap();
            assert!(!piece.is_empty() && piece[..] == whole[begin..begin + piece.len()], "{begin}");
        }
        assert!(stream.at(stream.len()).unwrap().is_empty());
    }
}
