//! A dialogue made in memory: three parties, signed entries, any order of arrival.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test wants to stop at once, and none uses everything"
)]

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{About, Act, ActKind, Body, Entry, EntryId, Membership, SignedEntry, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_procedure::history::Held;
use hiwar_trust::did::Did;
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::time::Timestamp;
use serde_json::Value;

/// The parties, by number.
pub(crate) const PARTIES: [&str; 3] =
    ["did:web:motie.example", "did:web:meti.example", "did:web:mofcom.example"];

pub(crate) fn did(party: usize) -> Did {
    PARTIES[party].parse().unwrap()
}

/// A time in UTC, to the minute: `2024-04-22 05:00`.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("{}:00.000Z", text.replace(' ', "T")).parse().unwrap()
}

pub(crate) fn words(text: &str) -> Words {
    Words { texts: [("en".to_owned(), text.to_owned())].into(), prevailing: None }
}

pub(crate) fn act(kind: ActKind, of: Option<EntryId>, content: Value) -> Body {
    let content = content.as_object().unwrap().clone();
    Body::Act(Act { kind, of, words: Words::default(), content })
}

pub(crate) fn about(of: EntryId) -> About {
    About { of, words: Words::default() }
}

/// A dialogue under way.
pub(crate) struct World {
    pub(crate) held: Vec<Held>,
    pub(crate) opening: EntryId,
    keys: Vec<SoftwareKey>,
    heads: Vec<EntryId>,
    nonce: u128,
}

impl World {
    pub(crate) fn new() -> Self {
        let keys = (1..=3).map(|seed| SoftwareKey::from_seed(&[seed; 32])).collect();
        let zero = EntryId(hiwar_trust::hash::Hash::of(b"none"));
        let mut world = Self { held: Vec::new(), opening: zero, keys, heads: Vec::new(), nonce: 0 };
        let mut parties: Vec<Did> = (0..PARTIES.len()).map(did).collect();
        parties.sort();
        let membership = Membership {
            title: words("Hydrogen fluoride").texts,
            parties,
            cap: Marking::Red,
            replaces: None,
        };
        world.opening = world.sign(0, at("2019-06-30 00:00"), Vec::new(), Body::Membership(membership));
        world.heads = vec![world.opening];
        world
    }

    fn sign(&mut self, party: usize, time: Timestamp, prev: Vec<EntryId>, body: Body) -> EntryId {
        self.nonce += 1;
        let opens = matches!(body, Body::Membership(_));
        let entry = Entry {
            author: did(party),
            desk: "trade-security".to_owned(),
            dialogue: (!opens).then_some(self.opening),
            membership: (!opens).then_some(self.opening),
            arrangement: "Director-level dialogue".to_owned(),
            marking: Marking::Green,
            time,
            prev,
            nonce: self.nonce.to_be_bytes(),
            attachments: Vec::new(),
            body,
        };
        let key = &self.keys[party];
        let entry = SignedEntry::sign(entry, key, key.public_key().id()).unwrap();
        let id = entry.id;
        self.held.push(Held { entry, received: time, receipts: BTreeMap::new() });
        id
    }

    /// A party that has seen everything says something.
    pub(crate) fn say(&mut self, party: usize, time: Timestamp, body: Body) -> EntryId {
        let mut prev = self.heads.clone();
        prev.sort();
        let id = self.sign(party, time, prev, body);
        self.heads = vec![id];
        id
    }

    /// A party that has seen only `prev` says something, beside the others.
    pub(crate) fn say_beside(
        &mut self,
        party: usize,
        time: Timestamp,
        prev: &[EntryId],
        body: Body,
    ) -> EntryId {
        let mut prev = prev.to_vec();
        prev.sort();
        self.heads.retain(|head| !prev.contains(head));
        let id = self.sign(party, time, prev, body);
        self.heads.push(id);
        id
    }
}
