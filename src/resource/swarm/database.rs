//! The gate before the schema job: a database is initialised once (seed 001: "à exécuter qu'une seule
//! fois"). Both the cluster's record and the database itself are asked, since a rebuilt Swarm has no record.

use reemo_model::change::Verdict;

/// What is known when the gate is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// `INIT_DB` was asked for in this run.
    pub asked: bool,
    /// The cluster's record says it was initialised.
    pub recorded: bool,
    /// Number of tables, when the database could be asked.
    pub tables: Option<u64>,
    /// The data directory of a node holds something, when the nodes could be asked.
    pub data_found: Option<bool>,
}

/// Unchanged = go on.
pub fn gate(known: Known) -> Verdict {
    let filled = known.tables.map(|n| n > 0);
    match (known.asked, known.recorded, filled) {
        (true, true, _) => refuse(
            "INIT_DB was asked for, but this cluster's record says that the database was initialised before; a second \
             initialisation would overwrite the administrators' configuration",
            "run the same command without INIT_DB",
        ),
        (true, false, Some(true)) => refuse(
            &format!(
                "INIT_DB was asked for, but the database already holds {} tables",
                known.tables.unwrap_or_default()
            ),
            "run the same command without INIT_DB: the data that is there will be used",
        ),
        (true, false, _) => Verdict::Unchanged,
        (false, true, Some(false)) => refuse(
            "this cluster's record says that the database was initialised, but it is empty: its data is gone",
            "restore a dump, or check that this is the place the data was in: /opt/reemo, or DB_HOST and DB_NAME",
        ),
        (false, true, _) | (false, false, Some(true)) => Verdict::Unchanged,
        (false, false, Some(false)) => never(),
        (false, false, None) => match known.data_found {
            Some(false) => never(),
            _ => Verdict::Unknown { until: "the database runs and can be asked whether it was initialised".into() },
        },
    }
}

fn never() -> Verdict {
    refuse("the database was never initialised", "add --extra-vars \"INIT_DB=true\" to this command, once")
}

fn refuse(why: &str, hint: &str) -> Verdict {
    Verdict::Refused { why: why.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        // asked, recorded, tables, data_found → goes on, refused or unknown
        let cases = [
            ((true, false, None, Some(false)), "on"),
            ((true, false, Some(0), None), "on"),
            ((true, false, Some(7), None), "refused"),
            ((true, true, None, None), "refused"),
            ((true, true, Some(0), None), "refused"),
            ((false, true, Some(7), None), "on"),
            ((false, true, None, None), "on"),
            ((false, true, Some(0), None), "refused"),
            ((false, false, Some(7), None), "on"),
            ((false, false, Some(0), None), "refused"),
            ((false, false, None, Some(false)), "refused"),
            ((false, false, None, Some(true)), "unknown"),
        ];
        for ((asked, recorded, tables, data_found), expected) in cases {
            let verdict = gate(Known { asked, recorded, tables, data_found });
            let got = match verdict {
                Verdict::Unchanged => "on",
                Verdict::Refused { .. } => "refused",
                Verdict::Unknown { .. } => "unknown",
                Verdict::Change(_) => "change",
            };
            assert_eq!(got, expected, "{asked} {recorded} {tables:?} {data_found:?}");
        }
    }
}
