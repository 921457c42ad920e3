//! Clocks under random histories, orders of arrival, polls and crashes.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "only for tests")]

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{ActKind, EntryId};
use hiwar_trust::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::arrangement::sample::{act, at, did, held, id, step, value};
use crate::arrangement::{Due, Owner, Span, Version, Versions};
use crate::event::Event;
use crate::history::{Held, in_order};
use crate::status::Status;

const HOUR_MS: i64 = 3_600_000;
const PARTIES: [&str; 2] = ["kr", "jp"];
const KINDS: [&str; 8] = [
    "notice:disruption-alert",
    "notice:emergency-meeting-request",
    "acknowledged",
    "answered",
    "meeting-held",
    "delivered:critical-goods",
    "delivered:report",
    "delivered:chair",
];

/// Something that happens: a kind, by a party, on one of few subjects, so many hours from the beginning; `version`
/// agrees on the next version before it.
#[derive(Clone, Debug)]
struct Step {
    kind: usize,
    by: usize,
    subject: usize,
    hours: i64,
    exercise: bool,
    version: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (
        0..KINDS.len(),
        0..2_usize,
        0..3_usize,
        0..2_000_i64,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
    )
        .prop_map(|(kind, by, subject, hours, exercise, version)| Step {
            kind,
            by,
            subject,
            hours,
            exercise,
            version,
        });
    prop::collection::vec(one, 1..25)
}

fn start() -> Timestamp {
    at("2024-02-24T00:00:00.000Z")
}

/// The entries of a history, and what happened by entry.
fn history(steps: &[Step]) -> (Vec<Held>, Vec<Event>) {
    let mut all: Vec<Held> = Vec::new();
    let mut events = Vec::new();
    let mut versions: Vec<EntryId> = Vec::new();
    let say = |all: &mut Vec<Held>, by: &str, body| {
        let prev: Vec<EntryId> = all.last().map(|held| held.entry.id).into_iter().collect();
        let seconds = i64::try_from(all.len()).unwrap();
        let one = held(by, start().plus_millis(seconds * 1000), &prev, body);
        let id = one.entry.id;
        all.push(one);
        id
    };
    for (index, one) in steps.iter().enumerate() {
        if index == 0 || one.version {
            let mut terms = value();
            terms["version"] = json!(versions.len() + 1);
            // Every version has other times, and the clocks of some are gone.
            terms["clocks"][1]["due"] = json!({ "within": format!("{} h", 24 + versions.len()) });
            if versions.len() % 2 == 1 {
                terms["clocks"].as_array_mut().unwrap().remove(2);
            }
            let proposal = say(&mut all, "kr", act(ActKind::Arrangement, versions.last().copied(), terms));
            say(&mut all, "jp", step(proposal, "assent"));
            versions.push(proposal);
        }
        let entry = say(&mut all, PARTIES[one.by], step(id("subject"), "other"));
        events.push(Event {
            kind: KINDS[one.kind].parse().unwrap(),
            subject: id(&one.subject.to_string()),
            entry,
            by: did(PARTIES[one.by]),
            at: start().plus_millis(one.hours * HOUR_MS),
            status: if one.exercise { Status::Exercise } else { Status::Actual },
        });
    }
    (all, events)
}

fn judge(held: &[Held], events: &[Event], now: Timestamp) -> Vec<Duty> {
    let versions = Versions::read(&in_order(held));
    let mut events = events.to_vec();
    events.extend(versions.events());
    duties(&events, &versions, &Threads::default(), now)
}

fn late() -> Timestamp {
    at("2030-01-01T00:00:00.000Z")
}

/// How many duties a start must have, counted in another way than the engine does.
fn count(version: &Version, event: &Event) -> usize {
    let clocks = version.arrangement.clocks.iter().filter(|clock| clock.starts == event.kind);
    clocks
        .map(|clock| match clock.owner {
            Owner::Each => 2,
            Owner::Author | Owner::Others | Owner::Any | Owner::Party(_) => 1,
        })
        .sum()
}

fn shuffled<T: Clone>(list: &[T], seed: u64) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = list
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let index = u64::try_from(index).unwrap() + 1;
            (index.wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23), item.clone())
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![
        (0..300_u32).prop_map(Span::Hours),
        (0..400_u32).prop_map(Span::Days),
        (0..30_u32).prop_map(Span::Months),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_does_not_matter_and_nothing_is_doubled(steps in steps(), seed: u64) {
        let (held, events) = history(&steps);
        let first = judge(&held, &events, late());
        let mut twice = shuffled(&events, seed);
        twice.extend(events.iter().take(3).cloned());
        prop_assert_eq!(&judge(&shuffled(&held, seed), &twice, late()), &first);
        let keys: BTreeSet<&str> = first.iter().map(|duty| duty.key.as_str()).collect();
        prop_assert_eq!(keys.len(), first.len());
        let stages: BTreeSet<&str> =
            first.iter().flat_map(|duty| &duty.stages).map(|stage| stage.key.as_str()).collect();
        prop_assert_eq!(stages.len(), first.iter().map(|duty| duty.stages.len()).sum::<usize>());
        // Every start has its duties under the version that governed it, whatever version came later.
        let versions = Versions::read(&in_order(&held));
        let by_start = |event: &Event| first.iter().filter(|duty| duty.started_by == event.entry).count();
        for event in &events {
            let expected = versions.governing(&event.entry).map_or(0, |version| count(version, event));
            prop_assert_eq!(by_start(event), expected, "{:?}", event);
        }
        // What starts with the arrangement starts once for each party, not with every version.
        for clock in ["goods", "chair"] {
            let owners = first.iter().filter(|duty| duty.clock == clock).count();
            prop_assert_eq!(owners, if clock == "goods" { 2 } else { 1 });
        }
    }

    /// More entries never take a duty away, nor its due time; what was met stays met, and not later.
    #[test]
    fn more_entries_lose_no_duty_and_unmeet_none(steps in steps(), cut in 1..25_usize) {
        let cut = cut.min(steps.len());
        let (before_held, before_events) = history(&steps[..cut]);
        let (after_held, after_events) = history(&steps);
        let after: BTreeMap<String, Duty> =
            judge(&after_held, &after_events, late()).into_iter().map(|duty| (duty.key.clone(), duty)).collect();
        for duty in judge(&before_held, &before_events, late()) {
            let Some(later) = after.get(&duty.key) else {
                return Err(TestCaseError::fail(format!("{} is lost", duty.key)));
            };
            prop_assert_eq!((duty.due, duty.version), (later.due, later.version));
            if let Some(done) = duty.done_at() {
                prop_assert!(later.done_at().is_some_and(|later| later <= done));
            }
            if matches!(duty.state, State::Met { .. }) {
                prop_assert!(matches!(later.state, State::Met { .. }), "{:?}", later.state);
            }
        }
    }

    /// As time goes by, a duty only goes from running to met, or to overdue and from there to met late.
    #[test]
    fn time_moves_a_duty_only_forward(steps in steps(), hours in prop::collection::vec(0..6_000_i64, 2..8)) {
        let (held, events) = history(&steps);
        let mut hours = hours;
        hours.sort_unstable();
        let rank = |state: &State| match state {
            State::Running => 0,
            State::Overdue { .. } => 1,
            State::Met { .. } | State::MetLate { .. } => 2,
        };
        let mut last: BTreeMap<String, State> = BTreeMap::new();
        for hour in hours {
            let now = start().plus_millis(hour * HOUR_MS);
            for duty in judge(&held, &events, now) {
                if let Some(before) = last.insert(duty.key.clone(), duty.state.clone()) {
                    prop_assert!(rank(&before) <= rank(&duty.state), "{:?} {:?}", before, duty.state);
                    prop_assert!(rank(&before) < 2 || before == duty.state);
                }
                match duty.state {
                    State::Running => prop_assert!(now <= duty.due),
                    State::Overdue { since } => prop_assert!(now > since && since == duty.due),
                    State::Met { at, .. } => prop_assert!(at <= duty.due && at <= now && at >= duty.started),
                    State::MetLate { at, late_ms, .. } => {
                        prop_assert!(late_ms > 0 && at == duty.due.plus_millis(late_ms) && at <= now);
                    }
                }
            }
        }
    }

    /// Windows that follow each other, some of them repeated after a crash, give every stage exactly once by its key.
    #[test]
    fn polls_at_random_instants_fire_each_stage_once(
        steps in steps(),
        polls in prop::collection::vec((1..800_i64, prop::bool::weighted(0.3)), 1..30),
    ) {
        let (held, events) = history(&steps);
        let mut fired: BTreeMap<String, usize> = BTreeMap::new();
        let mut from = start().plus_millis(-1);
        for (hours, crashes) in polls {
            let until = from.plus_millis(hours * HOUR_MS);
            let duties = judge(&held, &events, until);
            let keys = |found: Vec<(&Duty, &Stage)>| -> Vec<String> {
                found.into_iter().map(|(_, stage)| stage.key.clone()).collect()
            };
            let window = keys(stages_between(&duties, from, until));
            if crashes {
                // The window was told to nobody; the node starts again from the last instant that it kept.
                let again = judge(&held, &events, until);
                prop_assert_eq!(keys(stages_between(&again, from, until)), window);
                continue;
            }
            for key in window {
                *fired.entry(key).or_default() += 1;
            }
            // The timer never sleeps over a stage.
            if let Some(next) = next_instant(&duties, until) {
                prop_assert!(next > until);
                prop_assert!(stages_between(&duties, until, next.plus_millis(-1)).is_empty());
            }
            from = until;
        }
        let duties = judge(&held, &events, from);
        let expected: BTreeMap<String, usize> =
            stages_until(&duties, from).into_iter().map(|(_, stage)| (stage.key.clone(), 1)).collect();
        prop_assert_eq!(fired, expected);
    }

    /// Entries that arrive late start duties whose stages lie in the past: with the keys that were told, each is told
    /// once, and none of what stands at the end is missing.
    #[test]
    fn late_arrivals_are_told_once(steps in steps(), seed: u64, polls in prop::collection::vec(1..400_i64, 1..20)) {
        let (held, events) = history(&steps);
        let arriving = shuffled(&events, seed);
        let mut told: BTreeSet<String> = BTreeSet::new();
        let mut now = start();
        for (index, hours) in polls.iter().enumerate() {
            now = now.plus_millis(hours * HOUR_MS);
            let here = &arriving[..arriving.len() * (index + 1) / polls.len()];
            for (_, stage) in stages_until(&judge(&held, here, now), now) {
                told.insert(stage.key.clone());
            }
        }
        for (_, stage) in stages_until(&judge(&held, &events, now), now) {
            prop_assert!(told.contains(&stage.key), "{} was not told", stage.key);
        }
    }

    /// A later start is never due earlier, in zones with changes of clocks at all hours.
    #[test]
    fn due_never_falls_when_the_start_rises(
        within in spans(),
        to_end_of_day: bool,
        working_days: bool,
        name in prop::sample::select(vec![
            "Asia/Seoul", "Etc/UTC", "Europe/Brussels", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe",
            "Asia/Kolkata", "America/St_Johns", "Africa/Casablanca",
        ]),
        // Minutes since 2021: the changes of clocks of four years.
        minutes in prop::collection::vec(0..2_100_000_i64, 2..12),
        close in prop::collection::vec(0..180_i64, 2..12),
    ) {
        let zone = zone(name).unwrap();
        let rule = Due { within, to_end_of_day, working_days: working_days && to_end_of_day };
        let holiday = |day: jiff::civil::Date| day.day() % 7 == 3;
        let base = at("2021-01-01T00:00:00.000Z");
        // Some starts lie within hours of each other, so that pairs around a change of clocks are met.
        let near = minutes[0];
        let mut starts: Vec<i64> = minutes.iter().copied().chain(close.iter().map(|close| near + close)).collect();
        starts.sort_unstable();
        let mut last = Timestamp::MIN;
        for minute in starts {
            let start = base.plus_millis(minute * 60_000);
            let found = rule::due(&rule, start, &zone, holiday);
            prop_assert!(found >= last, "{} {}: {} is due {}, earlier than {}", name, within, start, found, last);
            prop_assert!(found >= start, "{} {}: {} is due {}", name, within, start, found);
            last = found;
        }
    }
}

/// The hours around a change of clocks, minute by minute.
#[test]
fn due_never_falls_around_a_change_of_clocks() {
    for (name, change) in [
        ("Europe/Brussels", "2024-03-31T01:00:00.000Z"),
        ("Europe/Brussels", "2024-10-27T01:00:00.000Z"),
        ("Australia/Lord_Howe", "2024-04-06T15:00:00.000Z"),
        ("America/Havana", "2024-11-03T05:00:00.000Z"),
        ("America/Havana", "2024-03-10T05:00:00.000Z"),
    ] {
        let zone = zone(name).unwrap();
        for days in [0, 1] {
            for offset_days in [-1_i64, 0] {
                let rule = Due { within: Span::Days(days), to_end_of_day: false, working_days: false };
                let from = at(change).plus_millis(offset_days * 24 * HOUR_MS - 3 * HOUR_MS);
                let mut last = Timestamp::MIN;
                for minute in 0..360 {
                    let start = from.plus_millis(minute * 60_000);
                    let found = rule::due(&rule, start, &zone, |_| false);
                    assert!(found >= last, "{name} {days} d from {start}: {found} after {last}");
                    assert!(found >= start, "{name} {days} d from {start}: {found}");
                    last = found;
                }
            }
        }
    }
}
