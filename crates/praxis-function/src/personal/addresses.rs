//! Addresses of machines: public ones of IPv4 and IPv6, and of network cards. Left out: private addresses, which say
//! nothing about anybody, and versions that look like addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Finding;
use super::Kind::{IpAddress, MacAddress};
use super::rules::{Candidate, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: IpAddress,
        pattern: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
        judge: v4,
    },
    Rule {
        kind: IpAddress,
        pattern: r"[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}",
        judge: v6,
    },
    Rule {
        kind: MacAddress,
        pattern: r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}",
        judge: card,
    },
];

fn v4(candidate: &Candidate<'_>) -> Option<Finding> {
    const NAMES: &[&str] = &[
        "ip",
        "address",
        "host",
        "server",
        "dns",
        "gateway",
        "from",
        "ping",
        "ssh",
        "client",
        "地址",
        "主机",
        "服务器",
        "来自",
    ];
    const NO_NAMES: &[&str] = &[
        "version", "release", "build", "firmware", "driver", "section", "chapter", "clause", "版",
        "固件", "驱动", "章节", "条款", "第",
    ];
    let address: Ipv4Addr = candidate.value().parse().ok()?;
    let clause = candidate.clause();
    let has = |words: &[&str]| words.iter().any(|word| clause.contains(*word));
    let named = has(NAMES);
    let [first, second, _, last] = address.octets();
    let private = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || first == 0
        || first >= 224
        // Behind carriers' translation (RFC 6598).
        || first == 100 && (64..128).contains(&second);
    // A number of chapters or of a version.
    let small = address.octets().iter().all(|octet| *octet < 10) || last == 0;
    let package = candidate.head().ends_with('@') && !named;
    let version =
        has(NO_NAMES) || package || candidate.tail().starts_with(['版', '章', '节', '条']);
    (!private && !version && (named || !small) && candidate.stands_alone())
        .then(|| candidate.shape())
        .flatten()
}

/// Of the part that is given out, 2000::/3: the others are not public, or are paths such as `a::b`.
fn v6(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    // At the end of a clause.
    let cut = match value.ends_with(':') && !value.ends_with("::") {
        true => candidate.cut(value.len() - 1),
        false => candidate.cut(value.len()),
    };
    let address: Ipv6Addr = cut.value().parse().ok()?;
    let global = (address.segments()[0] & 0xe000) == 0x2000;
    let groups = cut.value().split(':').filter(|group| !group.is_empty());
    let goes_on = cut.range == candidate.range && cut.tail().starts_with(':');
    (global && !goes_on && groups.count() > 2)
        .then(|| cut.shape())
        .flatten()
}

fn card(candidate: &Candidate<'_>) -> Option<Finding> {
    let value = candidate.value();
    let separators: Vec<char> = value.chars().filter(char::is_ascii_punctuation).collect();
    let uniform = separators.iter().all(|c| Some(c) == separators.first());
    let hex = value.to_ascii_lowercase();
    let unused = ["00", "ff"]
        .iter()
        .any(|byte| hex.split([':', '-']).all(|b| b == *byte));
    // Six pairs of digits may be anything.
    let lettered =
        hex.contains(['a', 'b', 'c', 'd', 'e', 'f']) || candidate.clause().contains("mac");
    let joins = |c: char| matches!(c, ':' | '-');
    let hexadecimal = |c: char| c.is_ascii_hexdigit();
    let mut before = candidate.head().chars().rev();
    let part = before.next().is_some_and(joins)
        && before.next().is_some_and(hexadecimal)
        && before.next().is_some_and(hexadecimal)
        && before.next().is_none_or(|c| !c.is_ascii_alphanumeric());
    let mut after = candidate.tail().chars();
    let goes_on = after.next().is_some_and(joins) && after.next().is_some_and(hexadecimal);
    (uniform && lettered && !unused && !part && !goes_on)
        .then(|| candidate.shape())
        .flatten()
}
