//! Switches that exist and are not built: refused with a clear line, so that no script runs without what it asks for.
//!
//! Whoever builds one moves it from here into the table.

use super::translate::head_of;

/// In capitals, as [`head_of`] gives them.
pub(super) const NOT_YET: &[&str] = &["/KEEPBASIS", "/INPLACE", "--NO-INDEX"];

/// Whether `token` is one of them.
pub(super) fn is_not_yet(token: &[u8]) -> bool {
    let head = head_of(token);
    NOT_YET.iter().any(|name| name.as_bytes() == head)
}
