//! Messages of a transfer process (DSP 2025-1, section 8).

use serde::Serialize;
use serde_json::Value;

use super::address::DataAddress;
use super::read::{Members, WireError, shown};
use super::{Context, Message, reasons};
use crate::transfer::TransferState;

/// A consumer asks for the data of an agreement.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferRequestMessage", rename_all = "camelCase")]
pub struct TransferRequest {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The consumer's identifier of the transfer.
    pub consumer_pid: String,
    /// The agreement it stands on.
    pub agreement_id: String,
    /// The distribution's format, such as `HttpData-PULL`.
    pub format: String,
    /// Where the provider pushes to; only for a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_address: Option<DataAddress>,
    /// Where the consumer answers.
    pub callback_address: String,
    /// The purpose that the consumer states. An addition of ours; others do not read it.
    #[serde(rename = "hiwar:purpose", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The marking that the consumer accepts. An addition of ours.
    #[serde(rename = "hiwar:marking", skip_serializing_if = "Option::is_none")]
    pub marking: Option<String>,
}

/// The data can be had, or again after a suspension.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferStartMessage", rename_all = "camelCase")]
pub struct StartMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the transfer.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Where the data can be pulled; from the provider only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_address: Option<DataAddress>,
}

/// One side says that all is transferred.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferCompletionMessage", rename_all = "camelCase")]
pub struct CompletionMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the transfer.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
}

/// One side pauses the transfer.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferSuspensionMessage", rename_all = "camelCase")]
pub struct SuspensionMessage {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the transfer.
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

/// One side ends the transfer before it is complete.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferTerminationMessage", rename_all = "camelCase")]
pub struct TransferTermination {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The message's own identifier.
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider's identifier of the transfer.
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

/// The state of a transfer, as an answer.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferProcess", rename_all = "camelCase")]
pub struct TransferStatus {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The provider's identifier of the transfer.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Its state.
    pub state: TransferState,
}

/// Why a request about a transfer is refused.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "TransferError", rename_all = "camelCase")]
pub struct TransferError {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// The provider's identifier of the transfer.
    pub provider_pid: String,
    /// The consumer's.
    pub consumer_pid: String,
    /// Why, for machines.
    pub code: String,
    /// Why, for people.
    pub reason: Vec<String>,
}

fn address(members: &Members<'_>) -> Result<Option<DataAddress>, WireError> {
    members.get("dataAddress").map(DataAddress::from_value).transpose()
}

impl Message for TransferRequest {
    const TYPE: &'static str = "TransferRequestMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            consumer_pid: members.text("consumerPid")?,
            agreement_id: members.text("agreementId")?,
            format: members.text("format")?,
            data_address: address(&members)?,
            callback_address: members.text("callbackAddress")?,
            purpose: members.optional_text("purpose")?,
            marking: members.optional_text("marking")?,
        })
    }
}

impl Message for StartMessage {
    const TYPE: &'static str = "TransferStartMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        Ok(Self {
            context: Context,
            id: members.optional_text("@id")?,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            data_address: address(&members)?,
        })
    }
}

impl Message for CompletionMessage {
    const TYPE: &'static str = "TransferCompletionMessage";

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

impl Message for SuspensionMessage {
    const TYPE: &'static str = "TransferSuspensionMessage";

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

impl Message for TransferTermination {
    const TYPE: &'static str = "TransferTerminationMessage";

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

impl Message for TransferStatus {
    const TYPE: &'static str = "TransferProcess";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        let state = members.text("state")?;
        Ok(Self {
            context: Context,
            provider_pid: members.text("providerPid")?,
            consumer_pid: members.text("consumerPid")?,
            state: super::read::local_name(&state).parse().map_err(|()| {
                WireError::new("state", format!("{:?} is no state of a transfer", shown(&state)))
            })?,
        })
    }
}
