//! The whole observation against a real host: this machine.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use reemo_model::change::Verdict;
use reemo_model::op::{Expect, Op};
use reemo_resource::host::{
    Directory, File, FileState, HostObservation, HostResource, JsonMerge, Kind, Package, PackageSet, Unit, Wanted,
    observe_plan,
};
use reemo_resource::os::Os;
use reemo_resource::probe::{parse, script};
use support::{run, shells};

const MARK: &str = "x7Qd02kLmZp9";

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("reemo-resource-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn observe(shell: &[&str], resources: &[HostResource]) -> HostObservation {
    let stream = run(shell, &script(&observe_plan(resources), MARK));
    HostObservation::parse(&parse(&stream, MARK).unwrap()).unwrap()
}

fn file(path: String, content: &str) -> HostResource {
    let wanted = Wanted::Present { content: content.into(), mode: 0o644, owner: "0:0".to_owned() };
    HostResource::File(File { path, wanted })
}

#[test]
fn facts_of_this_machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap().trim().to_owned();
    for shell in shells() {
        let facts = observe(&shell, &[]).facts;
        assert_eq!(facts.arch, std::env::consts::ARCH, "{shell:?}");
        assert_eq!(facts.hostname, read("/proc/sys/kernel/hostname"), "{shell:?}");
        assert_eq!(facts.kernel, read("/proc/sys/kernel/osrelease"), "{shell:?}");
        assert_eq!(facts.boot_id, read("/proc/sys/kernel/random/boot_id"), "{shell:?}");
        let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(facts.time_s.abs_diff(now) < 60, "{shell:?}");
        assert!(facts.memory > Some(64 << 20) && facts.cpus >= Some(1), "{shell:?}");
        assert!(facts.uid.is_some() && facts.has("sha256sum") && !facts.os.id.is_empty(), "{shell:?}");
        let paths: Vec<_> = facts.disks.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/", "/opt", "/var/lib/docker"], "{shell:?}");
        assert!(facts.disks.values().all(|disk| disk.total >= disk.free && disk.total > 0));
    }
}

#[test]
fn files_with_any_name_and_of_any_kind() {
    let scratch = Scratch::new("files");
    let odd = "it's a \"$(name)\" * ~ é;&|<>";
    fs::write(scratch.at(odd), "one\ntwo\n").unwrap();
    fs::write(scratch.at("same"), "same\n").unwrap();
    fs::write(scratch.at("binary"), [0, 255, 10, 13, 0]).unwrap();
    fs::write(scratch.at("large"), vec![b'x'; 70_000]).unwrap();
    fs::write(scratch.at("empty"), "").unwrap();
    fs::create_dir(scratch.at("dir")).unwrap();
    symlink("dir", scratch.at("link-to-dir")).unwrap();
    symlink("nowhere", scratch.at("dangling")).unwrap();
    fs::set_permissions(scratch.at(odd), fs::Permissions::from_mode(0o4640)).unwrap();
    let names = [odd, "same", "binary", "large", "empty", "dir", "link-to-dir", "dangling", "none/of/it"];
    let mut resources: Vec<_> = names.iter().map(|name| file(scratch.at(name), "same\n")).collect();
    // Enough paths for more than one probe.
    resources.extend((0..600).map(|n| file(scratch.at(&format!("absent-{n:0>40}")), "")));
    assert!(observe_plan(&resources).len() > 6);
    for shell in shells() {
        let seen = observe(&shell, &resources);
        let state = |name: &str| seen.files.get(&scratch.at(name)).unwrap().clone();
        let stat = |name: &str| match state(name) {
            FileState::There(stat) => stat,
            other => panic!("{shell:?} {name}: {other:?}"),
        };
        assert_eq!(stat(odd).content.as_deref(), Some(&b"one\ntwo\n"[..]), "{shell:?}");
        assert_eq!((stat(odd).mode, stat(odd).size), (0o4640, 8), "{shell:?}");
        assert!(stat("same").content.is_none() && stat("same").sha256.is_some(), "what is as wanted is not sent");
        assert_eq!(stat("binary").content.as_deref(), Some(&[0, 255, 10, 13, 0][..]), "{shell:?}");
        assert!(stat("large").content.is_none() && stat("large").sha256.is_some(), "{shell:?}");
        assert_eq!(stat("empty").content.as_deref(), Some(&b""[..]), "{shell:?}");
        assert_eq!(stat("dir").kind, Kind::Directory);
        assert_eq!(stat("link-to-dir").kind, Kind::LinkToDirectory);
        assert_eq!(stat("dangling").kind, Kind::Link);
        let ancestor = scratch.0.to_str().unwrap().to_owned();
        assert_eq!(state("none/of/it"), FileState::Absent { ancestor: ancestor.clone() });
        assert_eq!(state(&format!("absent-{:0>40}", 599)), FileState::Absent { ancestor });
    }
}

#[test]
fn drift_is_found_and_what_is_as_wanted_is_left_alone() {
    let scratch = Scratch::new("drift");
    let settings = HostResource::JsonMerge(JsonMerge {
        path: scratch.at("daemon.json"),
        keys: [("ipv6".to_owned(), false.into())].into_iter().collect(),
        mode: 0o644,
        owner: "root:root".to_owned(),
        secret: false,
        kept: false,
    });
    let resources = [settings, file(scratch.at("motd"), "new\n")];
    for shell in shells() {
        fs::write(scratch.at("daemon.json"), "{\n    \"debug\": true\n}\n").unwrap();
        fs::write(scratch.at("motd"), "old\n").unwrap();
        let seen = observe(&shell, &resources);
        let os = Os::of(&seen.facts.os).unwrap();
        for resource in &resources {
            let Verdict::Change(change) = resource.diff(&seen, &os) else { panic!("{shell:?}: no change") };
            for op in &change.ops {
                let Op::WriteFile(write) = op else { panic!("{op:?}") };
                assert!(matches!(write.expect, Expect::Sha256(_)));
                fs::write(&write.path, write.content.bytes()).unwrap();
                fs::set_permissions(&write.path, fs::Permissions::from_mode(write.mode)).unwrap();
            }
        }
        let merged = fs::read_to_string(scratch.at("daemon.json")).unwrap();
        assert_eq!(merged, "{\n    \"debug\": true,\n    \"ipv6\": false\n}\n");
        let seen = observe(&shell, &resources);
        assert_eq!(resources[0].diff(&seen, &os), Verdict::Unchanged, "{shell:?}");
        let owned_by_root = seen.facts.uid == Some(0);
        assert_eq!(resources[1].diff(&seen, &os).is_unchanged(), owned_by_root, "{shell:?}");
    }
}

#[test]
fn asking_leaves_no_trace() {
    let scratch = Scratch::new("trace");
    fs::write(scratch.at("a"), "a").unwrap();
    fs::create_dir(scratch.at("d")).unwrap();
    let snapshot = || -> BTreeMap<String, (u64, SystemTime)> {
        let entry = |entry: fs::DirEntry| {
            let meta = entry.metadata().unwrap();
            (entry.file_name().into_string().unwrap(), (meta.len(), meta.modified().unwrap()))
        };
        let mut all: BTreeMap<_, _> = fs::read_dir(&scratch.0).unwrap().map(|e| entry(e.unwrap())).collect();
        // The directory itself remembers what came and went in it.
        all.insert(".".to_owned(), (0, fs::metadata(&scratch.0).unwrap().modified().unwrap()));
        all
    };
    let resources = [
        file(scratch.at("a"), "b"),
        HostResource::Directory(Directory { path: scratch.at("d"), mode: 0o700, owner: "1:1".to_owned() }),
        HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }),
        HostResource::Unit(Unit { name: "docker.service".to_owned(), enabled: Some(true), active: Some(true) }),
    ];
    let before = snapshot();
    // A shell's own temporary files, if it made any, would come and go here.
    let tmp = format!("TMPDIR={}", scratch.0.display());
    for shell in shells() {
        let argv: Vec<&str> = ["env", tmp.as_str()].into_iter().chain(shell.iter().copied()).collect();
        observe(&argv, &resources);
        assert_eq!(snapshot(), before, "{shell:?}");
    }
    // Positive control: a shell that makes one is noticed.
    run(&["env", &tmp, "sh"], "f=$(mktemp); rm \"$f\"");
    assert_ne!(snapshot(), before);
}
