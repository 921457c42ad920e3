//! One connector as it runs: its endpoints, and how it reads the other side's answers.

use std::collections::BTreeSet;

use hiwar_dataspace::connector::{
    Caller, Connector, Delivery, Failure, Moment, NegotiationCall, Refusal, RefusalKind, TransferCall,
};
use hiwar_dataspace::ledger::MemoryLedger;
use hiwar_dataspace::policy::Participant;
use hiwar_dataspace::wire::{
    AgreementMessage, CompletionMessage, EventMessage, Message, NegotiationStatus, NegotiationTermination,
    OfferMessage, RequestMessage, StartMessage, SuspensionMessage, TransferRequest, TransferStatus,
    TransferTermination, VerificationMessage, WireError,
};
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    A,
    B,
}

impl Who {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    pub(crate) fn did(self) -> String {
        format!("did:web:{}.example", self.name())
    }

    pub(crate) fn address(self) -> String {
        format!("https://{}.example/dsp/2025-1", self.name())
    }
}

/// Negotiation or transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Negotiation,
    Transfer,
}

/// A process of one side.
pub(crate) type Key = (Kind, String);

/// One participant.
pub(crate) struct Side {
    pub(crate) connector: Connector,
    /// What is durable.
    pub(crate) ledger: MemoryLedger,
    pub(crate) up: bool,
    /// How often it has started; what was under way before a start is forgotten.
    pub(crate) epoch: u64,
    /// Its clock's error, in milliseconds.
    pub(crate) clock: i64,
    pub(crate) disk_full: bool,
    /// Processes whose delivery is under way.
    pub(crate) busy: BTreeSet<Key>,
    /// When the driver wakes next, in the world's time.
    pub(crate) wakes: Option<i64>,
}

impl Side {
    /// When something is due first, by this side's clock, of what is not under way.
    pub(crate) fn first_due(&self) -> Option<Timestamp> {
        self.dues().map(|(due, _)| due).min()
    }

    /// What is due by `at`.
    pub(crate) fn due_by(&self, at: Timestamp) -> Vec<Key> {
        self.dues().filter(|(due, _)| *due <= at).map(|(_, key)| key).collect()
    }

    fn dues(&self) -> impl Iterator<Item = (Timestamp, Key)> {
        let negotiations = self
            .ledger
            .negotiations
            .values()
            .filter_map(|n| n.process.due().map(|due| (due, (Kind::Negotiation, n.process.pid.clone()))));
        let transfers = self
            .ledger
            .transfers
            .values()
            .filter_map(|t| t.process.due().map(|due| (due, (Kind::Transfer, t.process.pid.clone()))));
        negotiations.chain(transfers).filter(|(_, key)| !self.busy.contains(key))
    }
}

/// What an endpoint answers: status and body.
pub(crate) type Answer = (u16, String);

fn json(status: u16, message: &impl serde::Serialize) -> Answer {
    (status, serde_json::to_string(message).unwrap_or_default())
}

fn later<M: Message>(body: &str, call: fn(M) -> NegotiationCall) -> Result<NegotiationCall, WireError> {
    M::read(body.as_bytes()).map(call)
}

fn moved<M: Message>(body: &str, call: fn(M) -> TransferCall) -> Result<TransferCall, WireError> {
    M::read(body.as_bytes()).map(call)
}

/// Answers one request: the endpoints of section 1.3, without their authentication.
pub(crate) fn serve(
    connector: &Connector,
    ledger: &mut MemoryLedger,
    caller: &Participant,
    path: &str,
    body: Option<&str>,
    moment: Moment,
) -> Result<Answer, Refusal> {
    let parts: Vec<&str> = path.split('/').collect();
    let id = caller.id.clone().unwrap_or_default();
    let caller = Caller { id: &id, facts: caller };
    let Some(body) = body else {
        return match *parts {
            ["negotiations", pid] => connector.negotiation_status(ledger, &id, pid).map(|s| json(200, &s)),
            ["transfers", pid] => connector.transfer_status(ledger, &id, pid).map(|s| json(200, &s)),
            _ => Err(nowhere(path)),
        };
    };
    let digest = Hash::of(body.as_bytes());
    let call = match *parts {
        ["negotiations", "request"] => {
            let call = later::<RequestMessage>(body, NegotiationCall::Request)?;
            let status = connector.negotiation_begun(ledger, caller, call, digest, moment)?;
            return Ok(json(201, &status));
        }
        ["negotiations", "offers"] => {
            let call = later::<OfferMessage>(body, NegotiationCall::Offer)?;
            let status = connector.negotiation_begun(ledger, caller, call, digest, moment)?;
            return Ok(json(201, &status));
        }
        ["transfers", "request"] => {
            let request = TransferRequest::read(body.as_bytes())?;
            let status = connector.transfer_requested(ledger, caller, request, digest, moment)?;
            return Ok(json(201, &status));
        }
        ["negotiations", pid, "request"] => (pid, later::<RequestMessage>(body, NegotiationCall::Request)?),
        ["negotiations", pid, "offers"] => (pid, later::<OfferMessage>(body, NegotiationCall::Offer)?),
        ["negotiations", pid, "agreement"] => {
            (pid, later::<AgreementMessage>(body, NegotiationCall::Agreement)?)
        }
        ["negotiations", pid, "agreement", "verification"] => {
            (pid, later::<VerificationMessage>(body, NegotiationCall::Verification)?)
        }
        ["negotiations", pid, "events"] => (pid, later::<EventMessage>(body, NegotiationCall::Event)?),
        ["negotiations", pid, "termination"] => {
            (pid, later::<NegotiationTermination>(body, NegotiationCall::Termination)?)
        }
        ["transfers", pid, last] => {
            let call = match last {
                "start" => moved::<StartMessage>(body, TransferCall::Start)?,
                "suspension" => moved::<SuspensionMessage>(body, TransferCall::Suspension)?,
                "completion" => moved::<CompletionMessage>(body, TransferCall::Completion)?,
                "termination" => moved::<TransferTermination>(body, TransferCall::Termination)?,
                _ => return Err(nowhere(path)),
            };
            return connector
                .transfer_called(ledger, caller, pid, call, digest, moment)
                .map(|s| json(200, &s));
        }
        _ => return Err(nowhere(path)),
    };
    connector.negotiation_called(ledger, caller, call.0, call.1, digest, moment).map(|s| json(200, &s))
}

fn nowhere(path: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        code: "not-found",
        reason: format!("{path}: there is no such address"),
        pids: Default::default(),
    }
}

/// The status of a refusal.
pub(crate) fn status_of(refusal: &Refusal) -> u16 {
    match refusal.kind {
        RefusalKind::BadRequest => 400,
        RefusalKind::NotFound => 404,
        RefusalKind::Failed => 500,
    }
}

/// What an answer to a delivery means.
pub(crate) enum Meaning {
    Settled(Result<Option<String>, Failure>),
    /// Refused; the other side's state tells whether an earlier attempt was taken.
    Ask(String),
}

/// Reads an answer as the node's driver does.
pub(crate) fn meaning(kind: Kind, delivery: &Delivery, status: u16, body: &str) -> Meaning {
    let said = format!("it answered with status {status}: {body}");
    let settled = match status {
        200..=299 if delivery.status_url.is_some() => Ok(None),
        200..=299 => match peer_pid(kind, &delivery.pid, body) {
            Some(pid) => Ok(Some(pid)),
            None => Err(Failure::Unreachable(said)),
        },
        404 => Err(Failure::NotFound(said)),
        401 | 403 | 408 | 425 | 429 | 500..=599 => Err(Failure::Unreachable(said)),
        _ if delivery.status_url.is_some() && delivery.target.is_some() => return Meaning::Ask(said),
        _ => Err(Failure::Refused(said)),
    };
    Meaning::Settled(settled)
}

/// Reads the answer to a question for the state, after a refusal.
pub(crate) fn state_told(delivery: &Delivery, refused: &str, status: u16, body: &str) -> Result<(), Failure> {
    let state = serde_json::from_str::<serde_json::Value>(body).ok();
    let state = state.as_ref().and_then(|v| v.get("state")).and_then(|v| v.as_str());
    match (status, state) {
        (200, Some(state)) if Some(state) == delivery.target => Ok(()),
        (200, Some(_)) => Err(Failure::Refused(refused.to_owned())),
        _ => Err(Failure::Unreachable(refused.to_owned())),
    }
}

fn peer_pid(kind: Kind, own: &str, body: &str) -> Option<String> {
    let (provider, consumer) = match kind {
        Kind::Negotiation => {
            NegotiationStatus::read(body.as_bytes()).map(|s| (s.provider_pid, s.consumer_pid)).ok()?
        }
        Kind::Transfer => {
            TransferStatus::read(body.as_bytes()).map(|s| (s.provider_pid, s.consumer_pid)).ok()?
        }
    };
    if consumer == own {
        Some(provider)
    } else if provider == own {
        Some(consumer)
    } else {
        None
    }
}
