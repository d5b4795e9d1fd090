//! Which addresses may be asked: those of the public internet, unless a source says otherwise. The resolver of the
//! HTTP client looks names up and gives it what is allowed alone, so that what was checked is what is connected
//! to, at every request and every redirect. Left out: which URLs are wanted.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What may be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    pub private: bool,
    /// Addresses of names, and private addresses that count as public: a network for tests.
    pub known: Arc<BTreeMap<String, Vec<IpAddr>>>,
    pub public: Arc<Vec<IpAddr>>,
}

/// An address that may not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} is at a private address ({address}): write `allow_private = true` for this source if that is meant"
)]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
}

impl Guard {
    /// The guard of a source.
    pub fn new(allow_private: bool) -> Self {
        Self {
            private: allow_private,
            ..Self::default()
        }
    }

    /// Whether everything may be asked.
    pub fn is_open(&self) -> bool {
        self.private
    }

    fn permits(&self, address: IpAddr) -> bool {
        self.private || is_public(address) || self.public.contains(&address)
    }

    /// Refuses a URL whose host is a private address itself: no name is resolved for those.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if self.permits(address) {
            return Ok(());
        }
        Err(Refused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address,
        })
    }

    async fn lookup(self, host: String) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = match self.known.get(&host) {
            Some(addresses) => addresses.iter().map(|a| SocketAddr::new(*a, 0)).collect(),
            None => tokio::net::lookup_host((host.as_str(), 0)).await?.collect(),
        };
        let refused = found.iter().map(SocketAddr::ip).find(|a| !self.permits(*a));
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| self.permits(a.ip())).collect();
        match refused {
            Some(address) if allowed.is_empty() => Err(Box::new(Refused { host, address })),
            _ => Ok(Box::new(allowed.into_iter())),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().lookup(name.as_str().to_owned()))
    }
}

/// Whether an address is of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match (a, b, c) {
        // This network, private networks, loopback, link-local (and clouds' metadata), multicast, the future.
        (0 | 10 | 127 | 224..=255, _, _) => true,
        (100, 64..=127, _) => true,
        (169, 254, _) | (192, 168, _) => true,
        (172, 16..=31, _) => true,
        // Protocol assignments, examples, 6to4 relays, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) => true,
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // The metadata service of one cloud.
        (168, 63, 129) => address == Ipv4Addr::new(168, 63, 129, 16),
        _ => false,
    };
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // Addresses of version 4 in those of version 6: mapped, compatible, translated, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID and other protocol assignments; documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second >= 0x1000,
        // All that is global is in 2000::/3.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_dress() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.170",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_addresses_are_refused_in_every_spelling() {
        let guard = Guard::new(false);
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "127.1",
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert!(guard.check(&url).is_err(), "{host}");
            assert!(Guard::new(true).check(&url).is_ok());
        }
        assert!(
            guard
                .check(&Url::parse("http://example.com/").unwrap())
                .is_ok()
        );
    }

    #[tokio::test]
    async fn names_lead_to_public_addresses_alone() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let known = [
            ("mixed.test".to_owned(), vec![at("10.0.0.1"), at("1.2.3.4")]),
            ("inside.test".to_owned(), vec![at("10.0.0.1")]),
        ];
        let guard = Guard {
            known: Arc::new(known.into_iter().collect()),
            ..Guard::new(false)
        };
        let mixed: Vec<SocketAddr> = guard
            .clone()
            .lookup("mixed.test".to_owned())
            .await
            .unwrap()
            .collect();
        assert_eq!(mixed, [SocketAddr::new(at("1.2.3.4"), 0)]);
        assert!(
            guard
                .clone()
                .lookup("inside.test".to_owned())
                .await
                .is_err()
        );
        assert!(guard.lookup("localhost".to_owned()).await.is_err());
    }

    proptest! {
        #[test]
        fn a_mapped_address_counts_as_what_it_maps(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), is_public(v4.into()));
        }
    }
}
