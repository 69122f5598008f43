//! What the report says once, before anything else: which switches mean something near, or nothing.

use super::pace::Pace;
use super::raw::{RawOptions, in_force};
use super::switch::{Treatment, switches};

/// A line for each switch that is translated or only noted, in the table's order; then what only some command lines need.
pub(super) fn of(raw: &RawOptions, pace: &Pace, reads_all: bool) -> Vec<String> {
    let in_force = in_force(&raw.given);
    let given = |long: &str| in_force.iter().any(|given| given.long == long);
    let mut notices: Vec<String> = switches()
        .filter(|row| given(row.long))
        .filter_map(|row| match row.treatment {
            Treatment::Translate(text) => Some(format!("{} : {text}", row.name())),
            Treatment::Note(text) => {
                Some(format!("{} : accepted, changes nothing: {text}", row.name()))
            }
            Treatment::Native | Treatment::Refuse(_) => None,
        })
        .collect();
    let mut notice = |holds: bool, text: &str| {
        if holds {
            notices.push(text.to_owned());
        }
    };
    notice(
        raw.restartable_backup && !raw.backup && !reads_all,
        "/ZB : this user has neither; files whose access is denied will fail with error 5",
    );
    notice(raw.run_hours_per_file && raw.run_hours.is_none(), "/PF : changes nothing without /RH");
    notice(
        raw.threshold_bytes.is_some() && pace.is_open(),
        "/THRESHOLD : changes nothing without /IORATE, /IPG or /BWLIMIT",
    );
    if let Some(rate) = pace.rate {
        notices.push(format!("at most {rate} bytes leave in a second, over all files together"));
    }
    notices
}
