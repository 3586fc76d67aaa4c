//! Connections by the address that they come from. Touched when one opens or closes, and only where there is a limit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts of the table, so that workers seldom wait for each other.
const PARTS: usize = 16;

/// How many connections each address has open, over all workers.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    parts: [Mutex<HashMap<IpAddr, usize>>; PARTS],
    hasher: RandomState,
}

impl Addresses {
    /// Counts one more connection of `address`; `None` where it has `most` already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Entered> {
        let address = counted_as(address);
        let mut part = self.part(address)?;
        let count = part.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(part);
        Some(Entered { addresses: Arc::clone(self), address })
    }

    fn part(&self, address: IpAddr) -> Option<MutexGuard<'_, HashMap<IpAddr, usize>>> {
        let place = usize::try_from(self.hasher.hash_one(address) % PARTS as u64).ok()?;
        Some(self.parts.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who an address stands for: with IPv6 whoever has one address has its whole /64.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        four => four,
    }
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(mut part) = self.addresses.part(self.address) else { return };
        if let Some(count) = part.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                part.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_no_more() {
        let addresses = Arc::new(Addresses::default());
        let first = addresses.enter(address("192.0.2.1"), 2).unwrap();
        let _second = addresses.enter(address("::ffff:192.0.2.1"), 2).unwrap();
        assert!(addresses.enter(address("192.0.2.1"), 2).is_none());
        assert!(addresses.enter(address("192.0.2.2"), 2).is_some());
        drop(first);
        assert!(addresses.enter(address("192.0.2.1"), 2).is_some());
    }

    #[test]
    fn an_ipv6_address_counts_with_its_neighbours() {
        let addresses = Arc::new(Addresses::default());
        let _one = addresses.enter(address("2001:db8::1"), 1).unwrap();
        assert!(addresses.enter(address("2001:db8::ffff:2"), 1).is_none());
        assert!(addresses.enter(address("2001:db8:0:1::1"), 1).is_some());
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let addresses = Arc::new(Addresses::default());
        for last in 0..200 {
            drop(addresses.enter(IpAddr::from([192, 0, 2, last]), 1).unwrap());
        }
        let left: usize = addresses.parts.iter().map(|part| part.lock().unwrap().len()).sum();
        assert_eq!(left, 0);
    }
}
