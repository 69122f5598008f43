//! A ping beside a transfer: [`Ping`].

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use quicopy_tests::lab::{ADDRESS_B, Lab, Site};

const PORT: u16 = 7;
/// Time between two.
const EVERY: Duration = Duration::from_millis(20);
/// How often the threads look whether they are still wanted.
const PATIENCE: Duration = Duration::from_millis(100);

/// Small datagrams from site a to site b and back, fifty a second, in the queue with all others.
#[derive(Debug)]
pub(crate) struct Ping {
    is_over: Arc<AtomicBool>,
    began: Instant,
    /// Each with the time of its sending and its round trip.
    answers: JoinHandle<Vec<(Duration, Duration)>>,
    others: Vec<JoinHandle<()>>,
}

impl Ping {
    /// Begins.
    pub(crate) fn start(lab: &Lab) -> io::Result<Self> {
        let bind = |site, port| -> io::Result<UdpSocket> {
            let socket =
                lab.site(site).inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))??;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let (client, server) = (bind(Site::A, 0)?, bind(Site::B, PORT)?);
        let sending = client.try_clone()?;
        let (is_over, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let until = || {
            let is_over = Arc::clone(&is_over);
            move || is_over.load(Ordering::Relaxed)
        };
        let (echo_over, send_over, answer_over) = (until(), until(), until());
        let echo = thread::spawn(move || {
            let mut buffer = [0; 8];
            while !echo_over() {
                if let Ok((length, from)) = server.recv_from(&mut buffer) {
                    // One that is lost is none.
                    let _ = server.send_to(&buffer[..length], from);
                }
            }
        });
        let send = thread::spawn(move || {
            while !send_over() {
                let nanos = began.elapsed().as_nanos() as u64;
                let _ = sending.send_to(&nanos.to_be_bytes(), (ADDRESS_B, PORT));
                thread::sleep(EVERY);
            }
        });
        let answers = thread::spawn(move || {
            let (mut buffer, mut answers) = ([0; 8], Vec::new());
            while !answer_over() {
                if let Ok((8, _)) = client.recv_from(&mut buffer) {
                    let sent = Duration::from_nanos(u64::from_be_bytes(buffer));
                    answers.push((sent, began.elapsed().saturating_sub(sent)));
                }
            }
            answers
        });
        Ok(Self { is_over, began, answers, others: vec![echo, send] })
    }

    /// Time since it began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends, and returns the round trips of what was sent between two times since it began, shortest first.
    pub(crate) fn stop(self, from: Duration, to: Duration) -> Vec<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let answers = self.answers.join().unwrap_or_default();
        for other in self.others {
            // One that panicked has left its answers missing, which shows.
            let _ = other.join();
        }
        let wanted = answers.into_iter().filter(|(sent, _)| (from..to).contains(sent));
        let mut trips: Vec<Duration> = wanted.map(|(_, trip)| trip).collect();
        trips.sort_unstable();
        trips
    }
}
