//! What two nodes say to each other: a batch and the reply to it.
//!
//! A batch is lines of text: first a header in JSON, then one entry envelope a line. A reply is
//! one JSON object. Both carry a [`Briefing`]: the sender's newest card and checkpoint with a
//! proof that its log only grew, receipts, cosignatures, and what it lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, SignedCard};
use hiwar_trust::receipt::{ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::{DialogueId, EntryError, EntryId, SignedEntry, brief};
use crate::limits;

/// The protocol's version, as it stands in every header.
pub const PROTOCOL: &str = "hiwar/1";

/// A checkpoint of the sender's log and the proof that it contains an earlier state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// The checkpoint as a signed note.
    pub checkpoint: String,
    /// The size that the proof starts from: what the sender believes the other has verified.
    pub from: u64,
    /// RFC 6962 consistency proof from that size.
    pub proof: Vec<Hash>,
}

/// A receipt with its items, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireReceipt {
    /// The signed note.
    pub note: String,
    /// The item lines.
    pub items: Vec<String>,
}

/// Proof that the sender's log, as shown to a third party at `size`, is a part of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {
    /// The size asked about.
    pub size: u64,
    /// RFC 6962 consistency proof from that size to the briefing's checkpoint.
    pub proof: Vec<Hash>,
}

/// What either side tells the other beside entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Briefing {
    /// Sender's clock.
    pub time: Timestamp,
    /// Sequence of the newest card of the other that the sender holds.
    pub knows_card: u64,
    /// The sender's own cards that the other may lack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<SignedCard>,
    /// The sender's log.
    pub log: LogState,
    /// Size of the other's log that the sender has verified, 0 when none.
    pub knows_size: u64,
    /// The newest verified checkpoint of the other's log with the sender's cosignature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned: Option<String>,
    /// Receipts for what came from the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<WireReceipt>,
    /// Entries the sender lacks and the other should hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<EntryId>,
    /// Newest entries of common dialogues, when the sender wants to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<BTreeMap<DialogueId, Vec<EntryId>>>,
    /// Newest verified checkpoints of third parties that both know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gossip: Vec<String>,
    /// Sizes at which a third party was shown a checkpoint of the other's log; the other must prove
    /// that they belong to the same log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<u64>,
    /// Answers to the other's challenges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ChallengeAnswer>,
    /// Set when the other's checkpoint is older than one already verified: that newer one, so that
    /// a node restored from a backup learns of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<String>,
}

/// First line of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Always [`PROTOCOL`].
    pub protocol: String,
    /// The sender.
    pub from: Did,
    /// The node it is meant for; a batch for another is refused.
    pub to: Did,
    /// How many entries follow.
    pub entries: usize,
    /// The rest.
    #[serde(flatten)]
    pub briefing: Briefing,
}

/// Why an entry was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRefusal {
    /// The entry, as far as it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryId>,
    /// Its line in the batch, from 0.
    pub line: usize,
    /// Stable code.
    pub code: RefusalCode,
    /// The reason in words and what would mend it.
    pub detail: String,
}

/// Stable codes of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// The bytes are no entry.
    Malformed,
    /// The signature does not verify.
    WrongSignature,
    /// The author is no peer of the receiver.
    UnknownAuthor,
    /// The author has no such key.
    UnknownKey,
    /// The author revoked the key, or retired it before the entry's time.
    RevokedKey,
    /// The claimed time is too far ahead.
    FutureDated,
    /// The membership it stands under is not held yet.
    UnknownMembership,
    /// It opens a dialogue in which the sender or the receiver takes no part, and was not asked for.
    NotAskedFor,
    /// The author is no party, or the receiver is none.
    NotAParty,
    /// The entry names another dialogue or arrangement than its membership.
    WrongDialogue,
    /// The marking is above the cap.
    AboveCap,
    /// The sender's log was rolled back.
    LogRolledBack,
    /// A code of a later version; it is taken for one that may pass later.
    #[serde(other)]
    Unknown,
}

impl RefusalCode {
    /// Whether the same entry may be taken later.
    pub fn may_pass_later(self) -> bool {
        match self {
            Self::UnknownAuthor
            | Self::UnknownKey
            | Self::FutureDated
            | Self::NotAskedFor
            | Self::UnknownMembership
            | Self::LogRolledBack
            | Self::Unknown => true,
            Self::Malformed
            | Self::WrongSignature
            | Self::RevokedKey
            | Self::NotAParty
            | Self::WrongDialogue
            | Self::AboveCap => false,
        }
    }

    /// The code as it travels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongSignature => "wrong-signature",
            Self::UnknownAuthor => "unknown-author",
            Self::UnknownKey => "unknown-key",
            Self::RevokedKey => "revoked-key",
            Self::FutureDated => "future-dated",
            Self::UnknownMembership => "unknown-membership",
            Self::NotAskedFor => "not-asked-for",
            Self::NotAParty => "not-a-party",
            Self::WrongDialogue => "wrong-dialogue",
            Self::AboveCap => "above-cap",
            Self::LogRolledBack => "log-rolled-back",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Always [`PROTOCOL`].
    pub protocol: String,
    /// Entries not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<EntryRefusal>,
    /// The rest.
    #[serde(flatten)]
    pub briefing: Briefing,
}

/// Why a batch or reply as a whole was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Too large.
    #[error("the message has {found} {unit}; the most is {max}")]
    TooLarge {
        /// How much was found.
        found: usize,
        /// The limit.
        max: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// Malformed.
    #[error("the message's {part} is malformed: {problem}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Another protocol version.
    #[error("the message speaks {found:?}; this node speaks {PROTOCOL}")]
    OtherProtocol {
        /// The version found.
        found: String,
    },
    /// Meant for another node.
    #[error("the batch is meant for {to}, not for this node")]
    WrongDestination {
        /// Whom it is meant for.
        to: Did,
    },
    /// Sent by another than the one who signed the request.
    #[error("the batch says it comes from {from}, but {signer} signed the request")]
    WrongSender {
        /// Whom it names.
        from: Did,
        /// Who signed.
        signer: Did,
    },
}

/// An entry whose author's signature was verified under a key of the author.
#[derive(Clone, Debug)]
pub struct VerifiedEntry(SignedEntry);

impl VerifiedEntry {
    /// The entry.
    pub fn entry(&self) -> &SignedEntry {
        &self.0
    }

    /// The entry.
    pub fn into_entry(self) -> SignedEntry {
        self.0
    }
}

/// A batch whose entries were read and verified one by one.
#[derive(Clone, Debug)]
pub struct VerifiedBatch {
    /// The header.
    pub header: BatchHeader,
    /// Each line: the entry, or why it is refused.
    pub lines: Vec<Result<VerifiedEntry, EntryRefusal>>,
    /// The receipts in the header, unless one of them is wrong: then none.
    receipts: Vec<SignedReceipt>,
}

impl VerifiedBatch {
    pub(crate) fn take_receipts(&mut self) -> Vec<SignedReceipt> {
        std::mem::take(&mut self.receipts)
    }
}

/// A reply whose receipts were verified.
#[derive(Clone, Debug)]
pub struct VerifiedReply {
    reply: Reply,
    receipts: Vec<SignedReceipt>,
}

impl VerifiedReply {
    /// The reply.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    pub(crate) fn into_parts(self) -> (Reply, Vec<SignedReceipt>) {
        (self.reply, self.receipts)
    }
}

/// The keys known at one moment, shared by the threads that verify.
#[derive(Clone, Debug, Default)]
pub struct KeyDirectory {
    identities: BTreeMap<Did, Arc<Identity>>,
}

impl KeyDirectory {
    /// Makes `identity` known.
    pub fn insert(&mut self, identity: Arc<Identity>) {
        self.identities.insert(identity.did().clone(), identity);
    }

    /// Everyone known.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Identity>> {
        self.identities.values()
    }

    /// The keys of a participant.
    pub fn get(&self, did: &Did) -> Option<&Arc<Identity>> {
        self.identities.get(did)
    }
}

fn malformed(part: &'static str, problem: impl ToString) -> WireError {
    WireError::Malformed { part, problem: brief(problem.to_string()) }
}

/// Writes a batch.
///
/// # Errors
/// When the header cannot be written as JSON.
pub fn write_batch<'a>(
    header: &BatchHeader,
    entries: impl Iterator<Item = (&'a [u8], hiwar_trust::key::KeyId, &'a hiwar_trust::key::Signature)>,
) -> Result<Vec<u8>, WireError> {
    let mut out = serde_json::to_vec(header).map_err(|e| malformed("header", e))?;
    out.push(b'\n');
    for (content, key, signature) in entries {
        crate::entry::write_envelope(content, key, signature, &mut out);
        out.push(b'\n');
    }
    Ok(out)
}

/// Reads a batch and verifies every entry's signature. A wrong entry does not spoil the others.
///
/// # Errors
/// When the batch as a whole is unacceptable.
pub fn verify_batch(body: &[u8], keys: &KeyDirectory) -> Result<VerifiedBatch, WireError> {
    verify_batch_on(1, body, keys)
}

/// As [`verify_batch`], with the signatures shared out among `threads` threads.
///
/// # Errors
/// When the batch as a whole is unacceptable.
pub fn verify_batch_on(threads: usize, body: &[u8], keys: &KeyDirectory) -> Result<VerifiedBatch, WireError> {
    if body.len() > limits::BATCH_BYTES_MAX {
        return Err(WireError::TooLarge { found: body.len(), max: limits::BATCH_BYTES_MAX, unit: "bytes" });
    }
    let mut lines = body.split(|b| *b == b'\n');
    let header: BatchHeader =
        serde_json::from_slice(lines.next().unwrap_or_default()).map_err(|e| malformed("header", e))?;
    if header.protocol != PROTOCOL {
        return Err(WireError::OtherProtocol { found: header.protocol.chars().take(40).collect() });
    }
    if header.entries > limits::BATCH_ENTRIES_MAX {
        return Err(WireError::TooLarge {
            found: header.entries,
            max: limits::BATCH_ENTRIES_MAX,
            unit: "entries",
        });
    }
    let bodies = lines.filter(|l| !l.is_empty());
    let found = bodies.clone().count();
    if found != header.entries {
        return Err(malformed(
            "body",
            format!("the header announces {} entries, {found} follow", header.entries),
        ));
    }
    let sender = with_new_cards(keys.get(&header.from), &header.briefing.cards);
    let bodies: Vec<(usize, &[u8])> = bodies.enumerate().collect();
    let verify = |share: &[(usize, &[u8])]| -> Vec<_> {
        share
            .iter()
            .map(|(line, bytes)| verify_line(*line, bytes, keys, sender.as_deref(), &header.from))
            .collect()
    };
    let share = bodies.len().div_ceil(threads.max(1)).max(SHARE_ENTRIES_MIN);
    let lines = if share >= bodies.len() {
        verify(&bodies)
    } else {
        let mut shares = bodies.chunks(share);
        let first = shares.next().unwrap_or_default();
        std::thread::scope(|scope| {
            let verify = &verify;
            let others: Vec<_> = shares.map(|share| (share, scope.spawn(move || verify(share)))).collect();
            let mut lines = verify(first);
            for (share, other) in others {
                // A thread that could not finish is no reason to lose its share.
                lines.extend(other.join().unwrap_or_else(|_| verify(share)));
            }
            lines
        })
    };
    let receipts = sender.as_deref().map(|issuer| verify_receipts(&header.briefing.receipts, issuer));
    let receipts = receipts.and_then(Result::ok).unwrap_or_default();
    Ok(VerifiedBatch { header, lines, receipts })
}

/// Fewer entries than this are not worth a thread of their own.
const SHARE_ENTRIES_MIN: usize = 32;

/// The sender's keys including those that this very message brings. A card that does not fit is
/// left to the engine, which decides what it means.
fn with_new_cards(held: Option<&Arc<Identity>>, cards: &[SignedCard]) -> Option<Arc<Identity>> {
    let held = held?;
    if cards.is_empty() {
        return Some(held.clone());
    }
    let mut extended = Identity::clone(held);
    for card in cards {
        if extended.extend(card.clone()).is_err() {
            break;
        }
    }
    Some(Arc::new(extended))
}

fn verify_line(
    line: usize,
    bytes: &[u8],
    keys: &KeyDirectory,
    sender: Option<&Identity>,
    from: &Did,
) -> Result<VerifiedEntry, EntryRefusal> {
    let refuse = |entry, code, detail: String| Err(EntryRefusal { entry, line, code, detail });
    let signed = match SignedEntry::parse_envelope(bytes) {
        Ok(signed) => signed,
        Err(
            error @ (EntryError::NotCanonical(_)
            | EntryError::BadMember { .. }
            | EntryError::UnknownType { .. }
            | EntryError::BadEnvelope(_)),
        ) => {
            return refuse(None, RefusalCode::Malformed, error.to_string());
        }
    };
    let author = &signed.entry.author;
    let identity = if author == from { sender } else { keys.get(author).map(Arc::as_ref) };
    let Some(identity) = identity else {
        return refuse(
            Some(signed.id),
            RefusalCode::UnknownAuthor,
            format!("{author} is no peer of this node; add its invitation"),
        );
    };
    let Some(key) = identity.organisation_key(signed.key).0 else {
        return refuse(
            Some(signed.id),
            RefusalCode::UnknownKey,
            format!("{author} has shown no card with key {}", signed.key),
        );
    };
    if let Err(error) = signed.verify(key) {
        return refuse(Some(signed.id), RefusalCode::WrongSignature, error.to_string());
    }
    Ok(VerifiedEntry(signed))
}

/// Reads a reply and verifies its receipts, by the keys of the issuer that are held and those that
/// this very reply brings.
///
/// # Errors
/// When it is malformed or a receipt is wrong.
pub fn verify_reply(body: &[u8], issuer: &Arc<Identity>) -> Result<VerifiedReply, WireError> {
    if body.len() > limits::BATCH_BYTES_MAX {
        return Err(WireError::TooLarge { found: body.len(), max: limits::BATCH_BYTES_MAX, unit: "bytes" });
    }
    let reply: Reply = serde_json::from_slice(body).map_err(|e| malformed("reply", e))?;
    if reply.protocol != PROTOCOL {
        return Err(WireError::OtherProtocol { found: reply.protocol.chars().take(40).collect() });
    }
    let issuer = with_new_cards(Some(issuer), &reply.briefing.cards).unwrap_or_else(|| Arc::clone(issuer));
    let receipts = verify_receipts(&reply.briefing.receipts, &issuer)?;
    Ok(VerifiedReply { reply, receipts })
}

/// Reads and verifies receipts as they travel.
///
/// # Errors
/// When one is malformed or not signed by a node key of `issuer`.
pub fn verify_receipts(receipts: &[WireReceipt], issuer: &Identity) -> Result<Vec<SignedReceipt>, WireError> {
    receipts.iter().map(|wire| verify_receipt(wire, issuer)).collect()
}

fn verify_receipt(wire: &WireReceipt, issuer: &Identity) -> Result<SignedReceipt, WireError> {
    let items = wire.items.iter().map(|line| line.parse::<ReceiptItem>()).collect::<Result<_, _>>();
    let items = items.map_err(|e| malformed("receipt", e))?;
    let receipt = SignedReceipt::parse(&wire.note, items).map_err(|e| malformed("receipt", e))?;
    receipt.verify(issuer).map_err(|e| malformed("receipt", e))?;
    Ok(receipt)
}

impl From<&SignedReceipt> for WireReceipt {
    fn from(signed: &SignedReceipt) -> Self {
        Self {
            note: signed.note.clone(),
            items: signed.receipt.items.iter().map(ToString::to_string).collect(),
        }
    }
}
