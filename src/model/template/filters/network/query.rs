//! What `ipaddr('…')` can be asked.

use minijinja::{Error, Value};

use super::address::Net;
use crate::template::args::refuse;

/// An address or network, and how it was written.
pub(super) struct Asked {
    pub net: Net,
    /// It came with a prefix.
    pub network: bool,
    /// As it was written.
    pub text: String,
}

/// What can be asked.
const QUERIES: &str = "6to4, address, address/prefix, bool, broadcast, cidr, first_usable, gateway, gw, host, host/prefix, hostmask, hostnet, int, ip, ip/prefix, ip_netmask, ipv4, ipv6, last_usable, link-local, lo, loopback, multicast, net, netmask, network, network/prefix, network_id, network_netmask, network_wildcard, next_usable, peer, prefix, previous_usable, private, public, range_usable, revdns, router, size, size_usable, subnet, type, unicast, version, wildcard, wrap";

fn maybe<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::from(()), Into::into)
}

fn number(value: u128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::from(value), Value::from)
}

impl Asked {
    /// The value as it was written, where something holds.
    fn when(&self, holds: bool) -> Value {
        maybe(holds.then_some(self.text.as_str()))
    }

    fn only_network(&self) -> Result<(), Error> {
        if self.network { Ok(()) } else { Err(refuse(format!("`{}` is no network: it has no prefix", self.text))) }
    }

    fn usable(&self, value: Option<u128>) -> Value {
        let range = self.net.usable();
        maybe(value.filter(|v| range.is_some_and(|(a, b)| (a..=b).contains(v))).map(|v| self.net.show(v)))
    }
}

pub(super) fn answer(asked: &Asked, query: &str) -> Result<Value, Error> {
    let net = &asked.net;
    let (ip, prefix, size) = (net.ip(), net.prefix, net.size());
    let at_start = net.value == net.first();
    let text = |text: String| Ok(Value::from(text));
    match query {
        "" if asked.network => text(net.to_string()),
        "" => text(ip),
        "6to4" => six_to_four(asked),
        "address" | "ip" => Ok(maybe((size == 1 || !at_start || net.broadcast().is_none() || net.v6).then_some(ip))),
        "address/prefix" | "gateway" | "gw" | "host/prefix" | "hostnet" | "router" => {
            let edge = size > 2 && (at_start || net.broadcast() == Some(net.value));
            if edge { Ok(Value::from(false)) } else { text(net.to_string()) }
        }
        "bool" => Ok(Value::from(true)),
        "broadcast" => Ok(maybe(net.broadcast().filter(|_| size > 2).map(|b| net.show(b)))),
        "cidr" => text(net.to_string()),
        "first_usable" => {
            asked.only_network()?;
            Ok(maybe(net.usable().map(|(first, _)| net.show(first))))
        }
        "last_usable" => {
            asked.only_network()?;
            Ok(maybe(net.usable().map(|(_, last)| net.show(last))))
        }
        "range_usable" => {
            asked.only_network()?;
            Ok(maybe(net.usable().map(|(a, b)| format!("{}-{}", net.show(a), net.show(b)))))
        }
        "next_usable" => {
            asked.only_network()?;
            Ok(asked.usable(net.moved(1)))
        }
        "previous_usable" => {
            asked.only_network()?;
            Ok(asked.usable(net.moved(-1)))
        }
        "peer" => peer(asked),
        "host" => Ok(maybe((size == 1 || !at_start || net.broadcast().is_none()).then(|| net.to_string()))),
        "hostmask" | "wildcard" => text(net.show(net.hostmask())),
        "netmask" => text(net.show(net.netmask())),
        "int" if asked.network => text(format!("{}/{prefix}", net.value)),
        "int" => Ok(number(net.value)),
        "ip/prefix" => Ok(maybe((size == 2 || size > 1 && !at_start).then(|| net.to_string()))),
        "ip_netmask" => {
            Ok(maybe((size == 2 || size > 1 && !at_start).then(|| format!("{ip} {}", net.show(net.netmask())))))
        }
        "ipv4" if net.v6 => {
            let low = net.value & u128::from(u32::MAX);
            let fits = net.value == low || net.value >> 32 == 0xffff;
            let prefix = prefix.checked_sub(96);
            match prefix.filter(|_| fits) {
                Some(prefix) => text(Net { v6: false, value: low, prefix }.to_string()),
                None => Ok(Value::from(false)),
            }
        }
        "ipv6" if !net.v6 => {
            text(Net { v6: true, value: net.value | 0xffff_0000_0000, prefix: prefix + 96 }.to_string())
        }
        "ipv4" | "ipv6" => text(asked.text.clone()),
        "link-local" => Ok(asked.when(net.is_link_local())),
        "lo" | "loopback" => Ok(asked.when(net.is_loopback())),
        "multicast" => Ok(asked.when(net.is_multicast())),
        "unicast" => Ok(asked.when(!net.is_multicast())),
        "private" => Ok(asked.when(!net.is_global())),
        "public" => Ok(asked.when(net.is_global() && !net.is_multicast() && !net.is_loopback() && !net.is_mask())),
        "net" => Ok(maybe((size > 1 && at_start).then(|| net.to_string()))),
        "network" | "network_id" => text(net.show(net.first())),
        "network/prefix" | "subnet" => text(net.cidr().to_string()),
        "network_netmask" => text(format!("{} {}", net.show(net.first()), net.show(net.netmask()))),
        "network_wildcard" => text(format!("{} {}", net.show(net.first()), net.show(net.hostmask()))),
        "prefix" => Ok(Value::from(prefix)),
        "revdns" => text(reverse(net)),
        "size" => Ok(number(size)),
        "size_usable" => Ok(number(match size {
            1 => 0,
            2 => 2,
            _ => size - 2,
        })),
        "type" => text(if size > 1 && at_start { "network" } else { "address" }.into()),
        "version" => Ok(Value::from(net.version())),
        "wrap" if net.v6 && asked.network => text(format!("[{ip}]/{prefix}")),
        "wrap" if net.v6 => text(format!("[{ip}]")),
        "wrap" => text(asked.text.clone()),
        other => other_query(asked, other),
    }
}

/// A network the value must be in, or the number of an address in it.
fn other_query(asked: &Asked, query: &str) -> Result<Value, Error> {
    let net = &asked.net;
    let digits = query.bytes().all(|b| b.is_ascii_digit());
    if let Some(within) = Net::parse(query).filter(|_| !digits) {
        return Ok(asked.when(within.holds(net)));
    }
    let Ok(number) = query.trim().parse::<f64>() else {
        return Err(refuse(format!(
            "`ipaddr` cannot be asked for `{query}`; it knows a network, a number, and {QUERIES}"
        )));
    };
    match net.size() {
        1 if asked.network => Ok(Value::from(net.to_string())),
        1 => Ok(Value::from(net.ip())),
        size => {
            let number = number as i128;
            let at =
                if number < 0 { i128::try_from(size).ok().and_then(|s| s.checked_add(number)) } else { Some(number) };
            let at = at.and_then(|at| u128::try_from(at).ok()).filter(|at| *at < size);
            Ok(at
                .map_or(Value::from(false), |at| Value::from(format!("{}/{}", net.show(net.first() + at), net.prefix))))
        }
    }
}

fn six_to_four(asked: &Asked) -> Result<Value, Error> {
    let net = &asked.net;
    if !net.v6 {
        let plain = !net.is_global() || !net.is_multicast() && !net.is_mask();
        if !plain || net.size() > 1 && net.value == net.first() {
            return Ok(Value::from(false));
        }
        let [a, b, c, d] = (net.value as u32).to_be_bytes();
        return Ok(Value::from(format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1/48")));
    }
    let inside = net.value >> 112 == 0x2002 && !(asked.network && net.value == net.first());
    Ok(if inside { Value::from(asked.text.as_str()) } else { Value::from(false) })
}

fn peer(asked: &Asked) -> Result<Value, Error> {
    asked.only_network()?;
    let net = &asked.net;
    let other = match (net.size(), net.value % 4) {
        (2, _) => net.value ^ 1,
        (4, 0) => return Err(refuse("the network's own address has no peer")),
        (4, 3) => return Err(refuse("the broadcast address has no peer")),
        (4, _) => net.value ^ 3,
        _ => return Err(refuse("this is no network of two hosts")),
    };
    Ok(Value::from(net.show(other)))
}

fn reverse(net: &Net) -> String {
    if !net.v6 {
        let [a, b, c, d] = (net.value as u32).to_be_bytes();
        return format!("{d}.{c}.{b}.{a}.in-addr.arpa.");
    }
    let digits: Vec<char> = format!("{:032x}", net.value).chars().rev().collect();
    let dotted: Vec<String> = digits.into_iter().map(String::from).collect();
    format!("{}.ip6.arpa.", dotted.join("."))
}
