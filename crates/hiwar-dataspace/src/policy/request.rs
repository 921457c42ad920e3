//! What is known when a policy is evaluated.

use hiwar_trust::time::Timestamp;

use super::Action;

/// When a policy is evaluated. What a phase cannot know yet is not due in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Which offers are shown. Purpose and marking are not stated yet; a window may open later.
    Catalogue,
    /// Whether an agreement is made. A window may open later; nothing has been transferred yet.
    Negotiation,
    /// Whether a transfer starts.
    Transfer,
    /// Whether a transfer that has started goes on.
    Running,
}

/// A verified credential of a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// Its types, such as `MembershipCredential`.
    pub types: Vec<String>,
    /// Its claims as text: name (nested names joined by a full stop) and value.
    pub claims: Vec<(String, String)>,
}

/// What is known about who asks for the data. `None` is not known, which differs from not matching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// The participant identifier, a DID.
    pub id: Option<String>,
    /// The names of the node's own lists that it stands in. These are always known.
    pub groups: Vec<String>,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Its verified credentials; `None` when they have not been asked for.
    pub credentials: Option<Vec<Credential>>,
}

/// A request and all that is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// When it is evaluated.
    pub phase: Phase,
    /// What is asked for: `use` for the data themselves, `distribute` to pass them on.
    pub action: &'a Action,
    /// Who asks, or for `distribute` who would get the data.
    pub participant: &'a Participant,
    /// The purpose that was stated.
    pub purpose: Option<&'a str>,
    /// The TLP 2.0 label that the receiver said it keeps.
    pub accepted_marking: Option<&'a str>,
    /// The time of the request.
    pub now: Timestamp,
    /// When the agreement was made, once there is one.
    pub agreed_at: Option<Timestamp>,
    /// How many transfers were started under the agreement before this one.
    pub transfers_before: Option<u64>,
}

impl<'a> Request<'a> {
    /// A request for `use` of which nothing but who and when is known.
    pub fn new(phase: Phase, participant: &'a Participant, now: Timestamp) -> Self {
        Self {
            phase,
            action: &Action::Use,
            participant,
            purpose: None,
            accepted_marking: None,
            now,
            agreed_at: None,
            transfers_before: None,
        }
    }
}
