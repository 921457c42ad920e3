//! What an operator decides: peers, this node's cards, and files that have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{Identity, SignedCard};
use hiwar_trust::tiles::LogTail;
use hiwar_trust::time::Timestamp;

use super::{Engine, EngineError, Keys};
use crate::ledger::{Acknowledgement, Change, OwnRecord, PeerRecord, Standing, View};

impl Engine {
    /// Adds a peer from its verified cards, or brings a known one up to date. The caller has had a
    /// person confirm the fingerprint.
    ///
    /// # Errors
    /// When the cards contradict those already held, or name this node.
    pub fn add_peer(&mut self, identity: Identity, now: Timestamp) -> Result<(), EngineError> {
        let did = identity.did().clone();
        if did == *self.did() {
            return Err(EngineError::Peer {
                did,
                problem: "is this node itself; a node is no peer of its own",
            });
        }
        if self.has_node_key_of_another(&identity) {
            return Err(EngineError::Peer {
                did,
                problem: "names a node key that belongs to another; ask its operator",
            });
        }
        if let Some(peer) = self.peers.get_mut(&did) {
            let mut known = Identity::clone(&peer.identity);
            let mut new_log = None;
            for card in identity.cards() {
                let origin_before = known.latest().log_origin.clone();
                if known.extend(card.clone())? && known.latest().log_origin != origin_before {
                    new_log = Some(card.clone());
                }
            }
            peer.record.cards = known.cards().to_vec();
            peer.identity = Arc::new(known);
            if peer.record.standing == Standing::Retired {
                peer.record.standing = Standing::Active;
            }
            peer.compare_due = now;
            if let Some(card) = new_log {
                self.log_was_replaced(&did, &card, now);
            }
        } else {
            let record = PeerRecord {
                did: did.clone(),
                cards: identity.cards().to_vec(),
                standing: Standing::Active,
                verified: None,
                witnessed: None,
                witnessed_before: Vec::new(),
                knows_card: None,
                knows_size: 0,
                knows_log: self.log_number,
                settled_through: self.next_seq - 1,
                down_since: None,
                down_alarmed: false,
                clock_skew_ms: None,
                owed_attachments: BTreeMap::new(),
                shown_in_batch: 0,
            };
            self.load_peer(record, 0, now)?;
        }
        self.append_leaf(&format!("card {}", identity.latest_hash()));
        self.directory = None;
        self.dirty_peers.insert(did);
        Ok(())
    }

    /// Whether a participant names a node key that this node or another peer has: requests signed
    /// with that key would then be taken for the wrong one's.
    pub(super) fn has_node_key_of_another(&self, identity: &Identity) -> bool {
        let key = &identity.latest().node_key;
        let others = self.peers.values().map(|p| &p.identity).filter(|i| i.did() != identity.did());
        others.chain([&self.own]).any(|other| other.node_keys().any(|k| k == key))
    }

    /// Stops dealing with a peer; what it said stays.
    ///
    /// # Errors
    /// When the peer is unknown.
    pub fn retire_peer(&mut self, did: &Did) -> Result<(), EngineError> {
        self.peer_mut(did)?.record.standing = Standing::Retired;
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    /// An operator's decision to trust a peer's log again after an alarm. What is verified of it
    /// starts anew; the alarm and its evidence stay.
    ///
    /// # Errors
    /// When the peer is unknown.
    pub fn trust_again(&mut self, did: &Did, now: Timestamp) -> Result<(), EngineError> {
        let peer = self.peer_mut(did)?;
        peer.record.standing = Standing::Active;
        peer.record.verified = None;
        peer.record.shown_in_batch = 0;
        peer.verified = None;
        peer.challenges.clear();
        peer.next_attempt = now;
        self.dirty_peers.insert(did.clone());
        Ok(())
    }

    /// Keeps that somebody has seen to an alarm. The alarm and its leaf stay as they are; who deals
    /// with it is no business of the peers', so this is no leaf.
    pub fn acknowledge_alarm(&mut self, alarm: u64, acknowledgement: Acknowledgement) {
        let acknowledgement = Box::new(acknowledgement);
        self.changes.push(Change::AlarmAcknowledged { alarm, acknowledgement });
    }

    /// The time to write into this node's next card: now, but not before anything that this node
    /// has said, since an entry that claims to be younger than the end of its key is not believed.
    pub fn card_time(&self, now: Timestamp) -> Timestamp {
        self.dialogues.values().map(|d| d.updated).fold(now, Timestamp::max)
    }

    /// Takes over this node's next card: a rotated key, another address, or a log that continues
    /// after a restore.
    ///
    /// # Errors
    /// When the card does not follow from the newest one or `keys` do not fit it.
    pub fn adopt_card(&mut self, card: SignedCard, keys: Keys) -> Result<(), EngineError> {
        let mut own = Identity::clone(&self.own);
        let origin_before = own.latest().log_origin.clone();
        own.extend(card)?;
        if own.latest().organisation_key != *keys.organisation.public_key() {
            return Err(EngineError::WrongKey { which: "organisation" });
        }
        if own.latest().node_key != *keys.node.public_key() {
            return Err(EngineError::WrongKey { which: "node" });
        }
        let begins_anew = own.latest().log_origin != origin_before;
        self.own_key = own.latest().organisation_key.id();
        self.own = Arc::new(own);
        self.keys = keys;
        self.directory = None;
        if begins_anew {
            self.log_number += 1;
            self.log = LogTail::new();
            self.halted = None;
        }
        self.dirty_own = false;
        self.changes.push(Change::Own(Box::new(OwnRecord {
            cards: self.own.cards().to_vec(),
            log: self.log_number,
            halted: self.halted.clone(),
        })));
        self.append_leaf(&format!("card {}", self.own.latest_hash()));
        if begins_anew {
            self.begin_anew();
        }
        Ok(())
    }

    /// A new log knows nothing of what peers knew of the old one, and nobody can tell what the
    /// store has lost: everything is compared.
    fn begin_anew(&mut self) {
        for (did, peer) in &mut self.peers {
            peer.record.knows_size = 0;
            peer.record.knows_log = self.log_number;
            peer.compare_due = Timestamp::MIN;
            peer.owed_answers.clear();
            peer.file_receipt = None;
            self.dirty_peers.insert(did.clone());
        }
    }

    /// A file arrived complete and verified; its author is owed a receipt.
    ///
    /// # Errors
    /// When the store fails.
    pub fn attachment_stored(
        &mut self,
        view: &dyn View,
        sha256: Hash,
        authors: &[Did],
    ) -> Result<(), EngineError> {
        let leaf = match self.file_leaf(view, sha256)? {
            Some(leaf) => leaf,
            None => {
                let leaf = self.append_leaf(&format!("attachment {sha256}"));
                self.changes.push(Change::AttachmentStored { sha256, leaf });
                leaf
            }
        };
        for did in authors {
            if let Some(peer) = self.peers.get_mut(did) {
                peer.record.owed_attachments.insert(sha256, leaf);
                peer.file_receipt = None;
                self.dirty_peers.insert(did.clone());
            }
        }
        Ok(())
    }
}
