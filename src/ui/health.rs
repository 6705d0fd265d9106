//! The portal's `/api/healthcheck` as an indented tree.

use serde_json::{Map, Value};

use crate::clean::printable;
use crate::paint::{Paint, Tone};

/// The tree, one line for each service, in the order of the document, without a line end after the
/// last one. What is not `OK` is marked `KO` with whatever the document says about it.
pub fn health_tree(root: &str, document: &Value, paint: Paint) -> String {
    let mut lines = Vec::new();
    node(root, document, "", "", &mut lines);
    let width = lines.iter().map(|line| console::measure_text_width(&line.left)).max().unwrap_or(0);
    let text = lines.iter().map(|line| {
        let space = " ".repeat(width - console::measure_text_width(&line.left));
        let (tone, mark) = match line.healthy {
            None => return line.left.clone(),
            Some(true) => (Tone::Ok, "ok"),
            Some(false) => (Tone::Failed, "KO"),
        };
        format!("{}{space}  {}", line.left, paint.paint(tone, format!("{mark} {}", line.why).trim_end()))
    });
    text.collect::<Vec<_>>().join("\n")
}

struct Line {
    left: String,
    /// `None` for a group that says nothing about itself.
    healthy: Option<bool>,
    why: String,
}

/// `first` is drawn before this line, `below` before those under it.
fn node(name: &str, value: &Value, first: &str, below: &str, lines: &mut Vec<Line>) {
    let empty = Map::new();
    let fields = value.as_object().unwrap_or(&empty);
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let mut left = format!("{first}{}", printable(text("name").unwrap_or(name)));
    for extra in [text("version"), text("type")].into_iter().flatten() {
        left = format!("{left} {}", printable(extra));
    }
    // A leaf that is only a text is its status.
    let status = text("status").or_else(|| value.as_str());
    let healthy = status.map(|status| status.eq_ignore_ascii_case("ok"));
    let why = if healthy == Some(false) { why(status, fields) } else { String::new() };
    lines.push(Line { left, healthy, why });

    let children = children(value);
    let last = children.len();
    for (index, (name, child)) in children.into_iter().enumerate() {
        let (branch, trunk) = if index + 1 == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        node(&name, child, &format!("{below}{branch}"), &format!("{below}{trunk}"), lines);
    }
}

fn why(status: Option<&str>, fields: &Map<String, Value>) -> String {
    let told = ["message", "error", "reason", "cause"];
    let told =
        told.iter().filter_map(|key| fields.get(*key)).map(|v| v.as_str().map_or_else(|| v.to_string(), Into::into));
    let status = status.filter(|status| !status.eq_ignore_ascii_case("ko")).map(str::to_owned);
    printable(&status.into_iter().chain(told).collect::<Vec<_>>().join(": ")).into_owned()
}

fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (format!("{}", i + 1), item)).collect(),
        Value::Object(fields) => match fields.get("services") {
            Some(Value::Object(services)) => services.iter().map(|(name, child)| (name.clone(), child)).collect(),
            Some(list @ Value::Array(_)) => children(list),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_with_one_broken_link() {
        let document = serde_json::json!({
            "status": "KO", "version": "2.14.4",
            "services": {
                "api": {"status": "OK", "version": "2.15.2", "services": {
                    "db": {"status": "error", "message": "no route"},
                    "container-providers": [{"status": "OK", "name": "Reemo SWARM", "type": "SWARM"}],
                    "ws-relays": []
                }},
                "signal": "OK"
            }
        });
        let wanted = "\
portal 2.14.4               KO
├─ api 2.15.2               ok
│  ├─ db                    KO error: no route
│  ├─ container-providers
│  │  └─ Reemo SWARM SWARM  ok
│  └─ ws-relays
└─ signal                   ok";
        assert_eq!(health_tree("portal", &document, Paint(false)), wanted);
        assert!(health_tree("portal", &document, Paint(true)).contains("\x1b[0;31mKO error: no route\x1b[0m"));
    }

    #[test]
    fn nonsense_is_shown_as_it_is() {
        assert_eq!(health_tree("portal", &Value::Null, Paint(false)), "portal");
        assert_eq!(health_tree("portal", &serde_json::json!("down\u{1b}[2J"), Paint(false)), "portal  KO down");
    }
}
