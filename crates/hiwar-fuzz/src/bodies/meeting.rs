//! Meetings, minutes, commitments: their forms, and answers of calendar programs.

use std::collections::BTreeMap;

use hiwar_form::{Document, Faults, Language};
use hiwar_procedure::MESSAGES;
use hiwar_procedure::calendar::{Address, read_reply};
use hiwar_procedure::commitment::CommitmentId;
use hiwar_procedure::commitment::form::{read_commitment_step, read_proposal};
use hiwar_procedure::meeting::form::{MeetingStep, read_convening, read_meeting_step};
use hiwar_procedure::meeting::minutes::{read_draft, read_minutes_step};
use hiwar_procedure::meeting::parties::{Code, Parties};
use serde::Serialize;
use serde_json::{Value, json};

use super::{REFUSAL_BYTES_MAX, answered, text};
use crate::sample;

/// What was read is written, and read again as the same; every fault is said in every language.
fn form<T: Serialize + PartialEq + std::fmt::Debug>(
    document: &Document,
    read: impl Fn(&Document) -> Result<T, Faults>,
) {
    match read(document) {
        Ok(found) => {
            crate::outcome::report_text(&"accepted");
            let written = serde_json::to_value(&found).unwrap_or_default();
            assert_eq!(read(&Document::of(written.clone())).as_ref(), Ok(&found), "written as {written}");
        }
        Err(faults) => {
            assert!(!faults.0.is_empty());
            for fault in &faults.0 {
                crate::outcome::report_text(&fault.code);
                assert!(MESSAGES.has(fault.code), "no message {}", fault.code);
                for language in Language::ALL {
                    let said = fault.say(&MESSAGES, language);
                    assert!(
                        said.len() <= REFUSAL_BYTES_MAX + fault.place.field.len(),
                        "{} bytes",
                        said.len()
                    );
                }
            }
        }
    }
}

/// The form of any act about a meeting, minutes or a commitment.
pub fn meeting_form(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(document) = Document::json(Some("form.json"), text) else { return };
    form(&document, read_convening);
    form(&document, read_meeting_step);
    form(&document, read_draft);
    form(&document, read_minutes_step);
    form(&document, read_proposal);
    form(&document, read_commitment_step);
    if let Some(name) = document.value().get("by").and_then(Value::as_str)
        && let Ok(id) = name.parse::<CommitmentId>()
    {
        assert_eq!(id.to_string(), name);
    }
}

/// One form of each kind.
pub fn meeting_form_seeds() -> Vec<Vec<u8>> {
    let (entry, times) = (sample::hash(1), ("2024-06-14T01:00:00.000Z", "2024-06-14T03:00:00.000Z"));
    let item = json!({ "id": "a1", "title": { "en": "A", "ko": "가" }, "submitter": "KR", "about": [entry] });
    let terms = json!({ "owner": "KR", "desk": "d", "texts": { "en": "T" }, "due": { "days": 3, "after": "meeting-held" },
        "evidence": { "en": "E" }, "confirm": ["JP"] });
    let convening = json!({ "title": { "en": "M" }, "body": "wg-1", "series": 1, "status": "Exercise", "zone": "Asia/Seoul",
        "starts": times.0, "ends": times.1, "place": { "en": "Seoul" }, "link": "https://meet.example/1", "sequence": 2,
        "requested-by": entry, "agenda": [item] });
    let draft = json!({ "revision": 1, "items": [{ "id": "a1", "texts": { "en": "I" } }],
        "decisions": [{ "id": "d1", "texts": { "en": "D" }, "commitments": [terms] }] });
    let steps = [
        json!({ "step": "accept", "sequence": 0 }),
        json!({ "step": "counter", "sequence": 0, "starts": times.0, "ends": times.1 }),
        json!({ "step": "accept-counter", "sequence": 0, "of-counter": entry }),
        json!({ "step": "held", "sequence": 0, "attendance": { "KR": 3 }, "starts": times.0, "ends": times.1 }),
        json!({ "step": "propose-item", "sequence": 0, "item": item }),
        json!({ "step": "comment", "item": "a1", "texts": { "en": "T" } }),
        json!({ "step": "reserve", "texts": { "en": "T" } }),
        json!({ "step": "progress", "commitment": "d1/0", "texts": { "en": "T" }, "percent": 50 }),
        json!({ "step": "done", "evidence": [entry] }),
        json!({ "step": "supersede", "by": format!("{entry}/d1/0") }),
    ];
    let others = ["2024-06-14"].map(|date| {
        let mut proposal = terms.clone();
        proposal["due"] = json!({ "date": date });
        proposal
    });
    [convening, draft, terms]
        .iter()
        .chain(&steps)
        .chain(&others)
        .map(|v| v.to_string().into_bytes())
        .collect()
}

/// A file of a stranger's calendar program.
pub fn calendar_reply(data: &[u8]) {
    let parties = Parties::of_members(&[sample::did(0), sample::did(1)]);
    let addresses: BTreeMap<Code, Address> = parties
        .codes()
        .filter_map(|code| Some((code.clone(), "mailto:suiso@meti.example".parse().ok()?)))
        .take(1)
        .collect();
    let read = read_reply(data, &parties, &addresses);
    answered(&read);
    match read {
        Ok(reading) => {
            assert!(reading.party.is_none_or(|party| parties.has(&party)));
            // What is read fits the form of a step, so that a desk can sign it.
            let written = serde_json::to_value(&reading.step).unwrap_or_default();
            let step = read_meeting_step(&Document::of(written));
            assert_eq!(step.as_ref(), Ok(&reading.step));
            if let MeetingStep::Counter { starts, ends, .. } = reading.step {
                assert!(starts < ends);
            }
        }
        Err(error) => {
            for language in Language::ALL {
                assert!(error.say(language).len() <= REFUSAL_BYTES_MAX);
            }
        }
    }
}

/// Answers as several programs write them.
pub fn calendar_reply_seeds() -> Vec<Vec<u8>> {
    let uid = sample::hash(1);
    let party = sample::did(1);
    [
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nSEQUENCE:1\r\nDTSTAMP:20240602T000000Z\r\nATTENDEE;CN=\"Desk; two\";PARTSTAT=ACCEPTED:{party}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"),
        format!("BEGIN:VCALENDAR\nMETHOD:COUNTER\nBEGIN:VEVENT\nUID:{uid}\nDTSTART:20240620T010000Z\nDURATION:P1DT2H30M\nATTENDEE:mailto:suiso@meti.example\nEND:VEVENT\nEND:VCALENDAR\n"),
        format!("BEGIN:VCALENDAR\r\nMETHOD:COUNTER\r\nBEGIN:VTIMEZONE\r\nTZID:Korea Standard Time\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0900\r\nTZOFFSETTO:+0900\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART;TZID=\"Korea Standard Time\":20240620T100000\r\nDTEND;TZID=Europe/Zurich:20240620T12\r\n 0000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"),
    ]
    .map(String::into_bytes)
    .to_vec()
}
