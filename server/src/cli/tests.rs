//! What whole command lines come to.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use quicopy_protocol::attributes::DosAttributes;
use quicopy_protocol::congestion::Policy;
use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::options::{
    ConflictPolicy, ContentCheck, CopyFlags, CopyMode, DeleteLimit, Fix, Recurse, Retry, Rule,
    SpaceFloor, Writing,
};
use quicopy_protocol::path::Name;

use quicopy_protocol::transport::Compression;

use super::*;
use crate::report::{LogEncoding, LogFile, LogMode};

/// A machine without files.
pub(super) mod testing {
    use std::sync::LazyLock;

    use super::*;

    const CWD: &str = "/home/ann";

    static NOW: LazyLock<Zoned> =
        LazyLock::new(|| "2025-04-21T14:25:51.5+00:00[UTC]".parse().unwrap());

    pub(in crate::cli) fn surroundings() -> Surroundings<'static> {
        Surroundings {
            cwd: Path::new(CWD),
            home: Some(Path::new(CWD)),
            user: Some("ann"),
            now: &NOW,
            reads_all: true,
            exists: &|_| false,
            canonical: &|_| None,
            read: &|_| Err(io::ErrorKind::NotFound.into()),
            config: &|_| {
                Ok(Config { dir: Some("/home/ann/.config/quicopy".into()), ..Config::default() })
            },
        }
    }
}

fn parse_args(args: &[OsString]) -> Result<Command, UsageError> {
    parse(args, testing::surroundings())
}

fn parse_line(line: &str) -> Result<Command, UsageError> {
    parse_args(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
}

/// The job of `src dst` with these switches.
fn job(switches: &str) -> Job {
    match parse_line(&format!("src dst {switches}")) {
        Ok(Command::Copy { then: Then::Run(job), .. }) => *job,
        wrong => panic!("{switches}: {wrong:?}"),
    }
}

fn check_echo(switches: &str, options: &str) {
    assert_eq!(job(switches).header.options, options, "{switches}");
}

#[test]
fn the_switch_sets_of_every_day_are_jobs() {
    for switches in [
        "/MIR /R:3 /W:5 /LOG+:f /NP",
        "/E /XO /R:3 /W:5 /LOG+:f /NP",
        "/MIR /Z /R:5 /W:15 /LOG+:f /NP",
        "/MIR /XD .git node_modules Temp obj bin /XF *.log *.tmp *.user",
        "/MIR /L",
        "/MIR /FFT /R:3 /W:5 /NP",
        "/E /COPY:DAT /DCOPY:T /MT:16 /XJ /TEE",
        "/L /E /XO /XN /XC",
        "/MT:4 /Z",
        "/MT:32 /R:5 /W:5 /B /MIR /IT /COPY:DATSO /DCOPY:DAT /NP /NFL /NDL /UNILOG:f",
        "/E /ZB /LOG:f",
        "/MIR /COPYALL /ZB /MT:64",
        "/MOV /S /MAXAGE:7",
        "/E /MON:1 /MOT:5",
        "/RH:1800-0600 /PF",
    ] {
        job(switches);
    }
}

#[test]
fn options_are_echoed_as_robocopy_does() {
    check_echo("", "*.* /DCOPY:DA /COPY:DAT /R:3 /W:5");
    check_echo("/MIR", "*.* /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /R:3 /W:5");
    check_echo("/E /V /COPY:DA", "*.* /V /S /E /DCOPY:DA /COPY:DAT /R:3 /W:5");
    check_echo("/S /COPYALL /MT", "*.* /S /COPYALL /MT:8 /R:3 /W:5");
    check_echo("/NODCOPY", "*.* /NODCOPY /COPY:DAT /R:3 /W:5");
    check_echo("x.txt", "/DCOPY:DA /COPY:DAT /R:3 /W:5");
    check_echo(
        "/b /A+:rs /MaxAge:7 /IA:h /IM",
        "*.* /DCOPY:DA /COPY:DAT /B /A+:RS /IM /IA:H /MAXAGE:7 /R:3 /W:5",
    );
    check_echo("/NODCOPY /COPY:DATX /ZB", "*.* /NODCOPY /COPY:DAT /ZB /R:3 /W:5");
    check_echo("*.*", "*.* /DCOPY:DA /COPY:DAT /R:3 /W:5");
    check_echo(
        "/w:1 /r:2 /np /lev:2 /xj /max:9 /bwlimit:2m /policy:fixed:8mbit /compress:9 /maxdelete:5%",
        "*.* /DCOPY:DA /COPY:DAT /NP /LEV:2 /XJ /MAX:9 /BWLIMIT:2M /POLICY:fixed:1000000 /COMPRESS:9 /MAXDELETE:5% /R:2 /W:1",
    );
}

#[test]
fn both_spellings_mean_the_same() {
    let slash = job("/MIR /R:7 /XD .git /LOG:f /MT:4 /CONFLICT:keep");
    let long = job("--mirror --retries 7 --exclude-dir .git --log f --threads=4 --conflict keep");
    assert_eq!(slash, long);
}

#[test]
fn defaults_are_settled() {
    let job = job("");
    assert_eq!(job.source, Path::new("/home/ann/src"));
    assert_eq!(job.destination, Destination::Local("/home/ann/dst".into()));
    assert_eq!(job.policy.retry, Retry { retries: 3, wait_seconds: 5 });
    assert_eq!((job.policy.copy, job.policy.dcopy), (CopyFlags::DAT, CopyFlags::DA));
    assert_eq!(job.policy.selection.recurse, Recurse::RootOnly);
    assert_eq!((job.threads, job.move_mode), (THREADS_DEFAULT, MoveMode::Keep));
    assert!(job.policy.delta && !job.policy.purge && !job.report.multi_threaded);
}

#[test]
fn switches_reach_the_policy() {
    let job = job(
        "/MIR /L /XL /IS /FFT /DST /SL /XJD /MIN:1 /MAX:9 /MAXDELETE:10 /FORCE /V /X /MOVE /CONFLICT:SKIP",
    );
    let policy = &job.policy;
    assert!(
        policy.purge
            && policy.list_only
            && policy.force
            && policy.report_same
            && policy.report_all_extras
    );
    assert!(policy.classes.exclude_lonely && policy.classes.include_same);
    assert!(policy.tolerance.fat && policy.tolerance.daylight_saving);
    assert!(policy.selection.links.recreate && policy.selection.links.exclude_dirs);
    assert!(!policy.selection.links.exclude_files);
    assert_eq!((policy.selection.min_bytes, policy.selection.max_bytes), (Some(1), Some(9)));
    assert_eq!(policy.selection.recurse, Recurse::All);
    assert_eq!(policy.max_delete, Some(DeleteLimit::Count(10)));
    assert_eq!(policy.conflict, ConflictPolicy::Skip);
    assert_eq!(job.move_mode, MoveMode::FilesAndDirectories);
}

#[test]
fn switches_of_the_whole_of_robocopy_reach_the_job() {
    let job = job(
        "/M /IA:rh /XA:S /A+:R /A-:SH /MAXAGE:2 /MINAGE:20250401 /MAXLAD:1 /IM /SECFIX /TIMFIX /SEC /J /SPARSE:N \
         /NOCLONE /READBACK /LFSM:1G /SJ /HARDLINKS /TRASH:30 /PLAN:000102030405060708090a0B0c0d0e0f \
         --require-marker=.here /MON:3 /RH:1800-0600 /PF /TBD /IoRate:1m /IPG:100 /Threshold:2K /UNILOG+:f",
    );
    let policy = &job.policy;
    let letters = |text| DosAttributes::parse(text).unwrap();
    assert_eq!(policy.selection.attributes.all_of, DosAttributes::ARCHIVE);
    assert_eq!(policy.selection.attributes.any_of, letters("RH"));
    assert_eq!(policy.selection.attributes.none_of, letters("S"));
    assert_eq!((policy.attributes_add, policy.attributes_remove), (letters("R"), letters("SH")));
    let now = testing::surroundings().now.timestamp().as_second();
    let second = |time: Option<Timestamp>| time.map(|time| time.seconds);
    assert_eq!(second(policy.selection.modified.from), Some(now - 2 * 86_400));
    assert_eq!(second(policy.selection.modified.to), Some(1_743_465_600));
    assert_eq!(second(policy.selection.accessed.from), Some(now - 86_400));
    assert_eq!(policy.content_check, ContentCheck::LooksSame);
    assert_eq!(policy.fix, Fix { security: true, times: true });
    let writing = Writing { dense: true, unbuffered: true, no_clone: true, read_back: true };
    assert_eq!(policy.writing, writing);
    assert_eq!(policy.space_floor, Some(SpaceFloor::Bytes(1 << 30)));
    assert!(policy.selection.links.empty_mounts && policy.selection.links.hard_links);
    assert_eq!(policy.trash_days, Some(30));
    assert_eq!(policy.plan.unwrap().to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(policy.marker.as_ref().map(Name::as_bytes), Some(&b".here"[..]));
    assert_eq!(job.monitor, Some(Monitor { changes: 3, minutes: 1 }));
    let hours = job.run_hours.unwrap();
    assert_eq!((hours.hours.to_string(), hours.per_file), ("1800-0600".to_owned(), true));
    assert!(job.tbd && job.reset_archive);
    assert_eq!(job.pace.rate.map(u64::from), Some(655_360));
    assert_eq!((job.pace.threshold_bytes, job.pace.bandwidth), (2048, None));
    assert_eq!(job.report.log.unwrap().encoding, LogEncoding::Utf16);
}

#[test]
fn switches_without_a_value_have_robocopys() {
    assert_eq!(job("/LFSM").policy.space_floor, Some(SpaceFloor::Percent(10)));
    assert_eq!(job("/TRASH").policy.trash_days, Some(7));
    assert!(!job("/SPARSE:N /SPARSE").policy.writing.dense);
    assert_eq!(job("/VERIFY /IM").policy.content_check, ContentCheck::Always);
    assert_eq!(job("/IPG:0").pace.rate, None);
}

#[test]
fn each_switch_that_means_something_else_is_said_once() {
    let notices = job("/B /b /256 /COPYALL /IPG:10 --no-offload").notices;
    let heads: Vec<_> = notices.iter().map(|line| line.split(" : ").next().unwrap()).collect();
    let rate = "at most 6553600 bytes leave in a second, over all files together";
    assert_eq!(heads, ["/B", "/COPYALL", "/256", "/NOOFFLOAD", "/IPG", rate]);
    assert_eq!(job("/MIR /Z /MT /R:1 /W:1 /LOG:f").notices, Vec::<String>::new());
    assert!(job("/PF").notices[0].contains("without /RH"));
    assert!(job("/Threshold:1M").notices[0].contains("changes nothing without"));
}

#[test]
fn what_robocopy_refuses_together_is_refused() {
    for (switches, said) in [
        ("/IPG:5 /MT", "/BWLIMIT"),
        ("/MT /IPG:5", "/BWLIMIT"),
        ("/SECFIX", "/COPYALL"),
        ("/SECFIX /COPY:DAT", "/COPYALL"),
        ("/EFSRAW", "Invalid Parameter #3 : \"/EFSRAW\""),
        ("--efs-raw", "Encrypting"),
        ("/FAT", "Invalid Parameter #3"),
        ("/COPY:DATSOU", "auditing"),
        ("/A+:O", "RASHCNET"),
        ("/A-:", "RASHCNETO"),
        ("/LFSM:101%", "percent"),
        ("/TRASH:0", "3650"),
        ("/PLAN:12", "the ID"),
        ("/PLAN:+0010203040506070809000a0b0c0d0e0", "the ID"),
        ("--require-marker=a/b", "without a path"),
        ("/MON:0", "1 or more"),
        ("/MON", "write /MON:N"),
        ("/RH:1800-1802", "two minutes"),
        ("/IoRate:0", "above 0"),
        ("/SPARSE:X", "Y or N"),
        ("/NOSD", "SOURCE was given before"),
        ("/DD:x", "DESTINATION was given before"),
    ] {
        let error = parse_line(&format!("src dst {switches}")).unwrap_err().to_string();
        assert!(error.contains(said), "{switches}: {error}");
    }
    for switches in
        ["/SECFIX /SEC", "/SECFIX /COPYALL", "/SECFIX /COPY:SO", "/LFSM /MT /B", "/TIMFIX /COPY:A"]
    {
        job(switches);
    }
}

#[test]
fn backup_mode_needs_its_right_and_only_zb_goes_on_without() {
    let run = |switch: &str| {
        let args = ["src", "dst", switch].map(OsString::from);
        parse(&args, Surroundings { reads_all: false, ..testing::surroundings() })
    };
    let error = run("/B").unwrap_err().to_string();
    assert!(
        error.starts_with("ERROR : You do not have the Backup and Restore Files user rights."),
        "{error}"
    );
    let Ok(Command::Copy { then: Then::Run(job), .. }) = run("/ZB") else { panic!() };
    assert!(job.notices[1].contains("denied"), "{:?}", job.notices);
}

#[test]
fn of_contrary_switches_the_later_one_holds() {
    assert!(
        job("/COPYALL /COPY:D").policy.copy
            == CopyFlags { data: true, times: true, ..CopyFlags::NONE }
    );
    assert!(job("/COPY:D /SEC").policy.copy.security);
    assert_eq!(job("/R:1 /R:2").policy.retry.retries, 2);
    let log = |switches| job(switches).report.log.unwrap();
    let file = |mode| LogFile { path: "/home/ann/b".into(), mode, encoding: LogEncoding::Utf8 };
    assert_eq!(log("/LOG:a /LOG+:b"), file(LogMode::Append));
    assert_eq!(log("/LOG+:a /LOG:b"), file(LogMode::Overwrite));
}

#[test]
fn compression_is_chosen_by_itself_unless_somebody_says_so() {
    for (switches, expected) in [
        ("", Compression::Auto),
        ("/COMPRESS", Compression::Auto),
        ("/compress:OFF", Compression::Off),
        ("/COMPRESS:19", Compression::Level(19)),
        ("/COMPRESS:3 --compress=auto", Compression::Auto),
    ] {
        assert_eq!(job(switches).compression, expected, "{switches}");
    }
    for wrong in ["/COMPRESS:0", "/COMPRESS:20", "/COMPRESS:-1", "/COMPRESS:best", "/COMPRESS:"] {
        assert!(parse_line(&format!("src dst {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn a_fair_share_of_the_link_is_taken_unless_somebody_says_otherwise() {
    for (switches, expected) in [
        ("", Policy::Fair),
        ("/POLICY:fair", Policy::Fair),
        ("/policy:LOW", Policy::Low),
        ("--link-policy fixed:98Mbit", Policy::Fixed(12_250_000)),
        ("/POLICY:Fixed:1M", Policy::Fixed(1 << 20)),
    ] {
        assert_eq!(job(switches).link_policy, expected, "{switches}");
    }
    for wrong in ["/POLICY", "/POLICY:", "/POLICY:fixed", "/POLICY:fixed:0", "/POLICY:greedy"] {
        assert!(parse_line(&format!("src dst {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn lists_become_rules_and_patterns() {
    let job = job("*.txt a?.doc /XF *.tmp src/keep.log /XD .git /elsewhere/x /IF more.*");
    let selection = &job.policy.selection;
    assert_eq!(selection.include_files, ["*.txt", "a?.doc", "more.*"]);
    let keep = Rule::Path(quicopy_protocol::path::RelPath::parse(b"keep.log").unwrap());
    assert_eq!(selection.exclude_files, [Rule::Name("*.tmp".into()), keep]);
    assert_eq!(selection.exclude_dirs, [Rule::Name(".git".into())]);
    assert_eq!(job.notices.len(), 1);
    assert!(job.notices[0].contains("/elsewhere/x"), "{:?}", job.notices);
}

#[test]
fn what_makes_no_job_is_refused() {
    for (line, said) in [
        ("src", "No Destination Directory Specified"),
        ("/MIR", "No Source Directory Specified"),
        (r"\\A\Scripts$ dst", "run the sender there"),
        ("host:share dst", "run the sender there"),
        (r"C:\src dst", "no drive letters"),
        ("src quicopy://b", "share is missing"),
        ("src dst /XD a/b", "relative path"),
        ("src dst /CREATE /NOCOPY", "cannot stand together"),
        ("src dst /MOV /CREATE", "cannot stand together"),
        ("src dst /CREATE /M", "cannot stand together"),
        ("src dst /COPY:AT", "/TIMFIX"),
        ("src dst /MOVE /COPY:A", "/MOV and /COPY without D cannot stand together"),
        ("src dst /COPY:S /IM", "cannot stand together"),
        ("src dst /VERIFY /COPY:O", "cannot stand together"),
        ("src dst /HARDLINKS /COPY:X", "cannot stand together"),
        ("src dst --retries x", "--retries"),
        ("src dst --mirorr", "--mirror"),
        ("src dst --retries", "value is required"),
        ("src dst --mirror=1", "--mirror"),
        ("src dst /IF a/b", "no pattern"),
        ("pair b:0 token", "no address"),
    ] {
        let error = parse_line(line).unwrap_err().to_string();
        assert!(error.contains(said), "{line}: {error}");
    }
    let long = format!("src dst /XF {}", "x".repeat(PATTERN_BYTES_MAX + 1));
    assert!(matches!(parse_line(&long), Err(UsageError::Resolve(ResolveError::PatternsTooLong))));
}

#[test]
fn create_and_nocopy_change_what_is_done_with_files() {
    assert_eq!(job("/CREATE").policy.mode, CopyMode::CreateEmpty);
    assert_eq!(job("/NOCOPY").policy.mode, CopyMode::Nothing);
}

#[test]
fn subcommands_are_read() {
    let pair = parse_line("pair b.example:5000 - --name branch --state-dir s").unwrap();
    let address = Address { host: "b.example".into(), port: Some(5000) };
    let (name, state_dir) = (Some("branch".into()), Some("s".into()));
    assert_eq!(pair, Command::Pair { address, token: TokenFrom::Stdin, name, state_dir });
    assert_eq!(parse_line("agents").unwrap(), Command::ListAgents { state_dir: None });
    assert_eq!(parse_line("agents list").unwrap(), Command::ListAgents { state_dir: None });
    let forget = Command::ForgetAgent { name: "b".into(), state_dir: None };
    assert_eq!(parse_line("agents forget b").unwrap(), forget);
    assert_eq!(parse_line("jobs --json").unwrap(), Command::Jobs { json: true, state_dir: None });
    assert_eq!(parse_line("identity").unwrap(), Command::Identity { state_dir: None });
    assert_eq!(parse_line("completions bash").unwrap(), Command::Completions(Shell::Bash));
    assert_eq!(parse_line("man").unwrap(), Command::Man);
    assert!(matches!(parse_line("pair --help").unwrap(), Command::Help(_)));
    assert!(parse_line("pair b").is_err());
}

#[test]
fn a_folder_may_be_called_like_a_subcommand() {
    assert!(matches!(parse_line("./pair jobs"), Ok(Command::Copy { .. })));
}

#[test]
fn help_and_version_are_asked_for() {
    assert_eq!(parse_line("").unwrap(), Command::RobocopyHelp);
    assert_eq!(parse_line("/?").unwrap(), Command::RobocopyHelp);
    assert!(matches!(parse_line("--help").unwrap(), Command::Help(_)));
    assert_eq!(parse_line("--version").unwrap(), Command::Version);
}

/// All that Robocopy's help of 2025 names, with `/DEBUG`, which it does not.
const ROBOCOPYS: &str = "/S /E /LEV /Z /B /ZB /J /EFSRAW /COPY /SEC /COPYALL /NOCOPY /SECFIX /TIMFIX /PURGE /MIR /MOV /MOVE \
    /A+ /A- /CREATE /FAT /256 /MON /MOT /RH /PF /IPG /SJ /SL /MT /DCOPY /NODCOPY /NOOFFLOAD /COMPRESS /SPARSE /NOCLONE \
    /IOMAXSIZE /IORATE /THRESHOLD /LFSM /A /M /IA /XA /XF /XD /XC /XN /XO /XX /XL /IS /IT /IM /MAX /MIN /MAXAGE /MINAGE \
    /MAXLAD /MINLAD /XJ /XJD /XJF /FFT /DST /R /W /REG /TBD /L /X /V /TS /FP /BYTES /NS /NC /NFL /NDL /NP /ETA /LOG /LOG+ \
    /UNILOG /UNILOG+ /UNICODE /TEE /NJH /NJS /DEBUG /JOB /SAVE /QUIT /NOSD /NODD /IF /SD /DD";

#[test]
fn every_switch_of_robocopy_has_a_row() {
    for slash in ROBOCOPYS.split_whitespace() {
        assert!(switch::switches().any(|row| row.slash == Some(slash)), "{slash}");
    }
}

#[test]
fn every_row_is_documented_and_named_once() {
    let mut slashes = std::collections::HashSet::new();
    let mut longs = std::collections::HashSet::new();
    for row in switch::switches() {
        assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.long);
        assert!(longs.insert(row.long), "{}", row.long);
        if let Some(slash) = row.slash {
            assert!(slashes.insert(slash), "{slash}");
            assert!(slash.starts_with('/') && slash.to_ascii_uppercase() == slash, "{slash}");
            assert!(!not_yet::NOT_YET.contains(&slash), "{slash} is both built and not");
        }
    }
}

#[test]
fn names_that_are_no_text_pass_as_paths() {
    use std::os::unix::ffi::OsStringExt;
    let source = OsString::from_vec(b"caf\xe9".to_vec());
    match parse_args(&[source, "dst".into()]) {
        Ok(Command::Copy { then: Then::Run(job), .. }) => {
            assert_eq!(job.header.source, "/home/ann/caf\\xe9/");
        }
        wrong => panic!("{wrong:?}"),
    }
}

fn any_token() -> impl Strategy<Value = OsString> {
    use std::os::unix::ffi::OsStringExt;
    let spelled: Vec<String> = switch::switches()
        .flat_map(|row| [row.slash.unwrap_or("--json").to_owned(), format!("--{}", row.long)])
        .collect();
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(OsString::from_vec),
        "[-/:\\\\a-zA-Z0-9.*=~@%]{0,12}".prop_map(OsString::from),
        (proptest::sample::select(spelled), "(|[:=][0-9a-zA-Z@/%-]{0,9})")
            .prop_map(|(head, value)| OsString::from(head + &value)),
        proptest::sample::select(command::SUBCOMMANDS.to_vec()).prop_map(OsString::from),
    ]
}

proptest! {
    #[test]
    fn any_command_line_is_read_or_refused(args in proptest::collection::vec(any_token(), 0..8)) {
        if let Err(error) = parse_args(&args) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
