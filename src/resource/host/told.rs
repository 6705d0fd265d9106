//! What the program in a container has been told to read anew, as a file that says so. It is written after the program
//! was told, so a run that dies in between tells it again.

use reemo_model::change::Verdict;
use reemo_model::op::{Exec, Op};

use super::File;
use super::observation::HostObservation;
use super::path;

/// Runs the rest of its arguments in the service's container on this host. One that is starting is waited for, `$1` times
/// a second; one that stays unhealthy is no reason to go on: what it does with the old files, nobody knows. Where there
/// is none, the next one reads the new ones; one that was not given the folder (somebody else's, just adopted) reads none.
const SCRIPT: &str = r#"tries=$1 service=$2 folder=$3
shift 3
box() { docker ps -q --filter "label=com.docker.swarm.service.name=$service" --filter "volume=$folder" --filter status=running "$@" | head -n 1; }
while [ -n "$(box)" ]; do
  id=$(box --filter health=healthy)
  [ -z "$id" ] || exec docker exec "$id" "$@"
  tries=$((tries-1))
  [ "$tries" -gt 0 ] || { echo "the container of $service is not healthy: it was not told to read its files anew" >&2; exit 1; }
  sleep 1
done"#;
/// A database that was just restarted is ready within seconds; the rest of the step's limit is for slow engines.
const TRIES: &str = "30";

/// A file that says that the container of a service has read something anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The file.
    pub file: File,
    /// The service.
    pub service: String,
    /// What tells its program, run in its container on this host.
    pub argv: Vec<String>,
}

impl Told {
    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        match self.file.diff(seen) {
            Verdict::Change(mut change) if change.ops.iter().any(|op| matches!(op, Op::WriteFile(_))) => {
                let words =
                    ["sh", "-ec", SCRIPT, "sh", TRIES, &self.service, path::parent(&self.file.path)].map(str::to_owned);
                let exec = Exec::new(words.into_iter().chain(self.argv.iter().cloned())).timeout(120);
                change.ops.insert(0, Op::Exec(exec));
                Verdict::Change(change)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::SCRIPT;

    /// A `docker` with these containers: one that runs, one of those that is healthy.
    fn told(running: &str, healthy: &str) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let docker = folder.path().join("docker");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n\
             'ps -q --filter label=com.docker.swarm.service.name=reemo_mysql --filter volume=/etc/x --filter status=running') echo {running} ;;\n\
             'ps -q --filter label=com.docker.swarm.service.name=reemo_mysql --filter volume=/etc/x --filter status=running --filter health=healthy') \
             echo {healthy} ;;\nexec*) printf '[%s]' \"$@\" ;;\n*) echo \"unknown: $*\"; exit 9 ;;\nesac\n"
        );
        std::fs::write(&docker, text).unwrap();
        std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let words = ["-ec", SCRIPT, "sh", "1", "reemo_mysql", "/etc/x", "mysql", "-e", "FLUSH SSL"];
        let done = Command::new("sh").args(words).env("PATH", path).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
    }

    #[test]
    fn the_healthy_container_is_told() {
        assert_eq!(told("one", "one"), (true, "[exec][one][mysql][-e][FLUSH SSL]".into()));
        assert_eq!(told("", ""), (true, String::new()), "where there is none, nobody has to be told");
        let (well, said) = told("one", "");
        assert!(!well && said.contains("reemo_mysql is not healthy"), "{said}");
    }
}
