//! Answers that are damaged, cut or nonsense are never a panic.

mod support;

use reemo_resource::host::{
    Directory, File, HostObservation, HostResource, JsonMerge, Package, PackageSet, Unit, Wanted,
};
use reemo_resource::os::Os;
use reemo_resource::probe::{ProbeOutput, ProbeOutputs};
use support::Random;

const FACTS: &str = "uname\tn 6.1 x86_64\ntime\t1795234256\nroute\t192.0.2.1 dev eth0 src 10.0.0.1\n\
    /etc/os-release:ID=debian\n/proc/meminfo:MemTotal:  1 kB\n/sys/devices/system/cpu/online:0-3\nhas\tdocker\n\
    kernel\tip_vs\tyes\nconfig\tread\nCONFIG_VXLAN=y\n";
const DISK: &str =
    "path\t/\npath\t/opt\nFilesystem 1024-blocks Used Available Capacity Mounted on\na 9 4 5 45% /\nb 9 4 5 45% /o\n";
const PACKAGES: &str = "asked\tdocker.io\nasked\tcurl\ndocker.io\tinstalled\t1\nindex\t1795234000\ninterrupted\n";
const UNITS: &str =
    "asked\tdocker.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
const FILES: &str = "stat\t81a4\t0\t0\troot\troot\t3\t/a\nstat\ta1ff\t0\t0\troot\troot\t2\t/d\n\
    target\t41ed\t0\t0\troot\troot\t9\t/d\nabsent\t/\t/n\nhidden\t/h\n\
    sha256\tca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356\t/a\ncontent\t/a\ne30K\n.\n";

fn answers(texts: [&[u8]; 5]) -> ProbeOutputs {
    let ids = ["facts", "disk", "packages", "units", "files.0"];
    let output = |out: &[u8]| ProbeOutput { code: Some(0), out: out.to_vec() };
    ids.iter().zip(texts).map(|(id, text)| ((*id).to_owned(), output(text))).collect()
}

fn whole() -> [&'static [u8]; 5] {
    [FACTS, DISK, PACKAGES, UNITS, FILES].map(str::as_bytes)
}

fn resources() -> Vec<HostResource> {
    let owner = || "root:root".to_owned();
    let wanted = || Wanted::Present { content: "x".into(), mode: 0o644, owner: owner() };
    let mut all = Vec::new();
    for path in ["/a", "/d", "/n", "/h", "/other"].map(str::to_owned) {
        all.push(HostResource::File(File { path: path.clone(), wanted: wanted() }));
        all.push(HostResource::Directory(Directory { path: path.clone(), mode: 0o755, owner: owner() }));
        let keys = [("k".to_owned(), 1.into())].into_iter().collect();
        let (mode, kept) = (0o644, false);
        all.push(HostResource::JsonMerge(JsonMerge { path, keys, mode, owner: owner(), secret: false, kept }));
    }
    all.push(HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }));
    all.push(HostResource::Package(Package { set: PackageSet::Named(vec!["curl".to_owned()]), present: false }));
    all.push(HostResource::Unit(Unit { name: "docker.service".to_owned(), enabled: Some(true), active: Some(true) }));
    all
}

#[test]
fn mutated_answers() {
    let seen = HostObservation::parse(&answers(whole())).unwrap();
    // The unharmed answers are understood, so that the mutants start from something.
    assert_eq!([seen.packages.problem(), seen.units.problem(), seen.files.problem()], [None; 3]);
    let (os, resources) = (Os::of(&seen.facts.os).unwrap(), resources());
    let unchanged: Vec<_> = resources.iter().filter(|r| r.diff(&seen, &os).is_unchanged()).map(|r| r.key()).collect();
    assert_eq!(unchanged, ["directory:/d", "package:docker-engine", "package:curl", "unit:docker.service"]);
    let pieces: [&[u8]; 14] = [
        b"\t",
        b"\n",
        b"=",
        b":",
        b"-",
        b"99999999999999999999",
        b"\xff",
        b"\0",
        b"stat\t",
        b"content\t/a\n",
        b".\n",
        b"%",
        b"{",
        b"asked\t",
    ];
    let mut random = Random(5);
    let mut read = 0;
    for _ in 0..30_000 {
        let mut texts = whole().map(<[u8]>::to_vec);
        for _ in 0..=random.below(3) {
            let text = &mut texts[random.below(5)];
            let at = random.below(text.len() + 1);
            let end = (at + random.below(12)).min(text.len());
            match random.below(3) {
                0 => drop(text.splice(at..at, random.one_of(&pieces).iter().copied())),
                1 => text.truncate(at),
                _ => drop(text.drain(at..end)),
            }
        }
        let texts = [&texts[0][..], &texts[1], &texts[2], &texts[3], &texts[4]];
        let Ok(seen) = HostObservation::parse(&answers(texts)) else { continue };
        read += 1;
        for resource in &resources {
            let _ = resource.diff(&seen, &os);
        }
    }
    assert!(read > 10_000, "most mutants keep their facts: {read}");
}

#[test]
fn a_failed_probe_fails_only_what_needs_it() {
    for id in ["disk", "packages", "units", "files.0"] {
        for code in [Some(124), Some(1), None] {
            let mut outputs = answers(whole());
            outputs.insert(id.to_owned(), ProbeOutput { code, out: Vec::new() });
            let seen = HostObservation::parse(&outputs).unwrap();
            assert_eq!(seen.facts.hostname, "n");
            assert_eq!(seen.packages.problem().is_some(), id == "packages");
            assert_eq!(seen.units.problem().is_some(), id == "units");
            assert_eq!(seen.files.problem().is_some(), id == "files.0");
            assert_eq!(seen.facts.disks.is_empty(), id == "disk");
        }
    }
    let mut outputs = answers(whole());
    outputs.remove("facts");
    assert!(HostObservation::parse(&outputs).is_err());
}
