//! The system calls of Linux behind the door, all of them on held handles and single names.

pub(super) mod list;
pub(super) mod meta;
pub(super) mod resolve;
pub(super) mod stat;
