//! Listing the source to the agent.

use std::ops::ControlFlow;

use quicopy_engine::scan::{self, Scan, ScannedDir};
use quicopy_engine::send::Closed;
use quicopy_protocol::limits::{BATCH_BYTES_AIM, BATCH_ITEMS_MAX};
use quicopy_protocol::message::{Listing, ListingState, ScanEnd};

use super::attempt::Attempt;
use super::ending::End;
use super::offers::Offer;

impl Attempt<'_> {
    /// Lists the source, as far ahead as the agent's credit reaches.
    pub(super) fn scan(&self) {
        let policy = &self.setting.open.policy;
        let scan = Scan {
            source: &self.setting.source,
            filter: self.setting.filter,
            policy,
            stop: self.ending.over(),
        };
        let mut directories = 0;
        let result = scan.run(scan::threads(), &mut |scanned| {
            directories += 1;
            match self.list(scanned) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        match result {
            Ok(summary) if summary.end == scan::ScanEnd::Complete => {
                self.meter.scan_ended();
                let end = ScanEnd { directories };
                let _ = self.outlet.send(end.into());
            }
            Ok(_) => {}
            Err(failure) => {
                let reason = format!("{} : {}", failure.operation.label(), failure.reason);
                self.ending.give_up(End::SourceFailed(reason));
            }
        }
    }

    /// Lists one directory, in as many parts as it takes.
    fn list(&self, scanned: ScannedDir) -> Result<(), Closed> {
        let offer = self.offers.add(scanned);
        let Offer { id, scanned } = &*offer;
        let mut entries = scanned.entries.iter().map(|scanned| &scanned.entry).peekable();
        let mut is_first = true;
        loop {
            let mut part = Vec::new();
            let mut bytes = 0;
            while let Some(entry) = entries.next_if(|entry| {
                part.is_empty()
                    || (part.len() < BATCH_ITEMS_MAX
                        && bytes + entry.listed_bytes() <= BATCH_BYTES_AIM)
            }) {
                bytes += entry.listed_bytes();
                part.push(entry.clone());
            }
            let is_last = entries.peek().is_none();
            let state = match (&scanned.failure, is_last) {
                (_, false) => ListingState::More,
                (None, true) => ListingState::Complete,
                (Some(failure), true) => ListingState::Incomplete(failure.clone()),
            };
            let attributes = if is_first { scanned.attributes.clone() } else { Vec::new() };
            let (path, meta) = (scanned.path.clone(), scanned.meta);
            let listing = Listing { dir: *id, path, meta, attributes, entries: part, state };
            self.outlet.list(listing, is_first)?;
            if is_last {
                return Ok(());
            }
            is_first = false;
        }
    }
}
