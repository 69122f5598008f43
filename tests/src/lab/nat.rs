//! The NAT before site a: [`Nat`].
//!
//! It rewrites the source of UDP packets on their way out and the destination of their answers, and mends the
//! checksums. Before its first rebinding it changes nothing. TCP passes as it is: a rebinding would end its connections.

use std::net::Ipv4Addr;

/// Ports from here on are given to flows.
const FIRST_PORT: u16 = 1024;
/// How many there are.
const PORTS: u16 = u16::MAX - FIRST_PORT + 1;
/// How far each rebinding moves the ports: any number without a common divisor with [`PORTS`], far from small ones.
const STEP: u16 = 7919;

const UDP: u8 = 17;

/// Which way a packet goes through the NAT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From site a.
    Out,
    /// To site a.
    In,
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It does, rewritten if that was due.
    Pass,
    /// It was meant for a binding that is forgotten.
    Drop,
}

/// The bindings, which are arithmetic: each port of site a has one outside, a shift away.
#[derive(Clone, Debug, Default)]
pub struct Nat {
    shift: u16,
    /// The address outside instead of site a's own, once it was changed, and the last of site a's own that was seen.
    outside: Option<Ipv4Addr>,
    inside: Option<Ipv4Addr>,
}

impl Nat {
    /// Forgets the bindings and makes new ones at other ports.
    pub fn rebind_ports(&mut self) {
        self.shift = (self.shift + STEP) % PORTS;
    }

    /// The same at another address.
    pub fn rebind_address(&mut self, outside: Ipv4Addr) {
        self.rebind_ports();
        self.outside = Some(outside);
    }

    /// Rewrites an IP packet.
    pub fn translate(&mut self, way: Way, packet: &mut [u8]) -> Verdict {
        if self.shift == 0 {
            return Verdict::Pass;
        }
        match packet.first().map(|first| first >> 4) {
            Some(4) => self.translate_v4(way, packet),
            Some(6) => self.translate_v6(way, packet),
            _ => Verdict::Pass,
        }
    }

    fn translate_v4(&mut self, way: Way, packet: &mut [u8]) -> Verdict {
        let header = usize::from(packet[0] & 0xf) * 4;
        let is_first = packet.len() >= header + 8 && word(packet, 6) & 0x1fff == 0;
        if header < 20 || !is_first || packet[9] != UDP {
            return Verdict::Pass;
        }
        let at = match way {
            Way::Out => 12,
            Way::In => 16,
        };
        let address = Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let other = match way {
            Way::Out => {
                self.inside = Some(address);
                self.outside
            }
            Way::In if self.outside == Some(address) => self.inside,
            // The address that the NAT had before.
            Way::In if self.outside.is_some() => return Verdict::Drop,
            Way::In => None,
        };
        let mut sum = Sum::default();
        if let Some(other) = other {
            let [a, b, c, d] = other.octets();
            for (at, new) in [(at, [a, b]), (at + 2, [c, d])] {
                sum.replace(packet, at, u16::from_be_bytes(new));
            }
        }
        // The header's checksum covers the address alone, UDP's the port too.
        sum.mend(packet, 10);
        self.translate_port(way, packet, header, sum)
    }

    fn translate_v6(&self, way: Way, packet: &mut [u8]) -> Verdict {
        const HEADER: usize = 40;
        if packet.len() < HEADER + 8 || packet[6] != UDP {
            return Verdict::Pass;
        }
        self.translate_port(way, packet, HEADER, Sum::default())
    }

    fn translate_port(&self, way: Way, packet: &mut [u8], udp: usize, mut sum: Sum) -> Verdict {
        let (at, shift) = match way {
            Way::Out => (udp, self.shift),
            Way::In => (udp + 2, PORTS - self.shift),
        };
        let port = word(packet, at);
        if port < FIRST_PORT {
            return Verdict::Pass;
        }
        let moved = (u32::from(port - FIRST_PORT) + u32::from(shift)) % u32::from(PORTS);
        let moved = u16::try_from(moved).expect("less than PORTS") + FIRST_PORT;
        sum.replace(packet, at, moved);
        // None was made: RFC 768.
        if word(packet, udp + 6) != 0 {
            sum.mend(packet, udp + 6);
        }
        Verdict::Pass
    }
}

fn word(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// What changed in the words that a checksum covers. Source: RFC 1624, equation 3.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(u32);

impl Sum {
    fn replace(&mut self, packet: &mut [u8], at: usize, new: u16) {
        self.0 += u32::from(!word(packet, at)) + u32::from(new);
        packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
    }

    fn mend(self, packet: &mut [u8], at: usize) {
        let mut sum = self.0 + u32::from(!word(packet, at));
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let mended = !u16::try_from(sum).expect("folded above");
        packet[at..at + 2].copy_from_slice(&mended.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 2);
    const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 101);

    /// One's complement sum of all words; all ones when a checksum among them is right.
    fn folded(bytes: impl IntoIterator<Item = u8>) -> u16 {
        let bytes: Vec<u8> = bytes.into_iter().collect();
        let mut sum: u32 = bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn udp_sum(packet: &[u8]) -> u16 {
        let length = (packet.len() - 20) as u16;
        let pseudo = packet[12..20].iter().copied().chain([0, UDP]).chain(length.to_be_bytes());
        folded(pseudo.chain(packet[20..].iter().copied()))
    }

    fn packet((from, from_port): (Ipv4Addr, u16), (to, to_port): (Ipv4Addr, u16)) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 33, 1, 2, 0x40, 0, 64, UDP, 0, 0];
        packet.extend(from.octets().into_iter().chain(to.octets()));
        packet.extend([from_port.to_be_bytes(), to_port.to_be_bytes(), [0, 13], [0, 0]].concat());
        packet.extend(b"hello");
        for (at, sum) in [(10, folded(packet[..20].iter().copied())), (26, udp_sum(&packet))] {
            packet[at..at + 2].copy_from_slice(&(!sum).to_be_bytes());
        }
        packet
    }

    fn check_sums(packet: &[u8]) {
        assert_eq!(folded(packet[..20].iter().copied()), 0xffff);
        assert_eq!(udp_sum(packet), 0xffff);
    }

    #[test]
    fn before_a_rebinding_nothing_changes() {
        let mut sent = packet((A, 40_000), (B, 443));
        assert_eq!(Nat::default().translate(Way::Out, &mut sent), Verdict::Pass);
        assert_eq!(sent, packet((A, 40_000), (B, 443)));
    }

    #[test]
    fn another_port_and_back() {
        for port in [1024, 40_000, u16::MAX] {
            let mut nat = Nat::default();
            nat.rebind_ports();
            let mut sent = packet((A, port), (B, 443));
            nat.translate(Way::Out, &mut sent);
            check_sums(&sent);
            let outside = word(&sent, 20);
            assert_ne!(outside, port);
            let mut answer = packet((B, 443), (A, outside));
            nat.translate(Way::In, &mut answer);
            assert_eq!(answer, packet((B, 443), (A, port)));
        }
    }

    #[test]
    fn another_address_and_back() {
        let mut nat = Nat::default();
        nat.rebind_address(OUTSIDE);
        let mut sent = packet((A, 40_000), (B, 443));
        nat.translate(Way::Out, &mut sent);
        check_sums(&sent);
        assert_eq!(sent[12..16], OUTSIDE.octets());
        let mut answer = packet((B, 443), (OUTSIDE, word(&sent, 20)));
        assert_eq!(nat.translate(Way::In, &mut answer), Verdict::Pass);
        assert_eq!(answer, packet((B, 443), (A, 40_000)));
    }

    #[test]
    fn answers_to_a_forgotten_address_are_dropped() {
        let mut nat = Nat::default();
        nat.rebind_address(OUTSIDE);
        assert_eq!(nat.translate(Way::In, &mut packet((B, 443), (A, 40_000))), Verdict::Drop);
    }

    #[test]
    fn a_packet_without_a_checksum_gets_none() {
        let mut nat = Nat::default();
        nat.rebind_ports();
        let mut sent = packet((A, 40_000), (B, 443));
        sent[26..28].fill(0);
        nat.translate(Way::Out, &mut sent);
        assert_eq!(word(&sent, 26), 0);
    }

    #[test]
    fn what_is_no_udp_passes_as_it_is() {
        let mut nat = Nat::default();
        nat.rebind_address(OUTSIDE);
        let mut tcp = packet((A, 40_000), (B, 443));
        tcp[9] = 6;
        let before = tcp.clone();
        nat.translate(Way::Out, &mut tcp);
        assert_eq!(tcp, before);
        for length in 0..28 {
            nat.translate(Way::In, &mut packet((A, 1), (B, 2))[..length]);
        }
    }
}
