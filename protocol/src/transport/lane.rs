//! The byte that begins every stream and says what travels on it.

use crate::message::Lane;

/// What a stream carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StreamKind {
    /// One lane of a job.
    Lane(Lane),
    /// The dialogue of a pairing.
    Pairing,
}

impl StreamKind {
    /// The byte. Given by hand, never reused.
    pub(super) fn to_wire(self) -> u8 {
        match self {
            Self::Lane(Lane::Control) => 1,
            Self::Lane(Lane::Listing) => 2,
            Self::Lane(Lane::Content) => 3,
            Self::Lane(Lane::Verdict) => 4,
            Self::Pairing => 16,
        }
    }

    /// Reads the byte.
    pub(super) fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Lane(Lane::Control)),
            2 => Some(Self::Lane(Lane::Listing)),
            3 => Some(Self::Lane(Lane::Content)),
            4 => Some(Self::Lane(Lane::Verdict)),
            16 => Some(Self::Pairing),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_comes_back_from_its_byte() {
        for byte in 0..=u8::MAX {
            if let Some(kind) = StreamKind::from_wire(byte) {
                assert_eq!(kind.to_wire(), byte);
            }
        }
    }
}
