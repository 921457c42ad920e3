//! An arrangement and entries for tests.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "only for tests")]

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{Act, ActKind, Body, Entry, EntryId, SignedEntry, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_form::Document;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder as _, KeyId, SoftwareKey};
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{Arrangement, Texts, read};
use crate::history::Held;

pub(crate) fn did(name: &str) -> Did {
    format!("did:web:{name}.example").parse().unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn texts(text: &str) -> Texts {
    ["en", "ko", "ja", "ar"].map(|tag| (tag.to_owned(), format!("{text} ({tag})"))).into()
}

pub(crate) fn id(seed: &str) -> EntryId {
    EntryId(Hash::of(seed.as_bytes()))
}

/// A small arrangement of KR and JP with one clock of each owner.
pub(crate) fn value() -> Value {
    let clock = |id: &str, starts: &str, ends: &str, owner: &str, due: Value| json!({ "id": id, "title": { "en": id, "ko": id }, "starts": starts, "ends": ends, "owner": owner, "due": due });
    let mut meeting = clock(
        "emergency-meeting",
        "notice:emergency-meeting-request",
        "meeting-held",
        "any",
        json!({ "within": "15 d", "to-end-of-day": true }),
    );
    meeting["body"] = json!("wg");
    meeting["remind"] = json!(["5 d", "1 d"]);
    meeting["escalate"] = json!([{ "after": "0 h" }, { "after": "7 d" }]);
    json!({
        "id": "sample", "version": 1, "title": { "en": "Sample", "ko": "견본" },
        "sources": [{ "title": "A text", "clause": "Article 1", "url": "https://a.example/text" }],
        "parties": [
            { "did": "did:web:kr.example", "code": "KR", "name": { "en": "Korea", "ko": "한국" },
              "holidays": ["2024-10-09"] },
            { "did": "did:web:jp.example", "code": "JP", "name": { "en": "Japan", "ko": "일본" },
              "desks": [{ "name": "policy", "may": ["*"] }, { "name": "alerts", "may": ["notice"] }] }
        ],
        "bodies": [
            { "id": "ministers", "name": { "en": "Ministers", "ko": "장관" }, "level": "ministers" },
            { "id": "directors", "name": { "en": "Directors", "ko": "국장" }, "level": "directors", "above": "ministers" },
            { "id": "wg", "name": { "en": "Working group", "ko": "작업반" }, "level": "working-group", "above": "directors" }
        ],
        "allows": ["notice", "meeting", "minutes"],
        "time": { "zone": "Asia/Seoul" },
        "clocks": [
            meeting,
            clock("acknowledge", "notice:disruption-alert", "acknowledged", "others", json!({ "within": "24 h" })),
            clock("follow-up", "notice:disruption-alert", "answered", "author", json!({ "within": "48 h" })),
            clock("goods", "in-force", "delivered:critical-goods", "each", json!({ "within": "120 d", "to-end-of-day": true })),
            clock("report", "delivered:report", "delivered:report", "author", json!({ "within": "24 months", "to-end-of-day": true })),
            clock("chair", "in-force", "delivered:chair", "KR", json!({ "within": "60 d", "to-end-of-day": true }))
        ],
        "marking": { "cap": "TLP:AMBER", "community": { "en": "Both ministries", "ko": "두 부처" } },
        "languages": { "required": ["en", "ko"], "prevailing": "en" },
        "exercise": { "allowed": false },
        "four-eyes": ["notice:disruption-alert"]
    })
}

pub(crate) fn arrangement() -> Arrangement {
    read(&Document::of(value())).unwrap()
}

pub(crate) fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

pub(crate) fn act(kind: ActKind, of: Option<EntryId>, content: Value) -> Body {
    Body::Act(Act { kind, of, words: Words::default(), content: members(content) })
}

pub(crate) fn step(of: EntryId, step: &str) -> Body {
    act(ActKind::Step, Some(of), json!({ "step": step }))
}

/// An entry that this node stored at the moment that it claims.
pub(crate) fn held(author: &str, time: Timestamp, prev: &[EntryId], body: Body) -> Held {
    let mut prev = prev.to_vec();
    prev.sort_unstable();
    prev.dedup();
    let key = SoftwareKey::from_seed(&[7; 32]);
    let key_id = KeyId(Hash::of(key.public_key().as_bytes()));
    let entry = Entry {
        author: did(author),
        desk: "policy".to_owned(),
        dialogue: Some(id("dialogue")),
        membership: Some(id("dialogue")),
        arrangement: "sample".to_owned(),
        marking: Marking::Green,
        time,
        prev,
        nonce: [0; 16],
        attachments: Vec::new(),
        body,
    };
    let entry = SignedEntry::sign(entry, &key, key_id).unwrap();
    Held { entry, received: time, receipts: BTreeMap::new() }
}
