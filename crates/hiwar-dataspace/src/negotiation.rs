//! The state machine of a contract negotiation (DSP 2025-1, section 7.2), the same for both sides.
//!
//! A side that sends a message changes its own state only when the other side has acknowledged it
//! (*push, then commit*); a side that receives one changes its state before it answers. So the one
//! who sends is never ahead of the one who receives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A participant's part in a negotiation or a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Wants the data.
    Consumer,
    /// Has the data.
    Provider,
}

impl Role {
    /// The other side's.
    pub fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Provider,
            Self::Provider => Self::Consumer,
        }
    }

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }
}

/// The state of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NegotiationState {
    /// The consumer has asked.
    Requested,
    /// The provider has made an offer.
    Offered,
    /// The consumer takes the offer.
    Accepted,
    /// The provider has sent the agreement.
    Agreed,
    /// The consumer has verified it.
    Verified,
    /// The agreement holds. Final.
    Finalized,
    /// Ended without an agreement. Final.
    Terminated,
}

impl NegotiationState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::Offered,
        Self::Accepted,
        Self::Agreed,
        Self::Verified,
        Self::Finalized,
        Self::Terminated,
    ];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }
}

impl fmt::Display for NegotiationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NegotiationState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// What a message of a negotiation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NegotiationStep {
    /// ContractRequestMessage.
    Request,
    /// ContractOfferMessage.
    Offer,
    /// ContractNegotiationEventMessage ACCEPTED.
    Accept,
    /// ContractAgreementMessage.
    Agree,
    /// ContractAgreementVerificationMessage.
    Verify,
    /// ContractNegotiationEventMessage FINALIZED.
    Finalize,
    /// ContractNegotiationTerminationMessage.
    Terminate,
}

impl NegotiationStep {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Offer,
        Self::Accept,
        Self::Agree,
        Self::Verify,
        Self::Finalize,
        Self::Terminate,
    ];

    /// The state it leads to.
    pub fn target(self) -> NegotiationState {
        match self {
            Self::Request => NegotiationState::Requested,
            Self::Offer => NegotiationState::Offered,
            Self::Accept => NegotiationState::Accepted,
            Self::Agree => NegotiationState::Agreed,
            Self::Verify => NegotiationState::Verified,
            Self::Finalize => NegotiationState::Finalized,
            Self::Terminate => NegotiationState::Terminated,
        }
    }

    /// The message's `@type`.
    pub fn message_type(self) -> &'static str {
        match self {
            Self::Request => "ContractRequestMessage",
            Self::Offer => "ContractOfferMessage",
            Self::Accept | Self::Finalize => "ContractNegotiationEventMessage",
            Self::Agree => "ContractAgreementMessage",
            Self::Verify => "ContractAgreementVerificationMessage",
            Self::Terminate => "ContractNegotiationTerminationMessage",
        }
    }
}

/// A step that the protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {} may not send {} when the negotiation is {}; {}", sender.as_str(), step.message_type(), shown_state(*state), allowed(*sender, *state))]
pub struct NotAllowed {
    /// Who would send.
    pub sender: Role,
    /// What.
    pub step: NegotiationStep,
    /// In which state; none before the first message.
    pub state: Option<NegotiationState>,
}

fn shown_state(state: Option<NegotiationState>) -> &'static str {
    state.map_or("not begun", NegotiationState::as_str)
}

fn allowed(sender: Role, state: Option<NegotiationState>) -> String {
    let steps: Vec<&str> = NegotiationStep::ALL
        .into_iter()
        .filter(|step| next(sender, state, *step).is_ok())
        .map(NegotiationStep::message_type)
        .collect();
    if steps.is_empty() { "nothing may follow".into() } else { format!("it may send {}", steps.join(" or ")) }
}

/// The state after `sender` sends `step` in `state` (`None` before the first message).
///
/// # Errors
/// [`NotAllowed`] when the protocol has no such transition.
pub fn next(
    sender: Role,
    state: Option<NegotiationState>,
    step: NegotiationStep,
) -> Result<NegotiationState, NotAllowed> {
    use NegotiationState as S;
    use NegotiationStep as T;
    use Role::{Consumer, Provider};
    let possible = match (sender, step, state) {
        (Consumer, T::Request, None | Some(S::Offered))
        | (Provider, T::Offer, None | Some(S::Requested))
        | (Consumer, T::Accept, Some(S::Offered))
        | (Provider, T::Agree, Some(S::Requested | S::Accepted))
        | (Consumer, T::Verify, Some(S::Agreed))
        | (Provider, T::Finalize, Some(S::Verified)) => true,
        // The diagram lets only the provider terminate in ACCEPTED and VERIFIED and only the consumer
        // in AGREED; the text lets either party at any point, and so do the other connectors.
        (_, T::Terminate, Some(s)) => !s.is_final(),
        _ => false,
    };
    if possible { Ok(step.target()) } else { Err(NotAllowed { sender, step, state }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every transition of the state machine of DSP 2025-1, section 7.2: sender, state, step. What is
    /// not listed is refused.
    const TRANSITIONS: &[(Role, Option<NegotiationState>, NegotiationStep)] = {
        use NegotiationState as S;
        use NegotiationStep as T;
        use Role::{Consumer as C, Provider as P};
        &[
            (C, None, T::Request),
            (P, None, T::Offer),
            (P, Some(S::Requested), T::Offer),
            (P, Some(S::Requested), T::Agree),
            (C, Some(S::Requested), T::Terminate),
            (P, Some(S::Requested), T::Terminate),
            (C, Some(S::Offered), T::Request),
            (C, Some(S::Offered), T::Accept),
            (C, Some(S::Offered), T::Terminate),
            (P, Some(S::Offered), T::Terminate),
            (P, Some(S::Accepted), T::Agree),
            (C, Some(S::Accepted), T::Terminate),
            (P, Some(S::Accepted), T::Terminate),
            (C, Some(S::Agreed), T::Verify),
            (C, Some(S::Agreed), T::Terminate),
            (P, Some(S::Agreed), T::Terminate),
            (P, Some(S::Verified), T::Finalize),
            (C, Some(S::Verified), T::Terminate),
            (P, Some(S::Verified), T::Terminate),
        ]
    };

    #[test]
    fn exactly_the_transitions_of_the_specification_are_possible() {
        let states = std::iter::once(None).chain(NegotiationState::ALL.into_iter().map(Some));
        for state in states {
            for sender in [Role::Consumer, Role::Provider] {
                for step in NegotiationStep::ALL {
                    let listed = TRANSITIONS.contains(&(sender, state, step));
                    assert_eq!(next(sender, state, step).is_ok(), listed, "{sender:?} {state:?} {step:?}");
                }
            }
        }
    }

    #[test]
    fn a_refused_step_says_what_would_be_taken() {
        let error =
            next(Role::Consumer, Some(NegotiationState::Requested), NegotiationStep::Verify).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a consumer may not send ContractAgreementVerificationMessage when the negotiation is REQUESTED; it may send ContractNegotiationTerminationMessage"
        );
    }
}
