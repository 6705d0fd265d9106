//! Every variable, one by one: set it, compile what is wanted, and see that it arrives where `tests/variables/rows.yml`
//! says, and that no other service is another one for it. What a platform then does with it is the end-to-end tests'
//! business.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use reemo_infra::engine::images::remote::digest_of;
use reemo_infra::engine::images::{all_references, tar};
use reemo_infra::engine::site::{ClusterSite, Site};
use reemo_model::bundle::{Bundle, CHECKSUM, DESCRIPTION, Image, SCHEMA, blob_path};
use reemo_model::secret::Blob;
use reemo_resource::swarm::fields::flatten;
use reemo_resource::swarm::spec::{Pin, spec};
use reemo_transport::fake::Net;
use serde::Deserialize;
use serde_json::Value;

/// A row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What is set, as `--extra-vars` takes it.
    set: BTreeMap<String, Value>,
    /// The inventory it is set over: a file of `tests/variables`; `infra` if not given.
    #[serde(default)]
    over: Option<String>,
    /// Variables both sides have, so that the one in question has something to act on.
    #[serde(default)]
    with: BTreeMap<String, Value>,
    /// By service: where in it. Every service that changes is named here, and no other.
    #[serde(default)]
    arrives: BTreeMap<String, Vec<String>>,
    /// Where in what a cluster is told beside its services.
    #[serde(default)]
    settings: Vec<String>,
    /// Why nothing arrives anywhere.
    #[serde(default)]
    nowhere: Option<String>,
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    variables: BTreeMap<String, serde_yaml::Value>,
}

type Fields = BTreeMap<String, String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("tests/variables/rows.yml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// Reads inventories into sites, all with the same certificates and passwords.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let now = jiff::Timestamp::now();
        let key = reemo_pki::Passphrase::KeyFile(folder.path().join("key"));
        let store = reemo_pki::Store::create(&folder.path().join("pki"), &key, now).unwrap();
        // Files that a variable may name.
        for name in ["portal", "other"] {
            let leaf = store.leaf(name, &["portal.example.org".into()], now).unwrap();
            fs::write(folder.path().join(format!("{name}.crt")), leaf.cert_pem.as_bytes()).unwrap();
            fs::write(folder.path().join(format!("{name}.key")), leaf.key.expose()).unwrap();
        }
        fs::write(folder.path().join("registry-ca.crt"), "the authority of a registry\n").unwrap();
        let stage = Stage { folder };
        let images = all_references(&stage.site("infra", &[]));
        fs::write(stage.folder.path().join("bundle.tar"), bundle(&images)).unwrap();
        stage
    }

    fn site(&self, over: &str, variables: &[&BTreeMap<String, Value>]) -> std::sync::Arc<Site> {
        let path = self.folder.path().join(format!("{over}.yml"));
        if !path.exists() {
            fs::copy(root().join("tests/variables").join(format!("{over}.yml")), &path).unwrap();
        }
        let folder = self.folder.path().display().to_string();
        let extra: Vec<String> = variables
            .iter()
            .filter(|v| !v.is_empty())
            .map(|v| serde_json::to_string(v).unwrap().replace("FOLDER", &folder))
            .collect();
        let pki = (self.folder.path().join("pki"), self.folder.path().join("key"));
        support::site_with(&path, &extra, &Net::new(), Some(pki))
    }
}

/// A bundle with these images, all of them the same few bytes.
fn bundle(references: &BTreeSet<String>) -> Vec<u8> {
    let digest = digest_of(b"blob");
    let image = |name: &String| Image {
        reference: name.clone(),
        digest: digest.clone(),
        manifest: digest.clone(),
        id: digest.clone(),
        ..Image::default()
    };
    let images = references.iter().map(image).collect();
    let blobs = [(digest.clone(), 4)].into();
    let described = serde_json::to_vec(&Bundle { schema: SCHEMA, images, blobs, ..Bundle::default() }).unwrap();
    let sum = digest_of(&described).replace("sha256:", "").into_bytes();
    let (mut bytes, place) = (Vec::new(), blob_path(&digest));
    for (path, content) in [(DESCRIPTION, described), (CHECKSUM, sum), (place.as_str(), b"blob".to_vec())] {
        bytes.extend(tar::header(path, content.len() as u64).unwrap());
        bytes.extend(&content);
        bytes.extend(vec![0; tar::padding(content.len() as u64)]);
    }
    bytes.extend(tar::end());
    bytes
}

fn text(blob: &Blob) -> String {
    String::from_utf8_lossy(blob.bytes()).into_owned()
}

/// Everything a service is, flat; by name, with the cluster's where there are several.
fn services(site: &Site) -> BTreeMap<String, Fields> {
    let mut all = BTreeMap::new();
    for (name, cluster) in &site.clusters {
        for (service, fields) in services_of(cluster) {
            let key = if site.clusters.len() > 1 { format!("{name}/{service}") } else { service };
            all.insert(key, fields);
        }
    }
    all
}

fn services_of(cluster: &ClusterSite) -> BTreeMap<String, Fields> {
    let mut all = BTreeMap::new();
    for service in &cluster.wanted.services {
        let materials: Vec<_> = cluster.materials.iter().filter(|m| m.service == service.name).collect();
        let spec = spec(service, &materials.iter().map(|m| &***m).collect::<Vec<_>>(), Pin::Tag, &cluster.site_id);
        let mut fields = Fields::new();
        for (path, value) in flatten(&spec, &str::to_owned) {
            let path = path.trim_start_matches("TaskTemplate.").trim_start_matches("ContainerSpec.").to_owned();
            // Their names change with their content, which stands below.
            if !path.starts_with("Secrets.") && !path.starts_with("Configs.") {
                fields.insert(path, value);
            }
        }
        for material in materials {
            let kind = if material.is_secret() { "secret" } else { "config" };
            fields.insert(format!("{kind} {}", material.target), text(&material.data));
        }
        for file in &service.files {
            let content = file.content.as_ref().map_or_else(|| "(absent)".to_owned(), text);
            fields.insert(format!("file {}", file.path), content);
        }
        for dir in &service.dirs {
            fields.insert(format!("dir {}", dir.path), dir.owner.clone());
        }
        for image in &service.warm_up {
            fields.insert(format!("image {image}"), "wanted".into());
        }
        all.insert(service.name.clone(), fields);
    }
    all
}

/// What the clusters are told beside their services.
fn settings(site: &Site) -> Fields {
    let mut fields = Fields::new();
    for (name, cluster) in &site.clusters {
        let s = &cluster.settings;
        let mut put = |key: &str, value: Option<String>| {
            let key = if site.clusters.len() > 1 { format!("{name}/{key}") } else { key.to_owned() };
            value.map(|v| fields.insert(key, v));
        };
        put("install_docker", Some(s.install_docker.to_string()));
        put("init_db", Some(s.init_db.to_string()));
        put("health", Some(s.health.to_string()));
        put("daemon", Some(Value::Object(s.daemon.clone()).to_string()));
        put("repo_url", s.repo_url.clone());
        put("repo_key", s.repo_key.clone());
        put("portal_url", s.portal_url.clone());
        let dump = cluster.wanted.services.iter().find_map(|s| s.dump.as_ref());
        put("dumps", dump.map(|d| format!("{} are kept", d.keep)));
        put("registry.server", s.registry.as_ref().map(|r| r.server.clone()));
        put("registry.username", s.registry.as_ref().map(|r| r.username.clone()));
        let password = s.registry.as_ref().and_then(|r| r.password.expose_str().map(str::to_owned));
        put("registry.password", password);
        put("mode", Some(s.supply.mode.word().to_owned()));
        let proxy = s.supply.proxy.as_ref();
        put("proxy", proxy.and_then(|p| p.url.expose_str().map(str::to_owned)));
        put("bundle", s.supply.bundle.as_ref().map(|b| b.path.display().to_string()));
        put("proxy.except", proxy.map(|p| p.except.join(",")));
        put("registry_ca", s.registry_ca.as_ref().map(|(server, ca)| format!("{server}: {}", text(ca))));
    }
    for (name, host) in &site.hosts {
        if let Some(address) = &host.advertise {
            fields.insert(format!("advertise {name}"), address.clone());
        }
    }
    fields
}

/// Holds `KEY = VALUE`, `KEY ~ PART` or `KEY gone` against two states of one thing.
fn holds(said: &str, before: &Fields, after: &Fields) -> Result<(), String> {
    let seen = |key: &str| format!("is {:?}, was {:?}", after.get(key), before.get(key));
    let changed = |key: &str| if before.get(key) == after.get(key) { Err(seen(key)) } else { Ok(()) };
    if let Some((key, value)) = said.split_once(" = ") {
        changed(key)?;
        return if after.get(key).map(String::as_str) == Some(value) { Ok(()) } else { Err(seen(key)) };
    }
    if let Some((key, part)) = said.split_once(" ~ ") {
        changed(key)?;
        let fits =
            after.get(key).is_some_and(|v| v.contains(part)) && !before.get(key).is_some_and(|v| v.contains(part));
        return if fits { Ok(()) } else { Err(seen(key)) };
    }
    match said.strip_suffix(" gone") {
        Some(key) if before.contains_key(key) && !after.contains_key(key) => Ok(()),
        Some(key) => Err(seen(key)),
        None => Err("not a line of the table".into()),
    }
}

fn check(stage: &Stage, row: &Row) -> Vec<String> {
    let over = row.over.as_deref().unwrap_or("infra");
    let (before, after) = (stage.site(over, &[&row.with]), stage.site(over, &[&row.with, &row.set]));
    let mut wrong = Vec::new();
    let (was, is) = (services(&before), services(&after));
    let all: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in all {
        let expected = row.arrives.get(name);
        match (was.get(name), is.get(name)) {
            (None, Some(fields)) => match expected {
                Some(lines) if lines.first().is_some_and(|l| l == "new") => {
                    for line in &lines[1..] {
                        if let Err(why) = holds(line, &Fields::new(), fields) {
                            wrong.push(format!("{name}: `{line}`: {why}"));
                        }
                    }
                }
                _ => wrong.push(format!("{name} is new")),
            },
            (Some(_), None) if expected.is_none_or(|l| l != &["gone"]) => wrong.push(format!("{name} is gone")),
            (Some(a), Some(b)) if a != b => {
                let differs: Vec<&String> = a.keys().chain(b.keys()).filter(|k| a.get(*k) != b.get(*k)).collect();
                match expected {
                    None => wrong.push(format!("{name} changed: {differs:?}")),
                    Some(lines) => {
                        for line in lines {
                            if let Err(why) = holds(line, a, b) {
                                wrong.push(format!("{name}: `{line}`: {why}; what differs: {differs:?}"));
                            }
                        }
                    }
                }
            }
            (Some(_), Some(_)) if expected.is_some() => wrong.push(format!("{name} did not change")),
            _ => {}
        }
    }
    for name in row.arrives.keys().filter(|n| !was.contains_key(*n) && !is.contains_key(*n)) {
        wrong.push(format!("there is no service {name}"));
    }
    let (was, is) = (settings(&before), settings(&after));
    for line in &row.settings {
        if let Err(why) = holds(line, &was, &is) {
            wrong.push(format!("settings: `{line}`: {why}"));
        }
    }
    if row.settings.is_empty() && was != is {
        wrong.push("the settings changed".into());
    }
    let silent = row.arrives.is_empty() && row.settings.is_empty();
    if silent != row.nowhere.is_some() {
        wrong.push("say where it arrives, or why nowhere".into());
    }
    wrong
}

#[test]
fn every_variable_arrives_where_it_should_and_nowhere_else() {
    let stage = Stage::new();
    let rows = rows();
    let mut failed = Vec::new();
    for row in &rows {
        let wrong = check(&stage, row);
        if !wrong.is_empty() {
            let set = serde_json::to_string(&row.set).unwrap();
            failed.push(format!("{set} over {}:\n  {}", row.over.as_deref().unwrap_or("infra"), wrong.join("\n  ")));
        }
    }
    assert!(failed.is_empty(), "{} of {} rows:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

/// Every variable of the vendor's document.
const DOCUMENT: &str = "\
    API_IP API_LICENSE API_MAIL_ACTIVE API_MAIL_BASEURL API_cronGhostContainersMinutes API_useAlternateLDAPHost \
    CRON_ENABLE DB_DIALECT DB_HOST DB_NAME DB_USER DB_USER_PASSWORD DOCKER_VERSION_API DOCKER_VERSION_APICRON \
    DOCKER_VERSION_APICRONLDAP DOCKER_VERSION_APICRONLOG DOCKER_VERSION_DB DOCKER_VERSION_EXIM4 \
    DOCKER_VERSION_HAPROXY DOCKER_VERSION_MYSQL DOCKER_VERSION_PORTAL DOCKER_VERSION_PROAPI \
    DOCKER_VERSION_PRORELAYAPI DOCKER_VERSION_SIGNAL DOCKER_VERSION_TRAEFIK DOCKER_VERSION_WS_RELAY_SERVER \
    EXIM_PASSWORD EXIM_SMARTHOST HEALTHCHECK_ENABLE HMACSECRET INIT_DB INIT_MINIMUM_PASSWORD_LENGTH \
    INIT_PASSWORD_REQUIRE_DIGITS INIT_PASSWORD_REQUIRE_LETTERS INIT_PASSWORD_REQUIRE_SPECIALCHAR INSTALL_DOCKER \
    MAINTENANCE_ENABLE PORTALADMIN_URL PORTALADMIN_URL_RESTRICT_IP PORTAL_TYPE PORTAL_URL PORTAL_URL_RESTRICT_IP \
    REGISTRY_ENV REGISTRY_PASSWORD REGISTRY_URL REGISTRY_USERNAME RELAYS_IP RELAYS_URL SYSLOG_FACILITY \
    SYSLOG_FACILITY_API SYSLOG_FACILITY_APICRON SYSLOG_FACILITY_APICRONCLOUD SYSLOG_FACILITY_APICRONLDAP \
    SYSLOG_FACILITY_APICRONLOG SYSLOG_FACILITY_DB SYSLOG_FACILITY_EXIM4 SYSLOG_FACILITY_HAPROXY \
    SYSLOG_FACILITY_MYSQL SYSLOG_FACILITY_PORTAL SYSLOG_FACILITY_PORTALADMIN SYSLOG_FACILITY_PROAPI \
    SYSLOG_FACILITY_PROCLOUDAPI SYSLOG_FACILITY_PRORELAYAPI SYSLOG_FACILITY_SIGNAL SYSLOG_FACILITY_STUN \
    SYSLOG_FACILITY_TRAEFIK TRAEFIK_PROMETHEUS_ENABLE TRAEFIK_SSL_CERTS";

/// The table has every variable of the document.
#[test]
fn no_variable_of_the_document_is_left_out() {
    let rows = rows();
    let set: BTreeSet<&str> = rows.iter().flat_map(|r| r.set.keys()).map(String::as_str).collect();
    let missing: Vec<&str> = DOCUMENT.split_whitespace().filter(|name| !set.contains(name)).collect();
    assert!(DOCUMENT.split_whitespace().count() > 60 && missing.is_empty(), "no row sets: {missing:?}");
}

/// The table has every variable that a role declares.
#[test]
fn no_variable_is_left_out() {
    let mut declared = BTreeSet::new();
    for entry in fs::read_dir(root().join("roles")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let role: Role = serde_yaml::from_str(&text).unwrap();
        declared.extend(role.variables.into_keys());
    }
    let rows = rows();
    let set: BTreeSet<&String> = rows.iter().flat_map(|r| r.set.keys()).collect();
    let missing: Vec<&String> = declared.iter().filter(|d| !set.contains(d)).collect();
    assert!(declared.len() > 80 && missing.is_empty(), "no row of tests/variables/rows.yml sets: {missing:?}");
}

/// The table would notice: a wrong place, a wrong value, one service too few, one too many.
#[test]
fn a_wrong_row_is_noticed() {
    let stage = Stage::new();
    let said = |row: &str| check(&stage, &serde_yaml::from_str::<Row>(row).unwrap()).len();
    let facility = "LogDriver.Options.syslog-facility";
    let row = |arrives: &str| said(&format!("set: {{SYSLOG_FACILITY_SIGNAL: local3}}\narrives: {arrives}"));
    let right = format!("{{reemo_signal1: [{facility} = local3], reemo_signal2: [{facility} = local3]}}");
    assert_eq!(row(&right), 0);
    assert_eq!(row(&right.replace("signal2: [", "api: [")), 2, "signal2 changed, api did not");
    assert_eq!(row(&right.replace("local3]}", "local4]}")), 1);
    assert_eq!(row(&right.replace(&format!("{facility} = local3]}}"), "User gone]}")), 1);
    assert_eq!(said("set: {INSTALL_DOCKER: 'true'}\nnowhere: nobody"), 1, "the settings changed");
}
