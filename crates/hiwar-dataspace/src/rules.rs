//! Rules by which a connector answers without asking a person.
//!
//! Without a rule it decides: as provider it agrees when the request is for the offer that it
//! published and the policy permits, makes its offer again when the request differs, and ends the
//! negotiation when the policy forbids; as consumer it takes an offer that means what it asked for,
//! leaves any other to a person, and verifies an agreement that says what was offered.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::transfer::TransferStep;

/// What to do at one point of a negotiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Decide by offer and policy.
    #[default]
    Decide,
    /// Make an offer.
    Offer,
    /// Send the agreement.
    Agree,
    /// Take the offer.
    Accept,
    /// Send the offer back as a request.
    Counter,
    /// Verify the agreement.
    Verify,
    /// Close the negotiation.
    Finalize,
    /// End it.
    Terminate,
    /// Leave it to a person or to the other side.
    Wait,
}

/// A provider's answers about one dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProviderRule {
    /// To the first request.
    pub on_request: Reply,
    /// To a later one.
    pub on_counter: Reply,
    /// When its offer is acknowledged.
    pub after_offer: Reply,
    /// When the consumer takes the offer.
    pub on_accepted: Reply,
    /// When the consumer has verified the agreement.
    pub on_verified: Reply,
}

/// A consumer's answers about one dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConsumerRule {
    /// When its own request is acknowledged.
    pub on_idle: Reply,
    /// To an offer.
    pub on_offer: Reply,
    /// To the agreement.
    pub on_agreement: Reply,
}

/// A provider's steps in transfers under one agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ProviderSequence {
    /// One after the other.
    pub sequence: Vec<TransferStep>,
}

/// A consumer's steps in transfers under one agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConsumerSequence {
    /// After its own request was acknowledged.
    pub on_idle: Vec<TransferStep>,
    /// After the provider's first start.
    pub on_start: Vec<TransferStep>,
}

/// All rules of a connector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How long to wait before a step that nobody asked for, in milliseconds.
    pub pause_ms: i64,
    /// How long an access token of a pull is taken, in milliseconds; without end when absent.
    pub token_life_ms: Option<i64>,
    /// By dataset.
    pub provider: BTreeMap<String, ProviderRule>,
    /// By dataset.
    pub consumer: BTreeMap<String, ConsumerRule>,
    /// By agreement.
    pub provider_transfer: BTreeMap<String, ProviderSequence>,
    /// By agreement.
    pub consumer_transfer: BTreeMap<String, ConsumerSequence>,
}
