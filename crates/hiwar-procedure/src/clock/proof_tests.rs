use hiwar_dialogue::entry::{About, ActKind, Body, Words};
use hiwar_form::Language;
use serde_json::{Value, json};

use super::proof::{Channel, Flag, ReEntry, effective, flags, knowledge};
use crate::act::{Said, Void};
use crate::arrangement::sample::{act, at, did, held};
use crate::history::Held;

fn notice(content: Value) -> Body {
    act(ActKind::Notice, None, content)
}

#[test]
fn it_is_told_who_provably_knew_and_when() {
    let mut alert = held("kr", at("2024-09-02T00:00:00.000Z"), &[], notice(json!({})));
    let id = alert.entry.id;
    alert.received = at("2024-09-02T00:00:30.000Z");
    alert.receipts.insert(did("jp"), at("2024-09-02T00:00:20.000Z"));
    let note = Body::Acknowledgement(About { of: id, words: Words::default() });
    let noted = held("jp", at("2024-09-02T03:00:00.000Z"), &[id], note);
    let answer = held("us", at("2024-09-02T05:00:00.000Z"), &[noted.entry.id, id], notice(json!({})));
    let all = [answer.clone(), noted.clone(), alert];
    let parties = ["kr", "jp", "us", "cn"].map(did);
    let known = knowledge(&all, &id, &did("kr"), &parties);
    let [kr, jp, us, cn] = &known[..] else { unreachable!() };
    assert_eq!(kr.claimed, Some(at("2024-09-02T00:00:00.000Z")));
    assert_eq!(kr.received_here, Some(at("2024-09-02T00:00:30.000Z")));
    assert_eq!(kr.linked, None, "an author's own later entries prove nothing of it");
    assert_eq!(jp.acknowledged, Some((noted.entry.id, at("2024-09-02T03:00:00.000Z"))));
    assert_eq!(jp.proved(), Some(at("2024-09-02T00:00:20.000Z")), "its node's receipt is the earliest proof");
    assert_eq!(us.linked, Some((answer.entry.id, at("2024-09-02T05:00:00.000Z"))));
    assert_eq!(us.proved(), Some(at("2024-09-02T05:00:00.000Z")));
    assert_eq!((cn.proved(), cn.claimed), (None, None));
    assert!(knowledge(&all, &did_not_come(), &did("kr"), &parties).is_empty());
}

fn did_not_come() -> hiwar_dialogue::entry::EntryId {
    crate::arrangement::sample::id("none")
}

#[test]
fn a_claimed_time_that_is_contradicted_is_flagged() {
    let first = held("kr", at("2024-09-02T10:00:00.000Z"), &[], notice(json!({})));
    let saw = first.entry.id;
    let mut second = held("jp", at("2024-09-02T09:00:00.000Z"), &[saw], notice(json!({})));
    second.received = at("2024-09-02T12:00:00.000Z");
    let all = [first, second.clone()];
    assert_eq!(
        flags(&all, &second.entry.id),
        [Flag::ArrivedLate { by_ms: 3 * 3_600_000 }, Flag::BeforeWhatItSaw { saw, by_ms: 3_600_000 }]
    );
    // A receipt proves that it existed earlier than it arrived here.
    second.receipts.insert(did("kr"), at("2024-09-02T09:00:05.000Z"));
    let all = [all[0].clone(), second.clone()];
    assert_eq!(flags(&all, &second.entry.id), [Flag::BeforeWhatItSaw { saw, by_ms: 3_600_000 }]);
    let mut future = held("jp", at("2024-09-02T09:00:00.000Z"), &[], notice(json!({})));
    future.received = at("2024-09-02T08:00:00.000Z");
    assert_eq!(flags(&[future.clone()], &future.entry.id), [Flag::FromTheFuture { by_ms: 3_600_000 }]);
    for language in Language::ALL {
        for flag in flags(&all, &second.entry.id) {
            assert!(flag.say(language).contains("60"), "{}", flag.say(language));
        }
    }
}

#[test]
fn clocks_may_differ_by_five_minutes_without_a_flag() {
    let claimed = at("2024-09-02T10:00:00.000Z");
    for (millis, expected) in [(300_000, 0), (300_001, 1), (-300_000, 0), (-300_001, 1), (0, 0)] {
        let mut one = held("kr", claimed, &[], notice(json!({})));
        one.received = claimed.plus_millis(millis);
        assert_eq!(flags(&[one.clone()], &one.entry.id).len(), expected, "{millis}");
    }
}

fn judged(content: Value) -> (Held, Result<super::proof::Effective, Void>) {
    let one = held("kr", at("2024-09-02T10:00:00.000Z"), &[], notice(content));
    let found = effective(&Said::of(&one).unwrap());
    (one, found)
}

/// Source: Implementing Regulation (EU) 2019/1715, Article 28: by telephone and e-mail while the system is not
/// available, entered afterwards.
#[test]
fn what_was_told_by_phone_counts_from_then_and_says_so() {
    let (one, found) = judged(json!({
        "re-entry": { "happened-at": "2024-09-01T22:10:00.000Z", "channel": "phone", "note": "to the on-duty officer" }
    }));
    let found = found.unwrap();
    assert_eq!(found.at, at("2024-09-01T22:10:00.000Z"));
    let re_entry = ReEntry {
        happened_at: found.at,
        channel: Channel::Phone,
        note: Some("to the on-duty officer".to_owned()),
    };
    assert_eq!(found.re_entry.as_ref(), Some(&re_entry));
    assert_eq!(flags(std::slice::from_ref(&one), &one.entry.id), [Flag::ReEntered(re_entry.clone())]);
    assert!(Flag::ReEntered(re_entry).say(Language::En).contains("2024-09-01T22:10:00.000Z"));
    assert_eq!(judged(json!({})).1.unwrap().at, at("2024-09-02T10:00:00.000Z"));
}

#[test]
fn a_faulty_re_entry_is_void_and_never_silently_left_out() {
    for (re_entry, code) in [
        (
            json!({ "happened-at": "2024-09-02T10:00:00.001Z", "channel": "phone" }),
            "clock-void-re-entry-later",
        ),
        (json!({ "happened-at": "yesterday", "channel": "phone" }), "clock-void-re-entry"),
        (json!({ "happened-at": "2024-09-01T22:10:00.000Z", "channel": "fax" }), "clock-void-re-entry"),
        (json!({ "happened-at": "2024-09-01T22:10:00.000Z" }), "clock-void-re-entry"),
        (
            json!({ "happened-at": "2024-09-01T22:10:00.000Z", "channel": "phone", "who": "x" }),
            "clock-void-re-entry",
        ),
        (json!("by phone"), "clock-void-re-entry"),
        (json!(null), "clock-void-re-entry"),
    ] {
        let void = judged(json!({ "re-entry": re_entry })).1.unwrap_err();
        assert_eq!(void.code, code, "{re_entry}");
        assert!(Language::ALL.into_iter().all(|language| void.say(language) != code));
    }
}
