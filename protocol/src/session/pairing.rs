//! The turns of a pairing: request, reply, request, reply.

use super::Violation;
use crate::message::Message;

/// Turns that a pairing may take. Source: the exchange of certificates and its confirmation need two.
const TURNS_MAX: u32 = 4;

/// One connection made for pairing, as either side sees it. What is said in the turns is not this crate's affair.
#[derive(Clone, Debug, Default)]
pub struct PairingSession {
    requests: u32,
    replies: u32,
}

impl PairingSession {
    /// A connection on which nothing was said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a message, sent or received.
    ///
    /// # Errors
    /// It is not that side's turn, there were too many turns, or the message belongs to no pairing.
    pub fn handle(&mut self, message: &Message) -> Result<(), Violation> {
        let is_asked = self.requests > self.replies;
        match message {
            Message::PairRequest(_) if !is_asked && self.requests < TURNS_MAX => self.requests += 1,
            Message::PairReply(_) if is_asked => self.replies += 1,
            _ => return Err(Violation::rule(message, "a pairing is requests and replies in turn")),
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::samples;
    use crate::message::{PairReply, PairRequest};

    #[test]
    fn sides_take_turns_and_end() {
        let request = Message::from(PairRequest { body: "a".into() });
        let reply = Message::from(PairReply { body: "b".into() });
        let mut session = PairingSession::new();
        assert!(session.handle(&reply).is_err());
        for _ in 0..TURNS_MAX {
            session.handle(&request).unwrap();
            assert!(session.handle(&request).is_err());
            session.handle(&reply).unwrap();
            assert!(session.handle(&reply).is_err());
        }
        assert!(session.handle(&request).is_err());
    }

    #[test]
    fn nothing_of_a_job_belongs_to_a_pairing() {
        for message in samples::one_of_each() {
            let pairs = matches!(message, Message::PairRequest(_));
            assert_eq!(PairingSession::new().handle(&message).is_ok(), pairs, "{}", message.name());
        }
    }
}
