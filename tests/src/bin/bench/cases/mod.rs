//! The cases, each of which fills one section of the page.

use anyhow::Result;

use crate::{bench::Bench, page::Section};

mod events;
mod local;
mod sharing;
mod whole;

/// A case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Section>,
}

/// All of them, in the order of the page.
pub(crate) const CASES: [Case; 11] = [
    Case {
        name: "links",
        about: "one file of 256 MiB over six links, beside rsync",
        run: whole::links,
    },
    Case {
        name: "shallow",
        about: "the same with a queue of a tenth of bandwidth × delay",
        run: whole::shallow,
    },
    Case { name: "small", about: "100,000 files of 1 KiB", run: whole::small },
    Case { name: "source", about: "a tree of source code", run: whole::source },
    Case { name: "outage", about: "an outage of 2, 5 and 20 s in the middle", run: events::outage },
    Case {
        name: "rebinding",
        about: "a NAT rebinding, a change of address",
        run: events::rebinding,
    },
    Case {
        name: "changes",
        about: "the rate falls and rises, the round trip rises and falls",
        run: events::changes,
    },
    Case {
        name: "queue",
        about: "a ping beside a transfer, over a deep queue",
        run: sharing::queue,
    },
    Case { name: "fair", about: "two jobs at once; a job beside TCP", run: sharing::fair },
    Case {
        name: "loopback",
        about: "one file of 4 GiB in memory, without a link",
        run: local::loopback,
    },
    Case { name: "cpu", about: "CPU time at 100 Mbit/s", run: local::cpu },
];
