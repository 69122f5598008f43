//! Rates, times, shares and sizes as a person types them.

use std::time::Duration;

/// Bits a second: `20mbit`, `1.5gbit`, `64kbit`, `300bit`.
///
/// # Errors
///
/// A sentence when it is none.
pub fn rate(text: &str) -> Result<u64, String> {
    let units = [("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1.0)];
    scaled(text, &units)
        .map(|bits| bits as u64)
        .ok_or_else(|| format!("no rate such as 20mbit: {text}"))
}

/// `1.5s`, `300ms`, `50us`, `2m`.
///
/// # Errors
///
/// A sentence when it is none.
pub fn time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("m", 60.0), ("s", 1.0)];
    scaled(text, &units)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("no time such as 300ms or 1.5s: {text}"))
}

/// A share from 0 to 1: `1%`, `0.01`.
///
/// # Errors
///
/// A sentence when it is none.
pub fn share(text: &str) -> Result<f64, String> {
    scaled(text, &[("%", 0.01), ("", 1.0)])
        .filter(|share| *share <= 1.0)
        .ok_or_else(|| format!("no share such as 1% or 0.01: {text}"))
}

/// Bytes: `1500`, `64k`, `1.5m`, in powers of 1024.
///
/// # Errors
///
/// A sentence when it is none.
pub fn bytes(text: &str) -> Result<usize, String> {
    let units = [("k", 1024.0), ("m", 1_048_576.0), ("", 1.0)];
    scaled(text, &units)
        .map(|bytes| bytes as usize)
        .ok_or_else(|| format!("no size such as 64k: {text}"))
}

/// A finite number that is not negative, times what its unit stands for.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (number, scale) =
        units.iter().find_map(|(unit, scale)| Some((lower.strip_suffix(unit)?, scale)))?;
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bits_a_second() {
        assert_eq!(rate("20mbit"), Ok(20_000_000));
        assert_eq!(rate("1.5Gbit"), Ok(1_500_000_000));
        assert_eq!(rate("300bit"), Ok(300));
        assert!(rate("20").is_err());
        assert!(rate("-1mbit").is_err());
        assert!(rate("infmbit").is_err());
    }

    #[test]
    fn times_name_their_unit() {
        assert_eq!(time("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(time("4.3s"), Ok(Duration::from_millis(4300)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert!(time("5").is_err());
        assert!(time("1e300s").is_err());
    }

    #[test]
    fn shares_are_percent_or_parts_of_one() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("2").is_err());
        assert!(share("%").is_err());
    }

    #[test]
    fn sizes_are_bytes() {
        assert_eq!(bytes("1500"), Ok(1500));
        assert_eq!(bytes("64k"), Ok(65_536));
        assert!(bytes("many").is_err());
    }
}
