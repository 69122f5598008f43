//! `trash`: what it prints.

use std::io::{self, Write};

use super::{CommandError, ask, counted, unexpected};
use crate::cli::TrashAction;
use crate::config::Config;
use crate::request::{Emptied, Reply, Request, Restored, TrashList, TrashRecord};

/// Characters of a job's id in the table: enough to name it.
const JOB_SHOWN: usize = 8;

pub(super) fn carry_out(
    out: &mut impl Write,
    config: &Config,
    action: Option<TrashAction>,
) -> Result<(), CommandError> {
    match action.unwrap_or(TrashAction::List { share: None, json: false }) {
        TrashAction::List { share, json } => match ask(config, Request::Trash { share })? {
            Reply::Trash(list) if json => print_json(out, &list),
            Reply::Trash(list) => print_table(out, list),
            reply => Err(unexpected(&reply)),
        },
        TrashAction::Restore { id, to, share } => {
            match ask(config, Request::Restore { id, to, share })? {
                Reply::Restored(restored) => print_restored(out, &restored),
                reply => Err(unexpected(&reply)),
            }
        }
        TrashAction::Empty { share, older } => {
            match ask(config, Request::EmptyTrash { share, older_days: older })? {
                Reply::Emptied(emptied) => print_emptied(out, &emptied),
                reply => Err(unexpected(&reply)),
            }
        }
    }
}

fn print_json(out: &mut impl Write, list: &TrashList) -> Result<(), CommandError> {
    for item in &list.items {
        serde_json::to_writer(&mut *out, item).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    complain(list)
}

/// What a script must not overlook is an error, once all else is printed.
fn complain(list: &TrashList) -> Result<(), CommandError> {
    if list.notes.is_empty() { Ok(()) } else { Err(CommandError::Refused(list.notes.join("; "))) }
}

const HEADS: [&str; 8] = ["ID", "WHEN", "SHARE", "SIZE", "ENTRIES", "WHY", "PEER", "JOB"];

fn print_table(out: &mut impl Write, list: TrashList) -> Result<(), CommandError> {
    if list.items.is_empty() {
        complain(&list)?;
        return Ok(writeln!(out, "The trash is empty.")?);
    }
    let rows: Vec<[String; 8]> = list.items.iter().map(row).collect();
    let widths: [usize; 8] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].len()]).max().unwrap_or(0)
    });
    print_row(out, &HEADS.map(str::to_owned), &widths, "PATH")?;
    for (row, item) in rows.iter().zip(&list.items) {
        print_row(out, row, &widths, &item.path)?;
    }
    if list.left_out > 0 {
        writeln!(
            out,
            "... and {} more; name a share, or use restore with a job's id",
            list.left_out
        )?;
    }
    complain(&list)
}

fn row(item: &TrashRecord) -> [String; 8] {
    let TrashRecord { id, when, share, size_bytes, entries, why, peer, job, .. } = item;
    let job = job.get(..JOB_SHOWN).unwrap_or(job);
    [
        id.clone(),
        format!("{when:.0}"),
        share.clone(),
        size_bytes.to_string(),
        entries.to_string(),
        why.clone(),
        peer.clone(),
        job.to_owned(),
    ]
}

/// Numbers to the right, words to the left, and last what may be long.
fn print_row(
    out: &mut impl Write,
    cells: &[String; 8],
    widths: &[usize; 8],
    path: &str,
) -> io::Result<()> {
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        match HEADS[column] {
            "SIZE" | "ENTRIES" => write!(out, "{cell:>width$}  ")?,
            _ => write!(out, "{cell:width$}  ")?,
        }
    }
    writeln!(out, "{path}")
}

fn print_restored(out: &mut impl Write, restored: &Restored) -> Result<(), CommandError> {
    for place in &restored.places {
        writeln!(out, "restored {place}")?;
    }
    match &*restored.refused {
        [] => Ok(()),
        [only] if restored.places.is_empty() => Err(CommandError::Refused(only.clone())),
        refused => {
            refused.iter().try_for_each(|line| writeln!(out, "not restored: {line}"))?;
            Err(CommandError::Refused(format!(
                "{} restored, {} not",
                restored.places.len(),
                refused.len()
            )))
        }
    }
}

fn print_emptied(out: &mut impl Write, emptied: &Emptied) -> Result<(), CommandError> {
    let Emptied { entries, bytes, notes, refused } = emptied;
    let entries = usize::try_from(*entries).unwrap_or(usize::MAX);
    let entries = match entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    writeln!(
        out,
        "removed {entries}, {}",
        counted(usize::try_from(*bytes).unwrap_or(usize::MAX), "byte")
    )?;
    notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
    if refused.is_empty() { Ok(()) } else { Err(CommandError::Refused(refused.join("; "))) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(path: &str, entries: u64) -> TrashRecord {
        TrashRecord {
            id: "0123456789".into(),
            when: jiff::Timestamp::UNIX_EPOCH,
            share: "data".into(),
            path: path.into(),
            size_bytes: 12,
            entries,
            why: "deleted".into(),
            peer: "web01".into(),
            job: "ab".repeat(16),
        }
    }

    fn table(list: TrashList) -> String {
        let mut out = Vec::new();
        print_table(&mut out, list).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_thing_is_a_row() {
        let list = TrashList {
            items: vec![record("a/b", 1), record("old", 12345678)],
            ..TrashList::default()
        };
        assert_eq!(
            table(list),
            "ID          WHEN                  SHARE  SIZE   ENTRIES  WHY      PEER   JOB       PATH\n\
             0123456789  1970-01-01T00:00:00Z  data     12         1  deleted  web01  abababab  a/b\n\
             0123456789  1970-01-01T00:00:00Z  data     12  12345678  deleted  web01  abababab  old\n"
        );
        assert_eq!(table(TrashList::default()), "The trash is empty.\n");
    }

    #[test]
    fn a_list_that_is_not_whole_says_so() {
        let list = TrashList { items: vec![record("a", 1)], left_out: 5, notes: vec![] };
        assert!(table(list).contains("and 5 more"));
        let list = TrashList { notes: vec!["share x is offline".into()], ..TrashList::default() };
        let mut out = Vec::new();
        let error = print_table(&mut out, list).unwrap_err();
        assert!(error.to_string().contains("offline"));
        assert!(out.is_empty(), "what was not looked at may not be empty");
    }

    #[test]
    fn what_is_not_restored_is_an_error() {
        let print = |places: &[&str], refused: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
            let restored = Restored { places: texts(places), refused: texts(refused) };
            let mut out = Vec::new();
            let error = print_restored(&mut out, &restored).err().map(|error| error.to_string());
            (String::from_utf8(out).unwrap(), error.unwrap_or_default())
        };
        assert_eq!(print(&["data/a"], &[]), ("restored data/a\n".into(), String::new()));
        assert_eq!(print(&[], &["a is taken"]), (String::new(), "a is taken".into()));
        let (out, error) = print(&["data/a"], &["b is taken"]);
        assert_eq!(error, "1 restored, 1 not");
        assert!(out.contains("not restored: b is taken"));
    }
}
