//! From inventory, roles and certificates to the site a run works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use reemo_model::diag::{Diagnostic, Diagnostics};
use reemo_model::inventory::{Cluster, Environment};
use reemo_model::op::RegistryAuth;
use reemo_model::secret::{Blob, Secret};
use reemo_model::template::{Engine, Scope, Value, from_json};
use reemo_model::vars::{Layer, Vars};
use reemo_model::wanted::{ClusterShape, Node, Render, Wanted, WantedService, plain, render, truthy};
use reemo_pki::Store;
use reemo_resource::host::COPIES;
use reemo_resource::swarm::material::Material;
use serde_json::{Value as Json, json};

use super::load::Loaded;
use super::render::ClusterScope;
use super::{filter, initial, once, portal_certs, supply, target};
use crate::engine::external::{External, Identity, Tls};
use crate::engine::site::{ClusterSite, HostSite, Settings, Site, Supply};
use crate::engine::trust::Trusted;

/// Name and user of the internal database; the vendor's are not public.
const INTERNAL_DATABASE: &str = "reemo";

/// Builds the site. Problems are collected in `diagnostics`; the site is whole only if it has no errors.
pub fn build(loaded: &Loaded, store: &Arc<Store>, now: Timestamp, diagnostics: &mut Diagnostics) -> Site {
    let mut clusters = IndexMap::new();
    let mut hosts = IndexMap::new();
    once::check(loaded, store, diagnostics);
    let owners = once::database_owners(loaded, store);
    for cluster in &loaded.clusters {
        let Some(first) = cluster.hosts.first() else { continue };
        let scope = scope(loaded, store, first);
        let problems = diagnostics.errors().count();
        let shape = ClusterShape { database_of: owners.get(&cluster.name).cloned(), ..shape(loaded, store, cluster) };
        match cluster_site(loaded, store, first, scope.clone(), &shape, now) {
            Ok(site) => {
                let value = |name: &str| scope.get_json(name).ok().flatten();
                diagnostics.extend(filter::covers_bridge(loaded, cluster, &value).into_iter().collect());
                diagnostics.extend(one_copy(loaded, cluster, &site.wanted).into_iter().collect());
                if site.wanted.services.iter().any(|s| s.job.is_some()) {
                    diagnostics.extend(initial::too_late(loaded, cluster, site.settings.init_db).into_iter().collect());
                }
                clusters.insert(cluster.name.clone(), site);
            }
            Err(errors) if diagnostics.errors().count() == problems => {
                errors.into_iter().for_each(|error| diagnostics.push(error));
            }
            Err(_) => {}
        }
        for host in &cluster.hosts {
            let scope = self::scope(loaded, store, host);
            match target::of(loaded, &scope, host) {
                Ok(target) => {
                    let advertise = scope.get_json("SWARM_ADVERTISE_ADDR").ok().flatten().map(|v| plain(&v));
                    let in_run = loaded.limit.as_ref().is_none_or(|l| l.contains(host));
                    let (cluster, worker) = (cluster.name.clone(), cluster.workers.contains(host));
                    hosts.insert(host.clone(), HostSite { cluster, target, advertise, worker, in_run });
                }
                Err(problem) => diagnostics.push(problem),
            }
        }
    }
    Site { clusters, hosts }
}

/// A cluster's hosts.
pub fn shape(loaded: &Loaded, store: &Arc<Store>, cluster: &Cluster) -> ClusterShape {
    let node = |host: &String| Node {
        name: host.clone(),
        address: address_of(loaded, store, host),
        worker: cluster.workers.contains(host),
    };
    ClusterShape {
        name: cluster.name.clone(),
        environment: cluster.environment.word().to_owned(),
        nodes: cluster.hosts.iter().map(node).collect(),
        database_of: None,
    }
}

/// The database a host's cluster works on: see [`database`].
pub fn database_of(loaded: &Loaded, store: &Arc<Store>, host: &str) -> Result<Json, Diagnostic> {
    database(&variables(loaded, store, host), store)
}

/// `TRAEFIK_SSL_CERTS` as a host's cluster sees it.
pub fn portal_certificates(loaded: &Loaded, store: &Arc<Store>, host: &str) -> Result<Option<Json>, Diagnostic> {
    variables(loaded, store, host).get("TRAEFIK_SSL_CERTS")
}

/// A host's variables, with the functions that roles may use.
pub fn scope(loaded: &Loaded, store: &Arc<Store>, host: &str) -> Scope {
    // The functions of another store: one that was opened after the first look.
    let engine = match loaded.engine.get() {
        Some((of, engine)) if Arc::ptr_eq(of, store) => engine.clone(),
        Some(_) => engine(loaded, store),
        None => loaded.engine.get_or_init(|| (store.clone(), engine(loaded, store))).1.clone(),
    };
    Scope::new(&engine, loaded.vars.of_host(host))
}

fn engine(loaded: &Loaded, store: &Arc<Store>) -> Engine {
    let store = store.clone();
    Engine::in_world(loaded.outside.clone(), move |env| {
        let (store, leaves) = (store.clone(), store.clone());
        env.add_function("generated", move |name: String| {
            let secret = store.generated(&name);
            secret.expose_str().unwrap_or_default().to_owned()
        });
        env.add_function("inside", move |service: String| from_json(&inside(&leaves, &service)));
        env.add_function("truthy", |value: Value| truthy(&reemo_model::template::to_json(&value)));
    })
}

/// The certificate of a service for templates: `pem` (key, certificate and intermediate ones), `ca` (what peers are held
/// against), `mark` (other whenever one of the two is). One that is missing is said with the other services'.
fn inside(store: &Store, service: &str) -> Json {
    let Ok(leaf) = store.leaf(service, &[], Timestamp::now()) else { return json!({"pem": "", "ca": "", "mark": ""}) };
    let pem = format!("{}{}", leaf.key.expose_str().unwrap_or_default(), leaf.cert_pem);
    let mark = store.keyed_hash(format!("{pem}{}", store.ca_pem()).as_bytes());
    // Of a store in memory, everything is another one the next time.
    let mark = if store.is_provisional() { "not issued yet" } else { &mark };
    json!({"pem": pem, "ca": store.ca_pem(), "mark": mark})
}

pub(super) fn address_of(loaded: &Loaded, store: &Arc<Store>, host: &str) -> String {
    let said = scope(loaded, store, host).get_json("ansible_host").ok().flatten();
    said.map_or_else(|| host.to_owned(), |v| plain(&v))
}

fn cluster_site(
    loaded: &Loaded,
    store: &Arc<Store>,
    host: &str,
    scope: Scope,
    shape: &ClusterShape,
    now: Timestamp,
) -> Result<ClusterSite, Diagnostics> {
    let one = |e: String| Diagnostic::error("role", format!("{}: {e}", shape.name));
    let variables = Variables { vars: &loaded.vars, host, scope: ClusterScope(scope.clone()) };
    let db = database(&variables, store)?;
    let (certs, url) = (variables.get("TRAEFIK_SSL_CERTS")?, variables.text("PORTAL_URL")?);
    let written = loaded.vars.find(host, "TRAEFIK_SSL_CERTS");
    let certs = portal_certs::read(certs.as_ref(), written.as_ref(), url.as_deref(), now)?;
    let mut settings = settings(&variables)?;
    settings.supply = supply::read(loaded, store, &variables)?;
    // Portals, relays and farms have none, whatever stands in `all`.
    if matches!(shape.environment.as_str(), "infra" | "api") {
        settings.external = external(&variables, &db, store, now)?;
    }
    if variables.flag("API_MAIL_ACTIVE")? && variables.text("EXIM_SMARTHOST")?.is_none() {
        let why = "API_MAIL_ACTIVE needs EXIM_SMARTHOST: mail goes through a server of yours";
        let help = "add `EXIM_SMARTHOST: \"mail.example.org::587\"`, and EXIM_PASSWORD if it asks for a login";
        return Err(variables.wrong("API_MAIL_ACTIVE", why).help(help).into());
    }
    let mut scope = scope.with("db", from_json(&db)).with("traefik_certs", from_json(&certs));
    if shape.environment == "portal" && variables.get("API_IP")?.is_none() {
        scope = scope.with("API_IP", from_json(&addresses(loaded, store, Environment::Api)));
    }
    if matches!(shape.environment.as_str(), "infra" | "api") {
        if variables.get("RELAYS_IP")?.is_none() && has(loaded, Environment::Relayws) {
            scope = scope.with("RELAYS_IP", from_json(&addresses(loaded, store, Environment::Relayws)));
        }
        if let Some(farms) = farms(loaded, store, variables.get("INIT_PROVISION")?) {
            scope = scope.with("INIT_PROVISION", from_json(&farms));
        }
    }
    let scope = ClusterScope(scope);
    shared_secret(loaded, shape, &scope)?;
    let rendered = render(&loaded.catalogue, shape, &scope);
    let wanted = rendered.map_err(|errors| errors.into_iter().map(one).collect::<Diagnostics>())?;
    settings.gluster = gluster(&variables, shape, &wanted)?;
    let materials = materials(&wanted, store, now).map_err(one)?;
    let trust = store.trust_mark().map(|mark| Trusted { mark, floor: store.trust().floor });
    let site = ClusterSite { wanted, materials, settings, site_id: store.site_id(), trust };
    supply::covers(&variables, &site)?;
    Ok(site)
}

/// Portals and api on different Swarms prove themselves to each other with a secret both are given.
fn shared_secret(loaded: &Loaded, shape: &ClusterShape, scope: &ClusterScope) -> Result<(), Diagnostic> {
    let split = loaded.clusters.iter().any(|c| c.environment.word() == "portal");
    let concerned = split && matches!(shape.environment.as_str(), "portal" | "api");
    if !concerned || scope.variable("HMACSECRET").is_ok_and(|v| v.is_some()) {
        return Ok(());
    }
    Err(Diagnostic::error("hmac-missing", format!("{}: HMACSECRET is not set", shape.name))
        .help("portals and api are on different Swarms here: set HMACSECRET once, under `all: vars:`"))
}

fn has(loaded: &Loaded, environment: Environment) -> bool {
    loaded.platform.iter().any(|c| c.environment == environment)
}

/// `API_IP` and `RELAYS_IP` where nobody says: the hosts of those clusters.
fn addresses(loaded: &Loaded, store: &Arc<Store>, environment: Environment) -> Json {
    let hosts = loaded.platform.iter().filter(|c| c.environment == environment).flat_map(|c| &c.hosts);
    hosts.map(|h| json!({"ip": address_of(loaded, store, h)})).collect()
}

/// `INIT_PROVISION` with the farms of this inventory: those it does not name are added, and a farm without addresses has
/// those of its managers. `None`: there is nothing to add.
fn farms(loaded: &Loaded, store: &Arc<Store>, said: Option<Json>) -> Option<Json> {
    let mut all = match said {
        Some(Json::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    for farm in loaded.platform.iter().filter(|c| c.environment == Environment::Provision) {
        let managers = farm.hosts.iter().filter(|h| !farm.workers.contains(h));
        let own: Json = managers.map(|h| json!({"ip": address_of(loaded, store, h)})).collect();
        let entry = all.entry(farm.name.clone()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.entry("ip").or_insert(own);
        }
    }
    (!all.is_empty()).then_some(Json::Object(all))
}

/// A host's variables as its cluster sees them.
pub fn variables<'a>(loaded: &'a Loaded, store: &Arc<Store>, host: &'a str) -> Variables<'a> {
    Variables { vars: &loaded.vars, host, scope: ClusterScope(scope(loaded, store, host)) }
}

/// A cluster's variables, with the place of each for what is wrong with it.
pub struct Variables<'a> {
    pub(super) vars: &'a Vars,
    pub(super) host: &'a str,
    scope: ClusterScope,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Result<Option<Json>, Diagnostic> {
        let value = self.scope.variable(name).map_err(|e| self.wrong(name, e))?;
        Ok(value.filter(|v| !v.is_null()))
    }

    /// A value as text; an empty one counts as none.
    pub fn text(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        Ok(self.get(name)?.map(|v| plain(&v)).filter(|s| !s.is_empty()))
    }

    fn flag(&self, name: &str) -> Result<bool, Diagnostic> {
        Ok(self.get(name)?.is_some_and(|v| truthy(&v)))
    }

    /// What is wrong with a variable, at its place.
    pub fn wrong(&self, name: &str, why: impl Into<String>) -> Diagnostic {
        Diagnostic::error("variable-value", why).at(self.vars.find(self.host, name).and_then(|d| d.place))
    }
}

/// `db`: the external database of the five `DB_*` variables, or the internal one.
fn database(variables: &Variables<'_>, store: &Store) -> Result<Json, Diagnostic> {
    let names = ["DB_USER", "DB_USER_PASSWORD", "DB_NAME", "DB_HOST", "DB_DIALECT"];
    let mut given = BTreeMap::new();
    for name in names {
        if let Some(value) = variables.get(name)? {
            given.insert(name, plain(&value));
        }
    }
    let port = variables.text("DB_PORT")?.unwrap_or_else(|| "3306".to_owned());
    match given.len() {
        0 => {
            let password = |variable: &str, generated: &str| -> Result<String, Diagnostic> {
                let made = || store.generated(generated).expose_str().unwrap_or_default().to_owned();
                Ok(variables.text(variable)?.unwrap_or_else(made))
            };
            let name = |variable: &str| -> Result<String, Diagnostic> {
                Ok(variables.text(variable)?.unwrap_or_else(|| INTERNAL_DATABASE.to_owned()))
            };
            Ok(json!({
                "internal": true, "host": "reemo_mysql", "port": "3306",
                "name": name("DB_INTERNAL_NAME")?, "user": name("DB_INTERNAL_USER")?,
                "password": password("DB_INTERNAL_USER_PASSWORD", "mysql_user")?,
                "root_password": password("DB_INTERNAL_ROOT_PASSWORD", "mysql_root")?,
            }))
        }
        5 => Ok(json!({
            "internal": false, "host": given["DB_HOST"], "port": port, "name": given["DB_NAME"],
            "user": given["DB_USER"], "password": given["DB_USER_PASSWORD"],
        })),
        _ => {
            let (there, missing): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|n| given.contains_key(n));
            let why = format!("an external database needs all five of {}", names.join(", "));
            let help =
                format!("add {}, or remove {} to use the internal database", missing.join(", "), there.join(", "));
            Err(variables.wrong(there[0], why).help(help))
        }
    }
}

/// How an external database is logged in to; `None`: it is the internal one.
fn external(
    variables: &Variables<'_>,
    db: &Json,
    store: &Store,
    now: Timestamp,
) -> Result<Option<External>, Diagnostic> {
    if db["internal"] == true {
        return Ok(None);
    }
    let part = |key: &str| db[key].as_str().unwrap_or_default().to_owned();
    let port = part("port").parse().map_err(|_| variables.wrong("DB_PORT", "DB_PORT is no port"))?;
    let tls = match variables.text("DB_TLS")?.as_deref() {
        Some("none") => Tls::None,
        Some("tls") => Tls::Encrypted,
        // Certificates of a store in memory are of an authority that nobody will ever know.
        _ if store.is_provisional() => Tls::Mutual(None),
        _ => {
            let leaf = store.leaf("reemo_api", &[], now);
            let leaf = leaf.map_err(|e| Diagnostic::error("certificates", format!("certificate of reemo_api: {e}")))?;
            let (cert, key) = (leaf.cert_pem.as_bytes().to_vec(), leaf.key.clone());
            Tls::Mutual(Some(Identity { cert, key, ca: store.ca_pem().as_bytes().to_vec() }))
        }
    };
    let password = Secret::new(part("password"));
    Ok(Some(External { host: part("host"), port, name: part("name"), user: part("user"), password, tls }))
}

/// Several servers, and the database on one of them: said, unless somebody chose it.
fn one_copy(loaded: &Loaded, cluster: &Cluster, wanted: &Wanted) -> Option<Diagnostic> {
    let host = cluster.hosts.first()?;
    let pinned = wanted.services.iter().any(|s| s.exec_query.is_some() && s.data_node);
    let chosen = loaded.vars.find(host, "DB_STORAGE").is_some_and(|d| d.layer != Layer::RoleDefault);
    if !pinned || chosen || cluster.hosts.len() < 2 {
        return None;
    }
    let why = format!("`{}`: the internal database lives on one of {} servers only", cluster.name, cluster.hosts.len());
    let help = "if that is meant, say `DB_STORAGE: \"local\"`; with a replicated /opt/reemo, `replicated`; or use an external database";
    let place = loaded.inventory.group(&cluster.name).and_then(|g| g.place.clone());
    Some(Diagnostic::warning("database-one-copy", why).at(place).help(help))
}

/// Does the directory of the internal database stand on a volume of ours? It takes three servers to hold one.
fn gluster(variables: &Variables<'_>, shape: &ClusterShape, wanted: &Wanted) -> Result<bool, Diagnostic> {
    let internal = wanted.services.iter().any(|s| s.exec_query.is_some());
    let asked = variables.text("DB_STORAGE")?.as_deref() == Some("gluster");
    if internal && asked && shape.nodes.len() < COPIES {
        let why = format!("{}: DB_STORAGE `gluster` needs {COPIES} servers at least", shape.name);
        let help = "with two, neither could tell whether the other is gone or only out of reach: say `local`, add a server, \
                    or replicate /opt/reemo yourself and say `replicated`";
        return Err(variables.wrong("DB_STORAGE", why).help(help));
    }
    let data = variables.text("DB_DATA_DIR")?.unwrap_or_default();
    if internal && asked && !data.starts_with("/opt/reemo/") {
        let why =
            format!("{}: with DB_STORAGE `gluster` the volume is /opt/reemo, and `{data}` is not on it", shape.name);
        return Err(variables
            .wrong("DB_DATA_DIR", why)
            .help("leave DB_DATA_DIR out, or name a directory below /opt/reemo"));
    }
    Ok(internal && asked)
}

fn settings(variables: &Variables<'_>) -> Result<Settings, Diagnostic> {
    let text = |name: &str| variables.text(name);
    let server = text("REGISTRY_URL")?.unwrap_or_default();
    let registry = match (text("REGISTRY_USERNAME")?, text("REGISTRY_PASSWORD")?) {
        (Some(username), Some(password)) => {
            Some(RegistryAuth { server: server.clone(), username, password: Secret::new(password) })
        }
        _ => None,
    };
    let registry_ca = match text("REGISTRY_CA_FILE")? {
        Some(path) => {
            let bytes = std::fs::read(&path).map_err(|e| {
                let help = "give a file on this machine with the certificate of the registry's authority";
                variables.wrong("REGISTRY_CA_FILE", format!("REGISTRY_CA_FILE: cannot read {path}: {e}")).help(help)
            })?;
            Some((server.split('/').next().unwrap_or_default().to_owned(), Blob::Plain(bytes)))
        }
        None => None,
    };
    let daemon = match variables.get("DOCKER_DAEMON_OPTIONS")? {
        Some(Json::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    Ok(Settings {
        install_docker: variables.flag("INSTALL_DOCKER")?,
        init_db: variables.flag("INIT_DB")?,
        prune: false,
        daemon,
        repo_url: text("DOCKER_REPO_URL")?,
        repo_key: text("DOCKER_REPO_KEY")?,
        registry,
        registry_ca,
        supply: Supply::default(),
        gluster: false,
        external: None,
        health: variables.flag("HEALTHCHECK_ENABLE")?,
        portal_url: text("PORTAL_URL")?,
    })
}

/// Secrets and configs of all services, certificates included, named by content.
fn materials(wanted: &Wanted, store: &Store, now: Timestamp) -> Result<Vec<Arc<Material>>, String> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for service in &wanted.services {
        let mut add = |target: &str, data: Blob, mode: u32| {
            let hash = store.keyed_hash(data.bytes());
            all.push(Arc::new(Material::new(&service.name, target, data, mode, &hash)));
        };
        match certificates(service, store, now) {
            Ok(files) => {
                for (name, content) in files {
                    match &service.tls_dir {
                        Some(folder) => add(&format!("{folder}/{name}"), Blob::Secret(content), 0o400),
                        None => add(name, Blob::Secret(content), 0o400),
                    }
                }
            }
            Err(why) => wrong.push(why),
        }
        for material in service.secrets.iter().chain(&service.configs) {
            add(&material.target, material.data.clone(), material.mode);
        }
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("\n")) }
}

fn certificates(service: &WantedService, store: &Store, now: Timestamp) -> Result<Vec<(&'static str, Secret)>, String> {
    let Some(kind) = service.tls else { return Ok(Vec::new()) };
    let leaf = store
        .leaf(&service.tls_name, &[], now)
        .map_err(|e| format!("certificate of {}: {e}: {}", service.tls_name, e.hint))?;
    if kind == reemo_model::catalogue::Tls::Hosts {
        return Ok(Vec::new());
    }
    let mut files = vec![
        ("tls.crt", Secret::unregistered(leaf.cert_pem.as_bytes())),
        ("tls.key", leaf.key.clone()),
        ("ca.crt", Secret::unregistered(store.ca_pem())),
    ];
    if kind == reemo_model::catalogue::Tls::Bundle {
        let mut pem = leaf.key.expose().to_vec();
        pem.extend_from_slice(leaf.cert_pem.as_bytes());
        files.push(("tls.pem", Secret::unregistered(pem)));
    }
    Ok(files)
}
