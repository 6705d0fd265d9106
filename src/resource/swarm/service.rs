//! A Swarm service: compared field by field with what is there, changed by read-modify-write with the
//! version index. The schema job is a service too, with rules of its own: it must run once.

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op, RegistryAuth};
use reemo_model::wanted::WantedService;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fields::{Fields, compare, flatten};
use super::material::Material;
use super::observed::{SwarmObservation, number, repository, text};
use super::spec::{Pin, spec};
use super::{IMAGE, JOB_DONE, MANAGED, TRUST};

/// An image that nobody pulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What the nodes call it, `sha256:…`.
    pub id: String,
    /// What it is, `registry/name:tag@sha256:…`.
    pub name: String,
}

/// How a service that is there differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// Field by field.
    pub fields: Vec<FieldDiff>,
    /// Swarm replaces its copies to remove the difference. A copy that fits another placement stays.
    pub replaces: bool,
}

/// What a comparison needs beside the service itself.
pub struct Input<'a> {
    /// The service.
    pub service: &'a WantedService,
    /// Its secrets and configs.
    pub materials: Vec<&'a Material>,
    /// Digest of its image on the nodes, if it is there.
    pub digest: Option<String>,
    /// Digest of its image in the registry, where that was asked.
    pub refreshed: Option<String>,
    /// Its image on the nodes, where nobody pulls.
    pub carried: Option<Carried>,
    /// Which certificates folder it belongs to.
    pub site: &'a str,
    /// Which step of trust its certificates are of.
    pub trust: Option<&'a str>,
    /// Registry login kept with the service.
    pub auth: Option<RegistryAuth>,
    /// What is there.
    pub there: &'a SwarmObservation,
}

impl Input<'_> {
    /// The digest to run: the registry's where it was asked; else the deployed one while the tag stays the same; else
    /// the nodes'.
    fn wanted_digest(&self) -> Option<String> {
        if self.refreshed.is_some() {
            return self.refreshed.clone();
        }
        let deployed = self.there.service(&self.service.name).map(image_of).unwrap_or_default();
        match deployed.split_once('@') {
            Some((tagged, digest)) if tagged == self.service.image => Some(digest.to_owned()),
            _ => self.digest.clone(),
        }
    }

    /// The spec to post.
    pub fn spec(&self) -> Value {
        let digest = self.wanted_digest();
        let pin = match (&self.carried, &digest) {
            (Some(Carried { id, name }), _) => Pin::Id { id, name },
            (None, Some(digest)) => Pin::Digest(digest),
            (None, None) => Pin::Tag,
        };
        let mut spec = spec(self.service, &self.materials, pin, self.site);
        if let Some(mark) = self.trust.filter(|_| self.service.has_certificates()) {
            spec["Labels"][TRUST] = json!(mark);
        }
        spec
    }

    fn flat(&self, spec: &Value) -> Fields {
        flatten(spec, &|id| {
            let found = self.there.networks.iter().find(|n| text(n, &["Id"]) == id);
            found.map_or_else(|| id.to_owned(), |n| text(n, &["Name"]).to_owned())
        })
    }

    /// Compares and says what to do.
    pub fn diff(&self) -> Verdict {
        let mut wanted = self.spec();
        let Some(found) = self.there.service(&self.service.name) else {
            return self.change(Action::Create, self.created_fields(&wanted), self.create(wanted));
        };
        if found.pointer(&format!("/Spec/Labels/{MANAGED}")).is_none() {
            return Verdict::Refused {
                why: format!("a service `{}` is there that this tool did not make", self.service.name),
                hint:
                    "a platform installed by other means is taken over on request only: `reemo-infra adopt` says what \
                       that would mean, and changes nothing"
                        .into(),
            };
        }
        let spec_there = &found["Spec"];
        if self.service.job.is_some() {
            return self.job(found, wanted);
        }
        let fields = compare(&self.flat(spec_there), &self.flat(&wanted));
        if fields.is_empty() {
            return self.running(found);
        }
        keep_counter(spec_there, &mut wanted, false);
        self.change(Action::Update, fields, self.update(found, wanted))
    }

    /// How a service that is there differs, whoever made it. Our labels do not count.
    pub fn against(&self, found: &Value) -> Against {
        let (was, wanted) = (self.flat(&found["Spec"]), self.flat(&self.spec()));
        let replaces = |path: &str| {
            let of_copies = path.starts_with("TaskTemplate.") || path.starts_with("EndpointSpec.");
            of_copies && !path.starts_with("TaskTemplate.Placement.")
        };
        let mut paths = was.keys().chain(wanted.keys());
        let replaces = paths.any(|p| replaces(p) && was.get(p) != wanted.get(p));
        let mut fields = compare(&was, &wanted);
        fields.retain(|f| !f.field.starts_with("Labels.io.reemo."));
        Against { fields, replaces }
    }

    /// The spec is right; is it also running?
    fn running(&self, found: &Value) -> Verdict {
        let running = self.there.running(text(found, &["ID"]));
        if running >= self.there.possible(found) {
            return Verdict::Unchanged;
        }
        let (was, wanted) = (format!("{running}/{}", self.service.replicas), format!("{0}/{0}", self.service.replicas));
        self.change(Action::Run, vec![FieldDiff::new("running", Some(was), Some(wanted))], vec![])
    }

    /// The job runs when it never ran, when its last run is not known to have succeeded, or when its
    /// image or settings changed. `INIT_*` values only mean something while initialising.
    fn job(&self, found: &Value, mut wanted: Value) -> Verdict {
        let fingerprint = self.fingerprint(&wanted);
        let done = text(found, &["Spec", "Labels", JOB_DONE]);
        if done == fingerprint {
            return Verdict::Unchanged;
        }
        let same = self.fingerprint(&found["Spec"]) == fingerprint;
        let newest =
            self.there.tasks_of(text(found, &["ID"])).first().map(|t| text(t, &["Status", "State"]).to_owned());
        if same
            && newest
                .as_deref()
                .is_some_and(|s| !matches!(s, "failed" | "rejected" | "shutdown" | "orphaned" | "remove"))
        {
            // It runs, or ended well and we were killed before we could write that down.
            return self.change(Action::Run, vec![FieldDiff::new("run", newest, Some("complete".into()))], vec![]);
        }
        let mut fields: Vec<FieldDiff> = compare(&self.flat(&found["Spec"]), &self.flat(&wanted))
            .into_iter()
            .filter(|f| !f.field.starts_with("Env.INIT_") && !f.field.starts_with("Labels."))
            .collect();
        if fields.is_empty() {
            fields.push(FieldDiff::new("run", newest, Some("complete".into())));
        }
        keep_counter(&found["Spec"], &mut wanted, true);
        self.change(Action::Run, fields, self.update(found, wanted))
    }

    /// Identity of a job's run: its task, without `INIT_*`, counters and placement. Certificates change no schema: a run
    /// gets those of its day, and none is begun for them.
    pub fn fingerprint(&self, spec: &Value) -> String {
        let mut hash = Sha256::new();
        let mut task = spec["TaskTemplate"].clone();
        // The same image is the same, however it came to the nodes.
        task["ContainerSpec"]["Image"] = json!(image_in(spec));
        for (path, value) in self.flat(&task) {
            let certificate = ["tls.crt", "tls.key", "ca.crt"]
                .iter()
                .any(|f| path.starts_with(&format!("ContainerSpec.Secrets.{f}.")));
            if path.starts_with("ContainerSpec.Env.INIT_") || path.starts_with("Placement") || certificate {
                continue;
            }
            hash.update(path.as_bytes());
            hash.update([0]);
            hash.update(value.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    fn created_fields(&self, wanted: &Value) -> Vec<FieldDiff> {
        let image = text(wanted, &["TaskTemplate", "ContainerSpec", "Image"]).to_owned();
        vec![
            FieldDiff::new("image", None, Some(image)),
            FieldDiff::new("replicas", None, Some(self.service.replicas.to_string())),
        ]
    }

    fn create(&self, spec: Value) -> Vec<Op> {
        vec![Op::Docker(DockerOp::ServiceCreate { spec, auth: self.auth.clone() })]
    }

    fn update(&self, found: &Value, spec: Value) -> Vec<Op> {
        vec![Op::Docker(DockerOp::ServiceUpdate {
            name: self.service.name.clone(),
            version: number(found, &["Version", "Index"]).unwrap_or_default(),
            spec,
            auth: self.auth.clone(),
        })]
    }

    fn change(&self, action: Action, fields: Vec<FieldDiff>, ops: Vec<Op>) -> Verdict {
        Verdict::Change(Change { action, fields, ops })
    }
}

/// `ForceUpdate` is Docker's restart counter: kept, or raised by one to run again.
fn keep_counter(there: &Value, wanted: &mut Value, raise: bool) {
    let counter = number(there, &["TaskTemplate", "ForceUpdate"]).unwrap_or_default() + u64::from(raise);
    if counter > 0 {
        wanted["TaskTemplate"]["ForceUpdate"] = json!(counter);
    }
}

/// Image reference of an observed service.
pub fn image_of(service: &Value) -> &str {
    image_in(&service["Spec"])
}

/// Image reference in a service's specification: where it is named by its id, what the label says that it is.
pub fn image_in(spec: &Value) -> &str {
    let image = text(spec, &["TaskTemplate", "ContainerSpec", "Image"]);
    let name = text(spec, &["Labels", IMAGE]);
    if image.starts_with("sha256:") && !name.is_empty() { name } else { image }
}

/// The release a service's specification deploys: its image's tag.
pub fn release_of(spec: &Value) -> &str {
    tag_of(image_in(spec))
}

/// Tag of an image reference; empty when it has none.
pub fn tag_of(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or(reference);
    reference.strip_prefix(repository(reference)).and_then(|t| t.strip_prefix(':')).unwrap_or("")
}
