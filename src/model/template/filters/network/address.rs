//! An address with the length of its prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// netaddr's `IPNetwork`: an address inside a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net {
    pub v6: bool,
    pub value: u128,
    pub prefix: u8,
}

impl Net {
    /// `10.0.0.1`, `10.0.0.1/24`, `10.0.0.1/255.255.255.0`, `10.0.0.1/0.0.0.255`, and of IPv6.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let (v6, value) = number(address)?;
        let mut net = Net { v6, value, prefix: if v6 { 128 } else { 32 } };
        if let Some(mask) = mask {
            net.prefix = match mask.parse::<u8>() {
                Ok(prefix) if mask.bytes().all(|b| b.is_ascii_digit()) => prefix,
                _ => net.mask(number(mask).filter(|(six, _)| *six == v6)?.1)?,
            };
        }
        (net.prefix <= net.width()).then_some(net)
    }

    /// The prefix of a netmask or hostmask.
    fn mask(&self, mask: u128) -> Option<u8> {
        let all = self.all();
        let of = |mask: u128| (0..=self.width()).find(|p| Net { prefix: *p, ..*self }.netmask() == mask);
        of(mask).or_else(|| of(!mask & all))
    }

    pub fn version(&self) -> i64 {
        if self.v6 { 6 } else { 4 }
    }

    pub fn width(&self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    fn all(&self) -> u128 {
        if self.v6 { u128::MAX } else { u128::from(u32::MAX) }
    }

    pub fn hostmask(&self) -> u128 {
        let bits = u32::from(self.width() - self.prefix.min(self.width()));
        if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
    }

    pub fn netmask(&self) -> u128 {
        !self.hostmask() & self.all()
    }

    pub fn first(&self) -> u128 {
        self.value & self.netmask()
    }

    pub fn last(&self) -> u128 {
        self.first() | self.hostmask()
    }

    /// Number of addresses; the whole of IPv6 counts as one less than it is.
    pub fn size(&self) -> u128 {
        self.hostmask().saturating_add(1)
    }

    /// None for IPv4 networks of one or two addresses.
    pub fn broadcast(&self) -> Option<u128> {
        (self.v6 || self.prefix < 31).then(|| self.last())
    }

    /// First and last address that hosts may have.
    pub fn usable(&self) -> Option<(u128, u128)> {
        match self.size() {
            1 => None,
            2 => Some((self.first(), self.last())),
            _ => Some((self.first() + 1, self.last() - 1)),
        }
    }

    /// The network, without the host's part.
    pub fn cidr(&self) -> Net {
        Net { value: self.first(), ..*self }
    }

    /// Another address of the same kind, as text.
    pub fn show(&self, value: u128) -> String {
        if self.v6 { Ipv6Addr::from(value).to_string() } else { Ipv4Addr::from(value as u32).to_string() }
    }

    pub fn ip(&self) -> String {
        self.show(self.value)
    }

    /// An address moved by so much; none outside the range.
    pub fn moved(&self, by: i128) -> Option<u128> {
        let value = self.value.checked_add_signed(by)?;
        (value <= self.all()).then_some(value)
    }

    pub fn holds(&self, other: &Net) -> bool {
        self.v6 == other.v6 && self.first() <= other.first() && other.last() <= self.last()
    }

    fn within(&self, networks: &[&str]) -> bool {
        let here = Net { prefix: self.width(), ..*self };
        networks.iter().filter_map(|n| Net::parse(n)).any(|n| n.holds(&here))
    }

    /// Reachable on the internet, by IANA's registries.
    pub fn is_global(&self) -> bool {
        if self.v6 {
            !self.within(&CLOSED_6) || self.within(&OPEN_6)
        } else {
            !self.within(&CLOSED_4) || self.within(&OPEN_4)
        }
    }

    pub fn is_multicast(&self) -> bool {
        self.within(&["224.0.0.0/4", "ff00::/8"])
    }

    pub fn is_loopback(&self) -> bool {
        self.within(&["127.0.0.0/8", "::1/128"])
    }

    pub fn is_link_local(&self) -> bool {
        self.within(&["169.254.0.0/16", "fe80::/10"])
    }

    /// True for what could be a netmask or hostmask.
    pub fn is_mask(&self) -> bool {
        let power = |n: u128| n & n.wrapping_sub(1) == 0;
        power(self.value.wrapping_add(1)) || power((self.value ^ self.all()).wrapping_add(1))
    }
}

const CLOSED_4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
];
const OPEN_4: [&str; 2] = ["192.0.0.9/32", "192.0.0.10/32"];
const CLOSED_6: [&str; 10] = [
    "::1/128",
    "::/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
];
const OPEN_6: [&str; 6] =
    ["2001:1::1/128", "2001:1::2/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"];

fn number(text: &str) -> Option<(bool, u128)> {
    match text.parse().ok()? {
        IpAddr::V4(address) => Some((false, u128::from(u32::from(address)))),
        IpAddr::V6(address) => Some((true, u128::from(address))),
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip(), self.prefix)
    }
}
