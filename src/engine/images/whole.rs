//! Before anything is taken out of a bundle, all of it is held against its checksums.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reemo_model::change::Verdict;
use reemo_model::op::Op;

use super::archive::Archive;
use crate::engine::apply::Review;
use crate::engine::fault::Fault;
use crate::engine::task::Task;

/// The bundles that these verdicts would take something from.
fn used(verdicts: &[(Arc<Task>, Verdict)]) -> BTreeSet<String> {
    let ops = verdicts.iter().flat_map(|(_, verdict)| match verdict {
        Verdict::Change(change) => change.ops.as_slice(),
        _ => &[],
    });
    ops.filter_map(|op| match op {
        Op::LoadImage(op) => Some(op.bundle.clone()),
        Op::CarryPackages(op) => Some(op.bundle.clone()),
        _ => None,
    })
    .collect()
}

/// Adds to what a run is reviewed by: one that would use a damaged bundle is refused. A bundle that was found whole is
/// not read again in the same run.
pub fn bundles(then: Option<Review>) -> Review {
    let whole: Mutex<BTreeSet<String>> = Mutex::default();
    Arc::new(move |verdicts| {
        for path in used(verdicts) {
            let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
            if whole.contains(&path) {
                continue;
            }
            let found = Archive::open(Path::new(&path)).and_then(|archive| archive.verify());
            found.map_err(|why| {
                let hint = "copy it again from where `images save` wrote it, or make it anew";
                Fault::refused(format!("{path} {why}"), hint)
            })?;
            whole.insert(path);
        }
        then.as_ref().map_or(Ok(()), |review| review(verdicts))
    })
}
