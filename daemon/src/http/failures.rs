//! Wrong tokens, and who sent too many of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::watch::Pace;

/// After too many wrong tokens an address waits so long for each further one, in seconds.
pub(super) const PAUSE_S: u32 = 10;
/// Wrong tokens from one address, a second and at once.
const OF_ONE: (f64, u32) = (1.0 / PAUSE_S as f64, 5);
/// Wrong tokens from all addresses, a second and at once.
const OF_ALL: (f64, u32) = (2.0, 50);
/// So many addresses are remembered.
const MAX_ADDRESSES: usize = 1024;

/// Counts wrong tokens. Pure: the clock comes from outside.
#[derive(Debug)]
pub(super) struct Failures {
    of_one: HashMap<IpAddr, Pace>,
    of_all: Pace,
}

impl Failures {
    pub(super) fn new() -> Failures {
        Failures { of_one: HashMap::new(), of_all: Pace::new(OF_ALL.0, OF_ALL.1) }
    }

    /// Whether `address` may try a token at `now`.
    pub(super) fn may_try(&mut self, address: IpAddr, now: Instant) -> bool {
        let of_one = self.of_one.get_mut(&network(address)).is_none_or(|pace| pace.has_any(now));
        of_one && self.of_all.has_any(now)
    }

    /// What `address` tried was wrong.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        self.of_all.take(now);
        if self.of_one.len() >= MAX_ADDRESSES {
            self.of_one.retain(|_, pace| !pace.is_full(now));
        }
        let address = network(address);
        // Whoever has so many addresses is held by what all of them may do together.
        if self.of_one.len() < MAX_ADDRESSES || self.of_one.contains_key(&address) {
            self.of_one.entry(address).or_insert_with(|| Pace::new(OF_ONE.0, OF_ONE.1)).take(now);
        }
    }
}

/// What one subscriber has: an address of IPv4, the upper half of one of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let upper = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(upper).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tried(failures: &mut Failures, address: &str, now: Instant) -> usize {
        let address = address.parse().unwrap();
        let tries = (0..1000).filter(|_| {
            let may_try = failures.may_try(address, now);
            if may_try {
                failures.failed(address, now);
            }
            may_try
        });
        tries.count()
    }

    #[test]
    fn one_address_has_its_few_tries_and_then_a_slow_pace_and_others_have_theirs() {
        let (mut failures, now) = (Failures::new(), Instant::now());
        assert_eq!(tried(&mut failures, "192.0.2.1", now), 5);
        assert_eq!(tried(&mut failures, "::ffff:192.0.2.1", now), 0);
        assert_eq!(tried(&mut failures, "192.0.2.2", now), 5);
        assert_eq!(tried(&mut failures, "2001:db8::1", now), 5);
        assert_eq!(tried(&mut failures, "2001:db8::ffff:1", now), 0, "the same network");
        assert_eq!(tried(&mut failures, "192.0.2.1", now + Duration::from_secs(20)), 2);
    }

    #[test]
    fn many_addresses_together_are_held_too_and_memory_is_bounded() {
        let (mut failures, now) = (Failures::new(), Instant::now());
        let all: usize =
            (0..5000).map(|n| tried(&mut failures, &format!("10.0.{}.{}", n / 250, n % 250), now)).sum();
        assert_eq!(all, 50);
        for n in 0..5000 {
            failures.failed(format!("10.1.{}.{}", n / 250, n % 250).parse().unwrap(), now);
        }
        assert_eq!(failures.of_one.len(), MAX_ADDRESSES);
        failures.failed("10.2.0.1".parse().unwrap(), now + Duration::from_secs(3600));
        assert_eq!(failures.of_one.len(), 1);
    }
}
