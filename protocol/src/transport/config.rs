//! How QUIC is driven: windows, timers, streams. The limits' sources are measurements on emulated links of 20 Mbit/s to
//! 1 Gbit/s, 50 to 300 ms and up to 3 % loss.

use std::sync::Arc;
use std::time::Duration;

use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};

use super::care::{RECEIVE_BYTES_MIN, SEND_BYTES_MIN};
use super::controller::Factory;
use crate::congestion::Settings;
use crate::limits::CONTENT_STREAMS;
use crate::version::Role;

/// A peer that is silent for so long is gone.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the sender shows that it is there; three times in the idle timeout, so that two may be lost.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Time for a TLS handshake, and for a first stream to be opened after it.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Window of one stream: a gap is repaired in two or three round trips, during which the others fill the connection's.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// Packets that may overtake one before it counts as lost. QUIC's 3 takes any reordering for loss and sends it all again;
/// with 64 the time threshold decides, as in RACK (RFC 8985).
const PACKET_THRESHOLD: u32 = 64;
/// One acknowledgement for so many packets: a fifth of the reverse traffic, at no cost in goodput.
const ACK_THRESHOLD: u32 = 10;

/// The settings of a connection for one end of a job, and of the congestion control of what it sends.
pub fn transport_config(role: Role, congestion: Settings) -> TransportConfig {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency
        .ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD))
        .reordering_threshold(VarInt::from_u32(PACKET_THRESHOLD - 1));
    let (bidi_streams, uni_streams, keep_alive) = match role {
        // What the peer may open: the agent its verdicts; the sender its control, listings and content.
        Role::Sender => (0, 1, Some(KEEP_ALIVE_INTERVAL)),
        Role::Agent => (1, CONTENT_STREAMS as u32 + 1, None),
    };
    let idle_ms = u32::try_from(IDLE_TIMEOUT.as_millis()).expect("the timeout is in seconds");
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_BYTES_MIN))
        .send_window(SEND_BYTES_MIN.into())
        .max_concurrent_bidi_streams(VarInt::from_u32(bidi_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(uni_streams))
        .packet_threshold(PACKET_THRESHOLD)
        .ack_frequency_config(Some(ack_frequency))
        .initial_rtt(Duration::from_millis(100))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
        .keep_alive_interval(keep_alive)
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(Factory::new(congestion)));
    config
}
