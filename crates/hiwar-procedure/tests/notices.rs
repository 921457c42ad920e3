//! Notices between three ministries.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod world;

use hiwar_dialogue::entry::{ActKind, Body, EntryId};
use hiwar_form::{Document, Language};
use hiwar_procedure::event::EventKind;
use hiwar_procedure::notice::{self, Kind, Stage};
use hiwar_procedure::{MESSAGES, Procedures};
use serde_json::{Value, json};
use world::{World, about, act, at, did};

fn alert() -> Value {
    json!({
        "notice": "disruption-alert",
        "urgency": "Immediate", "severity": "Severe", "certainty": "Observed",
        "headline": { "en": "Individual licences for three items", "ko": "3개 품목 개별 허가" },
        "items": ["HS2017:2811.11", "JP-EXPORT-ORDER:3(1)"],
        "impact": { "en": "Chip makers have stocks for weeks." },
        "sectors": { "en": "Semiconductors" },
        "pending": ["cause", "expected-duration", "measures", "assistance"],
    })
}

fn request() -> Value {
    let mut content = alert();
    content["notice"] = json!("emergency-meeting-request");
    content
}

fn with(mut content: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        content[name] = value.clone();
    }
    content
}

fn answer(of: EntryId, status: &str) -> Body {
    act(
        ActKind::Notice,
        Some(of),
        json!({ "notice": "answer", "status": status, "headline": { "en": "Noted" } }),
    )
}

fn step(of: EntryId, content: Value) -> Body {
    act(ActKind::Step, Some(of), content)
}

#[test]
fn an_alert_is_acknowledged_answered_and_helped_with_until_it_is_closed() {
    let mut world = World::new();
    let alert = world.say(0, at("2019-07-01 01:00"), act(ActKind::Notice, None, alert()));
    world.say(1, at("2019-07-01 02:00"), Body::Acknowledgement(about(alert)));
    world.say(1, at("2019-07-01 03:00"), answer(alert, "Actual"));
    let offer =
        json!({ "notice": "offer", "offer": "alternative-suppliers", "headline": { "en": "Two makers" } });
    let offer = world.say(2, at("2019-07-01 04:00"), act(ActKind::Notice, Some(alert), offer));
    world.say(0, at("2019-07-02 01:00"), step(offer, json!({ "step": "take-offer" })));
    world.say(0, at("2019-07-03 01:00"), step(alert, json!({ "step": "close" })));
    let late = world.say(1, at("2019-07-04 01:00"), answer(alert, "Actual"));

    let state = Procedures::of(&world.held);
    let notice = state.notices.of(&alert).unwrap();
    assert_eq!(notice.stage, Stage::Closed);
    assert_eq!(notice.acknowledged, [(did(1), at("2019-07-01 02:00"))].into());
    assert_eq!(notice.replies.len(), 2);
    assert_eq!(notice.replies[1].taken, Some(true));
    let kinds: Vec<String> = state.events.iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(kinds, ["notice:disruption-alert", "acknowledged", "answered", "offered"]);
    assert_eq!(state.void.len(), 1);
    assert_eq!(state.void[&late].code, "notice-is-over");
}

#[test]
fn a_correction_stands_beside_what_it_puts_right_and_only_its_author_can_make_it() {
    let mut world = World::new();
    let alert_id = world.say(0, at("2019-07-01 01:00"), act(ActKind::Notice, None, alert()));
    let better = with(alert(), &json!({ "correction": true, "severity": "Moderate" }));
    let foreign = world.say(1, at("2019-07-01 02:00"), act(ActKind::Notice, Some(alert_id), better.clone()));
    let own = world.say(0, at("2019-07-01 03:00"), act(ActKind::Notice, Some(alert_id), better.clone()));
    let drill = with(better, &json!({ "status": "Exercise" }));
    let drill = world.say(0, at("2019-07-01 04:00"), act(ActKind::Notice, Some(own), drill));

    let state = Procedures::of(&world.held);
    let notice = state.notices.of(&own).unwrap();
    assert_eq!((notice.id, notice.versions.len()), (alert_id, 2));
    assert_eq!(notice.notice.severity, Some(notice::Severity::Moderate));
    assert_eq!(notice.versions[0].1.severity, Some(notice::Severity::Severe));
    assert_eq!(state.void[&foreign].code, "not-the-author");
    assert_eq!(state.void[&drill].code, "correction-changes-kind");
}

#[test]
fn an_exercise_is_never_answered_by_the_real_thing_nor_the_other_way_round() {
    let mut world = World::new();
    let drill = with(alert(), &json!({ "status": "Exercise" }));
    let drill = world.say(0, at("2025-10-22 01:00"), act(ActKind::Notice, None, drill));
    let real = world.say(1, at("2025-10-22 02:00"), act(ActKind::Notice, None, alert()));
    let wrong = [
        world.say(1, at("2025-10-22 03:00"), answer(drill, "Actual")),
        world.say(0, at("2025-10-22 03:00"), answer(real, "Exercise")),
        world.say(1, at("2025-10-22 03:00"), answer(drill, "Test")),
    ];
    world.say(1, at("2025-10-22 04:00"), answer(drill, "Exercise"));
    let state = Procedures::of(&world.held);
    for id in wrong {
        assert_eq!(state.void[&id].code, "other-status");
    }
    let answered: Vec<_> =
        state.events_of(&EventKind::Answered).map(|event| (event.subject, event.status)).collect();
    assert_eq!(answered, [(drill, hiwar_procedure::status::Status::Exercise)]);
    assert_eq!(state.notices.of(&real).unwrap().stage, Stage::Sent);
}

#[test]
fn what_was_said_by_telephone_counts_from_then_and_says_so() {
    let mut world = World::new();
    let before = json!({ "happened-at": "2019-07-01T01:00:00.000Z", "channel": "phone", "note": "to the officer on duty" });
    let content = with(alert(), &json!({ "re-entry": before }));
    let alert = world.say(0, at("2019-07-02 09:00"), act(ActKind::Notice, None, content));
    let state = Procedures::of(&world.held);
    assert_eq!(state.events[0].at, at("2019-07-01 01:00"));
    assert!(state.re_entered.contains_key(&alert));
    assert_eq!(state.notices.of(&alert).unwrap().at, at("2019-07-01 01:00"));
}

#[test]
fn the_order_of_arrival_changes_nothing() {
    let mut world = World::new();
    let alert_id = world.say(0, at("2019-07-01 01:00"), act(ActKind::Notice, None, alert()));
    // Two parties speak without having seen each other.
    world.say_beside(1, at("2019-07-01 05:00"), &[alert_id], answer(alert_id, "Actual"));
    world.say_beside(0, at("2019-07-01 04:00"), &[alert_id], step(alert_id, json!({ "step": "close" })));
    world.say_beside(2, at("2019-07-01 03:00"), &[alert_id], answer(alert_id, "Actual"));
    let wanted = serde_json::to_string(&Procedures::of(&world.held)).unwrap();
    for turn in 0..world.held.len() {
        let mut other = world.held.clone();
        other.rotate_left(turn);
        assert_eq!(serde_json::to_string(&Procedures::of(&other)).unwrap(), wanted);
        other.reverse();
        assert_eq!(serde_json::to_string(&Procedures::of(&other)).unwrap(), wanted);
    }
    assert!(wanted.contains("notice-is-over"), "the answer that came after the end is shown, and void");
}

/// Source of the fields: IPEF Supply Chain Agreement, Article 12 (case), Regulation (EU) 2023/1781, Article 25
/// (mandatory requests), Regulation (EU) 2019/1715, Article 17 (missing data never delay an alert).
#[test]
fn bad_notices_are_told_field_by_field_in_four_languages() {
    let mandatory =
        json!({ "notice": "information-request", "obligation": "mandatory", "headline": { "en": "Stocks" } });
    let cases: [(Value, &[(&str, &str)]); 8] = [
        (json!({ "notice": "alarm" }), &[("notice", "not-one-of")]),
        (with(alert(), &json!({ "urgency": null })), &[("urgency", "missing-choice")]),
        (
            with(alert(), &json!({ "pending": ["cause", "measures"] })),
            &[("expected-duration", "say-or-pending"), ("assistance", "say-or-pending")],
        ),
        (with(alert(), &json!({ "cause": { "en": "A rule" } })), &[("cause", "said-and-pending")]),
        (
            with(alert(), &json!({ "items": ["2811.11"], "onset": "2019-07-01" })),
            &[("onset", "not-a-time"), ("items[0]", "not-an-item")],
        ),
        (
            with(
                alert(),
                &json!({ "onset": "2019-07-02T00:00:00.000Z", "expires": "2019-07-01T00:00:00.000Z" }),
            ),
            &[("expires", "expires-before-onset")],
        ),
        (
            mandatory,
            &[
                ("legal-basis", "mandatory-needs"),
                ("minimum-data", "mandatory-needs"),
                ("deadline", "mandatory-needs"),
                ("copy-to", "mandatory-needs"),
            ],
        ),
        (
            with(alert(), &json!({ "severty": "Severe", "headline": {} })),
            &[("headline", "not-texts"), ("severty", "unknown-meant")],
        ),
    ];
    for (content, wanted) in cases {
        let faults = notice::read(&Document::of(content.clone())).unwrap_err();
        let found: Vec<(&str, &str)> = faults.0.iter().map(|f| (f.place.field.as_str(), f.code)).collect();
        assert_eq!(found, wanted, "{content}");
        let said: Vec<String> =
            Language::ALL.iter().map(|language| faults.say(&MESSAGES, *language)).collect();
        for (index, text) in said.iter().enumerate() {
            assert!(faults.0.iter().all(|fault| !text.contains(fault.code)), "a message is missing: {text}");
            assert!(said[..index].iter().all(|other| other != text), "{text}");
        }
    }
}

/// The meeting names the corrected request; it counts for the request, once.
#[test]
fn a_meeting_that_a_request_asked_for_counts_for_the_request_once() {
    let mut world = World::new();
    let asked = world.say(0, at("2025-10-22 01:00"), act(ActKind::Notice, None, request()));
    let better = with(request(), &json!({ "correction": true }));
    let better = world.say(0, at("2025-10-22 02:00"), act(ActKind::Notice, Some(asked), better));
    let convening = json!({
        "title": { "en": "Emergency" }, "body": "ministers", "starts": "2025-10-25T01:00:00.000Z",
        "ends": "2025-10-25T02:00:00.000Z", "zone": "Asia/Seoul", "requested-by": better,
    });
    let meeting = world.say(1, at("2025-10-23 01:00"), act(ActKind::Meeting, None, convening));
    let held = json!({
        "step": "held", "sequence": 0, "starts": "2025-10-25T01:00:00.000Z", "ends": "2025-10-25T02:00:00.000Z",
        "attendance": { "did:web:motie.example": 2 },
    });
    world.say(1, at("2025-10-25 03:00"), step(meeting, held));
    let state = Procedures::of(&world.held);
    assert_eq!(state.void, std::collections::BTreeMap::new());
    for kind in [EventKind::MeetingConvened, EventKind::MeetingHeld] {
        let subjects: Vec<EntryId> = state.events_of(&kind).map(|event| event.subject).collect();
        assert_eq!(subjects, [meeting, better], "{kind}");
    }
    let notice = state.notices.of(&asked).unwrap();
    assert_eq!((notice.stage, notice.meetings.as_slice()), (Stage::MeetingHeld, &[meeting][..]));
}

/// The published schema takes what the reader takes, and refuses what it refuses; only an order of times it cannot
/// express.
#[test]
fn the_published_schema_and_the_reader_agree() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schemas/notice.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut contents: Vec<Value> = notice::Kind::CHOICES
        .iter()
        .map(|(name, _)| Document::toml(None, notice::blank(name).unwrap()).unwrap().value().clone())
        .collect();
    contents.push(alert());
    contents.push(with(alert(), &json!({ "correction": true, "permitted": "none" })));
    let mut refused = 0;
    for content in &contents {
        assert!(
            schema.is_valid(content) && notice::read(&Document::of(content.clone())).is_ok(),
            "{content}"
        );
        for (name, value) in content.as_object().unwrap() {
            for other in [
                Value::Null,
                json!(7),
                json!("Nobody"),
                json!({}),
                json!([]),
                json!({ "en": "Text" }),
                json!(true),
            ] {
                let mut changed = content.clone();
                match other {
                    Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
                    other => changed[name] = other,
                }
                let read = notice::read(&Document::of(changed.clone()));
                refused += usize::from(read.is_err());
                assert_eq!(schema.is_valid(&changed), read.is_ok(), "{name} of {value}: {changed}: {read:?}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_request_for_a_meeting_says_the_same_as_an_alert() {
    let read = notice::read(&Document::of(request())).unwrap();
    assert_eq!(read.kind, Kind::EmergencyMeetingRequest);
    assert_eq!(read.case.unwrap().pending.len(), 4);
}
