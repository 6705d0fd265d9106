//! A dump on its way: off the host into a file of this machine, and back. Such a file is encrypted with the passphrase of
//! the certificates folder (see `reemo_model::carried`), so that OpenSSL opens it as well. Inside: the dump's description,
//! an empty line, the compressed SQL.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use reemo_model::carried::{HEAD, MAGIC, SALT, Stream, TAIL};
use reemo_model::secret::Secret;
use reemo_pki::Passphrase;
use reemo_transport::Host;
use sha2::{Digest, Sha256};

use super::prepare::Exit;
use crate::engine::dump::{self, Kept, PIECE};
use crate::engine::fault::Fault;
use crate::engine::files::hex;
use crate::engine::part;

fn stream(key: &Secret, salt: &[u8; SALT]) -> Result<Stream, Exit> {
    Stream::new(key.expose(), salt).ok_or_else(|| Exit::failed("the cipher cannot be had"))
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> Exit {
    Exit::failed(format!("{}: {why}", path.display()))
}

/// Brings a dump to this machine. The file is its owner's from birth, encrypted before anything is in it, and has its
/// name only once it is whole.
pub async fn bring(host: &dyn Host, kept: &Kept, to: &Path, passphrase: &Passphrase) -> Result<(), Exit> {
    let key = passphrase.open()?;
    let part = part::name(to);
    let done = write(host, kept, &part, &key).await;
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
        return done;
    }
    std::fs::rename(&part, to).map_err(|e| wrong(to, &e))
}

async fn write(host: &dyn Host, kept: &Kept, part: &Path, key: &Secret) -> Result<(), Exit> {
    let said = |e: std::io::Error| wrong(part, &e);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part).map_err(said)?;
    let salt: [u8; SALT] = rand::random();
    let mut stream = stream(key, &salt)?;
    file.write_all(MAGIC).and_then(|()| file.write_all(&salt)).map_err(said)?;
    let mut put = |mut bytes: Vec<u8>| {
        stream.seal(&mut bytes);
        file.write_all(&bytes).map_err(said)
    };
    put(format!("dump {}\n{}\n", kept.name, kept.text()).into_bytes())?;
    let mut sum = Sha256::new();
    for number in 0.. {
        let piece = dump::piece(host, &kept.name, number).await?;
        sum.update(&piece);
        let last = piece.len() < PIECE;
        put(piece)?;
        if last {
            break;
        }
    }
    if hex(sum) != kept.sha256 {
        return Err(wrong(part, &"the dump arrived damaged: run the same command again"));
    }
    file.write_all(&stream.tail()).and_then(|()| file.sync_all()).map_err(said)
}

/// A file that [`bring`] wrote, opened.
pub struct Carried {
    /// The dump in it.
    pub kept: Kept,
    rest: BufReader<Opened>,
}

/// Decrypts while it is read.
struct Opened {
    file: Take<File>,
    stream: Stream,
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(into)?;
        self.stream.open(&mut into[..length]);
        Ok(length)
    }
}

/// Opens such a file, after a look at all of it: nothing of a file that was changed is used.
pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Carried, Exit> {
    let said = |e: std::io::Error| wrong(path, &e);
    let foreign =
        || Exit { hint: "give a file that `db backup --to` wrote".into(), ..wrong(path, &"it is no such file") };
    let key = passphrase.open()?;
    let mut file = File::open(path).map_err(said)?;
    let length = file.metadata().map_err(said)?.len().checked_sub((HEAD + TAIL) as u64).ok_or_else(foreign)?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head).map_err(said)?;
    let (magic, salt) = head.split_at(MAGIC.len());
    let salt: &[u8; SALT] = salt.try_into().map_err(|_| foreign())?;
    if magic != MAGIC {
        return Err(foreign());
    }
    let mut whole = stream(&key, salt)?;
    let mut left = (&mut file).take(length);
    let mut piece = vec![0; 1 << 20];
    loop {
        match left.read(&mut piece).map_err(said)? {
            0 => break,
            read => whole.pass(&piece[..read]),
        }
    }
    let mut tail = [0; TAIL];
    file.read_exact(&mut tail).map_err(said)?;
    if !whole.ends_with(&tail) {
        return Err(Exit {
            hint: "it opens with the key of the certificates folder it was made with (--pki-passphrase-file)".into(),
            ..wrong(path, &"another passphrase, or the file is damaged")
        });
    }
    file.seek(SeekFrom::Start(HEAD as u64)).map_err(said)?;
    let mut rest = BufReader::new(Opened { file: file.take(length), stream: stream(&key, salt)? });
    let mut text = String::new();
    loop {
        let mut line = String::new();
        let read = rest.by_ref().take(4096).read_line(&mut line).map_err(said)?;
        if read == 0 || line == "\n" || text.len() > 64 * 1024 {
            break;
        }
        text.push_str(&line);
    }
    let kept = dump::read("", &text).pop().ok_or_else(|| wrong(path, &"there is no dump in it"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !kept.name.chars().all(plain) || kept.name.starts_with('.') || kept.name.is_empty() {
        return Err(wrong(path, &"the name of the dump in it is none"));
    }
    Ok(Carried { kept, rest })
}

impl Carried {
    /// Puts it among the dumps of a host.
    pub async fn send(mut self, host: &dyn Host) -> Result<Kept, Fault> {
        let broken = |e: std::io::Error| Fault::failed(format!("the file cannot be read to its end: {e}"));
        for number in 0.. {
            let mut piece = Vec::with_capacity(PIECE);
            self.rest.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(broken)?;
            let last = piece.len() < PIECE;
            dump::put(host, &self.kept.name, number, piece).await?;
            if last {
                break;
            }
        }
        let kept = Kept { host: host.name().to_owned(), ..self.kept };
        dump::keep(host, &kept).await?;
        Ok(kept)
    }
}
