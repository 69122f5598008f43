//! What Robocopy would make of two trees: its semantics once more, written from its reference alone.
//!
//! The programs are compared with it. It therefore shares nothing with them: not a line of code, not a type, and neither
//! their speed nor their care. A run is one walk over two small trees in memory.
//!
//! Where Robocopy's reference leaves a question open, or the programs differ from it on purpose, the model follows what
//! they promise: excluded names are protected at every depth, a name that the source has in any form is no extra, deletions
//! spare the directory of a failed copy, an empty source empties nothing.

mod nodes;
mod pattern;
mod switches;
mod walk;

pub use nodes::{Directory, File, Node};
pub use switches::{Switches, Time, WORDS, Word};
pub use walk::{Outcome, run};
