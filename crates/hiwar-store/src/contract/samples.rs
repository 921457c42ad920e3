//! Things to keep, made from numbers and really signed.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{Body, DialogueId, Entry, EntryId, Membership, SignedEntry, Texts, Words};
use hiwar_dialogue::ledger::{
    Acknowledgement, Alarm, Change, DialogueRecord, Direction, MembershipState, PeerRecord, Seq, Standing,
    StoredEntry,
};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, SignedCard};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;

/// Participant number `n`; 0 is the node that keeps.
pub(crate) fn did(n: u8) -> Did {
    format!("did:web:p{n}.example").parse().unwrap()
}

/// An entry with its leaf.
pub(crate) fn kept(entry: &StoredEntry) -> [Change; 2] {
    let leaf = Change::Leaf { log: entry.log, index: entry.leaf, data: format!("entry {}", entry.id) };
    [leaf, Change::Entry(Box::new(entry.clone()))]
}

/// Items for a receipt, of both kinds.
pub(crate) fn items(count: u16) -> Vec<ReceiptItem> {
    (0..count)
        .map(|n| ReceiptItem {
            kind: if n % 3 == 0 { ItemKind::Attachment } else { ItemKind::Entry },
            hash: Hash::of(&n.to_be_bytes()),
            leaf: u64::from(n),
        })
        .collect()
}

/// The change that keeps a receipt.
pub(crate) fn receipt_change(
    number: u64,
    direction: Direction,
    peer: &Did,
    receipt: &SignedReceipt,
) -> Change {
    Change::Receipt { number, direction, peer: peer.clone(), receipt: Box::new(receipt.clone()) }
}

/// Makes things to keep.
pub(crate) struct Samples {
    key: SoftwareKey,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self { key: SoftwareKey::from_seed(&[7; 32]) }
    }

    /// Dialogue number `n`.
    pub(crate) fn dialogue(&self, n: u8) -> DialogueId {
        EntryId(Hash::of(&[n]))
    }

    /// An entry at a position, with its leaf right before the next position's in log 1.
    pub(crate) fn entry(&self, seq: Seq, dialogue: u8, via: Option<Did>, text_bytes: usize) -> StoredEntry {
        let text = format!("{seq}: {}", "x".repeat(text_bytes));
        let entry = Entry {
            author: via.clone().unwrap_or_else(|| did(0)),
            desk: "emissions".into(),
            dialogue: Some(self.dialogue(dialogue)),
            membership: Some(self.dialogue(dialogue)),
            arrangement: "agreement".into(),
            marking: Marking::Green,
            time: Timestamp::from_millis(1_561_942_800_000),
            prev: Vec::new(),
            nonce: [seq.to_le_bytes()[0]; 16],
            attachments: Vec::new(),
            body: Body::Statement(Words { texts: Texts::from([("en".into(), text)]), prevailing: None }),
        };
        let signed = SignedEntry::sign(entry, &self.key, self.key.public_key().id()).unwrap();
        StoredEntry {
            seq,
            id: signed.id,
            dialogue: signed.dialogue(),
            content: signed.content.clone(),
            key: signed.key,
            signature: signed.signature,
            log: 1,
            leaf: seq - 1,
            via,
            received: Timestamp::from_millis(1_561_942_800_000 + seq.cast_signed()),
            receipt: None,
        }
    }

    /// A receipt between this node and `peer`, over a log of `size` leaves.
    pub(crate) fn receipt(
        &self,
        direction: Direction,
        peer: &Did,
        size: u64,
        items: &[ReceiptItem],
    ) -> SignedReceipt {
        let (issuer, to) = match direction {
            Direction::Issued => (did(0), peer.clone()),
            Direction::Received => (peer.clone(), did(0)),
        };
        let log = Checkpoint::new("p.example/log/1", size, Hash::of(b"root")).unwrap();
        let time = Timestamp::from_millis(1_561_942_800_123);
        Receipt { issuer, to, time, log, items: items.to_vec() }.sign(&self.key).unwrap()
    }

    /// A card.
    pub(crate) fn card(&self, n: u8, sequence: u64) -> SignedCard {
        let public = self.key.public_key().clone();
        let card = Card {
            kind: CARD_TYPE.into(),
            did: did(n),
            name: format!("Participant {n} – مشارك"),
            sequence,
            previous: None,
            time: Timestamp::from_millis(0),
            organisation_key: public.clone(),
            node_key: public,
            recovery_key: None,
            endpoints: vec!["https://p.example".into()],
            tls_key: Some(Hash::of(b"certificate")),
            delivery: DeliveryMode::Push,
            log_origin: "p.example/log/1".into(),
            log_continues: None,
            revoked: Vec::new(),
        };
        card.sign(&[&self.key]).unwrap()
    }

    /// What is known of a peer.
    pub(crate) fn peer(&self, n: u8) -> PeerRecord {
        PeerRecord {
            did: did(n),
            cards: vec![self.card(n, 0)],
            standing: Standing::Active,
            verified: Some("a note\n".into()),
            witnessed: None,
            witnessed_before: vec!["a note".into()],
            knows_card: Some(0),
            knows_size: 8,
            knows_log: 1,
            settled_through: 0,
            down_since: Some(Timestamp::from_millis(5)),
            down_alarmed: true,
            clock_skew_ms: Some(-3),
            shown_in_batch: 4,
            owed_attachments: BTreeMap::new(),
        }
    }

    /// The state of a dialogue.
    pub(crate) fn dialogue_record(&self, n: u8, entries: u64) -> DialogueRecord {
        let id = self.dialogue(n);
        DialogueRecord {
            id,
            memberships: vec![MembershipState {
                entry: id,
                author: did(0),
                arrangement: "agreement".into(),
                membership: Membership {
                    title: Texts::from([("ja".into(), "排出量".into())]),
                    parties: vec![did(0), did(1)],
                    cap: Marking::Amber,
                    replaces: None,
                },
                assents: BTreeSet::from([did(0)]),
                refusals: BTreeSet::new(),
                voices: vec![EntryId(Hash::of(b"voice"))],
                heads: BTreeSet::from([id]),
                missing: BTreeSet::from([EntryId(Hash::of(b"missing"))]),
            }],
            current: id,
            heads: BTreeSet::from([id]),
            missing: BTreeMap::from([(EntryId(Hash::of(b"missing")), did(1))]),
            entries,
            updated: Timestamp::from_millis(9),
        }
    }

    /// That somebody has seen to an alarm.
    pub(crate) fn acknowledgement(&self, desk: Option<&str>) -> Acknowledgement {
        let desk = desk.map(ToOwned::to_owned);
        Acknowledgement { time: Timestamp::from_millis(77), desk, note: "we called them ö".into() }
    }

    /// Something that an operator must see.
    pub(crate) fn alarm(&self, n: u8) -> Alarm {
        Alarm {
            time: Timestamp::from_millis(n.into()),
            code: "fork".into(),
            peer: Some(did(n)),
            detail: format!("alarm {n}"),
            evidence: vec!["a note\n".into()],
        }
    }
}

/// The change that keeps an acknowledgement.
pub(crate) fn acknowledged(alarm: u64, acknowledgement: Acknowledgement) -> Change {
    Change::AlarmAcknowledged { alarm, acknowledgement: Box::new(acknowledgement) }
}
