//! What the agent says to listings: plans, outcomes, the end.

use super::*;

#[test]
fn plans_come_in_order_for_what_is_listed_and_offered() {
    let agent = Role::Agent;
    let copy = |index| vec![verdict(index, Action::Copy)];
    let mut both = Both::running();
    both.refuses(agent, plan(0, &[]), "not listed")
        .sender(listing(0, "", &["-x", "a", "b"]))
        .sender(listing(1, "d", &[]))
        .refuses(agent, plan(1, &[]), "not the next")
        .refuses(agent, plan(0, &[3]), "not there")
        .refuses(agent, plan(0, &[u32::MAX]), "not there")
        .refuses(agent, plan(0, &[0]), "leaves out")
        .agent(plan_part(0, copy(1), false))
        .refuses(agent, plan_part(0, copy(1), true), "do not ascend")
        .refuses(agent, Extras { dir: DirId(0), entries: Vec::new() }, "not planned")
        .agent(plan_part(0, copy(2), true))
        .refuses(agent, plan(0, &[]), "not the next")
        .agent(Extras { dir: DirId(0), entries: Vec::new() })
        .agent(plan(1, &[]));
}

#[test]
fn nothing_is_extra_where_the_source_was_not_read_in_full() {
    let extra = ExtraEntry {
        path: path("x"),
        is_dir: false,
        size_bytes: 0,
        modified: Timestamp::default(),
        kept: None,
        conflict: false,
    };
    let mut both = Both::running();
    both.sender(part(0, "", &[], ListingState::Incomplete(denied()))).agent(plan(0, &[])).refuses(
        Role::Agent,
        Extras { dir: DirId(0), entries: vec![extra] },
        "not read in full",
    );
}

#[test]
fn outcomes_come_once_for_what_was_planned() {
    let agent = Role::Agent;
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b", "c"]))
        .agent(plan_part(0, vec![verdict(0, Action::Copy), verdict(1, Action::Fail)], true))
        .refuses(agent, outcomes(&[(0, 2)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 9)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(1, 0)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 1)], 0), "no such outcome is due")
        .refuses(agent, outcomes(&[(0, 0)], 1), "outcomes due")
        .agent(outcomes(&[(0, 0)], 0))
        .refuses(agent, outcomes(&[(0, 0)], 0), "no such outcome is due")
        .refuses(
            agent,
            Retrying { entry: at(0, 0), failure: denied(), wait_seconds: 1 },
            "done with",
        )
        .refuses(agent, want(0, 0, Basis::Nothing), "done with");
    let fails = Outcome { entry: at(0, 1), result: OutcomeResult::Failed(denied()) };
    both.agent(Outcomes { entries: vec![fails], removals: Vec::new(), settled: DirId(1) })
        .refuses(agent, settled(0), "out of range")
        .refuses(agent, settled(2), "out of range")
        .refuses(agent, want(0, 2, Basis::Nothing), "settled");
}

#[test]
fn only_a_job_that_purges_removes() {
    let removal = Removal { path: path("x"), is_dir: false, failure: None };
    let outcomes = || Outcomes { removals: vec![removal.clone()], ..settled(0) };
    Both::running().refuses(Role::Agent, outcomes(), "deletes nothing");
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { purge: true, ..JobPolicy::default() })).agent(opened());
    both.agent(outcomes());
}

#[test]
fn a_job_that_only_lists_wants_nothing_and_owes_no_outcomes() {
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { list_only: true, ..JobPolicy::default() }))
        .agent(opened())
        .sender(listing(0, "", &["a"]))
        .agent(plan(0, &[0]))
        .refuses(Role::Agent, want(0, 0, Basis::Nothing), "only lists")
        .agent(settled(1));
}

#[test]
fn a_job_that_only_lists_may_compare_content_and_then_owes_what_it_found() {
    let mut both = Both::until(Phase::Ready);
    both.sender(open_job(JobPolicy { list_only: true, ..JobPolicy::default() }))
        .agent(opened())
        .sender(listing(0, "", &["a", "b"]))
        .agent(plan_part(0, vec![verdict(0, Action::Check), verdict(1, Action::Copy)], true))
        .agent(want(0, 0, Basis::Digest))
        .refuses(Role::Sender, chunk(0, 0, 1), "more content")
        .sender(end(0, 100))
        .refuses(Role::Agent, settled(1), "outcomes due")
        .agent(Outcomes {
            entries: vec![Outcome { entry: at(0, 0), result: OutcomeResult::Unchanged }],
            ..settled(1)
        });
}

#[test]
fn content_stays_only_where_it_was_compared_or_fixed() {
    let stays = |index| Outcomes {
        entries: vec![Outcome { entry: at(0, index), result: OutcomeResult::Unchanged }],
        ..settled(0)
    };
    let actions = [Action::Copy, Action::Restamp, Action::Check, Action::Fix];
    let verdicts = (0..).zip(actions).map(|(index, action)| verdict(index, action));
    let mut both = Both::running();
    both.sender(listing(0, "", &["a", "b", "c", "d"]))
        .agent(plan_part(0, verdicts.collect(), true))
        .refuses(Role::Agent, stays(0), "no such outcome is due")
        .refuses(Role::Agent, stays(1), "no such outcome is due")
        .agent(stays(2))
        .refuses(Role::Agent, outcomes(&[(0, 3)], 0), "no such outcome is due")
        .agent(stays(3));
}

#[test]
fn a_job_is_done_when_all_is_settled_and_no_wish_is_open() {
    let agent = Role::Agent;
    let mut both = Both::copying();
    both.sender(ScanEnd { directories: 1 })
        .refuses(agent, done(0), "not settled")
        .agent(want(0, 0, Basis::Nothing))
        .agent(outcomes(&[(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)], 1))
        .refuses(agent, done(0), "wishes are open")
        .sender(failed(0, 0))
        .refuses(agent, done(1), "last directory is 0")
        .refuses(agent, done(u64::MAX), "last directory is 0")
        .refuses(Role::Sender, Goodbye { complete: true }, "only then")
        .agent(done(0))
        .refuses(Role::Sender, Goodbye { complete: false }, "only then")
        .sender(Goodbye { complete: true });
}
