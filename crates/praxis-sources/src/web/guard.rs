//! Which addresses may be asked: those of the public internet, unless a source says otherwise. The resolver of the
//! HTTP client looks names up and gives it what is allowed alone, so that what was checked is what is connected
//! to, at every request and every redirect. Left out: which URLs are wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Names of networks that are not the internet: this machine (RFC 6761), the local link (RFC 6762), homes (RFC 8375),
/// and what ICANN set aside for private use, where clouds have their metadata services.
const PRIVATE_NAMES: [&str; 4] = ["localhost", "local", "home.arpa", "internal"];

/// Finds the addresses of names. Contract: an answer holds for this time only; who asks again may get another one.
#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses that a name has now.
    ///
    /// # Errors
    /// It has none, or nobody can tell.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine.
#[derive(Debug)]
struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// A list of names, and no others.
#[async_trait]
impl Lookup for BTreeMap<String, Vec<IpAddr>> {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.get(host)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What may be asked.
#[derive(Debug, Clone)]
pub struct Guard {
    private: bool,
    lookup: Arc<dyn Lookup>,
    /// Private addresses that count as public.
    public: Arc<Vec<IpAddr>>,
}

/// A host that may not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    host: String,
    /// The address that it is at, where it is not its name that tells.
    address: Option<IpAddr>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match self.address {
            Some(address) => write!(f, "{host} is at a private address ({address})")?,
            None => write!(f, "{host} is a name of a private network")?,
        }
        f.write_str(": write `allow_private = true` for this source if that is meant")
    }
}

impl std::error::Error for Refused {}

impl Guard {
    /// A guard that lets private addresses through, or does not.
    pub fn new(allow_private: bool) -> Self {
        Self {
            private: allow_private,
            lookup: Arc::new(System),
            public: Arc::default(),
        }
    }

    /// The same guard in a network of its own: names are found by `lookup`, and `public` are addresses that count as
    /// public there. It is how what asks servers is tested beside them, on one machine.
    #[must_use]
    pub fn within(self, lookup: Arc<dyn Lookup>, public: Vec<IpAddr>) -> Self {
        Self {
            lookup,
            public: Arc::new(public),
            ..self
        }
    }

    /// Whether everything may be asked.
    pub fn is_open(&self) -> bool {
        self.private
    }

    fn permits(&self, address: IpAddr) -> bool {
        self.private || is_public(address) || self.public.contains(&address)
    }

    /// Refuses a URL whose host is a private address itself, for which no name is resolved, or a name that is never of
    /// the internet.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(name)) => return self.check_name(name),
            None => return Ok(()),
        };
        if self.permits(address) {
            return Ok(());
        }
        Err(Refused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address: Some(address),
        })
    }

    fn check_name(&self, name: &str) -> Result<(), Refused> {
        if self.private || !is_private_name(name) {
            return Ok(());
        }
        Err(Refused {
            host: name.to_owned(),
            address: None,
        })
    }

    async fn resolved(
        self,
        host: String,
    ) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        self.check_name(&host)?;
        let found = self.lookup.addresses(&host).await?;
        let refused = found.iter().copied().find(|a| !self.permits(*a));
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|a| self.permits(*a))
            .map(|a| SocketAddr::new(a, 0))
            .collect();
        match refused {
            Some(address) if allowed.is_empty() => Err(Box::new(Refused {
                host,
                address: Some(address),
            })),
            _ => Ok(Box::new(allowed.into_iter())),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().resolved(name.as_str().to_owned()))
    }
}

/// Whether a name is never of the internet: one of [`PRIVATE_NAMES`], below one, or without any dot, which a resolver
/// completes with the domain of the network that it is in.
fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let below = |domain: &&str| {
        name.strip_suffix(*domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || PRIVATE_NAMES.iter().any(below)
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
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // All that is global is in 2000::/3. Of ISATAP (RFC 5214), the end is an address of version 4.
        [first, _, _, _, 0 | 0x200, 0x5efe, high, low] => {
            first & 0xe000 == 0x2000 && embedded(high, low)
        }
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
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.170",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:1::",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2001:db8::1",
            "2606:4700::5efe:a00:1",
            "2606:4700::200:5efe:7f00:1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2606:4700::5efe:101:101",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_addresses_are_refused_in_every_spelling() {
        let guard = Guard::new(false);
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "[::1]",
            "[::ffff:7f00:1]",
            "127.1",
            "１２７.0.0.1",
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

    #[test]
    fn names_of_private_networks_are_refused_before_anybody_is_asked() {
        let guard = Guard::new(false);
        for (host, private) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("a.localhost", true),
            ("printer.local", true),
            ("router.home.arpa", true),
            ("metadata.google.internal", true),
            ("metadata.google.internal.", true),
            ("redis", true),
            ("example.com", false),
            ("local.example.com", false),
            ("notlocal.com", false),
            ("mylocalhost.org", false),
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(guard.check(&url).is_err(), private, "{host}");
            assert!(Guard::new(true).check(&url).is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn names_lead_to_public_addresses_alone() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let known: BTreeMap<String, Vec<IpAddr>> = [
            ("mixed.test".to_owned(), vec![at("10.0.0.1"), at("1.2.3.4")]),
            ("inside.test".to_owned(), vec![at("10.0.0.1")]),
        ]
        .into();
        let guard = Guard::new(false).within(Arc::new(known), Vec::new());
        let mixed: Vec<SocketAddr> = guard
            .clone()
            .resolved("mixed.test".to_owned())
            .await
            .unwrap()
            .collect();
        assert_eq!(mixed, [SocketAddr::new(at("1.2.3.4"), 0)]);
        for name in ["inside.test", "unknown.test", "localhost"] {
            assert!(
                guard.clone().resolved(name.to_owned()).await.is_err(),
                "{name}"
            );
        }
        assert!(
            Guard::new(false)
                .resolved("localhost".to_owned())
                .await
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn a_mapped_address_counts_as_what_it_maps(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(v4.to_ipv6_mapped().into()), is_public(v4.into()));
        }
    }
}
