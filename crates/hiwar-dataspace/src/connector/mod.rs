//! The connector: one participant's side of negotiations and transfers, in both roles.
//!
//! Every function is one transaction over a [`Ledger`]. What has to be sent stands in the records as
//! [`Outgoing`]: whoever drives the connector looks for what is due, delivers it, and reports
//! the outcome with `…_delivered` or `…_undelivered`. Delivery is at least once: the
//! same bytes are sent again after a crash, and a message that was taken before changes nothing.

mod access;
mod answer;
mod deliver;
mod negotiate;
mod retention;
mod transfers;

use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::ledger::{Ending, Ledger, LedgerError, Negotiation, Outgoing, Process, Scheduled, Taken, Why};
use crate::negotiation::Role;
use crate::policy::Participant;
use crate::rules::Rules;
use crate::wire::WireError;

pub use access::{HTTP, Renewed, hash_of_token};
pub use deliver::{Delivery, Failure};
pub use negotiate::{NegotiationCall, NewNegotiation, is_shown};
pub use transfers::{NewTransfer, TransferCall};

/// The most steps of one process that are remembered; a negotiation that goes back and forth longer
/// is ended.
pub const STEPS_MAX: usize = 64;

/// One participant's connector.
#[derive(Clone, Debug)]
pub struct Connector {
    /// The participant.
    pub participant: String,
    /// Where others send messages to it: version path included, no slash at the end.
    pub address: String,
    /// Where its data plane answers, no slash at the end.
    pub data_address: String,
    /// How it answers by itself.
    pub rules: Rules,
}

/// What is not the same in two calls: the time, and bits that nobody can guess.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Random; every identifier and token of the call is derived from it.
    pub seed: [u8; 32],
}

impl Moment {
    fn derived(&self, purpose: &str) -> Hash {
        let mut bytes = self.seed.to_vec();
        bytes.extend_from_slice(purpose.as_bytes());
        Hash::of(&bytes)
    }

    /// A name that nobody else gives, as a UUID of version 8 (RFC 9562, section 5.8).
    fn uuid(&self, purpose: &str) -> String {
        let hash = self.derived(purpose);
        let mut bytes = [0u8; 16];
        for (to, from) in bytes.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        let mut number = u128::from_be_bytes(bytes);
        number = (number & !(0xf << 76)) | (0x8 << 76);
        number = (number & !(0x3 << 62)) | (0x2 << 62);
        let hex = format!("{number:032x}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    /// A secret token of 256 bits.
    fn token(&self, purpose: &str) -> String {
        let hash = self.derived(purpose);
        hash.as_bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
            use std::fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// How a refusal is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The message is wrong or the transition is not allowed: 400.
    BadRequest,
    /// There is no such process, or not for this caller: 404. The two are not told apart.
    NotFound,
    /// The store failed: 500.
    Failed,
}

/// Why a call is refused. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How it is answered.
    pub kind: RefusalKind,
    /// Why, for machines.
    pub code: &'static str,
    /// Why, for people.
    pub reason: String,
    /// The process it is about: the provider's identifier and the consumer's, empty when not known.
    pub pids: (String, String),
}

/// What is said to the other side while this side's last word is on the way.
const ENDING: &str = "this side has sent a message that ends the process; it is on the way";
/// What is said to a consumer whose start crosses that of the provider.
const STARTING: &str = "this side has sent a start with a new address and token; it is on the way";
/// What is said to a person while the outcome of a message is not known.
const ON_THE_WAY: &str =
    "a message after which that is not allowed is on the way; wait for its outcome, or end the process";

/// The code of a refusal because of the state; it may pass once a delivery under way is settled.
pub const NOT_ALLOWED: &str = "transition-not-allowed";

impl Refusal {
    /// A refusal that is about no process.
    pub fn new(kind: RefusalKind, code: &'static str, reason: impl Into<String>) -> Self {
        Self { kind, code, reason: reason.into(), pids: Default::default() }
    }

    /// The same, because of what was asked.
    pub fn bad(code: &'static str, reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::BadRequest, code, reason)
    }

    fn about<S>(mut self, process: &Process<S>) -> Self {
        self.pids = process.pids();
        self
    }

    fn unknown(pid: &str) -> Self {
        let shown: String = pid.chars().take(80).collect();
        Self::new(RefusalKind::NotFound, "not-found", format!("there is no process {shown:?} of yours here"))
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::new(RefusalKind::Failed, "internal", error.to_string())
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::bad("malformed", error.to_string())
    }
}

/// A message as it is written.
fn written(message: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(message).map_err(|e| Refusal::new(RefusalKind::Failed, "internal", e.to_string()))
}

/// An address without the slash at its end.
fn without_slash(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

fn new_process<S>(pid: String, role: Role, counterparty: &str, address: &str, now: Timestamp) -> Process<S> {
    Process {
        pid,
        role,
        counterparty: counterparty.to_owned(),
        peer_pid: None,
        address: without_slash(address),
        pending: None,
        scheduled: None,
        taken: Vec::new(),
        history: Vec::new(),
        ending: None,
        stuck: None,
        created: now,
        changed: now,
    }
}

impl<S: Copy + PartialEq> Process<S> {
    fn took(&mut self, by: Role, step: S, now: Timestamp) {
        self.history.push(Taken { at: now, by, step });
        self.changed = now;
        self.stuck = None;
    }

    fn post(&mut self, step: S, id: String, path: String, body: String, due: Timestamp) {
        self.scheduled = None;
        self.pending = Some(Outgoing { step, id, path, body, attempts: 0, refusals: 0, due, trouble: None });
    }

    /// The message on the way has no place any more.
    fn withdraw(&mut self) {
        self.pending = None;
        // What it would have said did not happen.
        self.ending = None;
    }

    /// The other side names a process of which it can know only from the first message: that one was
    /// taken, though its answer is lost or has not come yet. Returns the step that was.
    fn first_was_taken(&mut self, now: Timestamp) -> Option<S> {
        let step = self.pending.take()?.step;
        self.took(self.role, step, now);
        Some(step)
    }

    fn schedule(&mut self, step: S, due: Timestamp, why: Option<Why>) {
        self.scheduled = Some(Scheduled { step, due, why });
    }

    fn end(&mut self, by: Role, why: Why, now: Timestamp) {
        self.pending = None;
        self.scheduled = None;
        self.ending = Some(Ending { by, why, at: now });
        self.changed = now;
    }

    /// Whether this message was taken before.
    fn knows(&self, digest: &Hash) -> bool {
        self.taken.contains(digest)
    }

    /// The other side's identifier must not be that of another process.
    fn must_be_new(&self, taken: bool) -> Result<(), Refusal> {
        if taken {
            let reason = "your identifier in this message is that of another process; give each its own";
            return Err(Refusal::bad("pid-in-use", reason).about(self));
        }
        Ok(())
    }

    /// The identifiers in a message must be those of this process.
    fn check_pids(&mut self, provider_pid: &str, consumer_pid: &str) -> Result<(), Refusal> {
        let (own, peer, names) = match self.role {
            Role::Provider => (provider_pid, consumer_pid, ("providerPid", "consumerPid")),
            Role::Consumer => (consumer_pid, provider_pid, ("consumerPid", "providerPid")),
        };
        let wrong = |name: &str, expected: &str| {
            Refusal::bad("wrong-pid", format!("{name}: this process is {expected:?} there; write that"))
        };
        if own != self.pid {
            return Err(wrong(names.0, &self.pid).about(self));
        }
        match &self.peer_pid {
            Some(known) if known != peer => Err(wrong(names.1, known).about(self)),
            Some(_) => Ok(()),
            None => {
                // The other side speaks before its answer to our first message has reached us.
                self.peer_pid = Some(peer.to_owned());
                Ok(())
            }
        }
    }
}

/// Who calls, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The participant.
    pub id: &'a str,
    /// What the policies may ask of them.
    pub facts: &'a Participant,
}

impl Connector {
    fn pause(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(self.rules.pause_ms)
    }

    /// The agreement of a negotiation that was terminated after all does not hold.
    fn annul(
        &self,
        ledger: &mut impl Ledger,
        negotiation: &Negotiation,
        moment: Moment,
    ) -> Result<(), Refusal> {
        let Some(agreement) = &negotiation.agreement else { return Ok(()) };
        let of_it = ledger.contract(&agreement.id)?.filter(|c| c.negotiation == negotiation.process.pid);
        if of_it.is_some() {
            self.end_agreement(ledger, &agreement.id, "its negotiation was terminated", moment)?;
        }
        Ok(())
    }

    /// The transfers and the agreement itself are ended by a person: transfers that run are
    /// terminated, new ones are refused.
    ///
    /// # Errors
    /// When there is no such agreement, or the store fails.
    pub fn end_agreement(
        &self,
        ledger: &mut impl Ledger,
        agreement: &str,
        reason: &str,
        moment: Moment,
    ) -> Result<usize, Refusal> {
        let mut contract = ledger.contract(agreement)?.ok_or_else(|| Refusal::unknown(agreement))?;
        if contract.ended.is_none() {
            let why = Why::new("agreement-ended", reason);
            contract.ended = Some(Ending { by: contract.role, why, at: moment.now });
            ledger.put_contract(&contract)?;
            ledger.note(&crate::ledger::Note::Ended { agreement: agreement.to_owned() })?;
        }
        let running = ledger.running(agreement)?;
        for transfer in &running {
            let why = Why::new("agreement-ended", reason);
            self.terminate_transfer(ledger, &transfer.process.pid, why, moment)?;
        }
        Ok(running.len())
    }
}
