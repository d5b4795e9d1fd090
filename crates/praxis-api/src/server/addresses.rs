//! How many connections each address has open, so that no client takes the places of all others.
//!
//! Addresses of this machine are not counted: a proxy in front of the server has one of them. Left out: proxies on
//! other machines, which look like one client; whoever has one raises the bound.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open connections by address.
pub(super) struct Addresses {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    /// Whether the log has it that some are closed: once is enough, a flood must not fill the disk.
    told: AtomicBool,
}

/// A connection that is counted as long as this lives.
pub(super) struct Counted {
    addresses: Arc<Addresses>,
    of: Option<IpAddr>,
}

impl Addresses {
    /// At most so many connections each.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// Counts a connection, unless its address has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let of = client(address);
        if let Some(of) = of {
            let mut open = self.open();
            let count = open.entry(of).or_insert(0);
            if *count >= self.most {
                drop(open);
                self.refused(address);
                return None;
            }
            *count += 1;
        }
        Some(Counted {
            addresses: Arc::clone(self),
            of,
        })
    }

    fn refused(&self, address: IpAddr) {
        metrics::counter!("praxis_http_refused_connections_total").increment(1);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %address,
                most = self.most,
                "an address has too many connections open, more are closed; where it is a proxy's, raise \
                 `max_connections_per_address` under [server]"
            );
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(of) = self.of else { return };
        if let Entry::Occupied(mut count) = self.addresses.open().entry(of) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Whom an address is counted as, if it is: a client of IPv6 has a whole network of 64 bits.
fn client(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    match address {
        _ if address.is_loopback() => None,
        IpAddr::V4(_) => Some(address),
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> 64 << 64;
            Some(IpAddr::V6(Ipv6Addr::from_bits(network)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let addresses = Arc::new(Addresses::new(2));
        let first = addresses.enter(at("192.0.2.1")).unwrap();
        let second = addresses.enter(at("::ffff:192.0.2.1")).unwrap();
        assert!(addresses.enter(at("192.0.2.1")).is_none());
        let other = addresses.enter(at("192.0.2.2")).unwrap();

        drop(first);
        let third = addresses.enter(at("192.0.2.1")).unwrap();
        assert!(addresses.enter(at("192.0.2.1")).is_none());

        drop((second, third, other));
        assert!(addresses.open().is_empty(), "who has gone is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let addresses = Arc::new(Addresses::new(1));
        let _held = addresses.enter(at("2001:db8:1:2::1")).unwrap();
        assert!(addresses.enter(at("2001:db8:1:2:ffff::9")).is_none());
        assert!(addresses.enter(at("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn this_machine_is_not_counted() {
        let addresses = Arc::new(Addresses::new(1));
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            let held: Vec<_> = (0..3).map(|_| addresses.enter(at(address))).collect();
            assert!(held.iter().all(Option::is_some), "{address}");
        }
    }
}
