//! File ops on a host: temporary file beside the target, checksum, owner and mode, rename. Content
//! travels on standard input only, so it is in no argument list.

use std::time::Duration;

use reemo_model::op::{Expect, WriteFile};
use reemo_transport::{Command, Host};
use sha2::{Digest, Sha256};

use super::fault::{Fault, FaultKind};

/// The only shell text that writes files. Arguments: path, mode, owner, SHA-256 of the new content,
/// what is expected to be there (`absent`, `any` or a SHA-256).
/// Exit codes: 10 = something else is there, 11 = the content arrived damaged.
const WRITE: &str = r#"set -eu
path=$1 mode=$2 owner=$3 sum=$4 expect=$5
umask 077
tmp=$(mktemp "$path.XXXXXX")
trap 'rm -f "$tmp"' EXIT
cat > "$tmp"
got=$(sha256sum < "$tmp"); got=${got%% *}
[ "$got" = "$sum" ] || exit 11
case $expect in
any) ;;
absent) [ ! -e "$path" ] && [ ! -L "$path" ] || exit 10 ;;
*) now=$(sha256sum < "$path") || exit 10; [ "${now%% *}" = "$expect" ] || exit 10 ;;
esac
chown "$owner" "$tmp"
chmod "$mode" "$tmp"
mv -f "$tmp" "$path"
trap - EXIT
"#;

/// Lower-case hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// The same of what was taken in piece by piece.
pub fn hex(sum: Sha256) -> String {
    sum.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes one file.
pub async fn write(host: &dyn Host, file: &WriteFile) -> Result<(), Fault> {
    let expect = match &file.expect {
        Expect::Absent => "absent",
        Expect::Anything => "any",
        Expect::Sha256(sum) => sum,
    };
    let mode = format!("{:04o}", file.mode);
    let sum = sha256(file.content.bytes());
    let command = Command::new(["sh", "-c", WRITE, "write", &file.path, &mode, &file.owner, &sum, expect])
        .stdin(file.content.clone())
        .timeout(Duration::from_secs(120));
    let output = host.exec(command, None).await?;
    match output.code {
        0 => Ok(()),
        10 => Err(Fault {
            kind: FaultKind::Moved,
            cause: format!("{}: {} is no longer what it was when it was looked at", host.name(), file.path),
            last_lines: vec![],
            hint: "somebody else changed it just now; run the same command again to see the new difference".into(),
        }),
        11 => Err(Fault::failed(format!("{}: {} arrived damaged", host.name(), file.path))),
        _ => Err(Fault::failed(format!("{}: cannot write {}", host.name(), file.path)).lines(output.tail(20))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command as Process, Stdio};

    use super::*;

    fn run(path: &str, content: &[u8], sum: &str, expect: &str) -> i32 {
        let owner = format!("{}:{}", id("-u"), id("-g"));
        let mut child = Process::new("sh")
            .args(["-c", WRITE, "write", path, "0640", &owner, sum, expect])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        child.wait().unwrap().code().unwrap()
    }

    fn id(flag: &str) -> String {
        String::from_utf8(Process::new("id").arg(flag).output().unwrap().stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn writes_whole_or_not_at_all() {
        let dir = std::env::temp_dir().join(format!("reemo-write-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a file").display().to_string();
        let (one, two) = (b"one".as_slice(), b"two".as_slice());
        assert_eq!(run(&path, one, &sha256(two), "absent"), 11, "damaged content is refused");
        assert!(!std::path::Path::new(&path).exists());
        assert_eq!(run(&path, one, &sha256(one), "absent"), 0);
        assert_eq!(run(&path, two, &sha256(two), "absent"), 10, "there is a file by now");
        assert_eq!(run(&path, two, &sha256(two), &sha256(two)), 10, "but another one");
        assert_eq!(std::fs::read(&path).unwrap(), one);
        assert_eq!(run(&path, two, &sha256(two), &sha256(one)), 0);
        assert_eq!(std::fs::read(&path).unwrap(), two);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "no temporary file stays behind");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
