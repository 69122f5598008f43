//! Pings under way, each way.

use std::collections::VecDeque;

use super::Violation;
use crate::limits::PINGS_MAX;
use crate::version::Role;

/// Numbers that wait for their answer, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Pings {
    by_sender: VecDeque<u64>,
    by_agent: VecDeque<u64>,
}

impl Pings {
    pub(super) fn ask(&mut self, author: Role, number: u64) -> Result<(), Violation> {
        let waiting = self.asked_by(author);
        if waiting.len() == PINGS_MAX {
            return Err(Violation::named("Ping", format!("{PINGS_MAX} wait for their answer")));
        }
        waiting.push_back(number);
        Ok(())
    }

    pub(super) fn answer(&mut self, author: Role, number: u64) -> Result<(), Violation> {
        match self.asked_by(author.peer()).pop_front() {
            Some(asked) if asked == number => Ok(()),
            Some(_) | None => Err(Violation::named("Pong", format!("{number} was not asked"))),
        }
    }

    fn asked_by(&mut self, role: Role) -> &mut VecDeque<u64> {
        match role {
            Role::Sender => &mut self.by_sender,
            Role::Agent => &mut self.by_agent,
        }
    }
}
