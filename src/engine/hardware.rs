//! The vendor's minimum hardware, by environment. Said before a platform is installed, and by `doctor`; never a reason
//! to refuse: sites that are smaller work.

use reemo_resource::host::HostFacts;

/// Processors, memory and disk in GB: the vendor's table "Minimum requis".
fn least(environment: &str) -> Option<(u32, u64, u64)> {
    match environment {
        "infra" | "api" => Some((4, 6, 30)),
        "portal" => Some((2, 4, 30)),
        // The document has none for relays and farms.
        _ => None,
    }
}

/// What a host has too little of.
pub(super) fn short(environment: &str, facts: &HostFacts) -> Vec<String> {
    let Some((cpus, memory, disk)) = least(environment) else { return Vec::new() };
    let mut small = Vec::new();
    if let Some(has) = facts.cpus.filter(|has| *has < cpus) {
        small.push(format!("{has} of {cpus} processors"));
    }
    if let Some(has) = facts.memory.filter(|has| !enough(*has, memory)) {
        small.push(format!("{:.1} of {memory} GB of memory", gigabytes(has)));
    }
    // The document speaks of one disk; where there are several, the largest counts.
    if let Some(has) = facts.disks.values().map(|d| d.total).max().filter(|has| !enough(*has, disk)) {
        small.push(format!("{:.1} of {disk} GB of disk", gigabytes(has)));
    }
    small
}

/// The kernel and file systems keep a part: a machine sold with 6 GB shows less.
fn enough(bytes: u64, gigabytes: u64) -> bool {
    bytes >= gigabytes * 900_000_000
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use reemo_resource::host::DiskFree;

    use super::*;

    fn host(cpus: u32, memory: f64, disk: f64) -> HostFacts {
        let bytes = |gb: f64| (gb * 1e9) as u64;
        let disks = [("/", disk / 2.0), ("/opt", disk)];
        let disks =
            disks.map(|(path, gb)| (path.to_owned(), DiskFree { total: bytes(gb), free: 0 })).into_iter().collect();
        HostFacts { cpus: Some(cpus), memory: Some(bytes(memory)), disks, ..HostFacts::default() }
    }

    #[test]
    fn the_vendors_table() {
        for (environment, cpus, memory, disk) in
            [("infra", 4, 6.0, 30.0), ("portal", 2, 4.0, 30.0), ("api", 4, 6.0, 30.0)]
        {
            assert!(short(environment, &host(cpus, memory, disk)).is_empty(), "{environment}");
            let small = [(cpus - 1, memory, disk), (cpus, memory * 0.7, disk), (cpus, memory, disk * 0.7)];
            for (cpus, memory, disk) in small {
                assert_eq!(short(environment, &host(cpus, memory, disk)).len(), 1, "{environment}");
            }
        }
        assert!(short("provision", &host(1, 0.5, 3.0)).is_empty(), "the document has no figures for farms");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        assert!(short("infra", &HostFacts::default()).is_empty());
    }

    #[test]
    fn in_words() {
        let small = short("infra", &host(2, 4.1, 20.0));
        assert_eq!(small, ["2 of 4 processors", "4.1 of 6 GB of memory", "20.0 of 30 GB of disk"]);
    }
}
