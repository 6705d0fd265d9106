//! The `ipaddr` family of `ansible.utils`, as netaddr answers.

mod address;
mod mac;
mod query;
mod subnets;
pub(in crate::template) mod tests;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::{integer, items, refuse};
use crate::template::python;
use address::Net;
use query::{Asked, answer};

/// Filters that also have the names of their collections.
pub(super) const NAMES: [&str; 16] = [
    "cidr_merge",
    "hwaddr",
    "ip4_hex",
    "ipaddr",
    "ipmath",
    "ipsubnet",
    "ipv4",
    "ipv6",
    "ipwrap",
    "macaddr",
    "network_in_network",
    "network_in_usable",
    "next_nth_usable",
    "nthhost",
    "previous_nth_usable",
    "reduce_on_network",
];

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    for (name, version) in [("ipaddr", None), ("ipv4", Some(4)), ("ipv6", Some(6))] {
        filter(env, names, name, "query version alias", move |value, args| {
            let version = match version {
                Some(version) => Some(version),
                None => args.int("version")?.filter(|v| *v == 4 || *v == 6),
            };
            ipaddr(&value, &args.text("query")?.unwrap_or_default(), version)
        });
    }
    filter(env, names, "ipwrap", "query", |value, args| {
        let query = args.text("query")?.unwrap_or_default();
        let one = |item: &Value| match ipaddr(item, &query, None) {
            Ok(found) if found.is_true() => ipaddr(&found, "wrap", None).unwrap_or_else(|_| item.clone()),
            _ => item.clone(),
        };
        Ok(match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => Value::from(items(&value)?.iter().map(one).collect::<Vec<_>>()),
            _ => one(&value),
        })
    });
    subnets::add(env, names);
    mac::add(env, names);
}

/// `value | ipaddr(query)`: false for what is no address.
pub(super) fn ipaddr(value: &Value, query: &str, version: Option<i64>) -> Result<Value, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        let mut out = Vec::new();
        for item in items(value)? {
            let found = ipaddr(&item, query, version)?;
            if found.is_true() {
                out.push(found);
            }
        }
        return Ok(Value::from(out));
    }
    if value.is_none() || value.kind() == ValueKind::Map {
        return Err(refuse("an address, a network or a list of them is needed"));
    }
    let nothing = Value::from(false);
    if !value.is_true() || value.kind() == ValueKind::Bool {
        return Ok(nothing);
    }
    let text = python::checked_text(value)?;
    let Some(asked) = read(&text, version) else { return Ok(nothing) };
    if version.is_some_and(|v| v != asked.net.version()) {
        return Ok(nothing);
    }
    answer(&asked, query)
}

/// An address or network with how it was written.
fn read(text: &str, version: Option<i64>) -> Option<Asked> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let number: u128 = text.parse().ok()?;
        let v6 = version == Some(6) || number > u128::from(u32::MAX);
        let net = Net { v6, value: number, prefix: if v6 { 128 } else { 32 } };
        return Some(Asked { net, network: false, text: net.to_string() });
    }
    if let Some(net) = Net::parse(text) {
        return Some(Asked { net, network: text.matches('/').count() == 1, text: text.to_owned() });
    }
    // A number with a prefix.
    let (number, prefix) = text.split_once('/')?;
    let (number, prefix): (u128, u8) = (number.trim().parse().ok()?, prefix.trim().parse().ok()?);
    let v6 = number > u128::from(u32::MAX) || prefix > 32;
    let net = Net { v6, value: number, prefix };
    (prefix <= net.width()).then(|| Asked { net, network: true, text: net.to_string() })
}

/// What the filters around `ipaddr` begin with: the address itself, or the network.
fn normal(value: &Value) -> Option<Net> {
    let text = python::text(value);
    let asked = read(&text, None).filter(|_| value.is_true() && value.kind() != ValueKind::Bool)?;
    Some(asked.net)
}

fn whole(value: &Value, name: &str) -> Result<i64, Error> {
    integer(value)
        .or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()))
        .ok_or_else(|| refuse(format!("`{name}` must be a whole number")))
}
