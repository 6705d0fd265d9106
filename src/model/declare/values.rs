//! Is a value what its declaration says?

use std::net::IpAddr;

use base64::Engine;
use ipnet::IpNet;

use super::{Kind, VariableDecl};
use crate::yaml::{Node, Value};

/// What is wrong with a value. Never contains the value of a secret.
pub(super) struct Wrong {
    pub message: String,
    pub help: Option<String>,
    /// The part that is wrong, when it is not the whole.
    pub part: Option<Node>,
    /// Characters into the text at which the wrong part begins, and its length.
    pub within: Option<(u32, u32)>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Wrong { message: message.into(), help: None, part: None, within: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Checks a value that needs no templating (any more).
pub(super) fn check(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    if matches!(node.value, Value::Vault(_)) {
        return Ok(());
    }
    if let Some(text) = node.as_str().filter(|_| !matches!(decl.kind, Kind::List | Kind::Map)) {
        placeholder(decl, text)?;
    }
    if node.is_null() {
        return Err(Wrong::new("has no value")
            .help(format!("expected {}; remove the line to leave it unset", decl.kind.words())));
    }
    match decl.kind {
        Kind::String => text(decl, node).map(drop),
        Kind::Path => path(decl, node),
        Kind::Bool => bool(decl, node),
        Kind::Int => int(decl, node),
        Kind::Enum => word(decl, node),
        Kind::Url => url(decl, text(decl, node)?),
        Kind::Base64 => base64(text(decl, node)?),
        Kind::IpList => ip_list(decl, node),
        Kind::Map => match node.as_map() {
            Some(_) => Ok(()),
            None => Err(kind(decl, node)),
        },
        Kind::List => list(decl, node),
    }
}

fn shown(decl: &VariableDecl, text: &str) -> String {
    if decl.secret { crate::secret::PLACEHOLDER.to_owned() } else { format!("`{}`", crate::diag::shorten(text, 60)) }
}

/// The wrong kind of value altogether.
fn kind(decl: &VariableDecl, node: &Node) -> Wrong {
    let value = match node.scalar_text() {
        Some(text) => format!("is {} ({})", node.kind(), shown(decl, &text)),
        None => format!("is {}", node.kind()),
    };
    Wrong::new(format!("{value}, expected {}", decl.kind.words()))
}

/// Text the vendor's document leaves for the reader to fill in.
fn placeholder(decl: &VariableDecl, text: &str) -> Result<(), Wrong> {
    let trimmed = text.trim();
    let angle =
        trimmed.contains("< ") && trimmed.contains(" >") || (trimmed.starts_with('<') && trimmed.ends_with('>'));
    let dots = decl.kind == Kind::Base64 && (trimmed.contains("...") || trimmed.contains('…'));
    if angle || dots {
        return Err(Wrong::new("is still the placeholder of the vendor's document").help(match decl.kind {
            Kind::Base64 => "put the whole text here, as the vendor sent it",
            _ => "put your own value here",
        }));
    }
    Ok(())
}

fn text<'a>(decl: &VariableDecl, node: &'a Node) -> Result<&'a str, Wrong> {
    match &node.value {
        Value::Str(text) => Ok(text),
        Value::Int(number) if written_so(node, &number.to_string()) && decl.kind == Kind::String => Ok(""),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Bool(_) | Value::Timestamp(_) => {
            let value = node.scalar_text().unwrap_or_default();
            Err(Wrong::new(format!("is read by YAML as {} ({})", node.kind(), shown(decl, &value)))
                .help("put the value in quotes, so that it stays as it is written"))
        }
        _ => Err(kind(decl, node)),
    }
}

/// True when the number is written as it prints (not `010`, `1_000` or `22:22`).
fn written_so(node: &Node, printed: &str) -> bool {
    node.span.line == 0 || node.span.len as usize == printed.len()
}

fn bool(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    const WORDS: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "1", "0", "y", "n", "t", "f"];
    match &node.value {
        Value::Bool(_) | Value::Int(0 | 1) => Ok(()),
        Value::Str(text) if WORDS.contains(&text.trim().to_lowercase().as_str()) => Ok(()),
        Value::Str(text) => Err(Wrong::new(format!("is {}, expected true or false", shown(decl, text)))),
        _ => Err(kind(decl, node)),
    }
}

fn int(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    match &node.value {
        Value::Int(number) if !written_so(node, &number.to_string()) => {
            Err(Wrong::new(format!("is read by YAML as {number}"))
                .help("write the number without leading zeros, `_` or `:`, or put it in quotes"))
        }
        Value::Int(_) => Ok(()),
        Value::Str(text) if text.trim().parse::<i64>().is_ok() => Ok(()),
        Value::Str(text) => Err(Wrong::new(format!("is {}, expected a whole number", shown(decl, text)))),
        _ => Err(kind(decl, node)),
    }
}

fn word(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    let known = decl.values.join(", ");
    let text = match &node.value {
        Value::Str(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bool(_) => {
            return Err(Wrong::new(format!("is read by YAML as a boolean, expected one of: {known}"))
                .help("put the word in quotes"));
        }
        _ => return Err(kind(decl, node)),
    };
    if decl.values.contains(&text) {
        return Ok(());
    }
    let near = crate::diag::nearest(&text, decl.values.iter().map(String::as_str));
    let wrong = Wrong::new(format!("is {}, expected one of: {known}", shown(decl, &text)));
    Err(match near {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong,
    })
}

fn url(decl: &VariableDecl, text: &str) -> Result<(), Wrong> {
    let wrong = |why: &str| {
        Err(Wrong::new(format!("is {}, which {why}", shown(decl, text)))
            .help("write a name such as `portal.example.org`, or `https://portal.example.org`"))
    };
    let rest = match text.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return wrong("begins neither with https:// nor with http://"),
        None => text,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return wrong("contains an `@`");
    }
    let host = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((v6, _)) if v6.parse::<std::net::Ipv6Addr>().is_ok() => return Ok(()),
        Some(_) => return wrong("has no valid address between the brackets"),
        None => match authority.split_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            Some(_) => return wrong("has no valid port"),
            None => authority,
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host.strip_prefix("*.").unwrap_or(host);
    if host.is_empty() || host.len() > 253 || !host.split('.').all(label) {
        return wrong("is no valid host name");
    }
    if host.split('.').all(|l| l.chars().all(|c| c.is_ascii_digit())) && host.parse::<std::net::Ipv4Addr>().is_err() {
        return wrong("is no valid address");
    }
    Ok(())
}

fn base64(text: &str) -> Result<(), Wrong> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if bare.is_empty() {
        return Err(Wrong::new("is empty").help("put the whole text here, as the vendor sent it"));
    }
    let Err(error) = base64::engine::general_purpose::STANDARD.decode(&bare) else { return Ok(()) };
    // The position is said, the character is not: it may be of a secret.
    let why = match error {
        base64::DecodeError::InvalidByte(at, _) => {
            format!("a character that base64 does not have stands at position {}", at + 1)
        }
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
            format!("its length ({} characters) does not fit: the end may be missing", bare.len())
        }
        base64::DecodeError::InvalidLastSymbol(..) => "its end is damaged or missing".to_owned(),
    };
    Err(Wrong::new(format!("is no valid base64: {why}")).help("copy the text again, whole and on one line"))
}

fn path(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    let text = text(decl, node)?;
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Wrong::new("is no path"));
    }
    Ok(())
}

fn ip_list(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    let one = |text: &str| -> Result<(), String> {
        if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
            return Ok(());
        }
        Err(match text.split_once('/') {
            Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
                format!("{} is no network: the number after the `/` does not fit", shown(decl, text))
            }
            _ => format!("{} is no address and no network", shown(decl, text)),
        })
    };
    let help = "write addresses such as `10.1.1.1` and networks such as `10.2.2.0/24`, separated by commas";
    match &node.value {
        Value::Str(text) if text.trim().is_empty() => {
            Err(Wrong::new("is empty").help("remove the line to let everybody in"))
        }
        Value::Str(text) => {
            let mut offset = 0_u32;
            for part in text.split(',') {
                let trimmed = part.trim();
                if let Err(message) = one(trimmed) {
                    let lead = part.chars().take_while(|c| c.is_whitespace()).count() as u32;
                    let mut wrong = Wrong::new(format!("has an entry that cannot be used: {message}")).help(help);
                    wrong.within = Some((offset + lead, trimmed.chars().count().max(1) as u32));
                    return Err(wrong);
                }
                offset += part.chars().count() as u32 + 1;
            }
            Ok(())
        }
        Value::Seq(items) => {
            for item in items.iter() {
                let text = item.as_str().ok_or_else(|| kind(decl, item))?;
                if let Err(message) = one(text.trim()) {
                    let mut wrong = Wrong::new(format!("has an entry that cannot be used: {message}")).help(help);
                    wrong.part = Some(item.clone());
                    return Err(wrong);
                }
            }
            Ok(())
        }
        // `10.1` is a number to YAML.
        Value::Int(_) | Value::Float(_) => {
            Err(Wrong::new(format!("is read by YAML as {}", node.kind())).help("put it in quotes"))
        }
        _ => Err(kind(decl, node)),
    }
}

/// A list; items with an `ip` must have an address there.
fn list(decl: &VariableDecl, node: &Node) -> Result<(), Wrong> {
    let Some(items) = node.as_seq() else {
        let wrong = kind(decl, node);
        return Err(match node.as_map() {
            Some(_) => wrong.help("begin each item with `- `"),
            None => wrong,
        });
    };
    for item in items {
        if item.is_null() {
            return Err(Wrong { part: Some(item.clone()), ..Wrong::new("has an empty item") });
        }
        let Some(ip) = item.get("ip") else { continue };
        let text = ip.as_str().unwrap_or_default().trim();
        if text.contains("{{") || text.parse::<IpAddr>().is_ok() {
            continue;
        }
        // A name is possible too; what looks like an address must be one.
        let looks_like_address =
            text.is_empty() || text.contains(':') || text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if looks_like_address {
            let shown = ip.scalar_text().map(|t| shown(decl, &t)).unwrap_or_else(|| ip.kind().to_owned());
            let mut wrong = Wrong::new(format!("has an item whose `ip` is no address: {shown}"));
            wrong.part = Some(ip.clone());
            return Err(wrong);
        }
    }
    Ok(())
}
