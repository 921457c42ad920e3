//! Signed entries of a made-up dialogue, for tests.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{Act, ActKind, Attachment, Body, Entry, EntryId, SignedEntry, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder, SoftwareKey};
use hiwar_trust::time::Timestamp;
use serde_json::Value;

use crate::act::{Said, Void};
use crate::arrangement::{Arrangement, Texts};
use crate::event::Event;
use crate::follow_up::FollowUp;
use crate::history::{Held, in_order};
use crate::meeting::parties::{Code, Parties};

/// The parties of the tests: Korea and Japan, and the United States where a third is wanted.
pub(crate) fn parties(codes: &[&str], required: &[&str]) -> Parties {
    let parties: Vec<Value> = codes
        .iter()
        .map(|code| serde_json::json!({ "did": did(code), "code": code, "name": { "en": code } }))
        .collect();
    let arrangement: Arrangement = serde_json::from_value(serde_json::json!({
        "id": "test", "version": 1, "title": { "en": "Test" }, "parties": parties,
        "time": { "zone": "Asia/Seoul" },
        "marking": { "cap": Marking::Amber, "community": { "en": "The parties" } },
        "languages": { "required": required, "prevailing": "en" },
        "exercise": { "allowed": true },
    }))
    .unwrap();
    Parties::of_arrangement(&arrangement)
}

pub(crate) fn code(text: &str) -> Code {
    text.parse().unwrap()
}

pub(crate) fn texts(text: &str) -> Texts {
    BTreeMap::from([("en".to_owned(), text.to_owned())])
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn did(code: &str) -> Did {
    format!("did:web:{}.example", code.to_lowercase()).parse().unwrap()
}

/// The entries so far.
#[derive(Clone, Default)]
pub(crate) struct Scene {
    pub(crate) held: Vec<Held>,
    /// What the next entries are said to be made at.
    pub(crate) now: Timestamp,
}

impl Scene {
    pub(crate) fn at(now: &str) -> Self {
        Self { held: Vec::new(), now: time(now) }
    }

    /// An entry that links to the last one.
    pub(crate) fn say(&mut self, by: &str, kind: ActKind, of: Option<EntryId>, content: Value) -> EntryId {
        let prev = self.held.last().map(|held| held.entry.id).into_iter().collect();
        self.say_after(prev, by, kind, of, content)
    }

    pub(crate) fn step(&mut self, by: &str, of: EntryId, content: Value) -> EntryId {
        self.say(by, ActKind::Step, Some(of), content)
    }

    /// An entry that links to these ones.
    pub(crate) fn say_after(
        &mut self,
        prev: Vec<EntryId>,
        by: &str,
        kind: ActKind,
        of: Option<EntryId>,
        content: Value,
    ) -> EntryId {
        self.say_with(prev, by, kind, of, content, Vec::new())
    }

    pub(crate) fn say_with(
        &mut self,
        mut prev: Vec<EntryId>,
        by: &str,
        kind: ActKind,
        of: Option<EntryId>,
        content: Value,
        attachments: Vec<Attachment>,
    ) -> EntryId {
        prev.sort();
        prev.dedup();
        self.now = self.now.plus_millis(60_000);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&(self.held.len() as u64).to_be_bytes());
        let opened = EntryId(Hash::of(b"dialogue"));
        let Value::Object(content) = content else { panic!("no content: {content}") };
        let entry = Entry {
            author: did(by),
            desk: "desk".to_owned(),
            dialogue: Some(opened),
            membership: Some(opened),
            arrangement: "test/1".to_owned(),
            marking: Marking::Amber,
            time: self.now,
            prev: if prev.is_empty() { vec![opened] } else { prev },
            nonce,
            attachments,
            body: Body::Act(Act { kind, of, words: Words::default(), content }),
        };
        let key = SoftwareKey::from_seed(&[7; 32]);
        let id = key.public_key().id();
        let entry = SignedEntry::sign(entry, &key, id).unwrap();
        let said = entry.id;
        self.held.push(Held { entry, received: self.now, receipts: BTreeMap::new() });
        said
    }

    /// The state and everything that happened.
    pub(crate) fn fold(&self, parties: &Parties) -> (FollowUp, Vec<Event>, BTreeMap<EntryId, Void>) {
        fold(&self.held, parties)
    }
}

/// The state of a set of entries, everything that happened, and what is void.
pub(crate) fn fold(held: &[Held], parties: &Parties) -> (FollowUp, Vec<Event>, BTreeMap<EntryId, Void>) {
    let (mut state, mut events, mut voids) = (FollowUp::default(), Vec::new(), BTreeMap::new());
    for one in in_order(held) {
        let said = Said::of(one).unwrap();
        match state.apply(&said, parties) {
            Some(Ok(found)) => events.extend(found),
            Some(Err(void)) => drop(voids.insert(said.id, void)),
            None => {}
        }
    }
    (state, events, voids)
}
