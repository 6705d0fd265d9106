//! Where the internal database of a cluster has its files.

use reemo_model::change::Verdict;
use reemo_model::wanted::WantedService;
use reemo_resource::host::{FileState, HostObservation};
use reemo_resource::swarm::MANAGED;
use reemo_resource::swarm::observed::{at, text};
use reemo_resource::swarm::service::Input;
use serde_json::Value;

use super::site::ClusterSite;

/// Where they are in the container.
const INSIDE: &str = "/var/lib/mysql";
/// The file that every directory of MySQL or MariaDB has.
const FILE: &str = "ibdata1";
/// Where they are on a host of which nobody says otherwise.
const USUAL: &str = "/opt/reemo/mysql";

/// The service of the internal database; `None`: it is external, or another cluster's.
pub fn service(cluster: &ClusterSite) -> Option<&WantedService> {
    cluster.wanted.services.iter().find(|s| s.exec_query.is_some())
}

/// The directory on the hosts.
pub fn directory(cluster: &ClusterSite) -> &str {
    let mounts = service(cluster).map(|s| s.mounts.as_slice()).unwrap_or_default();
    mounts.iter().find(|m| m.target == INSIDE).map_or(USUAL, |m| &m.source)
}

/// The file by which it is known to hold a database.
pub fn marker(cluster: &ClusterSite) -> String {
    format!("{}/{FILE}", directory(cluster).trim_end_matches('/'))
}

/// Does the host hold the internal database's files? `None`: not known.
pub fn found(seen: &HostObservation) -> Option<bool> {
    // A host is asked for one such file: that of its cluster.
    match seen.files.iter().find(|(path, _)| path.rsplit('/').next() == Some(FILE))?.1 {
        FileState::There(_) => Some(true),
        FileState::Absent { .. } => Some(false),
        _ => None,
    }
}

/// The directory that a database which is there has its files in; `None`: no directory of the host.
pub fn directory_of(service: &Value) -> Option<&str> {
    let mounts = service.pointer("/Spec/TaskTemplate/ContainerSpec/Mounts")?.as_array()?;
    let mount = mounts.iter().find(|m| text(m, &["Target"]).trim_end_matches('/') == INSIDE)?;
    matches!(text(mount, &["Type"]), "bind" | "").then(|| text(mount, &["Source"]))
}

/// A database is not started on another directory than it has its files in: that one may be empty, or hold an older one.
pub fn gate(input: &Input<'_>) -> Option<Verdict> {
    let wanted = input.service.mounts.iter().find(|m| m.target == INSIDE && input.service.exec_query.is_some())?;
    // What this tool did not make is refused as such.
    let found = input.there.service(&input.service.name)?;
    let there = directory_of(found).filter(|_| at(found, &["Spec", "Labels", MANAGED]).is_some())?;
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    (!same(there, &wanted.source)).then(|| Verdict::Refused {
        why: format!("{} has its data in {there}, and would be started on {}", input.service.name, wanted.source),
        hint: format!("say where its data is: DB_DATA_DIR: \"{there}\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_a_database_that_is_there_has_its_data() {
        let service = |mounts: Value| json!({"Spec": {"TaskTemplate": {"ContainerSpec": {"Mounts": mounts}}}});
        let bind = json!([
            {"Type": "bind", "Source": "/etc/x", "Target": "/etc/x"},
            {"Type": "bind", "Source": "/opt/reemo", "Target": "/var/lib/mysql/"},
        ]);
        assert_eq!(directory_of(&service(bind)), Some("/opt/reemo"));
        let volume = json!([{"Type": "volume", "Source": "mysql_data", "Target": "/var/lib/mysql"}]);
        assert_eq!(directory_of(&service(volume)), None);
        assert_eq!(directory_of(&service(Value::Null)), None);
    }
}
