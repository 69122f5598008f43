//! The files: what is there, how two sides differ, what is done about it, and doing it so that nothing is ever half done.
//!
//! # One sync on a page
//!
//! ```text
//!  source                                              destination
//!  ──────                                              ───────────
//!  scan      lists directories in order ─────────────► compare    name by name, with its own listing
//!  filter    marks what is left out                    plan       copy, restamp, skip, fail; what is extra
//!                                                         │ wish, with the basis that is there
//!  send      reads, cuts into chunks, hashes ◄────────────┤
//!     │      lists of hashes ─────────────────────────► receive   which chunks are lacking?
//!     │                        ◄──────────────────────────┤
//!     └───── lacking chunks, the whole file's hash ────► receive   verifies, writes a partial file, keeps a journal
//!                                                         │
//!                                                      commit     sync, rename, sync; then it is reported
//!                                                      purge      last of all: the guard, then what is extra
//! ```
//!
//! The two columns run in two processes, or in one. Between them travel the nouns of `quicopy_protocol`; who carries them,
//! and over what, this crate does not know. A new file, a changed one and a broken transfer go the same way: they differ in
//! the basis that the destination has, and so in what it lacks.
//!
//! # What it leaves out
//!
//! Sockets, TLS, who the peer is and what it may do, terminals, an async runtime, and the clock, which is an argument. It
//! speaks only through events ([`destination::Event`], what a scan hands out) and the values it returns; nothing here prints.
//!
//! # One door to each disk
//!
//! What opens, lists, renames or removes stands in two modules: [`disk`] for the destination, [`source`] for what is copied
//! from. The others read and write files that these have opened. The destination is reached through held directory handles and
//! single names, never by a path, and no link is followed there. The lints of this crate (`.clippy.toml`) refuse the standard
//! library's way around.
//!
//! # Reading order
//!
//! The source:
//! - [`source`]: the door to what is copied from
//! - [`filter`]: which entries take part, by name, path and size; pure
//! - [`scan`]: listing directories ahead, handed out in order
//! - [`chunk`]: where a file is cut
//! - [`send`]: answering one wish for a file
//!
//! The destination:
//! - [`destination`]: one job, and the threads that the parts below run in; begin here to see them tied together
//! - [`disk`]: the door to what is copied into
//! - [`compare`]: two listings in step, and the class of each name; pure
//! - [`plan`]: what follows for one entry, and for one directory; pure
//! - [`receive`]: files on their way in, from all that can serve as their basis
//! - [`journal`]: what of a partial file is known to be on the disk
//! - [`commit`]: batches made durable and put in place
//! - [`purge`]: what only the destination has, the guards, and the list of removals
//! - [`index`]: what earlier jobs left in place, to see conflicts
//!
//! Both:
//! - `dos_attributes`: read-only, hidden and their like on Linux; pure
//! - [`names`]: what a destination forbids in a name; pure
//! - [`retry`]: again, and when; pure
//! - [`fault`]: what an error of the system means in Robocopy's terms; pure
//! - [`crash`]: points at which a test may kill the process

pub mod chunk;
pub mod commit;
pub mod compare;
pub mod crash;
pub mod destination;
pub mod disk;
mod dos_attributes;
pub mod fault;
pub mod filter;
pub mod index;
pub mod journal;
pub mod names;
pub mod plan;
pub mod purge;
pub mod receive;
pub mod retry;
pub mod scan;
pub mod send;
pub mod source;
