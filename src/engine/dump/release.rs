//! What a schema job is about to change: nothing yet, or a schema of this release. Pure.

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{Dump, DumpWay, Op};
use reemo_model::secret::Secret;
use reemo_model::wanted::WantedDump;
use reemo_resource::swarm::observed::text;
use reemo_resource::swarm::service::{Input, release_of};
use reemo_resource::swarm::{INITIALISED, JOB_DONE};

use super::FOLDER;

/// The release of the schema: that of the last job, if it is known to have succeeded.
pub fn of(job: &Input<'_>) -> Option<String> {
    let found = job.there.service(&job.service.name)?;
    let done = text(found, &["Spec", "Labels", JOB_DONE]);
    let succeeded = !done.is_empty() && done == job.fingerprint(&found["Spec"]);
    succeeded.then(|| release_of(&found["Spec"]).to_owned())
}

/// The dump that comes before a job, whenever it is going to be started. `initialises`: this run makes the database, so
/// that there is nothing to be dumped yet.
pub fn needed(job: &Input<'_>, dump: &WantedDump, initialises: bool) -> Verdict {
    let starts = matches!(job.diff(), Verdict::Change(change) if !change.ops.is_empty());
    if !starts || (initialises && job.there.config(INITIALISED).is_none()) {
        return Verdict::Unchanged;
    }
    if let DumpWay::Inside { service, .. } = &dump.way
        && job.there.service(service).is_none_or(|s| job.there.running(text(s, &["ID"])) == 0)
    {
        return Verdict::Unknown { until: format!("{service} runs") };
    }
    let op = self::dump(job, dump, &format!("before {}", job.service.version));
    let place = format!("{FOLDER}, before {} {}", job.service.name, job.service.version);
    Verdict::Change(Change {
        action: Action::Run,
        fields: vec![FieldDiff::new("dump", None, Some(place))],
        ops: vec![Op::Dump(op)],
    })
}

/// A dump of the database a job works on.
pub fn dump(job: &Input<'_>, dump: &WantedDump, reason: &str) -> Dump {
    Dump {
        way: dump.way.clone(),
        certificates: certificates(job),
        database: dump.database.clone(),
        release: of(job),
        reason: reason.to_owned(),
        keep: dump.keep,
    }
}

/// What the job itself shows a database elsewhere.
fn certificates(job: &Input<'_>) -> Option<Secret> {
    let parts = ["tls.crt", "tls.key", "ca.crt"];
    let mut pem = Vec::new();
    for name in parts {
        let found = job.materials.iter().find(|m| m.target == name)?;
        pem.extend_from_slice(found.data.bytes());
        pem.push(b'\n');
    }
    Some(Secret::unregistered(pem))
}
