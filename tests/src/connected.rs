//! Two sites that trust each other, at each other's ends of a link that a test can spoil.

use std::net::SocketAddr;

use crate::{
    oracle::Oracle,
    process::{Finished, Running},
    relay::Relay,
    sites::{Agent, AgentSite, CALL, Sender, destination, pair},
    world::World,
};

/// A world in which the sender is paired with the agent through a relay.
#[derive(Debug)]
pub struct Connected {
    /// The trees.
    pub world: World,
    /// The sender.
    pub sender: Sender,
    /// The agent, whether it runs or not.
    pub site: AgentSite,
    /// The link.
    pub relay: Relay,
    /// The token that paired them: used up, and still a secret.
    pub token: String,
}

impl Connected {
    /// Two sites with these trees, of which the destination gives the source these permits; and the agent at work.
    ///
    /// # Panics
    ///
    /// When the programs do not start or do not pair.
    #[track_caller]
    pub fn new(source: &str, share: &str, permits: &str) -> (Self, Agent) {
        let world = World::new(source, share);
        let site = world.agent_site();
        Self::with(world, site, permits)
    }

    /// The same in a world that is there, with an agent as a test wants it.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn with(world: World, site: AgentSite, permits: &str) -> (Self, Agent) {
        let sender = world.sender();
        let agent = site.start();
        let relay = Relay::start(site.address(), 1);
        let token = pair(&sender, &site, permits, relay.address());
        (Self { world, sender, site, relay, token }, agent)
    }

    /// Where the sender finds the agent.
    pub fn reach(&self) -> SocketAddr {
        self.relay.address()
    }

    /// Takes stock of both sites before a fault.
    #[track_caller]
    pub fn oracle(&self) -> Oracle<'_> {
        Oracle::new(&self.world, std::slice::from_ref(&self.token))
    }

    /// Runs a job from the source to the share to its end.
    #[track_caller]
    pub fn run(&self, switches: &str) -> Finished {
        self.start(switches).finish(3 * CALL)
    }

    /// Starts a job from the source to the share.
    #[track_caller]
    pub fn start(&self, switches: &str) -> Running {
        self.start_as(&self.sender, switches)
    }

    /// Starts the job with another sender, such as one with an armed crash point.
    #[track_caller]
    pub fn start_as(&self, sender: &Sender, switches: &str) -> Running {
        sender.start(&self.world.arguments(&destination(self.reach()), switches))
    }
}
