//! The state machine of a transfer process (DSP 2025-1, section 8.2), the same for both sides.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::negotiation::Role;

/// The state of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TransferState {
    /// The consumer has asked.
    Requested,
    /// The data can be had.
    Started,
    /// Paused by either side.
    Suspended,
    /// All is transferred. Final.
    Completed,
    /// Ended before it was complete. Final.
    Terminated,
}

impl TransferState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Requested, Self::Started, Self::Suspended, Self::Completed, Self::Terminated];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }
}

impl fmt::Display for TransferState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TransferState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// What a message of a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferStep {
    /// TransferRequestMessage.
    Request,
    /// TransferStartMessage.
    Start,
    /// TransferSuspensionMessage.
    Suspend,
    /// TransferCompletionMessage.
    Complete,
    /// TransferTerminationMessage.
    Terminate,
}

impl TransferStep {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Request, Self::Start, Self::Suspend, Self::Complete, Self::Terminate];

    /// The state it leads to.
    pub fn target(self) -> TransferState {
        match self {
            Self::Request => TransferState::Requested,
            Self::Start => TransferState::Started,
            Self::Suspend => TransferState::Suspended,
            Self::Complete => TransferState::Completed,
            Self::Terminate => TransferState::Terminated,
        }
    }

    /// The message's `@type`.
    pub fn message_type(self) -> &'static str {
        match self {
            Self::Request => "TransferRequestMessage",
            Self::Start => "TransferStartMessage",
            Self::Suspend => "TransferSuspensionMessage",
            Self::Complete => "TransferCompletionMessage",
            Self::Terminate => "TransferTerminationMessage",
        }
    }
}

/// A step that the protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {} may not send {} when the transfer is {}; {}", sender.as_str(), step.message_type(), state.map_or("not begun", TransferState::as_str), allowed(*sender, *state))]
pub struct NotAllowed {
    /// Who would send.
    pub sender: Role,
    /// What.
    pub step: TransferStep,
    /// In which state; none before the first message.
    pub state: Option<TransferState>,
}

fn allowed(sender: Role, state: Option<TransferState>) -> String {
    let steps: Vec<&str> = TransferStep::ALL
        .into_iter()
        .filter(|step| next(sender, state, *step).is_ok())
        .map(TransferStep::message_type)
        .collect();
    if steps.is_empty() { "nothing may follow".into() } else { format!("it may send {}", steps.join(" or ")) }
}

/// The state after `sender` sends `step` in `state` (`None` before the first message).
///
/// # Errors
/// [`NotAllowed`] when the protocol has no such transition.
pub fn next(
    sender: Role,
    state: Option<TransferState>,
    step: TransferStep,
) -> Result<TransferState, NotAllowed> {
    use Role::{Consumer, Provider};
    use TransferState as S;
    use TransferStep as T;
    let possible = match (sender, step, state) {
        (Consumer, T::Request, None)
        | (Provider, T::Start, Some(S::Requested))
        | (_, T::Start, Some(S::Suspended))
        | (_, T::Suspend | T::Complete, Some(S::Started)) => true,
        (_, T::Terminate, Some(s)) => !s.is_final(),
        _ => false,
    };
    if possible { Ok(step.target()) } else { Err(NotAllowed { sender, step, state }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_transitions_of_the_specification_are_possible() {
        use Role::{Consumer as C, Provider as P};
        use TransferState as S;
        use TransferStep as T;
        // DSP 2025-1, section 8.2.
        let both = |state, step| [(C, Some(state), step), (P, Some(state), step)];
        let mut listed = vec![(C, None, T::Request), (P, Some(S::Requested), T::Start)];
        for (state, step) in [
            (S::Requested, T::Terminate),
            (S::Started, T::Suspend),
            (S::Started, T::Complete),
            (S::Started, T::Terminate),
            (S::Suspended, T::Start),
            (S::Suspended, T::Terminate),
        ] {
            listed.extend(both(state, step));
        }
        let states = std::iter::once(None).chain(TransferState::ALL.into_iter().map(Some));
        for state in states {
            for sender in [C, P] {
                for step in TransferStep::ALL {
                    let possible = next(sender, state, step).is_ok();
                    assert_eq!(
                        possible,
                        listed.contains(&(sender, state, step)),
                        "{sender:?} {state:?} {step:?}"
                    );
                }
            }
        }
    }
}
