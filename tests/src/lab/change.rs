//! What may change while a lab runs, and the words for it: [`Change`], [`Moment`].

use std::time::Duration;

use super::{
    spec::{LinkSpec, Loss, bandwidth_delay},
    units,
};

/// The directions that a setting holds for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Directions {
    /// From site a to site b.
    There,
    /// From site b to site a.
    Back,
    /// Both.
    Both,
}

/// One property of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// Bits a second; `None` for no bottleneck.
    Rate(Option<u64>),
    /// Round trip, half of which is this direction's delay.
    RoundTrip(Duration),
    /// Random time on top of the delay, up to this.
    Jitter(Duration),
    /// Whether jitter lets packets overtake each other.
    Reorders(bool),
    /// Share of packets lost. Losses stay in bursts if they came in bursts.
    Loss(f64),
    /// Mean length of a run of losses in packets; 1 and less for losses that know nothing of each other.
    Burst(f64),
    /// Probability that a packet comes twice.
    Duplicates(f64),
    /// Queue in bandwidth × delay products of the present rate and delay.
    QueueProducts(f64),
    /// Queue in bytes.
    QueueBytes(usize),
    /// Largest packet that passes, in bytes.
    Mtu(usize),
    /// Whether nothing passes.
    IsDown(bool),
}

impl Setting {
    /// Puts it into `spec`.
    pub fn apply(self, spec: &mut LinkSpec) {
        match self {
            Self::Rate(rate) => spec.rate_bps = rate,
            Self::RoundTrip(time) => spec.delay = time / 2,
            Self::Jitter(time) => spec.jitter = time,
            Self::Reorders(reorders) => spec.reorders = reorders,
            Self::Loss(share) => spec.loss = loss(share, mean_packets(spec.loss)),
            Self::Burst(packets) => spec.loss = loss(lost_share(spec.loss), packets),
            Self::Duplicates(share) => spec.duplicates = share,
            Self::QueueProducts(products) => {
                let one = bandwidth_delay(spec.rate_bps.unwrap_or(0), spec.delay * 2) as f64;
                spec.queue_bytes = ((one * products) as usize).max(3 * 1500);
            }
            Self::QueueBytes(bytes) => spec.queue_bytes = bytes,
            Self::Mtu(bytes) => spec.mtu = bytes,
            Self::IsDown(is_down) => spec.is_down = is_down,
        }
    }
}

/// Share of packets that this loss takes.
pub fn lost_share(loss: Loss) -> f64 {
    match loss {
        Loss::Never => 0.0,
        Loss::Random(share) | Loss::Bursts { share, .. } => share,
    }
}

fn mean_packets(loss: Loss) -> f64 {
    match loss {
        Loss::Bursts { mean_packets, .. } => mean_packets,
        Loss::Never | Loss::Random(_) => 1.0,
    }
}

fn loss(share: f64, mean_packets: f64) -> Loss {
    match (share, mean_packets) {
        (..=0.0, _) => Loss::Never,
        (_, ..=1.0) => Loss::Random(share),
        _ => Loss::Bursts { share, mean_packets },
    }
}

/// Something that happens to a running lab.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// A property of the link changes.
    Link(Directions, Setting),
    /// The NAT before site a forgets its bindings and gives every UDP flow another port.
    RebindPort,
    /// The same with another address of the NAT, too.
    RebindAddress,
    /// Site a itself gets another address, and loses the one it had.
    Readdress,
}

/// Changes that happen together.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// When, since the lab began.
    pub at: Duration,
    /// What.
    pub changes: Vec<Change>,
}

/// Reads settings such as `rate=20mbit back.loss=2%`; see [`GRAMMAR`].
///
/// # Errors
///
/// A sentence that names the first word that is none.
pub fn settings(text: &str) -> Result<Vec<(Directions, Setting)>, String> {
    text.split_whitespace().map(setting).collect()
}

/// Reads a line of a schedule, such as `4.3s rate=20mbit`: more than one moment when it has an outage that ends.
///
/// # Errors
///
/// A sentence that names the first word that is none.
pub fn moments(line: &str) -> Result<Vec<Moment>, String> {
    let mut words = line.split_whitespace();
    let at = units::time(words.next().ok_or("a schedule's line begins with its time")?)?;
    let mut moments = vec![Moment { at, changes: Vec::new() }];
    for word in words {
        let change = match word {
            "rebind" | "rebind=port" => Change::RebindPort,
            "rebind=address" => Change::RebindAddress,
            "readdress" => Change::Readdress,
            _ => {
                let (directions, setting) = setting(word)?;
                // An outage that names its length ends by itself.
                if let Some(length) =
                    word.split_once("outage=").and_then(|(_, length)| units::time(length).ok())
                {
                    let end = Change::Link(directions, Setting::IsDown(false));
                    moments.push(Moment { at: at + length, changes: vec![end] });
                }
                Change::Link(directions, setting)
            }
        };
        moments[0].changes.push(change);
    }
    Ok(moments)
}

/// The words that [`settings`] and [`moments`] know, for a help page.
pub const GRAMMAR: &str = "\
  rate=20mbit|none       the bottleneck; what waits leaves at the new rate
  rtt=300ms              round trip; half of it each way
  jitter=20ms            random time on top, each way
  reorder=on|off         whether jitter lets packets overtake each other
  loss=1%  burst=5       share lost behind the queue; mean run of losses, in packets
  duplicate=0.1%         share that comes twice
  queue=0.5|64k          in bandwidth x delay products of the present rate and round trip, or in bytes
  mtu=1400               larger packets vanish
  outage=on|off|2s       nothing passes
  there.loss=1%          the same for one direction: there. (a to b) or back. (b to a)
In a schedule also:
  rebind=port|address    the NAT before a forgets its bindings: UDP comes from another port (and address)
  readdress              site a gets another address";

fn setting(word: &str) -> Result<(Directions, Setting), String> {
    let (directions, bare) = match word.split_once('.') {
        Some(("there", bare)) => (Directions::There, bare),
        Some(("back", bare)) => (Directions::Back, bare),
        Some(_) | None => (Directions::Both, word),
    };
    let (name, value) =
        bare.split_once('=').ok_or_else(|| format!("no setting such as rate=20mbit: {word}"))?;
    let setting = match name {
        "rate" if value == "none" => Setting::Rate(None),
        "rate" => Setting::Rate(Some(units::rate(value)?)),
        "rtt" => Setting::RoundTrip(units::time(value)?),
        "jitter" => Setting::Jitter(units::time(value)?),
        "reorder" => Setting::Reorders(on(value)?),
        "loss" => Setting::Loss(units::share(value)?),
        "burst" => {
            Setting::Burst(value.parse().map_err(|_| format!("no number of packets: {value}"))?)
        }
        "duplicate" => Setting::Duplicates(units::share(value)?),
        "queue" => queue(value)?,
        "mtu" => Setting::Mtu(units::bytes(value)?),
        "outage" => Setting::IsDown(units::time(value).is_ok() || on(value)?),
        _ => return Err(format!("no setting is called {name}")),
    };
    Ok((directions, setting))
}

/// A bare number is of products, one with a unit of bytes.
fn queue(value: &str) -> Result<Setting, String> {
    match value.parse::<f64>() {
        Ok(products) if products.is_finite() && products >= 0.0 => {
            Ok(Setting::QueueProducts(products))
        }
        Ok(_) | Err(_) => units::bytes(value).map(Setting::QueueBytes),
    }
}

fn on(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("neither on nor off: {value}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn applied(text: &str) -> LinkSpec {
        let mut spec = LinkSpec::new(100_000_000, Duration::from_millis(100));
        settings(text).unwrap().into_iter().for_each(|(_, setting)| setting.apply(&mut spec));
        spec
    }

    #[test]
    fn every_word_of_the_grammar_is_understood() {
        for line in GRAMMAR.lines().filter(|line| line.starts_with("  ")) {
            for word in line.split("  ").map(str::trim).filter(|word| word.contains('=')) {
                let (name, values) = word.split_once('=').unwrap();
                for value in values.split('|') {
                    let line = format!("1s {name}={value}");
                    assert!(moments(&line).is_ok(), "{line}: {:?}", moments(&line));
                }
            }
        }
    }

    #[test]
    fn settings_change_what_they_name() {
        let spec = applied("rate=20mbit rtt=300ms loss=2% burst=5 queue=0.5 mtu=1400");
        assert_eq!(spec.rate_bps, Some(20_000_000));
        assert_eq!(spec.delay, Duration::from_millis(150));
        assert_eq!(spec.loss, Loss::Bursts { share: 0.02, mean_packets: 5.0 });
        assert_eq!(spec.queue_bytes, 375_000);
        assert_eq!(spec.mtu, 1400);
    }

    #[test]
    fn losses_stay_in_bursts_when_their_share_changes() {
        assert_eq!(
            applied("loss=1% burst=5 loss=3%").loss,
            Loss::Bursts { share: 0.03, mean_packets: 5.0 }
        );
        assert_eq!(applied("loss=1% burst=5 loss=0").loss, Loss::Never);
        assert_eq!(applied("loss=1%").loss, Loss::Random(0.01));
    }

    #[test]
    fn an_outage_with_a_length_ends_by_itself() {
        let both = |is_down| vec![Change::Link(Directions::Both, Setting::IsDown(is_down))];
        assert_eq!(
            moments("4s outage=2s").unwrap(),
            [
                Moment { at: Duration::from_secs(4), changes: both(true) },
                Moment { at: Duration::from_secs(6), changes: both(false) },
            ]
        );
    }

    #[test]
    fn one_direction_can_be_meant() {
        assert_eq!(settings("back.rate=none").unwrap(), [(Directions::Back, Setting::Rate(None))]);
    }

    #[test]
    fn what_is_no_setting_is_named() {
        assert!(settings("speed=1").unwrap_err().contains("speed"));
        assert!(settings("rate").unwrap_err().contains("rate"));
        assert!(moments("rate=1mbit").is_err());
    }
}
