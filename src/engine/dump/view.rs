//! The dump before a schema job, as an evaluation sees it: whether it is needed, and where it is taken. Pure.

use reemo_model::change::Verdict;
use reemo_model::op::{DumpWay, Op};
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::observed::text;

use super::needed;
use crate::engine::evaluate::View;
use crate::engine::task::Task;

impl View<'_> {
    /// The dump before a schema job; where its programs are in a container of their own, after their image.
    pub(in crate::engine) fn dump(&self, task: &Task, job: &WantedService) -> Verdict {
        let Some(wanted) = &job.dump else { return Verdict::Unchanged };
        let asked = self.cluster(task).settings.init_db;
        let verdict = self.in_swarm(task, |there| needed(&self.input(task, job, there), wanted, asked));
        let Verdict::Change(mut change) = verdict else { return verdict };
        let Some(host) = self.dump_host(&task.cluster, &wanted.way) else {
            return Verdict::Refused {
                why: format!(
                    "the database has to be dumped before {}, and the host it runs on was not reached",
                    job.name
                ),
                hint: "bring that host back first".into(),
            };
        };
        change.ops.splice(0..0, self.dump_image(&task.cluster, host, &wanted.way));
        Verdict::Change(change)
    }

    /// The host a database's client programs are on.
    pub fn dump_host<'s>(&'s self, cluster: &str, way: &DumpWay) -> Option<&'s String> {
        let DumpWay::Inside { service, .. } = way else {
            let mut here = self.site.hosts.iter().filter(|(_, h)| h.cluster == cluster).map(|(n, _)| n);
            return here.find(|n| self.world.reached(n));
        };
        let there = self.world.swarms.get(cluster)?;
        let tasks = there.tasks_of(text(there.service(service)?, &["ID"]));
        let task = tasks.into_iter().find(|t| text(t, &["Status", "State"]) == "running")?;
        self.world.host_of_node(text(task, &["NodeID"])).filter(|n| self.world.reached(n))
    }

    /// What brings the image of the client programs to that host, if it is not there.
    pub fn dump_image(&self, cluster: &str, host: &str, way: &DumpWay) -> Option<Op> {
        let DumpWay::Aside { image, .. } = way else { return None };
        self.bring(cluster, host, image)
    }
}
