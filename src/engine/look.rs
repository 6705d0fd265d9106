//! Looking again at what a run has touched.

use reemo_model::catalogue::Stage;

use super::fault::Fault;
use super::run::{Run, lock};
use super::task::Task;

impl Run {
    /// Looks again at all hosts and Swarms.
    pub(super) async fn look_at_everything(&self) -> Result<(), Fault> {
        for (name, _) in self.fleet.hosts() {
            lock(&self.touched).host(name, Stage::Preflight);
        }
        for cluster in self.site.clusters.keys() {
            lock(&self.touched).swarm(cluster, Stage::Preflight);
            self.refresh(cluster, None, None).await?;
        }
        Ok(())
    }

    pub(super) fn touch(&self, task: &Task) {
        let mut touched = lock(&self.touched);
        match &task.host {
            Some(host) => {
                touched.host(host, task.stage);
                // A new member is news for the whole Swarm.
                if task.stage == Stage::Swarm {
                    touched.swarm(&task.cluster, task.stage);
                }
            }
            None => touched.swarm(&task.cluster, task.stage),
        }
    }

    /// Looks again at what was touched in earlier stages than this one (`None`: in any): one host, or
    /// for `None` all of the cluster and its Swarm.
    pub(super) async fn refresh(&self, cluster: &str, host: Option<&str>, stage: Option<Stage>) -> Result<(), Fault> {
        let _one = self.refreshing.lock().await;
        let (hosts, swarm) = {
            let mut touched = lock(&self.touched);
            let hosts = match host {
                Some(host) => {
                    touched.stale_hosts(self.site.hosts.get_key_value(host).map(|(n, _)| n).into_iter(), stage)
                }
                None => touched.stale_hosts(self.site.hosts_of(cluster).map(|(n, _)| n), stage),
            };
            (hosts, host.is_none() && touched.stale_swarm(cluster, stage))
        };
        if hosts.is_empty() && !swarm {
            return Ok(());
        }
        let seen = self.fleet.look(hosts.iter()).await;
        let mut world = self.world.write().await;
        for (name, view) in seen {
            world.hosts.insert(name, view?);
        }
        if swarm || host.is_none() && !world.swarms.contains_key(cluster) {
            let asked = self.fleet.look_at_swarm(&self.site, &world, cluster).await?;
            if let Some(asked) = asked {
                world.swarms.insert(cluster.to_owned(), asked);
            }
        }
        Ok(())
    }
}
