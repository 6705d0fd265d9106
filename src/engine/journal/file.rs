//! A journal in a file. One thread writes; lines that come while the disk is busy share its next answer.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::Keep;

/// Name of the file in a run's folder.
pub const FILE: &str = "journal.jsonl";

struct Ask {
    line: String,
    kept: oneshot::Sender<io::Result<()>>,
}

/// The writer of one file.
pub struct Writer {
    queue: Sender<Ask>,
}

impl Writer {
    /// Makes folder (0700) and file (0600); both are on the disk when this returns.
    pub fn create(folder: &Path) -> io::Result<Writer> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(folder.join(FILE))?;
        file.sync_all()?;
        for dir in [Some(folder), folder.parent()].into_iter().flatten() {
            File::open(dir)?.sync_all()?;
        }
        let (queue, asked) = channel();
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || write(file, &asked))?;
        Ok(Writer { queue })
    }
}

impl Keep for Writer {
    fn keep(&self, line: String) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let gone = || io::Error::other("its writer is gone");
            let (kept, answer) = oneshot::channel();
            self.queue.send(Ask { line, kept }).map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }
}

fn write(mut file: File, asked: &Receiver<Ask>) {
    while let Ok(first) = asked.recv() {
        let batch: Vec<Ask> = std::iter::once(first).chain(asked.try_iter()).collect();
        let text: String = batch.iter().flat_map(|ask| [ask.line.as_str(), "\n"]).collect();
        let result = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        for ask in batch {
            let answer = match &result {
                Ok(()) => Ok(()),
                Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
            };
            // Nobody waits any more: the run was dropped.
            let _ = ask.kept.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn lines_are_there_when_it_says_so_and_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("runs/one");
        let writer = Writer::create(&folder).unwrap();
        let path = folder.join(FILE);
        let lines = (0..200).map(|n| writer.keep(format!("line {n}")));
        for kept in futures_util::future::join_all(lines).await {
            kept.unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), text.lines().last()), (200, Some("line 199")));
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert!(Writer::create(&folder).is_err(), "one run does not write into another's journal");
    }
}
