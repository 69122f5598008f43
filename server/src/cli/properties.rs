//! Properties of whole command lines, made at random from the switch table.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::switch::{Switch, Takes, switches};
use super::tests::testing;
use super::*;

/// Switches that decide what is done with a job, and not what the job is.
const OF_JOB_FILES: [&str; 7] = [
    longs::JOB,
    longs::SAVE,
    longs::QUIT,
    longs::NO_SOURCE,
    longs::NO_DESTINATION,
    longs::SOURCE,
    longs::DESTINATION,
];

/// Pairs of which a command line holds one at most.
const AT_ODDS: [(&str, &str); 8] = [
    ("create", "no-copy"),
    ("create", "archive-reset"),
    ("move", "create"),
    ("move", "no-copy"),
    ("move-files", "create"),
    ("move-files", "no-copy"),
    ("inter-packet-gap", "threads"),
    ("copy", "fix-security"),
];

/// Values of a switch, by what help calls them: whoever adds a row with another kind of value says here what it looks like.
fn values(name: &str) -> BoxedStrategy<String> {
    let fixed = |values: &'static [&str]| select(values).prop_map(str::to_owned).boxed();
    match name {
        "N" | "M" => (1..=128_u8).prop_map(|n| n.to_string()).boxed(),
        "BYTES" => any::<u64>().prop_map(|n| n.to_string()).boxed(),
        "N[KMG]" | "N[KMG]|N%" => "[1-9][0-9]{0,5}[kKmMgG]?".boxed(),
        "N|N%" => fixed(&["0", "10", "100%"]),
        "Y|N" => fixed(&["Y", "n"]),
        "FLAGS" => "[DATXdatx]{1,4}".boxed(),
        "RASHCNET" => "[RASHCNETrashcnet]{1,9}".boxed(),
        "RASHCNETO" => "[RASHCNETOrashcneto]{1,9}".boxed(),
        "DAYS|DATE" => fixed(&["0", "7", "1899", "19991231", "20240229"]),
        "DAYS" => (1..=3650_u16).prop_map(|n| n.to_string()).boxed(),
        "HHMM-HHMM" => fixed(&["1800-0600", "0000-2359"]),
        "RATE[@HHMM-HHMM]" => fixed(&["800K", "2m@0800-1800", "10Mbit"]),
        "fair|low|fixed:RATE" => fixed(&["fair", "LOW", "fixed:98Mbit"]),
        "MODE" => fixed(&["auto", "off", "19"]),
        "POLICY" => fixed(&["overwrite", "skip", "KEEP", "fail"]),
        "ID" => "[0-9a-fA-F]{32}".boxed(),
        "CODEPAGE" => fixed(&["CP437", "850", "cp1252"]),
        "FILE" | "DIR" => prop_oneof!["[a-z]{1,8}", "/[a-z \"]{1,8}/[a-z:]{1,8}"].boxed(),
        "NAME" | "PATTERN" => item().boxed(),
        other => panic!("no values are known for {other}"),
    }
}

/// Names as a list may hold them, blanks, quotes and what looks like a comment included.
fn item() -> impl Strategy<Value = String> {
    let name = "[^/\\\\:\\-\\x00-\\x1f\\x7f-\\x9f\u{fffd}][^/\\\\:\\x00-\\x1f\\x7f-\\x9f\u{fffd}]{0,8}( :: x)?";
    name.prop_filter("a name", |name| !matches!(&**name, "." | "..") && !name.contains(" ::"))
}

/// One switch with a value if it takes one, in either spelling.
fn switch() -> impl Strategy<Value = (&'static Switch, Vec<String>)> {
    let rows: Vec<_> = switches()
        .filter(|row| !OF_JOB_FILES.contains(&row.long))
        .filter(|row| !matches!(row.treatment, Treatment::Refuse(_)))
        .collect();
    (select(rows), any::<bool>()).prop_flat_map(|(row, prefers_slash)| {
        let slash = row.slash.filter(|_| prefers_slash);
        let head = slash.map_or_else(|| format!("--{}", row.long), str::to_owned);
        let mark = if slash.is_some() { ':' } else { '=' };
        let is_list = matches!(row.takes, Takes::List { .. });
        let valued = move |head: String, value: String| match (is_list, mark) {
            (true, ':') => vec![head, value],
            (true | false, _) => vec![format!("{head}{mark}{value}")],
        };
        // Without D there is less that it can stand beside.
        let values = |name: &'static str| match row.long {
            "copy" => "[DATXdatx]{0,3}[Dd]".boxed(),
            _ => values(name),
        };
        let tokens = match row.takes {
            Takes::Nothing(_) => Just(vec![head]).boxed(),
            Takes::Optional { name, .. } => {
                let bare = head.clone();
                let with = values(name).prop_map(move |value| valued(head.clone(), value));
                prop_oneof![Just(vec![bare]), with].boxed()
            }
            Takes::Value { name, .. } | Takes::List { name, .. } => {
                values(name).prop_map(move |value| valued(head.clone(), value)).boxed()
            }
        };
        (Just(row), tokens)
    })
}

/// Switches that can stand together.
fn command_line() -> impl Strategy<Value = Vec<String>> {
    vec(switch(), 0..12).prop_map(|switches| {
        let mut taken: Vec<&str> = vec![];
        let mut line = vec!["src".to_owned(), "dst".to_owned()];
        for (row, tokens) in switches {
            let is_at_odds = AT_ODDS.iter().any(|&(a, b)| {
                row.long == a && taken.contains(&b) || row.long == b && taken.contains(&a)
            });
            if !is_at_odds {
                taken.push(row.long);
                line.extend(tokens);
            }
        }
        if taken.contains(&"fix-security") {
            line.push("/SEC".to_owned());
        }
        line
    })
}

fn parse_strings(args: &[String], surroundings: Surroundings<'_>) -> Result<Command, UsageError> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    parse(&args, surroundings)
}

/// The job, without the names of the job files in its header.
fn job_of(command: Command) -> (Vec<FileToWrite>, Job) {
    let Command::Copy { first, then: Then::Run(mut job) } = command else {
        panic!("no job: {command:?}");
    };
    job.header.job_files.clear();
    (first, *job)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_job_that_is_saved_and_read_is_the_same_job(mut line in command_line()) {
        line.push("/SAVE:j".to_owned());
        let (first, job) = job_of(parse_strings(&line, testing::surroundings()).unwrap());
        let text = first[0].text.clone().into_bytes();
        let surroundings = Surroundings { read: &|_| Ok(text.clone()), ..testing::surroundings() };
        let again = parse_strings(&["/JOB:j".to_owned()], surroundings);
        let again = again.unwrap_or_else(|error| panic!("{error}\n{}", first[0].text));
        prop_assert_eq!(job_of(again).1, job, "{}", &first[0].text);
    }

    #[test]
    fn what_looks_like_a_switch_is_one_or_is_named(token in "[/-][A-Za-z0-9+?*._=]{1,7}(:[ -~]{0,8})?") {
        let is_known = |row: &&Switch| {
            row.slash.is_some_and(|slash| slash.as_bytes() == translate::head_of(token.as_bytes()))
        };
        let line = ["src".to_owned(), "dst".to_owned(), token.clone()];
        match parse_strings(&line, testing::surroundings()) {
            Ok(Command::Copy { .. }) => prop_assert!(switches().any(|row| is_known(&row))),
            Ok(Command::RobocopyHelp) => prop_assert!(token.ends_with('?')),
            Ok(Command::Help(_)) => prop_assert_eq!(token, "-h"),
            Ok(other) => panic!("{other:?}"),
            Err(UsageError::Invalid { number, text, .. } | UsageError::NotYet { number, text }) => {
                prop_assert_eq!((number, text), (3, OsString::from(token)));
            }
            Err(error) => prop_assert!(switches().any(|row| is_known(&row)), "{error}"),
        }
    }

    #[test]
    fn any_job_file_is_read_or_refused_by_its_line(
        lines in vec(prop_oneof!["[ -~\t]{0,20}", switch().prop_map(|(_, tokens)| tokens.join(" "))], 0..6),
        bytes in vec(any::<u8>(), 0..4),
    ) {
        let file = [lines.join("\n").into_bytes(), bytes].concat();
        let surroundings = Surroundings { read: &|_| Ok(file.clone()), ..testing::surroundings() };
        let line = ["src".to_owned(), "dst".to_owned(), "/JOB:j".to_owned()];
        match parse_strings(&line, surroundings) {
            Ok(Command::Copy { .. }) | Err(UsageError::InvalidJob { .. } | UsageError::Resolve(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
