//! What the agent says while a job runs: plans, wishes and outcomes, and what follows from each.

use std::time::Duration;

use quicopy_engine::scan::ScannedEntry;
use quicopy_engine::send::Lacking;
use quicopy_engine::source::Gone;
use quicopy_protocol::message::{Message, Outcomes, Plan};
use quicopy_protocol::meta::{EntryId, Kind};
use quicopy_protocol::path::RelPath;
use quicopy_protocol::verdict::{Action, OutcomeResult, Verdict};

use super::attempt::{Attempt, Books, Setting};
use super::ending::End;
use super::offers::Offer;
use crate::report::ReportEvent;

impl Attempt<'_> {
    /// Hears plans, wishes and outcomes, until the job is done.
    pub(super) fn listen(&self, books: &mut Books) -> End {
        let reporter = self.setting.reporter;
        while let Ok(message) = self.link.verdict_rx.recv_blocking() {
            if let Err(violation) = self.outlet.hear(&message) {
                return End::Refused(violation.refusal());
            }
            let tell = &mut |event| reporter.tell(event);
            match message {
                Message::Plan(plan) => {
                    if let Some(offer) = self.offers.find(plan.dir) {
                        self.plan(&offer, &plan, books);
                    }
                }
                Message::Extras(extras) => {
                    if let Some(offer) = self.offers.find(extras.dir) {
                        for extra in extras.entries {
                            books.accounts.extra(&offer.scanned.path, extra, tell);
                        }
                    }
                }
                Message::Want(want) => {
                    if let Some(file) = self.offers.file(want.entry) {
                        self.desk.ask(want.want, want.entry, file, want.basis);
                    }
                }
                Message::Lack(lack) => {
                    let answer = Lacking { runs: lack.runs, answered: lack.answered };
                    self.meter.answered(lack.want, &answer);
                    self.desk.answer(lack.want, answer);
                }
                Message::Cancel(cancel) => self.desk.cancel(cancel.want),
                Message::Outcomes(outcomes) => self.settle(outcomes, books),
                Message::Retrying(retrying) => {
                    books.accounts.retrying(retrying.entry);
                    if let Some(path) = self.offers.path(retrying.entry) {
                        let wait = Duration::from_secs(retrying.wait_seconds.into());
                        tell(ReportEvent::Retrying { failure: retrying.failure, path, wait });
                    }
                }
                Message::Notice(notice) => tell(ReportEvent::Notice(notice.text)),
                Message::JobDone(done) => {
                    for (path, scanned) in books.standing.take_all() {
                        self.remove(&path, &scanned, books);
                    }
                    books.accounts.done(&done, tell);
                    return End::Complete { held_back: done.guard.is_some() };
                }
                // The session lets nothing else pass on this lane.
                _ => {}
            }
        }
        self.end_of_link()
    }

    fn plan(&self, offer: &Offer, plan: &Plan, books: &mut Books) {
        let Setting { mover, resets_archive, reporter, .. } = self.setting;
        let Books { accounts, moved, .. } = books;
        let tell = &mut |event| reporter.tell(event);
        let found = accounts.plan(offer, plan, &mut |bytes| self.meter.planned(bytes), tell);
        if mover.empties() {
            moved.planned(&offer.scanned, &plan.state);
        }
        if mover.moves() || *resets_archive {
            let restamped =
                plan.verdicts.iter().filter(|verdict| verdict.action == Action::Restamp);
            let id = |verdict: &Verdict| EntryId { dir: plan.dir, index: verdict.index };
            books.unverified.extend(restamped.map(id));
        }
        for path in found {
            books.unfinished.remove(&path);
            if let Some(failure) = mover.spare() {
                accounts.other_failure(&failure, &path, tell);
            }
        }
    }

    fn settle(&self, outcomes: Outcomes, books: &mut Books) {
        let Setting { mover, resets_archive, relist, reporter, source, open, .. } = self.setting;
        let tell = &mut |event| reporter.tell(event);
        for outcome in &outcomes.entries {
            let Some(offer) = self.offers.find(outcome.entry.dir) else { continue };
            let dir = &offer.scanned.path;
            let Some(scanned) = offer.scanned.entries.get(outcome.entry.index as usize) else {
                continue;
            };
            let Ok(path) = dir.join(&scanned.entry.name) else { continue };
            self.meter.done(outcome.entry, scanned.entry.meta.size_bytes);
            let before = books.unfinished.remove(&path).unwrap_or_default();
            if self.rereading.end(&path) {
                books.accounts.retrying(outcome.entry);
            }
            let has_changed = self.desk.take_changed(outcome.entry);
            let mut relisted_after = None;
            if has_changed && matches!(outcome.result, OutcomeResult::Failed(_)) {
                books.changed_files += 1;
                relisted_after = relist.wait();
                if relist.is_under_way {
                    books.accounts.retrying(outcome.entry);
                }
            }
            books.accounts.outcome(&offer, outcome, before.sent_bytes, &mut |event| {
                tell(match (event, relisted_after) {
                    (ReportEvent::Error { failure, path, .. }, Some(wait)) => {
                        ReportEvent::Retrying { failure, path, wait }
                    }
                    (event, _) => event,
                });
            });
            match &outcome.result {
                // It would be copied: nothing is in place, and nothing may go for it.
                OutcomeResult::Done(_) if open.policy.list_only => {}
                OutcomeResult::Done(_) => {
                    if mover.empties() {
                        books.moved.copied(dir);
                    }
                    if books.unverified.remove(&outcome.entry) {
                        // Nobody has compared its content: it was not copied.
                        continue;
                    }
                    if mover.moves() && self.offers.has_other_name(&scanned.identity) {
                        books.standing.keep(path.clone(), scanned.clone());
                    } else {
                        self.remove(&path, scanned, books);
                    }
                    if *resets_archive
                        && !mover.moves()
                        && scanned.entry.kind == Kind::File
                        && let Err(failure) =
                            source.clear_archive(&path, &scanned.entry.meta, &scanned.identity)
                    {
                        books.accounts.other_failure(&failure, &path, tell);
                    }
                }
                OutcomeResult::Unchanged => {}
                OutcomeResult::Failed(_) => books.moved.failed(dir),
            }
        }
        for removal in outcomes.removals {
            books.accounts.removal(removal, tell);
        }
        self.offers.settle(outcomes.settled);
        let is_awaited = |scanned: &ScannedEntry| self.offers.has_name(&scanned.identity);
        for (path, scanned) in books.standing.take(is_awaited) {
            self.remove(&path, &scanned, books);
        }
    }

    /// Removes a file that was moved.
    fn remove(&self, path: &RelPath, scanned: &ScannedEntry, books: &mut Books) {
        let Setting { mover, reporter, source, .. } = self.setting;
        let tell = &mut |event| reporter.tell(event);
        match mover.remove(source, path, scanned) {
            Ok(Gone::Gone) => {}
            Ok(Gone::BehindLink) => {
                if let Some(notice) = books.standing.behind_link() {
                    tell(ReportEvent::Notice(notice.to_owned()));
                }
            }
            Err(failure) => books.accounts.other_failure(&failure, path, tell),
        }
    }

    /// Hears the control lane: pings, and a refusal to go on.
    pub(super) fn hear_control_lane(&self) {
        while let Ok(message) = self.link.control_rx.recv_blocking() {
            if let Err(violation) = self.outlet.hear(&message) {
                return self.ending.give_up(End::Refused(violation.refusal()));
            }
            match message {
                Message::Ping(ping) => drop(self.outlet.send(Message::Pong(ping))),
                Message::Refused(refused) => return self.ending.give_up(End::Refused(refused)),
                // The session lets nothing else pass that matters here.
                _ => {}
            }
        }
    }
}
