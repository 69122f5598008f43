//! The defaults that `/REG` stores.

use quicopy_protocol::options::Retry;
use serde::Deserialize;

/// `defaults.toml`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefaults {
    retries: Option<u32>,
    wait_seconds: Option<u32>,
}

impl From<RawDefaults> for Retry {
    fn from(raw: RawDefaults) -> Self {
        let default = Self::default();
        Self {
            retries: raw.retries.unwrap_or(default.retries),
            wait_seconds: raw.wait_seconds.unwrap_or(default.wait_seconds),
        }
    }
}

/// The file's text.
pub(super) fn text(retry: Retry) -> String {
    let Retry { retries, wait_seconds } = retry;
    format!(
        "# Written by quicopy /REG: /R and /W of command lines that do not give them.\n\
         retries = {retries}\nwait_seconds = {wait_seconds}\n"
    )
}
