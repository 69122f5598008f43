//! The model of the transport; see the parts.

pub(crate) mod bbr;
pub(crate) mod control;
pub(crate) mod cubic;
pub(crate) mod pacer;
pub(crate) mod packet;
pub(crate) mod receiver;
pub(crate) mod rtt;
pub(crate) mod scene;
pub(crate) mod sender;
pub(crate) mod source;
pub(crate) mod world;
