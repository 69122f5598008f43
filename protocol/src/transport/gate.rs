//! The budget of peers that nobody knows yet: [`Gate`].

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Peers under way above which a newcomer must prove its address first: an honest one loses a round trip, a forged one all.
const UNPROVEN_MAX: usize = 8;
/// Peers that may be under way at once.
const UNDER_WAY_MAX: usize = 32;
/// Peers that may be under way from one network: a /24 of IPv4, a /56 of IPv6, what one customer has.
const NETWORK_MAX: usize = 8;

/// Counts the peers that are not known yet, so that strangers cannot use up what known ones need.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    under_way: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// What to do with an attempt to connect.
#[derive(Debug)]
pub enum Admission {
    /// Begin the handshake, and hold the pass until it is known who the peer is.
    Pass(Pass),
    /// Make it prove its address (RFC 9000, section 8.1.2).
    Retry,
    /// Do not answer.
    Drop,
}

/// A place within the gate's budget, given back when it is dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    network: IpAddr,
}

impl Gate {
    /// A gate that nobody is in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides about an attempt from `address`; `proven` when the peer has shown that it receives there.
    pub fn admit(&self, address: IpAddr, proven: bool) -> Admission {
        let network = network_of(address);
        let mut under_way = self.lock();
        let total: usize = under_way.values().sum();
        let here = under_way.get(&network).copied().unwrap_or(0);
        if total >= UNDER_WAY_MAX || (here >= NETWORK_MAX && !address.is_loopback()) {
            return Admission::Drop;
        }
        if total >= UNPROVEN_MAX && !proven {
            return Admission::Retry;
        }
        under_way.insert(network, here + 1);
        Admission::Pass(Pass { gate: self.clone(), network })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // A count is right at every moment, whoever panics.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut under_way = self.gate.lock();
        match under_way.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(under_way.remove(&self.network)),
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !((1 << 72) - 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(network: u8, host: u8) -> IpAddr {
        IpAddr::from([10, 0, network, host])
    }

    fn fill(gate: &Gate, count: u8) -> Vec<Pass> {
        (0..count)
            .filter_map(|n| match gate.admit(v4(n, 1), true) {
                Admission::Pass(pass) => Some(pass),
                Admission::Retry | Admission::Drop => None,
            })
            .collect()
    }

    #[test]
    fn the_ninth_stranger_must_prove_its_address() {
        let gate = Gate::new();
        let passes = fill(&gate, 8);
        assert!(matches!(gate.admit(v4(100, 1), false), Admission::Retry));
        assert!(matches!(gate.admit(v4(100, 1), true), Admission::Pass(_)));
        drop(passes);
        assert!(matches!(gate.admit(v4(100, 1), false), Admission::Pass(_)));
    }

    #[test]
    fn the_budget_is_bounded_and_comes_back() {
        let gate = Gate::new();
        let passes = fill(&gate, 40);
        assert_eq!(passes.len(), UNDER_WAY_MAX);
        assert!(matches!(gate.admit(v4(100, 1), true), Admission::Drop));
        drop(passes);
        assert!(gate.lock().is_empty());
    }

    #[test]
    fn one_network_cannot_take_it_all() {
        let gate = Gate::new();
        let mut passes = Vec::new();
        for host in 0..8 {
            passes.push(gate.admit(v4(1, host), true));
        }
        assert!(matches!(gate.admit(v4(1, 99), true), Admission::Drop));
        assert!(matches!(gate.admit(v4(2, 1), true), Admission::Pass(_)));
    }

    #[test]
    fn addresses_of_one_customer_are_one_network() {
        let same =
            |a: &str, b: &str| a.parse().map(network_of).ok() == b.parse().map(network_of).ok();
        assert!(same("192.0.2.1", "::ffff:192.0.2.200"));
        assert!(!same("192.0.2.1", "192.0.3.1"));
        assert!(same("2001:db8:0:ff00::1", "2001:db8:0:ffff::2"));
        assert!(!same("2001:db8:0:ff00::1", "2001:db8:0:fe00::1"));
    }
}
