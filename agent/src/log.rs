//! Where the agent's own log goes: standard error, which a service manager keeps.

use std::env;
use std::io;

use tracing_subscriber::EnvFilter;

/// What is logged unless `QUICOPY_LOG` or `RUST_LOG` says otherwise: once a job or connection. The libraries below
/// say only what somebody must act on.
const DEFAULT_FILTER: &str = "error,quicopy_agent=info,quicopy_engine=info,quicopy_protocol=info";

/// Sends log lines to standard error from now on. `QUICOPY_LOG` wins over `RUST_LOG`.
///
/// A filter that does not parse is reported and replaced by the default: a typing mistake must not keep backups from
/// running.
pub fn start() {
    let wanted = ["QUICOPY_LOG", "RUST_LOG"].into_iter().find_map(|name| {
        env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value))
    });
    let parsed = wanted.as_ref().map(|(_, value)| EnvFilter::try_new(value));
    let (filter, mistake) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT_FILTER), Some(error)),
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    // Fails only where another subscriber stands already, and then that one has the say.
    let _ = subscriber.with_target(false).try_init();
    if let (Some(error), Some((name, _))) = (mistake, wanted) {
        tracing::warn!("{name} is not understood and ignored: {error}");
    }
}
