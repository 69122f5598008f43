//! What to say of a link that is silent: [`Silence`].

use std::time::Duration;

use quicopy_protocol::transport::IDLE_TIMEOUT;

/// A shorter one is no news on a bad link.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// Follows the outages of a link, and finds words for them.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// The length of the outage that was told of, as far as it is known.
    told: Option<Duration>,
}

impl Silence {
    /// Takes how long the present outage has lasted, zero if there is none; returns what the user should know now.
    pub(super) fn notice(&mut self, outage: Duration) -> Option<String> {
        match self.told {
            None if outage >= WORTH_SAYING => {
                self.told = Some(outage);
                Some(format!(
                    "the link has been silent for {} s; the job goes on as soon as it is back, after {} s over a new one",
                    outage.as_secs(),
                    IDLE_TIMEOUT.as_secs()
                ))
            }
            Some(lasted) if outage.is_zero() => {
                self.told = None;
                Some(format!("the link is back after {} s", lasted.as_secs()))
            }
            Some(_) => {
                self.told = Some(outage);
                None
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_of_once_and_so_is_its_end() {
        let mut silence = Silence::default();
        let mut says = |seconds| silence.notice(Duration::from_secs(seconds)).is_some();
        assert_eq!(
            [0, 2, 4, 5, 6, 9, 0, 0, 3, 0].map(&mut says),
            [false, false, false, true, false, false, true, false, false, false]
        );
    }
}
