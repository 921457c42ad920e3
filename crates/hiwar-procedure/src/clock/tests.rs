use hiwar_dialogue::entry::{ActKind, EntryId};
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::arrangement::Versions;
use crate::arrangement::sample::{act, at, did, held, id, step, value};
use crate::event::Event;
use crate::history::{Held, in_order};
use crate::status::Status;

/// A dialogue in which the sample is in force since 2024-08-01T00:00Z, and what happened in it.
struct Scene {
    held: Vec<Held>,
    events: Vec<Event>,
    threads: Vec<(EntryId, EntryId)>,
}

impl Scene {
    fn new() -> Self {
        Self::under(value(), "2024-08-01T00:00:00.000Z")
    }

    fn under(terms: Value, time: &str) -> Self {
        let mut scene = Self { held: Vec::new(), events: Vec::new(), threads: Vec::new() };
        scene.agree(terms, None, &["jp"], time);
        scene
    }

    fn push(&mut self, author: &str, time: Timestamp, body: hiwar_dialogue::entry::Body) -> EntryId {
        let prev: Vec<EntryId> = self.held.last().map(|held| held.entry.id).into_iter().collect();
        let one = held(author, time, &prev, body);
        let id = one.entry.id;
        self.held.push(one);
        id
    }

    /// KR proposes a version, and the others assent.
    fn agree(&mut self, terms: Value, of: Option<EntryId>, others: &[&str], time: &str) -> EntryId {
        let proposal = self.push("kr", at(time), act(ActKind::Arrangement, of, terms));
        for other in others {
            self.push(other, at(time), step(proposal, "assent"));
        }
        proposal
    }

    /// Something that happened; absent a subject it is a thing of its own.
    fn event(&mut self, kind: &str, by: &str, time: &str, subject: Option<EntryId>) -> EntryId {
        let entry = self.push(by, at(time), step(id(kind), "other"));
        let subject = subject.unwrap_or(entry);
        let kind = kind.parse().unwrap();
        self.events.push(Event { kind, subject, entry, by: did(by), at: at(time), status: Status::Actual });
        entry
    }

    fn versions(&self) -> Versions {
        Versions::read(&in_order(&self.held))
    }

    fn duties(&self, now: &str) -> Vec<Duty> {
        let versions = self.versions();
        let mut events = self.events.clone();
        events.extend(versions.events());
        duties(&events, &versions, &Threads::from_pairs(self.threads.clone()), at(now))
    }

    fn of(&self, clock: &str, now: &str) -> Vec<Duty> {
        self.duties(now).into_iter().filter(|duty| duty.clock == clock).collect()
    }
}

#[test]
fn a_duty_runs_is_overdue_climbs_and_is_met_late() {
    let mut scene = Scene::new();
    // 23:59 in Seoul on 2 September: the 15th day after is 17 September.
    let request = scene.event("notice:emergency-meeting-request", "kr", "2024-09-02T14:59:00.000Z", None);
    let duty = |scene: &Scene, now: &str| scene.of("emergency-meeting", now).pop().unwrap();
    let running = duty(&scene, "2024-09-03T00:00:00.000Z");
    assert_eq!(
        (running.due, running.state, running.body.as_deref()),
        (at("2024-09-17T14:59:59.999Z"), State::Running, Some("wg"))
    );
    assert_eq!(running.owner, None);
    let stages: Vec<(String, &str)> = running
        .stages
        .iter()
        .map(|stage| (stage.at.to_string(), stage.key.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(
        stages.iter().map(|(time, name)| (time.as_str(), *name)).collect::<Vec<_>>(),
        [
            ("2024-09-12T14:59:59.999Z", "reminder-0"),
            ("2024-09-16T14:59:59.999Z", "reminder-1"),
            ("2024-09-17T15:00:00.000Z", "overdue"),
            ("2024-09-17T15:00:00.000Z", "escalated-0"),
            ("2024-09-24T14:59:59.999Z", "escalated-1"),
        ]
    );
    assert_eq!(duty(&scene, "2024-09-17T14:59:59.999Z").state, State::Running);
    let overdue = duty(&scene, "2024-09-17T15:00:00.000Z");
    assert_eq!(overdue.state, State::Overdue { since: at("2024-09-17T14:59:59.999Z") });
    assert_eq!(overdue.body.as_deref(), Some("directors"));
    assert_eq!(duty(&scene, "2024-09-25T00:00:00.000Z").body.as_deref(), Some("ministers"));
    // The meeting is convened on the request, so its being held counts for the request.
    let meeting = scene.event("meeting-convened", "jp", "2024-09-18T00:00:00.000Z", None);
    let by = scene.event("meeting-held", "jp", "2024-09-18T14:59:59.999Z", Some(meeting));
    assert_eq!(duty(&scene, "2024-10-01T00:00:00.000Z").state, overdue.state);
    scene.threads.push((meeting, request));
    let late = duty(&scene, "2024-10-01T00:00:00.000Z");
    assert_eq!(late.state, State::MetLate { at: at("2024-09-18T14:59:59.999Z"), by, late_ms: 86_400_000 });
    assert_eq!(late.stages.len(), 4, "no escalation after it was done");
    assert_eq!(late.body.as_deref(), Some("directors"));
}

#[test]
fn each_owner_has_a_duty_of_its_own() {
    let mut scene = Scene::new();
    let alert = scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    let now = "2024-09-02T12:00:00.000Z";
    let owners = |scene: &Scene, clock: &str| {
        scene.of(clock, now).into_iter().map(|duty| duty.owner.map(|did| did.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(owners(&scene, "acknowledge"), [Some("did:web:jp.example".to_owned())]);
    assert_eq!(owners(&scene, "follow-up"), [Some("did:web:kr.example".to_owned())]);
    assert_eq!(owners(&scene, "goods").len(), 2);
    assert_eq!(owners(&scene, "chair"), [Some("did:web:kr.example".to_owned())]);
    // The author's own acknowledgement, or one of something else, does not meet it.
    scene.event("acknowledged", "kr", "2024-09-02T01:00:00.000Z", Some(alert));
    scene.event("acknowledged", "jp", "2024-09-02T01:00:00.000Z", Some(id("other")));
    assert_eq!(scene.of("acknowledge", now)[0].state, State::Running);
    let by = scene.event("acknowledged", "jp", "2024-09-03T00:00:00.000Z", Some(alert));
    assert_eq!(scene.of("acknowledge", now)[0].state, State::Running);
    let in_time = State::Met { at: at("2024-09-03T00:00:00.000Z"), by };
    assert_eq!(scene.of("acknowledge", "2024-09-04T00:00:00.000Z")[0].state, in_time);
}

#[test]
fn an_acknowledgement_of_an_answer_does_not_acknowledge_the_alert() {
    let mut scene = Scene::new();
    let alert = scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    let answer = scene.event("answered", "kr", "2024-09-02T01:00:00.000Z", Some(alert));
    scene.threads.push((answer, alert));
    scene.event("acknowledged", "jp", "2024-09-02T02:00:00.000Z", Some(answer));
    assert_eq!(scene.of("acknowledge", "2024-09-02T03:00:00.000Z")[0].state, State::Running);
}

#[test]
fn a_duty_keeps_the_version_that_governed_its_start() {
    let mut scene = Scene::new();
    let alert = scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    let before = scene.duties("2024-09-02T12:00:00.000Z");
    let first = scene.held[0].entry.id;
    let mut terms = value();
    terms["version"] = json!(2);
    let clocks = terms["clocks"].as_array_mut().unwrap();
    clocks.retain(|clock| clock["id"] != "acknowledge");
    clocks[1]["due"] = json!({ "within": "1 h" });
    scene.agree(terms, Some(first), &["jp"], "2024-09-02T06:00:00.000Z");
    assert_eq!(scene.duties("2024-09-02T12:00:00.000Z"), before, "nothing is lost, changed or started again");
    scene.event("notice:disruption-alert", "kr", "2024-09-02T07:00:00.000Z", None);
    let now = "2024-09-03T00:00:00.000Z";
    assert_eq!(scene.of("acknowledge", now).len(), 1);
    assert_eq!(scene.of("acknowledge", now)[0].subject, alert);
    let follow_ups = scene.of("follow-up", now);
    assert_eq!(
        follow_ups.iter().map(|duty| (duty.version, duty.due.to_string())).collect::<Vec<_>>(),
        [(2, "2024-09-02T08:00:00.000Z".to_owned()), (1, "2024-09-04T00:00:00.000Z".to_owned())]
    );
}

/// Source: IPEF Supply Chain Agreement: each Party lists its critical sectors and key goods within 120 days of the
/// entry into force for that Party.
#[test]
fn a_party_that_joins_later_has_its_own_start() {
    let mut scene = Scene::new();
    let first = scene.held[0].entry.id;
    let mut terms = value();
    terms["version"] = json!(2);
    let us = json!({ "did": "did:web:us.example", "code": "US", "name": { "en": "US", "ko": "미국" } });
    terms["parties"].as_array_mut().unwrap().push(us);
    scene.agree(terms, Some(first), &["jp", "us"], "2024-10-01T00:00:00.000Z");
    scene.event("delivered:critical-goods", "jp", "2024-11-01T00:00:00.000Z", None);
    let goods: Vec<(String, String, u32)> = scene
        .of("goods", "2025-01-01T00:00:00.000Z")
        .into_iter()
        .map(|duty| {
            let state = serde_json::to_value(&duty.state).unwrap()["state"].as_str().unwrap().to_owned();
            (duty.owner.unwrap().to_string(), format!("{state} {}", duty.due), duty.version)
        })
        .collect();
    assert_eq!(
        goods,
        [
            ("did:web:jp.example".to_owned(), "met 2024-11-29T14:59:59.999Z".to_owned(), 1),
            ("did:web:kr.example".to_owned(), "overdue 2024-11-29T14:59:59.999Z".to_owned(), 1),
            ("did:web:us.example".to_owned(), "running 2025-01-29T14:59:59.999Z".to_owned(), 2),
        ]
    );
    assert_eq!(scene.of("chair", "2025-01-01T00:00:00.000Z").len(), 1);
}

/// Source: WTO, G/L/59/Rev.1, paragraph 1: complete notifications at two-yearly intervals.
#[test]
fn a_report_every_two_years_starts_the_clock_for_the_next() {
    let mut scene = Scene::under(value(), "2012-01-01T00:00:00.000Z");
    scene.event("delivered:report", "kr", "2012-09-30T00:00:00.000Z", None);
    scene.event("delivered:report", "jp", "2013-09-30T00:00:00.000Z", None);
    scene.event("delivered:report", "kr", "2014-10-02T00:00:00.000Z", None);
    let states: Vec<String> = scene
        .of("report", "2017-01-01T00:00:00.000Z")
        .into_iter()
        .map(|duty| {
            format!("{} {:?}", duty.owner.unwrap(), duty.state).split(" {").next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        states,
        ["did:web:kr.example MetLate", "did:web:jp.example Overdue", "did:web:kr.example Overdue"]
    );
}

#[test]
fn an_exercise_and_the_real_thing_do_not_meet_each_other() {
    let mut scene = Scene::new();
    let drill = scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    scene.events.last_mut().unwrap().status = Status::Exercise;
    scene.event("notice:disruption-alert", "kr", "2024-09-02T00:01:00.000Z", None);
    scene.events.last_mut().unwrap().status = Status::Test;
    scene.event("acknowledged", "jp", "2024-09-02T01:00:00.000Z", Some(drill));
    let now = "2024-09-02T02:00:00.000Z";
    let duties = scene.of("acknowledge", now);
    assert_eq!(duties.len(), 1, "a test starts nothing");
    assert_eq!((duties[0].status, &duties[0].state), (Status::Exercise, &State::Running));
    scene.events.last_mut().unwrap().status = Status::Exercise;
    assert!(matches!(scene.of("acknowledge", now)[0].state, State::Met { .. }));
}

#[test]
fn a_copy_of_an_event_for_what_asked_for_it_starts_nothing() {
    let mut terms = value();
    terms["clocks"].as_array_mut().unwrap().push(json!({
        "id": "minutes", "title": { "en": "m", "ko": "m" }, "starts": "meeting-held", "ends": "minutes-drafted",
        "owner": "any", "due": { "within": "14 d" }
    }));
    let mut scene = Scene::under(terms, "2024-08-01T00:00:00.000Z");
    let request = scene.event("notice:emergency-meeting-request", "kr", "2024-09-02T00:00:00.000Z", None);
    let meeting = scene.event("meeting-convened", "kr", "2024-09-03T00:00:00.000Z", None);
    scene.threads.push((meeting, request));
    scene.event("meeting-held", "kr", "2024-09-04T00:00:00.000Z", Some(meeting));
    let copy = Event { subject: request, ..scene.events.last().unwrap().clone() };
    scene.events.push(copy);
    let minutes = scene.of("minutes", "2024-09-05T00:00:00.000Z");
    assert_eq!(minutes.iter().map(|duty| duty.subject).collect::<Vec<_>>(), [meeting]);
}

#[test]
fn without_an_arrangement_in_force_there_are_no_duties() {
    let mut scene = Scene { held: Vec::new(), events: Vec::new(), threads: Vec::new() };
    scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    scene.agree(value(), None, &["jp"], "2024-09-03T00:00:00.000Z");
    assert!(scene.of("acknowledge", "2024-10-01T00:00:00.000Z").is_empty());
}

/// Holidays of who must act move a last day, where the arrangement says so; those of one party do not when any party
/// may act. 2024-10-09 is a holiday of KR only, a Wednesday.
#[test]
fn only_holidays_of_who_must_act_move_a_last_day() {
    let mut terms = value();
    for clock in terms["clocks"].as_array_mut().unwrap() {
        clock["due"] = json!({ "within": "8 d", "to-end-of-day": true, "working-days": true });
    }
    let mut scene = Scene::under(terms, "2024-08-01T00:00:00.000Z");
    scene.event("notice:disruption-alert", "kr", "2024-10-01T00:00:00.000Z", None);
    scene.event("notice:emergency-meeting-request", "kr", "2024-10-01T00:00:00.000Z", None);
    let due = |clock: &str| scene.of(clock, "2024-10-02T00:00:00.000Z")[0].due.to_string();
    assert_eq!(due("follow-up"), "2024-10-10T14:59:59.999Z", "KR acts");
    assert_eq!(due("acknowledge"), "2024-10-09T14:59:59.999Z", "JP acts");
    assert_eq!(due("emergency-meeting"), "2024-10-09T14:59:59.999Z", "anybody acts");
}

#[test]
fn the_timer_is_set_to_the_next_change_and_windows_tile() {
    let mut scene = Scene::new();
    scene.event("notice:disruption-alert", "kr", "2024-09-02T00:00:00.000Z", None);
    let duties = scene.of("acknowledge", "2024-09-02T00:00:00.000Z");
    assert_eq!(next_instant(&duties, at("2024-09-02T00:00:00.000Z")), Some(at("2024-09-03T00:00:00.001Z")));
    assert_eq!(next_instant(&duties, at("2024-09-03T00:00:00.001Z")), None);
    let between = |after: &str, until: &str| stages_between(&duties, at(after), at(until)).len();
    assert_eq!(between("2024-09-02T00:00:00.000Z", "2024-09-03T00:00:00.000Z"), 0);
    assert_eq!(between("2024-09-03T00:00:00.000Z", "2024-09-03T00:00:00.001Z"), 1);
    assert_eq!(between("2024-09-03T00:00:00.001Z", "2024-09-09T00:00:00.000Z"), 0);
}
