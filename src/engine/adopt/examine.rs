//! What is there, held against what is wanted. Pure but for the names of configs, which a look does not ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reemo_model::change::Verdict;
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::observed::{SwarmObservation, at, text};
use reemo_resource::swarm::service::Against;
use reemo_resource::swarm::{ADOPTED, MANAGED};
use reemo_transport::Docker;
use serde_json::{Value, json};

use super::{First, Found, Left, Remark, Report, Said, Service, State, database};
use crate::engine::evaluate::View;
use crate::engine::fault::Fault;
use crate::engine::graph::TaskGraph;
use crate::engine::site::{ClusterSite, Site};
use crate::engine::task::{Task, What};
use crate::engine::world::World;

/// The maintenance page is part of what the first apply brings.
const AT_NIGHT: &str = "do the first apply when nobody works: the maintenance page comes with it, and not before";

/// One cluster that is examined.
pub(super) struct On<'a> {
    pub(super) site: &'a Site,
    graph: &'a TaskGraph,
    pub(super) world: &'a World,
    pub(super) name: &'a str,
    pub(super) there: &'a SwarmObservation,
    nothing: BTreeSet<String>,
}

impl On<'_> {
    pub(super) fn cluster(&self) -> &ClusterSite {
        &self.site.clusters[self.name]
    }

    pub(super) fn view(&self) -> View<'_> {
        View { site: self.site, world: self.world, changed: &self.nothing }
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.graph.tasks().filter(|t| t.cluster == self.name)
    }
}

/// Names of a Swarm's secrets and configs that this tool did not make, and of services that no role wants.
pub async fn left(docker: &Docker, there: &SwarmObservation, cluster: &ClusterSite) -> Result<Left, Fault> {
    let configs = docker.read("/configs").await.map_err(|e| Fault::docker("ask for the configs", &e))?;
    let strangers = |list: &[Value]| {
        let foreign = list.iter().filter(|o| {
            // Records of runs and the lock have labels of their own.
            let labels = at(o, &["Spec", "Labels"]).and_then(Value::as_object);
            !labels.is_some_and(|l| l.keys().any(|k| k.starts_with("io.reemo.")))
        });
        let mut names: Vec<String> = foreign.map(|o| text(o, &["Spec", "Name"]).to_owned()).collect();
        names.sort();
        names
    };
    let mut services = strangers(&there.services);
    services.retain(|name| cluster.wanted.services.iter().all(|w| w.name != *name));
    let configs = configs.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Left { services, secrets: strangers(&there.secrets), configs: strangers(configs) })
}

/// Examines all clusters.
pub fn examine(
    site: &Site,
    graph: &TaskGraph,
    world: &World,
    left: &BTreeMap<String, Left>,
    said: &BTreeMap<String, Said>,
) -> Vec<Report> {
    let none = (SwarmObservation::default(), Left::default(), Said::default());
    let mut reports = Vec::new();
    for name in site.clusters.keys() {
        // As it will be once it is adopted.
        let mut world = world.clone();
        if let Some(there) = world.swarms.get_mut(name) {
            there.configs.push(json!({"Spec": {"Name": ADOPTED, "Labels": {MANAGED: "true"}}}));
        }
        let there = world.swarms.get(name).unwrap_or(&none.0);
        let on = On { site, graph, world: &world, name, there, nothing: BTreeSet::new() };
        reports.push(one(&on, left.get(name).unwrap_or(&none.1), said.get(name).unwrap_or(&none.2)));
    }
    reports
}

fn one(on: &On<'_>, left: &Left, said: &Said) -> Report {
    let services: Vec<Service> = on.tasks().filter_map(|task| service(on, task)).collect();
    let foreign = services.iter().any(|s| s.found && !s.ours);
    let mut report = Report {
        name: on.name.to_owned(),
        environment: on.cluster().wanted.cluster.environment.clone(),
        state: if services.iter().any(|s| s.found) { State::Ours } else { State::Nothing },
        hosts: vec![],
        services,
        networks: vec![],
        database: None,
        certificates: said.certificates.clone(),
        left: left.clone(),
        mind: vec![],
        in_the_way: vec![],
    };
    hosts(on, &mut report);
    networks(on, &mut report);
    if !foreign {
        report.in_the_way.clear();
        return report;
    }
    let (database, mind, in_the_way) = database::look(on);
    report.mind.extend(mind);
    report.in_the_way.extend(in_the_way);
    report.in_the_way.extend(updating(on, &report.services));
    report.database = database;
    passwords(&mut report, said);
    trust(&mut report, said);
    report.state = if report.in_the_way.is_empty() { State::Adoptable } else { State::Refused };
    report
}

fn hosts(on: &On<'_>, report: &mut Report) {
    for (host, _) in on.site.hosts_of(on.name) {
        let mut found =
            if on.site.hosts[host].worker { "a worker of its Swarm" } else { "a manager of its Swarm" }.to_owned();
        for task in on.tasks().filter(|t| t.host.as_ref() == Some(host)) {
            if !matches!(task.what, What::Preflight | What::Engine | What::Member) {
                continue;
            }
            match on.view().verdict(task) {
                Verdict::Refused { why, hint } => {
                    found.clone_from(&why);
                    report.in_the_way.push(Remark::new(why, hint));
                }
                Verdict::Change(_) if matches!(task.what, What::Member) => {
                    "not in the Swarm: the first apply joins it".clone_into(&mut found);
                }
                _ => continue,
            }
            break;
        }
        report.hosts.push(Found { name: host.clone(), found });
    }
}

fn networks(on: &On<'_>, report: &mut Report) {
    for task in on.tasks() {
        let What::Network { name, role } = &task.what else { continue };
        let found = match on.view().verdict(task) {
            Verdict::Unchanged
                if on.there.network(name).is_some_and(|n| n["Attachable"] == true) && !role.attachable =>
            {
                "there; containers may join it, which ours would not allow: it stays so".to_owned()
            }
            Verdict::Unchanged => "as wanted".to_owned(),
            Verdict::Refused { why, hint } => {
                report.in_the_way.push(Remark::new(why.clone(), hint));
                why
            }
            _ => {
                report.mind.extend(moved(on, &report.services, name));
                "missing: the first apply makes it".to_owned()
            }
        };
        report.networks.push(Found { name: name.clone(), found });
    }
}

/// Services that are on other networks go over one after the other.
fn moved(on: &On<'_>, services: &[Service], network: &str) -> Option<Remark> {
    let there = services.iter().filter(|s| s.found && !s.ours);
    let attached = |s: &Service| {
        let list = on.there.service(&s.name).and_then(|f| at(f, &["Spec", "TaskTemplate", "Networks"]));
        let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|n| text(n, &["Target"]).to_owned()).collect::<Vec<_>>()
    };
    let ids: BTreeSet<String> = there.flat_map(attached).collect();
    let name = |id: &String| on.there.networks.iter().find(|n| text(n, &["Id"]) == id).map(|n| text(n, &["Name"]));
    let names: Vec<&str> = ids.iter().filter_map(name).collect();
    (!names.is_empty()).then(|| {
        Remark::new(
            format!(
                "the services are on {} and go over to {network} one after the other in the first apply; those that did and \
                 those that did not yet do not reach each other: users are interrupted from the database on until the portal",
                names.join(", ")
            ),
            AT_NIGHT,
        )
    })
}

fn service(on: &On<'_>, task: &Task) -> Option<Service> {
    let What::Service(wanted) = &task.what else { return None };
    let name = wanted.name.clone();
    let Some(found) = on.there.service(&name) else {
        let first_apply = First::Created;
        return Some(Service { name, found: false, ours: false, running: 0, differs: vec![], first_apply });
    };
    let against = on.view().input(task, wanted, on.there).against(found);
    let ours = at(found, &["Spec", "Labels", MANAGED]).is_some();
    let running = on.there.running(text(found, &["ID"]));
    let first_apply = first(wanted, &against, ours);
    Some(Service { name, found: true, ours, running, differs: against.fields, first_apply })
}

/// The order of an update is the one that is wanted: it goes with it.
fn first(wanted: &WantedService, against: &Against, ours: bool) -> First {
    match against {
        _ if wanted.job.is_some() && !ours => First::Runs,
        Against { replaces: true, .. } if wanted.update.order == "start-first" => First::Replaced,
        Against { replaces: true, .. } => First::Stopped,
        Against { fields, .. } if fields.is_empty() => First::Nothing,
        _ => First::Kept,
    }
}

/// An update that is under way ends first.
fn updating(on: &On<'_>, services: &[Service]) -> Vec<Remark> {
    let busy = |s: &&Service| {
        let state = on.there.service(&s.name).map(|f| text(f, &["UpdateStatus", "State"])).unwrap_or_default();
        matches!(state, "updating" | "rollback_started")
    };
    let remark = |s: &Service| Remark::new(format!("{} is being updated", s.name), "wait until that has ended");
    services.iter().filter(busy).map(remark).collect()
}

fn passwords(report: &mut Report, said: &Said) {
    let internal = report.database.as_ref().is_some_and(|d| d.internal);
    let unset: Vec<&str> = said.unset.iter().copied().filter(|v| internal || !v.starts_with("DB_")).collect();
    for (variables, what) in [
        (["DB_INTERNAL_USER_PASSWORD", "DB_INTERNAL_ROOT_PASSWORD"].as_slice(), "the database has passwords already"),
        (&["HMACSECRET"], "portals and api share a secret already"),
    ] {
        let missing: Vec<&str> = variables.iter().copied().filter(|v| unset.contains(v)).collect();
        if !missing.is_empty() {
            report.mind.push(Remark::new(
                format!("{what}; others would be made"),
                format!("set {} to what the role was given, in a vault file", missing.join(" and ")),
            ));
        }
    }
}

/// Services of two authorities do not talk to each other.
fn trust(report: &mut Report, said: &Said) {
    let replaced = report.services.iter().any(|s| s.found && !s.ours && s.first_apply != First::Nothing);
    if replaced && matches!(said.certificates.as_str(), "" | "auto") {
        report.mind.push(Remark::new(
            "certificates of the inside would come from a new authority of ours: in the first apply, services that have them \
             and services that still have the role's refuse each other, and users are interrupted from the database on until \
             the portal",
            match said.certificates.as_str() {
                "" => AT_NIGHT,
                _ => "adopt with the role's authority: CERT_MODE: external-ca with its CERT_CA_FILE and CERT_CA_KEY_FILE, or \
             CERT_MODE: provided with its certificates; after the first apply `certs rotate-ca` changes over to ours"
            },
        ));
    }
    let stopped: Vec<&str> = report.stopped().collect();
    if !stopped.is_empty() {
        let why = format!("the first apply stops these before it starts them again: {}", stopped.join(", "));
        report.mind.push(Remark::new(why, "what they do is away meanwhile; of the database and Traefik, users notice"));
    }
}
