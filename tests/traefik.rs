//! What is written for Traefik, held against its own schemas (`tests/traefik`, from schemastore.org): v2.11 and v3, with
//! everything switched on and with as little as possible. That the real v3 loads it, the end-to-end tests show.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use reemo_infra::engine::site::Site;
use reemo_transport::fake::Net;
use serde_json::{Value, json};

const LITTLE: &str = "\
all: {vars: {API_LICENSE: eyJsaWNlbmNlIjogImRlbW8ifQ==}}
infra_manager: {hosts: {one: {ansible_host: 10.0.0.1}}}
relayws_manager: {hosts: {relays: {ansible_host: 10.0.0.2}}}
";

fn everything(folder: &Path) -> Value {
    let certs: Vec<Value> = ["portal", "admin"]
        .iter()
        .map(|n| {
            let path = |end: &str| folder.join(format!("{n}.{end}")).display().to_string();
            json!({"cert_file": path("crt"), "key_file": path("key")})
        })
        .collect();
    json!({
        "PORTAL_URL": "https://portal.example.org/", "PORTAL_URL_RESTRICT_IP": "10.1.1.1,10.2.2.0/24,2001:db8::/32",
        "PORTALADMIN_URL": "admin.example.org", "PORTALADMIN_URL_RESTRICT_IP": ["10.3.1.2"],
        "TRAEFIK_PROMETHEUS_ENABLE": "true", "MAINTENANCE_ENABLE": "true", "TRAEFIK_SSL_CERTS": certs, "SIGNAL_COUNT": 3,
    })
}

/// Path and parsed content of all that Traefik reads.
fn documents(site: &Site) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (cluster, parts) in &site.clusters {
        for material in parts.materials.iter().filter(|m| m.target.ends_with("traefik.yml")) {
            found.insert(format!("{cluster} {}", material.target), yaml(material.data.bytes()));
        }
        for file in parts.wanted.services.iter().flat_map(|s| &s.files).filter(|f| f.path.ends_with(".yml")) {
            if let Some(content) = &file.content {
                found.insert(format!("{cluster} {}", file.path), yaml(content.bytes()));
            }
        }
    }
    found
}

fn yaml(bytes: &[u8]) -> Value {
    serde_yaml::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traefik").join(name);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn problems(validator: &Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn schemas_accept_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let store = reemo_pki::Store::ephemeral(None, now).unwrap();
    for name in ["portal", "admin"] {
        let leaf = store.leaf(name, &["portal.example.org".into()], now).unwrap();
        fs::write(folder.path().join(format!("{name}.crt")), leaf.cert_pem.as_bytes()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), leaf.key.expose()).unwrap();
    }
    let inventory = folder.path().join("one.yml");
    fs::write(&inventory, LITTLE).unwrap();
    for (version, major) in [("v2.11", 2), ("v2.11.14-0123456789ab", 2), ("v3.0.4", 3), ("v3.7.15", 3)] {
        let (static_schema, dynamic) =
            (schema(&format!("traefik-v{major}.json")), schema(&format!("traefik-v{major}-file-provider.json")));
        for extra in [json!({}), everything(folder.path())] {
            let mut extra = extra;
            extra["DOCKER_VERSION_TRAEFIK"] = json!(version);
            let site = support::site(&inventory, &[extra.to_string()], &Net::new());
            let documents = documents(&site);
            let count = if extra.get("PORTAL_URL").is_some() { 8 } else { 6 };
            assert_eq!(documents.len(), count, "{:?}", documents.keys());
            for (path, mut document) in documents {
                // Newer than the schema, which was written for 3.0.
                if version == "v3.7.15" && path.ends_with("common.yml") {
                    let retry = document.pointer_mut("/http/middlewares/retry/retry").unwrap().as_object_mut().unwrap();
                    assert_eq!(retry.remove("retryNonIdempotentMethod"), Some(json!(true)));
                }
                let validator = if path.ends_with("traefik.yml") { &static_schema } else { &dynamic };
                let wrong = problems(validator, &document);
                assert!(wrong.is_empty(), "{path} for {version}: {wrong:#?}\n{document:#}");
            }
        }
    }
}

/// The schemas are strict: a word of v3 is none of v2, and a misspelt one of neither.
#[test]
fn schemas_refuse_what_is_wrong() {
    let list = |name: &str| json!({"http": {"middlewares": {"m": {name: {"sourceRange": ["10.0.0.0/8"]}}}}});
    let (v2, v3) = (schema("traefik-v2-file-provider.json"), schema("traefik-v3-file-provider.json"));
    assert!(problems(&v3, &list("ipAllowList")).is_empty());
    assert!(problems(&v2, &list("ipWhiteList")).is_empty());
    for validator in [&v2, &v3] {
        assert!(!problems(validator, &list("ipAlowList")).is_empty());
    }
    assert!(!problems(&schema("traefik-v3.json"), &json!({"entryPoints": {"web": {"adress": ":80"}}})).is_empty());
}
