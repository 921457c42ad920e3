//! What a connector keeps: negotiations, transfers, agreements, and how they are kept.

use std::collections::BTreeMap;

use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::Dataset;
use crate::negotiation::{NegotiationState, NegotiationStep, Role};
use crate::policy::{Agreement, LeftOperand, MessageOffer, Policy};
use crate::transfer::{TransferState, TransferStep};
use crate::wire::DataAddress;

/// A message that waits for the other side's acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing<S> {
    /// What it does.
    pub step: S,
    /// Its own identifier; the same in every attempt.
    pub id: String,
    /// Where it goes, below the other side's address.
    pub path: String,
    /// The message, byte for byte the same in every attempt.
    pub body: String,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// Of them, how many the other side refused or answered with 404.
    #[serde(default)]
    pub refusals: u32,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// Why the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A step that this side will take by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled<S> {
    /// What.
    pub step: S,
    /// When.
    pub due: Timestamp,
    /// Why, when it ends the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// For machines.
    pub code: String,
    /// For people.
    pub reasons: Vec<String>,
}

impl Why {
    /// One reason.
    pub fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reasons: vec![reason.into()] }
    }
}

/// The end of a process before its goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Who ended it.
    pub by: Role,
    /// Why.
    pub why: Why,
    /// When.
    pub at: Timestamp,
}

/// What a consumer states of the use it wants to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The marking it accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marking: Option<String>,
    /// Whether the consumer's connector has no words for either, as the protocol has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wordless: bool,
    /// Whether it was stated by accepting an offer whose terms name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied: bool,
}

impl Statement {
    /// A consumer without words for it states the purpose and the marking that the terms name by
    /// accepting them. What it has stated is left as it is.
    pub(crate) fn fill_from(&mut self, policy: &Policy) {
        if !self.wordless {
            return;
        }
        if self.purpose.is_none() {
            self.purpose = policy.named(&LeftOperand::Purpose);
            self.implied |= self.purpose.is_some();
        }
        if self.marking.is_none() {
            self.marking = policy.named(&LeftOperand::Marking);
            self.implied |= self.marking.is_some();
        }
    }
}

/// A step taken, for the history of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken<S> {
    /// When this side knew of it.
    pub at: Timestamp,
    /// By whom.
    pub by: Role,
    /// What.
    pub step: S,
}

/// What negotiations and transfers have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process<S> {
    /// This side's identifier of it.
    pub pid: String,
    /// This side's part.
    pub role: Role,
    /// The other participant.
    pub counterparty: String,
    /// The other side's identifier, once it is known.
    pub peer_pid: Option<String>,
    /// The other side's address; messages go below it.
    pub address: String,
    /// The message that is being delivered.
    pub pending: Option<Outgoing<S>>,
    /// The step that will be taken next without anyone asking.
    pub scheduled: Option<Scheduled<S>>,
    /// Digests of the messages taken, so that a repetition changes nothing.
    pub taken: Vec<Hash>,
    /// Everything that happened.
    pub history: Vec<Taken<S>>,
    /// How it ended, when it did not reach its goal.
    pub ending: Option<Ending>,
    /// Why nothing is being delivered although something should be.
    pub stuck: Option<String>,
    /// When it began.
    pub created: Timestamp,
    /// When it last changed.
    pub changed: Timestamp,
}

impl<S> Process<S> {
    /// When something has to be done for it.
    pub fn due(&self) -> Option<Timestamp> {
        let pending = self.pending.as_ref().map(|p| p.due);
        pending.into_iter().chain(self.scheduled.as_ref().map(|s| s.due)).min()
    }

    /// The identifiers as messages name them: the provider's, then the consumer's.
    pub fn pids(&self) -> (String, String) {
        let peer = self.peer_pid.clone().unwrap_or_default();
        match self.role {
            Role::Provider => (self.pid.clone(), peer),
            Role::Consumer => (peer, self.pid.clone()),
        }
    }
}

/// A negotiation as this side knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Negotiation {
    /// Its course.
    pub process: Process<NegotiationStep>,
    /// Its state; none until the first message is acknowledged.
    pub state: Option<NegotiationState>,
    /// The dataset it is about.
    pub dataset: String,
    /// The offer on the table.
    pub offer: MessageOffer,
    /// What this side last asked for as consumer.
    pub asked: Option<MessageOffer>,
    /// What the consumer states.
    pub statement: Statement,
    /// The agreement, from when it is sent or received.
    pub agreement: Option<Agreement>,
    /// The decision of the policy when it was last asked, for people.
    pub decision: Option<serde_json::Value>,
}

/// A transfer as this side knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its course.
    pub process: Process<TransferStep>,
    /// Its state; none until the first message is acknowledged.
    pub state: Option<TransferState>,
    /// The agreement it stands on.
    pub agreement: String,
    /// The dataset.
    pub dataset: String,
    /// The format asked for.
    pub format: String,
    /// What the consumer states.
    pub statement: Statement,
    /// Where the data is: given by the provider for a pull, by the consumer for a push.
    pub address: Option<DataAddress>,
    /// SHA-256 of the access token that a provider gave out, in hexadecimal.
    pub token: Option<String>,
    /// When that token is not taken any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires: Option<Timestamp>,
    /// SHA-256 of the token that asks for a new one, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// Until when the policy permits it, as far as that is known.
    pub permitted_until: Option<Timestamp>,
    /// Steps still to be taken by rule.
    pub sequence: Vec<TransferStep>,
    /// What was transferred.
    pub content: Option<Content>,
    /// At a consumer: by when the terms want the data deleted, and what was done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The decision of the policy when it was last asked, for people.
    pub decision: Option<serde_json::Value>,
}

impl Transfer {
    /// A transfer at its beginning.
    pub fn new(
        process: Process<TransferStep>,
        (agreement, dataset): (String, String),
        format: String,
        statement: Statement,
        address: Option<DataAddress>,
    ) -> Self {
        Self {
            process,
            state: None,
            agreement,
            dataset,
            format,
            statement,
            address,
            token: None,
            token_expires: None,
            refresh: None,
            permitted_until: None,
            sequence: Vec::new(),
            content: None,
            retention: None,
            decision: None,
        }
    }
}

/// What was transferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// How long a consumer may keep what it received, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// When all of the data was here.
    pub received: Timestamp,
    /// By when all copies are to be deleted.
    pub delete_by: Timestamp,
    /// When the node deleted the copy that it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    /// When a person said that no copy is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Timestamp>,
}

/// An agreement that holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// The agreement as it was sent.
    pub agreement: Agreement,
    /// This side's part.
    pub role: Role,
    /// The other participant.
    pub counterparty: String,
    /// The other side's address.
    pub address: String,
    /// The negotiation it came from; empty when it was put here by hand.
    pub negotiation: String,
    /// When it was agreed, by this side's clock.
    pub agreed: Timestamp,
    /// What the consumer stated.
    pub statement: Statement,
    /// Transfers begun under it.
    pub transfers: u64,
    /// How it was ended, when it was.
    pub ended: Option<Ending>,
}

/// Something for the signed log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Note {
    /// An agreement holds.
    Agreed {
        /// Its identifier.
        agreement: String,
    },
    /// An agreement was ended.
    Ended {
        /// Its identifier.
        agreement: String,
    },
    /// A transfer is complete.
    Transferred {
        /// This side's identifier of it.
        transfer: String,
    },
    /// A consumer deleted what a transfer brought.
    Deleted {
        /// This side's identifier of the transfer.
        transfer: String,
        /// Whether a person said that no copy is left, beside the one of the node.
        all: bool,
    },
}

/// Why a ledger cannot answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the dataspace's store failed: {0}")]
pub struct LedgerError(pub String);

/// What a connector keeps its state in. One call of a connector is one transaction: all its changes
/// become durable together before the answer leaves, or none do.
pub trait Ledger {
    /// A dataset that is offered.
    ///
    /// # Errors
    /// When the store fails; so for all.
    fn dataset(&self, id: &str) -> Result<Option<Dataset>, LedgerError>;
    /// A negotiation by this side's identifier.
    ///
    /// # Errors
    /// When the store fails.
    fn negotiation(&self, pid: &str) -> Result<Option<Negotiation>, LedgerError>;
    /// A negotiation by who began it and that side's identifier.
    ///
    /// # Errors
    /// When the store fails.
    fn negotiation_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Negotiation>, LedgerError>;
    /// Keeps a negotiation.
    ///
    /// # Errors
    /// When the store fails.
    fn put_negotiation(&mut self, negotiation: &Negotiation) -> Result<(), LedgerError>;
    /// A transfer by this side's identifier.
    ///
    /// # Errors
    /// When the store fails.
    fn transfer(&self, pid: &str) -> Result<Option<Transfer>, LedgerError>;
    /// A transfer by who began it and that side's identifier.
    ///
    /// # Errors
    /// When the store fails.
    fn transfer_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Transfer>, LedgerError>;
    /// Keeps a transfer.
    ///
    /// # Errors
    /// When the store fails.
    fn put_transfer(&mut self, transfer: &Transfer) -> Result<(), LedgerError>;
    /// Transfers under an agreement that have not ended.
    ///
    /// # Errors
    /// When the store fails.
    fn running(&self, agreement: &str) -> Result<Vec<Transfer>, LedgerError>;
    /// An agreement.
    ///
    /// # Errors
    /// When the store fails.
    fn contract(&self, agreement: &str) -> Result<Option<Contract>, LedgerError>;
    /// Keeps an agreement.
    ///
    /// # Errors
    /// When the store fails.
    fn put_contract(&mut self, contract: &Contract) -> Result<(), LedgerError>;
    /// Keeps something for the signed log.
    ///
    /// # Errors
    /// When the store fails.
    fn note(&mut self, note: &Note) -> Result<(), LedgerError>;
}

/// A ledger in memory: for the simulator and for tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryLedger {
    /// Datasets by identifier.
    pub datasets: BTreeMap<String, Dataset>,
    /// Negotiations by this side's identifier.
    pub negotiations: BTreeMap<String, Negotiation>,
    /// Transfers by this side's identifier.
    pub transfers: BTreeMap<String, Transfer>,
    /// Agreements by identifier.
    pub contracts: BTreeMap<String, Contract>,
    /// What waits for the signed log.
    pub notes: Vec<Note>,
}

fn is_of<S>(process: &Process<S>, role: Role, counterparty: &str, peer_pid: &str) -> bool {
    process.role == role
        && process.counterparty == counterparty
        && process.peer_pid.as_deref() == Some(peer_pid)
}

impl Ledger for MemoryLedger {
    fn dataset(&self, id: &str) -> Result<Option<Dataset>, LedgerError> {
        Ok(self.datasets.get(id).cloned())
    }

    fn negotiation(&self, pid: &str) -> Result<Option<Negotiation>, LedgerError> {
        Ok(self.negotiations.get(pid).cloned())
    }

    fn negotiation_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Negotiation>, LedgerError> {
        Ok(self.negotiations.values().find(|n| is_of(&n.process, role, counterparty, peer_pid)).cloned())
    }

    fn put_negotiation(&mut self, negotiation: &Negotiation) -> Result<(), LedgerError> {
        self.negotiations.insert(negotiation.process.pid.clone(), negotiation.clone());
        Ok(())
    }

    fn transfer(&self, pid: &str) -> Result<Option<Transfer>, LedgerError> {
        Ok(self.transfers.get(pid).cloned())
    }

    fn transfer_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Transfer>, LedgerError> {
        Ok(self.transfers.values().find(|t| is_of(&t.process, role, counterparty, peer_pid)).cloned())
    }

    fn put_transfer(&mut self, transfer: &Transfer) -> Result<(), LedgerError> {
        self.transfers.insert(transfer.process.pid.clone(), transfer.clone());
        Ok(())
    }

    fn running(&self, agreement: &str) -> Result<Vec<Transfer>, LedgerError> {
        let running =
            |t: &&Transfer| t.agreement == agreement && !t.state.is_some_and(TransferState::is_final);
        Ok(self.transfers.values().filter(running).cloned().collect())
    }

    fn contract(&self, agreement: &str) -> Result<Option<Contract>, LedgerError> {
        Ok(self.contracts.get(agreement).cloned())
    }

    fn put_contract(&mut self, contract: &Contract) -> Result<(), LedgerError> {
        self.contracts.insert(contract.agreement.id.clone(), contract.clone());
        Ok(())
    }

    fn note(&mut self, note: &Note) -> Result<(), LedgerError> {
        self.notes.push(note.clone());
        Ok(())
    }
}
