//! `certs list` and `certs check`: when certificates end, those of the inside and those users see. `certs rotate`: others
//! for the inside. All of that on this machine only; that hosts have what is here is what `plan` says. (`rotate_ca.rs` has
//! what goes further.)

use jiff::Timestamp;
use reemo_model::diag::nearest;
use reemo_pki::{Expiry, State, Trust};
use reemo_ui::Table;
use serde_json::{Value, json};

use super::args::{CertsAction, CertsArgs, Format, OutputArgs};
use super::nagios::Nagios;
use super::prepare::{self, Exit};
use super::{output, portal_certs, rotate_ca, site};

/// Names of authorities in the list.
const CAS: [&str; 2] = ["ca", "ca-next"];

/// Whose it is, and its end.
struct Entry {
    /// `inside`, or the cluster whose users see it.
    of: String,
    expiry: Expiry,
}

/// Runs it.
pub async fn run(args: &CertsArgs, argv: &[String]) -> Result<u8, Exit> {
    let now = Timestamp::now();
    if args.back && args.action != CertsAction::RotateCa {
        return Err(Exit::usage("--back goes with `certs rotate-ca` only"));
    }
    if args.action != CertsAction::Rotate && (args.all || !args.services.is_empty()) {
        return Err(Exit::usage("services are named with `certs rotate` only"));
    }
    match args.action {
        CertsAction::Rotate => rotate(args, now),
        CertsAction::RotateCa => rotate_ca::run(args, argv).await,
        CertsAction::Export => rotate_ca::export(args),
        CertsAction::List => list(args, &read(args, now)?),
        CertsAction::Check => match read(args, now) {
            Ok(found) => Ok(check(args, &found.entries)),
            // Whoever supervises reads standard output, and every other code as an alarm.
            Err(exit) if args.nagios => {
                let first = exit.message.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
                output::printer(&OutputArgs::default()).print(&format!("CERTIFICATES {} - {first}", Nagios::Unknown));
                Ok(Nagios::Unknown as u8)
            }
            Err(exit) => Err(exit),
        },
    }
}

/// What there is, and where the certificates of the inside come from.
struct Found {
    entries: Vec<Entry>,
    /// Clusters that have some on their servers, where this machine does not look.
    elsewhere: Vec<String>,
    trust: Trust,
}

fn read(args: &CertsArgs, now: Timestamp) -> Result<Found, Exit> {
    let (loaded, pki) = prepare::certificates(&args.inventory)?;
    let (mut entries, mut elsewhere) = (Vec::new(), Vec::new());
    if !pki.store.is_provisional() {
        let inside = pki.store.expiry(now)?;
        entries.extend(inside.into_iter().map(|expiry| Entry { of: "inside".into(), expiry }));
    }
    for cluster in &loaded.clusters {
        let Some(host) = cluster.hosts.first() else { continue };
        let pairs = site::portal_certificates(&loaded, &pki.store, host).map_err(|d| prepare::invalid(&loaded, d))?;
        let ends = portal_certs::ends(pairs.as_ref(), now).map_err(|d| prepare::invalid(&loaded, d))?;
        entries.extend(ends.into_iter().map(|expiry| Entry { of: cluster.name.clone(), expiry }));
        if pairs.iter().filter_map(Value::as_array).flatten().any(portal_certs::is_remote) {
            elsewhere.push(cluster.name.clone());
        }
    }
    for entry in &mut entries {
        if let (Some(days), true) = (args.days, entry.expiry.state != State::Expired) {
            entry.expiry.state = if entry.expiry.days_left < days { State::Due } else { State::Valid };
        }
    }
    Ok(Found { entries, elsewhere, trust: pki.store.trust() })
}

/// Sets them aside. The hosts are not touched: what comes of it is what `plan` shows, and `apply` does.
fn rotate(args: &CertsArgs, now: Timestamp) -> Result<u8, Exit> {
    let (_, pki) = prepare::certificates(&args.inventory)?;
    if pki.store.is_provisional() {
        return Err(Exit::invalid("there is no certificate yet: the first apply makes those of the inside"));
    }
    let known: Vec<String> =
        pki.store.expiry(now)?.into_iter().map(|e| e.name).filter(|n| !CAS.contains(&n.as_str())).collect();
    for name in &args.services {
        if CAS.contains(&name.as_str()) {
            return Err(Exit::usage(
                "the authority itself is replaced by `certs rotate-ca`: alone, every service would distrust the others",
            ));
        }
        if !known.contains(name) {
            let near = nearest(name, known.iter().map(String::as_str));
            let hint =
                near.map_or_else(|| format!("there are: {}", known.join(", ")), |n| format!("did you mean `{n}`?"));
            return Err(Exit { hint, ..Exit::usage(format!("no service `{name}` has a certificate")) });
        }
    }
    let chosen = match (args.all, args.services.is_empty()) {
        (true, true) => known,
        (false, false) => args.services.clone(),
        (true, false) => return Err(Exit::usage("either --all or services, not both")),
        (false, true) => return Err(Exit::usage("certs rotate SERVICE…, or --all")),
    };
    pki.store.set_aside(&chosen)?;
    let words = format!(
        "set aside: {}\nnext: plan shows what an apply will replace, and apply issues and replaces it",
        chosen.join(", ")
    );
    output::printer(&args.output).print(&words);
    Ok(0)
}

fn list(args: &CertsArgs, Found { entries, elsewhere, trust }: &Found) -> Result<u8, Exit> {
    let mut printer = output::printer(&args.output);
    if args.output.format != Format::Text {
        let all: Vec<Value> = entries.iter().map(document).collect();
        let change = trust.turn.map(|turn| json!({"step": turn.phase.number(), "to": turn.to.to_string()}));
        let mode = trust.mode.to_string();
        let document =
            json!({"schema": 1, "mode": mode, "change": change, "certificates": all, "on_servers": elsewhere});
        printer.print(&document.to_string());
    } else if entries.is_empty() {
        printer.print("no certificate yet: the first apply makes those of the inside");
    } else {
        for cluster in elsewhere {
            printer.note(&format!("{cluster} has certificates on its servers (`remote: true`): doctor looks at them"));
        }
        let mut table = Table::new(["OF", "NAME", "SUBJECT", "ENDS", "DAYS", "STATE"]);
        for Entry { of, expiry } in entries {
            let (ends, days) = (day(expiry.not_after), expiry.days_left.to_string());
            let cells =
                [of.clone(), expiry.name.clone(), expiry.subject.clone(), ends, days, word(expiry.state).into()];
            table.row(cells.map(reemo_ui::Cell::new));
        }
        printer.print(&table.render(printer.out));
        if let Some(turn) = trust.turn {
            let step = format!("step {} of 3: {}", turn.phase.number(), turn.phase.in_words());
            printer.print(&format!("from ca ({}) to ca-next ({}): {step}\nnext: certs rotate-ca", trust.mode, turn.to));
        }
    }
    Ok(0)
}

fn check(args: &CertsArgs, entries: &[Entry]) -> u8 {
    let worst = entries.iter().map(|e| e.expiry.state).max();
    let mut wrong: Vec<&Entry> = entries.iter().filter(|e| e.expiry.state != State::Valid).collect();
    wrong.sort_by_key(|e| e.expiry.not_after);
    let named: Vec<String> = wrong.iter().map(|e| sentence(e)).collect();
    let state = match worst {
        None => Nagios::Unknown,
        Some(State::Valid) => Nagios::Ok,
        Some(State::Due) => Nagios::Warning,
        Some(State::Expired) => Nagios::Critical,
    };
    let soonest = entries.iter().min_by_key(|e| e.expiry.not_after);
    let rest = match soonest {
        None => "there is no certificate yet".into(),
        Some(first) if named.is_empty() => {
            format!("{} certificates, the first that ends: {}", entries.len(), sentence(first))
        }
        Some(_) => named.join(", "),
    };
    if args.output.format == Format::Text {
        output::printer(&args.output).print(&format!("CERTIFICATES {state} - {rest}"));
    } else {
        let all: Vec<Value> = entries.iter().map(document).collect();
        output::printer(&args.output)
            .print(&json!({"schema": 1, "state": state.word(), "certificates": all}).to_string());
    }
    // Due is renewed by the next apply: nothing has failed. As `check`.
    if args.nagios || state == Nagios::Critical { state as u8 } else { 0 }
}

fn sentence(entry: &Entry) -> String {
    let Entry { of, expiry } = entry;
    let verb = if expiry.state == State::Expired { "ended" } else { "ends" };
    let of = if of == "inside" { String::new() } else { format!(" of {of}") };
    format!("{}{of} {verb} {} ({} days)", expiry.name, day(expiry.not_after), expiry.days_left)
}

fn document(Entry { of, expiry }: &Entry) -> Value {
    json!({
        "of": of,
        "name": expiry.name,
        "subject": expiry.subject,
        "not_after": expiry.not_after.to_string(),
        "days_left": expiry.days_left,
        "state": word(expiry.state),
    })
}

fn word(state: State) -> &'static str {
    match state {
        State::Valid => "valid",
        State::Due => "due",
        State::Expired => "expired",
    }
}

/// `2028-12-31`, in UTC.
fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}
