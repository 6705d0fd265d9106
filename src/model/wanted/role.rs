//! From one role to the services it makes on a cluster, key by key.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    ClusterShape, Context, Render, WantedDir, WantedDump, WantedFile, WantedMaterial, WantedPair, WantedPort,
    WantedService, plain, truthy,
};
use crate::catalogue::{
    BindMount, Catalogue, Dump, Flag, HostFile, Limits, Material, On, Port, Published, Replicas, Role, Single,
    parse_size,
};
use crate::op::DumpWay;
use crate::options::{self, Copies, Options};
use crate::secret::{Blob, Secret};

pub(super) struct RoleRenderer<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) cluster: &'a ClusterShape,
    pub(super) with: &'a dyn Render,
    pub(super) role_name: &'a str,
    pub(super) role: &'a Role,
    /// `SERVICE_OPTIONS`, read.
    pub(super) options: &'a BTreeMap<String, Options>,
}

impl RoleRenderer<'_> {
    fn fail(&self, key: &str, why: impl std::fmt::Display) -> String {
        format!("roles/{}.yml: `{key}`: {why}", self.role_name)
    }

    fn text(&self, key: &str, template: &str, ctx: &Context) -> Result<String, String> {
        self.with.text(template, ctx).map_err(|e| self.fail(key, e))
    }

    fn holds(&self, key: &str, condition: Option<&str>, ctx: &Context) -> Result<bool, String> {
        match condition {
            None => Ok(true),
            Some(condition) => Ok(truthy(&self.with.value(condition, ctx).map_err(|e| self.fail(key, e))?)),
        }
    }

    fn flag(&self, key: &str, flag: &Flag, ctx: &Context) -> Result<bool, String> {
        match flag {
            Flag::Plain(plain) => Ok(*plain),
            Flag::Text(text) => self.holds(key, Some(text), ctx),
        }
    }

    fn items(&self, expression: &str, ctx: &Context) -> Result<Vec<Value>, String> {
        match self.with.value(expression, ctx).map_err(|e| self.fail("for_each", e))? {
            Value::Array(items) => Ok(items),
            other => Err(self.fail("for_each", format!("a list is needed, not `{other}`"))),
        }
    }

    /// Name and context of each service this role makes here.
    pub(super) fn instances(&self, base: &Context) -> Result<Vec<(String, Context)>, String> {
        let elsewhere = self.role.single == Some(Single::Database) && self.cluster.database_of.is_some();
        if elsewhere || !self.holds("when", self.role.when.as_deref(), base)? {
            return Ok(Vec::new());
        }
        let items = match &self.role.for_each {
            Some(expression) => self.items(expression, base)?.into_iter().map(Some).collect(),
            None => vec![None],
        };
        let mut found = Vec::new();
        for item in items {
            let mut ctx = base.clone();
            if let Some(item) = item {
                ctx.insert("item".into(), item);
            }
            let name = self.text("service", &self.role.service, &ctx)?;
            ctx.insert("service".into(), json!(name));
            found.push((name, ctx));
        }
        Ok(found)
    }

    pub(super) fn services(&self, base: &Context) -> Result<Vec<WantedService>, String> {
        self.instances(base)?.into_iter().map(|(name, ctx)| self.service(name, ctx)).collect()
    }

    fn service(&self, name: String, mut ctx: Context) -> Result<WantedService, String> {
        let role = self.role;
        let version = self.variable_text(&role.version)?.unwrap_or_default();
        let image = self.image(&role.image, &version)?;
        ctx.insert("image".into(), json!(image));
        let options = options::of(self.options, self.role_name, &name);
        let list = |key: &str, from: &[String]| -> Result<Vec<String>, String> {
            from.iter().map(|t| self.text(key, t, &ctx)).collect()
        };
        let resources = role.resources.clone().unwrap_or_default();
        let memory = |amounts: &Limits| -> Result<Option<u64>, String> {
            let Some(text) = &amounts.memory else { return Ok(None) };
            let text = self.text("resources", text, &ctx)?;
            parse_size(&text).map(Some).ok_or_else(|| self.fail("resources", format!("`{text}` is not a size")))
        };
        let cpus = |amounts: &Limits| amounts.cpus.map(|c| (c * 1e9) as i64);
        let mut constraints = list("constraints", &role.constraints)?;
        constraints.extend(options.constraints.iter().filter(|c| !role.constraints.contains(c)).cloned());
        let (replicas, max_per_node) = self.copies(&name, &options, &constraints)?;
        Ok(WantedService {
            role: self.role_name.to_owned(),
            stage: role.stage,
            tags: role.tags.clone(),
            after: list("after", &role.after)?.into_iter().filter(|a| !a.is_empty()).collect(),
            replicas,
            max_per_node,
            constraints,
            user: role.user.clone(),
            command: list("command", &role.command)?,
            args: list("args", &role.args)?,
            env: self.env(&options, &ctx)?,
            tls: role.tls,
            tls_name: match &role.tls_name {
                Some(template) => self.text("tls_name", template, &ctx)?,
                None => name.clone(),
            },
            tls_dir: role.tls_dir.clone(),
            warm_up: match &role.warm_up {
                Some(expression) => self.images(expression, &ctx)?,
                None => Vec::new(),
            },
            secrets: self.materials("secrets", &role.secrets, 0o400, &ctx)?,
            configs: self.materials("configs", &role.configs, 0o444, &ctx)?,
            files: self.files(&ctx)?,
            pairs: self.pairs(&ctx)?,
            page: self.page(&ctx)?,
            dirs: self.dirs(&ctx)?,
            mounts: self.mounts(&ctx)?,
            tmpfs: role.tmpfs.clone(),
            ports: self.ports(&ctx)?,
            networks: role.networks.clone(),
            hosts: list("hosts", &role.hosts)?,
            data_node: self.flag("data_node", &role.data_node, &ctx)?,
            healthcheck: role.healthcheck.clone(),
            update: role.update.clone(),
            stop_grace: role.stop_grace_period,
            facility: match &role.syslog {
                Some(variable) => self.variable_text(variable)?,
                None => None,
            },
            memory: options.memory.or(memory(&resources.limits)?),
            nano_cpus: options.nano_cpus.or(cpus(&resources.limits)),
            reserved_memory: options.reserved_memory.or(memory(&resources.reservations)?),
            reserved_nano_cpus: options.reserved_nano_cpus.or(cpus(&resources.reservations)),
            job: role.job.clone(),
            exec_query: match &role.exec_query {
                Some(query) => Some(list("exec_query", &query.argv)?),
                None => None,
            },
            dump: match &role.dump {
                Some(dump) => Some(self.dump(dump, &ctx)?),
                None => None,
            },
            name,
            image,
            version,
        })
    }

    fn image(&self, suffix: &str, version: &str) -> Result<String, String> {
        let [registry, prefix] = ["REGISTRY_URL", "REGISTRY_ENV"].map(|name| self.variable_text(name));
        Ok(format!("{}/{}{suffix}:{version}", registry?.unwrap_or_default(), prefix?.unwrap_or_default()))
    }

    fn dump(&self, dump: &Dump, ctx: &Context) -> Result<WantedDump, String> {
        let keep = self.variable_text(&dump.keep)?.unwrap_or_default();
        let keep = match keep.parse::<u64>() {
            Ok(keep) if keep > 0 => keep,
            _ => return Err(self.fail("dump", format!("`{}`: at least 1 is kept, not `{keep}`", dump.keep))),
        };
        let way = match self.holds("dump", Some(&dump.inside), ctx)? {
            true => DumpWay::Inside { service: dump.service.clone(), options: dump.options.clone() },
            false => {
                let version = self.variable_text(&dump.version)?.unwrap_or_default();
                let options = self.content("dump", &None, &Some(dump.template.clone()), ctx)?;
                DumpWay::Aside { image: self.image(&dump.image, &version)?, options: Secret::unregistered(options) }
            }
        };
        Ok(WantedDump { database: self.text("dump", &dump.database, ctx)?, way, keep })
    }

    /// Wanted copies, and how many a node may have.
    fn copies(&self, name: &str, options: &Options, constraints: &[String]) -> Result<(u64, u64), String> {
        let nodes = self.cluster.nodes_for(constraints);
        let spread = |n: u64| (n, n.div_ceil(nodes.max(1)).max(1));
        let (replicas, most) = match (options.copies, &self.role.replicas) {
            (Some(Copies::PerNode(n)), _) => (n * nodes, n),
            (Some(Copies::Total(n)), _) => spread(n),
            (None, Replicas::PerNode(n)) => (n * nodes, *n),
            (None, Replicas::Total(n)) => spread(*n),
            (None, Replicas::Job(_)) => (1, 1),
        };
        let most = options.max_per_node.unwrap_or(most);
        if replicas > most * nodes {
            return Err(format!(
                "`{}`: {name}: {replicas} copies do not fit on {nodes} nodes with {most} at most on each",
                options::NAME
            ));
        }
        Ok((replicas, most))
    }

    fn ports(&self, ctx: &Context) -> Result<Vec<WantedPort>, String> {
        let number = |port: &Port| match &port.published {
            Published::Number(number) => Ok(*number),
            Published::Text(template) => {
                let text = self.text("ports", template, ctx)?;
                text.trim().parse().map_err(|_| self.fail("ports", format!("`{text}` is no port")))
            }
        };
        let wanted = |port: &Port| {
            let (mode, protocol) = (port.mode.clone(), port.protocol.clone());
            Ok(WantedPort { target: port.target, published: number(port)?, mode, protocol })
        };
        self.role.ports.iter().map(wanted).collect()
    }

    fn images(&self, expression: &str, ctx: &Context) -> Result<Vec<String>, String> {
        let items = self.items(expression, ctx)?;
        Ok(items.iter().map(plain).filter(|i| !i.is_empty()).collect())
    }

    fn variable_text(&self, name: &str) -> Result<Option<String>, String> {
        let value = self.with.variable(name).map_err(|e| self.fail(name, e))?;
        Ok(value.filter(|v| !v.is_null()).map(|v| plain(&v)))
    }

    fn env(&self, options: &Options, ctx: &Context) -> Result<Vec<(String, String)>, String> {
        let mut env = BTreeMap::new();
        if let Some(prefix) = &self.role.extra_env {
            for (name, value) in self.with.with_prefix(prefix).map_err(|e| self.fail("extra_env", e))? {
                env.insert(name, plain(&value));
            }
        }
        for (name, template) in &self.role.env {
            let value = self.text(&format!("env.{name}"), template, ctx)?;
            if value.is_empty() {
                env.remove(name);
            } else {
                env.insert(name.clone(), value);
            }
        }
        for (name, value) in &options.extra_env {
            match value {
                Some(value) => drop(env.insert(name.clone(), value.clone())),
                None => drop(env.remove(name)),
            }
        }
        // A secret in the environment would be readable by anyone who may inspect the service.
        if let Some(name) = env.iter().find(|(_, v)| crate::secret::holds_secret(v)).map(|(n, _)| n) {
            return Err(self.fail(&format!("env.{name}"), "holds a secret; deliver it under `secrets:` instead"));
        }
        Ok(env.into_iter().collect())
    }

    fn content(
        &self,
        key: &str,
        content: &Option<String>,
        template: &Option<String>,
        ctx: &Context,
    ) -> Result<String, String> {
        match (content, template) {
            (Some(text), _) => self.text(key, text, ctx),
            (None, Some(path)) => {
                let source = self.catalogue.templates.get(path).map_or("", String::as_str);
                self.with.file(path, source, ctx).map_err(|e| self.fail(key, e))
            }
            (None, None) => Ok(String::new()),
        }
    }

    fn materials(&self, key: &str, from: &[Material], mode: u32, ctx: &Context) -> Result<Vec<WantedMaterial>, String> {
        let mut made = Vec::new();
        for material in from {
            let key = format!("{key}.{}", material.target);
            if !self.holds(&key, material.when.as_deref(), ctx)? {
                continue;
            }
            let text = self.content(&key, &material.content, &material.template, ctx)?;
            let secret = key.starts_with("secrets.");
            if !secret && crate::secret::holds_secret(&text) {
                return Err(self.fail(&key, "holds a secret; deliver it under `secrets:` instead"));
            }
            made.push(WantedMaterial {
                target: material.target.clone(),
                data: if secret { Blob::Secret(Secret::new(text)) } else { Blob::Plain(text.into_bytes()) },
                mode: match &material.mode {
                    Some(text) => self.mode(&key, text)?,
                    None => mode,
                },
            });
        }
        Ok(made)
    }

    fn mode(&self, key: &str, text: &str) -> Result<u32, String> {
        u32::from_str_radix(text, 8).map_err(|_| self.fail(key, format!("mode `{text}` is not octal")))
    }

    /// The files of the maintenance page, as they are when it is shown.
    fn page(&self, ctx: &Context) -> Result<Vec<WantedFile>, String> {
        if self.role.files.iter().all(|f| f.only_tags.is_empty()) {
            return Ok(Vec::new());
        }
        let mut shown = ctx.clone();
        shown.insert("MAINTENANCE_ENABLE".into(), json!(true));
        let files = self.files(&shown)?;
        Ok(files
            .into_iter()
            .filter(|f| f.only_tags.iter().any(|t| t == "maintenance") && f.content.is_some())
            .collect())
    }

    fn files(&self, ctx: &Context) -> Result<Vec<WantedFile>, String> {
        let mut made = Vec::new();
        for file in &self.role.files {
            let items = match &file.for_each {
                Some(expression) => self.items(expression, ctx)?.into_iter().map(Some).collect(),
                None => vec![None],
            };
            for item in items {
                let mut ctx = ctx.clone();
                if let Some(item) = item {
                    ctx.insert("item".into(), item);
                }
                made.push(self.file(file, &ctx)?);
            }
        }
        Ok(made)
    }

    fn pairs(&self, ctx: &Context) -> Result<Vec<WantedPair>, String> {
        let mut made = Vec::new();
        for pair in &self.role.pairs {
            for item in self.items(&pair.for_each, ctx)? {
                let mut ctx = ctx.clone();
                ctx.insert("item".into(), item);
                let text = |template: &str| self.text("pairs", template, &ctx);
                made.push(WantedPair {
                    from_cert: text(&pair.from_cert)?,
                    from_key: text(&pair.from_key)?,
                    cert: text(&pair.cert)?,
                    key: text(&pair.key)?,
                    host: Some(text(&pair.host)?).filter(|host| !host.is_empty()),
                    touch: text(&pair.touch)?,
                });
            }
        }
        Ok(made)
    }

    fn file(&self, file: &HostFile, ctx: &Context) -> Result<WantedFile, String> {
        let path = self.text("files.path", &file.path, ctx)?;
        let key = format!("files.{path}");
        let content = if self.holds(&key, file.when.as_deref(), ctx)? {
            let text = self.content(&key, &file.content, &file.template, ctx)?;
            let hidden = file.secret || crate::secret::scrub(&text) != text.as_str();
            // A text out of a vault is hidden, and stays what it is otherwise.
            let secret = file.secret || crate::secret::holds_secret(&text);
            Some(match (hidden, secret) {
                (true, true) => Blob::Secret(Secret::new(text)),
                (true, false) => Blob::Secret(Secret::unregistered(text)),
                (false, _) => Blob::Plain(text.into_bytes()),
            })
        } else {
            None
        };
        let mode = self.mode(&key, &file.mode)?;
        let says = file.says.iter().map(|word| self.text(&key, word, ctx)).collect::<Result<_, _>>()?;
        let (owner, only_tags) = (file.owner.clone(), file.only_tags.clone());
        Ok(WantedFile { path, content, mode, owner, only_tags, says })
    }

    fn mounts(&self, ctx: &Context) -> Result<Vec<BindMount>, String> {
        let rendered = |mount: &BindMount| {
            let source = self.text("mounts.source", &mount.source, ctx)?;
            Ok(BindMount { source, ..mount.clone() })
        };
        self.role.mounts.iter().map(rendered).collect()
    }

    fn dirs(&self, ctx: &Context) -> Result<Vec<WantedDir>, String> {
        let mut made = Vec::new();
        for dir in &self.role.dirs {
            if self.holds("dirs", dir.when.as_deref(), ctx)? {
                made.push(WantedDir {
                    path: self.text("dirs.path", &dir.path, ctx)?,
                    mode: self.mode("dirs.mode", &dir.mode)?,
                    owner: dir.owner.clone(),
                    data_node: dir.on == On::DataNode,
                });
            }
        }
        Ok(made)
    }
}
