//! From a table's text to its cases.

/// Parts of a row, between bars.
const COLUMNS: usize = 8;

/// One case: a pair of trees, and one or more runs.
#[derive(Debug)]
pub(super) struct Case {
    /// Its number in the reference, perhaps with a letter.
    pub id: &'static str,
    /// Where it stands in its table, from 1 on.
    pub line: usize,
    /// The runs; the first builds the trees.
    pub steps: Vec<Step>,
}

/// One run, and what must come of it.
#[derive(Debug)]
pub(super) struct Step {
    /// Built over what the source holds.
    pub source: &'static str,
    /// Built over what the destination holds.
    pub destination: &'static str,
    /// Between spaces.
    pub switches: &'static str,
    /// The exit code.
    pub code: i32,
    /// What the destination holds afterwards.
    pub after: After,
    /// What the output says.
    pub says: Vec<Say>,
    /// What else.
    pub more: Vec<More>,
}

/// What the destination holds after a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum After {
    /// What it held before, to the last time.
    Unchanged,
    /// The tree that the first row gives for the source.
    Source,
    /// This tree.
    Tree(&'static str),
}

/// What a text says or does not. Runs of white space count as one space, but in exact texts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Say {
    /// `text`
    Text(&'static str),
    /// `not text`
    Not(&'static str),
    /// `only text`: this and no more.
    Only(&'static str),
    /// `times N text`
    Times(usize, &'static str),
    /// `"text"`, with `\t` and `\n`.
    Exact(String),
}

/// Anything else about a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum More {
    /// `source TREE`: what the source holds afterwards, if it is not what it held before.
    Source(&'static str),
    /// `unreadable PATH`: nobody may read this entry of the source during the run.
    Unreadable(&'static str),
    /// `mount PATH = OTHER`: in the source, OTHER can be seen at PATH, too.
    Mount { at: &'static str, other: &'static str },
    /// `write FILE: text`, with `\t`, `\r` and `\n`; `write16` and `writebom` in UTF-16 and with a mark: made before the run.
    Write { file: &'static str, text: String, encoding: Encoding },
    /// `in FILE: say`: what a file says afterwards.
    In { file: &'static str, say: Say },
    /// `utf16 FILE`: it is in UTF-16 with one mark, at its beginning.
    Utf16(&'static str),
    /// `from PATH`: the source is this entry below it.
    From(&'static str),
    /// `to PATH`: the destination is this entry below it.
    To(&'static str),
    /// `alone`: the command line has neither source nor destination but those among the switches.
    Alone,
    /// `now PATH`: this entry of the destination has the time of the run.
    Now(&'static str),
    /// `bare PATH`: this entry of the destination has no attributes of Windows.
    Bare(&'static str),
    /// `linked PATH = OTHER`: at the destination both are names of one file; `apart PATH = OTHER`: of two.
    Names { one: &'static str, other: &'static str, linked: bool },
    /// `private`: the program's own folder stays in the destination, for it holds something.
    Private,
    /// `takes N ms`: it takes at least as long.
    TakesMs(u64),
    /// `also remote`: it holds with a real agent, too.
    Remote,
    /// `waits SWITCH`: it holds as soon as the program knows the switch.
    Waits(&'static str),
    /// `wrong REASON`: it should hold and does not.
    Wrong(&'static str),
    /// `note TEXT`: why this and not something else is expected.
    Note,
}

/// How a file's text becomes bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Utf8,
    Utf8WithMark,
    Utf16,
}

impl Case {
    /// Whether one of its rows says this.
    pub(super) fn has(&self, item: &More) -> bool {
        self.steps.iter().any(|step| step.more.contains(item))
    }

    /// What `pick` finds first in its rows.
    pub(super) fn find<T>(&self, pick: impl Fn(&More) -> Option<T>) -> Option<T> {
        self.steps.iter().flat_map(|step| &step.more).find_map(pick)
    }
}

/// Reads a table. Empty lines and those that begin with `#` tell the reader something.
///
/// # Panics
///
/// When a row cannot be read; the message names it.
pub(super) fn parse(table: &'static str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, text) in table.lines().enumerate() {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let cells: Vec<_> = text.split('|').map(str::trim).collect();
        assert!(cells.len() <= COLUMNS, "line {}: too many columns: {text}", number + 1);
        let cell = |column: usize| cells.get(column).copied().unwrap_or("");
        let step = step(&cell).unwrap_or_else(|| panic!("line {}: {text}", number + 1));
        match (cell(0), cases.last_mut()) {
            ("", Some(case)) => case.steps.push(step),
            (id, _) => cases.push(Case { id, line: number + 1, steps: vec![step] }),
        }
    }
    cases
}

fn step(cell: &impl Fn(usize) -> &'static str) -> Option<Step> {
    let tree = |text: &'static str| if text == "-" { "" } else { text };
    let after = match cell(5) {
        "=" => After::Unchanged,
        "source" => After::Source,
        text => After::Tree(tree(text)),
    };
    Some(Step {
        source: tree(cell(1)),
        destination: tree(cell(2)),
        switches: cell(3),
        code: cell(4).parse().ok()?,
        after,
        says: items(cell(6)).map(say).collect::<Option<_>>()?,
        more: items(cell(7)).map(more).collect::<Option<_>>()?,
    })
}

/// Parts between semicolons.
pub(super) fn items(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split(';').map(str::trim).filter(|item| !item.is_empty())
}

fn say(text: &'static str) -> Option<Say> {
    if let Some(exact) = text.strip_prefix('"') {
        return Some(Say::Exact(unescaped(exact.strip_suffix('"')?)));
    }
    Some(match text.split_once(' ') {
        Some(("not", text)) => Say::Not(text),
        Some(("only", text)) => Say::Only(text),
        Some(("times", rest)) => {
            let (count, text) = rest.split_once(' ')?;
            Say::Times(count.parse().ok()?, text)
        }
        _ if text == "only" => Say::Only(""),
        _ => Say::Text(text),
    })
}

fn more(text: &'static str) -> Option<More> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let write = |encoding| {
        let (file, text) = rest.split_once(": ")?;
        Some(More::Write { file, text: unescaped(text), encoding })
    };
    let names = |linked| {
        let (one, other) = rest.split_once(" = ")?;
        Some(More::Names { one, other, linked })
    };
    Some(match word {
        "linked" => names(true)?,
        "apart" => names(false)?,
        "source" => More::Source(if rest == "-" { "" } else { rest }),
        "unreadable" => More::Unreadable(rest),
        "mount" => {
            let (at, other) = rest.split_once(" = ")?;
            More::Mount { at, other }
        }
        "write" => write(Encoding::Utf8)?,
        "writebom" => write(Encoding::Utf8WithMark)?,
        "write16" => write(Encoding::Utf16)?,
        "in" => {
            let (file, text) = rest.split_once(": ")?;
            More::In { file, say: say(text)? }
        }
        "utf16" => More::Utf16(rest),
        "from" => More::From(rest),
        "to" => More::To(rest),
        "alone" => More::Alone,
        "now" => More::Now(rest),
        "bare" => More::Bare(rest),
        "private" => More::Private,
        "takes" => More::TakesMs(rest.strip_suffix(" ms")?.parse().ok()?),
        "also" => More::Remote,
        "waits" => More::Waits(rest),
        "wrong" => More::Wrong(rest),
        "note" => More::Note,
        _ => return None,
    })
}

fn unescaped(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\r", "\r").replace("\\n", "\n")
}

#[test]
fn a_row_is_what_it_says() {
    let cases = parse(
        "# comment\n\nX1 | a | - | /E /V | 1 | source | New File; not b; \"\\ta\" | also remote\n   | | | | 0 | =\n",
    );
    assert_eq!(cases.len(), 1);
    assert_eq!((cases[0].id, cases[0].line, cases[0].steps.len()), ("X1", 3, 2));
    let first = &cases[0].steps[0];
    assert_eq!((first.source, first.destination, first.switches), ("a", "", "/E /V"));
    let says = [Say::Text("New File"), Say::Not("b"), Say::Exact("\ta".into())];
    assert_eq!(first.says, says);
    assert!(cases[0].has(&More::Remote));
    assert!(matches!(cases[0].steps[1].after, After::Unchanged));
}
