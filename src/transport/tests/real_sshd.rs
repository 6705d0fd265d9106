//! The real client against OpenSSH's real server.

mod support;

use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reemo_model::secret::{Blob, Secret};
use reemo_transport::{Command, Connector, Host, HostKeyChecking, Kind, Target, connect};
use support::{Folder, Sshd, keygen, run};

fn plain<const N: usize>(argv: [&str; N]) -> Command {
    let mut command = Command::new(argv);
    command.privileged = false;
    command
}

fn sh(script: &str) -> Command {
    plain(["sh", "-c", script])
}

async fn refused(target: &Target) -> reemo_transport::TransportError {
    match Connector::default().connect(target).await {
        Ok(_) => panic!("{target:?} was let in"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands() {
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    assert_eq!(host.name(), "here");

    let output = host.exec(plain(["printf", "%s|", "a b", "it's", "$HOME", "\n"]), None).await.unwrap();
    assert_eq!(output.text(), "a b|it's|$HOME|\n|");

    let mut command = sh("cat; echo \"$GREETING\" >&2; exit 3").stdin(Blob::from("input"));
    command.env.push(("GREETING".into(), "hello there".into()));
    let output = host.exec(command, None).await.unwrap();
    assert_eq!((output.code, output.text().as_str()), (3, "input"));
    assert_eq!(output.stderr, b"hello there\n");

    // By signal, under `timeout`, which reports it as a shell would.
    assert_eq!(host.exec(sh("kill -9 $$"), None).await.unwrap().code, 137);
    assert_eq!(host.exec(plain(["no-such-program"]), None).await.unwrap().code, 127);

    let lines = Mutex::new(Vec::new());
    let show = |line: &str| lines.lock().unwrap().push(line.to_owned());
    host.exec(sh("echo one; echo two >&2; printf three"), Some(&show)).await.unwrap();
    let mut lines = lines.into_inner().unwrap();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);

    let trips = host.trips();
    assert_eq!((trips.handshakes, trips.execs, trips.docker_calls), (1, 5, 0));
    assert!(trips.bytes > 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_read_its_input_does_not_block() {
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    let much = Blob::Plain(vec![b'x'; 20 << 20]);
    let output = host.exec(sh("echo early; exit 4").stdin(much.clone()), None).await.unwrap();
    assert_eq!((output.code, output.text().as_str()), (4, "early\n"));
    let output = host.exec(plain(["sha256sum"]).stdin(much), None).await.unwrap();
    let expected = "4ed87eb01bbbcf4c80c3c0d4f6d2e5b9";
    assert_eq!(output.text().len(), "  -\n".len() + expected.len() * 2);
    let output = host.exec(sh("head -c 30000000 /dev/zero"), None).await.unwrap();
    assert_eq!(output.stdout.len(), 30_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_whole_group() {
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    let marker = sshd.folder.0.join("still-here");
    let script = format!("(sleep 4; touch {}) & sleep 30", marker.display());
    let began = Instant::now();
    let error = host.exec(sh(&script).timeout(Duration::from_secs(1)), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(4));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!marker.exists(), "a child outlived the limit");
    // A program may use timeout's code for itself.
    assert_eq!(host.exec(sh("exit 124"), None).await.unwrap().code, 124);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_stay_below_the_servers_limit() {
    let Some(sshd) = Sshd::start("MaxSessions 5\n") else {
        return;
    };
    let host = connect(&sshd.target()).await.unwrap();
    let done = AtomicUsize::new(0);
    let work = (0..60).map(|n| {
        let (host, done) = (&host, &done);
        async move {
            let output = host.exec(plain(["echo", &n.to_string()]), None).await.unwrap();
            assert_eq!(output.text(), format!("{n}\n"));
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    futures_util::future::join_all(work).await;
    assert_eq!(done.into_inner(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_given_up_gives_its_slot_back() {
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    for _ in 0..20 {
        let slow = host.exec(sh("sleep 1").timeout(Duration::from_secs(2)), None);
        let _ = tokio::time::timeout(Duration::from_millis(30), slow).await;
    }
    assert_eq!(host.exec(plain(["echo", "fine"]), None).await.unwrap().text(), "fine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys() {
    let Some(sshd) = Sshd::start("") else { return };
    // Elliptic curves work as well as Ed25519.
    let ecdsa = keygen(&sshd.folder, "ecdsa", "ecdsa", "");
    sshd.authorise(&ecdsa.with_extension("pub"));
    let mut target = sshd.target();
    target.keys = vec![ecdsa];
    connect(&target).await.unwrap();

    let wrong = keygen(&sshd.folder, "wrong", "ed25519", "");
    target.keys = vec![wrong.clone()];
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Auth);
    assert!(error.message.contains("wrong"), "{}", error.message);
    assert!(error.hint.starts_with("put the key there: ssh-copy-id -p "), "{}", error.hint);

    target.keys = vec![sshd.folder.0.join("absent")];
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Auth);
    assert!(error.message.contains("absent: No such file"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_asked_for_once_and_only_for_a_key_that_is_wanted() {
    let Some(sshd) = Sshd::start("") else { return };
    let locked = keygen(&sshd.folder, "locked", "ed25519", "open sesame");
    let mut target = sshd.target();
    target.keys = vec![locked.clone()];
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    target.passphrase = Some(Arc::new(move |path: &Path| {
        assert!(path.ends_with("locked"));
        count.fetch_add(1, Ordering::Relaxed);
        Some(Secret::new("open sesame"))
    }));
    // Not authorised: no question.
    assert_eq!(refused(&target).await.kind, Kind::Auth);
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    sshd.authorise(&locked.with_extension("pub"));
    let connector = Connector::default();
    let (one, two) = tokio::join!(connector.connect(&target), connector.connect(&target));
    one.unwrap();
    two.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    target.passphrase = Some(Arc::new(|_: &Path| Some(Secret::new("open barley"))));
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Auth);
    assert!(error.message.contains("does not open"), "{}", error.message);
    target.passphrase = None;
    assert!(refused(&target).await.message.contains("nobody to ask"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_signs() {
    let Some(sshd) = Sshd::start("") else { return };
    let socket = sshd.folder.0.join("agent");
    let mut agent = Program::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let other = keygen(&sshd.folder, "other", "ed25519", "");
    for key in [&other, &sshd.folder.0.join("key")] {
        let status = Program::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
        assert!(status.success());
    }
    let mut target = sshd.target();
    target.keys = vec![];
    target.agent = Some(socket.clone());
    let held = connect(&target).await.map(|_| ());
    target.identities_only = true;
    let only_named = Connector::default().connect(&target).await.map(|_| ());
    // A locked file that the agent holds open needs no passphrase.
    let locked = keygen(&sshd.folder, "locked", "ed25519", "");
    Program::new("ssh-add").arg("-q").arg(&locked).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    run("ssh-keygen", &["-q", "-p", "-P", "", "-N", "open sesame", "-f", locked.to_str().unwrap()]);
    sshd.authorise(&locked.with_extension("pub"));
    target.keys = vec![locked];
    let named = connect(&target).await.map(|_| ());
    agent.kill().unwrap();
    agent.wait().unwrap();
    held.unwrap();
    assert_eq!(only_named.unwrap_err().kind, Kind::Auth);
    named.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn host_keys() {
    let Some(sshd) = Sshd::start("") else { return };
    let mut target = sshd.target();
    target.host_key_checking = HostKeyChecking::Strict;
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::HostKey);
    assert!(error.hint.contains("ssh-keyscan -p"), "{}", error.hint);
    assert!(!target.known_hosts[0].exists());

    target.host_key_checking = HostKeyChecking::AcceptNew;
    connect(&target).await.unwrap();
    let recorded = std::fs::read_to_string(&target.known_hosts[0]).unwrap();
    assert!(recorded.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port)));
    target.host_key_checking = HostKeyChecking::Strict;
    connect(&target).await.unwrap();
    // As OpenSSH hashes it.
    run("ssh-keygen", &["-q", "-H", "-f", target.known_hosts[0].to_str().unwrap()]);
    assert!(std::fs::read_to_string(&target.known_hosts[0]).unwrap().starts_with("|1|"));
    connect(&target).await.unwrap();

    // Another key, and a key of another kind only: both are refused even where new ones are welcome.
    target.host_key_checking = HostKeyChecking::AcceptNew;
    for name in ["key", "host_ecdsa"] {
        let line = format!("[127.0.0.1]:{} {}", sshd.port, sshd.public(name));
        std::fs::write(&target.known_hosts[0], &line).unwrap();
        let error = refused(&target).await;
        assert_eq!(error.kind, Kind::HostKey, "{name}");
        assert!(error.message.contains("has changed"), "{}", error.message);
        assert!(error.hint.contains("ssh-keygen -R '[127.0.0.1]:"), "{}", error.hint);
        assert_eq!(std::fs::read_to_string(&target.known_hosts[0]).unwrap(), line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_vouches_for_a_host() {
    let folder = Folder::new();
    let authority = keygen(&folder, "authority", "ed25519", "");
    let certificate = |name: &str, sshd: &Sshd| {
        let home = sshd.folder.0.display();
        run(
            "ssh-keygen",
            &[
                "-q",
                "-s",
                authority.to_str().unwrap(),
                "-h",
                "-I",
                "id",
                "-n",
                name,
                &format!("{home}/host_ed25519.pub"),
            ],
        );
    };
    // sshd reads the certificate when it starts, which is before we know where its key lies: start twice.
    let Some(mut sshd) = Sshd::start("") else {
        return;
    };
    certificate("127.0.0.1", &sshd);
    sshd.restart_with("HostCertificate host_ed25519-cert.pub");
    let mut target = sshd.target();
    target.host_key_checking = HostKeyChecking::Strict;
    let authority = std::fs::read_to_string(folder.0.join("authority.pub")).unwrap();
    std::fs::write(&target.known_hosts[0], format!("@cert-authority [127.0.0.*]:* {authority}")).unwrap();
    connect(&target).await.unwrap();

    certificate("elsewhere", &sshd);
    sshd.restart_with("HostCertificate host_ed25519-cert.pub");
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::HostKey);
    assert!(error.message.contains("for elsewhere"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn through_other_hosts() {
    let Some(sshd) = Sshd::start("") else { return };
    let mut target = sshd.target();
    let mut first = sshd.target();
    first.name = "first".into();
    let mut second = sshd.target();
    second.name = "second".into();
    second.address = "localhost".into();
    target.jump = vec![first.clone(), second];
    let connector = Connector::default();
    let (one, two) = tokio::join!(connector.connect(&target), connector.connect(&target));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.exec(plain(["echo", "far"]), None).await.unwrap().text(), "far\n");
    // The hops were shared: two handshakes for them, two for the hosts.
    assert_eq!(one.trips().handshakes + two.trips().handshakes, 4);
    drop(connector);
    assert_eq!(two.exec(plain(["echo", "still"]), None).await.unwrap().text(), "still\n");

    target.jump = vec![first];
    target.port = support::free_port();
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there() {
    let mut target = Target::new("gone", "127.0.0.1", "root");
    target.port = support::free_port();
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.is_unreachable() && error.hint.contains("ssh -p"));

    // Something answers, and it is not SSH; something accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    target.port = silent.local_addr().unwrap().port();
    target.connect_timeout = Duration::from_millis(300);
    let error = refused(&target).await;
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.message.contains("did not answer"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_is_broken() {
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    // The process that serves us is the parent of our shell's parent, `timeout`.
    let script = "read _ _ _ serves _ < /proc/$PPID/stat; kill -9 $serves; sleep 1";
    let kill = host.exec(sh(script), None).await;
    assert_eq!(kill.unwrap_err().kind, Kind::Broken);
    assert_eq!(host.exec(plain(["true"]), None).await.unwrap_err().kind, Kind::Broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_through_a_forwarded_socket() {
    if !Path::new("/var/run/docker.sock").exists() {
        // The engine is a fake elsewhere; here only the real one would do.
        return;
    }
    let Some(sshd) = Sshd::start("") else { return };
    let host = connect(&sshd.target()).await.unwrap();
    let docker = host.docker().await.unwrap();
    let version = docker.version().await.unwrap();
    assert!(version.api_version.is_some());
    let (networks, info) = tokio::join!(docker.list_networks(None), docker.info());
    assert!(!networks.unwrap().is_empty());
    assert!(info.unwrap().id.is_some());
    let trips = host.trips();
    assert_eq!((trips.handshakes, trips.execs, trips.docker_calls), (1, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_where_forwarding_is_forbidden() {
    if !Path::new("/var/run/docker.sock").exists() {
        return;
    }
    let Some(sshd) = Sshd::start("AllowStreamLocalForwarding no\n") else {
        return;
    };
    let host = connect(&sshd.target()).await.unwrap();
    let docker = host.docker().await.unwrap();
    assert!(!docker.list_networks(None).await.unwrap().is_empty());
    assert_eq!(host.trips().execs, 1, "one dial-stdio, kept");
}
