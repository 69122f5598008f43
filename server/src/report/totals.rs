//! The summary table, and what stands below it.

use std::time::Duration;

use jiff::Zoned;

use super::exit_code::ExitCode;
use super::header::long_date;
use super::options::ReportOptions;
use super::size;
use super::summary::{Counts, Summary};

/// Writes the summary, to the column as Robocopy does, below what Robocopy has no word for.
///
/// Ours stands above the rule, because readers of Robocopy's summary count its lines: from the rule on, or from the end of the log.
pub(super) fn render(
    summary: &Summary,
    exit_code: ExitCode,
    ended: &Zoned,
    options: &ReportOptions,
) -> String {
    let bytes = |bytes: u64| match options.bytes {
        true => bytes.to_string(),
        false => size::in_summary(bytes),
    };
    let mut out = String::from("\n");
    for (label, amount) in [
        ("Deleted", count(summary.deleted)),
        ("Conflicts", count(summary.conflicts)),
        ("Sent", (summary.wire_bytes_sent > 0).then(|| bytes(summary.wire_bytes_sent))),
        ("Reused", (summary.reused_bytes > 0).then(|| bytes(summary.reused_bytes))),
        ("Resumed", (summary.resumed_bytes > 0).then(|| bytes(summary.resumed_bytes))),
        ("Redialed", count(summary.reconnects)),
        ("Outages", (summary.times.lost > Duration::ZERO).then(|| clock(summary.times.lost))),
        ("Exit", Some(format!("{exit_code} - {}", exit_code.meaning()))),
    ] {
        if let Some(amount) = amount {
            out += &format!("{label:>9} : {amount}\n");
        }
    }
    out += &format!("\n{}\n\n", "-".repeat(78));
    out += &table(summary, bytes);
    out += &speed(summary, options);
    out += &format!("   Ended : {}\n\n", long_date(ended));
    out
}

fn table(summary: &Summary, bytes: impl Fn(u64) -> String) -> String {
    let heads = ["Total", "Copied", "Skipped", "Mismatch", "FAILED", "Extras"];
    let mut out = row("", heads.map(str::to_owned));
    out += &row("Dirs :", cells(&summary.dirs).map(|count| count.to_string()));
    out += &row("Files :", cells(&summary.files).map(|count| count.to_string()));
    out += &row("Bytes :", cells(&summary.bytes).map(bytes));
    let times = &summary.times;
    let [total, copying, waiting, other] =
        [times.total, times.copying, times.waiting, times.other].map(clock);
    out + &row("Times :", [total, copying, String::new(), String::new(), waiting, other])
}

/// Columns are ten wide. A number of more than nine digits pushes those behind it to the right, and never touches the one before.
fn row(label: &str, cells: [String; 6]) -> String {
    let mut line = format!("{label:>10}");
    for cell in cells {
        line += &format!(" {cell:>9}");
    }
    line + "\n"
}

fn cells(counts: &Counts) -> [u64; 6] {
    let Counts { copied, skipped, mismatched, failed, extras } = *counts;
    [counts.total(), copied, skipped, mismatched, failed, extras]
}

fn count(amount: u64) -> Option<String> {
    (amount > 0).then(|| amount.to_string())
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The Speed lines; none when nothing was copied, and none under `/L`.
fn speed(summary: &Summary, options: &ReportOptions) -> String {
    let seconds = summary.times.copying.as_secs_f64();
    if options.list_only || summary.bytes.copied == 0 || seconds <= 0.0 {
        return String::new();
    }
    let rate = summary.bytes.copied as f64 / seconds;
    let per_minute = rate * 60.0 / f64::from(1 << 20);
    format!("\n\n   Speed :{rate:>20.0} Bytes/sec.\n   Speed :{per_minute:>20.3} MegaBytes/min.\n")
}
