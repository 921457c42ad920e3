//! Participant cards: who a participant is, which keys speak for it and where its node answers.
//!
//! A participant's cards form a chain. Each card names the whole current state and the digest of
//! the card before it, so a key rotation, a key revocation, a new node key and a restored log are
//! all the same act: one more card. Peers pin the first card through a fingerprint that a person
//! confirms, and follow the chain from there; old signatures stay verifiable for ever.
//!
//! A card is signed by the organisation key of the card before it (or by that card's recovery
//! key), and, when it brings a new organisation key, by the new one as well.

use serde::{Deserialize, Serialize};

use crate::did::Did;
use crate::hash::Hash;
use crate::jcs;
use crate::key::{KeyError, KeyHolder, KeyId, PublicKey, Signature};
use crate::time::Timestamp;

/// The `type` member of a card.
pub const CARD_TYPE: &str = "org.hiwar.card.v1";
/// The most cards one participant's chain may have.
pub const CHAIN_CARDS_MAX: usize = 1024;
/// The largest card, in bytes of canonical JSON.
pub const CARD_BYTES_MAX: usize = 16 * 1024;
/// The most signatures on one card; no card needs more than two.
pub const CARD_SIGNATURES_MAX: usize = 4;

/// How entries reach a participant's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryMode {
    /// Peers push to its endpoint.
    Push,
    /// It accepts no connection; it fetches from its peers by long poll.
    Pull,
}

/// A key that must no longer be believed for anything not yet held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKey {
    /// The key.
    pub key: KeyId,
    /// From when on it may have been in wrong hands.
    pub since: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// Where a log goes on after a restore from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogContinuation {
    /// The origin of the log before.
    pub origin: String,
    /// How many leaves of it the participant still has.
    pub size: u64,
    /// The root of the log before at that size.
    pub root: Hash,
}

/// The current state of a participant, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// Always [`CARD_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The participant.
    pub did: Did,
    /// Its name, for people.
    pub name: String,
    /// Position in the chain, from 0.
    pub sequence: u64,
    /// Digest of the card before; absent in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Hash>,
    /// When it was made, by its maker's clock.
    pub time: Timestamp,
    /// Signs entries and cards.
    pub organisation_key: PublicKey,
    /// Signs requests, receipts and checkpoints.
    pub node_key: PublicKey,
    /// May sign the next card in place of the organisation key; kept off the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_key: Option<PublicKey>,
    /// Where the node answers; empty when it accepts no connection.
    pub endpoints: Vec<String>,
    /// SHA-256 of the node's TLS certificate's public key (SubjectPublicKeyInfo), when it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<Hash>,
    /// How entries reach the node.
    pub delivery: DeliveryMode,
    /// Origin line of its log's checkpoints.
    pub log_origin: String,
    /// Set when the log replaces an older one after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_continues: Option<LogContinuation>,
    /// All keys revoked so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<RevokedKey>,
}

/// A card with the signatures that make it valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCard {
    /// The card.
    pub card: Card,
    /// Signatures over the card's canonical JSON.
    pub signatures: Vec<CardSignature>,
}

/// One signature on a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSignature {
    /// The key that signed.
    pub key: KeyId,
    /// The signature.
    pub value: Signature,
}

/// Why a card or a chain of cards was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a card.
    #[error("the card's type is {found:?}; this version reads {CARD_TYPE}")]
    WrongType {
        /// The type found.
        found: String,
    },
    /// A member is too long or empty.
    #[error("the card's {member} {problem}")]
    BadMember {
        /// The member.
        member: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The chain does not hold together.
    #[error("card {sequence} does not follow from the one before: {problem}")]
    BrokenChain {
        /// The card's position.
        sequence: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// A signature is missing or wrong.
    #[error("card {sequence} has no valid signature of the {signer}")]
    MissingSignature {
        /// The card's position.
        sequence: u64,
        /// Whose signature is missing.
        signer: &'static str,
    },
    /// Two different cards at one position: somebody signed two histories.
    #[error("two different cards {sequence} of {did} exist: {held} is held, {shown} was shown")]
    Fork {
        /// The participant.
        did: Did,
        /// The position.
        sequence: u64,
        /// The card already held.
        held: Hash,
        /// The other one.
        shown: Hash,
    },
    /// The chain is empty or too long.
    #[error("the chain has {count} cards; it must have 1 to {CHAIN_CARDS_MAX}")]
    Length {
        /// How many there are.
        count: usize,
    },
    /// Canonical form could not be made.
    #[error("the card has no canonical form: {0}")]
    Canonical(String),
    /// The key holder failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Card {
    /// The canonical bytes that are signed.
    ///
    /// # Errors
    /// [`IdentityError::Canonical`] when a member cannot be written in canonical JSON.
    pub fn canonical(&self) -> Result<Vec<u8>, IdentityError> {
        let value = serde_json::to_value(self).map_err(|e| IdentityError::Canonical(e.to_string()))?;
        jcs::to_vec(&value).map_err(|e| IdentityError::Canonical(e.to_string()))
    }

    /// The card's digest.
    ///
    /// # Errors
    /// As [`Card::canonical`].
    pub fn hash(&self) -> Result<Hash, IdentityError> {
        Ok(Hash::of(&self.canonical()?))
    }

    /// What people compare by voice before they trust this card: a digest of the participant's
    /// identifier and the card's organisation key. It stays the same until the key changes.
    pub fn fingerprint(&self) -> Hash {
        Hash::of(format!("{}\n{}\n", self.did, self.organisation_key).as_bytes())
    }

    /// Signs the card with each of `holders`.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when a holder cannot sign.
    pub fn sign(self, holders: &[&dyn KeyHolder]) -> Result<SignedCard, IdentityError> {
        let bytes = self.canonical()?;
        let mut signatures = Vec::with_capacity(holders.len());
        for holder in holders {
            signatures.push(CardSignature { key: holder.public_key().id(), value: holder.sign(&bytes)? });
        }
        Ok(SignedCard { card: self, signatures })
    }

    fn revokes_itself(&self) -> bool {
        let own = self.organisation_key.id();
        self.revoked.iter().any(|revoked| revoked.key == own)
    }

    /// The name of a log says whose it is. Checked last, when it is known that the card is genuine.
    fn check_log_origin(&self) -> Result<(), IdentityError> {
        if self.log_origin.starts_with(&format!("{}/", self.did)) {
            return Ok(());
        }
        let problem = "must begin with the participant's identifier and a slash";
        Err(IdentityError::BadMember { member: "logOrigin", problem })
    }

    fn check_members(&self) -> Result<(), IdentityError> {
        if self.kind != CARD_TYPE {
            return Err(IdentityError::WrongType { found: self.kind.chars().take(80).collect() });
        }
        let bad = |member, problem| Err(IdentityError::BadMember { member, problem });
        if self.name.trim().is_empty() || self.name.chars().count() > 200 {
            return bad("name", "must have 1 to 200 characters");
        }
        if self.name.chars().any(char::is_control) {
            return bad("name", "has a control character");
        }
        if self.endpoints.len() > 8 || self.endpoints.iter().any(|e| e.len() > 300 || !is_http_url(e)) {
            return bad("endpoints", "must be at most 8 URLs that start with https:// or http://");
        }
        if self.log_origin.is_empty()
            || self.log_origin.len() > 300
            || self.log_origin.chars().any(|c| c.is_control() || c == ' ')
        {
            return bad("logOrigin", "must have 1 to 300 characters, without spaces");
        }
        if self.revoked.len() > CHAIN_CARDS_MAX || self.revoked.iter().any(|r| r.reason.len() > 1000) {
            return bad("revoked", "is too long");
        }
        Ok(())
    }
}

const SELF_REVOKED: &str = "it revokes its own organisation key; bring a new one";

fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'))
}

impl SignedCard {
    /// Checks the form, before any signature is; returns the signed bytes.
    fn checked_bytes(&self) -> Result<Vec<u8>, IdentityError> {
        self.card.check_members()?;
        let bytes = self.card.canonical()?;
        let bad = |member, problem| Err(IdentityError::BadMember { member, problem });
        if bytes.len() > CARD_BYTES_MAX {
            return bad("size", "is over 16 KiB");
        }
        if self.signatures.len() > CARD_SIGNATURES_MAX {
            return bad("signatures", "are more than 4; send only those of this card's keys");
        }
        Ok(bytes)
    }

    fn is_signed_by(&self, bytes: &[u8], key: &PublicKey) -> bool {
        let id = key.id();
        self.signatures.iter().any(|s| s.key == id && key.verify(bytes, &s.value).is_ok())
    }
}

/// What a key of a participant is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// The participant's organisation key today.
    Current,
    /// Replaced in good order at this time.
    Retired {
        /// The time of the card that replaced it.
        at: Timestamp,
    },
    /// Declared to be in wrong hands since this time.
    Revoked {
        /// From when on.
        since: Timestamp,
    },
    /// Never a key of this participant.
    Unknown,
}

/// A verified chain of cards: the only way to hold a participant's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    cards: Vec<SignedCard>,
    hashes: Vec<Hash>,
    keys: Vec<(KeyId, PublicKey)>,
    node_keys: Vec<PublicKey>,
}

impl Identity {
    /// Verifies a whole chain.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(cards: Vec<SignedCard>) -> Result<Self, IdentityError> {
        if cards.is_empty() || cards.len() > CHAIN_CARDS_MAX {
            return Err(IdentityError::Length { count: cards.len() });
        }
        let mut cards = cards.into_iter();
        let first = cards.next().ok_or(IdentityError::Length { count: 0 })?;
        let bytes = first.checked_bytes()?;
        if first.card.sequence != 0 || first.card.previous.is_some() {
            return Err(IdentityError::BrokenChain {
                sequence: first.card.sequence,
                problem: "the first card must have sequence 0 and no previous",
            });
        }
        if first.card.revokes_itself() {
            return Err(IdentityError::BrokenChain { sequence: 0, problem: SELF_REVOKED });
        }
        if !first.is_signed_by(&bytes, &first.card.organisation_key) {
            return Err(IdentityError::MissingSignature { sequence: 0, signer: "organisation key" });
        }
        first.card.check_log_origin()?;
        let mut identity = Self {
            hashes: vec![Hash::of(&bytes)],
            keys: vec![(first.card.organisation_key.id(), first.card.organisation_key.clone())],
            node_keys: vec![first.card.node_key.clone()],
            cards: vec![first],
        };
        for card in cards {
            identity.extend(card)?;
        }
        Ok(identity)
    }

    /// Adds the next card. A card already held is accepted again without effect.
    ///
    /// # Errors
    /// [`IdentityError::Fork`] when another card stands at its place; otherwise what is wrong.
    pub fn extend(&mut self, next: SignedCard) -> Result<bool, IdentityError> {
        let bytes = next.checked_bytes()?;
        let sequence = next.card.sequence;
        let shown = Hash::of(&bytes);
        let broken = |problem| Err(IdentityError::BrokenChain { sequence, problem });
        let latest = self.latest();
        if next.card.did != latest.did {
            return broken("it names another participant");
        }
        let position = usize::try_from(sequence).unwrap_or(usize::MAX);
        if let Some(held) = self.hashes.get(position) {
            if *held == shown {
                return Ok(false);
            }
            let before = position.checked_sub(1);
            let signer = before.and_then(|p| self.keys.get(p)).or(self.keys.first());
            let by_old = signer.is_some_and(|(_, key)| next.is_signed_by(&bytes, key));
            let recovery = before.and_then(|p| self.cards.get(p)?.card.recovery_key.as_ref());
            return if by_old || recovery.is_some_and(|key| next.is_signed_by(&bytes, key)) {
                Err(IdentityError::Fork { did: latest.did.clone(), sequence, held: *held, shown })
            } else {
                Err(IdentityError::MissingSignature {
                    sequence,
                    signer: "previous organisation key or recovery key",
                })
            };
        }
        if position != self.cards.len() || position >= CHAIN_CARDS_MAX {
            return broken("a card between is missing");
        }
        if next.card.previous != self.hashes.last().copied() {
            return broken("its previous member is not the digest of the card before");
        }
        let by_old = next.is_signed_by(&bytes, &latest.organisation_key);
        let by_recovery = latest.recovery_key.as_ref().is_some_and(|k| next.is_signed_by(&bytes, k));
        if !by_old && !by_recovery {
            return Err(IdentityError::MissingSignature {
                sequence,
                signer: "previous organisation key or recovery key",
            });
        }
        if !next.is_signed_by(&bytes, &next.card.organisation_key) {
            return Err(IdentityError::MissingSignature { sequence, signer: "new organisation key" });
        }
        if latest.revoked.iter().any(|old| !next.card.revoked.contains(old)) {
            return broken("it drops a revocation");
        }
        if next.card.revokes_itself() {
            return broken(SELF_REVOKED);
        }
        next.card.check_log_origin()?;
        self.hashes.push(shown);
        self.keys.push((next.card.organisation_key.id(), next.card.organisation_key.clone()));
        self.node_keys.push(next.card.node_key.clone());
        self.cards.push(next);
        Ok(true)
    }

    /// The participant.
    pub fn did(&self) -> &Did {
        &self.latest().did
    }

    /// The newest card.
    pub fn latest(&self) -> &Card {
        #[expect(clippy::expect_used, reason = "verify() admits no empty chain and nothing removes a card")]
        let last = self.cards.last().expect("a chain has at least one card");
        &last.card
    }

    /// All cards, oldest first.
    pub fn cards(&self) -> &[SignedCard] {
        &self.cards
    }

    /// Digest of the newest card.
    pub fn latest_hash(&self) -> Hash {
        self.hashes.last().copied().unwrap_or(Hash([0; 32]))
    }

    /// The organisation key with this name and what it is worth today.
    pub fn organisation_key(&self, id: KeyId) -> (Option<&PublicKey>, KeyStatus) {
        let Some(position) = self.keys.iter().rposition(|(k, _)| *k == id) else {
            return (None, KeyStatus::Unknown);
        };
        let key = self.keys.get(position).map(|(_, key)| key);
        if let Some(revoked) = self.latest().revoked.iter().find(|r| r.key == id) {
            return (key, KeyStatus::Revoked { since: revoked.since });
        }
        match self.cards.get(position + 1) {
            None => (key, KeyStatus::Current),
            Some(next) => (key, KeyStatus::Retired { at: next.card.time }),
        }
    }

    /// Name of the node key in the newest card.
    pub fn latest_node_key_id(&self) -> KeyId {
        self.latest().node_key.id()
    }

    /// Every node key this participant ever named, newest first.
    pub fn node_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.node_keys.iter().rev()
    }

    /// Every log origin this participant ever named, newest first.
    pub fn log_origins(&self) -> impl Iterator<Item = &str> {
        self.cards.iter().rev().map(|c| c.card.log_origin.as_str())
    }

    /// What people compare by voice before they trust this participant: a digest of its
    /// identifier and its current organisation key.
    pub fn fingerprint(&self) -> Hash {
        self.latest().fingerprint()
    }
}
