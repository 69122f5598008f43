//! Links and flows by the figures a test names: [`Scene`].

use std::time::Duration;

use quicopy_protocol::congestion::{Controller, Policy, Settings};
use quicopy_tests::lab::spec::{LinkSpec, Loss};

use quicopy_tests::poll::slow_tests_wanted;

use super::packet::DATAGRAM_BYTES;
use super::sender::Stack;
use super::source::Supply;
use super::world::World;

/// Share of the bytes on the link that is content: 1418 of 1480.
pub(crate) const CONTENT_SHARE: f64 = 0.958;

/// The seeds to try: one, or several for the patient.
pub(crate) fn seeds() -> std::ops::RangeInclusive<u64> {
    if slow_tests_wanted() { 1..=5 } else { 1..=1 }
}

/// A link: megabits a second, milliseconds there and back, percent lost, and the queue in bandwidth × delay products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) mbit: u64,
    pub(crate) rtt_ms: u64,
    pub(crate) loss: f64,
    pub(crate) queue: f64,
}

impl Scene {
    pub(crate) fn new(mbit: u64, rtt_ms: u64, loss_percent: f64) -> Self {
        Self { mbit, rtt_ms, loss: loss_percent / 100.0, queue: 1.0 }
    }

    pub(crate) fn with_queue(self, queue: f64) -> Self {
        Self { queue, ..self }
    }

    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_millis(self.rtt_ms)
    }

    pub(crate) fn rate_bps(&self) -> f64 {
        self.mbit as f64 * 1e6
    }

    /// The most content that fits, in bits a second.
    pub(crate) fn ceiling_bps(&self) -> f64 {
        self.rate_bps() * CONTENT_SHARE * (1.0 - self.loss)
    }

    pub(crate) fn forward(&self) -> LinkSpec {
        LinkSpec::new(self.mbit * 1_000_000, self.rtt()).with_loss(self.loss).with_queue(self.queue)
    }

    pub(crate) fn back(&self) -> LinkSpec {
        LinkSpec { loss: Loss::Never, ..self.forward() }
    }

    /// A world with nothing in it yet.
    pub(crate) fn world(&self, seed: u64) -> World {
        World::new(self.forward(), self.back(), seed)
    }

    /// A world with one bulk flow, `seconds` later.
    pub(crate) fn run(&self, settings: Settings, seed: u64, seconds: f64) -> World {
        let mut world = self.world(seed);
        add(&mut world, settings, 0.0);
        world.run(seconds);
        world
    }
}

pub(crate) fn policy(policy: Policy) -> Settings {
    Settings { policy, ..Settings::default() }
}

/// Adds a bulk flow of ours that begins at `start` seconds.
pub(crate) fn add(world: &mut World, settings: Settings, start: f64) -> usize {
    add_supply(world, settings, Supply::Endless, start)
}

pub(crate) fn add_supply(
    world: &mut World,
    settings: Settings,
    supply: Supply,
    start: f64,
) -> usize {
    let controller = Controller::new(settings, DATAGRAM_BYTES as u16);
    world.add(Stack::Quinn, Box::new(controller), supply, Duration::from_secs_f64(start))
}
