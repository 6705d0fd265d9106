//! Another authority under a platform in memory: each step as an apply of its own, and at every moment of each step any two
//! services understand each other, whichever of them has been brought to it already.

mod support;

use std::collections::BTreeMap;

use reemo_infra::engine::apply::exit;
use reemo_infra::engine::trust;
use reemo_pki::{Mode, NewAuthority, Passphrase, Store, Way};
use reemo_resource::swarm::TRUST;
use serde_json::Value;
use support::platform::{Platform, failure};

fn store(platform: &Platform) -> Store {
    let folder = platform.folder.path();
    Store::open(&folder.join("pki"), &Passphrase::KeyFile(folder.join("passphrase"))).unwrap()
}

/// What a service shows, and what it holds others against.
#[derive(Clone, PartialEq)]
struct Has {
    shows: String,
    trusts: String,
    mark: String,
}

/// Contents by name: a Swarm does not give them back.
type Contents = BTreeMap<String, String>;

/// What the present step hands out, added to what earlier ones did.
fn learn(platform: &Platform, contents: &mut Contents) {
    for material in &platform.site(&[]).clusters["infra_manager"].materials {
        contents.insert(material.name.clone(), String::from_utf8_lossy(material.data.bytes()).into_owned());
    }
}

/// By service, of the secrets its spec names.
fn services(platform: &Platform, contents: &Contents) -> BTreeMap<String, Has> {
    let state = platform.swarm.state();
    let content = |name: &str| contents[name].clone();
    let mut all = BTreeMap::new();
    for service in &state.objects["services"] {
        let secrets =
            service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array().cloned().unwrap_or_default();
        let file = |target: &str| {
            let found = secrets.iter().find(|s| s["File"]["Name"] == target)?;
            found["SecretName"].as_str().map(content)
        };
        let name = service["Spec"]["Name"].as_str().unwrap().to_owned();
        let (Some(shows), Some(trusts)) = (file("tls.crt"), file("ca.crt")) else { continue };
        let mark = service["Spec"]["Labels"].get(TRUST).and_then(Value::as_str).unwrap_or_default().to_owned();
        // What is finished is nobody's peer, and is not begun again for a certificate.
        if name != "reemo_db" {
            all.insert(name, Has { shows, trusts, mark });
        }
    }
    assert!(all.len() > 8, "{:?}", all.keys());
    all
}

#[track_caller]
fn understood(before: &BTreeMap<String, Has>, after: &BTreeMap<String, Has>) {
    for (peer, one) in before.iter().chain(after) {
        for (name, other) in before.iter().chain(after) {
            assert!(reemo_pki::leads_to(one.shows.as_bytes(), &other.trusts), "{name} does not trust {peer}");
        }
    }
}

/// The gate before the first change lets the step pass.
fn gate(platform: &Platform) {
    let site = platform.site(&[]);
    let cluster = &site.clusters["infra_manager"];
    let with = cluster.wanted.services.iter().filter(|s| s.has_certificates()).map(|s| s.name.as_str()).collect();
    let there = platform.swarm.state().objects["services"].clone();
    assert_eq!(trust::compare(cluster.trust.as_ref(), &with, &there), Ok(()));
}

async fn roll_out(platform: &Platform, contents: &mut Contents) -> BTreeMap<String, Has> {
    let before = services(platform, contents);
    learn(platform, contents);
    gate(platform);
    platform.changes();
    let heard = platform.apply(&[], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let done = platform.changes();
    assert!(!done.iter().any(|c| c.contains("reemo_db") && c.contains("services")), "the schema job ran: {done:#?}");
    let after = services(platform, contents);
    understood(&before, &after);
    assert!(after.values().all(|has| has.mark == store(platform).trust_mark().unwrap()), "every service has the step");
    let heard = platform.plan(&[]).await;
    assert_eq!(heard.exit, exit::OK, "a second run has nothing to do");
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn step_by_step_to_another_authority() {
    let platform = Platform::installed().await;
    let mut contents = Contents::new();
    learn(&platform, &mut contents);
    let old = services(&platform, &contents);
    assert!(old.values().all(|has| has.mark.is_empty()), "nothing is written where there never was a change");
    store(&platform).begin(&NewAuthority::Ours, jiff::Timestamp::now()).unwrap();
    let first = roll_out(&platform, &mut contents).await;
    assert!(first.iter().all(|(name, has)| has.shows == old[name].shows && has.trusts != old[name].trusts));
    store(&platform).step(Way::On).unwrap();
    let second = roll_out(&platform, &mut contents).await;
    assert!(second.iter().all(|(name, has)| has.shows != old[name].shows && has.trusts == first[name].trusts));
    store(&platform).step(Way::On).unwrap();
    let third = roll_out(&platform, &mut contents).await;
    assert!(third.iter().all(|(name, has)| has.shows == second[name].shows && has.trusts != second[name].trusts));
    assert!(!reemo_pki::leads_to(old["reemo_api"].shows.as_bytes(), &third["reemo_api"].trusts), "the old one is out");
    store(&platform).step(Way::On).unwrap();
    assert_eq!(store(&platform).trust().mode, Mode::Auto);
    assert_eq!(platform.plan(&[]).await.exit, exit::OK, "the end of it changes nothing on the hosts");
}

#[tokio::test(flavor = "multi_thread")]
async fn and_back_from_the_second_step() {
    let platform = Platform::installed().await;
    let mut contents = Contents::new();
    learn(&platform, &mut contents);
    let old = services(&platform, &contents);
    store(&platform).begin(&NewAuthority::Ours, jiff::Timestamp::now()).unwrap();
    roll_out(&platform, &mut contents).await;
    store(&platform).step(Way::On).unwrap();
    roll_out(&platform, &mut contents).await;
    store(&platform).step(Way::Back).unwrap();
    roll_out(&platform, &mut contents).await;
    store(&platform).step(Way::Back).unwrap();
    let last = roll_out(&platform, &mut contents).await;
    assert!(last.iter().all(|(name, has)| has.trusts == old[name].trusts));
}
