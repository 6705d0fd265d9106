//! May a run go on without the hosts that cannot be reached?

use std::str::FromStr;

use super::fault::{Fault, FaultKind};
use super::fleet::Fleet;
use super::site::Site;

/// `--max-fail`: so many hosts, or so many of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFail {
    /// At most so many.
    Hosts(usize),
    /// At most so many of a hundred hosts of the run.
    Percent(usize),
}

impl MaxFail {
    fn allows(self, gone: usize, all: usize) -> bool {
        match self {
            MaxFail::Hosts(most) => gone <= most,
            MaxFail::Percent(most) => gone * 100 <= most * all,
        }
    }
}

impl FromStr for MaxFail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is no number of hosts: write 2, or 10%");
        match text.strip_suffix('%') {
            Some(number) => match number.parse().map_err(wrong)? {
                most @ 0..=100 => Ok(MaxFail::Percent(most)),
                _ => Err(format!("`{text}` is more than all of them")),
            },
            None => text.parse().map(MaxFail::Hosts).map_err(wrong),
        }
    }
}

/// `None`: go on. `skip`: `--skip-unreachable`. A cluster of which half or more is gone is never worked on: its Swarm
/// has no quorum, or would not have one.
pub fn stops(site: &Site, fleet: &Fleet, skip: bool, most: Option<MaxFail>, check: bool) -> Option<Fault> {
    let (gone, all) = (fleet.unreachable.len(), site.run_hosts().count());
    if gone == 0 {
        return None;
    }
    let stop =
        |cause: String, hint: &str| Some(Fault { kind: FaultKind::Unreachable, ..Fault::failed(cause) }.hint(hint));
    if !skip && !most.is_some_and(|m| m.allows(gone, all)) || gone == all {
        return stop(
            format!("{gone} of {all} hosts cannot be reached"),
            "see the table; --skip-unreachable or --max-fail N goes on without them",
        );
    }
    let halved = site.clusters.keys().find_map(|cluster| {
        let hosts = site.hosts_of(cluster).count();
        let gone = site.hosts_of(cluster).filter(|(name, _)| fleet.unreachable.contains_key(*name)).count();
        (gone > 0 && gone * 2 >= hosts).then(|| (cluster, hosts, hosts - gone))
    });
    match halved {
        Some((cluster, hosts, left)) if !check => stop(
            format!(
                "{cluster} has {hosts} hosts, and {left} of them can be reached: {} are needed for a quorum",
                hosts / 2 + 1
            ),
            "bring the others back first; nothing goes on below a quorum, whatever was asked for",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_parts_of_a_hundred() {
        let most = |text: &str| text.parse::<MaxFail>();
        assert!(most("2").unwrap().allows(2, 3) && !most("2").unwrap().allows(3, 50));
        assert!(most("10%").unwrap().allows(5, 50) && !most("10%").unwrap().allows(6, 50));
        assert!(most("0").unwrap().allows(0, 3) && !most("0%").unwrap().allows(1, 3));
        for wrong in ["", "%", "-1", "101%", "two", "1.5"] {
            assert!(most(wrong).is_err(), "{wrong}");
        }
    }
}
