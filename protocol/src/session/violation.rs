//! What a side may not say: [`Violation`].

use crate::code::RefusalCode;
use crate::message::{Message, Refused};
use crate::version::Role;

use super::order::Phase;

/// A message that is not allowed where it stands. Ends the connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// The message does not belong to this phase, or not to this side.
    #[error("{message} from the {author} {phase}")]
    OutOfPlace {
        /// Who said it.
        author: Role,
        /// The message's name.
        message: &'static str,
        /// Where the conversation stands.
        phase: Phase,
    },
    /// The message contradicts what was said before it.
    #[error("{message} not allowed: {rule}")]
    Rule {
        /// The message's name.
        message: &'static str,
        /// What it breaks.
        rule: String,
    },
    /// The sides have no version in common.
    #[error("{}", .0.reason)]
    Incompatible(Refused),
}

impl Violation {
    pub(super) fn rule(message: &Message, rule: impl Into<String>) -> Self {
        Self::named(message.name(), rule)
    }

    pub(super) fn named(message: &'static str, rule: impl Into<String>) -> Self {
        Self::Rule { message, rule: rule.into() }
    }

    /// What the other side is told.
    pub fn refusal(&self) -> Refused {
        match self {
            Self::Incompatible(refused) => refused.clone(),
            Self::OutOfPlace { .. } | Self::Rule { .. } => {
                Refused::new(RefusalCode::Protocol, self.to_string())
            }
        }
    }
}
