//! The beginning of an attempt: hello, the job, and what the agent says to that.

use quicopy_protocol::code::RefusalCode;
use quicopy_protocol::message::{Hello, JobOpened, Message, OpenJob, Refused};
use quicopy_protocol::options::Durability;

use super::attempt::{Attempt, Setting};
use super::ending::End;

impl Attempt<'_> {
    /// Says hello, asks for the job and begins to list, all at once, since each answer would cost a round trip; then hears the
    /// answers.
    pub(super) fn open(
        &self,
        hello: Hello,
        number: u32,
        scan: impl Fn(),
    ) -> Result<JobOpened, End> {
        let Setting { open, mover, .. } = self.setting;
        self.say(hello.into())?;
        self.say(OpenJob { attempt: number, ..open.clone() }.into())?;
        // A move depends on what the agent promises: nothing may begin before that is known.
        let waits = mover.moves() && !open.policy.list_only;
        if !waits {
            scan();
        }
        let opened = self.hear_opened()?;
        if waits {
            refuse_move(&opened)?;
            scan();
        }
        Ok(opened)
    }

    fn hear_opened(&self) -> Result<JobOpened, End> {
        match self.hear_control()? {
            Message::Hello(_) => {}
            message => return Err(unexpected(&message)),
        }
        match self.hear_control()? {
            Message::JobOpened(opened) => Ok(opened),
            message => Err(unexpected(&message)),
        }
    }

    fn say(&self, message: Message) -> Result<(), End> {
        self.outlet.send(message).map_err(|_| self.end_of_link())
    }

    /// The next control message that is not a ping.
    fn hear_control(&self) -> Result<Message, End> {
        loop {
            let message = match self.patiently(self.link.control_rx.recv()) {
                Some(Ok(message)) => message,
                Some(Err(_)) => return Err(self.end_of_link()),
                None => return Err(self.out_of_patience()),
            };
            self.outlet.hear(&message).map_err(|violation| End::Refused(violation.refusal()))?;
            match message {
                Message::Ping(ping) => self.say(Message::Pong(ping))?,
                Message::Refused(refused) => return Err(End::Refused(refused)),
                message => return Ok(message),
            }
        }
    }
}

/// Moves nothing to a destination that keeps no promise.
fn refuse_move(opened: &JobOpened) -> Result<(), End> {
    if opened.durability != Durability::None {
        return Ok(());
    }
    Err(End::Refused(Refused::new(
        RefusalCode::Unsupported,
        "/MOV and /MOVE delete sources once their copies are durable, and this destination makes nothing durable \
         (durability none); copy without them, or have the agent's durability changed; nothing was changed",
    )))
}

fn unexpected(message: &Message) -> End {
    End::protocol(format!("the agent answered with {}", message.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_moved_to_where_nothing_is_durable() {
        let refuses = |durability| {
            let opened = JobOpened {
                time_step_nanos: 1,
                conflicts_known: true,
                first_job: true,
                durability,
                trash_days: None,
            };
            refuse_move(&opened).is_err()
        };
        assert!(refuses(Durability::None));
        assert!(!refuses(Durability::Group));
        assert!(!refuses(Durability::File));
    }
}
