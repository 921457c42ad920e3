//! Organisation keys are replaced while the node runs; what was signed before stays provable.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::fs;
use std::path::Path;

use hiwar_node::folder;
use hiwar_trust::key::KeyHolder as _;
use newcomer::{Ministries, api, until};
use serde_json::{Value, json};

/// The public key in a key file.
fn public_key(path: &Path) -> String {
    let key = folder::read_key(path, None).unwrap();
    json!(key.public_key()).as_str().unwrap().to_owned()
}

/// The organisation key in the newest card that a node shows.
fn key_in_force(both: &Ministries, node: &str) -> Value {
    let shown = both.person.at(node, &["invitation"]).ok().json();
    shown["cards"].as_array().unwrap().last().unwrap()["card"]["organisationKey"].clone()
}

fn retired_keys(dir: &Path) -> usize {
    let names = fs::read_dir(dir.join("keys")).unwrap().map(|e| e.unwrap().file_name());
    names.filter(|n| n.to_string_lossy().starts_with("organisation.key.retired-")).count()
}

fn wait_for_cards(both: &Ministries, count: usize) {
    until("the peer to learn the card", || {
        let peer = both.meti(&["peer", "show", &both.motie_did, "--format", "json"]).ok().json();
        peer["cards"] == json!(count)
    });
}

#[test]
fn after_a_rotation_old_and_new_entries_are_proved_and_peers_know_the_new_key() {
    let (mut both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "under the first key");
    let before = key_in_force(&both, "motie");
    let rotated = both.motie(&["key", "rotate"]).ok();
    assert!(
        rotated.err.contains("Card 1 is in force; peers learn it with the next batch"),
        "{}",
        rotated.err
    );
    assert_eq!(key_in_force(&both, "motie"), json!(rotated.word()));
    assert_ne!(before, json!(rotated.word()));
    wait_for_cards(&both, 2);
    both.say("motie", &dialogue, "under the second key");
    let second = both.motie(&["key", "rotate", "--format", "json"]).ok().json();
    assert_eq!(second["sequence"], 2);
    both.say("motie", &dialogue, "under the third key");
    both.say("meti", &dialogue, "understood");
    both.settle(&dialogue);
    wait_for_cards(&both, 3);
    let dir = both.person.path("motie");
    assert_eq!(public_key(&dir.join(folder::ORGANISATION_KEY)), second["organisation_key"].as_str().unwrap());
    assert_eq!(retired_keys(&dir), 2, "old keys are kept beside the new one");
    both.kill("motie");
    both.start("motie");
    both.say("motie", &dialogue, "after a restart");
    both.settle(&dialogue);
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
    // The first invitation still anchors the chain.
    assert!(both.alarms("meti").is_empty(), "{:?}", both.alarms("meti"));
}

#[test]
fn a_revoked_key_is_named_with_its_reason_and_new_entries_are_taken() {
    let (both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "under the key that was stolen later");
    both.settle(&dialogue);
    both.motie(&["key", "rotate", "--reason", "laptop lost"]).ends_with(2);
    both.motie(&["key", "rotate", "--revoke-since", "yesterday"]).ends_with(2);
    both.motie(&["key", "rotate", "--revoke-since", "2026-01-01T00:00:00.000Z", "--reason", "laptop lost"])
        .ok();
    wait_for_cards(&both, 2);
    let invitation = both.motie(&["invitation"]).ok().json();
    let revoked = &invitation["cards"][1]["card"]["revoked"][0];
    assert_eq!(
        (&revoked["reason"], &revoked["since"]),
        (&json!("laptop lost"), &json!("2026-01-01T00:00:00.000Z"))
    );
    both.say("motie", &dialogue, "under the new key");
    both.settle(&dialogue);
    both.logs_agree();
    // Entries under the revoked key are believed where the other side's receipts vouch for them.
    let open = both.not_proved("meti", &dialogue, |open| open.is_empty());
    assert!(!open.iter().any(|claim| claim.contains("failed")), "{}", open.join("\n"));
}

#[test]
fn two_rotations_at_the_same_time_leave_the_node_with_the_key_of_its_newest_card() {
    let (mut both, dialogue) = Ministries::talking();
    let dir = both.person.path("motie");
    let made: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..6).map(|_| scope.spawn(|| api(&dir, "POST", "/api/v1/keys/rotate", b"{}"))).collect();
        asked.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert!(made.iter().all(|(status, _)| *status == 200), "{made:?}");
    let newest =
        made.iter().max_by_key(|(_, m)| m["sequence"].as_u64()).unwrap().1["organisation_key"].clone();
    assert_eq!(key_in_force(&both, "motie"), newest);
    assert_eq!(json!(public_key(&dir.join(folder::ORGANISATION_KEY))), newest);
    both.kill("motie");
    both.start("motie");
    both.say("motie", &dialogue, "still able to sign");
    both.settle(&dialogue);
}

/// A rotation writes the next key, makes the card durable, then moves the key into place.
#[test]
fn a_rotation_that_was_killed_before_its_card_was_durable_is_undone_at_the_next_start() {
    let (mut both, dialogue) = Ministries::talking();
    both.kill("motie");
    let dir = both.person.path("motie");
    let before = public_key(&dir.join(folder::ORGANISATION_KEY));
    folder::write_key(&dir.join(folder::NEXT_ORGANISATION_KEY), &folder::new_key().unwrap(), None).unwrap();
    both.start("motie");
    assert!(!dir.join(folder::NEXT_ORGANISATION_KEY).exists());
    assert_eq!(public_key(&dir.join(folder::ORGANISATION_KEY)), before);
    both.say("motie", &dialogue, "under the key as before");
    both.settle(&dialogue);
    assert_eq!(both.motie(&["key", "rotate", "--format", "json"]).ok().json()["sequence"], 1);
}

#[test]
fn a_rotation_that_was_killed_after_its_card_was_durable_is_finished_at_the_next_start() {
    // Killed before the old key was set aside, and killed between that and the last rename.
    for old_is_set_aside in [false, true] {
        let (mut both, dialogue) = Ministries::talking();
        let dir = both.person.path("motie");
        let (current, next) = (dir.join(folder::ORGANISATION_KEY), dir.join(folder::NEXT_ORGANISATION_KEY));
        let old = fs::read(&current).unwrap();
        let new = both.motie(&["key", "rotate"]).ok().word();
        both.kill("motie");
        fs::rename(&current, &next).unwrap();
        for entry in fs::read_dir(dir.join("keys")).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().contains("retired") && !old_is_set_aside {
                fs::rename(entry.path(), &current).unwrap();
            }
        }
        assert_eq!(current.exists(), !old_is_set_aside);
        both.start("motie");
        assert_eq!(public_key(&current), new);
        assert!(!next.exists());
        assert_eq!(retired_keys(&dir), 1);
        assert!(!fs::read(&current).unwrap().eq(&old));
        both.say("motie", &dialogue, "under the new key");
        both.settle(&dialogue);
        both.logs_agree();
    }
}

#[test]
fn a_second_serve_does_not_touch_the_keys_of_the_node_that_runs() {
    let (both, _) = Ministries::talking();
    let next = both.person.path("motie").join(folder::NEXT_ORGANISATION_KEY);
    // As it is for a moment in the middle of a rotation.
    folder::write_key(&next, &folder::new_key().unwrap(), None).unwrap();
    both.person.hiwar(&["serve", "motie"]).refused(&["motie is in use by process", "stop that process"]);
    assert!(next.exists());
}
