//! Switches that exist and are not built: refused with a clear line, so that no script runs without what it asks for.
//!
//! Whoever builds one moves it from here into the table.

use super::translate::head_of;

/// In capitals, as [`head_of`] gives them.
pub(super) const NOT_YET: &[&str] = &[
    // Copy
    "/B",
    "/ZB",
    "/J",
    "/EFSRAW",
    "/SECFIX",
    "/TIMFIX",
    "/A+",
    "/A-",
    "/FAT",
    "/256",
    "/MON",
    "/MOT",
    "/RH",
    "/PF",
    "/IPG",
    "/SJ",
    "/NOOFFLOAD",
    "/SPARSE",
    "/NOCLONE",
    // Throttling and space
    "/IOMAXSIZE",
    "/IORATE",
    "/THRESHOLD",
    "/LFSM",
    // Selection
    "/A",
    "/M",
    "/IA",
    "/XA",
    "/IM",
    "/MAXAGE",
    "/MINAGE",
    "/MAXLAD",
    "/MINLAD",
    // Retry
    "/REG",
    "/TBD",
    // Log
    "/UNILOG",
    "/UNILOG+",
    "/UNICODE",
    "/DEBUG",
    // Job files
    "/JOB",
    "/SAVE",
    "/QUIT",
    "/NOSD",
    "/NODD",
    "/SD",
    "/DD",
    // Ours
    "/VERIFY",
    "/READBACK",
    "/TRASH",
    "/HARDLINKS",
    "/PLAN",
    "/KEEPBASIS",
    "/INPLACE",
    "--NO-INDEX",
];

/// Whether `token` is one of them.
pub(super) fn is_not_yet(token: &[u8]) -> bool {
    let head = head_of(token);
    NOT_YET.iter().any(|name| name.as_bytes() == head)
}
