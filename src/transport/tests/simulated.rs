//! The real client against simulated hosts.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reemo_model::secret::{Blob, Secret};
use reemo_transport::fake::{Engine, Exec, Login, Net, Ran, Reply, Sshd, Sudo, Trouble};
use reemo_transport::{Become, Command, Connector, Host, HostKeyChecking, Kind, SshHost, Target};
use serde_json::json;
use support::Folder;

/// Answers with what it was asked.
fn echo() -> Sshd {
    Sshd::new(|exec: Exec| {
        let stdin = String::from_utf8_lossy(&exec.stdin).into_owned();
        let who = if exec.privileged { "root" } else { "login" };
        Ran::ok(format!("{who}: {} < {stdin}", exec.argv.join(" ")))
    })
}

fn net(sshd: Sshd) -> (Net, Target) {
    let net = Net::new();
    net.add("one", sshd);
    let target = net.target("one");
    (net, target)
}

async fn connect(net: &Net, target: &Target) -> Arc<SshHost> {
    Connector::new(Arc::new(net.clone())).connect(target).await.unwrap()
}

async fn kind(net: &Net, target: &Target) -> Kind {
    Connector::new(Arc::new(net.clone())).connect(target).await.err().unwrap().kind
}

#[tokio::test]
async fn commands_and_their_input() {
    let (net, target) = net(echo());
    let host = connect(&net, &target).await;
    let output = host.exec(Command::new(["a b", "c"]).stdin(Blob::from("in")), None).await.unwrap();
    assert_eq!(output.text(), "login: a b c < in");
    assert_eq!(host.trips().execs, 1);
}

#[tokio::test]
async fn logins() {
    for (login, right, wrong) in [
        (Login::Password("tr0ub4dor".into()), "tr0ub4dor", "guess-guess"),
        (Login::Interactive("tr0ub4dor".into()), "tr0ub4dor", "guess-guess"),
    ] {
        let (net, mut target) = net(echo().login(login));
        assert_eq!(kind(&net, &target).await, Kind::Auth);
        target.password = Some(Secret::new(wrong));
        assert_eq!(kind(&net, &target).await, Kind::Auth);
        target.password = Some(Secret::new(right));
        connect(&net, &target).await;
    }
}

#[tokio::test]
async fn an_absent_password_is_asked_for_in_the_hint() {
    let (net, target) = net(echo().login(Login::Password("x".into())));
    let error = Connector::new(Arc::new(net)).connect(&target).await.err().unwrap();
    assert!(error.hint.contains("-k (--ask-pass)"), "{}", error.hint);
}

#[tokio::test]
async fn a_host_key_that_changed() {
    let folder = Folder::new();
    let (net, mut target) = net(echo());
    target.known_hosts = vec![folder.0.join("known")];
    connect(&net, &target).await;
    target.host_key_checking = HostKeyChecking::Strict;
    connect(&net, &target).await;
    net.add("one", echo().host_key(1));
    assert_eq!(kind(&net, &target).await, Kind::HostKey);
}

fn admin(target: &Target, password: Option<&str>) -> Target {
    let mut target = target.clone();
    target.user = "admin".into();
    target.r#become = Become { password: password.map(Secret::new), ..Become::default() };
    target
}

#[tokio::test]
async fn sudo_that_asks() {
    let (net, target) = net(echo().sudo(Sudo::Password("open sesame".into())));
    let run = async |password: Option<&str>| {
        let host = connect(&net, &admin(&target, password)).await;
        host.exec(Command::new(["cat"]).stdin(Blob::from("own input\nsecond line")), None).await
    };
    // The program reads its input, all of it and nothing else.
    assert_eq!(run(Some("open sesame")).await.unwrap().text(), "root: cat < own input\nsecond line");
    let wrong = run(Some("open barley")).await.unwrap_err();
    assert_eq!(wrong.kind, Kind::Become);
    assert!(wrong.hint.contains("-K") && !wrong.message.contains("barley"));
    let none = run(None).await.unwrap_err();
    assert_eq!(none.kind, Kind::Become);
    assert!(none.message.contains("a password is required") && none.hint.contains("-K"));
}

#[tokio::test]
async fn sudo_that_does_not_ask_or_refuses() {
    let (net1, target) = net(echo());
    for password in [None, Some("not needed")] {
        let host = connect(&net1, &admin(&target, password)).await;
        let output = host.exec(Command::new(["id"]).stdin(Blob::from("in")), None).await.unwrap();
        assert_eq!((output.text().as_str(), output.stderr.len()), ("root: id < in", 0));
    }
    let (net2, target) = net(echo().sudo(Sudo::Refuses("admin is not in the sudoers file.".into())));
    let host = connect(&net2, &admin(&target, None)).await;
    let error = host.exec(Command::new(["id"]), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Become);
    assert!(error.message.ends_with("admin is not in the sudoers file."));
    // An ordinary command needs none of it.
    let mut plain = Command::new(["id"]);
    plain.privileged = false;
    assert_eq!(host.exec(plain, None).await.unwrap().text(), "login: id < ");
}

/// A sudo that behaves as the real one does with -S and -n, in front of a real shell.
const SUDO: &str = r#"#!/bin/sh
ask= prompt=
while :; do case "$1" in
    -S) ask=1; shift;;
    -k|-n) shift;;
    -p) prompt=$2; shift 2;;
    -u) shift 2;;
    --) shift; break;;
    *) break;;
esac; done
# sudo reads the password byte by byte: nothing of what follows is lost.
line() {
    line=
    while :; do
        c=$(dd bs=1 count=1 2>/dev/null; echo x)
        c=${c%x}
        case "$c" in "" | "
") break;; esac
        line=$line$c
    done
    printf %s "$line"
}
if [ -e asks ]; then
    [ "$ask" ] || { echo 'sudo: a password is required' >&2; exit 1; }
    for try in 1 2 3; do
        printf %s "$prompt" >&2
        [ "$(line)" = "$(cat asks)" ] && exec "$@"
        echo 'Sorry, try again.' >&2
    done
    exit 1
fi
exec "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_shell_behind() {
    let folder = Folder::new();
    folder.script("bin/sudo", SUDO);
    let (net, target) = net(Sshd::shell(&folder.0));
    let host = connect(&net, &admin(&target, None)).await;
    let output = host.exec(Command::new(["sh", "-c", "cat; echo err >&2; exit 3"]).stdin(Blob::from("in")), None).await;
    let output = output.unwrap();
    assert_eq!((output.code, output.stdout, output.stderr), (3, b"in".to_vec(), b"err\n".to_vec()));

    folder.write("asks", "open sesame");
    let error = host.exec(Command::new(["true"]), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Become);
    let host = connect(&net, &admin(&target, Some("open sesame"))).await;
    let big: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let output = host.exec(Command::new(["cat"]).stdin(Blob::Plain(big.clone())), None).await.unwrap();
    assert!(output.stdout == big, "{} bytes came back", output.stdout.len());
    let host = connect(&net, &admin(&target, Some("wrong words"))).await;
    assert_eq!(host.exec(Command::new(["true"]), None).await.unwrap_err().kind, Kind::Become);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_reads_nothing_and_one_that_writes_much() {
    let folder = Folder::new();
    let (net, target) = net(Sshd::shell(&folder.0));
    let host = connect(&net, &target).await;
    let much = Blob::Plain(vec![0; 8 << 20]);
    assert_eq!(host.exec(Command::new(["false"]).stdin(much), None).await.unwrap().code, 1);
    let error = host.exec(Command::new(["head", "-c", "70000000", "/dev/zero"]), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(error.message.contains("64 MiB"));
    let began = Instant::now();
    let slow = Command::new(["sleep", "30"]).timeout(Duration::from_secs(1));
    assert_eq!(host.exec(slow, None).await.unwrap_err().kind, Kind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn sessions_are_few_and_asked_for_again() {
    let most = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicUsize::new(0));
    let (seen, running) = (most.clone(), now.clone());
    let sshd = Sshd::new_async(move |_| {
        let (seen, running) = (seen.clone(), running.clone());
        Box::pin(async move {
            let count = running.fetch_add(1, Ordering::Relaxed) + 1;
            seen.fetch_max(count, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            Ran::ok("")
        })
    });
    let (net, target) = net(sshd.most_sessions(2));
    let host = connect(&net, &target).await;
    let all = (0..40).map(|_| host.exec(Command::new(["true"]), None));
    for output in futures_util::future::join_all(all).await {
        assert!(output.unwrap().success());
    }
    assert_eq!(most.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn through_a_bastion_that_is_shared() {
    let (net, mut target) = net(echo());
    let bastion = echo();
    net.add("bastion", bastion.clone());
    target.jump = vec![net.target("bastion")];
    let connector = Connector::new(Arc::new(net.clone()));
    let many = futures_util::future::join_all((0..5).map(|_| connector.connect(&target))).await;
    let handshakes: u64 = many.iter().map(|h| h.as_ref().unwrap().trips().handshakes).sum();
    assert_eq!(handshakes, 6);
    net.trouble("one", Trouble::Refused);
    assert_eq!(kind(&net, &target).await, Kind::Unreachable);
    assert_eq!(bastion.execs(), 0);
}

#[tokio::test]
async fn a_dead_host_delays_nobody() {
    let net = Net::new();
    for n in 0..20 {
        net.add(&format!("host{n}"), echo().host_key(n));
    }
    net.trouble("host3", Trouble::Silent);
    net.trouble("host4", Trouble::Refused);
    net.trouble("host5", Trouble::Slow(Duration::from_millis(200)));
    let connector = Connector::new(Arc::new(net.clone()));
    let results = futures_util::future::join_all((0..20).map(|n| {
        let mut target = net.target(&format!("host{n}"));
        target.connect_timeout = Duration::from_secs(2);
        let connector = &connector;
        async move { connector.connect(&target).await.map(|_| ()).map_err(|e| e.kind) }
    }))
    .await;
    for (n, result) in results.into_iter().enumerate() {
        let expected = if matches!(n, 3 | 4) { Err(Kind::Unreachable) } else { Ok(()) };
        assert_eq!(result, expected, "host{n}");
    }
}

fn engine() -> Engine {
    let engine = Engine::new();
    engine.get("/networks", json!([{ "Name": "bridge", "Id": "1" }]));
    engine
}

async fn networks(host: &SshHost) -> Result<usize, bollard::errors::Error> {
    let docker = host.docker().await.unwrap();
    docker.list_networks(None).await.map(|l| l.len())
}

#[tokio::test]
async fn docker_by_both_ways() {
    for (forwards, user, password) in
        [(true, "root", None), (false, "root", None), (false, "admin", None), (false, "admin", Some("open sesame"))]
    {
        let engine = engine();
        let mut sshd = echo().engine(engine.clone());
        if !forwards {
            sshd = sshd.without_forwarding();
        }
        if let Some(password) = password {
            sshd = sshd.sudo(Sudo::Password(password.into()));
        }
        let (net, target) = net(sshd);
        let mut target = admin(&target, password);
        target.user = user.into();
        let host = connect(&net, &target).await;
        for _ in 0..5 {
            assert_eq!(networks(&host).await.unwrap(), 1);
        }
        assert_eq!(engine.connections(), 1, "one kept connection");
        assert_eq!(host.trips().execs, u64::from(!forwards));
        assert_eq!(host.trips().docker_calls, 6);
    }
}

#[tokio::test]
async fn no_engine_now_and_one_later() {
    // A shell that has no docker, and then has one.
    let folder = Folder::new();
    let (net, target) = net(Sshd::shell(&folder.0));
    folder.script("bin/docker", "#!/bin/sh\nexit 1\n");
    let host = connect(&net, &target).await;
    // (This machine's own socket may exist: what counts is that nothing answers through this host.)
    let error = host.docker().await.err().unwrap();
    assert_eq!(error.kind, Kind::NoEngine, "{}", error.message);

    let engine = engine();
    engine.stop(true);
    net.add("two", echo());
    let bare = connect(&net, &net.target("two")).await;
    assert_eq!(bare.docker().await.err().unwrap().kind, Kind::NoEngine);
}

#[tokio::test]
async fn versions() {
    for (newest, least, expected) in [
        ("1.41", "1.12", Ok("1.41")),
        ("1.53", "1.44", Ok("1.53")),
        ("1.99", "1.44", Ok("1.53")),
        ("1.40", "1.12", Err(Kind::Engine)),
        ("1.99", "1.90", Err(Kind::Engine)),
    ] {
        let engine = Engine::new();
        engine.version(newest, least);
        let asked = Arc::new(std::sync::Mutex::new(None));
        let seen = asked.clone();
        engine.on(http::Method::GET, "/networks", move |call| {
            *seen.lock().unwrap() = call.version.clone();
            Reply::json(json!([]))
        });
        let (net, target) = net(echo().engine(engine));
        let host = connect(&net, &target).await;
        let result = match host.docker().await {
            Ok(docker) => {
                docker.list_networks(None).await.unwrap();
                Ok(asked.lock().unwrap().clone().unwrap())
            }
            Err(error) => Err(error.kind),
        };
        assert_eq!(result, expected.map(str::to_owned), "{newest} from {least}");
    }
}

#[tokio::test]
async fn a_dead_connection_is_replaced_and_reading_repeated() {
    let engine = engine();
    let (net, target) = net(echo().engine(engine.clone()));
    let host = connect(&net, &target).await;
    assert_eq!(networks(&host).await.unwrap(), 1);
    let times = AtomicUsize::new(0);
    engine.on(http::Method::GET, "/networks", move |_| match times.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::cut(),
        _ => Reply::json(json!([])),
    });
    assert_eq!(networks(&host).await.unwrap(), 0);
    assert_eq!(engine.connections(), 2);

    // A change is not repeated: it may have been made.
    let times = Arc::new(AtomicUsize::new(0));
    let count = times.clone();
    engine.on(http::Method::POST, "/networks/create", move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Reply::cut()
    });
    let docker = host.docker().await.unwrap();
    let request = bollard::models::NetworkCreateRequest { name: "x".into(), ..Default::default() };
    assert!(docker.create_network(request).await.is_err());
    assert_eq!(times.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_engine_that_goes_and_comes_back() {
    let engine = engine();
    let (net, target) = net(echo().engine(engine.clone()));
    let host = connect(&net, &target).await;
    let docker = host.docker().await.unwrap();
    // The kept connection ends with the engine; the next one finds another engine.
    engine.on(http::Method::GET, "/networks", |_| Reply::cut());
    assert!(docker.list_networks(None).await.is_err());
    engine.get("/networks", json!([]));
    engine.version("1.44", "1.12");
    let docker = host.docker().await.unwrap();
    docker.list_networks(None).await.unwrap();
    assert_eq!(docker.client_version().minor_version, 44);
    host.forget_docker().await;
    assert_eq!(networks(&host).await.unwrap(), 0);
}

#[tokio::test]
async fn streams_do_not_hold_up_calls() {
    use futures_util::StreamExt;
    let engine = engine();
    engine.on(http::Method::GET, "/events", |_| {
        Reply::lines((0..20).map(|n| json!({ "Type": "service", "Action": n.to_string() }))).then_hangs()
    });
    let (net, target) = net(echo().engine(engine.clone()));
    let host = connect(&net, &target).await;
    let docker = host.docker().await.unwrap();
    let mut streams: Vec<_> = (0..6).map(|_| Box::pin(docker.events(None))).collect();
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().unwrap().action.as_deref(), Some("0"));
    }
    let calls = futures_util::future::join_all((0..30).map(|_| docker.list_networks(None))).await;
    assert!(calls.iter().all(|c| c.is_ok()));
    assert!(engine.connections() <= 6 + 4, "{} connections", engine.connections());
}

#[tokio::test]
async fn the_fakes_are_strict() {
    let engine = engine();
    let docker = engine.docker();
    assert_eq!(docker.list_networks(None).await.unwrap().len(), 1);
    engine.finish();
    let error = docker.inspect_network("x", None).await.unwrap_err();
    let ours = reemo_transport::docker::transport_error(&error).unwrap();
    assert_eq!(ours.kind, Kind::Internal);
    assert!(ours.message.contains("GET /networks/x"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.finish())).is_err());

    let host = reemo_transport::fake::ScriptedHost::new("web").on(["id", "-u"], 0, "0\n").always(["true"], 0, "");
    assert_eq!(host.exec(Command::new(["id", "-u"]), None).await.unwrap().text(), "0\n");
    assert_eq!(host.exec(Command::new(["id", "-u"]), None).await.unwrap_err().kind, Kind::Internal);
    assert_eq!(host.docker().await.err().unwrap().kind, Kind::NoEngine);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.finish())).is_err());
}
