//! Whatever three parties say, without having seen each other or with, all of them read the same from it.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod world;

use hiwar_dialogue::entry::{ActKind, Body, EntryId};
use hiwar_procedure::Procedures;
use hiwar_trust::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use world::{PARTIES, World, about, act, at};

fn arrangement(version: u32, zone: &str) -> Value {
    let texts = |en: &str| json!({ "en": en });
    let codes = ["KR", "JP", "CN"];
    let parties: Vec<Value> = codes
        .iter()
        .zip(PARTIES)
        .map(|(code, did)| json!({ "code": code, "did": did, "name": texts(code) }))
        .collect();
    json!({
        "id": "three", "version": version, "title": texts("Three"), "parties": parties,
        "bodies": [{ "id": "ministers", "name": texts("Ministers"), "level": "ministers" }],
        "time": { "zone": zone },
        "clocks": [
            {
                "id": "note", "title": texts("Take note"), "starts": "notice:disruption-alert", "ends": "acknowledged",
                "owner": "others", "body": "ministers", "due": { "within": "24 h" }, "remind": ["2 h"],
            },
            {
                "id": "meet", "title": texts("Meet"), "starts": "notice:disruption-alert", "ends": "meeting-held",
                "owner": "any", "body": "ministers", "due": { "within": "15 d" },
            },
        ],
        "marking": { "cap": "TLP:AMBER", "community": texts("The three") },
        "languages": { "required": ["en"], "prevailing": "en" },
        "exercise": { "allowed": false },
    })
}

fn alert() -> Value {
    json!({
        "notice": "disruption-alert", "urgency": "Expected", "severity": "Minor", "certainty": "Likely",
        "headline": { "en": "Ship late" },
        "pending": ["impact", "cause", "expected-duration", "sectors", "measures", "assistance"],
    })
}

fn meeting(about: Option<EntryId>, sequence: u32) -> Value {
    let mut content = json!({
        "title": { "en": "Ministers" }, "body": "ministers", "starts": "2024-04-22T05:00:00.000Z",
        "ends": "2024-04-22T07:00:00.000Z", "zone": "Asia/Tokyo", "sequence": sequence,
    });
    if let Some(about) = about {
        content["requested-by"] = json!(about);
    }
    content
}

fn commitment(owner: &str) -> Value {
    json!({ "owner": owner, "texts": { "en": "Send figures" }, "due": { "date": "2024-05-31" } })
}

/// What a party says, about the entry that a number picks.
fn body(what: u8, of: EntryId, any: EntryId) -> Body {
    let step = |content| act(ActKind::Step, Some(of), content);
    match what {
        0 => act(ActKind::Notice, None, alert()),
        1 => act(ActKind::Notice, Some(of), json!({ "notice": "answer", "headline": { "en": "Noted" } })),
        2 => act(ActKind::Notice, Some(of), {
            let mut c = alert();
            c["correction"] = json!(true);
            c
        }),
        3 => Body::Acknowledgement(about(of)),
        4 => Body::Withdrawal(about(of)),
        5 => step(json!({ "step": "close" })),
        6 => act(ActKind::Meeting, None, meeting(Some(any), 0)),
        7 => act(ActKind::Meeting, Some(of), meeting(None, 1)),
        8 => step(json!({ "step": "accept", "sequence": 0 })),
        9 => step(json!({ "step": "cancel", "sequence": 0 })),
        10 => step(json!({
            "step": "held", "sequence": 0, "attendance": { "KR": 2 }, "starts": "2024-04-22T05:00:00.000Z",
            "ends": "2024-04-22T06:00:00.000Z",
        })),
        11 => act(ActKind::Commitment, None, commitment("KR")),
        12 => step(json!({ "step": "accept" })),
        13 => step(json!({ "step": "done" })),
        14 => step(json!({ "step": "accept-done" })),
        15 => act(ActKind::Arrangement, None, arrangement(1, "Asia/Seoul")),
        16 => act(ActKind::Arrangement, Some(of), arrangement(2, "Europe/Brussels")),
        17 => step(json!({ "step": "assent" })),
        18 => step(json!({ "step": "refuse" })),
        19 => act(
            ActKind::Minutes,
            Some(of),
            json!({
                "revision": 1, "items": [], "decisions": [{ "id": "d", "texts": { "en": "So be it" }, "commitments": [commitment("JP")] }],
            }),
        ),
        20 => step(json!({ "step": "agree" })),
        21 => act(ActKind::Onward, Some(of), json!({ "to": ["did:web:other.example"] })),
        22 => step(json!({ "step": "permit-onward", "to": ["did:web:other.example"] })),
        _ => step(json!({ "step": "deliver", "what": "list" })),
    }
}

/// One thing that is said: by whom, what, about which entry before, whether its author has seen everything, and
/// how its clock differs, in minutes.
type Saying = (usize, u8, prop::sample::Index, bool, i64);

fn said(sayings: &[Saying]) -> World {
    let mut world = World::new();
    for (party, proposal) in [(0, true), (1, false), (2, false)] {
        let of = world.held.last().map(|held| held.entry.id);
        let first = world.held.get(1).map(|held| held.entry.id);
        let body = if proposal {
            act(ActKind::Arrangement, None, arrangement(1, "Asia/Seoul"))
        } else {
            act(ActKind::Step, first.or(of), json!({ "step": "assent" }))
        };
        world.say(party, at("2024-04-01 00:00"), body);
    }
    for (number, (party, what, about, sees, skew)) in sayings.iter().enumerate() {
        let ids: Vec<EntryId> = world.held.iter().map(|held| held.entry.id).collect();
        let (of, any) = (*about.get(&ids), ids[about.index(ids.len()).saturating_sub(1)]);
        let minutes = i64::try_from(number).unwrap() * 60 + skew;
        let time = Timestamp::from_millis(at("2024-04-02 00:00").as_millis() + minutes * 60_000);
        if *sees {
            world.say(*party, time, body(*what, of, any));
        } else {
            world.say_beside(*party, time, &[of], body(*what, of, any));
        }
    }
    world
}

/// All that is read, and the duties at several times.
fn reading(held: &[hiwar_procedure::history::Held]) -> String {
    let state = Procedures::of(held);
    let times = ["2024-04-02 00:00", "2024-04-10 00:00", "2024-06-01 00:00"];
    let duties: Vec<_> = times.map(|time| state.duties(at(time))).into();
    serde_json::to_string(&(state, duties)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_entries_are_read_alike_whatever_the_order_of_arrival(
        sayings in prop::collection::vec(
            (0..3_usize, 0..24_u8, any::<prop::sample::Index>(), any::<bool>(), -300..300_i64), 1..40),
        seed in any::<u64>(),
    ) {
        let world = said(&sayings);
        let wanted = reading(&world.held);
        let mut other = world.held.clone();
        let mut state = seed | 1;
        for index in (1..other.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            other.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
        }
        prop_assert_eq!(reading(&other), wanted);
    }

    /// Every act has an effect or a reason: nothing is passed over in silence.
    #[test]
    fn an_act_that_has_no_effect_says_why_in_four_languages(
        sayings in prop::collection::vec(
            (0..3_usize, 0..24_u8, any::<prop::sample::Index>(), any::<bool>(), 0..1_i64), 1..40),
    ) {
        let world = said(&sayings);
        let state = Procedures::of(&world.held);
        for (entry, void) in &state.void {
            let texts: Vec<String> = hiwar_form::Language::ALL.iter().map(|language| void.say(*language)).collect();
            for (index, text) in texts.iter().enumerate() {
                prop_assert!(text != void.code && !texts[..index].contains(text), "{entry}: {}: {texts:?}", void.code);
            }
        }
        // What the node would not send is what everybody reads as void, and the other way round.
        check_sending(&world)?;
    }
}

/// Sending is judged as reading is: an act is refused before it leaves exactly when it would be void.
fn check_sending(world: &World) -> Result<(), TestCaseError> {
    for length in 1..world.held.len() {
        let (before, next) = (&world.held[..length], &world.held[length]);
        let Some(said) = hiwar_procedure::act::Said::of(next) else { continue };
        // Only for who has seen everything is the next act the last one in the order.
        let heads: std::collections::BTreeSet<EntryId> = {
            let linked: Vec<EntryId> = before.iter().flat_map(|held| held.entry.entry.prev.clone()).collect();
            before.iter().map(|held| held.entry.id).filter(|id| !linked.contains(id)).collect()
        };
        if next.entry.entry.prev.iter().copied().collect::<std::collections::BTreeSet<_>>() != heads {
            continue;
        }
        let would = Procedures::of(before).would(&said).map(drop);
        let read = Procedures::of(&world.held[..=length]).void.get(&next.entry.id).cloned();
        prop_assert_eq!(would.err(), read);
    }
    Ok(())
}
