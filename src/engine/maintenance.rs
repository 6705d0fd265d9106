//! The maintenance page, shown and lifted by a run that has to do with it itself. The operator's way is `maintenance on`.

use std::time::Duration;

use reemo_model::op::{Expect, Op, WriteFile};
use reemo_transport::Command;

use super::fault::Fault;
use super::files;
use super::journal::{self, Of};
use super::run::Run;

impl Run {
    /// Shows the page on every host that is reached. Returns where it was not shown before, host and file.
    pub async fn show_page(&self) -> Result<Vec<(String, String)>, Fault> {
        let mut shown = Vec::new();
        for (cluster, wanted) in &self.site.clusters {
            for file in wanted.wanted.services.iter().flat_map(|s| &s.page) {
                let Some(content) = &file.content else { continue };
                for (name, _) in self.site.hosts_of(cluster) {
                    let Ok(host) = self.fleet.host(name) else { continue };
                    let look = Command::new(["test", "-e", &file.path]).timeout(Duration::from_secs(30));
                    if host.exec(look, None).await?.success() {
                        continue;
                    }
                    let write = WriteFile {
                        path: file.path.clone(),
                        content: content.clone(),
                        mode: file.mode,
                        owner: file.owner.clone(),
                        expect: Expect::Anything,
                    };
                    self.still_ours(cluster).await?;
                    let of = Of { task: "maintenance", title: "show the maintenance page", host: name };
                    let op = journal::of_op(&Op::WriteFile(write.clone()));
                    self.safety.journal.step(of, op, files::write(&*host, &write)).await?;
                    shown.push((name.clone(), file.path.clone()));
                }
            }
        }
        Ok(shown)
    }

    /// Lifts the page where it was shown by [`Run::show_page`].
    pub async fn lift_page(&self, shown: &[(String, String)]) -> Result<(), Fault> {
        for (name, path) in shown {
            let host = self.fleet.host(name)?;
            let of = Of { task: "maintenance", title: "lift the maintenance page", host: name };
            let op = journal::of_op(&Op::RemoveFile { path: path.clone() });
            let remove = Command::new(["rm", "-f", "--", path]).timeout(Duration::from_secs(30));
            self.safety.journal.step(of, op, async { Ok(host.exec(remove, None).await?) }).await?;
        }
        Ok(())
    }
}
