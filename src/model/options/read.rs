//! From what stands in the inventory to options, with the place of everything that is wrong.

use std::collections::BTreeMap;

use super::{Copies, Names, Options};
use crate::catalogue::parse_size;
use crate::diag::{Span, nearest, shorten};
use crate::yaml::{Node, Value};

/// Something that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What.
    pub message: String,
    /// Where; nowhere for a value that was computed.
    pub span: Span,
    /// What to do.
    pub help: Option<String>,
}

const KEYS: [&str; 4] = ["extra_env", "replicas", "resources", "placement"];
/// What a constraint may speak of; `node.labels.` and `engine.labels.` are followed by a name.
const CONSTRAINED: [&str; 5] = ["node.id", "node.hostname", "node.role", "node.platform.os", "node.platform.arch"];

/// Options by role or service name, and everything that is wrong. A text that is still a template is passed over: it is
/// read again when it has its value.
pub fn read(node: &Node, names: &Names<'_>) -> (BTreeMap<String, Options>, Vec<Problem>) {
    let mut reader = Reader { problems: Vec::new() };
    let mut all = BTreeMap::new();
    for (key, value) in reader.entries(node, "service names") {
        let name = key.as_str().unwrap_or_default().to_owned();
        if names.meant(&name).is_empty() {
            let help = match nearest(&name, names.all()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write a service as `docker service ls` shows it (`reemo_api`), or its role (`api`, `signal`)"
                    .into(),
            };
            reader.wrong(&key, format!("there is no service `{}`", shorten(&name, 60)), Some(help));
            continue;
        }
        let options = reader.service(&name, &value, names);
        all.insert(name, options);
    }
    (all, reader.problems)
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn wrong(&mut self, at: &Node, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { message: message.into(), span: at.span, help });
    }

    /// Keys and values of a mapping; anything else is a problem.
    fn entries(&mut self, node: &Node, of: &str) -> Vec<(Node, Node)> {
        match node.as_map() {
            Some(map) => map.iter().map(|e| (e.key.clone(), e.value.clone())).collect(),
            None => {
                if !is_template(node) {
                    self.wrong(node, format!("a mapping of {of} is needed, not {}", node.kind()), None);
                }
                Vec::new()
            }
        }
    }

    fn unknown(&mut self, key: &Node, within: &str, known: &[&str]) {
        let name = key.scalar_text().unwrap_or_default();
        let near = nearest(&name, known.iter().copied()).map(|n| format!("did you mean `{n}`?"));
        let help = near.unwrap_or_else(|| format!("known are: {}", known.join(", ")));
        self.wrong(key, format!("`{}` is nothing {within} has", shorten(&name, 60)), Some(help));
    }

    fn service(&mut self, name: &str, node: &Node, names: &Names<'_>) -> Options {
        let mut options = Options::default();
        for (key, value) in self.entries(node, "extra_env, replicas, resources, placement") {
            match key.as_str().unwrap_or_default() {
                "extra_env" => options.extra_env = self.env(&value),
                "replicas" => match names.counted(name) {
                    Some(why) => self.wrong(&value, format!("`replicas` of `{name}` cannot be chosen: {why}"), None),
                    None => options.copies = self.copies(&value),
                },
                "resources" => self.resources(&value, &mut options),
                "placement" => self.placement(&value, &mut options),
                key_name if key_name.starts_with("x-") => {}
                _ => self.unknown(&key, "a service", &KEYS),
            }
        }
        options
    }

    fn env(&mut self, node: &Node) -> BTreeMap<String, Option<String>> {
        let mut env = BTreeMap::new();
        for (key, value) in self.entries(node, "environment variables") {
            let name = key.scalar_text().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(fits) {
                self.wrong(&key, format!("`{}` is no name of an environment variable", shorten(&name, 60)), None);
                continue;
            }
            match &value.value {
                Value::Null => drop(env.insert(name, None)),
                Value::Str(text) => drop(env.insert(name, Some(text.to_string()))),
                Value::Int(number) => drop(env.insert(name, Some(number.to_string()))),
                _ => {
                    let help = "put the value in quotes, so that it stays as it is written".to_owned();
                    self.wrong(&value, format!("`{name}` is {}; text is needed", value.kind()), Some(help));
                }
            }
        }
        env
    }

    fn copies(&mut self, node: &Node) -> Option<Copies> {
        let Some(map) = node.as_map() else { return self.count(node, "replicas").map(Copies::Total) };
        let mut found = None;
        for entry in map {
            match entry.key.as_str().unwrap_or_default() {
                "total" => found = self.count(&entry.value, "total").map(Copies::Total),
                "per_node" => found = self.count(&entry.value, "per_node").map(Copies::PerNode),
                _ => self.unknown(&entry.key, "`replicas`", &["total", "per_node"]),
            }
        }
        if map.len() > 1 {
            self.wrong(node, "`total` and `per_node` exclude each other", None);
        }
        found
    }

    /// A whole number of 1 or more, also as text.
    fn count(&mut self, node: &Node, what: &str) -> Option<u64> {
        if is_template(node) {
            return None;
        }
        let number = node.scalar_text().and_then(|t| t.trim().parse::<u64>().ok()).filter(|n| *n > 0);
        if number.is_none() {
            let help = (what != "max_per_node").then(|| {
                "a service is switched off by its own variable, where it has one (CRON_ENABLE, STUN_ENABLE, …)"
                    .to_owned()
            });
            self.wrong(node, format!("`{what}` is {}; a whole number from 1 on is needed", said(node)), help);
        }
        number
    }

    fn resources(&mut self, node: &Node, options: &mut Options) {
        for (key, value) in self.entries(node, "limits and reservations") {
            match key.as_str().unwrap_or_default() {
                "limits" => (options.memory, options.nano_cpus) = self.bounds(&value, "`limits`"),
                "reservations" => {
                    (options.reserved_memory, options.reserved_nano_cpus) = self.bounds(&value, "`reservations`");
                }
                _ => self.unknown(&key, "`resources`", &["limits", "reservations"]),
            }
        }
        if let (Some(limit), Some(reserved)) = (options.memory, options.reserved_memory)
            && reserved > limit
        {
            self.wrong(node, "more memory is reserved than the limit allows", None);
        }
    }

    fn bounds(&mut self, node: &Node, within: &str) -> (Option<u64>, Option<i64>) {
        let (mut memory, mut cpus) = (None, None);
        for (key, value) in self.entries(node, "memory and cpus") {
            let text = value.scalar_text().unwrap_or_default();
            match key.as_str().unwrap_or_default() {
                _ if is_template(&value) => {}
                "memory" => match parse_size(&text).filter(|n| *n >= 4 << 20) {
                    Some(bytes) => memory = Some(bytes),
                    None => {
                        let help = "write 512M or 2G; less than 4M no container gets".to_owned();
                        self.wrong(&value, format!("`memory` is {}, which is no size", said(&value)), Some(help));
                    }
                },
                "cpus" => match text.trim().parse::<f64>().ok().filter(|n| *n > 0.0 && *n <= 4096.0) {
                    Some(number) => cpus = Some((number * 1e9) as i64),
                    None => {
                        let help = "write 0.5 or 2".to_owned();
                        self.wrong(
                            &value,
                            format!("`cpus` is {}, which is no number of processors", said(&value)),
                            Some(help),
                        );
                    }
                },
                _ => self.unknown(&key, within, &["memory", "cpus"]),
            }
        }
        (memory, cpus)
    }

    fn placement(&mut self, node: &Node, options: &mut Options) {
        for (key, value) in self.entries(node, "constraints and max_per_node") {
            match key.as_str().unwrap_or_default() {
                "max_per_node" => options.max_per_node = self.count(&value, "max_per_node"),
                "constraints" => match value.as_seq() {
                    Some(items) => items.iter().for_each(|item| options.constraints.extend(self.constraint(item))),
                    None if is_template(&value) => {}
                    None => {
                        self.wrong(&value, format!("`constraints` is {}; a list is needed", said(&value)), None);
                    }
                },
                _ => self.unknown(&key, "`placement`", &["constraints", "max_per_node"]),
            }
        }
    }

    fn constraint(&mut self, node: &Node) -> Option<String> {
        if is_template(node) {
            return None;
        }
        let text = node.as_str().unwrap_or_default();
        let split = text
            .split_once("==")
            .map(|(k, v)| (k, "==", v))
            .or_else(|| text.split_once("!=").map(|(k, v)| (k, "!=", v)));
        let (key, sign, value) = split.map(|(k, s, v)| (k.trim(), s, v.trim())).unwrap_or_default();
        let labelled =
            ["node.labels.", "engine.labels."].iter().any(|p| key.strip_prefix(p).is_some_and(|l| !l.is_empty()));
        if value.is_empty() || !(labelled || CONSTRAINED.contains(&key)) {
            let help = format!(
                "write for example `node.labels.zone==dmz` or `node.hostname!=infra3`; known are {}, node.labels.NAME and engine.labels.NAME",
                CONSTRAINED.join(", ")
            );
            self.wrong(node, format!("{} is no constraint", said(node)), Some(help));
            return None;
        }
        Some(format!("{key}{sign}{value}"))
    }
}

fn is_template(node: &Node) -> bool {
    node.as_str().is_some_and(|t| t.contains("{{") || t.contains("{%"))
}

fn said(node: &Node) -> String {
    match node.scalar_text() {
        Some(text) => format!("`{}`", shorten(&text, 60)),
        None => node.kind().to_owned(),
    }
}
