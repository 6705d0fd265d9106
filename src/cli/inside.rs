//! `CERT_MODE`: where the certificates of the inside come from, read from this machine and checked, each trouble with its
//! file, before the first connection. And whether that is what the certificates folder has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use reemo_model::diag::{Diagnostic, Diagnostics, shorten};
use reemo_model::secret::Secret;
use reemo_model::template::World;
use reemo_pki::{Expiry, Given, Mode, NewAuthority, Problem, State, Store, Unfit};
use serde_json::Value as Json;

use super::load::Loaded;
use super::portal_certs;
use super::prepare::Exit;
use super::site::{self, Variables};

const MODE: &str = "CERT_MODE";
const CA: &str = "CERT_CA_FILE";
const KEY: &str = "CERT_CA_KEY";
const KEY_FILE: &str = "CERT_CA_KEY_FILE";
const FOLDER: &str = "CERT_DIR";

/// What the inventory says.
#[derive(Default)]
pub struct Inside {
    /// `CERT_MODE`.
    pub mode: Mode,
    /// The certificates of `CERT_CA_FILE`.
    ca: Option<String>,
    /// The key, where it was given.
    key: Option<Secret>,
    /// Certificates of `CERT_DIR`, by service.
    pub leaves: BTreeMap<String, Given>,
}

/// Reads it. Warnings go to `diagnostics`.
pub fn read(
    loaded: &Loaded,
    store: &Arc<Store>,
    now: Timestamp,
    diagnostics: &mut Diagnostics,
) -> Result<Inside, Diagnostics> {
    let Some(host) = loaded.platform.iter().find_map(|c| c.hosts.first()) else { return Ok(Inside::default()) };
    let variables = site::variables(loaded, store, host);
    let mode = variables.text(MODE)?.and_then(|word| Mode::read(&word)).unwrap_or_default();
    let used: &[&str] = match mode {
        Mode::Auto => &[],
        Mode::ExternalCa => &[CA, KEY, KEY_FILE],
        Mode::Provided => &[CA, FOLDER],
    };
    for name in [CA, KEY, KEY_FILE, FOLDER].into_iter().filter(|name| !used.contains(name)) {
        if variables.text(name)?.is_some() {
            let place = loaded.vars.find(host, name).and_then(|d| d.place);
            let why = format!("`{name}` has no effect with {MODE}: {mode}");
            diagnostics.push(Diagnostic::warning("variable-without-effect", why).at(place));
        }
    }
    let from = From { loaded, variables, now };
    match mode {
        Mode::Auto => Ok(Inside::default()),
        Mode::ExternalCa => from.external(store),
        Mode::Provided => from.provided(diagnostics),
    }
}

/// Users' certificates of an authority that the inside trusts: whoever has one of those may talk to the services.
pub fn shared(loaded: &Loaded, store: &Arc<Store>, inside: &Inside, diagnostics: &mut Diagnostics) {
    // Nothing that exists was issued by a store in memory.
    let own = (!store.is_provisional()).then(|| store.ca_pem().to_owned());
    let anchors: Vec<&str> = own.as_deref().into_iter().chain(inside.ca.as_deref()).collect();
    for cluster in &loaded.clusters {
        let Some(host) = cluster.hosts.first() else { continue };
        let Ok(Some(Json::Array(pairs))) = site::portal_certificates(loaded, store, host) else { continue };
        for (index, pair) in pairs.iter().enumerate().filter(|(_, pair)| !portal_certs::is_remote(pair)) {
            // One that cannot be read is said where it is looked at.
            let pem = pair["cert_file"].as_str().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
            if anchors.iter().any(|anchors| reemo_pki::leads_to(&pem, anchors)) {
                let why =
                    format!("TRAEFIK_SSL_CERTS[{index}] comes from the authority that services trust among themselves");
                let place = loaded.vars.find(host, "TRAEFIK_SSL_CERTS").and_then(|d| d.place);
                let help = "have different authorities for inside and outside, as the vendor advises: whoever holds a \
                            certificate of this one may talk to every service";
                diagnostics.push(Diagnostic::warning("authority-shared", why).at(place).help(help));
            }
        }
    }
}

struct From<'a> {
    loaded: &'a Loaded,
    variables: Variables<'a>,
    now: Timestamp,
}

impl From<'_> {
    fn external(&self, store: &Store) -> Result<Inside, Diagnostics> {
        let (path, pem) = self.ca("the certificate of the site's CA, then those above it up to the root")?;
        let (inline, file) = (self.variables.text(KEY)?, self.variables.text(KEY_FILE)?);
        let (about, key) = match (inline, &file) {
            (Some(_), Some(_)) => {
                let why = format!("{KEY} and {KEY_FILE} are both set");
                return Err(self.wrong(KEY, why, "give the key once").into());
            }
            (Some(text), None) => (KEY, Some(Secret::new(text))),
            (None, Some(path)) => (KEY_FILE, Some(Secret::new(self.file(KEY_FILE, Path::new(path))?))),
            (None, None) => (KEY_FILE, None),
        };
        // A service's name stands for all: they have no dots, so a tree of names holds all of them or none.
        let exposed = key.as_ref().map(Secret::expose);
        let mut troubles = Diagnostics::new();
        for unfit in reemo_pki::check_ca(&pem, exposed, "reemo_api", self.now) {
            troubles.push(if unfit.is_about_key() {
                let shown = file.as_deref().map(|f| format!(": {}", shorten(f, 200))).unwrap_or_default();
                self.wrong(about, format!("{about}{shown}: {unfit}"), advice(&unfit))
            } else {
                self.wrong(CA, format!("{CA}: {}: {unfit}", path.display()), advice(&unfit))
            });
        }
        let ca = String::from_utf8_lossy(&pem).into_owned();
        // What the folder has opens with its own passphrase: the key itself is asked for once.
        let known = [false, true].iter().any(|next| store.is_authority(Mode::ExternalCa, Some(&ca), *next));
        if troubles.is_empty() && key.is_none() && !known {
            let why = format!("{MODE}: external-ca needs the key of {}", path.display());
            let help = format!(
                "add {KEY_FILE} (a file on this machine) or {KEY} (from a vault); once it is in the certificates folder, \
                 encrypted, the variable may go"
            );
            troubles.push(self.wrong(MODE, why, &help));
        }
        if troubles.is_empty() {
            Ok(Inside { mode: Mode::ExternalCa, ca: Some(ca), key, leaves: BTreeMap::new() })
        } else {
            Err(troubles)
        }
    }

    fn provided(&self, warnings: &mut Diagnostics) -> Result<Inside, Diagnostics> {
        let (path, pem) = self.ca("the root that your certificates lead to (and intermediate ones)")?;
        let mut troubles = Diagnostics::new();
        for unfit in reemo_pki::check_anchors(&pem, self.now) {
            troubles.push(self.wrong(CA, format!("{CA}: {}: {unfit}", path.display()), advice(&unfit)));
        }
        let ca = String::from_utf8_lossy(&pem).into_owned();
        let Some(folder) = self.variables.text(FOLDER)?.map(PathBuf::from) else {
            let help = format!("set {FOLDER} to a folder with SERVICE.crt and SERVICE.key of every service");
            troubles.push(self.wrong(MODE, format!("{MODE}: provided needs {FOLDER}"), &help));
            return Err(troubles);
        };
        let mut leaves = BTreeMap::new();
        for service in self.services(&folder)? {
            let (cert_path, key_path) = (folder.join(format!("{service}.crt")), folder.join(format!("{service}.key")));
            let read = (self.file(FOLDER, &cert_path), self.file(FOLDER, &key_path));
            let (cert, key) = match read {
                (Ok(cert), Ok(key)) => (cert, Secret::new(key)),
                (cert, key) => {
                    [cert.err(), key.err()].into_iter().flatten().for_each(|t| troubles.push(t));
                    continue;
                }
            };
            for problem in reemo_pki::check_given(&cert, key.expose(), &ca, &service, self.now) {
                let file = if is_about_key(&problem) { &key_path } else { &cert_path };
                troubles.push(self.wrong(
                    FOLDER,
                    format!("{}: {problem}", file.display()),
                    &expected(&problem, &service),
                ));
            }
            let ends = Expiry::of_pem(&service, &cert, self.now).filter(|e| e.state == State::Due);
            if let Some(ends) = ends {
                let why = format!("{}: the certificate ends in {} days", cert_path.display(), ends.days_left);
                let place = self.wrong(FOLDER, why.clone(), "").place;
                let warning = Diagnostic::warning("certificate-ends", why).at(place);
                warnings.push(warning.help("put another one in its place; the next apply hands it out"));
            }
            leaves.insert(service, Given { cert_pem: String::from_utf8_lossy(&cert).into_owned(), key_pem: key });
        }
        if troubles.is_empty() {
            Ok(Inside { mode: Mode::Provided, ca: Some(ca), key: None, leaves })
        } else {
            Err(troubles)
        }
    }

    /// Names of the pairs in the folder.
    fn services(&self, folder: &Path) -> Result<Vec<String>, Diagnostic> {
        let entries = std::fs::read_dir(folder).map_err(|e| {
            let why = format!("{FOLDER}: cannot read {}: {e}", folder.display());
            self.wrong(FOLDER, why, "give a folder on this machine with SERVICE.crt and SERVICE.key of every service")
        })?;
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let stem = |n: String| n.strip_suffix(".crt").or_else(|| n.strip_suffix(".key")).map(str::to_owned);
        // The authority's own may lie beside them.
        let mut names: Vec<String> = names.filter_map(stem).filter(|n| n != "ca" && !n.starts_with('.')).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn ca(&self, what: &str) -> Result<(PathBuf, Vec<u8>), Diagnostic> {
        let Some(path) = self.variables.text(CA)? else {
            let mode = self.variables.text(MODE)?.unwrap_or_default();
            let why = format!("{MODE}: {mode} needs {CA}");
            return Err(self.wrong(MODE, why, &format!("set {CA} to a file on this machine with {what}")));
        };
        let path = PathBuf::from(path);
        let pem = self.file(CA, &path)?;
        Ok((path, pem))
    }

    /// A file of this machine; one that is a vault is opened.
    fn file(&self, name: &str, path: &Path) -> Result<Vec<u8>, Diagnostic> {
        let failed = |why: String| {
            let help =
                "give a file on this machine; `{{ inventory_dir }}/…` is beside the inventory, wherever you stand";
            self.wrong(name, format!("{name}: {why}"), help)
        };
        let shown = path.display();
        self.loaded.outside.read(path).map_err(&failed)?.ok_or_else(|| failed(format!("there is no file {shown}")))
    }

    fn wrong(&self, name: &str, why: String, help: &str) -> Diagnostic {
        Diagnostic { code: "certificate", ..self.variables.wrong(name, why) }.help(help)
    }
}

impl Inside {
    /// Who is to issue.
    pub fn authority(&self) -> Result<NewAuthority, Exit> {
        match (self.mode, &self.ca, &self.key) {
            (Mode::Auto, ..) => Ok(NewAuthority::Ours),
            (Mode::ExternalCa, Some(ca), Some(key)) => {
                Ok(NewAuthority::External { cert_pem: ca.clone(), key_pem: key.clone() })
            }
            (Mode::Provided, Some(ca), _) => Ok(NewAuthority::Provided { anchors_pem: ca.clone() }),
            _ => Err(Exit::invalid(format!("{MODE}: {} needs {CA} and the key, {KEY_FILE} or {KEY}", self.mode))),
        }
    }

    /// Is this the authority of the store; with `next`, the one that a change is under way to?
    pub fn is_of(&self, store: &Store, next: bool) -> bool {
        store.is_authority(self.mode, self.ca.as_deref(), next)
    }

    /// A run works with the authority the folder has, or the one it is changing to. Another one would be understood by no
    /// service that runs.
    pub fn agrees(&self, store: &Store) -> Result<(), Exit> {
        if store.is_provisional() || self.is_of(store, false) || self.is_of(store, true) {
            return Ok(());
        }
        let (trust, names) = (store.trust(), store.authorities());
        let wanted = match self.mode {
            Mode::Auto => "an authority of ours".to_owned(),
            _ => format!("the authority of {CA}"),
        };
        Err(match trust.turn {
            None => Exit::refused(
                format!(
                    "{MODE} is {} now ({wanted}); the certificates folder has {} ({}), and services that run would not \
                     trust what comes of it",
                    self.mode, names[0], trust.mode
                ),
                "change over with `reemo-infra certs rotate-ca`, which loses no request; or put the variables back",
            ),
            Some(turn) => Exit::refused(
                format!(
                    "a change of authority is under way, from {} ({}) to {} ({}), and {MODE} is {} ({wanted})",
                    names[0],
                    trust.mode,
                    names.get(1).map_or("another one", String::as_str),
                    turn.to,
                    self.mode
                ),
                "put the variables back to one of the two, then `reemo-infra certs rotate-ca`, with --back to go back",
            ),
        })
    }
}

fn is_about_key(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::KeyNotPem | Problem::KeyEncrypted | Problem::KeyUnsupported | Problem::KeyMismatch { .. }
    )
}

/// What is expected of the certificate of a service.
fn expected(problem: &Problem, service: &str) -> String {
    match problem {
        Problem::HostNotCovered { .. } => {
            format!("services verify each other by name: the certificate needs the alternative name DNS:{service}")
        }
        Problem::NotOfAuthority { .. } => {
            format!("the file holds the certificate and then the intermediate ones up to (not with) a root of {CA}")
        }
        Problem::KeyEncrypted => {
            "services start by themselves, so nobody can type a passphrase; a vault may hold it".into()
        }
        Problem::Expired { .. } => "have a new certificate issued".into(),
        Problem::NotYetValid { .. } => "is the clock of this machine right? Otherwise wait for that day".into(),
        Problem::ChainOrder { .. } => "put the service's own certificate first, then each one's issuer".into(),
        Problem::CertificateNotPem => {
            "the file must begin with `-----BEGIN CERTIFICATE-----`: openssl x509 converts it".into()
        }
        _ => "openssl pkey -in KEY -pubout and openssl x509 -in CERT -noout -pubkey print the same for a pair".into(),
    }
}

fn advice(unfit: &Unfit) -> &'static str {
    match unfit {
        Unfit::NotPem => "the file must begin with `-----BEGIN CERTIFICATE-----`: openssl x509 converts it",
        Unfit::NotCa(_) | Unfit::MayNotSign(_) => {
            "give a certificate with basicConstraints CA:TRUE and keyUsage keyCertSign; openssl x509 -noout -text shows both"
        }
        Unfit::PathTooLong { .. } => "have the authority above issue one with a larger pathlen, or issue directly",
        Unfit::Ended { .. } => "have a new certificate issued",
        Unfit::NotYetValid { .. } => "is the clock of this machine right? Otherwise wait for that day",
        Unfit::Order { .. } => "put the issuing authority first, then each one's issuer, the root last",
        Unfit::NoRoot(_) => "add the certificates above it, the root last: OpenSSL trusts nothing less",
        Unfit::Names { .. } => {
            "services are called reemo_api and the like: have these names permitted, or none excluded"
        }
        Unfit::Purpose(_) => "every service is server and client: both, or no extendedKeyUsage at all",
        Unfit::Key(Problem::KeyEncrypted) => "give it without a passphrase: ansible-vault may encrypt the file instead",
        Unfit::Key(_) | Unfit::KeyCannotSign => {
            "openssl pkey -in KEY -pubout and openssl x509 -in CERT -noout -pubkey print the same for a pair"
        }
    }
}
