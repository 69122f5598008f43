//! The invitations on file, and what a proof or a wrong try makes of them.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{
    super::exchange::{Channel, JoinRequest, Refusal, Verifier},
    InviteError,
};
use crate::{
    document::{Document, FORMAT_VERSION, timestamp},
    fingerprint::Fingerprint,
    permit::{Permits, Shares},
    store::Exposure,
};

/// How many wrong secrets void the open invitations.
pub const WRONG_TRIES_MAX: u8 = 5;

/// Most invitations on file, those that are over included.
pub const INVITATIONS_MAX: usize = 256;

/// How long past its expiry an invitation is remembered, so that whoever comes with its token
/// hears what became of it.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitationState {
    /// It waits for its holder.
    Open,
    /// A sender has joined with it.
    Used,
    /// Its time has passed.
    Expired,
    /// It was voided after [`WRONG_TRIES_MAX`] wrong tries.
    Burnt,
}

/// An invitation as the agent remembers it: without the secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Invitation {
    /// What has become of it.
    pub state: InvitationState,
    /// What who joins may do.
    pub permits: Permits,
    /// Where who joins may do so.
    pub shares: Shares,
    /// When it was made.
    #[serde(with = "timestamp")]
    pub created_at: SystemTime,
    /// From when on it does not work.
    #[serde(with = "timestamp")]
    pub expires_at: SystemTime,
    /// How many wrong secrets were tried while it was open.
    pub wrong_tries: u8,
    /// Who joined with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Fingerprint>,
    pub(super) verifier: Verifier,
}

/// What stands in the file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InvitationList {
    version: u32,
    #[serde(default, rename = "invitation")]
    pub(super) invitations: Vec<Invitation>,
}

impl Default for InvitationList {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, invitations: Vec::new() }
    }
}

impl Document for InvitationList {
    const FILE_NAME: &'static str = "invitations.toml";
    const HEADER: &'static str = "\
# The invitations of this agent. Written by `quicopy-agent invite`; not meant to be edited.
";
    const EXPOSURE: Exposure = Exposure::Secret;

    fn check(&self) -> Result<(), String> {
        if self.invitations.len() > INVITATIONS_MAX {
            return Err(format!("holds more than {INVITATIONS_MAX} invitations"));
        }
        let sane = |invitation: &Invitation| invitation.created_at <= invitation.expires_at;
        if self.invitations.iter().all(sane) {
            Ok(())
        } else {
            Err("an invitation expires before it was made".into())
        }
    }
}

impl InvitationList {
    pub(super) fn add(&mut self, invitation: Invitation) -> Result<(), InviteError> {
        self.forget(invitation.created_at);
        if self.invitations.len() >= INVITATIONS_MAX {
            self.invitations.retain(|other| other.state == InvitationState::Open);
        }
        if self.invitations.len() >= INVITATIONS_MAX {
            return Err(InviteError::Full);
        }
        self.invitations.push(invitation);
        Ok(())
    }

    pub(super) fn forget(&mut self, wall: SystemTime) {
        self.invitations.retain(|invitation| match invitation.state {
            InvitationState::Open => true,
            InvitationState::Used | InvitationState::Expired | InvitationState::Burnt => {
                wall < invitation.expires_at + REMEMBERED
            }
        });
    }

    pub(super) fn redeem(
        &mut self,
        wall: SystemTime,
        request: &JoinRequest,
        channel: &Channel,
    ) -> Result<Invitation, Refusal> {
        let proved = |other: &&mut Invitation| request.proves(&other.verifier, channel);
        let Some(invitation) = self.invitations.iter_mut().find(proved) else {
            self.count_wrong_try();
            return Err(Refusal::NotInvited);
        };
        match invitation.state {
            InvitationState::Open if wall >= invitation.created_at => {}
            InvitationState::Open | InvitationState::Expired => return Err(Refusal::Expired),
            InvitationState::Used => return Err(Refusal::Used),
            InvitationState::Burnt => return Err(Refusal::Burnt),
        }
        invitation.state = InvitationState::Used;
        invitation.used_by = Some(channel.sender);
        Ok(invitation.clone())
    }

    fn count_wrong_try(&mut self) {
        for invitation in &mut self.invitations {
            if invitation.state == InvitationState::Open {
                invitation.wrong_tries = invitation.wrong_tries.saturating_add(1);
                if invitation.wrong_tries >= WRONG_TRIES_MAX {
                    invitation.state = InvitationState::Burnt;
                }
            }
        }
    }
}

impl Serialize for Verifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blake3::Hash::from_bytes(*self.as_bytes()).to_hex())
    }
}

impl<'de> Deserialize<'de> for Verifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The cause would say which characters stand there.
        let hash = blake3::Hash::from_hex(text.as_bytes())
            .map_err(|_| de::Error::custom("a verifier has 64 hexadecimal digits"))?;
        Ok(Self::from_bytes(hash.into()))
    }
}
