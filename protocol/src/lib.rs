#![doc = include_str!("spec.md")]

pub mod attributes;
pub mod code;
pub mod codec;
pub mod congestion;
pub mod limits;
pub mod link;
mod link_end;
pub mod message;
pub mod meta;
pub mod options;
pub mod path;
pub mod session;
pub mod text;
#[cfg(feature = "transport")]
pub mod transport;
pub mod verdict;
pub mod version;
