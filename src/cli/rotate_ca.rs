//! `certs rotate-ca`: from one authority to another under a platform that serves. Three runs of `apply`, each of the whole
//! inventory and proven before the next one: trust in both authorities, certificates of the new one, trust in it alone. Where it
//! stands is in the certificates folder (`reemo_pki::Trust`), so the same command goes on after anything.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use jiff::Timestamp;
use reemo_pki::{Mode, Passphrase, Trust, Turn, Way};

use super::args::{ApplyArgs, CertsArgs, Format};
use super::prepare::{self, Exit, Pki};
use super::{apply, output};

/// Runs it.
pub async fn run(args: &CertsArgs, argv: &[String]) -> Result<u8, Exit> {
    if args.output.format != Format::Text {
        return Err(Exit::usage("rotate-ca prints text only: it is several runs, and `runs list` has each of them"));
    }
    if !args.inventory.limit.is_empty() {
        return Err(Exit::usage("rotate-ca is about every service of the inventory: no --limit"));
    }
    let way = if args.back { Way::Back } else { Way::On };
    let mut trust = first(args, way)?;
    while let Some(Turn { phase, .. }) = trust.turn {
        if trust.comes_first(way) {
            say(args, &format!("step {} of 3: {}", phase.number(), phase.in_words()));
            let code = roll_out(args, argv).await?;
            if code != 0 {
                return Ok(stopped(args, trust, code));
            }
        }
        trust = step(args, way)?;
    }
    if way == Way::Back {
        say(args, "back: the new authority is trusted no more");
        let code = roll_out(args, argv).await?;
        if code != 0 {
            return Ok(stopped(args, trust, code));
        }
        store(args)?.store.settle()?;
    }
    let names = store(args)?.store.authorities().join(", ");
    say(args, &format!("done: every service works with {names}, and trusts nobody else"));
    Ok(0)
}

/// Begins the change where there is none; where there is, sees that the inventory means the same.
fn first(args: &CertsArgs, way: Way) -> Result<Trust, Exit> {
    let pki = store(args)?;
    let trust = pki.store.trust();
    match (trust.turn, way) {
        // The last run of a way back has not been proven yet.
        (None, Way::Back) if trust.floor > 0 => Ok(trust),
        (None, Way::Back) => Err(Exit::usage("no change of authority is under way: there is nothing to go back from")),
        (None, Way::On) if trust.floor > 0 => {
            Err(Exit::refused("a way back is not finished", "certs rotate-ca --back goes on with it"))
        }
        (None, Way::On) => {
            if pki.inside.mode != Mode::Auto && pki.inside.is_of(&pki.store, false) {
                return Err(Exit::usage(format!(
                    "CERT_CA_FILE is the authority that the services have already ({})",
                    pki.store.authorities().join(", ")
                )));
            }
            let trust = pki.store.begin(&pki.inside.authority()?, Timestamp::now())?;
            let names = store(args)?.store.authorities().join(" to ");
            say(args, &format!("from {names}"));
            Ok(trust)
        }
        (Some(_), Way::On) if !pki.inside.is_of(&pki.store, true) => Err(Exit::refused(
            format!("a change to {} is under way, and the inventory names another authority", last(&pki)),
            "put the variables back to it, or go back with --back",
        )),
        (Some(_), Way::Back) if !pki.inside.is_of(&pki.store, false) => Err(Exit::refused(
            format!("to go back to {}, the inventory has to name it again", pki.store.authorities()[0]),
            "put CERT_MODE and its variables back to what they were",
        )),
        (Some(_), _) => Ok(trust),
    }
}

fn last(pki: &Pki) -> String {
    pki.store.authorities().pop().unwrap_or_default()
}

/// The folder as it is now: each run before may have changed it.
fn store(args: &CertsArgs) -> Result<Pki, Exit> {
    let (_, pki) = prepare::authority(&args.inventory)?;
    if pki.store.is_provisional() {
        return Err(Exit::invalid("there is no certificate yet: the first apply makes those of the inside"));
    }
    Ok(pki)
}

fn step(args: &CertsArgs, way: Way) -> Result<Trust, Exit> {
    let done = store(args)?.store.step(way)?;
    done.ok_or_else(|| Exit::failed("another process ended the change of authority: look with `certs list`"))
}

async fn roll_out(args: &CertsArgs, argv: &[String]) -> Result<u8, Exit> {
    let run = ApplyArgs {
        inventory: args.inventory.clone(),
        connect: args.connect.clone(),
        output: args.output.clone(),
        lock_wait: args.lock_wait,
        ..ApplyArgs::default()
    };
    apply::run(&run, "apply", argv).await
}

fn stopped(args: &CertsArgs, trust: Trust, code: u8) -> u8 {
    let at = trust
        .turn
        .map_or_else(|| "the last run of the way back".to_owned(), |turn| format!("step {} of 3", turn.phase.number()));
    say(
        args,
        &format!(
            "stopped at {at}; services understand each other as they are.\nnext: the same command goes on; certs rotate-ca --back goes back"
        ),
    );
    code
}

fn say(args: &CertsArgs, words: &str) {
    output::printer(&args.output).print(words);
}

/// `certs export --to FILE`: certificate and key of the authority, encrypted as in the folder.
pub fn export(args: &CertsArgs) -> Result<u8, Exit> {
    let Some(to) = &args.to else { return Err(Exit::usage("certs export --to FILE")) };
    let pki = store(args)?;
    let Some(text) = pki.store.export()? else {
        return Err(Exit::invalid("the site issues the certificates (CERT_MODE: provided): there is no key here"));
    };
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e: std::io::Error| Exit::failed(format!("cannot write {}: {e}", to.display())))?;
    let opens = match pki.passphrase() {
        Passphrase::File(file) | Passphrase::KeyFile(file) => format!("file:{}", file.display()),
        Passphrase::Given(_) => "stdin".into(),
    };
    say(
        args,
        &format!(
            "{}: the certificate of {}, and its key, encrypted\nit opens with: openssl pkey -in {} -passin {opens}",
            to.display(),
            last(&pki),
            to.display()
        ),
    );
    Ok(0)
}
