//! The schema and its history. Steps only add: during an update the api of the release before still uses the database.

/// A change of the schema, and the release that brought it.
#[derive(Debug)]
pub struct Step {
    /// First release that has it.
    pub version: &'static str,
    /// Statements; each can be repeated, since MySQL does not undo them when a later one fails.
    pub statements: &'static [&'static str],
}

/// Where the history is kept. Made last: a database that lacks it was never finished.
pub const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    id INT AUTO_INCREMENT PRIMARY KEY, version VARCHAR(32) NOT NULL, at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3))";

/// All steps, oldest first.
pub const STEPS: &[Step] = &[
    Step {
        version: "0",
        statements: &[
            "CREATE TABLE IF NOT EXISTS configuration (name VARCHAR(64) PRIMARY KEY, value TEXT NOT NULL)",
            "CREATE TABLE IF NOT EXISTS platforms (
                kind VARCHAR(16) NOT NULL, name VARCHAR(128) NOT NULL, settings TEXT NOT NULL, PRIMARY KEY (kind, name))",
            "CREATE TABLE IF NOT EXISTS db_runs (
                id INT AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3),
                version VARCHAR(32) NOT NULL, init BOOLEAN NOT NULL, host VARCHAR(64) NOT NULL)",
            "CREATE TABLE IF NOT EXISTS heartbeats (
                name VARCHAR(64) NOT NULL, host VARCHAR(64) NOT NULL, beats INT NOT NULL DEFAULT 1,
                at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), PRIMARY KEY (name, host))",
            "CREATE TABLE IF NOT EXISTS probes (
                host VARCHAR(64) PRIMARY KEY, number BIGINT UNSIGNED NOT NULL,
                at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))",
            "CREATE TABLE IF NOT EXISTS notes (
                id INT AUTO_INCREMENT PRIMARY KEY, text TEXT NOT NULL, at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3))",
        ],
    },
    Step {
        version: "2.14.0",
        statements: &["CREATE TABLE IF NOT EXISTS sessions (
            id INT AUTO_INCREMENT PRIMARY KEY, owner VARCHAR(128) NOT NULL, at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3))"],
    },
];

/// The steps between two releases: after `from` (none: from nothing) up to `to`.
pub fn steps(from: Option<&str>, to: &str) -> Vec<&'static Step> {
    let older = |step: &&Step| from.is_none_or(|from| order(from) < order(step.version));
    STEPS.iter().filter(|step| order(step.version) <= order(to)).filter(older).collect()
}

/// A release as numbers to compare: `2.13.10-4bfb58467888` is 2, 13, 10.
pub fn order(version: &str) -> Vec<u64> {
    let number = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    number.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// What a run of the job has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Everything, and the administrators' configuration.
    Initialise,
    /// The steps since this release.
    Migrate(String),
    /// Nothing: the database is of a newer release, which this one can use.
    Newer(String),
    /// Not to be done, with exit code and reason.
    Refuse(u8, &'static str),
}

/// Exit code where the database was never initialised.
pub const EMPTY: u8 = 3;
/// Exit code of a second initialisation.
pub const TWICE: u8 = 4;

/// Decides, from the schema's release (none: never finished) and whether initialising was asked for.
pub fn task(found: Option<&str>, init: bool, release: &str) -> Task {
    match (found, init) {
        (None, true) => Task::Initialise,
        (None, false) => Task::Refuse(
            EMPTY,
            "the database is empty: it was never initialised. Apply once with --extra-vars \"INIT_DB=true\"",
        ),
        (Some(_), true) => Task::Refuse(
            TWICE,
            "the database is already initialised: INIT_DB is for the first run only and would overwrite the \
             administrators' configuration. Nothing was changed",
        ),
        (Some(found), false) if order(found) > order(release) => Task::Newer(found.to_owned()),
        (Some(found), false) => Task::Migrate(found.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(order("2.9.0") < order("2.13.10-4bfb58467888"));
        assert_eq!(order("v2.11"), [2, 11]);
    }

    #[test]
    fn steps_between_releases() {
        let names = |from, to| steps(from, to).iter().map(|s| s.version).collect::<Vec<_>>();
        assert_eq!(names(None, "2.13.10"), ["0"]);
        assert_eq!(names(None, "2.14.0-abc"), ["0", "2.14.0"]);
        assert_eq!(names(Some("2.13.10"), "2.14.0"), ["2.14.0"]);
        assert!(names(Some("2.14.0"), "2.14.0").is_empty());
    }

    #[test]
    fn initialised_once_and_only_on_request() {
        assert_eq!(task(None, true, "2.13.10"), Task::Initialise);
        assert!(matches!(task(None, false, "2.13.10"), Task::Refuse(EMPTY, _)));
        assert!(matches!(task(Some("2.13.10"), true, "2.14.0"), Task::Refuse(TWICE, _)));
        assert_eq!(task(Some("2.13.10"), false, "2.14.0"), Task::Migrate("2.13.10".into()));
        assert_eq!(task(Some("2.14.0"), false, "2.13.10"), Task::Newer("2.14.0".into()));
    }
}
