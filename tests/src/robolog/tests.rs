//! Samples of Robocopy's own logs.

use super::*;

const HEADER: &str = "
-------------------------------------------------------------------------------
   ROBOCOPY     ::     Robust File Copy for Windows                              
-------------------------------------------------------------------------------

  Started : Monday, April 21, 2025 2:25:51 PM
   Source : C:\\src\\
     Dest : D:\\dst\\

    Files : *.*
\t    
Exc Files : *.tmp
\t    *.bak
\t    
 Exc Dirs : .git
\t    node_modules
\t    
  Options : *.* /S /E /DCOPY:DA /COPY:DAT /PURGE /MIR /R:1000000 /W:30 

------------------------------------------------------------------------------

";

const LINES: &str = "\
\t                   2\tC:\\src\\
\t    New File  \t\t      39\ta.txt
100%\t    Newer     \t\t  18.0 m\tbig.iso
\t  *EXTRA File \t\t   12288\told.dll
\t         named\t\t      39\tC:\\src\\.git
\t    New File  \t\t    1091 2024/08/20 07:04:36\tC:\\src\\f.txt\t\t07:04 -> 07:05
\t  \t\t      15\tC:\\src\\new.txt
\t    New File  \t\t\tno size
\t  New Dir          0\tC:\\src\\empty\\
\t*EXTRA Dir        -1\tD:\\dst\\old\\
2025/04/21 14:25:52 ERROR 32 (0x00000020) Copying File C:\\src\\a.txt
The process cannot access the file because it is being used by another process.
Waiting 30 seconds... Retrying...
2025/04/21 14:26:22 ERROR 32 (0x00000020) Copying File C:\\src\\a.txt
The process cannot access the file because it is being used by another process.

ERROR: RETRY LIMIT EXCEEDED.

";

const SUMMARY: &str = "
------------------------------------------------------------------------------

               Total    Copied   Skipped  Mismatch    FAILED    Extras
    Dirs :         4         1         3         0         0         0
   Files :       101         0       101         0         0         0
   Bytes :  17.473 g  17.473 g         0         0         0    28.1 k
   Times :   0:01:21   0:01:21                       0:00:00   0:00:00


   Speed :           231122057 Bytes/sec.
   Speed :           13224.910 MegaBytes/min.
   Ended : Friday, March 9, 2018 5:48:54 AM

";

#[test]
fn a_header_is_read_by_its_columns() {
    let header = RoboLog::parse(HEADER).header;
    assert_eq!(header.started, "Monday, April 21, 2025 2:25:51 PM");
    assert_eq!(header.source.as_deref(), Some("C:\\src\\"));
    assert_eq!(header.destination.as_deref(), Some("D:\\dst\\"));
    assert_eq!(header.files, ["*.*"]);
    assert_eq!(header.exclude_files, ["*.tmp", "*.bak"]);
    assert_eq!(header.exclude_dirs, [".git", "node_modules"]);
    assert_eq!(header.options.len(), 9);
    assert_eq!(header.options[5], "/PURGE");
    let without = HEADER.replace("Source : C:\\src\\", "Source - ");
    assert_eq!(RoboLog::parse(&without).header.source, None);
}

#[test]
fn lines_are_told_by_their_tabs() {
    let log = RoboLog::parse(&format!("{HEADER}{LINES}"));
    let dirs: Vec<_> =
        log.directories.iter().map(|dir| (dir.label.as_str(), dir.count, dir.path.len())).collect();
    assert_eq!(dirs, [("", 2, 7), ("New Dir", 0, 13), ("*EXTRA Dir", -1, 11)]);
    let labels: Vec<_> = log.files.iter().map(|file| file.label.as_str()).collect();
    assert_eq!(labels, ["New File", "Newer", "*EXTRA File", "named", "New File", "", "New File"]);
    assert_eq!(log.files[1].size_bytes, Some(18 << 20));
    assert_eq!(log.files[4].time.as_deref(), Some("2024/08/20 07:04:36"));
    assert_eq!(log.files[4].arrival.as_deref(), Some("07:04 -> 07:05"));
    assert_eq!((log.files[4].size_bytes, log.files[6].size_bytes), (Some(1091), None));
    assert_eq!(log.labelled("New File"), ["a.txt", "C:\\src\\f.txt", "no size"]);
}

#[test]
fn an_error_has_a_reason_and_a_wait_or_an_end() {
    let log = RoboLog::parse(LINES);
    let [first, last] = &log.errors[..] else { panic!("{:?}", log.errors) };
    assert_eq!((first.code, first.retry_after, first.is_last), (32, Some(30), false));
    assert_eq!((last.code, last.retry_after, last.is_last), (32, None, true));
    assert_eq!(first.what, "Copying File C:\\src\\a.txt");
    assert!(first.reason.starts_with("The process cannot"));
    assert_eq!(log.fatal, [""; 0]);
}

#[test]
fn a_summary_is_read_by_the_places_of_its_lines() {
    let log = RoboLog::parse(&format!("{HEADER}{LINES}{SUMMARY}"));
    let summary = log.summary.clone().unwrap();
    assert_eq!((summary.dirs.total, summary.dirs.copied, summary.dirs.skipped), (4, 1, 3));
    assert!(summary.dirs.adds_up() && summary.files.adds_up() && summary.bytes.adds_up());
    assert_eq!(summary.bytes.extras, 28_774);
    assert_eq!((summary.times.copied, summary.times.failed), (81, 0));
    let speed = summary.speed.unwrap();
    assert_eq!((speed.bytes_per_second, speed.megabytes_per_minute), (231_122_057, 13_224.91));
    assert_eq!(summary.ended, "Friday, March 9, 2018 5:48:54 AM");
    assert_eq!((log.exit_code_by_table(), log.exit_code), (Some(0), None));

    let (table, _) = SUMMARY.split_once("\n\n\n   Speed").unwrap();
    let nothing = format!("{table}\n   Ended : now\n\n");
    assert_eq!(RoboLog::parse(&nothing).summary.unwrap().speed, None);
}

#[test]
fn anything_more_in_the_summary_would_mislead_its_readers() {
    for more in ["    Exit : 1 - files copied\n", "one line more\n"] {
        assert_eq!(RoboLog::parse(&format!("{SUMMARY}{more}")).summary, None);
    }
    assert_eq!(RoboLog::parse(&SUMMARY[..300]).summary, None);
}

#[test]
fn appended_logs_are_told_apart() {
    let one = format!("{HEADER}{LINES}{SUMMARY}");
    let logs = RoboLog::parse_all(&format!("{one}{one}"));
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0], RoboLog::parse(&one));
}

#[test]
fn wide_logs_have_one_mark() {
    assert_eq!(decode("ü\n".as_bytes()).unwrap(), "ü\n");
    assert_eq!(decode(b"\xff\xfea\0\r\0\n\0").unwrap(), "a\r\n");
    assert!(decode(b"\xff\xfea\0\xff\xfeb\0").unwrap_err().contains("second"));
    assert!(decode(b"\xff\xfea").unwrap_err().contains("half"));
}
