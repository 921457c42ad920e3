//! Logs: they only grow, peers hold each other to it, and a restore is declared or comes to light.

use hiwar_dialogue::ledger::Standing;
use hiwar_dialogue::marking::Marking;

use super::kit::{Party, exchange, open_dialogue, parties, talk};

fn distrust(party: &Party, other: &Party) -> Option<String> {
    let peer = party.engine.peers().find(|p| p.did == other.did).unwrap();
    match &peer.standing {
        Standing::Distrusted { code } => Some(code.clone()),
        Standing::Active | Standing::Retired => None,
    }
}

#[test]
fn a_restore_without_a_word_stops_the_node_and_a_declared_one_heals() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    talk(&mut all, 5);
    let backup = all[1].store.backup();
    let lost: Vec<_> = (0..40).map(|n| all[1].say(dialogue, &format!("entry {n}")).id).collect();
    talk(&mut all, 5);
    all[1].put_back(&backup);
    all[1].now_ms += 3_600_000;
    exchange(&mut all, 1, 0);
    assert!(all[1].engine.halted().is_some());
    assert_eq!(all[1].alarms("own-log-behind").len(), 1);
    all[1].declare_restore();
    assert!(all[1].engine.halted().is_none());
    talk(&mut all, 60);
    for id in lost {
        assert!(all[1].store.holds(&id), "an own entry comes back from its peers");
    }
    assert_eq!((distrust(&all[0], &all[1]), distrust(&all[2], &all[1])), (None, None));
}

#[test]
fn a_log_that_grew_again_after_a_restore_is_found_out_by_its_owner() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    let backup = all[1].store.backup();
    all[1].say(dialogue, "to be lost");
    talk(&mut all, 5);
    all[1].put_back(&backup);
    for n in 0..20 {
        all[1].say(dialogue, &format!("instead {n}"));
    }
    all[1].now_ms += 3_600_000;
    exchange(&mut all, 1, 0);
    assert!(all[1].engine.halted().is_some(), "its log is longer than before, and another");
}

#[test]
fn cards_learned_outside_of_a_batch_survive_a_restart() {
    let mut all = parties(2);
    all[0].rotate(false);
    let cards = all[0].engine.identity().cards().to_vec();
    let did = all[0].did.clone();
    let now = all[1].now();
    all[1].engine.learn_cards(&did, &cards, now);
    all[1].commit();
    all[1].restart();
    assert_eq!(all[1].engine.peer_identity(&did).unwrap().latest().sequence, 1);
}

#[test]
fn everybody_cosigns_the_newest_state_of_everybody() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    all[2].say(dialogue, "last");
    talk(&mut all, 10);
    for party in &all {
        let size = party.engine.log().1.size();
        for peer in party.engine.peers() {
            let note = peer.witnessed.as_deref().unwrap();
            let signed = hiwar_trust::checkpoint::SignedCheckpoint::parse(note.as_bytes()).unwrap();
            assert_eq!(signed.checkpoint().size(), size, "{} by {}", party.did, peer.did);
        }
    }
}

#[test]
fn two_histories_for_two_peers_come_to_light_when_they_talk() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 3, Marking::Amber);
    talk(&mut all, 5);
    let before = all[2].store.backup();
    all[2].say(dialogue, "for the first");
    all[2].now_ms += 2_000;
    assert!(exchange(&mut all, 2, 0).is_some());
    all[2].put_back(&before);
    all[2].say(dialogue, "for the second");
    all[2].now_ms += 2_000;
    assert!(exchange(&mut all, 2, 1).is_some());
    // The two compare what they were shown; the forked one must prove it and cannot.
    for party in &mut all {
        party.now_ms += 700_000;
    }
    exchange(&mut all, 0, 1);
    exchange(&mut all, 1, 0);
    let caught = [0, 1].iter().any(|n| distrust(&all[*n], &all[2]).as_deref() == Some("fork"));
    assert!(caught);
}
