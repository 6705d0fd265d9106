//! What a real sshd's host says around and into the answers to our probes: they are read as they were meant, or refused.

#[path = "../src/transport/tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use reemo_infra::engine::fault::Fault;
use reemo_infra::engine::observe;
use reemo_resource::host::{Directory, HostObservation, HostResource, Package, PackageSet, observe_plan};
use reemo_transport::{Connector, Host};
use support::Sshd;

/// What a login says before it runs the command it was asked for.
const CHATTY: &str = r#"echo "Welcome back, $USER"; echo "disk: 12% used" >&2
head -c 1048576 /dev/zero | tr '\0' '#'
printf '\n'; head -c 5000 /dev/urandom; printf '\n0 begin facts 3\nno end of line'
sh -c "$SSH_ORIGINAL_COMMAND"; code=$?
printf '\377\376 goodbye'
exit $code"#;
/// Somebody else writes while it runs.
const BROADCAST: &str = r#"( while :; do echo 'broadcast: the system goes down'; done ) & other=$!
sh -c "$SSH_ORIGINAL_COMMAND"; code=$?
kill $other; exit $code"#;
/// The connection carries only the beginning.
const CUT: &str = r#"sh -c "$SSH_ORIGINAL_COMMAND" | head -c 900"#;

async fn ask(sshd: &Sshd) -> Result<HostObservation, Fault> {
    let host: Arc<dyn Host> = Connector::default().connect(&sshd.target()).await.unwrap_or_else(|e| panic!("{e}"));
    let resources = [
        HostResource::Directory(Directory { path: "/etc".into(), mode: 0o755, owner: "root:root".into() }),
        HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }),
    ];
    observe::shell(&host, &observe_plan(&resources)).await
}

fn login(sshd: &mut Sshd, says: &str) {
    sshd.folder.script("login", &format!("#!/bin/sh\n{says}\n"));
    sshd.restart_with("ForceCommand login");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_around_an_answer_does_not_matter() {
    let Some(mut sshd) = Sshd::start("") else { return };
    let quiet = ask(&sshd).await.unwrap_or_else(|f| panic!("{}", f.cause));
    sshd.folder.write("banner", "Authorised use only\n# begin facts 3\n");
    sshd.restart_with("Banner banner");
    login(&mut sshd, CHATTY);
    let chatty = ask(&sshd).await.unwrap_or_else(|f| panic!("{}", f.cause));
    assert_eq!((&chatty.facts.os, chatty.facts.uid), (&quiet.facts.os, quiet.facts.uid));
    assert!(quiet.facts.uid.is_some());
    assert_eq!((&chatty.files, &chatty.packages), (&quiet.files, &quiet.packages));
    assert!(chatty.files.get("/etc").is_ok(), "it was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_into_an_answer_or_cut_off_is_refused() {
    let Some(mut sshd) = Sshd::start("") else { return };
    let quiet = ask(&sshd).await.unwrap_or_else(|f| panic!("{}", f.cause));
    login(&mut sshd, BROADCAST);
    for _ in 0..3 {
        match ask(&sshd).await {
            // It stood between the frames.
            Ok(seen) => assert_eq!((&seen.files, &seen.packages), (&quiet.files, &quiet.packages)),
            Err(fault) => assert!(fault.cause.contains("cannot be read"), "{}", fault.cause),
        }
    }
    login(&mut sshd, CUT);
    let fault = ask(&sshd).await.expect_err("half an answer is none");
    assert!(fault.cause.contains("cannot be read") && fault.cause.contains("is cut after"), "{}", fault.cause);
}
