use std::collections::BTreeMap;

use hiwar_dialogue::entry::{ActKind, EntryId};
use hiwar_form::Language;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::agenda::{Next, Reason, next_agenda};
use super::table::Note;
use super::*;
use crate::act::Said;
use crate::commitment::CommitmentPhase;
use crate::commitment::due::AsOf;
use crate::history::in_order;
use crate::meeting::MeetingPhase;
use crate::meeting::parties::Parties;
use crate::scene::{Scene, code, fold, parties, time};
use crate::status::Status;

fn meet(scene: &mut Scene, by: &str, body: &str, day: &str, title: &str) -> EntryId {
    scene.now = time(&format!("{day}T00:00:00.000Z")).plus_millis(-20 * 86_400_000);
    let meeting = scene.say(
        by,
        ActKind::Meeting,
        None,
        json!({
        "title": { "en": title }, "body": body, "zone": "Asia/Seoul",
        "starts": format!("{day}T01:00:00.000Z"), "ends": format!("{day}T03:00:00.000Z") }),
    );
    scene.step(if by == "KR" { "JP" } else { "KR" }, meeting, json!({ "step": "accept", "sequence": 0 }));
    scene.now = time(&format!("{day}T03:00:00.000Z"));
    scene.step(
        by,
        meeting,
        json!({ "step": "held", "sequence": 0, "attendance": { "KR": 3, "JP": 3 },
        "starts": format!("{day}T01:00:00.000Z"), "ends": format!("{day}T03:00:00.000Z") }),
    );
    meeting
}

fn agree(scene: &mut Scene, meeting: EntryId, decisions: Value) -> EntryId {
    let minutes =
        scene.say("KR", ActKind::Minutes, Some(meeting), json!({ "revision": 1, "decisions": decisions }));
    scene.step("KR", minutes, json!({ "step": "agree" }));
    scene.step("JP", minutes, json!({ "step": "agree" }));
    minutes
}

fn decision(id: &str, text: &str, commitments: Value) -> Value {
    json!({ "id": id, "texts": { "en": text }, "commitments": commitments })
}

/// The hydrogen track of 2024. Sources: MOTIE press release of 2024-02-16 (15 February, a director-general-level
/// dialogue agreed); JETRO Business Brief of 2024-06-28 (22 April Tokyo; 14 June Seoul, first dialogue, working groups
/// on carbon intensity and certification, on standards, on safety; 26 June Washington, fourth working group on supply
/// chains, and a check of what the summit of 26 May agreed). Owners and deadlines are made up.
fn hydrogen() -> (Scene, BTreeMap<&'static str, EntryId>) {
    let mut scene = Scene::at("2024-01-01T00:00:00.000Z");
    let mut entries = BTreeMap::new();
    let directors =
        meet(&mut scene, "JP", "directors", "2024-02-15", "Director-General-Level Hydrogen Meeting");
    entries.insert(
        "02-15",
        agree(
            &mut scene,
            directors,
            json!([decision(
                "dialogue",
                "Launch a dialogue",
                json!([
        { "owner": "KR", "body": "directors", "texts": { "en": "Convene the first dialogue" },
          "due": { "months": 6, "after": "meeting-held" } }])
            )]),
        ),
    );
    let ministers = meet(&mut scene, "JP", "ministers", "2024-04-22", "Ministers in Tokyo");
    entries.insert(
        "04-22",
        agree(
            &mut scene,
            ministers,
            json!([decision("chain", "Supply chains are a shared task", json!([]))]),
        ),
    );
    let first = meet(&mut scene, "KR", "directors", "2024-06-14", "First Hydrogen Cooperation Dialogue");
    let group = |owner: &str, text: &str| {
        json!({ "owner": owner, "body": "directors", "texts": { "en": text },
        "due": { "next-meeting": "directors" } })
    };
    entries.insert(
        "06-14",
        agree(
            &mut scene,
            first,
            json!([decision(
                "groups",
                "Three working groups",
                json!([
                    group("KR", "Working group 1: carbon intensity and certification"),
                    group("JP", "Working group 2: standards"),
                    group("KR", "Working group 3: safety")
                ])
            )]),
        ),
    );
    let february = entries["02-15"];
    scene.step("KR", february, json!({ "step": "done", "commitment": "dialogue/0", "evidence": [first] }));
    scene.step("JP", february, json!({ "step": "accept-done", "commitment": "dialogue/0" }));
    let second = meet(&mut scene, "JP", "ministers", "2024-06-26", "Ministers in Washington");
    entries.insert("06-26", agree(&mut scene, second, json!([decision("group-4", "A fourth working group", json!([
        { "owner": "JP", "body": "directors", "texts": { "en": "Working group 4: clean hydrogen and ammonia supply chains" },
          "due": { "next-meeting": "directors" } }]))])));
    (scene, entries)
}

fn seoul() -> TimeZone {
    TimeZone::get("Asia/Seoul").unwrap()
}

#[test]
fn the_hydrogen_track_of_2024_leaves_four_working_groups_to_follow_up() {
    let parties = parties(&["KR", "JP"], &[]);
    let (scene, entries) = hydrogen();
    let (state, events, voids) = scene.fold(&parties);
    assert!(voids.is_empty(), "{voids:?}");
    assert_eq!(state.meetings.values().filter(|one| one.phase == MeetingPhase::Held).count(), 4);
    let launched = &state.commitments[&CommitmentId::of(entries["02-15"], Some("dialogue/0")).unwrap()];
    assert_eq!(launched.phase, CommitmentPhase::DoneAccepted);
    let zone = seoul();
    let meetings: Vec<_> = state.meetings.values().collect();
    let of =
        AsOf { now: time("2024-07-01T00:00:00.000Z"), zone: &zone, events: &events, meetings: &meetings };
    assert_eq!(launched.due(&of).unwrap().to_string(), "2024-08-15");
    let (directors, korea) = (code("directors"), code("KR"));
    let next = Next {
        body: &directors,
        starts: time("2025-02-01T01:00:00.000Z"),
        status: Status::Actual,
        submitter: &korea,
        unanswered: &[],
    };
    let agenda = next_agenda(&state, &next, &parties, &of);
    let groups = agenda.iter().filter(|one| one.reason == Reason::InProgress).count();
    assert_eq!((groups, agenda.len()), (4, 5), "four groups and the minutes of 14 June");
    assert_eq!(agenda.last().unwrap().item.title["en"], "Minutes of the meeting of 2024-06-14: review");
    assert_eq!(agenda.last().unwrap().item.about, [entries["06-14"]]);
}

/// G/C/W/857 followed the meeting of the WTO Council for Trade in Goods of 2-3 December 2024; its note names the
/// next meeting, 9-10 April 2025, and a written procedure that ends on 19 December.
#[test]
fn a_note_has_the_subjects_of_the_notes_of_the_council_for_trade_in_goods() {
    let parties = parties(&["KR", "JP"], &[]);
    let mut scene = Scene::at("2024-11-01T00:00:00.000Z");
    let council = meet(&mut scene, "KR", "ctg", "2024-12-02", "Council for Trade in Goods");
    let minutes = agree(
        &mut scene,
        council,
        json!([decision(
            "d3",
            "A written procedure for document <JOB/CTG/61>",
            json!([{ "owner": "JP", "texts": { "en": "=HYPERLINK(\"x\") & object", "ar": "تقديم الاعتراضات" },
            "due": { "date": "2024-12-19" } }])
        )]),
    );
    scene.say(
        "KR",
        ActKind::Meeting,
        None,
        json!({ "title": { "en": "Next formal meeting" }, "body": "ctg",
        "zone": "Europe/Zurich", "starts": "2025-04-09T08:00:00.000Z", "ends": "2025-04-10T16:00:00.000Z" }),
    );
    let not_owner = scene.step("KR", minutes, json!({ "step": "done", "commitment": "d3/0" }));
    let (state, events, voids) = scene.fold(&parties);
    assert_eq!(voids[&not_owner].code, "commitment-only-owner");
    let zone = TimeZone::get("Europe/Zurich").unwrap();
    let meetings: Vec<_> = state.meetings.values().collect();
    let of =
        AsOf { now: time("2024-12-20T00:00:00.000Z"), zone: &zone, events: &events, meetings: &meetings };
    let note = |language| Note::of(&state, Some(&code("ctg")), Status::Actual, &parties, &of, language);
    let english = note(Language::En);
    assert_eq!(english.decisions[0].date, "2024-12-02");
    assert_eq!(english.upcoming[0].date, "2025-04-09");
    assert_eq!(english.rows[0].deadline.as_deref(), Some("2024-12-19"));
    assert_eq!(english.rows[0].status, "open (overdue)");
    assert!(english.rows[0].history[1].contains("without effect: only JP"), "{:?}", english.rows[0].history);
    let csv = english.to_csv();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("\"Agreed step\",\"Responsible\",\"Deadline\",\"Status\",\"Evidence\",\"History\"")
    );
    assert!(
        lines.next().unwrap().starts_with("\"'=HYPERLINK(\"\"x\"\") & object\",\"JP\",\"2024-12-19\""),
        "{csv}"
    );
    let arabic = note(Language::Ar).to_html();
    assert!(arabic.contains("<html lang=\"ar\" dir=\"rtl\">") && arabic.contains("تقديم الاعتراضات"));
    let html = english.to_html();
    assert!(html.contains("=HYPERLINK(&quot;x&quot;) &amp; object") && html.contains("&lt;JOB/CTG/61&gt;"));
    assert!(english.to_text().contains("Deadline: 2024-12-19"));
    assert_eq!(english.to_json()["rows"][0]["overdue"], true);
    for language in Language::ALL {
        assert!(note(language).to_json()["language"].is_string());
    }
}

#[test]
fn an_agenda_begins_with_what_is_late_and_ends_with_the_minutes() {
    let parties = parties(&["KR", "JP"], &[]);
    let mut scene = Scene::at("2024-05-01T00:00:00.000Z");
    let meeting = meet(&mut scene, "KR", "wg-1", "2024-06-14", "Working group 1");
    let dated = |owner: &str, text: &str, date: &str| json!({ "owner": owner, "texts": { "en": text }, "due": { "date": date } });
    let minutes = scene.say("KR", ActKind::Minutes, Some(meeting), json!({ "revision": 1, "decisions": [
        decision("d", "Decided", json!([dated("KR", "later", "2024-12-31"), dated("KR", "soon", "2024-09-01"),
            dated("KR", "late", "2024-07-15"), dated("KR", "later still", "2024-07-01"), dated("KR", "claimed", "2024-07-01"),
            dated("JP", "reserved", "2024-12-01")]))] }));
    scene.step("KR", minutes, json!({ "step": "agree" }));
    scene.step("JP", minutes, json!({ "step": "reserve", "texts": { "en": "Not item 3" } }));
    scene.step("KR", minutes, json!({ "step": "done", "commitment": "d/4" }));
    scene.now = time("2024-07-20T00:00:00.000Z");
    let next = scene.say(
        "JP",
        ActKind::Meeting,
        None,
        json!({ "title": { "en": "Second" }, "body": "wg-1", "zone": "Asia/Tokyo",
        "starts": "2024-09-10T01:00:00.000Z", "ends": "2024-09-10T03:00:00.000Z" }),
    );
    let item = json!({ "id": "item-1", "title": { "en": "Ammonia" }, "submitter": "KR" });
    scene.step("KR", next, json!({ "step": "propose-item", "sequence": 0, "item": item }));
    let (state, events, voids) = scene.fold(&parties);
    assert!(voids.is_empty(), "{voids:?}");
    let zone = seoul();
    let meetings: Vec<_> = state.meetings.values().collect();
    let of =
        AsOf { now: time("2024-08-01T00:00:00.000Z"), zone: &zone, events: &events, meetings: &meetings };
    let (body, japan) = (code("wg-1"), code("JP"));
    let unanswered = [(meeting, crate::scene::texts("Export measure"))];
    let next = Next {
        body: &body,
        starts: time("2024-09-10T01:00:00.000Z"),
        status: Status::Actual,
        submitter: &japan,
        unanswered: &unanswered,
    };
    let agenda = next_agenda(&state, &next, &parties, &of);
    let titles: Vec<&str> = agenda.iter().map(|one| one.item.title["en"].as_str()).collect();
    assert_eq!(
        titles,
        [
            "Overdue since 2024-07-01 (KR): later still",
            "Overdue since 2024-07-15 (KR): late",
            "Reported done, to be confirmed (KR): claimed",
            "Due by 2024-09-01 (KR): soon",
            "In progress (KR): later",
            "To be taken on (JP): reserved",
            "Ammonia",
            "Notice without an answer: Export measure",
            "Reservation of JP: Not item 3",
            "Minutes of the meeting of 2024-06-14: review"
        ]
    );
    let mut ids: Vec<_> = agenda.iter().map(|one| one.item.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), agenda.len(), "every item has a name of its own");
    assert!(agenda.iter().filter(|one| one.reason != Reason::Item).all(|one| one.item.title.len() == 4));
    let exercise = Next { status: Status::Exercise, unanswered: &[], ..next };
    assert!(
        next_agenda(&state, &exercise, &parties, &of).is_empty(),
        "an exercise does not follow up what is meant"
    );
}

/// Acts as strangers may send them, on objects that are there.
fn random_act(scene: &mut Scene, draw: &[u8; 6]) {
    let by = ["KR", "JP", "KR", "JP", "KR", "JP", "US", "XX"][usize::from(draw[0]) % 8];
    let held: Vec<EntryId> = scene.held.iter().map(|held| held.entry.id).collect();
    let pick = |number: u8| held.get(usize::from(number) % held.len().max(1)).copied();
    // Half of them speak of the first objects, so that procedures come to their end.
    let few = |number: u8| held.get(usize::from(number) % held.len().clamp(1, 5)).copied();
    let of = if draw[1] & 0x80 == 0 { pick(draw[1]) } else { few(draw[1]) };
    let sequence = draw[2] % 3;
    let of_kind = of
        .and_then(|id| scene.held.iter().find(|held| held.entry.id == id))
        .and_then(|held| Some(Said::of(held)?.kind));
    // Mostly what suits the object, sometimes what does not.
    let suits: &[u8] = match of_kind {
        _ if draw[5] >= 230 => &[0, 7, 12, 15, 16, 19, 21],
        Some(ActKind::Meeting) => &[0, 1, 2, 3, 4, 5, 18, 19, 20],
        Some(ActKind::Minutes) => &[7, 8, 9, 10, 11, 12, 12, 13, 13, 22, 23, 24, 19],
        Some(ActKind::Commitment) => &[14, 15, 16, 25, 25, 26, 26, 27],
        _ => &[17, 19, 20, 21, 3],
    };
    let choice = suits[usize::from(draw[3]) % suits.len()];
    let content = match choice {
        0 => json!({ "step": "accept", "sequence": sequence }),
        1 => json!({ "step": "decline", "sequence": sequence }),
        2 => {
            json!({ "step": "counter", "sequence": sequence, "starts": "2024-06-20T01:00:00.000Z", "ends": "2024-06-20T03:00:00.000Z" })
        }
        3 => json!({ "step": "accept-counter", "sequence": sequence, "of-counter": pick(draw[4]) }),
        4 => json!({ "step": "cancel", "sequence": sequence }),
        5 | 6 => {
            json!({ "step": "held", "sequence": sequence, "starts": "2024-05-01T01:00:00.000Z", "ends": "2024-05-01T03:00:00.000Z" })
        }
        7..=9 => json!({ "step": "agree" }),
        10 => json!({ "step": "reserve", "texts": { "en": "R" } }),
        11 => json!({ "step": "accept", "commitment": "d/0" }),
        12 => json!({ "step": "done", "commitment": "d/0" }),
        13 => json!({ "step": "accept-done", "commitment": "d/0" }),
        14 => json!({ "step": "supersede", "by": pick(draw[4]) }),
        15 => json!({ "step": "withdraw" }),
        16 => json!({ "step": "accept" }),
        17 | 18 => json!({ "title": { "en": "M" }, "body": "b", "zone": "Asia/Seoul", "sequence": sequence,
            "starts": "2024-06-20T01:00:00.000Z", "ends": "2024-06-20T03:00:00.000Z" }),
        19 | 20 => {
            json!({ "revision": 1 + sequence, "decisions": [{ "id": "d", "texts": { "en": "D" }, "commitments": [
            { "owner": "KR", "texts": { "en": "C" }, "due": { "next-meeting": "b" } }] }] })
        }
        22 => json!({ "step": "reject-done", "commitment": "d/0", "texts": { "en": "No" } }),
        23 => json!({ "step": "withdraw", "commitment": "d/0" }),
        24 => json!({ "step": "progress", "commitment": "d/0", "texts": { "en": "P" } }),
        25 => json!({ "step": "done" }),
        26 => json!({ "step": "accept-done" }),
        27 => json!({ "step": "reject-done", "texts": { "en": "No" } }),
        _ => json!({ "owner": "JP", "texts": { "en": "C" }, "due": { "date": "2024-09-30" } }),
    };
    let (kind, of) = match choice {
        17 => (ActKind::Meeting, None),
        18 => (ActKind::Meeting, of),
        19 | 20 => (ActKind::Minutes, of),
        21 => (ActKind::Commitment, None),
        _ => (ActKind::Step, of),
    };
    let Some(of) =
        of.or_else(|| (kind != ActKind::Step).then_some(EntryId(hiwar_trust::hash::Hash::of(b"-"))))
    else {
        return;
    };
    let of = (kind == ActKind::Step || choice != 17 && kind != ActKind::Commitment).then_some(of);
    // Links to one or two of the last entries: what does not link is concurrent.
    let prev = held
        .iter()
        .rev()
        .skip(usize::from(draw[5]) % 3)
        .take(1 + usize::from(draw[5]) % 2)
        .copied()
        .collect();
    scene.say_after(prev, by, kind, of, content);
}

/// Every state on the way to the last one.
fn checked(held: &[crate::history::Held], parties: &Parties) -> FollowUp {
    let mut state = FollowUp::default();
    let mut said_of_all = 0;
    for one in in_order(held) {
        let before = state.clone();
        let said = Said::of(one).unwrap();
        let result = state.apply(&said, parties);
        for (id, minutes) in &before.minutes {
            if minutes.phase == MinutesPhase::Agreed {
                assert_eq!(state.minutes[id].current, minutes.current, "agreed minutes have changed");
                assert_eq!(state.minutes[id].earlier, minutes.earlier);
            }
        }
        for (id, commitment) in &before.commitments {
            let now = &state.commitments[id];
            assert!(now.terms == commitment.terms && now.history.starts_with(&commitment.history));
            assert!(commitment.phase.is_pending() || now.phase == commitment.phase, "{commitment:?} {now:?}");
        }
        for (id, meeting) in &before.meetings {
            assert!(state.meetings[id].history.starts_with(&meeting.history));
            assert!(meeting.is_open() || state.meetings[id].phase == meeting.phase);
        }
        said_of_all += usize::from(matches!(result, Some(Ok(_))));
    }
    assert!(said_of_all <= held.len());
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    /// Whatever parties say and in whatever order it arrives: the state is the same, nothing is lost, and agreed
    /// minutes stay as they are.
    #[test]
    fn every_order_of_arrival_gives_the_same_state(
        draws in prop::collection::vec(any::<[u8; 6]>(), 1..44),
        turn in 0..50_usize,
        shuffled in Just((0..50_usize).collect::<Vec<_>>()).prop_shuffle(),
        drafted in 0..4_usize,
    ) {
        let parties = parties(&["JP", "KR"], &[]);
        let mut scene = Scene::at("2024-05-02T00:00:00.000Z");
        if drafted > 0 {
            let meeting = meet(&mut scene, "KR", "b", "2024-05-02", "M");
            let minutes = scene.say("KR", ActKind::Minutes, Some(meeting), json!({ "revision": 1, "decisions": [decision("d", "D",
                json!([{ "owner": "KR", "texts": { "en": "C" }, "due": { "next-meeting": "b" } }]))] }));
            for party in ["KR", "JP"].iter().take(drafted - 1) {
                scene.step(party, minutes, json!({ "step": "agree" }));
            }
        }
        scene.say("JP", ActKind::Commitment, None,
            json!({ "owner": "JP", "texts": { "en": "C" }, "due": { "date": "2024-09-30" } }));
        for draw in &draws {
            random_act(&mut scene, draw);
        }
        let state = checked(&scene.held, &parties);
        let mut other: Vec<_> = shuffled.iter().filter_map(|index| scene.held.get(*index)).cloned().collect();
        let middle = turn % other.len();
        other.rotate_left(middle);
        prop_assert_eq!(other.len(), scene.held.len());
        prop_assert_eq!(&fold(&other, &parties).0, &state);
        prop_assert_eq!(fold(&other, &parties).1, fold(&scene.held, &parties).1);
    }
}
