//! What command lines with job files come to.
#![allow(clippy::unwrap_used)]

use quicopy_protocol::options::{Retry, Rule};
use quicopy_protocol::path::RelPath;

use super::tests::testing;
use super::*;
use crate::config::PathMap;

/// Written by Robocopy, but for its names: a mirror between two shares.
const NIGHTLY: &[u8] = include_bytes!("samples/NIGHTLY.RCJ");

/// The same for exclusions alone, in code page 850.
const EXCLUDES: &[u8] = include_bytes!("samples/EXCLUDES.RCJ");

const MAP: &str = r"
    '\\SRV-PROD-01\Scripts$' = '/srv/scripts'
    '\\SRV-BKP-01\Scripts$' = 'backup:scripts'
    'D:\' = '/srv/d'
";

/// Reads a command line where the current folder holds these files.
fn parse_with(line: &str, files: &[(&str, &[u8])]) -> Result<Command, UsageError> {
    let find = |path: &Path| {
        let is_it = |(name, _): &&(&str, &[u8])| path == Path::new("/home/ann").join(name);
        files.iter().find(is_it).map(|(_, bytes)| bytes.to_vec())
    };
    let map: PathMap = toml::from_str(MAP).unwrap();
    let surroundings = Surroundings {
        exists: &|path| find(path).is_some(),
        read: &|path| find(path).ok_or(io::ErrorKind::NotFound.into()),
        config: &|_| {
            let dir = Some("/home/ann/.config/quicopy".into());
            Ok(Config { map: map.clone(), dir, ..Config::default() })
        },
        ..testing::surroundings()
    };
    let args: Vec<_> = line.split_whitespace().map(OsString::from).collect();
    parse(&args, surroundings)
}

fn job(line: &str, files: &[(&str, &[u8])]) -> Job {
    match parse_with(line, files) {
        Ok(Command::Copy { then: Then::Run(job), .. }) => *job,
        Ok(other) => panic!("{line}: {other:?}"),
        Err(error) => panic!("{line}: {error}"),
    }
}

/// What `/SAVE` of this line writes, without comments.
fn saved(line: &str) -> String {
    let Ok(Command::Copy { first, .. }) = parse_with(line, &[]) else { panic!("{line}") };
    let lines = first[0].text.lines().filter(|line| !line.starts_with("::") && !line.is_empty());
    lines.map(|line| line.split("::").next().unwrap().trim()).collect::<Vec<_>>().join(" ")
}

fn check_error(line: &str, files: &[(&str, &[u8])], says: &str) {
    match parse_with(line, files) {
        Ok(command) => panic!("{line}: {command:?}"),
        Err(error) => assert!(error.to_string().contains(says), "{line}: {error}"),
    }
}

#[test]
fn a_job_that_robocopy_wrote_runs_where_its_paths_are_mapped() {
    let job = job("/JOB:nightly", &[("nightly.RCJ", NIGHTLY)]);
    assert_eq!(job.source, Path::new("/srv/scripts"));
    assert_eq!(job.destination.to_string(), "quicopy://backup/scripts");
    let excluded = |name: &str| Rule::Name(name.into());
    let temp = Rule::Path(RelPath::parse(b"Temp").unwrap());
    let expected = [excluded(".git"), excluded("node_modules"), excluded("Old Scripts"), temp];
    assert_eq!(job.policy.selection.exclude_dirs, expected);
    assert_eq!(job.policy.selection.exclude_files, [excluded("*.log"), excluded("~*")]);
    assert!(job.policy.purge && job.policy.classes.exclude_older && job.report.no_progress);
    assert_eq!(job.policy.retry, Retry { retries: 1_000_000, wait_seconds: 30 });
    assert_eq!(job.header.job_files, ["/home/ann/nightly.RCJ"]);
    assert_eq!(
        job.header.options,
        "*.* /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /Z /NP /XO /R:1000000 /W:30"
    );
}

#[test]
fn lists_of_several_jobs_are_joined_and_later_values_hold() {
    let files: &[(&str, &[u8])] =
        &[("a.rcj", b"/XF\n  *.a\n/R:5\n"), ("b.RCJ", EXCLUDES), ("c.rcj", b"/E /R:6 /NP\n")];
    let job = job("src dst /JOB:a /JOB:b /XF *.c /R:1 /JOB:c", files);
    let names: Vec<_> = ["*.a", "*.tmp", "*.c"].map(|name| Rule::Name(name.into())).into();
    assert_eq!(job.policy.selection.exclude_files, names);
    assert_eq!(job.policy.selection.exclude_dirs, [Rule::Name("Papierkörbe".into())]);
    assert_eq!(job.policy.retry.retries, 6);
    assert_eq!(job.header.job_files.len(), 3);
}

#[test]
fn a_folder_on_the_command_line_holds_wherever_it_stands() {
    let files: &[(&str, &[u8])] = &[("j.rcj", b"/SD:/from\r\n/DD:/to\r\n")];
    for (line, source, destination) in [
        ("/JOB:j", "/from", "/to"),
        ("/JOB:j a b", "/home/ann/a", "/home/ann/b"),
        ("a b /JOB:j", "/home/ann/a", "/home/ann/b"),
        ("a /JOB:j", "/home/ann/a", "/to"),
        ("/JOB:j /DD:b", "/from", "/home/ann/b"),
        ("/JOB:j *.txt", "/from", "/to"),
    ] {
        let job = job(line, files);
        let found = (job.source.as_path(), job.destination.to_string());
        assert_eq!(found, (Path::new(source), destination.to_owned()), "{line}");
    }
}

#[test]
fn the_code_page_of_a_job_may_be_another() {
    let files: &[(&str, &[u8])] = &[("j.rcj", b"/XD\n  caf\x82\n")];
    let excluded = |line: &str| job(line, files).policy.selection.exclude_dirs;
    assert_eq!(excluded("a b /JOB:j"), [Rule::Name("café".into())]);
    let windows = excluded("a b --job-encoding CP1252 /JOB:j");
    assert_eq!(windows, [Rule::Name("caf\u{201a}".into())]);
    check_error("a b /JOB:j --job-encoding=CP437", files, "come after it");
}

#[test]
fn utf_16_is_read_too() {
    let text = "/SD:/süd\r\n/DD:/dst\r\n";
    let bytes: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(job("/JOB:j", &[("j.RCJ", &bytes)]).source, Path::new("/süd"));
}

#[test]
fn save_takes_what_stands_before_it() {
    let tail = "/COPY:DAT /DCOPY:DA /R:3 /W:5";
    assert_eq!(
        saved("src dst /E /SAVE:j /XF *.tmp /QUIT"),
        format!("/SD:/home/ann/src/ /DD:/home/ann/dst/ /IF /XD /XF /S /E {tail}")
    );
    assert_eq!(saved("*.txt /SAVE:t /QUIT"), format!("/NOSD /NODD /IF *.txt /XD /XF {tail}"));
    assert_eq!(saved("/SAVE:t src dst"), format!("/NOSD /NODD /IF /XD /XF {tail}"));
    assert_eq!(
        saved(r"\\SRV-PROD-01\Scripts$ bk:x /COPYALL /MT /R:1 /SAVE:t"),
        r"/SD:\\SRV-PROD-01\Scripts$ /DD:bk:x /IF /XD /XF /MT:8 /DCOPY:DA /COPYALL /R:1 /W:5"
    );
    assert_eq!(
        saved("/NOSD dst *.txt /SAVE:t /QUIT"),
        format!("/NOSD /DD:/home/ann/dst/ /IF *.txt /XD /XF {tail}")
    );
}

#[test]
fn after_save_the_job_runs_unless_quit_is_given() {
    let Command::Copy { first, then } = parse_with("src dst /SAVE:j", &[]).unwrap() else {
        panic!()
    };
    assert_eq!(first[0].path, Path::new("/home/ann/j.RCJ"));
    assert!(matches!(then, Then::Run(_)));
    let quit = parse_with("src dst /MIR /SAVE:j /QUIT", &[]).unwrap();
    let Command::Copy { then: Then::Show { header, .. }, .. } = quit else { panic!() };
    assert_eq!((&*header.source, &*header.destination), ("/home/ann/src/", "/home/ann/dst/"));
    assert_eq!(header.job_files, ["/home/ann/j.RCJ"], "the header names the file that is written");
    let none = parse_with("/QUIT", &[]).unwrap();
    let Command::Copy { first, then: Then::Show { header, .. } } = none else { panic!() };
    assert!(first.is_empty() && header.source.is_empty() && header.destination.is_empty());
    check_error("*.txt /SAVE:j", &[], "No Source Directory Specified");
}

#[test]
fn a_line_that_is_nothing_is_named_with_its_number() {
    for (text, says) in [
        ("/E\r\n\r\n\t/NOSUCH\t:: x\r\n", "ERROR : Invalid Job File, Line #3 :\"/NOSUCH\\t:: x\""),
        ("/R:x", "Line #1"),
        ("loose", "neither a switch nor an item"),
        ("\"loose\"", "no list is open"),
        ("/XF\n\"a", "Line #2"),
        ("/XD\n/MRI", "there is no such switch"),
        ("/XF a b", "a line of its own"),
        ("/EFSRAW", "Encrypting File System"),
        ("/KEEPBASIS:1G", "not supported yet"),
        ("/SAVE:x", "on the command line only"),
        ("--no-such", "no such option"),
        ("--retries", "value is missing"),
        ("--mirror=1", "takes no value"),
        ("--retries=x", "a number of retries"),
        ("/SD:", "a name"),
        ("/?", "Line #1"),
        ("/JOB:j", "cannot hold itself"),
        ("/JOB:none", "Opening Job File"),
    ] {
        check_error("a b /JOB:j", &[("j.RCJ", text.as_bytes())], says);
    }
    check_error("a b /JOB:none", &[], "ERROR : Opening Job File \"/home/ann/none.RCJ\"");
}

#[test]
fn a_job_may_name_another_but_no_further() {
    let files: &[(&str, &[u8])] = &[
        ("a.RCJ", b"/JOB:b\n/JOB:b\n/NP\n"),
        ("b.RCJ", b"/E\n/XD\n  x\n"),
        ("c.RCJ", b"/JOB:a\n"),
        ("d.RCJ", b"/JOB:e\n"),
        ("e.RCJ", b"/JOB:d\n"),
    ];
    let job = job("src dst /JOB:a", files);
    assert!(job.report.no_progress && job.policy.selection.exclude_dirs.len() == 2);
    check_error("src dst /JOB:c", files, "may not name a third");
    check_error("src dst /JOB:d", files, "cannot hold itself");
}

#[test]
fn items_that_people_write_are_read() {
    let text = b"/SD:\"D:\\My files\\\" :: quoted\n/DD:D:\\out dir\\\n/S /NP /R:3\n/XD .git\n\"/Temp\"\n--max-size=9\n-xo\n";
    let job = job("/JOB:j", &[("j.rcj", text)]);
    assert_eq!(job.source, Path::new("/srv/d/My files"));
    assert_eq!(job.destination.to_string(), "/srv/d/out dir");
    assert!(job.report.no_progress && job.policy.classes.exclude_older);
    assert_eq!(job.policy.selection.max_bytes, Some(9));
}

#[test]
fn a_path_of_windows_that_is_not_mapped_says_where_to_map_it() {
    let file = "/home/ann/.config/quicopy/sender.toml below [map]";
    for (line, says) in [
        (r"C:\src dst", r"'C:\src' = '/its/folder'"),
        (r"src C:\dst", file),
        (r"\\OTHER\share$ dst", r"'\\OTHER\share$' = '/its/folder'"),
        (r"\\OTHER\share$ dst", "run the sender there"),
        (r"src dst /LOG:C:\logs\x.log", r"'C:\logs\x.log'"),
        (r"src dst /XD C:\src\old", r"'C:\src\old'"),
        (r"\\SRV-BKP-01\Scripts$ dst", "run the sender there"),
    ] {
        check_error(line, &[], says);
    }
    let job = job(r"D:\in dst\sub /LOG:D:\logs\x.log", &[]);
    assert_eq!(job.report.log.unwrap().path, Path::new("/srv/d/logs/x.log"));
    assert_eq!(job.destination.to_string(), "/home/ann/dst/sub");
    let share = parse_with(r"src \\OTHER\share$", &[]);
    assert!(share.is_ok(), "an agent's share is addressed by its UNC path as it is");
}

#[test]
fn an_exclusion_below_a_mapped_destination_is_that_path() {
    let job = job(r"src \\SRV-BKP-01\Scripts$ /XD \\srv-bkp-01\scripts$\Keep\me", &[]);
    let keep = Rule::Path(RelPath::parse(b"Keep/me").unwrap());
    assert_eq!(job.policy.selection.exclude_dirs, [keep]);
}

#[test]
fn an_exclusion_is_below_a_tree_however_that_is_spelled() {
    for (line, rest) in [
        (r"src \\B\Scripts$ /XD \\b\scripts$\Keep", "Keep"),
        (r"src \\B\Scripts$\Sub\ /XD //b/scripts$/sub/Keep/me", "Keep/me"),
        (r"src branch:Scripts$ /XD \\BRANCH\scripts$\Keep", "Keep"),
        (r"src \\SRV-BKP-01\Scripts$\Sub /XD \\srv-bkp-01\scripts$\SUB\Keep", "Keep"),
        (r"src \\SRV-BKP-01\Scripts$ /XD backup:scripts/Keep", "Keep"),
        (r"D:\in dst /XD d:\IN\Keep", "Keep"),
        (r"src D:\Out /XD d:\out\Keep", "Keep"),
    ] {
        let keep = Rule::Path(RelPath::parse(rest.as_bytes()).unwrap());
        assert_eq!(job(line, &[]).policy.selection.exclude_dirs, [keep], "{line}");
    }
    for line in
        [r"src \\B\Scripts$\ab /XD \\b\scripts$\abc\x", r"src branch:one /XD \\branch\two\x"]
    {
        let none = job(line, &[]);
        assert!(
            none.policy.selection.exclude_dirs.is_empty() && !none.notices.is_empty(),
            "{line}"
        );
    }
}

#[test]
fn reg_stores_what_holds() {
    let Command::Copy { first, .. } = parse_with("src dst /R:9 /REG", &[]).unwrap() else {
        panic!()
    };
    assert_eq!(first[0].path, Path::new("/home/ann/.config/quicopy/defaults.toml"));
    assert!(first[0].text.contains("retries = 9") && first[0].text.contains("wait_seconds = 5"));
}
