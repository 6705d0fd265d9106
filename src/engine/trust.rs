//! Whether what this machine would hand out is understood by the services that run. Each change of the authority, step by
//! step, is counted on this machine (`reemo_pki::Trust`) and written on the services that have certificates.

use std::collections::BTreeSet;

use reemo_resource::swarm::TRUST;
use reemo_resource::swarm::observed::text;
use serde_json::Value;

/// The step of trust that a run hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// `<generation>-<hash>`.
    pub mark: String,
    /// Services that run must be at this generation at least.
    pub floor: u64,
}

/// Why a run may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// A service that shows it.
    pub service: String,
    /// What is wrong.
    pub why: &'static str,
    /// What to do.
    pub hint: &'static str,
}

const OLDER: Apart = Apart {
    service: String::new(),
    why: "trusts an authority that the certificates folder of this machine does not know",
    hint: "copy the folder from the machine where `certs rotate-ca` was run, or name it with --pki-dir",
};
const BEHIND: Apart = Apart {
    service: String::new(),
    why: "was put back to a step of the change of authority that the present one does not go with",
    hint: "`certs rotate-ca --back` is safe from here, and then begins the change from its first step",
};

/// Compares with the services of a Swarm. `with_certificates`: the names of those that are wanted and have some.
pub fn compare(ours: Option<&Trusted>, with_certificates: &BTreeSet<&str>, services: &[Value]) -> Result<(), Apart> {
    let (mark, floor) = ours.map_or(("", 0), |t| (t.mark.as_str(), t.floor));
    for service in services {
        let name = text(service, &["Spec", "Name"]);
        let there = text(service, &["Spec", "Labels", TRUST]);
        let apart = match number(there) {
            newer if newer > number(mark) => OLDER,
            // Two copies of the folder that each began a change.
            same if same > 0 && same == number(mark) && there != mark => OLDER,
            older if older < floor && with_certificates.contains(name) => BEHIND,
            _ => continue,
        };
        return Err(Apart { service: name.to_owned(), ..apart });
    }
    Ok(())
}

/// True when a service that is put back to this step (its label then) and those of the present one understand each other:
/// steps that follow each other do.
pub fn allows(ours: Option<&Trusted>, then: &str) -> bool {
    ours.is_none_or(|ours| number(then) + 1 >= number(&ours.mark))
}

fn number(mark: &str) -> u64 {
    mark.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_may_go_on() {
        let cases: [(&str, u64, &[&str], Option<&str>); 11] = [
            // Never a change, here or there.
            ("", 0, &[""], None),
            ("", 0, &["1-aa"], Some(OLDER.why)),
            // The first step, on services of before.
            ("1-aa", 0, &["", "1-aa"], None),
            ("1-aa", 0, &["1-bb"], Some(OLDER.why)),
            ("1-aa", 0, &["2-cc"], Some(OLDER.why)),
            // The second, on services that all are at the first.
            ("2-cc", 1, &["1-aa", "2-cc"], None),
            ("2-cc", 1, &["1-aa", ""], Some(BEHIND.why)),
            ("3-dd", 2, &["2-cc", "3-dd"], None),
            ("3-dd", 2, &["2-cc", "1-aa"], Some(BEHIND.why)),
            // Done: whoever was put back by hand is brought up again.
            ("3-dd", 0, &["2-cc", "3-dd"], None),
            ("13-ee", 9, &["9-ff"], None),
        ];
        for (mark, floor, there, expected) in cases {
            let ours = (!mark.is_empty()).then(|| Trusted { mark: mark.to_owned(), floor });
            let service = |mark: &&str| json!({"Spec": {"Name": "reemo_api", "Labels": {TRUST: mark}}});
            let services: Vec<Value> = there.iter().map(service).collect();
            let found = compare(ours.as_ref(), &BTreeSet::from(["reemo_api"]), &services);
            assert_eq!(found.err().map(|a| a.why), expected, "{mark} over {there:?}");
        }
    }

    #[test]
    fn what_may_be_put_back() {
        for (mark, then, expected) in [
            ("", "", true),
            ("1-aa", "", true),
            ("2-bb", "1-aa", true),
            ("2-bb", "", false),
            // The change is done: the old certificates are nobody's any more.
            ("3-cc", "2-bb", true),
            ("3-cc", "1-aa", false),
            ("3-cc", "", false),
            ("13-dd", "3-cc", false),
        ] {
            let ours = (!mark.is_empty()).then(|| Trusted { mark: mark.to_owned(), floor: 0 });
            assert_eq!(allows(ours.as_ref(), then), expected, "{then} under {mark}");
        }
    }

    #[test]
    fn a_service_without_certificates_has_no_step() {
        let ours = Trusted { mark: "2-cc".into(), floor: 1 };
        let services = [json!({"Spec": {"Name": "reemo_relayws", "Labels": {}}})];
        assert_eq!(compare(Some(&ours), &BTreeSet::from(["reemo_api"]), &services), Ok(()));
        assert!(compare(Some(&ours), &BTreeSet::from(["reemo_relayws"]), &services).is_err());
    }
}
