//! What a service manager wants to hear: ready, alive, stopping.
//!
//! Source: sd_notify(3), a datagram to the socket that `NOTIFY_SOCKET` names; nothing is said where there is none.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, if one listens.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Looks into the environment for one.
    pub(super) fn of_process() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            connect(&name)
                .inspect_err(|error| tracing::warn!("NOTIFY_SOCKET cannot be used: {error}"))
                .ok()
        });
        let watchdog = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Says a state, such as `READY=1`. What is not heard is not said again: the manager has its own patience.
    pub(super) fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// Says for ever that the agent is alive, twice in the time after which it counts as dead. It is said between
    /// other tasks, so that an agent whose tasks hang says nothing.
    pub(super) async fn keep_alive(&self) {
        let Some(watchdog) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut tick = tokio::time::interval((watchdog / 2).max(Duration::from_millis(1)));
        loop {
            tick.tick().await;
            self.say("WATCHDOG=1");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // The agent never waits for its manager.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_under_a_path_and_under_an_abstract_name() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify");
        let name = format!("quicopy-notify-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let heard = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
        ];
        for (listener, name) in heard {
            let manager = ServiceManager { socket: Some(connect(&name).unwrap()), watchdog: None };
            manager.say("READY=1");
            let mut buffer = [0; 16];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        ServiceManager { socket: None, watchdog: None }.say("READY=1");
    }
}
