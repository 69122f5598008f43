//! Switches for job files, and for the program around the job.

use std::ffi::OsStr;

use super::raw::Saved;
use super::switch::{BadValue, Group, Switch};
use crate::job_file::CodePage;

/// Long names of the rows that are more than a setting.
pub(crate) mod longs {
    pub(crate) const JOB: &str = "job";
    pub(crate) const JOB_ENCODING: &str = "job-encoding";
    pub(crate) const NO_SOURCE: &str = "no-source-dir";
    pub(crate) const NO_DESTINATION: &str = "no-dest-dir";
    pub(crate) const QUIT: &str = "quit";
    pub(crate) const SAVE: &str = "save";
    pub(crate) const SOURCE: &str = "source-dir";
    pub(crate) const DESTINATION: &str = "dest-dir";
    /// What a job file does not take over from the command line: it has the folders in a place of its own.
    pub(crate) const UNSAVED: [&str; 8] =
        [JOB, JOB_ENCODING, NO_SOURCE, NO_DESTINATION, QUIT, SAVE, SOURCE, DESTINATION];
}

pub(super) const GROUP: Group = Group {
    title: "Job",
    rows: &[
        Switch::value(
            "/JOB",
            "NAME",
            longs::JOB,
            "Read more switches from the job file NAME, or NAME.RCJ",
            |raw, value| {
                raw.job_files.push(name(value)?.into());
                Ok(())
            },
        ),
        Switch::value(
            "/SAVE",
            "NAME",
            longs::SAVE,
            "Save the switches before this one as the job file NAME.RCJ",
            |raw, value| {
                let path = name(value)?.into();
                let given = raw.given.clone();
                let (source, destination) = (raw.source.clone(), raw.destination.clone());
                raw.saves.push(Saved { path, source, destination, given });
                Ok(())
            },
        ),
        Switch::flag("/QUIT", longs::QUIT, "Show the job, save it, and do nothing", |raw| {
            raw.quit = true;
        }),
        Switch::flag(
            "/NOSD",
            longs::NO_SOURCE,
            "No SOURCE stands here: it comes with another job file, or is to be added",
            |_| {},
        ),
        Switch::flag(
            "/NODD",
            longs::NO_DESTINATION,
            "No DESTINATION stands here, likewise",
            |_| {},
        ),
        Switch::value(
            "/SD",
            "PATH",
            longs::SOURCE,
            "SOURCE, as job files have it",
            |raw, value| {
                raw.source = Some(name(value)?.to_owned());
                Ok(())
            },
        ),
        Switch::value(
            "/DD",
            "PATH",
            longs::DESTINATION,
            "DESTINATION, as job files have it",
            |raw, value| {
                raw.destination = Some(name(value)?.to_owned());
                Ok(())
            },
        ),
        Switch::value(
            "",
            "CODEPAGE",
            longs::JOB_ENCODING,
            "Code page of job files that are not in Unicode, before /JOB: CP437, CP850 or CP1252",
            |_, value| match CodePage::parse(value) {
                Some(_) => Ok(()),
                None => Err(BadValue::new("one of CP437, CP850, CP1252")),
            },
        )
        .or("CP850")
        .long_only(),
        Switch::value(
            "",
            "DIR",
            "state-dir",
            "Keep configuration, identity, trust and history under DIR, as QUICOPY_HOME does",
            |raw, value| {
                raw.state_dir = Some(name(value)?.into());
                Ok(())
            },
        )
        .long_only(),
    ],
};

fn name(value: &OsStr) -> Result<&OsStr, BadValue> {
    if value.is_empty() { Err(BadValue::new("a name")) } else { Ok(value) }
}
