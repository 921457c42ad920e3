//! Who takes part: assents, refusals, those who join later and those who leave.

use hiwar_dialogue::engine::{Command, CommandError};
use hiwar_dialogue::entry::{About, Body, DialogueId, EntryId, Membership};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;

use super::kit::{Party, envelope, open_dialogue, parties, talk, two, words};

fn propose(party: &mut Party, dialogue: DialogueId, with: &[Did]) -> Result<EntryId, CommandError> {
    let command = Command::ChangeMembership {
        dialogue,
        parties: with.to_vec(),
        cap: Marking::Amber,
        title: words("changed").texts,
    };
    party.command(command).map(|signed| signed.id)
}

fn current(party: &Party, dialogue: DialogueId) -> EntryId {
    party.engine.dialogue(&dialogue).unwrap().current
}

#[test]
fn a_dialogue_is_open_when_everybody_has_assented() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = all[0].open(&[&dids[1], &dids[2]], Marking::Amber);
    talk(&mut all, 2);
    all[1].assent(dialogue);
    talk(&mut all, 2);
    let say = |party: &mut Party| {
        let words = words("too early");
        party.command(Command::Say { dialogue, marking: Marking::Clear, words, attachments: Vec::new() })
    };
    for party in &mut all {
        assert!(matches!(say(party), Err(CommandError::NotOpen(left)) if left.contains(&dids[2])));
    }
    all[2].assent(dialogue);
    talk(&mut all, 2);
    for party in &mut all {
        assert!(say(party).is_ok());
    }
}

#[test]
fn a_party_speaks_once_about_a_membership() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let proposal = propose(&mut all[0], dialogue, &dids).unwrap();
    assert!(matches!(propose(&mut all[0], dialogue, &dids[..2]), Err(CommandError::AlreadySpoken(_))));
    talk(&mut all, 2);
    let refuse = |party: &mut Party| party.command(Command::Refuse { of: proposal, words: words("no") });
    refuse(&mut all[1]).unwrap();
    assert!(matches!(refuse(&mut all[1]), Err(CommandError::AlreadySpoken(_))));
    let assent = all[1].command(Command::Assent { of: proposal });
    assert!(matches!(assent, Err(CommandError::AlreadySpoken(_))));
    talk(&mut all, 5);
    all[2].assent(proposal);
    talk(&mut all, 5);
    for party in all.iter().take(2) {
        assert_eq!(current(party, dialogue), dialogue, "a refused change never takes effect");
    }
}

#[test]
fn who_joins_later_learns_how_it_came_about_and_nothing_that_was_said_before() {
    let mut all = parties(4);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let secret = all[0].say(dialogue, "among two");
    talk(&mut all, 3);
    // Twice somebody joins, so that the last one needs the membership in between as well.
    for (newcomer, count) in [(2, 3), (3, 4)] {
        let proposal = propose(&mut all[0], dialogue, &dids[..count]).unwrap();
        talk(&mut all, 10);
        for party in all.iter_mut().take(count).skip(1) {
            party.assent(proposal);
        }
        talk(&mut all, 10);
        for party in all.iter().take(count) {
            assert_eq!(current(party, dialogue), proposal, "{} after {newcomer} joined", party.did);
        }
        let said = all[newcomer].say(dialogue, "glad to be here");
        talk(&mut all, 5);
        assert!(all[0].store.holds(&said.id));
    }
    for late in [2, 3] {
        assert!(!all[late].store.holds(&secret.id), "what was said before stays with those it was said to");
    }
    assert!(all.iter().all(|p| p.alarms("refused").is_empty()));
}

#[test]
fn who_is_removed_must_agree_and_hears_no_more() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    let proposal = propose(&mut all[0], dialogue, &dids[..2]).unwrap();
    talk(&mut all, 3);
    all[1].assent(proposal);
    talk(&mut all, 3);
    assert_eq!(current(&all[0], dialogue), dialogue, "the one who is to go has not agreed");
    all[2].assent(proposal);
    talk(&mut all, 3);
    for party in &all {
        assert_eq!(current(party, dialogue), proposal);
    }
    let said = all[0].say(dialogue, "among two");
    talk(&mut all, 3);
    assert!(all[1].store.holds(&said.id) && !all[2].store.holds(&said.id));
    let words = words("still here");
    let say = Command::Say { dialogue, marking: Marking::Clear, words, attachments: Vec::new() };
    assert!(matches!(all[2].command(say), Err(CommandError::NotAParty)));
}

#[test]
fn nobody_is_removed_by_two_changes_in_a_row_without_assenting_to_the_first() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    let first = propose(&mut all[0], dialogue, &dids[..2]).unwrap();
    talk(&mut all, 3);
    all[1].assent(first);
    talk(&mut all, 3);
    // What a desk cannot do: a change of the change, which the two alone are concerned by.
    let mut entry = all[0].draft(dialogue);
    let Membership { title, parties, cap, .. } =
        all[0].engine.dialogue(&dialogue).unwrap().membership(&first).unwrap().membership.clone();
    entry.membership = Some(first);
    entry.body = Body::Membership(Membership { title, parties, cap, replaces: Some(first) });
    let second = all[0].sign(entry.clone());
    entry.author = dids[1].clone();
    entry.membership = Some(first);
    entry.prev = vec![second.id];
    entry.body = Body::Assent(About { of: second.id, words: words("yes") });
    let assent = all[1].sign(entry);
    for (author, signed) in [(0, &second), (1, &assent)] {
        for to in 0..3 {
            if to != author {
                let (author, receiver) = two(&mut all, author, to);
                let body = author.batch_of(&receiver.did, &[envelope(signed)]);
                receiver.now_ms = receiver.now_ms.max(author.now_ms);
                receiver.take(&author.did, &body).unwrap();
            }
        }
    }
    assert_eq!(current(&all[2], dialogue), dialogue, "the third has assented to neither");
    assert!(all[2].engine.dialogue(&dialogue).unwrap().membership(&second.id).is_some());
}

#[test]
fn who_was_removed_may_still_speak_about_a_change_it_is_concerned_by() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    // Two rival proposals by two parties; the third is a party of neither.
    let first = propose(&mut all[0], dialogue, &dids[..2]).unwrap();
    let second = propose(&mut all[1], dialogue, &[dids[0].clone(), dids[1].clone()]).unwrap();
    talk(&mut all, 5);
    let refusal = all[2].command(Command::Refuse { of: second, words: words("no") }).unwrap();
    all[2].assent(first);
    talk(&mut all, 5);
    for party in &all {
        assert!(party.store.holds(&refusal.id), "{}", party.did);
        assert!(party.alarms("refused").is_empty());
    }
}

#[test]
fn all_parties_agree_on_the_membership_in_any_order_of_arrival() {
    let mut all = parties(3);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    let proposal = propose(&mut all[0], dialogue, &dids[1..]).unwrap();
    talk(&mut all, 3);
    // The last two assent at one time and hear of each other later.
    all[1].assent(proposal);
    all[2].assent(proposal);
    talk(&mut all, 3);
    for party in &all {
        assert_eq!(current(party, dialogue), proposal);
    }
}

#[test]
fn a_marking_above_the_cap_cannot_be_said() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Green);
    let words = words("secret");
    let say = Command::Say { dialogue, marking: Marking::Amber, words, attachments: Vec::new() };
    assert!(matches!(all[0].command(say), Err(CommandError::AboveCap { .. })));
    let (_, other) = two(&mut all, 0, 1);
    assert_eq!(other.store.entries().count(), 2);
}
