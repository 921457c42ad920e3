//! Messages of a contract negotiation (DSP 2025-1, section 7).

use serde::Serialize;
use serde_json::Value;

use super::read::{Members, WireError, shown};
use super::{Context, Message, reasons};
use crate::ledger::Statement;
use crate::negotiation::NegotiationState;
use crate::policy::{Agreement, MessageOffer};

/// A consumer asks for a contract: the first message, or its answer to an offer.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractRequestMessage", rename_all = "camelCase")]
pub struct RequestMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The consumer's identifier of the negotiation.
    pub consumer_pid: String,
    /// The provider's; absent in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_pid: Option<String>,
    /// What is asked for.
    pub offer: MessageOffer,
    /// Where the consumer answers; only in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_address: Option<String>,
    /// The purpose that the consumer states, empty when it states none. An addition of ours; others do
    /// neither write nor read it.
    #[serde(rename = "hiwar:purpose", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The marking that the consumer accepts. An addition of ours.
    #[serde(rename = "hiwar:marking", skip_serializing_if = "Option::is_none")]
    pub marking: Option<String>,
}

impl RequestMessage {
    /// What the consumer states.
    pub fn statement(&self) -> Statement {
        let stated = |said: &Option<String>| said.clone().filter(|text| !text.is_empty());
        Statement {
            purpose: stated(&self.purpose),
            marking: stated(&self.marking),
            wordless: self.purpose.is_none() && self.marking.is_none(),
            implied: false,
        }
    }
}

/// A provider makes an offer: the first message, or its answer to a request.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractOfferMessage", rename_all = "camelCase")]
pub struct OfferMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's; absent in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_pid: Option<String>,
    /// What is offered.
    pub offer: MessageOffer,
    /// Where the provider answers; only in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_address: Option<String>,
}

/// A provider agrees.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractAgreementMessage", rename_all = "camelCase")]
pub struct AgreementMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// What is agreed.
    pub agreement: Agreement,
}

/// A consumer says that it has verified the agreement.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractAgreementVerificationMessage", rename_all = "camelCase")]
pub struct VerificationMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
}

/// What a [`EventMessage`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// The consumer takes the offer.
    Accepted,
    /// The provider has closed the negotiation; the agreement holds.
    Finalized,
}

/// One side tells the other of a step that needs no content.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractNegotiationEventMessage", rename_all = "camelCase")]
pub struct EventMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// The step.
    pub event_type: EventType,
}

/// One side ends the negotiation.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractNegotiationTerminationMessage", rename_all = "camelCase")]
pub struct NegotiationTermination {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Why, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for people: strings or objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason: Vec<Value>,
}

/// The state of a negotiation, as an answer.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractNegotiation", rename_all = "camelCase")]
pub struct NegotiationStatus {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Its state.
    pub state: NegotiationState,
}

/// Why a request about a negotiation is refused.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "ContractNegotiationError", rename_all = "camelCase")]
pub struct NegotiationError {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The provider's identifier of the negotiation.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Why, for machines.
    pub code: String,
    /// Why, for people.
    pub reason: Vec<String>,
}

/// Of two members exactly one must be there.
fn exactly_one(members: &Members<'_>, one: &'static str, other: &'static str) -> Result<(), WireError> {
    match (members.get(one).is_some(), members.get(other).is_some()) {
        (true, true) => Err(WireError::new(
            other,
            format!(
                "{one} and {other} are both there; the first message has only {one}, the next only {other}"
            ),
        )),
        (false, false) => {
            Err(WireError::new(one, format!("neither {one} nor {other} is there; one is required")))
        }
        _ => Ok(()),
    }
}

/// What is stated; an empty text says that nothing is.
fn stated(members: &Members<'_>, name: &'static str) -> Result<Option<String>, WireError> {
    match members.get(name) {
        Some(Value::String(text)) if text.is_empty() => Ok(Some(String::new())),
        _ => members.optional_text(name),
    }
}

fn offer(members: &Members<'_>) -> Result<MessageOffer, WireError> {
    let offer = MessageOffer::from_value(members.one("offer")?.clone())
        .map_err(|e| WireError::of_policy("offer", &e))?;
    if offer.target.as_ref().is_some_and(String::is_empty) {
        return Err(WireError::new("offer.target", "it is empty; name the dataset"));
    }
    Ok(offer)
}

impl Message for RequestMessage {
    const TYPE: &'static str = "ContractRequestMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        exactly_one(&members, "callbackAddress", "providerPid")?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            consumer_pid: members.text("consumerPid")?,
            provider_pid: members.optional_text("providerPid")?,
            offer: offer(&members)?,
            callback_address: members.optional_text("callbackAddress")?,
            purpose: stated(&members, "purpose")?,
            marking: stated(&members, "marking")?,
        })
    }
}

impl Message for OfferMessage {
    const TYPE: &'static str = "ContractOfferMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        exactly_one(&members, "callbackAddress", "consumerPid")?;
        let offer = offer(&members)?;
        if offer.target.is_none() {
            return Err(WireError::new("offer.target", "it is missing; name the dataset that is offered"));
        }
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.optional_text("consumerPid")?,
            offer,
            callback_address: members.optional_text("callbackAddress")?,
        })
    }
}

impl Message for AgreementMessage {
    const TYPE: &'static str = "ContractAgreementMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        let agreement = Agreement::from_value(members.one("agreement")?.clone())
            .map_err(|e| WireError::of_policy("agreement", &e))?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            agreement,
        })
    }
}

impl Message for VerificationMessage {
    const TYPE: &'static str = "ContractAgreementVerificationMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
        })
    }
}

impl Message for EventMessage {
    const TYPE: &'static str = "ContractNegotiationEventMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        let event = members.text("eventType")?;
        let event_type = match super::read::local_name(&event) {
            "ACCEPTED" => EventType::Accepted,
            "FINALIZED" => EventType::Finalized,
            other => {
                let problem = format!("it is {:?}; write ACCEPTED or FINALIZED", shown(other));
                return Err(WireError::new("eventType", problem));
            }
        };
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            event_type,
        })
    }
}

impl Message for NegotiationTermination {
    const TYPE: &'static str = "ContractNegotiationTerminationMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            code: members.optional_text("code")?,
            reason: reasons(&members),
        })
    }
}

impl Message for NegotiationStatus {
    const TYPE: &'static str = "ContractNegotiation";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        let state = members.text("state")?;
        Ok(Self {
            context: Context,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            state: super::read::local_name(&state).parse().map_err(|()| {
                WireError::new("state", format!("{:?} is no state of a negotiation", shown(&state)))
            })?,
        })
    }
}
