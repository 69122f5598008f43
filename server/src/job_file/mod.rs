//! Robocopy's job files (`.RCJ`): switches in a text file, one a line, with comments.
//!
//! ```text
//! :: a comment
//!     /SD:C:\src\       :: Source Directory.
//!     /XD               :: eXclude Directories matching these names
//!         .git
//!     /R:5
//! ```
//!
//! [`items`] finds them, whoever wrote them, in any encoding that Windows had for them; what an item means is the
//! switch table's. [`write`](write()) makes such a file of what was given on a command line.

mod encoding;
mod path;
mod read;
mod write;

pub use encoding::{CodePage, decode};
pub use path::{EXTENSION, candidates, file_to_save};
pub use read::{Item, LineError, items};
pub use write::{Author, Contents, WriteError, write};

/// Largest job file that is read, in bytes: all patterns of a job are shorter.
pub const BYTES_MAX: u64 = 1 << 20;
