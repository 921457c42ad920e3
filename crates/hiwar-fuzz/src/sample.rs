//! Valid things made in code: what the mutations start from, and the participants that the bodies
//! know. The keys are made of constants and protect nothing.
#![expect(
    clippy::expect_used,
    reason = "constants are valid or this crate is broken; nothing here is an input"
)]

use std::sync::{Arc, LazyLock};

use hiwar_dialogue::entry::{
    About, Act, ActKind, Attachment, Body, Entry, EntryId, Membership, SignedEntry, Texts, Words,
};
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::{Briefing, ChallengeAnswer, KeyDirectory, LogState, WireReceipt};
use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{
    CARD_TYPE, Card, DeliveryMode, Identity, LogContinuation, RevokedKey, SignedCard,
};
use hiwar_trust::key::{KeyHolder, SoftwareKey};
use hiwar_trust::merkle;
use hiwar_trust::note::KeyName;
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;

/// The participants that the bodies know, by number.
pub const PARTICIPANTS: [&str; 2] = ["did:web:motie.example", "did:web:meti.example%3A8443:node:one"];

/// 2019-07-01T01:00:00Z, in milliseconds since 1970.
const NOON_MS: i64 = 1_561_942_800_000;

/// The key number `number`.
pub fn software_key(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32])
}

/// The key that signs entries for a participant: the one of its newest card.
pub fn organisation_key(participant: u8) -> SoftwareKey {
    software_key(participant * 10 + 1)
}

/// The key that signs requests, receipts and checkpoints for a participant.
pub fn node_key(participant: u8) -> SoftwareKey {
    software_key(participant * 10 + 3)
}

/// A participant's identifier.
pub fn did(participant: u8) -> Did {
    let text = PARTICIPANTS.get(usize::from(participant)).copied().unwrap_or("did:web:other.example");
    text.parse().expect("constant")
}

/// The time `minutes` after the sample world begins.
pub fn time(minutes: i64) -> Timestamp {
    Timestamp::from_millis(NOON_MS + minutes * 60_000)
}

/// A digest of a number.
pub fn hash(number: u64) -> Hash {
    Hash::of(&number.to_be_bytes())
}

/// The first card of a participant, not signed.
pub fn card(participant: u8) -> Card {
    Card {
        kind: CARD_TYPE.to_owned(),
        did: did(participant),
        name: "산업통상자원부 \"MOTIE\"".to_owned(),
        sequence: 0,
        previous: None,
        time: time(0),
        organisation_key: software_key(participant * 10).public_key().clone(),
        node_key: node_key(participant).public_key().clone(),
        recovery_key: Some(software_key(participant * 10 + 2).public_key().clone()),
        endpoints: vec!["https://node.example:8443/".to_owned()],
        tls_key: Some(hash(1)),
        delivery: DeliveryMode::Push,
        log_origin: format!("{}/log/1", did(participant)),
        log_continues: None,
        revoked: Vec::new(),
    }
}

/// Three cards of a participant: the first, a rotation of the organisation key, and one signed
/// with the recovery key that revokes the first key and continues a restored log.
pub fn chain(participant: u8) -> Vec<SignedCard> {
    let (first_key, current, recovery) =
        (software_key(participant * 10), organisation_key(participant), software_key(participant * 10 + 2));
    let first = card(participant);
    let second = Card {
        sequence: 1,
        previous: first.hash().ok(),
        time: time(10),
        organisation_key: current.public_key().clone(),
        ..first.clone()
    };
    let third = Card {
        sequence: 2,
        previous: second.hash().ok(),
        time: time(20),
        delivery: DeliveryMode::Pull,
        endpoints: Vec::new(),
        tls_key: None,
        log_origin: format!("{}/log/2", did(participant)),
        log_continues: Some(LogContinuation { origin: first.log_origin.clone(), size: 17, root: hash(2) }),
        revoked: vec![RevokedKey {
            key: first_key.public_key().id(),
            since: time(5),
            reason: "laptop\tlost".to_owned(),
        }],
        ..second.clone()
    };
    vec![
        first.sign(&[&first_key]).expect("constant"),
        second.sign(&[&first_key, &current]).expect("constant"),
        third.sign(&[&recovery, &current]).expect("constant"),
    ]
}

/// The verified identity of a participant.
pub fn identity(participant: u8) -> Arc<Identity> {
    Arc::new(Identity::verify(chain(participant)).expect("constant"))
}

/// The identities of both participants.
pub static DIRECTORY: LazyLock<KeyDirectory> = LazyLock::new(|| {
    let mut directory = KeyDirectory::default();
    directory.insert(identity(0));
    directory.insert(identity(1));
    directory
});

fn words(pairs: &[(&str, &str)]) -> Words {
    let texts: Texts = pairs.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned())).collect();
    Words { prevailing: texts.keys().next().cloned(), texts }
}

/// One entry of every type, signed by participant 0.
pub fn entries() -> Vec<SignedEntry> {
    let of = EntryId(hash(3));
    let said = words(&[
        ("en", "As agreed.\n\"Yes\""),
        ("ko", "합의한 대로"),
        ("ar", "كما اتفقنا"),
        ("zh-Hant", "𠮷"),
    ]);
    let about = || About { of, words: said.clone() };
    let silent = || About { of, words: Words::default() };
    let act = |kind, of| {
        let content = serde_json::json!({ "kind": "answer", "days": 15, "parts": [{ "en": "text", "wavelength": "15.5" }] });
        let content = content.as_object().cloned().expect("constant");
        Act { kind, of, words: said.clone(), content }
    };
    let membership = |replaces| Membership {
        title: said.texts.clone(),
        parties: {
            let mut parties = vec![did(0), did(1)];
            parties.sort();
            parties
        },
        cap: Marking::AmberStrict,
        replaces,
    };
    [
        Body::Membership(membership(None)),
        Body::Statement(said.clone()),
        Body::Attachment(Words::default()),
        Body::Correction(about()),
        Body::Withdrawal(silent()),
        Body::Dispute(about()),
        Body::Acknowledgement(silent()),
        Body::Membership(membership(Some(EntryId(hash(4))))),
        Body::Assent(silent()),
        Body::Refusal(about()),
        Body::Act(act(ActKind::Notice, None)),
        Body::Act(act(ActKind::Step, Some(EntryId(hash(3))))),
    ]
    .into_iter()
    .map(sign_entry)
    .collect()
}

fn sign_entry(body: Body) -> SignedEntry {
    let opens = matches!(&body, Body::Membership(m) if m.replaces.is_none());
    let files = usize::from(matches!(&body, Body::Attachment(_))) * 2;
    let attachment = |number: u64| Attachment {
        name: format!("측정값 {number}.csv"),
        media_type: "text/csv; charset=utf-8".to_owned(),
        size: 1 << (number * 20),
        sha256: hash(number),
    };
    let mut prev = vec![EntryId(hash(5)), EntryId(hash(6))];
    prev.sort();
    let entry = Entry {
        author: did(0),
        desk: "export-control".to_owned(),
        dialogue: (!opens).then_some(EntryId(hash(7))),
        membership: (!opens).then_some(EntryId(hash(4))),
        arrangement: "kr-jp-2024".to_owned(),
        marking: Marking::Amber,
        time: time(30),
        prev: if opens { Vec::new() } else { prev },
        nonce: [7; 16],
        attachments: (0..3).take(files).map(attachment).collect(),
        body,
    };
    let key = organisation_key(0);
    SignedEntry::sign(entry, &key, key.public_key().id()).expect("constant")
}

/// A checkpoint of a participant's log with `size` entries.
pub fn checkpoint(participant: u8, size: u64) -> Checkpoint {
    let leaves: Vec<Hash> = (0..size).map(hash).collect();
    Checkpoint::new(&format!("{}/log/2", did(participant)), size, merkle::root(&leaves)).expect("constant")
}

/// A signed-note name.
pub fn key_name(text: &str) -> KeyName {
    text.parse().expect("constant")
}

/// A signed checkpoint with a cosignature, as text.
pub fn signed_checkpoint(participant: u8, size: u64) -> String {
    let checkpoint = checkpoint(participant, size);
    let (name, other) = (key_name(did(participant).as_str()), key_name("did:web:witness.example"));
    let mut note = checkpoint.sign(&name, &node_key(participant)).expect("constant");
    note.add(checkpoint.cosign(&other, &software_key(99), 1_561_942_800).expect("constant"))
        .expect("constant");
    note.to_string()
}

/// A signed receipt by participant 0 for `count` items.
pub fn receipt(count: u64) -> SignedReceipt {
    let item = |number: u64| ReceiptItem {
        kind: if number.is_multiple_of(2) { ItemKind::Entry } else { ItemKind::Attachment },
        hash: hash(number),
        leaf: number + 3,
    };
    let receipt = Receipt {
        issuer: did(0),
        to: did(1),
        time: time(40),
        log: checkpoint(0, count + 3),
        items: (0..count).map(item).collect(),
    };
    receipt.sign(&node_key(0)).expect("constant")
}

/// A briefing by participant 0 with every member set.
pub fn briefing() -> Briefing {
    let leaves: Vec<Hash> = (0..9).map(hash).collect();
    Briefing {
        time: time(50),
        knows_card: 2,
        cards: chain(0).into_iter().skip(1).collect(),
        log: LogState { checkpoint: signed_checkpoint(0, 9), from: 8, proof: leaves },
        knows_size: 5,
        cosigned: Some(signed_checkpoint(1, 5)),
        receipts: vec![WireReceipt::from(&receipt(3))],
        wanted: vec![EntryId(hash(1))],
        heads: Some([(EntryId(hash(7)), vec![EntryId(hash(1)), EntryId(hash(2))])].into_iter().collect()),
        gossip: vec![signed_checkpoint(1, 4)],
        challenges: vec![3, 1 << 40],
        answers: vec![ChallengeAnswer { size: 3, proof: vec![hash(1)] }],
        ahead: Some(signed_checkpoint(1, 7)),
    }
}

/// A briefing by participant 0 with only what must be there.
pub fn short_briefing() -> Briefing {
    Briefing {
        cards: Vec::new(),
        cosigned: None,
        receipts: Vec::new(),
        wanted: Vec::new(),
        heads: None,
        gossip: Vec::new(),
        challenges: Vec::new(),
        answers: Vec::new(),
        ahead: None,
        ..briefing()
    }
}
