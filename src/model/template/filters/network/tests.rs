//! The tests of `ansible.utils`, as Python's `ipaddress` answers.

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, Value};

use super::address::Net;
use super::mac;
use crate::template::args::{items, refuse};
use crate::template::python;

/// `ipaddress.ip_network`: without host bits.
fn network(value: &Value) -> Option<Net> {
    Net::parse(&python::text(value)).filter(|net| net.value == net.first())
}

fn address(value: &Value) -> Option<Net> {
    let text = python::text(value);
    Net::parse(&text).filter(|_| !text.contains('/'))
}

type Test = fn(&Value, &[Value]) -> Result<bool, Error>;

fn other<'a>(args: &'a [Value], name: &str) -> Result<&'a Value, Error> {
    args.first().ok_or_else(|| refuse(format!("the test `{name}` needs a network")))
}

fn inside(a: &Value, b: &Value) -> bool {
    match (network(a), network(b)) {
        (Some(a), Some(b)) => b.holds(&a),
        _ => false,
    }
}

const TESTS: [(&str, Test); 16] = [
    ("ip", |v, _| Ok(network(v).is_some())),
    ("ip_address", |v, _| Ok(address(v).is_some())),
    ("ipv4", |v, _| Ok(network(v).is_some_and(|n| !n.v6))),
    ("ipv4_address", |v, _| Ok(address(v).is_some_and(|n| !n.v6))),
    ("ipv6", |v, _| Ok(network(v).is_some_and(|n| n.v6))),
    ("ipv6_address", |v, _| Ok(address(v).is_some_and(|n| n.v6))),
    ("loopback", |v, _| Ok(address(v).is_some_and(|n| n.is_loopback()))),
    ("multicast", |v, _| Ok(address(v).is_some_and(|n| n.is_multicast()))),
    ("private", |v, _| Ok(address(v).is_some_and(|n| !n.is_global() && !shared(&n)))),
    ("public", |v, _| Ok(address(v).is_some_and(|n| n.is_global()))),
    ("in_network", |v, args| Ok(inside(v, other(args, "in_network")?))),
    ("subnet_of", |v, args| Ok(inside(v, other(args, "subnet_of")?))),
    ("supernet_of", |v, args| Ok(inside(other(args, "supernet_of")?, v))),
    ("in_any_network", |v, args| Ok(items(other(args, "in_any_network")?)?.iter().any(|n| inside(v, n)))),
    ("in_one_network", |v, args| {
        Ok(items(other(args, "in_one_network")?)?.iter().filter(|n| inside(v, n)).count() == 1)
    }),
    ("mac", |v, _| Ok(v.as_str().is_some_and(|t| mac::parse(t).is_some() && !t.contains("-.")))),
];

/// Shared by providers: neither private nor public.
fn shared(net: &Net) -> bool {
    !net.v6 && net.value >> 22 == 0x6440_0000 >> 22
}

/// Adds them; `names` receives what they are called.
pub(in crate::template) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    for (name, test) in TESTS {
        let call = move |value: Value, args: Rest<Value>, _named: Kwargs| test(&value, &args.0);
        env.add_test(name, call);
        env.add_test(format!("ansible.utils.{name}"), call);
        names.push(name.to_owned());
    }
}
