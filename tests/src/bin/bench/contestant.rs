//! Who copies: [`Contestant`].

use std::fmt;

/// A program and how it is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contestant {
    /// Ours.
    Quicopy { memory: Memory, policy: Policy },
    /// rsync 3, with `-a`.
    Rsync { by: By, compress: bool, tcp: Tcp },
}

/// What Quicopy knows of the link when it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Memory {
    /// Both sites have just met.
    Fresh,
    /// Another job of the same sites went before it.
    Remembered,
}

/// How much room Quicopy leaves others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Policy {
    /// No switch at all.
    Usual,
    /// `/POLICY:low`.
    Low,
}

/// What carries rsync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// Its own daemon, without encryption.
    Daemon,
    /// OpenSSH.
    Ssh,
}

/// Congestion control of TCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tcp {
    Bbr,
    Cubic,
}

impl Contestant {
    pub(crate) const QUICOPY: Self = Self::Quicopy { memory: Memory::Fresh, policy: Policy::Usual };
    pub(crate) const REMEMBERED: Self =
        Self::Quicopy { memory: Memory::Remembered, policy: Policy::Usual };
    pub(crate) const LOW: Self = Self::Quicopy { memory: Memory::Fresh, policy: Policy::Low };
    pub(crate) const DAEMON: Self = Self::Rsync { by: By::Daemon, compress: false, tcp: Tcp::Bbr };
    pub(crate) const DAEMON_CUBIC: Self =
        Self::Rsync { by: By::Daemon, compress: false, tcp: Tcp::Cubic };
    pub(crate) const DAEMON_Z: Self = Self::Rsync { by: By::Daemon, compress: true, tcp: Tcp::Bbr };
    pub(crate) const SSH: Self = Self::Rsync { by: By::Ssh, compress: false, tcp: Tcp::Bbr };
    pub(crate) const SSH_Z: Self = Self::Rsync { by: By::Ssh, compress: true, tcp: Tcp::Bbr };

    /// Its name without emphasis.
    pub(crate) fn plain(self) -> String {
        self.to_string().replace("**", "")
    }

    /// Whether it is ours.
    pub(crate) fn is_quicopy(self) -> bool {
        matches!(self, Self::Quicopy { .. })
    }
}

impl Tcp {
    /// As the kernel calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bbr => "bbr",
            Self::Cubic => "cubic",
        }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quicopy { memory, policy } => {
                f.write_str("**quicopy**")?;
                if *policy == Policy::Low {
                    f.write_str(" /POLICY:low")?;
                }
                if *memory == Memory::Remembered {
                    f.write_str(", link remembered")?;
                }
                Ok(())
            }
            Self::Rsync { by, compress, tcp } => {
                let by = match by {
                    By::Daemon => "daemon",
                    By::Ssh => "over ssh",
                };
                let compress = if *compress { " -z" } else { "" };
                let tcp = tcp.name().to_uppercase();
                write!(f, "rsync{compress} {by}, {tcp}")
            }
        }
    }
}
