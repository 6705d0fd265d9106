//! What several test files share: a folder of one's own, and a real sshd.

#![allow(dead_code)]
// A test says on its own output why it did not run.
#![allow(clippy::print_stderr)]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reemo_transport::{HostKeyChecking, Target};

/// A folder that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let unique: u64 = rand::random();
        let path = std::env::temp_dir().join(format!("reemo-transport-{unique:x}"));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program of the machine and expects it to succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The user who runs the tests: the only one an sshd of an ordinary user lets in.
pub fn user() -> String {
    run("id", &["-un"]).trim().to_owned()
}

/// A new key pair; returns the private half's path.
pub fn keygen(folder: &Folder, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let path = folder.0.join(name);
    run("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", name, "-f", path.to_str().unwrap()]);
    path
}

/// OpenSSH's own server on a port of its own.
pub struct Sshd {
    child: Child,
    pub folder: Folder,
    pub port: u16,
}

const SSHD: &str = "/usr/sbin/sshd";

impl Sshd {
    /// `None`, loudly, where there is no sshd to run. `more` is added to its configuration.
    pub fn start(more: &str) -> Option<Sshd> {
        if !Path::new(SSHD).exists() {
            eprintln!("NOT TESTED: {SSHD} is missing; apt-get install openssh-server");
            return None;
        }
        let folder = Folder::new();
        keygen(&folder, "host_ed25519", "ed25519", "");
        keygen(&folder, "host_ecdsa", "ecdsa", "");
        let key = keygen(&folder, "key", "ed25519", "");
        std::fs::copy(key.with_extension("pub"), folder.0.join("authorized_keys")).unwrap();
        // Where sshd separates privileges; only root's needs it, and only root can make it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = free_port();
        let home = folder.0.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n\
             HostKey {home}/host_ed25519\nAuthorizedKeysFile {home}/authorized_keys\n\
             PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n{more}\n"
        );
        folder.write("sshd_config", &config);
        let child = serve(&folder, port);
        Some(Sshd { child, folder, port })
    }

    /// Starts it again with one more line of configuration; files are named relative to its folder.
    pub fn restart_with(&mut self, line: &str) {
        let (option, file) = line.split_once(' ').unwrap();
        let config = std::fs::read_to_string(self.folder.0.join("sshd_config")).unwrap();
        let line = format!("{option} {}/{file}\n", self.folder.0.display());
        self.folder.write("sshd_config", &(config.replace(&line, "") + &line));
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = serve(&self.folder, self.port);
    }

    /// A target that gets in with the one authorised key and takes the server's key as new.
    pub fn target(&self) -> Target {
        let mut target = Target::new("here", "127.0.0.1", user());
        target.port = self.port;
        target.keys = vec![self.folder.0.join("key")];
        target.known_hosts = vec![self.folder.0.join("known_hosts")];
        target.host_key_checking = HostKeyChecking::AcceptNew;
        target.r#become.enabled = false;
        target
    }

    pub fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.0.join(name).with_extension("pub")).unwrap()
    }

    pub fn authorise(&self, public: &Path) {
        std::fs::copy(public, self.folder.0.join("authorized_keys")).unwrap();
    }
}

fn serve(folder: &Folder, port: u16) -> Child {
    let log = std::fs::File::create(folder.0.join("log")).unwrap();
    let mut child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(folder.0.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return child;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("sshd did not start: {}", std::fs::read_to_string(folder.0.join("log")).unwrap());
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
