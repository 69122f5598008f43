//! What an error of the operating system means to a job: its number in Robocopy's terms, and whether waiting may help.

use std::io;

use quicopy_protocol::code::{Failure, Operation};
use rustix::io::Errno;

/// `ERROR_ACCESS_DENIED`: somebody has to permit it first. Source: winerror.h.
pub const ACCESS_DENIED: u32 = 5;
/// `ERROR_INVALID_NAME`: the destination's file system keeps no such name. Source: winerror.h.
pub const INVALID_NAME: u32 = 123;
/// `ERROR_FILENAME_EXCED_RANGE`: a name or path is too long. Source: winerror.h.
pub const NAME_TOO_LONG: u32 = 206;
/// `ERROR_FILE_INVALID`: a file was altered from outside. Source: winerror.h.
pub const ALTERED_OUTSIDE: u32 = 1006;
/// `ERROR_DISK_FULL`: no space is left, or a quota is used up. Source: winerror.h.
pub const DISK_FULL: u32 = 112;

/// `ERROR_ALREADY_EXISTS`: the name is taken. Source: winerror.h.
pub const ALREADY_EXISTS: u32 = 183;

/// Turns an error into what travels and is logged: Windows error number, and the reason in words.
pub fn failure(operation: Operation, error: &io::Error) -> Failure {
    Failure::new(operation, windows_code(error), reason(error))
}

/// The reason in words, without the number that the standard library appends, and with what to do where that is known.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    if errno(error).is_none() {
        // A clause of our own, which may hold names.
        return text;
    }
    let text = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
    match errno(error) {
        Some(Errno::NOSPC) => format!("{text}; free some space at the destination and run again"),
        Some(Errno::DQUOT) => {
            format!("{text}; raise the quota or free some space at the destination")
        }
        Some(Errno::ROFS) => format!("{text}; remount the destination for writing"),
        Some(Errno::NAMETOOLONG) => format!("{text} for the destination's file system"),
        Some(Errno::MFILE | Errno::NFILE) => format!("{text}; raise the limit of open files"),
        _ => text,
    }
}

/// The Windows error number that says the same, so that existing readers of Robocopy's log keep working.
///
/// Source: Windows system error codes (winerror.h); 31, "a device is not functioning", stands for what has no counterpart.
pub fn windows_code(error: &io::Error) -> u32 {
    let Some(errno) = errno(error) else {
        let is_taken = error.kind() == io::ErrorKind::AlreadyExists;
        return if is_taken { ALREADY_EXISTS } else { 31 };
    };
    match errno {
        Errno::NOENT => 2,
        Errno::MFILE | Errno::NFILE => 4,
        Errno::ACCESS | Errno::PERM | Errno::ISDIR => 5,
        Errno::NOMEM => 8,
        Errno::XDEV => 17,
        Errno::ROFS => 19,
        Errno::NODEV | Errno::NXIO => 20,
        Errno::BUSY | Errno::TXTBSY => 32,
        Errno::AGAIN | Errno::NOLCK => 33,
        Errno::NOTSUP | Errno::NOSYS => 50,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => 53,
        Errno::PROTO | Errno::REMOTEIO => 59,
        Errno::CONNRESET | Errno::CONNABORTED | Errno::STALE => 64,
        Errno::PIPE => 109,
        Errno::NOSPC | Errno::DQUOT => DISK_FULL,
        Errno::TIMEDOUT => 121,
        Errno::INVAL | Errno::ILSEQ => 123,
        Errno::NOTEMPTY => 145,
        Errno::EXIST => ALREADY_EXISTS,
        Errno::NAMETOOLONG => 206,
        Errno::FBIG => 223,
        Errno::NOTDIR => 267,
        Errno::IO => 1117,
        Errno::MLINK => 1142,
        Errno::CONNREFUSED => 1225,
        // The file system says of itself that it is damaged.
        Errno::BADMSG | Errno::UCLEAN => 1392,
        Errno::LOOP => 1921,
        _ => 31,
    }
}

/// Whether the same operation may succeed later without anybody doing anything.
pub fn is_transient(error: &io::Error) -> bool {
    outlook(error) != Outlook::Lasting
}

/// What waiting may do for an operation that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outlook {
    /// Nothing: what is wrong with the name or the kind of the entry stays wrong.
    Lasting,
    /// It may succeed later without anybody doing anything: a lock, a busy file.
    Passing,
    /// The same, and until then whatever else is tried is likely to fail, too: a disk that is full or does not answer, a
    /// process without descriptors or memory.
    Outage,
}

/// What waiting may do for an operation that failed with `error`.
pub fn outlook(error: &io::Error) -> Outlook {
    let Some(errno) = errno(error) else {
        let is_interrupted = error.kind() == io::ErrorKind::Interrupted;
        return if is_interrupted { Outlook::Passing } else { Outlook::Lasting };
    };
    match errno {
        Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::ILSEQ
        | Errno::LOOP
        | Errno::NOTDIR
        | Errno::ISDIR
        | Errno::FBIG
        | Errno::NOTSUP
        | Errno::NOSYS
        | Errno::ROFS
        | Errno::XDEV
        | Errno::PERM => Outlook::Lasting,
        Errno::IO
        | Errno::AGAIN
        | Errno::STALE
        | Errno::NOSPC
        | Errno::DQUOT
        | Errno::TIMEDOUT
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::CONNRESET
        | Errno::MFILE
        | Errno::NFILE
        | Errno::NOMEM
        | Errno::NOBUFS
        | Errno::NOLCK => Outlook::Outage,
        _ => Outlook::Passing,
    }
}

/// Why something could not be done, and what waiting may do for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What travels and is logged.
    pub failure: Failure,
    /// Whether it is worth another try.
    pub outlook: Outlook,
    /// Bytes that the destination is known to be short of.
    pub lacking_bytes: Option<u64>,
}

impl Fault {
    /// What an error of the operating system means.
    pub fn of(operation: Operation, error: &io::Error) -> Self {
        Self { failure: failure(operation, error), outlook: outlook(error), lacking_bytes: None }
    }

    /// What no other try will change.
    pub fn lasting(failure: Failure) -> Self {
        Self { failure, outlook: Outlook::Lasting, lacking_bytes: None }
    }

    /// What another try may change.
    pub fn passing(failure: Failure) -> Self {
        Self { failure, outlook: Outlook::Passing, lacking_bytes: None }
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: Errno, code: u32, expected: Outlook) {
        let error = io::Error::from(errno);
        assert_eq!((windows_code(&error), outlook(&error)), (code, expected), "{errno:?}");
    }

    #[test]
    fn errors_carry_the_numbers_that_log_readers_know() {
        check(Errno::NOENT, 2, Outlook::Passing);
        check(Errno::ACCESS, 5, Outlook::Passing);
        check(Errno::TXTBSY, 32, Outlook::Passing);
        check(Errno::NOSPC, 112, Outlook::Outage);
        check(Errno::NAMETOOLONG, 206, Outlook::Lasting);
        check(Errno::NOTDIR, 267, Outlook::Lasting);
        for (errno, code) in [
            (Errno::PERM, 5),
            (Errno::ROFS, 19),
            (Errno::BUSY, 32),
            (Errno::AGAIN, 33),
            (Errno::HOSTUNREACH, 53),
            (Errno::CONNRESET, 64),
            (Errno::DQUOT, 112),
            (Errno::TIMEDOUT, 121),
            (Errno::IO, 1117),
            (Errno::LOOP, 1921),
        ] {
            assert_eq!(windows_code(&io::Error::from(errno)), code, "{errno:?}");
        }
        assert_eq!(windows_code(&io::Error::other("no number")), 31);
    }

    #[test]
    fn the_reason_is_a_clause_that_says_what_to_do() {
        let failure = failure(Operation::CopyFile, &io::Error::from(Errno::NOSPC));
        assert_eq!(
            failure.reason,
            "no space left on device; free some space at the destination and run again"
        );
    }

    #[test]
    fn what_we_say_ourselves_keeps_the_case_of_names() {
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "A is a");
        let Failure { windows_code, reason, .. } = failure(Operation::CreateDirectory, &error);
        assert_eq!((windows_code, &*reason), (183, "A is a"));
    }
}
