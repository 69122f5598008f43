//! Robocopy's order in a directory: its own line, then what only the destination has, then files by name.

use std::mem;

use quicopy_protocol::path::RelPath;

use super::event::{FileVerdict, ReportEvent};

/// Lines that wait for what stands above them, in bytes. More do not wait: a directory of millions of files is told as it comes.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Brings the lines of a directory into Robocopy's order.
///
/// The agent compares a directory before it looks at what else is there, so that its files are told before its extras. Their
/// lines wait here until the next event that is neither, a fraction of a second as long as a job is under way.
#[derive(Debug, Default)]
pub(super) struct DirectoryOrder {
    files: Vec<(RelPath, String)>,
    waiting_bytes: usize,
}

impl DirectoryOrder {
    /// Takes an event and its lines, and gives the lines that are due.
    pub(super) fn pass(&mut self, event: &ReportEvent, lines: String) -> String {
        match event {
            ReportEvent::File(FileVerdict { path, .. })
            | ReportEvent::Skipped { path, is_dir: false, .. } => {
                if !lines.is_empty() {
                    self.waiting_bytes += lines.len();
                    self.files.push((path.clone(), lines));
                }
                if self.waiting_bytes < WAITING_BYTES_MAX { String::new() } else { self.drain() }
            }
            ReportEvent::Extra(_)
            | ReportEvent::Skipped { is_dir: true, .. }
            | ReportEvent::Copied { .. } => lines,
            ReportEvent::Started { .. }
            | ReportEvent::Directory { .. }
            | ReportEvent::Error { .. }
            | ReportEvent::Retrying { .. }
            | ReportEvent::Reconnecting { .. }
            | ReportEvent::Removed(_)
            | ReportEvent::Notice(_)
            | ReportEvent::Fatal(_)
            | ReportEvent::Progress(_)
            | ReportEvent::Paused { .. }
            | ReportEvent::Finished { .. }
            | ReportEvent::Monitoring { .. }
            | ReportEvent::Watched { .. }
            | ReportEvent::MonitorEnded { .. } => self.drain() + &lines,
        }
    }

    fn drain(&mut self) -> String {
        let mut files = mem::take(&mut self.files);
        self.waiting_bytes = 0;
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        files.into_iter().map(|(_, lines)| lines).collect()
    }
}
