//! What a bundle of images says of itself: its first file, `reemo.json`.
//!
//! A bundle is a tar archive with an OCI image layout in it. Every other file has its checksum for a name, or beside its
//! name here; the checksum of this one is the second file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Name of the description.
pub const DESCRIPTION: &str = "reemo.json";
/// Name of the file with its checksum.
pub const CHECKSUM: &str = "reemo.json.sha256";
/// The form of the description; another is another form.
pub const SCHEMA: u32 = 1;

/// A bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Program and version that made it.
    pub made_by: String,
    /// `linux/amd64`.
    pub platform: String,
    /// What is in it, in twelve digits: the same images have the same release.
    pub release: String,
    /// The images, by reference.
    pub images: Vec<Image>,
    /// Packages of the Docker engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Length in bytes of every blob, by its digest.
    pub blobs: BTreeMap<String, u64>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `registry.example/name:tag`, as the inventory wants it.
    pub reference: String,
    /// What the registry said the tag names: of a manifest, or of a list of them for several platforms.
    pub digest: String,
    /// Digest of the manifest.
    pub manifest: String,
    /// Its type.
    pub media_type: String,
    /// Digest of its configuration, which is the image's id where Docker keeps images in its own store.
    pub id: String,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Digest as it travels.
    pub digest: String,
    /// Digest of its content, as the image's configuration has it.
    pub diff_id: String,
}

/// A package of the Docker engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// For which hosts: `debian-12`, `rocky-9`, or a family: `debian`, `redhat`.
    pub system: String,
    /// Its file's name.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
}

impl Image {
    /// What Docker may call it: its configuration's digest, or (with containerd's image store) its manifest's.
    pub fn is(&self, id: &str) -> bool {
        !id.is_empty() && (id == self.id || id == self.manifest || id == self.digest)
    }

    /// `registry.example/name:tag@sha256:…`, as a service that is pulled would have it.
    pub fn pinned(&self) -> String {
        format!("{}@{}", self.reference, self.digest)
    }
}

impl Package {
    /// Its place in the archive.
    pub fn path(&self) -> String {
        format!("packages/{}/{}", self.system, self.file)
    }
}

/// Place of a blob in the archive.
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// True for `sha256:` and 64 digits: nothing that could lead elsewhere when it becomes a path.
pub fn is_digest(text: &str) -> bool {
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    text.strip_prefix("sha256:").is_some_and(|d| d.len() == 64 && d.bytes().all(hex))
}

impl Bundle {
    /// The image of a reference.
    pub fn image(&self, reference: &str) -> Option<&Image> {
        self.images.iter().find(|i| i.reference == reference)
    }

    /// Packages for a distribution: those for exactly this one, else those for its family.
    pub fn packages_for(&self, exactly: &str, family: &str) -> Vec<&Package> {
        let of = |system: &str| self.packages.iter().filter(|p| p.system == system).collect::<Vec<_>>();
        let own = of(exactly);
        if own.is_empty() { of(family) } else { own }
    }

    /// What makes the description useless, in words.
    pub fn problem(&self) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!("it has form {}, and this program knows form {SCHEMA}", self.schema));
        }
        let name = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-._~:".contains(c))
        };
        if let Some(bad) = self.packages.iter().find(|p| !name(&p.system) || !name(&p.file)) {
            return Some(format!("a package has no usable name ({:?})", bad.file));
        }
        if let Some(bad) = self.blobs.keys().find(|d| !is_digest(d)) {
            return Some(format!("{bad:?} is no digest"));
        }
        for image in &self.images {
            let layers = image.layers.iter().map(|l| &l.digest);
            if let Some(gone) =
                [&image.manifest, &image.id].into_iter().chain(layers).find(|d| !self.blobs.contains_key(*d))
            {
                return Some(format!("{}: {gone} is not in it", image.reference));
            }
        }
        None
    }

    /// Wanted references that are not in it, each with what it has of that name: another release.
    pub fn lacks<'a>(&'a self, wanted: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, Vec<&'a str>)> {
        let name = |reference: &'a str| reference.rsplit_once(':').map_or(reference, |(name, _)| name);
        let missing = wanted.into_iter().filter(|w| self.image(w).is_none());
        missing
            .map(|w| {
                let near = self.images.iter().map(|i| i.reference.as_str()).filter(|r| name(r) == name(w));
                (w, near.collect())
            })
            .collect()
    }
}

/// The layers of an image that a node lacks. A layer is there if an image of the node has it on the same layers below:
/// that is how Docker's own store finds it again.
pub fn missing<'a>(image: &'a Image, there: &[Vec<String>]) -> Vec<&'a Layer> {
    let wanted: Vec<&str> = image.layers.iter().map(|l| l.diff_id.as_str()).collect();
    let shared = |stack: &Vec<String>| stack.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
    let kept = there.iter().map(shared).max().unwrap_or(0);
    // A layer that stands twice in one image travels once.
    let mut seen = BTreeSet::new();
    image.layers[kept..].iter().filter(|l| seen.insert(&l.digest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    fn image(reference: &str, layers: &[u8]) -> Image {
        let layer = |n: &u8| Layer { digest: digest(*n), diff_id: digest(100 + n) };
        Image {
            reference: reference.into(),
            digest: digest(1),
            manifest: digest(2),
            media_type: String::new(),
            id: digest(3),
            layers: layers.iter().map(layer).collect(),
        }
    }

    fn bundle(images: Vec<Image>) -> Bundle {
        let blobs = (0..20).map(|n| (digest(n), 7)).collect();
        Bundle { schema: SCHEMA, images, blobs, ..Bundle::default() }
    }

    #[test]
    fn only_what_a_node_lacks_travels() {
        let image = image("r/a:1", &[10, 11, 12, 11]);
        let stack = |of: &[u8]| of.iter().map(|n| digest(100 + n)).collect::<Vec<_>>();
        let sent =
            |there: &[Vec<String>]| missing(&image, there).into_iter().map(|l| l.digest.clone()).collect::<Vec<_>>();
        assert_eq!(sent(&[]), [digest(10), digest(11), digest(12)]);
        assert_eq!(sent(&[stack(&[10]), stack(&[10, 11, 99])]), [digest(12), digest(11)]);
        // The same layer on another one below is another one to Docker.
        assert_eq!(sent(&[stack(&[11, 12])]).len(), 3);
        assert_eq!(sent(&[stack(&[10, 11, 12, 11])]), Vec::<String>::new());
    }

    #[test]
    fn another_release_is_named() {
        let bundle = bundle(vec![image("r:5000/api:1", &[10]), image("r:5000/db:1", &[10])]);
        let lacks = bundle.lacks(["r:5000/api:1", "r:5000/db:2", "r:5000/new:1"]);
        assert_eq!(lacks, [("r:5000/db:2", vec!["r:5000/db:1"]), ("r:5000/new:1", vec![])]);
    }

    #[test]
    fn ids_of_both_stores() {
        let image = image("r/a:1", &[]);
        assert!(image.is(&digest(3)) && image.is(&digest(2)) && !image.is(&digest(9)) && !image.is(""));
        assert_eq!(image.pinned(), format!("r/a:1@{}", digest(1)));
    }

    #[test]
    fn descriptions_that_cannot_be_used() {
        let good = bundle(vec![image("r/a:1", &[10])]);
        assert_eq!(good.problem(), None);
        let mut other = good.clone();
        other.schema = 2;
        assert!(other.problem().is_some());
        let mut gone = good.clone();
        gone.blobs.remove(&digest(10));
        assert!(gone.problem().is_some_and(|p| p.contains("r/a:1")));
        let mut bad = good.clone();
        bad.blobs.insert("sha256:../../etc".into(), 1);
        assert!(bad.problem().is_some());
        let mut package = good.clone();
        package.packages.push(Package { system: "debian".into(), file: "../x.deb".into(), ..Package::default() });
        assert!(package.problem().is_some());
        assert_eq!(blob_path(&digest(0)), format!("blobs/sha256/{}", "00".repeat(32)));
    }

    #[test]
    fn packages_for_exactly_this_system_count_first() {
        let package =
            |system: &str| Package { system: system.into(), file: format!("{system}.deb"), ..Package::default() };
        let bundle = Bundle { packages: vec![package("debian"), package("debian-13")], ..Bundle::default() };
        let of = |exactly: &str, family: &str| {
            bundle.packages_for(exactly, family).into_iter().map(|p| p.file.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (of("debian-12", "debian"), of("debian-13", "debian")),
            (vec!["debian.deb".into()], vec!["debian-13.deb".into()])
        );
        assert!(of("rocky-9", "redhat").is_empty());
    }
}
