//! The versions of an arrangement: rules one by one, and random histories against a model.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{About, ActKind, Body, EntryId, Words};
use hiwar_trust::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::sample::{act, at, did, held, step, value};
use super::{ProposalState, Versions};
use crate::event::EventKind;
use crate::history::{Held, in_order};

/// The sample as this version among these parties.
fn content(version: u32, parties: &[&str]) -> Value {
    let mut value = value();
    value["version"] = json!(version);
    // The clock of one party would need that party.
    value["clocks"].as_array_mut().unwrap().pop();
    let party = |name: &&str| json!({ "did": did(name).as_str(), "code": name.to_uppercase(), "name": { "en": *name, "ko": *name } });
    value["parties"] = Value::Array(parties.iter().map(party).collect());
    value
}

fn propose(version: u32, parties: &[&str], of: Option<EntryId>) -> Body {
    act(ActKind::Arrangement, of, content(version, parties))
}

/// A history in which every entry has seen all before it, a minute apart.
#[derive(Default)]
struct Story(Vec<Held>);

impl Story {
    fn say(&mut self, author: &str, body: Body) -> EntryId {
        let minutes = i64::try_from(self.0.len()).unwrap();
        let time = at("2024-02-24T00:00:00.000Z").plus_millis(minutes * 60_000);
        let prev: Vec<EntryId> = self.0.last().map(|held| held.entry.id).into_iter().collect();
        let held = held(author, time, &prev, body);
        let id = held.entry.id;
        self.0.push(held);
        id
    }

    fn read(&self) -> Versions {
        Versions::read(&in_order(&self.0))
    }

    fn void(&self, entry: EntryId) -> Option<&'static str> {
        self.read().void().iter().find(|(id, _)| *id == entry).map(|(_, void)| void.code)
    }
}

#[test]
fn a_version_is_in_force_when_all_parties_have_assented() {
    let mut story = Story::default();
    let first = story.say("kr", propose(1, &["kr", "jp", "us"], None));
    let by_jp = story.say("jp", step(first, "assent"));
    let state = |story: &Story| story.read().proposals()[0].state.clone();
    assert_eq!(state(&story), ProposalState::Open { missing: vec![did("us")] });
    assert_eq!(story.read().current(), None);
    let by_us = story.say("us", step(first, "assent"));
    let after = story.say("kr", step(by_jp, "accept"));
    let versions = story.read();
    assert_eq!(state(&story), ProposalState::InForce);
    let current = versions.current().unwrap();
    assert_eq!((current.proposal, current.completed_by), (first, by_us));
    assert_eq!(current.at, at("2024-02-24T00:02:00.000Z"));
    assert_eq!(versions.governing(&by_us), None);
    assert_eq!(versions.governing(&after).unwrap().proposal, first);
    let events = versions.events();
    assert_eq!((&events[0].kind, events[0].subject, events[0].entry), (&EventKind::InForce, first, by_us));
    assert_eq!(versions.void(), []);
}

#[test]
fn a_later_version_needs_the_old_parties_too_and_entries_keep_theirs() {
    let mut story = Story::default();
    let first = story.say("kr", propose(1, &["kr", "jp"], None));
    story.say("jp", step(first, "assent"));
    let early = story.say("kr", step(first, "other"));
    // JP leaves, CN comes: both must agree.
    let second = story.say("kr", propose(2, &["kr", "cn"], Some(first)));
    story.say("cn", step(second, "assent"));
    assert_eq!(story.read().current().unwrap().proposal, first);
    story.say("jp", step(second, "assent"));
    let late = story.say("cn", step(first, "other"));
    let versions = story.read();
    assert_eq!(
        versions.in_force().iter().map(|version| version.proposal).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(versions.governing(&early).unwrap().proposal, first);
    assert_eq!(versions.governing(&late).unwrap().proposal, second);
}

#[test]
fn of_two_rivals_the_first_complete_wins_and_all_nodes_agree() {
    let mut story = Story::default();
    let first = story.say("kr", propose(1, &["kr", "jp"], None));
    let base = story.say("jp", step(first, "assent"));
    let time = |minutes: i64| at("2024-03-01T00:00:00.000Z").plus_millis(minutes * 60_000);
    let mut rival = propose(2, &["kr", "jp"], Some(first));
    let Body::Act(other) = &mut rival else { unreachable!() };
    other.content.insert("version".to_owned(), json!(2));
    other.content.insert("title".to_owned(), json!({ "en": "Rival", "ko": "다른 안" }));
    // Neither party had seen the other's proposal. The one of JP is older, but KR's is complete first.
    let by_jp = held("jp", time(0), &[base], rival);
    let by_kr = held("kr", time(1), &[base], propose(2, &["kr", "jp"], Some(first)));
    let yes_jp = held("jp", time(2), &[by_kr.entry.id], step(by_kr.entry.id, "assent"));
    let yes_kr = held("kr", time(3), &[by_jp.entry.id], step(by_jp.entry.id, "assent"));
    story.0.extend([yes_kr.clone(), by_kr.clone(), by_jp.clone(), yes_jp]);
    let versions = story.read();
    assert_eq!(versions.current().unwrap().proposal, by_kr.entry.id);
    let void: BTreeMap<EntryId, &str> = versions.void().iter().map(|(id, void)| (*id, void.code)).collect();
    assert_eq!(void.get(&by_jp.entry.id), Some(&"arrangement-void-overtaken"));
    assert_eq!(void.get(&yes_kr.entry.id), Some(&"arrangement-void-overtaken"));
    story.0.reverse();
    assert_eq!(story.read(), versions);
}

#[test]
fn what_is_not_allowed_where_it_stands_is_void_with_a_reason() {
    let mut story = Story::default();
    let say = |story: &mut Story, author: &str, body: Body| {
        let entry = story.say(author, body);
        story.void(entry).unwrap_or("-")
    };
    assert_eq!(say(&mut story, "kr", propose(2, &["kr", "jp"], None)), "arrangement-void-version");
    assert_eq!(say(&mut story, "cn", propose(1, &["kr", "jp"], None)), "arrangement-void-party");
    let faulty = act(ActKind::Arrangement, None, json!({ "id": "x" }));
    assert_eq!(say(&mut story, "kr", faulty), "arrangement-void-faulty");
    let refused = story.say("kr", propose(1, &["kr", "jp"], None));
    assert_eq!(say(&mut story, "cn", step(refused, "assent")), "arrangement-void-party");
    assert_eq!(say(&mut story, "kr", step(refused, "assent")), "arrangement-void-again");
    assert_eq!(say(&mut story, "jp", step(refused, "refuse")), "-");
    assert_eq!(say(&mut story, "jp", step(refused, "assent")), "arrangement-void-refused");
    let back = |of| Body::Withdrawal(About { of, words: Words::default() });
    let withdrawn = story.say("jp", propose(1, &["kr", "jp"], None));
    assert_eq!(say(&mut story, "kr", back(withdrawn)), "arrangement-void-not-own");
    assert_eq!(say(&mut story, "jp", back(withdrawn)), "-");
    assert_eq!(say(&mut story, "kr", step(withdrawn, "assent")), "arrangement-void-withdrawn");
    let first = story.say("kr", propose(1, &["kr", "jp"], None));
    story.say("jp", step(first, "assent"));
    assert_eq!(say(&mut story, "jp", step(first, "assent")), "arrangement-void-in-force");
    assert_eq!(say(&mut story, "kr", back(first)), "arrangement-void-in-force");
    assert_eq!(say(&mut story, "kr", propose(2, &["kr", "jp"], None)), "arrangement-void-replaces");
    let mut renamed = content(2, &["kr", "jp"]);
    renamed["id"] = json!("renamed");
    assert_eq!(say(&mut story, "kr", act(ActKind::Arrangement, Some(first), renamed)), "arrangement-void-id");
}

#[test]
fn a_desk_without_mandate_changes_no_arrangement() {
    let mut story = Story::default();
    let mut terms = content(1, &["kr", "jp"]);
    terms["parties"][0]["desks"] = json!([{ "name": "alerts", "may": ["notice"] }]);
    let first = story.say("kr", act(ActKind::Arrangement, None, terms));
    story.say("jp", step(first, "assent"));
    assert!(story.read().current().is_some());
    // Entries of the story come from the desk "policy".
    let second = story.say("jp", propose(2, &["kr", "jp"], Some(first)));
    let assent = story.say("kr", step(second, "assent"));
    assert_eq!(story.void(assent), Some("arrangement-void-no-desk"));
    assert_eq!(story.read().current().unwrap().proposal, first);
}

const PARTIES: [&str; 3] = ["kr", "jp", "us"];

/// One move of a random history; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Move {
    Propose { by: usize, version: u32, among: usize, of: usize },
    Answer { by: usize, proposal: usize, assents: bool },
    Withdraw { by: usize, proposal: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0..3_usize, 1..4_u32, 0..3_usize, 0..4_usize)
            .prop_map(|(by, version, among, of)| Move::Propose { by, version, among, of }),
        8 => (0..3_usize, 0..6_usize, prop::bool::weighted(0.9))
            .prop_map(|(by, proposal, assents)| Move::Answer { by, proposal, assents }),
        1 => (0..3_usize, 0..6_usize).prop_map(|(by, proposal)| Move::Withdraw { by, proposal }),
    ];
    prop::collection::vec(one, 1..40)
}

/// Whose assent a proposal with this number of the choice of parties needs.
fn among(choice: usize) -> &'static [&'static str] {
    [&["kr", "jp"][..], &["kr", "jp", "us"], &["jp", "us"]][choice]
}

/// A proposal of the model.
struct Wanted {
    id: EntryId,
    by: &'static str,
    version: u32,
    needs: BTreeSet<&'static str>,
    has: BTreeSet<&'static str>,
    state: &'static str,
}

/// A simple model: a list of proposals with their assents and whether they are open.
#[derive(Default)]
struct Model {
    proposals: Vec<Wanted>,
    in_force: Vec<(EntryId, u32, BTreeSet<&'static str>)>,
}

impl Model {
    fn propose(
        &mut self,
        id: EntryId,
        by: &'static str,
        version: u32,
        parties: &[&'static str],
        of: Option<EntryId>,
    ) {
        let last = self.in_force.last();
        let mut needs: BTreeSet<&str> = parties.iter().copied().collect();
        needs.extend(last.iter().flat_map(|(_, _, parties)| parties.iter().copied()));
        let fits = version == last.map_or(1, |last| last.1 + 1) && of == last.map(|last| last.0);
        if fits && needs.contains(by) {
            let has = BTreeSet::from([by]);
            self.proposals.push(Wanted { id, by, version, needs, has, state: "open" });
        }
    }

    fn answer(
        &mut self,
        of: EntryId,
        by: &'static str,
        assents: bool,
        parties: &dyn Fn(EntryId) -> BTreeSet<&'static str>,
    ) {
        let Some(found) = self.proposals.iter_mut().find(|found| found.id == of) else { return };
        if found.state != "open" || !found.needs.contains(by) {
            return;
        }
        if !assents {
            found.state = "refused";
            return;
        }
        found.has.insert(by);
        if found.has == found.needs {
            found.state = "in force";
            let entry = (found.id, found.version, parties(found.id));
            self.in_force.push(entry);
            for other in self.proposals.iter_mut().filter(|other| other.state == "open") {
                other.state = "overtaken";
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The versions follow the model move by move, and do not depend on the order of arrival.
    #[test]
    fn versions_follow_the_model(moves in moves(), turn in 0..40_usize) {
        let mut story = Story::default();
        let mut model = Model::default();
        let mut all: Vec<(EntryId, &[&str])> = Vec::new();
        for one in &moves {
            match *one {
                Move::Propose { by, version, among: choice, of } => {
                    let of = of.checked_sub(1).and_then(|of| Some(all.get(of)?.0));
                    let id = story.say(PARTIES[by], propose(version, among(choice), of));
                    model.propose(id, PARTIES[by], version, among(choice), of);
                    all.push((id, among(choice)));
                }
                Move::Answer { by, proposal, assents } if !all.is_empty() => {
                    let of = all[proposal % all.len()].0;
                    story.say(PARTIES[by], step(of, if assents { "assent" } else { "refuse" }));
                    let parties = |id| {
                        let found = all.iter().find(|(known, _)| *known == id).unwrap();
                        found.1.iter().copied().collect()
                    };
                    model.answer(of, PARTIES[by], assents, &parties);
                }
                Move::Withdraw { by, proposal } if !all.is_empty() => {
                    let of = all[proposal % all.len()].0;
                    story.say(PARTIES[by], Body::Withdrawal(About { of, words: Words::default() }));
                    let found = model.proposals.iter_mut().find(|found| found.id == of);
                    if let Some(found) = found.filter(|found| found.state == "open" && found.by == PARTIES[by]) {
                        found.state = "withdrawn";
                    }
                }
                Move::Answer { .. } | Move::Withdraw { .. } => {}
            }
        }
        let versions = story.read();
        let in_force: Vec<EntryId> = versions.in_force().iter().map(|version| version.proposal).collect();
        let expected: Vec<EntryId> = model.in_force.iter().map(|version| version.0).collect();
        prop_assert_eq!(in_force, expected);
        let states: Vec<(EntryId, &str)> = versions.proposals().iter().map(|proposal| {
            let state = match proposal.state {
                ProposalState::Open { .. } => "open",
                ProposalState::InForce => "in force",
                ProposalState::Refused { .. } => "refused",
                ProposalState::Withdrawn { .. } => "withdrawn",
                ProposalState::Overtaken { .. } => "overtaken",
            };
            (proposal.entry, state)
        }).collect();
        let expected: Vec<(EntryId, &str)> = model.proposals.iter().map(|found| (found.id, found.state)).collect();
        prop_assert_eq!(states, expected);
        // Versions are numbered without a gap, and their times never go back.
        for (index, version) in versions.in_force().iter().enumerate() {
            prop_assert_eq!(usize::try_from(version.arrangement.version).unwrap(), index + 1);
        }
        let times: Vec<Timestamp> = versions.in_force().iter().map(|version| version.at).collect();
        prop_assert!(times.is_sorted());
        let turn = turn % story.0.len().max(1);
        story.0.rotate_left(turn);
        story.0.reverse();
        prop_assert_eq!(story.read(), versions);
    }
}
