use hiwar_dialogue::entry::{ActKind, EntryId};
use serde_json::{Value, json};

use super::form::read_convening;
use super::minutes::{MinutesPhase, read_draft};
use super::*;
use crate::scene::{Scene, code, parties};

fn convening(sequence: u32, day: &str) -> Value {
    json!({ "title": { "en": "Hydrogen dialogue" }, "body": "directors", "zone": "Asia/Seoul", "sequence": sequence,
        "starts": format!("{day}T01:00:00.000Z"), "ends": format!("{day}T03:00:00.000Z"),
        "agenda": [{ "id": "a1", "title": { "en": "Carbon intensity" }, "submitter": "KR" }] })
}

fn convened() -> (Scene, EntryId) {
    let mut scene = Scene::at("2024-06-01T00:00:00.000Z");
    let meeting = scene.say("KR", ActKind::Meeting, None, convening(0, "2024-06-14"));
    (scene, meeting)
}

fn held(day: &str) -> Value {
    json!({ "step": "held", "sequence": 0, "attendance": { "KR": 5, "JP": 4 },
        "starts": format!("{day}T01:05:00.000Z"), "ends": format!("{day}T02:55:00.000Z") })
}

/// A meeting that was held, with its first draft of minutes.
fn drafted() -> (Scene, EntryId, EntryId) {
    let (mut scene, meeting) = convened();
    scene.now = "2024-06-14T03:00:00.000Z".parse().unwrap();
    scene.step("JP", meeting, held("2024-06-14"));
    let minutes = scene.say("KR", ActKind::Minutes, Some(meeting), draft(1));
    (scene, meeting, minutes)
}

fn draft(revision: u32) -> Value {
    json!({ "revision": revision, "items": [{ "id": "a1", "texts": { "en": "Both sides explained." } }],
        "decisions": [{ "id": "d1", "texts": { "en": "Three working groups." }, "commitments": [
            { "owner": "KR", "texts": { "en": "Host working group 1" }, "due": { "date": "2024-09-30" } },
            { "owner": "JP", "texts": { "en": "Host working group 2" },
              "due": { "months": 3, "after": "meeting-held" }, "evidence": { "en": "A record" } }] }] })
}

#[test]
fn a_convening_is_answered_moved_and_answered_again() {
    let parties = parties(&["KR", "JP"], &[]);
    let (mut scene, meeting) = convened();
    scene.step("JP", meeting, json!({ "step": "accept", "sequence": 0 }));
    scene.say("KR", ActKind::Meeting, Some(meeting), convening(1, "2024-06-15"));
    let late = scene.step("JP", meeting, json!({ "step": "decline", "sequence": 0 }));
    let (state, events, voids) = scene.fold(&parties);
    let found = &state.meetings[&meeting];
    assert_eq!(found.phase, MeetingPhase::Rescheduled);
    assert_eq!(found.answer_of(&code("JP")), None, "a reply to an earlier date is none to the new one");
    assert_eq!(found.answers[&code("JP")].len(), 2, "and is shown all the same");
    assert_eq!(voids[&late].code, "meeting-older-sequence");
    assert_eq!(events.len(), 1);
    scene.step("JP", meeting, json!({ "step": "tentative", "sequence": 1 }));
    let (state, ..) = scene.fold(&parties);
    let answer = state.meetings[&meeting].answer_of(&code("JP")).unwrap();
    assert_eq!(answer.attendance, Attendance::Tentative);
}

#[test]
fn only_the_convenor_moves_a_meeting_or_who_was_given_the_right_by_it() {
    let parties = parties(&["KR", "JP"], &[]);
    let (mut scene, meeting) = convened();
    let too_soon = scene.say("JP", ActKind::Meeting, Some(meeting), convening(1, "2024-06-20"));
    let counter = scene.step(
        "JP",
        meeting,
        json!({ "step": "counter", "sequence": 0, "starts": "2024-06-20T01:00:00.000Z", "ends": "2024-06-20T03:00:00.000Z" }),
    );
    let own =
        scene.step("JP", meeting, json!({ "step": "accept-counter", "sequence": 0, "of-counter": counter }));
    scene.step("KR", meeting, json!({ "step": "accept-counter", "sequence": 0, "of-counter": counter }));
    let other_day = scene.say("JP", ActKind::Meeting, Some(meeting), convening(1, "2024-06-21"));
    let taken = scene.say("JP", ActKind::Meeting, Some(meeting), convening(1, "2024-06-20"));
    let (state, _, voids) = scene.fold(&parties);
    for entry in [too_soon, own, other_day] {
        assert_eq!(voids[&entry].code, "meeting-only-convenor");
    }
    let found = &state.meetings[&meeting];
    assert_eq!(found.versions.last().unwrap().entry, taken);
    assert_eq!(found.convening().starts.to_string(), "2024-06-20T01:00:00.000Z");
    assert_eq!(found.history.len(), 7, "everything that was said is there");
}

/// Everything that is void, with its reason in every language.
#[test]
fn what_is_not_allowed_is_void_and_says_why() {
    let parties = parties(&["KR", "JP"], &[]);
    for (by, of_meeting, content, reason) in [
        ("US", true, json!({ "step": "accept", "sequence": 0 }), "agreed-no-party"),
        ("JP", true, json!({ "step": "accept", "sequence": 1 }), "meeting-no-such-sequence"),
        ("JP", true, json!({ "step": "accept" }), "agreed-unreadable"),
        ("JP", true, json!({ "step": "cancel", "sequence": 0 }), "meeting-only-convenor"),
        ("JP", true, held("2024-06-14"), "meeting-held-later"),
        ("KR", false, convening(1, "2024-06-20"), "meeting-first-sequence"),
        ("KR", true, convening(0, "2024-06-20"), "meeting-sequence-taken"),
        ("KR", true, convening(2, "2024-06-20"), "meeting-sequence-gap"),
        (
            "JP",
            true,
            json!({ "step": "propose-item", "sequence": 0,
            "item": { "id": "x", "title": { "en": "X" }, "submitter": "KR" } }),
            "meeting-item-of-other",
        ),
        (
            "JP",
            true,
            json!({ "step": "propose-item", "sequence": 0,
            "item": { "id": "a1", "title": { "en": "X" }, "submitter": "JP" } }),
            "meeting-item-exists",
        ),
    ] {
        let (mut scene, meeting) = convened();
        let kind = if content.get("step").is_some() { ActKind::Step } else { ActKind::Meeting };
        let entry = scene.say(by, kind, of_meeting.then_some(meeting), content);
        let (_, _, voids) = scene.fold(&parties);
        assert_eq!(voids.get(&entry).map(|void| void.code), Some(reason));
        for language in hiwar_form::Language::ALL {
            assert_ne!(voids[&entry].say(language), reason, "no message");
        }
    }
}

#[test]
fn of_two_parties_who_contradict_each_other_at_the_same_time_the_first_in_order_counts() {
    let parties = parties(&["KR", "JP"], &[]);
    let (mut scene, meeting) = convened();
    scene.now = "2024-06-14T03:00:00.000Z".parse().unwrap();
    let first = scene.say_after(vec![meeting], "JP", ActKind::Step, Some(meeting), held("2024-06-14"));
    let cancel = json!({ "step": "cancel", "sequence": 0 });
    let second = scene.say_after(vec![meeting], "KR", ActKind::Step, Some(meeting), cancel);
    let (state, events, voids) = scene.fold(&parties);
    assert_eq!(voids[&second].code, "meeting-is-held");
    let shown: Vec<EntryId> = state.meetings[&meeting].history.iter().map(|moment| moment.entry).collect();
    assert_eq!(shown, [meeting, first, second]);
    assert_eq!(events.last().unwrap().kind, EventKind::MeetingHeld);
}

#[test]
fn a_meeting_that_answers_a_request_is_an_event_of_the_request_too() {
    let parties = parties(&["KR", "JP"], &[]);
    let request = EntryId(hiwar_trust::hash::Hash::of(b"request"));
    let mut content = convening(0, "2024-06-14");
    content["requested-by"] = json!(request);
    content["status"] = json!("Exercise");
    let mut scene = Scene::at("2024-06-01T00:00:00.000Z");
    let meeting = scene.say("KR", ActKind::Meeting, None, content);
    let (_, events, _) = scene.fold(&parties);
    assert_eq!(events.iter().map(|event| event.subject).collect::<Vec<_>>(), [meeting, request]);
    assert!(events.iter().all(|event| event.status == crate::status::Status::Exercise));
}

#[test]
fn minutes_are_agreed_when_every_party_has_agreed_or_reserved_and_never_change_then() {
    let parties = parties(&["KR", "JP", "US"], &[]);
    let (mut scene, _, minutes) = drafted();
    scene.step("KR", minutes, json!({ "step": "agree" }));
    scene.step("JP", minutes, json!({ "step": "comment", "item": "a1", "texts": { "en": "Add the date." } }));
    let second = scene.say("KR", ActKind::Minutes, Some(minutes), draft(2));
    let late = scene.step("JP", minutes, json!({ "step": "agree" }));
    scene.step("KR", second, json!({ "step": "agree" }));
    scene.step("JP", second, json!({ "step": "reserve", "texts": { "en": "Without prejudice." } }));
    let (state, ..) = scene.fold(&parties);
    assert_eq!(state.minutes[&minutes].phase, MinutesPhase::Commented, "one party has said nothing");
    assert!(state.commitments.is_empty());
    scene.step("US", second, json!({ "step": "agree" }));
    let (agreed, events, voids) = scene.fold(&parties);
    assert_eq!(voids[&late].code, "minutes-older-revision");
    assert_eq!(agreed.minutes[&minutes].phase, MinutesPhase::Agreed);
    assert_eq!(agreed.minutes[&minutes].reservations().count(), 1);
    assert_eq!(agreed.minutes[&minutes].earlier.len(), 1);
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::MinutesAgreed).count(), 1);
    assert_eq!(agreed.commitments.len(), 2);
    let third = scene.say("KR", ActKind::Minutes, Some(second), draft(3));
    let comment = scene.step("KR", second, json!({ "step": "comment", "texts": { "en": "A slip." } }));
    let (after, _, voids) = scene.fold(&parties);
    assert_eq!(voids[&third].code, "minutes-are-agreed");
    assert_eq!(voids[&comment].code, "minutes-are-agreed");
    assert_eq!(after.minutes[&minutes].current, agreed.minutes[&minutes].current);
}

#[test]
fn minutes_must_be_in_the_languages_of_the_arrangement_and_of_a_meeting_that_was_held() {
    let (scene, meeting, minutes) = drafted();
    let (_, _, voids) = scene.fold(&parties(&["KR", "JP"], &["en", "ko"]));
    assert_eq!(voids[&meeting].code, "agreed-language-missing");
    assert_eq!(voids[&minutes].code, "minutes-of-nothing");
    let (mut scene, meeting) = convened();
    let early = scene.say("KR", ActKind::Minutes, Some(meeting), draft(1));
    let (state, _, voids) = scene.fold(&parties(&["KR", "JP"], &[]));
    assert_eq!(voids[&early].code, "minutes-not-held");
    assert_eq!(state.meetings[&meeting].history.len(), 2, "the draft is shown");
}

#[test]
fn all_faults_of_a_form_are_told_at_once() {
    let wrong = json!({ "title": {}, "body": "w g", "zone": "Mars/Olympus", "starts": "tomorrow", "ends": 5,
        "link": "http://x", "agenda": [{ "id": "a", "title": { "en": "A" }, "submitter": "KR", "abuot": [] },
            { "id": "a", "title": { "en": "A" }, "submitter": "KR", "about": ["x"] }] });
    let faults = read_convening(&hiwar_form::Document::of(wrong)).unwrap_err();
    let fields: Vec<&str> = faults.0.iter().map(|fault| fault.place.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "title",
            "body",
            "starts",
            "ends",
            "zone",
            "link",
            "agenda[0].abuot",
            "agenda[1].about[0]",
            "agenda[1].id"
        ]
    );
    for language in hiwar_form::Language::ALL {
        for fault in &faults.0 {
            assert!(!fault.say(&crate::MESSAGES, language).ends_with(fault.code), "{}", fault.code);
        }
    }
    let wrong = json!({ "revision": 1, "decisions": [{ "id": "d", "texts": { "en": "D" }, "commitments": [
        { "owner": "KR", "texts": { "en": "C" }, "due": { "days": 3 }, "confirm": ["KR"] }] }] });
    let faults = read_draft(&hiwar_form::Document::of(wrong)).unwrap_err();
    let found: Vec<(&str, &str)> =
        faults.0.iter().map(|fault| (fault.place.field.as_str(), fault.code)).collect();
    assert_eq!(
        found,
        [
            ("decisions[0].commitments[0].due", "commitment-due-unclear"),
            ("decisions[0].commitments[0].confirm", "commitment-confirms-itself")
        ]
    );
}

#[test]
fn only_a_body_of_the_arrangement_meets() {
    let did = |code: &str| crate::scene::did(code);
    let arrangement = serde_json::from_value(json!({
        "id": "test", "version": 1, "title": { "en": "Test" },
        "parties": [{ "did": did("KR"), "code": "KR", "name": { "en": "Korea" } },
            { "did": did("JP"), "code": "JP", "name": { "en": "Japan" } }],
        "bodies": [{ "id": "ministers", "name": { "en": "Ministers" }, "level": "ministers" }],
        "time": { "zone": "Asia/Seoul" }, "languages": {}, "exercise": { "allowed": true },
        "marking": { "cap": "TLP:AMBER", "community": { "en": "The parties" } },
    }));
    let parties = Parties::of_arrangement(&arrangement.unwrap());
    let (scene, meeting) = convened();
    assert_eq!(scene.fold(&parties).2[&meeting].code, "agreed-no-such-body");
}
