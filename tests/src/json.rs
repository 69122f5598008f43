//! What the sender prints under `--json`.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The object that ends every run under `--json`, as far as tests look into it.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// The code the process exits with.
    pub exit_code: i32,
    /// Directories by outcome.
    pub dirs: Counts,
    /// Files by outcome.
    pub files: Counts,
    /// Bytes of files by outcome.
    pub bytes: Counts,
    /// How long the run took.
    pub seconds: f64,
    /// How much of that the link was silent or lost.
    pub seconds_lost: f64,
    /// Bytes that went to the agent, as UDP payload; 0 for a local destination.
    pub wire_bytes_sent: u64,
    /// Bytes that came from the agent, as UDP payload; 0 for a local destination.
    pub wire_bytes_received: u64,
    /// Bytes of content that travelled.
    pub literal_bytes: u64,
    /// Bytes of content that an older version at the destination gave.
    pub reused_bytes: u64,
    /// Bytes of content that a partial file gave.
    pub resumed_bytes: u64,
    /// Bytes of content that travelled more than once.
    pub resent_bytes: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Entries deleted.
    pub deleted: u64,
    /// Entries changed at the destination since a job wrote them.
    pub conflicts: u64,
}

/// One row of the summary. Total = copied + skipped + mismatched + failed; extras stand outside it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the columns of the report")]
pub struct Counts {
    pub total: u64,
    pub copied: u64,
    pub skipped: u64,
    pub mismatched: u64,
    pub failed: u64,
    pub extras: u64,
}

/// Every object of the output, in order.
///
/// # Errors
///
/// When a line is not a JSON object with a `type`; the message holds the line.
pub fn objects(stdout: &str) -> Result<Vec<Map<String, Value>>, String> {
    stdout
        .lines()
        .map(|line| match serde_json::from_str(line) {
            Ok(Value::Object(object)) if object.get("type").is_some_and(Value::is_string) => {
                Ok(object)
            }
            Ok(_) => Err(format!("no object with a type: {line}")),
            Err(error) => Err(format!("{error}: {line}")),
        })
        .collect()
}

/// The summary, which must be the last object.
///
/// # Errors
///
/// When the output is not JSON by lines, or ends with something else.
pub fn summary(stdout: &str) -> Result<Summary, String> {
    let last = objects(stdout)?.pop().ok_or("no output at all")?;
    if last["type"] != "summary" {
        return Err(format!("the last object is of type {}", last["type"]));
    }
    serde_json::from_value(Value::Object(last)).map_err(|error| error.to_string())
}

/// The paths that the sender has reported as durable at the destination, from an output that a kill may have cut.
pub fn acknowledged(stdout: &str) -> Vec<String> {
    let whole_lines = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    whole_lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["type"] == "copied")
        .filter_map(|event| event["path"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_kill_cut_is_no_acknowledgement() {
        let stdout = "{\"type\":\"copied\",\"path\":\"a\"}\n{\"type\":\"scanned\",\"path\":\"b\"}\n{\"type\":\"copied\",\"path\":\"c\"}";
        assert_eq!(acknowledged(stdout), ["a"]);
    }

    #[test]
    fn text_among_the_objects_is_an_error() {
        assert!(objects("{\"type\":\"copied\"}\n").is_ok());
        assert!(objects("{\"type\":\"copied\"}\nhello\n").is_err());
        assert!(objects("[]\n").is_err());
    }
}
