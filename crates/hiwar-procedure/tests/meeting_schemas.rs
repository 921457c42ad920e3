//! The published JSON Schemas of meetings, minutes, commitments and steps say the same as the readers of these forms.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::path::Path;

use hiwar_form::Document;
use hiwar_procedure::commitment::form::{read_commitment_step, read_proposal};
use hiwar_procedure::meeting::form::{read_convening, read_meeting_step};
use hiwar_procedure::meeting::minutes::{read_draft, read_minutes_step};
use serde_json::{Value, json};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

const ENTRY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn meeting() -> Value {
    json!({ "title": { "en": "M", "ko-Hang": "회의" }, "body": "wg-1", "series": 1, "status": "Exercise", "zone": "Asia/Seoul",
        "starts": "2024-06-14T01:00:00.000Z", "ends": "2024-06-14T03:00:00.000Z", "place": { "en": "Seoul" },
        "link": "https://meet.example/1?a=b", "sequence": 2, "requested-by": ENTRY,
        "agenda": [{ "id": "a1", "title": { "en": "A" }, "submitter": "did:web:motie.example", "about": [ENTRY] }] })
}

fn terms() -> Value {
    json!({ "owner": "KR", "desk": "hydrogen", "body": "wg-1", "texts": { "en": "T" }, "due": { "days": 3, "after": "notice:x-1" },
        "evidence": { "en": "E" }, "confirm": ["JP"] })
}

fn minutes() -> Value {
    json!({ "revision": 1, "items": [{ "id": "a1", "texts": { "en": "I" } }],
        "decisions": [{ "id": "d1", "texts": { "en": "D" }, "commitments": [terms()] }] })
}

fn steps() -> [Vec<Value>; 3] {
    let (starts, ends) = ("2024-06-14T01:00:00.000Z", "2024-06-14T03:00:00.000Z");
    let texts = json!({ "en": "T" });
    [
        vec![
            json!({ "step": "accept", "sequence": 0 }),
            json!({ "step": "decline", "sequence": 0 }),
            json!({ "step": "tentative", "sequence": 0 }),
            json!({ "step": "cancel", "sequence": 0 }),
            json!({ "step": "counter", "sequence": 0, "starts": starts, "ends": ends }),
            json!({ "step": "accept-counter", "sequence": 0, "of-counter": ENTRY }),
            json!({ "step": "held", "sequence": 0, "attendance": { "KR": 3 }, "starts": starts, "ends": ends }),
            json!({ "step": "propose-item", "sequence": 0, "item": meeting()["agenda"][0] }),
        ],
        vec![
            json!({ "step": "comment", "item": "a1", "texts": texts }),
            json!({ "step": "agree" }),
            json!({ "step": "reserve", "texts": texts }),
        ],
        vec![
            json!({ "step": "accept" }),
            json!({ "step": "refuse", "commitment": "d1/0" }),
            json!({ "step": "progress", "texts": texts, "percent": 50 }),
            json!({ "step": "done", "evidence": [ENTRY] }),
            json!({ "step": "accept-done" }),
            json!({ "step": "reject-done", "texts": texts }),
            json!({ "step": "withdraw" }),
            json!({ "step": "supersede", "by": format!("{ENTRY}/d1/0") }),
        ],
    ]
}

/// Every place of a document that holds something.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push(path.clone());
                places(value, &path, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let path = format!("{path}/{index}");
                found.push(path.clone());
                places(value, &path, found);
            }
        }
        _ => {}
    }
}

/// The document, and what it becomes when one place is damaged or left out, or a member is added.
fn variants(document: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let mut variants = vec![document.clone()];
    for path in found {
        for wrong in [
            json!(-1),
            json!(7.5),
            json!(""),
            json!("a b"),
            json!([]),
            json!({}),
            json!([1]),
            json!({ "x": 1 }),
            json!(true),
        ] {
            let mut variant = document.clone();
            *variant.pointer_mut(&path).unwrap() = wrong;
            variants.push(variant);
        }
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut variant = document.clone();
        match variant.pointer_mut(parent).unwrap() {
            Value::Object(members) => drop(members.remove(name)),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            _ => {}
        }
        variants.push(variant);
        if let Some(Value::Object(members)) =
            document.pointer(&path).filter(|value| value.get("en").is_none())
        {
            let mut variant = document.clone();
            let mut members = members.clone();
            members.insert("surplus-member".to_owned(), json!(1));
            *variant.pointer_mut(&path).unwrap() = Value::Object(members);
            variants.push(variant);
        }
    }
    variants
}

fn compare(name: &str, document: &Value, reads: &dyn Fn(&Document) -> bool) -> usize {
    let validator = jsonschema::options().build(&schema(name)).unwrap();
    assert!(validator.is_valid(document), "{name}: {document}");
    let variants = variants(document);
    for variant in &variants {
        let read = reads(&Document::of(variant.clone()));
        assert_eq!(
            validator.is_valid(variant),
            read,
            "{name}: the schema and the reader differ about {variant}"
        );
    }
    assert!(reads(&Document::of(document.clone())), "{name}: {document}");
    variants.len()
}

#[test]
fn schemas_and_readers_agree() {
    let mut compared = compare("meeting", &meeting(), &|document| read_convening(document).is_ok());
    compared += compare("minutes", &minutes(), &|document| read_draft(document).is_ok());
    let mut proposal = terms();
    proposal["status"] = json!("Test");
    compared += compare("commitment", &proposal, &|document| read_proposal(document).is_ok());
    for due in [
        json!({ "date": "2024-06-14" }),
        json!({ "months": 3, "after": "in-force" }),
        json!({ "next-meeting": "b" }),
    ] {
        proposal["due"] = due;
        compared += compare("commitment", &proposal, &|document| read_proposal(document).is_ok());
    }
    let reads = |document: &Document| {
        read_meeting_step(document).is_ok()
            || read_minutes_step(document).is_ok()
            || read_commitment_step(document).is_ok()
    };
    for step in steps().iter().flatten() {
        compared += compare("step", step, &reads);
    }
    assert!(compared > 1_000, "{compared} documents compared");
}
