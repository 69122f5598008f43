//! Rates and sizes as they are typed; the value of `/BWLIMIT`: a rate, and the hours in which it holds.

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroU64;

use super::switch::BadValue;

const WANTED: &str = "a rate such as 800K, 2M or 10Mbit, and hours such as @0800-1800";

/// How fast a job may send, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bandwidth {
    /// Most bytes a second.
    pub bytes_per_second: NonZeroU64,
    /// When that holds; `None` means always.
    pub hours: Option<Hours>,
}

/// A window of the day in local time, which may cross midnight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hours {
    /// First minute of the day that belongs to it, 0 to 1,439.
    pub from_minute: u16,
    /// First minute that no longer belongs to it, 0 to 1,439; never equal to `from_minute`.
    pub to_minute: u16,
}

impl Bandwidth {
    /// Reads `RATE[K|M|G][bit][@HHMM-HHMM]`.
    ///
    /// Steps are 1,024 for bytes and 1,000 for bits, as each is counted by those who use it.
    ///
    /// # Errors
    /// The text is not of that form, or the rate is 0 or beyond 64 bits.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let text = value.to_str().ok_or(BadValue::new(WANTED))?.to_ascii_lowercase();
        let (rate, hours) = match text.split_once('@') {
            Some((rate, hours)) => (rate, Some(hours)),
            None => (&*text, None),
        };
        let bytes_per_second = parse_rate(rate).ok_or(BadValue::new(WANTED))?;
        let hours = match hours {
            Some(hours) => Some(Hours::parse(hours).ok_or(BadValue::new(WANTED))?),
            None => None,
        };
        Ok(Self { bytes_per_second, hours })
    }

    /// The limit that holds at a minute of the local day (0 to 1,439), if one does.
    pub fn limit_at(&self, minute: u16) -> Option<NonZeroU64> {
        match self.hours {
            Some(hours) if !hours.contains(minute) => None,
            Some(_) | None => Some(self.bytes_per_second),
        }
    }
}

impl fmt::Display for Bandwidth {
    /// Bytes a second in the largest step that divides them, as `/BWLIMIT` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rate_text(self.bytes_per_second.get()))?;
        match self.hours {
            Some(hours) => write!(f, "@{hours}"),
            None => Ok(()),
        }
    }
}

impl Hours {
    /// Reads `hhmm-hhmm`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from_minute, to_minute) = (parse_minute(from)?, parse_minute(to)?);
        (from_minute != to_minute).then_some(Self { from_minute, to_minute })
    }

    /// Whether a minute of the day lies in the window.
    pub fn contains(&self, minute: u16) -> bool {
        if self.from_minute < self.to_minute {
            (self.from_minute..self.to_minute).contains(&minute)
        } else {
            !(self.to_minute..self.from_minute).contains(&minute)
        }
    }
}

/// Reads `RATE[K|M|G][bit]`, in lower case, as bytes a second.
pub(super) fn parse_rate(text: &str) -> Option<NonZeroU64> {
    let (text, step, divisor) = match text.strip_suffix("bit") {
        Some(bits) => (bits, 1000_u64, 8),
        None => (text, 1024, 1),
    };
    NonZeroU64::new(scaled(text, step)?.div_ceil(divisor))
}

/// Reads `N[K|M|G]` in either case as a number of bytes.
pub(super) fn parse_size(value: &OsStr) -> Option<u64> {
    scaled(&value.to_str()?.to_ascii_lowercase(), 1024)
}

/// A number in lower case, times `step` for `k`, its square for `m`, its cube for `g`.
fn scaled(text: &str, step: u64) -> Option<u64> {
    let (digits, power) = match text.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if text.ends_with('k') => (digits, 1),
        Some(digits) if text.ends_with('m') => (digits, 2),
        Some(digits) => (digits, 3),
        None => (text, 0),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(step.pow(power)))?
}

/// Bytes a second in the largest step that divides them, as a rate is read.
pub(super) fn rate_text(bytes: u64) -> String {
    let (shift, suffix) = match bytes.trailing_zeros() {
        30.. => (30, "G"),
        20.. => (20, "M"),
        10.. => (10, "K"),
        _ => (0, ""),
    };
    format!("{}{suffix}", bytes >> shift)
}

fn parse_minute(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = digits.then(|| text.parse::<u16>().ok())??;
    let (hour, minute) = (time / 100, time % 100);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Bandwidth> {
        Bandwidth::parse(OsStr::new(text)).ok()
    }

    #[test]
    fn bytes_step_by_1024_and_bits_by_1000() {
        for (text, bytes) in [
            ("800", 800),
            ("800K", 819_200),
            ("2m", 2 << 20),
            ("1G", 1 << 30),
            ("8bit", 1),
            ("500kbit", 62_500),
            ("10Mbit", 1_250_000),
            ("1Gbit", 125_000_000),
        ] {
            assert_eq!(parse(text).unwrap().bytes_per_second.get(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "0",
            "K",
            "-1",
            "+5",
            "1.5M",
            "2M@",
            "2M@0800",
            "2M@0800-0800",
            "2M@0800-2400",
            "2M@800-1800",
            "2MB",
            "18446744073709551615G",
            "2M@08:00-18:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn hours_may_cross_midnight() {
        let day = parse("1M@0800-1800").unwrap();
        assert_eq!(day.limit_at(8 * 60).map(NonZeroU64::get), Some(1 << 20));
        assert_eq!(day.limit_at(18 * 60), None);
        let night = parse("1M@2200-0600").unwrap();
        assert!(night.limit_at(23 * 60).is_some() && night.limit_at(0).is_some());
        assert!(night.limit_at(12 * 60).is_none());
    }

    #[test]
    fn a_limit_is_shown_as_it_is_read() {
        for text in ["800K", "2M@0800-1800", "3G", "1001"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
