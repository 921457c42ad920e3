//! The state machines once more, written from the text of DSP 2025-1 (sections 7.2 and 8.2) and not
//! from the connector's code: who may send what in which state, and where it leads.

use hiwar_dataspace::negotiation::{NegotiationState, NegotiationStep, Role};
use hiwar_dataspace::transfer::{TransferState, TransferStep};

/// The state after a step of a negotiation; none when the protocol has no such transition. The diagram
/// lets fewer parties terminate in some states; the text lets either at any point, and it is followed.
pub(crate) fn negotiation(
    from: Option<NegotiationState>,
    by: Role,
    step: NegotiationStep,
) -> Option<NegotiationState> {
    use NegotiationState::{Accepted, Agreed, Finalized, Offered, Requested, Terminated, Verified};
    let consumer = by == Role::Consumer;
    match from {
        None if consumer => (step == NegotiationStep::Request).then_some(Requested),
        None => (step == NegotiationStep::Offer).then_some(Offered),
        Some(Finalized | Terminated) => None,
        Some(_) if step == NegotiationStep::Terminate => Some(Terminated),
        Some(Requested) if !consumer && step == NegotiationStep::Offer => Some(Offered),
        Some(Requested | Accepted) if !consumer && step == NegotiationStep::Agree => Some(Agreed),
        Some(Offered) if consumer && step == NegotiationStep::Request => Some(Requested),
        Some(Offered) if consumer && step == NegotiationStep::Accept => Some(Accepted),
        Some(Agreed) if consumer && step == NegotiationStep::Verify => Some(Verified),
        Some(Verified) if !consumer && step == NegotiationStep::Finalize => Some(Finalized),
        Some(_) => None,
    }
}

/// The state after a step of a transfer; none when the protocol has no such transition.
pub(crate) fn transfer(from: Option<TransferState>, by: Role, step: TransferStep) -> Option<TransferState> {
    use TransferState::{Completed, Requested, Started, Suspended, Terminated};
    match (from, step) {
        (None, TransferStep::Request) if by == Role::Consumer => Some(Requested),
        (Some(Requested), TransferStep::Start) if by == Role::Provider => Some(Started),
        (Some(Suspended), TransferStep::Start) => Some(Started),
        (Some(Started), TransferStep::Suspend) => Some(Suspended),
        (Some(Started), TransferStep::Complete) => Some(Completed),
        (Some(Requested | Started | Suspended), TransferStep::Terminate) => Some(Terminated),
        _ => None,
    }
}
