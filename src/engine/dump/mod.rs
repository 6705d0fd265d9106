//! Dumps of the database: taken, listed, loaded and fetched on the host where its client programs are. They are streamed
//! from program to file there; this machine sees their description only, unless they are fetched.
//!
//! No password is in an argument, in the environment or on a disk: the programs read their options from the secret in
//! the database's container, or from a file in memory that came on standard input.

mod kept;
mod release;
pub mod restore;
mod view;

use std::time::Duration;

use jiff::Timestamp;
use reemo_model::op::{Dump, DumpWay};
use reemo_model::secret::{Blob, Secret};
use reemo_transport::{Command, Host};

use super::fault::Fault;

pub use kept::{Kept, once, read, superseded};
pub use release::{needed, of};

/// Where dumps are, on the host that took them: mode 0700, its files 0600.
pub const FOLDER: &str = "/opt/reemo/dumps";

/// Pieces a dump travels in, in bytes; the script's `piece` cuts them to this length.
pub const PIECE: usize = 16 << 20;

const SCRIPT: &str = include_str!("script.sh");

/// A large database takes a while.
const LIMIT: Duration = Duration::from_secs(4 * 3600);
const SHORT: Duration = Duration::from_secs(120);

/// The words and the input that say where the client programs are.
fn way(dump: &Dump) -> ([String; 3], Option<Blob>) {
    match &dump.way {
        DumpWay::Inside { service, options } => (["inside".into(), service.clone(), options.clone()], None),
        DumpWay::Aside { image, options } => {
            let mut input = options.expose().to_vec();
            input.extend_from_slice(dump.certificates.as_ref().map_or(&[][..], Secret::expose));
            let words = ["aside".into(), image.clone(), options.expose().len().to_string()];
            (words, Some(Blob::Secret(Secret::unregistered(input))))
        }
    }
}

async fn run(
    host: &dyn Host,
    words: impl IntoIterator<Item = String>,
    stdin: Option<Blob>,
    limit: Duration,
) -> Result<Vec<u8>, Fault> {
    let argv = ["sh", "-c", SCRIPT, "dump", FOLDER].into_iter().map(str::to_owned).chain(words);
    let command = Command { stdin, ..Command::new(argv).timeout(limit) };
    let output = host.exec(command, None).await?;
    match output.success() {
        true => Ok(output.stdout),
        false => {
            Err(Fault::failed(format!("{}: it ended with code {}", host.name(), output.code)).lines(output.tail(10)))
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

/// Takes a dump, then lets go of those that are too many.
pub async fn take(host: &dyn Host, dump: &Dump) -> Result<Kept, Fault> {
    let now = Timestamp::now();
    let name = kept::name(&now, &dump.reason);
    let (way, stdin) = way(dump);
    let failed = |fault: Fault| {
        let why = fault.last_word();
        Fault::failed(format!("{}: the database could not be dumped: {why}", host.name())).lines(fault.last_lines).hint(
            format!(
                "nothing was changed. See that the database runs and that {FOLDER} on {} has room, then run the same \
                 command again",
                host.name()
            ),
        )
    };
    let mut all = words(["take", &name, &dump.database]);
    all.extend(way);
    all.extend(kept::lines(&now, dump));
    let said = run(host, all, stdin, LIMIT).await.map_err(failed)?;
    let text = format!("dump {name}\n{}", String::from_utf8_lossy(&said));
    let taken = kept::read(host.name(), &text).pop();
    let taken =
        taken.ok_or_else(|| Fault::failed(format!("{}: the dump's description cannot be read", host.name())))?;
    if dump.keep > 0 {
        for old in superseded(&list(host).await?, dump.keep) {
            run(host, words(["drop", &old]), None, SHORT).await?;
        }
    }
    Ok(taken)
}

/// The dumps on a host, oldest first.
pub async fn list(host: &dyn Host) -> Result<Vec<Kept>, Fault> {
    let said = run(host, words(["list"]), None, SHORT).await?;
    Ok(kept::read(host.name(), &String::from_utf8_lossy(&said)))
}

/// Sees that a dump is what it was when it was taken.
pub async fn check(host: &dyn Host, kept: &Kept) -> Result<(), Fault> {
    run(host, words(["check", &kept.name, &kept.sha256]), None, LIMIT).await.map(drop)
}

/// Puts a dump in place of what the database holds. `how` says where its programs are, as for taking one.
pub async fn load(host: &dyn Host, kept: &Kept, how: &Dump) -> Result<(), Fault> {
    let (way, stdin) = way(how);
    let mut all = words(["load", &kept.name, &kept.sha256, &how.database]);
    all.extend(way);
    run(host, all, stdin, LIMIT).await.map(drop)
}

/// A piece of a dump; shorter than [`PIECE`]: the last.
pub async fn piece(host: &dyn Host, name: &str, number: usize) -> Result<Vec<u8>, Fault> {
    run(host, words(["piece", name, &number.to_string()]), None, LIMIT).await
}

/// Brings a piece of a dump to a host.
pub async fn put(host: &dyn Host, name: &str, number: usize, piece: Vec<u8>) -> Result<(), Fault> {
    // Not shown anywhere, and not looked for in texts either.
    let piece = Blob::Secret(Secret::unregistered(piece));
    run(host, words(["put", name, &number.to_string()]), Some(piece), LIMIT).await.map(drop)
}

/// All pieces are there: it is a dump from now on.
pub async fn keep(host: &dyn Host, kept: &Kept) -> Result<(), Fault> {
    let info = Blob::Plain(kept.text().into_bytes());
    run(host, words(["keep", &kept.name, &kept.sha256]), Some(info), LIMIT).await.map(drop)
}
