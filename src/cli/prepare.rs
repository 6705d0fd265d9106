//! Everything before the first connection: read, check, render. What is wrong is said all together.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use reemo_model::diag::{Diagnostic, Diagnostics};
use reemo_pki::{NewAuthority, Passphrase, PkiError, Store};

use super::args::{ConnectOptions, InventoryOptions, OutputArgs};
use super::inside::{self, Inside};
use super::load::{self, Loaded};
use super::{output, site};
use crate::engine::fault::Fault;
use crate::engine::site::Site;

/// Why the program ends without a recap.
#[derive(Debug)]
pub struct Exit {
    /// Exit code.
    pub code: u8,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Exit {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Exit { code, message: message.into(), hint: String::new() }
    }

    /// Code 2: a host or the platform failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// Code 3: configuration or inventory invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// Code 5: the command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// Code 8: refused by a safety gate.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Exit { code: 8, message: message.into(), hint: hint.into() }
    }
}

impl From<PkiError> for Exit {
    fn from(error: PkiError) -> Exit {
        Exit { hint: error.hint.clone(), ..Exit::invalid(error.to_string()) }
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Exit {
        let lines: String = fault.last_lines.iter().map(|l| format!("\n    | {l}")).collect();
        Exit { hint: fault.hint, ..Exit::failed(format!("{}{lines}", fault.cause)) }
    }
}

/// A site ready to be connected to.
pub struct Ready {
    /// What was read.
    pub loaded: Loaded,
    /// What is wanted.
    pub site: Arc<Site>,
    /// The certificates.
    pub pki: Pki,
    prune: bool,
}

/// The internal certificates of an inventory.
pub struct Pki {
    /// Where they are kept.
    pub folder: PathBuf,
    passphrase: Option<PathBuf>,
    /// Opened, or provisional while the folder does not exist.
    pub store: Arc<Store>,
    /// What the inventory says of them.
    pub inside: Inside,
}

impl Pki {
    fn open(options: &InventoryOptions, now: Timestamp, write: bool) -> Result<Pki, Exit> {
        let folder = options.pki_dir.clone().unwrap_or_else(|| beside(&options.inventory));
        let passphrase = options.pki_passphrase_file.clone();
        let store = if Store::exists(&folder) {
            Store::open(&folder, &source(&passphrase)).map(|s| if write { s } else { s.read_only() })
        } else {
            Store::ephemeral(None, now)
        };
        Ok(Pki { folder, passphrase, store: Arc::new(store?), inside: Inside::default() })
    }

    /// What the inventory says of them; problems are collected.
    fn read_inside(&mut self, loaded: &Loaded, now: Timestamp, diagnostics: &mut Diagnostics) {
        match inside::read(loaded, &self.store, now, diagnostics) {
            Ok(inside) => {
                self.store.give(inside.leaves.clone());
                self.inside = inside;
            }
            Err(troubles) => diagnostics.extend(troubles),
        }
        inside::shared(loaded, &self.store, &self.inside, diagnostics);
        if let Some(turn) = self.store.trust().turn {
            let names = self.store.authorities().join(" to ");
            let step = format!("step {} of 3: {}", turn.phase.number(), turn.phase.in_words());
            let why = format!("a change of authority is under way, from {names}; {step}");
            diagnostics
                .push(Diagnostic::warning("authority-changes", why).help("go on with it: reemo-infra certs rotate-ca"));
        }
    }

    /// The passphrase that opens it.
    pub fn passphrase(&self) -> Passphrase {
        source(&self.passphrase)
    }

    /// Makes the folder: only an apply that is about to use it does.
    pub fn create(&mut self, now: Timestamp) -> Result<(), Exit> {
        let passphrase = source(&self.passphrase);
        let store = match self.inside.authority()? {
            NewAuthority::Ours => Store::create(&self.folder, &passphrase, now),
            NewAuthority::External { cert_pem, key_pem } => {
                Store::import(&self.folder, &passphrase, &cert_pem, &key_pem, now)
            }
            NewAuthority::Provided { anchors_pem } => Store::create_provided(&self.folder, &passphrase, &anchors_pem),
        }?;
        store.give(self.inside.leaves.clone());
        self.store = Arc::new(store);
        Ok(())
    }
}

/// The operator's file, or a key of ours in the configuration directory: apart from what it opens.
fn source(file: &Option<PathBuf>) -> Passphrase {
    match file {
        Some(path) => Passphrase::File(path.clone()),
        None => {
            let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
            let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
            Passphrase::KeyFile(config.unwrap_or_else(|| home().join(".config")).join("reemo-infra/pki.key"))
        }
    }
}

/// `.reemo/<name>` beside the inventory.
fn beside(inventory: &[String]) -> PathBuf {
    let first = inventory.first().cloned().unwrap_or_default();
    let path = PathBuf::from(first);
    let dir = path.parent().map(PathBuf::from).unwrap_or_default();
    let stem = path.file_stem().map_or_else(|| "site".into(), |s| s.to_string_lossy().into_owned());
    dir.join(".reemo").join(stem)
}

/// Reads and checks everything. Warnings are printed; errors end the program with code 3.
pub fn read(inventory: &InventoryOptions, connect: &ConnectOptions) -> Result<Ready, Exit> {
    prepare(inventory, connect, false)
}

/// The same for a run that may issue certificates.
pub fn to_write(inventory: &InventoryOptions, connect: &ConnectOptions) -> Result<Ready, Exit> {
    prepare(inventory, connect, true)
}

/// Variables and certificates alone: a certificate that has ended is no error here.
pub fn certificates(inventory: &InventoryOptions) -> Result<(Loaded, Pki), Exit> {
    let mut diagnostics = Diagnostics::new();
    let loaded = load::load(inventory, &ConnectOptions::default(), &mut diagnostics)?;
    stop_on_errors(&loaded, &mut diagnostics)?;
    let pki = Pki::open(inventory, Timestamp::now(), false)?;
    Ok((loaded, pki))
}

/// Variables and certificates, with what the inventory says of the authority.
pub fn authority(inventory: &InventoryOptions) -> Result<(Loaded, Pki), Exit> {
    let now = Timestamp::now();
    let mut diagnostics = Diagnostics::new();
    let loaded = load::load(inventory, &ConnectOptions::default(), &mut diagnostics)?;
    stop_on_errors(&loaded, &mut diagnostics)?;
    let mut pki = Pki::open(inventory, now, true)?;
    pki.read_inside(&loaded, now, &mut diagnostics);
    stop_on_errors(&loaded, &mut diagnostics)?;
    Ok((loaded, pki))
}

/// Code 3, with the place it is about.
pub fn invalid(loaded: &Loaded, error: Diagnostic) -> Exit {
    rendered(loaded, &mut Diagnostics::from(error))
}

fn rendered(loaded: &Loaded, diagnostics: &mut Diagnostics) -> Exit {
    diagnostics.attach(&loaded.texts);
    Exit::invalid(diagnostics.render())
}

fn prepare(inventory: &InventoryOptions, connect: &ConnectOptions, write: bool) -> Result<Ready, Exit> {
    let now = Timestamp::now();
    let mut diagnostics = Diagnostics::new();
    let loaded = load::load(inventory, connect, &mut diagnostics)?;
    if diagnostics.has_errors() {
        look_further(&loaded, now, &mut diagnostics);
    }
    stop_on_errors(&loaded, &mut diagnostics)?;
    let mut pki = Pki::open(inventory, now, write)?;
    pki.read_inside(&loaded, now, &mut diagnostics);
    stop_on_errors(&loaded, &mut diagnostics)?;
    pki.inside.agrees(&pki.store)?;
    let site = site::build(&loaded, &pki.store, now, &mut diagnostics);
    stop_on_errors(&loaded, &mut diagnostics)?;
    warn(&loaded, diagnostics);
    Ok(Ready { loaded, site: Arc::new(site), pki, prune: false })
}

/// Certificates, logins and what clusters have together are looked at although something is wrong already, so that
/// all of it is said at once. What may only follow from the first errors is left out.
fn look_further(loaded: &Loaded, now: Timestamp, diagnostics: &mut Diagnostics) {
    // Nobody is asked for a password on the way to an error.
    let asks = loaded.connect.ask_pass || loaded.connect.ask_become_pass;
    let whole = diagnostics.errors().all(|d| !d.code.starts_with("inventory") && !d.code.starts_with("yaml"));
    let Ok(store) = Store::ephemeral(None, now) else { return };
    if asks || !whole {
        return;
    }
    let mut more = Diagnostics::new();
    site::build(loaded, &Arc::new(store), now, &mut more);
    for problem in more {
        let own =
            matches!(problem.code, "certificate" | "hmac-missing" | "platform-once" | "connection" | "ssh-config");
        let known = problem.place.is_some() && diagnostics.iter().any(|d| d.place == problem.place);
        if own && !known {
            diagnostics.push(problem);
        }
    }
}

impl Ready {
    /// What a check that found nothing says.
    pub fn nothing_wrong(&self) -> String {
        let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        let (hosts, clusters) = (count(self.site.hosts.len(), "host"), count(self.site.clusters.len(), "cluster"));
        format!("{hosts} in {clusters}: nothing wrong found")
    }

    /// `--prune`, for all clusters.
    pub fn prune(&mut self, prune: bool) {
        self.prune = prune;
        // Nobody else holds a site that was just made.
        for cluster in Arc::get_mut(&mut self.site).into_iter().flat_map(|s| s.clusters.values_mut()) {
            cluster.settings.prune = prune;
        }
    }

    /// The site again, after the certificates were made.
    pub fn rebuild(&mut self) -> Result<(), Exit> {
        let mut diagnostics = Diagnostics::new();
        let site = site::build(&self.loaded, &self.pki.store, Timestamp::now(), &mut diagnostics);
        stop_on_errors(&self.loaded, &mut diagnostics)?;
        self.site = Arc::new(site);
        self.prune(self.prune);
        Ok(())
    }
}

fn stop_on_errors(loaded: &Loaded, diagnostics: &mut Diagnostics) -> Result<(), Exit> {
    if !diagnostics.has_errors() {
        return Ok(());
    }
    diagnostics.sort();
    Err(rendered(loaded, diagnostics))
}

fn warn(loaded: &Loaded, mut diagnostics: Diagnostics) {
    diagnostics.attach(&loaded.texts);
    let mut printer = output::printer(&OutputArgs::default());
    for warning in diagnostics.warnings() {
        printer.note(&warning.render());
    }
}
