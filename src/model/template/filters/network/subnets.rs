//! Filters that count in networks.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::address::Net;
use super::{filter, normal, whole};
use crate::template::args::{Args, items, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "ipsubnet", "query index", |value, args| ipsubnet(&value, &args));
    filter(env, names, "nthhost", "query", |value, args| {
        let query = args.get("query").filter(|q| q.as_str() != Some(""));
        let (Some(net), Some(query)) = (normal(&value), query) else { return Ok(Value::from(false)) };
        let Ok(nth) = whole(query, "query") else { return Ok(Value::from(false)) };
        let at =
            if nth < 0 { net.size().checked_sub(u128::from(nth.unsigned_abs())) } else { u128::try_from(nth).ok() };
        let at = at.filter(|at| *at < net.size());
        Ok(at.map_or(Value::from(false), |at| Value::from(net.show(net.first() + at))))
    });
    for (name, sign) in [("next_nth_usable", 1), ("previous_nth_usable", -1)] {
        filter(env, names, name, "offset", move |value, args| {
            let offset = whole(args.need("offset")?, "offset")?;
            let Some(net) = normal(&value) else { return Ok(Value::from(false)) };
            let at = net.moved(i128::from(offset) * sign);
            let range = net.usable();
            let at = at.filter(|at| range.is_some_and(|(a, b)| (a..=b).contains(at)));
            Ok(at.map_or(Value::from(()), |at| Value::from(net.show(at))))
        });
    }
    filter(env, names, "network_in_usable", "test", |value, args| {
        let (Some(v), Some(w)) = (normal(&value), normal(args.need("test")?)) else { return Ok(Value::from(false)) };
        let (v, w) = (v.cidr(), w.cidr());
        let (first, last) = v.usable().unwrap_or((v.value, v.value));
        Ok(Value::from(v.v6 == w.v6 && first <= w.first() && w.last() <= last))
    });
    filter(env, names, "network_in_network", "test", |value, args| {
        let (Some(v), Some(w)) = (normal(&value), normal(args.need("test")?)) else { return Ok(Value::from(false)) };
        Ok(Value::from(v.cidr().holds(&w.cidr())))
    });
    filter(env, names, "reduce_on_network", "network", |value, args| {
        let network = normal(args.need("network")?).ok_or_else(|| refuse("`network` is no network"))?.cidr();
        let mut out = Vec::new();
        for item in items(&value)? {
            if normal(&item).is_some_and(|a| network.holds(&a.cidr())) {
                out.push(item);
            }
        }
        Ok(Value::from(out))
    });
    filter(env, names, "cidr_merge", "action", |value, args| {
        if value.kind() == ValueKind::String {
            return Err(refuse("`cidr_merge` takes a list"));
        }
        let mut nets = Vec::new();
        for item in items(&value)? {
            let text = python::text(&item);
            nets.push(Net::parse(&text).ok_or_else(|| refuse(format!("`{text}` is no network")))?);
        }
        match args.text("action")?.as_deref() {
            None | Some("merge") => Ok(Value::from(merge(&nets).iter().map(Net::to_string).collect::<Vec<_>>())),
            Some("span") => span(&nets),
            Some(other) => Err(refuse(format!("`action` of `cidr_merge` is merge or span, not `{other}`"))),
        }
    });
    filter(env, names, "ipmath", "amount", |value, args| {
        let text = python::checked_text(&value)?;
        let net = Net::parse(&text).ok_or_else(|| refuse(format!("`{text}` is no address")))?;
        let amount = whole(args.need("amount")?, "amount")?;
        let at = net.moved(i128::from(amount)).ok_or_else(|| refuse("the result is outside the range of addresses"))?;
        Ok(Value::from(net.show(at)))
    });
    filter(env, names, "ip4_hex", "delimiter", |value, args| {
        let text = python::checked_text(&value)?;
        let net = Net::parse(&text).filter(|n| !n.v6 && n.prefix == 32);
        let net = net.ok_or_else(|| refuse(format!("`{text}` is no IPv4 address")))?;
        let bytes = (net.value as u32).to_be_bytes().map(|b| format!("{b:02x}"));
        Ok(Value::from(bytes.join(&args.text("delimiter")?.unwrap_or_default())))
    });
}

impl Net {
    fn supernet(&self, prefix: u8) -> Net {
        Net { prefix, ..*self }.cidr()
    }
}

fn ipsubnet(value: &Value, args: &Args) -> Result<Value, Error> {
    let Some(found) = normal(value) else { return Ok(Value::from(false)) };
    let net = found.cidr();
    let width = net.width();
    // The network is looked at again: one address alone is an address.
    let is_network = net.size() > 1;
    let query = args.text("query")?.unwrap_or_default();
    if query.is_empty() {
        return Ok(Value::from(net.to_string()));
    }
    let index = args.get("index").map(|i| whole(i, "index")).transpose()?;
    if let Some(size) = query.bytes().all(|b| b.is_ascii_digit()).then(|| query.parse::<u16>().unwrap_or(u16::MAX)) {
        let Some(size) = u8::try_from(size).ok().filter(|s| *s <= width) else { return Ok(Value::from(false)) };
        let Some(index) = index else {
            if !is_network {
                return Ok(Value::from(net.supernet(size).to_string()));
            }
            let bits = size
                .checked_sub(net.prefix)
                .ok_or_else(|| refuse(format!("a subnet of /{size} does not fit into {net}")))?;
            let count = 1_u128.checked_shl(u32::from(bits)).ok_or_else(|| refuse("there are too many subnets"))?;
            return Ok(Value::from(count.to_string()));
        };
        if !is_network {
            let at = usize::try_from(index).ok().map_or(index, |i| i as i64);
            let steps = i64::from(width) - i64::from(size);
            // netaddr lists the supernets from the largest; a negative index counts from the smallest.
            let at = if at < 0 { at + steps } else { at };
            if !(0..steps).contains(&at) {
                return Ok(Value::from(false));
            }
            return Ok(Value::from(net.supernet(size + u8::try_from(at).unwrap_or(0)).to_string()));
        }
        let Some(bits) = size.checked_sub(net.prefix) else { return Ok(Value::from(false)) };
        let count = 1_i128.checked_shl(u32::from(bits)).filter(|c| *c > 0).unwrap_or(i128::MAX);
        let at = if index < 0 { i128::from(index) + count } else { i128::from(index) };
        if at < 0 || at >= count {
            return Ok(Value::from(false));
        }
        let value = net.first() + (at as u128).checked_shl(u32::from(width - size)).unwrap_or(0);
        return Ok(Value::from(Net { value, prefix: size, ..net }.to_string()));
    }
    let other = normal(&Value::from(query.as_str()))
        .ok_or_else(|| refuse(format!("`{query}` is no network and no address")))?;
    let other = other.cidr();
    if !other.holds(&net) {
        return Err(refuse(format!("{net} is not in {other}")));
    }
    let place = (net.first() - other.first()).checked_shr(u32::from(width - net.prefix)).unwrap_or(0);
    Ok(Value::from((place + 1).to_string()))
}

/// Without overlaps, neighbours joined, in order.
fn merge(nets: &[Net]) -> Vec<Net> {
    let mut out: Vec<Net> = Vec::new();
    for v6 in [false, true] {
        let mut ranges: Vec<(u128, u128)> = nets.iter().filter(|n| n.v6 == v6).map(|n| (n.first(), n.last())).collect();
        ranges.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if before.1 == u128::MAX || first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        for (first, last) in joined {
            let mut at = first;
            loop {
                // The largest network that starts here and ends no later.
                let width = if v6 { 128 } else { 32 };
                let fits = |p: &u8| {
                    let net = Net { v6, value: at, prefix: *p };
                    net.first() == at && net.last() <= last
                };
                let net = Net { v6, value: at, prefix: (0..=width).find(fits).unwrap_or(width) };
                out.push(net);
                if net.last() >= last {
                    break;
                }
                at = net.last() + 1;
            }
        }
    }
    out
}

fn span(nets: &[Net]) -> Result<Value, Error> {
    match nets {
        [] => Ok(Value::from(())),
        [one] => Ok(Value::from(one.to_string())),
        [one, rest @ ..] => {
            if rest.iter().any(|n| n.v6 != one.v6) {
                return Err(refuse("IPv4 and IPv6 have no network in common"));
            }
            let first = nets.iter().map(Net::first).min().unwrap_or(0);
            let last = nets.iter().map(Net::last).max().unwrap_or(0);
            let holds = |p: &u8| {
                let net = Net { v6: one.v6, value: first, prefix: *p };
                net.last() >= last
            };
            let prefix = (0..=one.width()).rev().find(holds).unwrap_or(0);
            Ok(Value::from(Net { v6: one.v6, value: first, prefix }.cidr().to_string()))
        }
    }
}
