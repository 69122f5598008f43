//! The UDP socket under an endpoint: [`BatchSocket`], and what the route to a peer carries: [`route_payload_max`].

#![expect(clippy::disallowed_types, reason = "the crate's only sockets are made here")]

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

/// Socket buffer that is asked for. At 1 Gbit/s a buffer of 4 MiB was seen to overflow while the receiver was off the CPU.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
/// UDP payload of a full packet on an Ethernet with IPv6: 1500 - 40 - 8. What is tried on any route.
const ORDINARY_PAYLOAD_BYTES: u16 = 1452;
/// The same with jumbo frames, 9000 - 40 - 8, and the largest that is tried or taken. The loopback interface would carry
/// more, but 4 GiB over it need 22.0 s of CPU time with ordinary packets, 15.3 s with these, and 14.5 s with the largest there
/// are; and of those a burst does not fit the receive buffer that Linux grants unless it is told to.
pub(super) const JUMBO_PAYLOAD_BYTES: u16 = 8952;
/// Headers of IPv6 and UDP. IPv4 would leave 20 bytes more.
const HEADERS_BYTES: u32 = 40 + 8;
/// What the kernel takes or gives at once, in however many packets: the largest payload of one packet over IPv4.
const BATCH_BYTES_MAX: usize = 65_507;

/// Buffers that the operating system granted a socket, in bytes. On Linux `net.core.rmem_max` and `wmem_max` bound them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BufferBytes {
    /// For what arrives.
    pub receive: usize,
    /// For what is sent.
    pub send: usize,
}

impl BufferBytes {
    /// Whether both are as large as asked for. If not, a fast link will lose packets here.
    pub fn are_ample(self) -> bool {
        self.receive.min(self.send) >= SOCKET_BUFFER_BYTES
    }
}

/// A socket whose batches of packets (GSO, GRO) fit what the kernel takes and gives at once.
///
/// quinn by itself batches ten packets, however large, and counts a batch that the kernel refuses as sent. It also keeps a buffer
/// for 64 of the largest packets, where the kernel never gives more than one batch's bytes.
#[derive(Debug)]
pub(super) struct BatchSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    send_payload_max: AtomicU16,
}

impl BatchSocket {
    /// Binds `address`, for an endpoint that takes packets of at most [`JUMBO_PAYLOAD_BYTES`]. Within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, not ours or not allowed.
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Arc<Self>, BufferBytes)> {
        let (socket, buffers) = bind(address)?;
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        let send_payload_max = AtomicU16::new(ORDINARY_PAYLOAD_BYTES);
        Ok((Arc::new(Self { inner, send_payload_max }), buffers))
    }

    /// From now on packets as large as this may be sent, too.
    pub(super) fn admit(&self, payload_bytes: u16) {
        self.send_payload_max.fetch_max(payload_bytes, Ordering::Relaxed);
    }
}

impl AsyncUdpSocket for BatchSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let payload = usize::from(self.send_payload_max.load(Ordering::Relaxed));
        self.inner.max_transmit_segments().min(BATCH_BYTES_MAX / payload)
    }

    fn max_receive_segments(&self) -> usize {
        let payload = usize::from(JUMBO_PAYLOAD_BYTES);
        self.inner.max_receive_segments().min(BATCH_BYTES_MAX.div_ceil(payload))
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

fn bind(address: SocketAddr) -> io::Result<(UdpSocket, BufferBytes)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A smaller buffer than asked for is slower, not wrong. Who may administer the network may pass the system's limits.
    if sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    }
    if sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    }
    // Linux doubles what it is asked for, for its own books, and tells the double (socket(7)).
    let share = if cfg!(target_os = "linux") { 2 } else { 1 };
    let buffers = BufferBytes {
        receive: socket.recv_buffer_size()? / share,
        send: socket.send_buffer_size()? / share,
    };
    socket.bind(&address.into())?;
    Ok((socket.into(), buffers))
}

/// The UDP payload of the largest packet that is worth trying towards `address`: what this host's route takes, from
/// [`ORDINARY_PAYLOAD_BYTES`] to [`JUMBO_PAYLOAD_BYTES`]. What the way takes beyond is found by probing. Sends nothing.
pub(super) fn route_payload_max(address: SocketAddr) -> u16 {
    payload_within(route_mtu(address).unwrap_or(0))
}

/// A smaller route is no reason to try less than ever: probing finds that out, and the route may change.
fn payload_within(mtu: u32) -> u16 {
    let payload = u16::try_from(mtu.saturating_sub(HEADERS_BYTES)).unwrap_or(u16::MAX);
    payload.clamp(ORDINARY_PAYLOAD_BYTES, JUMBO_PAYLOAD_BYTES)
}

fn route_mtu(address: SocketAddr) -> io::Result<u32> {
    let any = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(address)?;
    let mtu = match address {
        SocketAddr::V4(_) => sockopt::ip_mtu(&socket),
        SocketAddr::V6(_) => sockopt::ipv6_mtu(&socket),
    };
    Ok(mtu?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_route_of_jumbo_frames_has_larger_packets_tried() {
        for (mtu, payload) in [(0, 1452), (1280, 1452), (1500, 1452), (1600, 1552), (9000, 8952)] {
            assert_eq!(payload_within(mtu), payload, "{mtu}");
        }
        assert_eq!(payload_within(u32::MAX), JUMBO_PAYLOAD_BYTES);
    }

    #[test]
    fn the_loopback_interface_takes_jumbo_frames() {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9);
        assert_eq!(route_payload_max(address), JUMBO_PAYLOAD_BYTES);
    }

    #[tokio::test]
    async fn a_batch_never_exceeds_what_the_kernel_takes_or_gives() {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let (socket, _) = BatchSocket::bind(any).unwrap();
        let jumbo = usize::from(JUMBO_PAYLOAD_BYTES);
        socket.admit(JUMBO_PAYLOAD_BYTES);
        socket.admit(ORDINARY_PAYLOAD_BYTES);
        let batch = socket.max_transmit_segments() * jumbo;
        assert!((jumbo..=BATCH_BYTES_MAX).contains(&batch), "{batch}");
        // Where the kernel joins packets.
        if socket.max_receive_segments() > 1 {
            assert!(socket.max_receive_segments() * jumbo >= BATCH_BYTES_MAX);
        }
    }
}
