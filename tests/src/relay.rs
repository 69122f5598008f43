//! A bad link: a UDP relay on the loopback interface that delays, loses, repeats, reorders, damages and cuts.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    runtime::{Builder, Runtime},
    time::sleep,
};

use crate::{random::Random, sites::free_address};

/// Ports that are tried for a relay.
const TRIES: u32 = 10;

/// What the link does to packets, in each direction. Chances are in a thousand packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How long each packet takes at least.
    pub delay: Duration,
    /// How much longer it may take, which reorders packets.
    pub jitter: Duration,
    /// How many get lost.
    pub lost_per_mille: u32,
    /// How many come twice.
    pub repeated_per_mille: u32,
    /// How many arrive with one bit flipped.
    pub damaged_per_mille: u32,
    /// Nothing passes.
    pub cut: bool,
}

/// Bytes and packets so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Carried {
    /// UDP payload that the sender's side sent, whether it passed or not.
    pub to_agent_bytes: u64,
    /// UDP payload that the agent's side sent, whether it passed or not.
    pub to_sender_bytes: u64,
    /// Packets that did not pass.
    pub lost_packets: u64,
}

/// A relay at work until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    link: Arc<Link>,
    // Its end ends the tasks.
    _runtime: Runtime,
}

impl Relay {
    /// A relay in front of the agent at `agent`, where the weather is fine. The seed decides which packets suffer.
    ///
    /// # Panics
    ///
    /// When the system gives no socket.
    pub fn start(agent: SocketAddr, seed: u64) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        // Another process may take a port between the look and the bind.
        let bind = |_| {
            let address = free_address();
            Some((address, runtime.block_on(socket(address)).ok()?))
        };
        let (address, front) = (0..TRIES).find_map(bind).expect("a free port");
        let link = Arc::new(Link {
            agent,
            front,
            weather: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            backs: Mutex::default(),
            counts: Counts::default(),
        });
        runtime.spawn(Arc::clone(&link).carry_to_agent());
        Self { address, link, _runtime: runtime }
    }

    /// Where the sender finds it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the link does this to packets.
    pub fn set(&self, weather: Weather) {
        *locked(&self.link.weather) = weather;
    }

    /// From now on nothing passes, and nobody is told.
    pub fn cut(&self) {
        locked(&self.link.weather).cut = true;
    }

    /// Ends what [`cut`](Self::cut) began.
    pub fn heal(&self) {
        locked(&self.link.weather).cut = false;
    }

    /// Forgets which port stands for which sender, as a router does: the agent sees the next packet come from elsewhere,
    /// and its own packets to the old port get lost.
    pub fn rebind(&self) {
        locked(&self.link.backs).clear();
    }

    /// What it has carried so far.
    pub fn carried(&self) -> Carried {
        let counts = &self.link.counts;
        Carried {
            to_agent_bytes: counts.to_agent_bytes.load(Ordering::Relaxed),
            to_sender_bytes: counts.to_sender_bytes.load(Ordering::Relaxed),
            lost_packets: counts.lost_packets.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug)]
struct Link {
    agent: SocketAddr,
    /// Where senders send to.
    front: UdpSocket,
    weather: Mutex<Weather>,
    random: Mutex<Random>,
    /// For each sender the socket that stands for it at the agent.
    backs: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    to_agent_bytes: AtomicU64,
    to_sender_bytes: AtomicU64,
    lost_packets: AtomicU64,
}

/// Where a packet leaves the relay.
enum Way {
    ToAgent(Arc<UdpSocket>),
    ToSender(SocketAddr),
}

impl Link {
    async fn carry_to_agent(self: Arc<Self>) {
        let mut packet = vec![0; 1 << 16];
        loop {
            // An error is the answer to a packet that went out before: its reader is gone.
            let Ok((length, sender)) = self.front.recv_from(&mut packet).await else { continue };
            self.counts.to_agent_bytes.fetch_add(length as u64, Ordering::Relaxed);
            let Ok(back) = self.back(sender).await else { continue };
            self.pass(&packet[..length], Way::ToAgent(back)).await;
        }
    }

    async fn carry_to_sender(self: Arc<Self>, back: Arc<UdpSocket>, sender: SocketAddr) {
        let mut packet = vec![0; 1 << 16];
        loop {
            let received = back.recv(&mut packet).await;
            let is_bound =
                locked(&self.backs).get(&sender).is_some_and(|now| Arc::ptr_eq(now, &back));
            if !is_bound {
                return;
            }
            let Ok(length) = received else { continue };
            self.counts.to_sender_bytes.fetch_add(length as u64, Ordering::Relaxed);
            self.pass(&packet[..length], Way::ToSender(sender)).await;
        }
    }

    /// The socket that stands for `sender` at the agent, made at its first packet.
    async fn back(self: &Arc<Self>, sender: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        if let Some(back) = locked(&self.backs).get(&sender) {
            return Ok(Arc::clone(back));
        }
        let back = Arc::new(socket((Ipv4Addr::LOCALHOST, 0).into()).await?);
        back.connect(self.agent).await?;
        locked(&self.backs).insert(sender, Arc::clone(&back));
        tokio::spawn(Arc::clone(self).carry_to_sender(Arc::clone(&back), sender));
        Ok(back)
    }

    /// Does to one packet what the weather says.
    async fn pass(self: &Arc<Self>, packet: &[u8], way: Way) {
        let weather = *locked(&self.weather);
        let Some((delay, copies, damage)) = self.fate(weather) else {
            self.counts.lost_packets.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut packet = packet.to_vec();
        if let Some(place) = damage
            && !packet.is_empty()
        {
            let bit = place % (packet.len() as u64 * 8);
            packet[usize::try_from(bit / 8).unwrap_or(0)] ^= 1 << (bit % 8);
        }
        if delay.is_zero() {
            return self.send(&packet, &way, copies).await;
        }
        let link = Arc::clone(self);
        tokio::spawn(async move {
            sleep(delay).await;
            link.send(&packet, &way, copies).await;
        });
    }

    /// What becomes of the next packet: how late, how often, and which bit is flipped. `None`: it is lost.
    fn fate(&self, weather: Weather) -> Option<(Duration, u32, Option<u64>)> {
        let mut random = locked(&self.random);
        if weather.cut || random.happens(weather.lost_per_mille) {
            return None;
        }
        let jitter_us = u64::try_from(weather.jitter.as_micros()).unwrap_or(u64::MAX);
        let delay = weather.delay
            + if jitter_us == 0 {
                Duration::ZERO
            } else {
                Duration::from_micros(random.below(jitter_us))
            };
        let copies = 1 + u32::from(random.happens(weather.repeated_per_mille));
        let damage = random.happens(weather.damaged_per_mille).then(|| random.number());
        Some((delay, copies, damage))
    }

    async fn send(&self, packet: &[u8], way: &Way, copies: u32) {
        for _ in 0..copies {
            // A packet that nobody takes is a lost one, as on any link.
            let _ = match way {
                Way::ToAgent(back) => back.send(packet).await,
                Way::ToSender(sender) => self.front.send_to(packet, *sender).await,
            };
        }
    }
}

/// A socket with room for bursts, so that the relay loses only what it means to.
async fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    // The system gives what it can.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
    Ok(socket)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Socket;

    use super::*;
    use crate::poll::wait_until;

    const SOON: Duration = Duration::from_secs(10);

    /// An agent's socket, a relay before it, and a sender's socket.
    fn link() -> (Socket, Relay, Socket) {
        let sockets = [0, 1].map(|_| {
            let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.set_read_timeout(Some(SOON)).expect("a timeout");
            socket
        });
        let [agent, sender] = sockets;
        let relay = Relay::start(agent.local_addr().expect("bound"), 1);
        sender.connect(relay.address()).expect("loopback");
        (agent, relay, sender)
    }

    fn receive(socket: &Socket) -> (Vec<u8>, SocketAddr) {
        let mut packet = [0; 100];
        let (length, from) = socket.recv_from(&mut packet).expect("a packet in time");
        (packet[..length].to_vec(), from)
    }

    #[test]
    fn in_fine_weather_packets_pass_both_ways() {
        let (agent, relay, sender) = link();
        sender.send(b"question").expect("loopback");
        let (question, from) = receive(&agent);
        agent.send_to(b"answer", from).expect("loopback");
        assert_eq!((question, receive(&sender).0), (b"question".to_vec(), b"answer".to_vec()));
        let expected = Carried { to_agent_bytes: 8, to_sender_bytes: 6, lost_packets: 0 };
        assert_eq!(relay.carried(), expected);
    }

    #[test]
    fn a_cut_link_loses_all_until_it_heals() {
        let (agent, relay, sender) = link();
        relay.cut();
        sender.send(b"lost").expect("loopback");
        wait_until(SOON, "the packet is lost", || relay.carried().lost_packets == 1);
        relay.heal();
        sender.send(b"passed").expect("loopback");
        assert_eq!(receive(&agent).0, b"passed");
    }

    #[test]
    fn a_forgotten_port_makes_the_sender_come_from_elsewhere() {
        let (agent, relay, sender) = link();
        sender.send(b"before").expect("loopback");
        let (_, before) = receive(&agent);
        relay.rebind();
        sender.send(b"after").expect("loopback");
        let (_, after) = receive(&agent);
        assert_ne!(before, after);
    }

    #[test]
    fn a_damaged_packet_differs_in_one_bit_and_a_repeated_one_comes_twice() {
        let (agent, relay, sender) = link();
        relay.set(Weather {
            damaged_per_mille: 1000,
            repeated_per_mille: 1000,
            ..Weather::default()
        });
        sender.send(&[0; 50]).expect("loopback");
        for _ in 0..2 {
            let bits: u32 = receive(&agent).0.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(bits, 1);
        }
    }
}
