//! Who shares a link: [`Flow`].

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What tells one connection from another between two hosts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Flow {
    /// The protocol's number in IP: 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// The sender's port.
    pub from_port: u16,
    /// The receiver's port.
    pub to_port: u16,
}

impl Flow {
    /// The flow of an IPv4 packet, if it has ports.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        let header = usize::from(first & 0xf) * 4;
        let protocol = *packet.get(9)?;
        let [a, b, c, d] = *packet.get(header..)?.first_chunk()?;
        let is_first = packet.get(6)? & 0x1f == 0 && *packet.get(7)? == 0;
        if first >> 4 != 4 || !is_first || !matches!(protocol, TCP | UDP) {
            return None;
        }
        Some(Self {
            protocol,
            from_port: u16::from_be_bytes([a, b]),
            to_port: u16::from_be_bytes([c, d]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(protocol: u8, offset: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, offset, 64, protocol, 0, 0];
        packet.extend([0; 8]);
        packet.extend([0x10, 0x00, 0x01, 0xbb]);
        packet
    }

    #[test]
    fn a_flow_is_a_protocol_and_two_ports() {
        let flow = Flow { protocol: UDP, from_port: 4096, to_port: 443 };
        assert_eq!(Flow::of(&packet(UDP, 0)), Some(flow));
        assert_eq!(Flow::of(&packet(TCP, 0)), Some(Flow { protocol: TCP, ..flow }));
    }

    #[test]
    fn what_has_no_ports_is_no_flow() {
        assert_eq!(Flow::of(&packet(1, 0)), None);
        assert_eq!(Flow::of(&packet(UDP, 5)), None);
        for length in 0..24 {
            assert_eq!(Flow::of(&packet(UDP, 0)[..length]), None);
        }
    }
}
