use hiwar_dialogue::entry::{ActKind, EntryId};
use hiwar_trust::hash::Hash;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::due::{AsOf, DueRule};
use super::form::read_commitment_step;
use super::*;
use crate::scene::{Scene, code, did, parties, time};

const PARTIES: [&str; 3] = ["JP", "KR", "US"];

fn proposal(evidence: bool) -> Value {
    let mut content =
        json!({ "owner": "KR", "texts": { "en": "Share the list" }, "due": { "date": "2024-09-30" } });
    if evidence {
        content["evidence"] = json!({ "en": "The list" });
    }
    content
}

#[test]
fn a_commitment_is_done_when_both_sides_say_so() {
    let parties = parties(&["KR", "JP"], &[]);
    let mut scene = Scene::at("2024-06-14T00:00:00.000Z");
    let id = scene.say("JP", ActKind::Commitment, None, proposal(true));
    let phase = |scene: &Scene| scene.fold(&parties).0.commitments.into_values().next().unwrap().phase;
    assert_eq!(phase(&scene), CommitmentPhase::Proposed);
    scene.step("KR", id, json!({ "step": "accept" }));
    scene.step("KR", id, json!({ "step": "progress", "texts": { "en": "Half" }, "percent": 50 }));
    assert_eq!(phase(&scene), CommitmentPhase::InProgress);
    let bare = scene.step("KR", id, json!({ "step": "done" }));
    assert_eq!(scene.fold(&parties).2[&bare].code, "commitment-evidence-missing");
    scene.step("KR", id, json!({ "step": "done", "evidence": [id] }));
    assert_eq!(phase(&scene), CommitmentPhase::DoneClaimed);
    let own = scene.step("KR", id, json!({ "step": "accept-done" }));
    assert_eq!(scene.fold(&parties).2[&own].code, "commitment-not-confirmer");
    scene.step("JP", id, json!({ "step": "reject-done", "texts": { "en": "Page 3 is missing" } }));
    assert_eq!(phase(&scene), CommitmentPhase::InProgress);
    let file = Attachment {
        name: "list.csv".to_owned(),
        media_type: "text/csv".to_owned(),
        size: 3,
        sha256: Hash::of(b"a,b"),
    };
    let last = scene.held.last().unwrap().entry.id;
    scene.say_with(vec![last], "KR", ActKind::Step, Some(id), json!({ "step": "done" }), vec![file]);
    scene.step("JP", id, json!({ "step": "accept-done" }));
    assert_eq!(phase(&scene), CommitmentPhase::DoneAccepted);
    let (state, events, _) = scene.fold(&parties);
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(kinds, ["commitment-open", "commitment-done", "commitment-done", "commitment-accepted"]);
    let found = state.commitments.values().next().unwrap();
    assert_eq!((found.claims.len(), found.history.len()), (2, 9), "the rejected claim is there too");
}

#[test]
fn a_commitment_of_minutes_is_named_by_its_decision_and_place() {
    let entry = EntryId(Hash::of(b"minutes"));
    let id = CommitmentId { entry, decision: Some((code("d1"), 2)) };
    assert_eq!(id.to_string().parse(), Ok(id.clone()));
    assert_eq!(CommitmentId::of(entry, id.within().as_deref()), Some(id));
    for wrong in ["", "d1", "d1/", "d1/02", "d1/-1", "d 1/0"] {
        assert_eq!(CommitmentId::of(entry, Some(wrong)), None, "{wrong}");
    }
    let read =
        read_commitment_step(&hiwar_form::Document::of(json!({ "step": "accept", "commitment": "d1/2" })));
    assert_eq!(read.unwrap().deed, Deed::Accept);
}

/// Expected days counted by hand. 2024 is a leap year; Seoul is UTC+9 without summer time, so that 15:00 UTC is
/// the next day there.
#[test]
fn a_deadline_is_the_end_of_a_day_in_the_zone_of_the_arrangement() {
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    let event = |kind, at: &str| Event {
        kind,
        subject: EntryId(Hash::of(b"m")),
        entry: EntryId(Hash::of(b"m")),
        by: did("KR"),
        at: time(at),
        status: Status::Actual,
    };
    let events = [
        event(EventKind::MeetingHeld, "2024-01-31T01:00:00.000Z"),
        event(EventKind::InForce, "2024-02-27T15:30:00.000Z"),
    ];
    let now = time("2024-03-01T15:00:00.000Z");
    let of = AsOf { now, zone: &zone, events: &events, meetings: &[] };
    let made = time("2024-02-01T00:00:00.000Z");
    for (rule, day) in [
        (json!({ "date": "2024-03-01" }), Some("2024-03-01")),
        // 31 January + 1 month: February has 29 days.
        (json!({ "months": 1, "after": "meeting-held" }), Some("2024-02-29")),
        (json!({ "days": 30, "after": "meeting-held" }), Some("2024-03-01")),
        // It happened after the commitment was made, on 28 February in Seoul.
        (json!({ "days": 2, "after": "in-force" }), Some("2024-03-01")),
        (json!({ "days": 2, "after": "minutes-agreed" }), None),
        (json!({ "next-meeting": "wg-1" }), None),
    ] {
        let rule: DueRule = serde_json::from_value(rule).unwrap();
        assert_eq!(rule.day(made, &of).map(|day| day.to_string()).as_deref(), day, "{rule:?}");
    }
    let parties = parties(&["KR", "JP"], &[]);
    let mut scene = Scene::at("2024-02-01T00:00:00.000Z");
    let mut content = proposal(false);
    content["due"] = json!({ "date": "2024-03-01" });
    scene.say("KR", ActKind::Commitment, None, content);
    let found = scene.fold(&parties).0.commitments.into_values().next().unwrap();
    // 2 March begins in Seoul at 15:00 UTC on 1 March.
    assert!(found.is_overdue(&of));
    assert!(!found.is_overdue(&AsOf { now: now.plus_millis(-1), ..of }));
}

/// What a commitment may do, written a second time as a table: who (owner or not), what, from where, to where.
#[derive(Clone, Debug, Default)]
struct Model {
    phase: &'static str,
    accepted: std::collections::BTreeSet<&'static str>,
    released: std::collections::BTreeSet<&'static str>,
    replaced: std::collections::BTreeSet<&'static str>,
}

impl Model {
    /// Whether the step is legal; then it is taken.
    fn take(&mut self, by: &'static str, step: &str) -> bool {
        let owner = by == "KR";
        let next = match (self.phase, step, owner) {
            ("done-accepted" | "refused" | "withdrawn" | "superseded", ..) => return false,
            ("proposed", "accept", true) => "open",
            ("proposed", "refuse", true) => "refused",
            ("open" | "in-progress", "progress", true) => "in-progress",
            ("open" | "in-progress", "done", true) => {
                self.accepted.clear();
                "done-claimed"
            }
            ("done-claimed", "accept-done", false) => {
                self.accepted.insert(by);
                if self.accepted.len() == 2 { "done-accepted" } else { "done-claimed" }
            }
            ("done-claimed", "reject-done", false) => "in-progress",
            (now, "withdraw", _) if owner || self.released.contains("KR") => {
                self.released.insert(by);
                if self.released.len() == 3 { "withdrawn" } else { now }
            }
            (now, "supersede", _) => {
                self.replaced.insert(by);
                if self.replaced.len() == 3 { "superseded" } else { now }
            }
            _ => return false,
        };
        self.phase = next;
        true
    }
}

fn content_of(step: &str, successor: &CommitmentId) -> Value {
    match step {
        "progress" | "reject-done" => json!({ "step": step, "texts": { "en": "So far" } }),
        "supersede" => json!({ "step": step, "by": successor }),
        step => json!({ "step": step }),
    }
}

fn phase_name(phase: &CommitmentPhase) -> String {
    match phase {
        CommitmentPhase::Superseded(_) => "superseded".to_owned(),
        other => serde_json::to_value(other).unwrap().as_str().unwrap().to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No sequence of steps leads where the table does not lead, and what the table refuses is void.
    #[test]
    fn steps_lead_where_the_table_says(steps in prop::collection::vec((0..3_usize, 0..8_usize), 1..24)) {
        let names = ["accept", "refuse", "progress", "done", "accept-done", "reject-done", "withdraw", "supersede"];
        let parties = parties(&PARTIES, &[]);
        let mut scene = Scene::at("2024-06-14T00:00:00.000Z");
        let id = scene.say("JP", ActKind::Commitment, None, proposal(false));
        let other = scene.say("JP", ActKind::Commitment, None, proposal(false));
        let successor = CommitmentId { entry: other, decision: None };
        let mut model = Model { phase: "proposed", ..Model::default() };
        let mut expected = Vec::new();
        for (by, step) in steps {
            let entry = scene.step(PARTIES[by], id, content_of(names[step], &successor));
            expected.push((entry, model.take(PARTIES[by], names[step]), names[step]));
        }
        let (state, _, voids) = scene.fold(&parties);
        for (entry, legal, step) in expected {
            prop_assert_eq!(!voids.contains_key(&entry), legal, "{}: {:?}", step, voids.get(&entry));
        }
        let found = &state.commitments[&CommitmentId { entry: id, decision: None }];
        prop_assert_eq!(phase_name(&found.phase), model.phase);
    }
}
