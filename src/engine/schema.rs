//! The schema of a database does not go back: a release older than the one that was run last on it is refused.

use std::cmp::Ordering;

use reemo_model::change::Verdict;
use reemo_resource::swarm::JOB_DONE;
use reemo_resource::swarm::observed::text;
use reemo_resource::swarm::service::{Input, release_of, tag_of};

/// Refuses a schema job whose release is older than that of the last one that succeeded. Releases that cannot be
/// compared are let through.
pub fn gate(input: &Input<'_>) -> Option<Verdict> {
    input.service.job.as_ref()?;
    let found = input.there.service(&input.service.name)?;
    let done = text(found, &["Spec", "Labels", JOB_DONE]);
    if done.is_empty() || done != input.fingerprint(&found["Spec"]) {
        // Its last run is not known to have succeeded.
        return None;
    }
    let (name, was, wanted) = (&input.service.name, release_of(&found["Spec"]), tag_of(&input.service.image));
    if compare(wanted, was)? != Ordering::Less {
        return None;
    }
    Some(Verdict::Refused {
        why: format!(
            "{name} {wanted} is older than {was}, which the database's schema is of; a schema does not go back"
        ),
        hint: format!(
            "keep {name} at {was} (its DOCKER_VERSION_ variable) and go back with the others alone; to go back with the \
             schema as well, restore a dump that was taken before {was}"
        ),
    })
}

/// Which of two releases is newer: `2.9.0` before `2.13.10`. `None`: they are not numbers and dots.
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let numbers =
        |text: &str| text.trim_start_matches('v').split('.').map(|n| n.parse::<u64>().ok()).collect::<Option<Vec<_>>>();
    let (mut a, mut b) = (numbers(a)?, numbers(b)?);
    let longest = a.len().max(b.len());
    a.resize(longest, 0);
    b.resize(longest, 0);
    Some(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        for (a, b, wanted) in [
            ("2.9.0", "2.13.10", Some(Ordering::Less)),
            ("2.13.10", "2.13.10", Some(Ordering::Equal)),
            ("2.14", "2.14.0", Some(Ordering::Equal)),
            ("v3.0.0", "2.99.99", Some(Ordering::Greater)),
            ("latest", "2.13.10", None),
            ("2.13.10-rc1", "2.13.10", None),
            ("", "1", None),
        ] {
            assert_eq!(compare(a, b), wanted, "{a} {b}");
        }
    }
}
