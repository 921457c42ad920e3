//! Keys are replaced while the node runs; what was signed before stays provable.

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
    in_newest_card(both, node, "organisationKey")
}

fn retired_keys(dir: &Path) -> usize {
    retired(dir, "organisation.key.retired-")
}

/// How many files of keys have names that begin so.
fn retired(dir: &Path, beginning: &str) -> usize {
    let names = fs::read_dir(dir.join("keys")).unwrap().map(|e| e.unwrap().file_name());
    names.filter(|n| n.to_string_lossy().starts_with(beginning)).count()
}

fn wait_for_cards(both: &Ministries, count: usize) {
    wait_for_cards_at("meti", both, count);
}

/// Waits until a node holds so many cards of the other.
fn wait_for_cards_at(node: &str, both: &Ministries, count: usize) {
    let of = if node == "motie" { &both.meti_did } else { &both.motie_did };
    until("the peer to learn the card", || {
        let peer = both.person.at(node, &["peer", "show", of, "--format", "json"]).ok().json();
        peer["cards"] == json!(count)
    });
}

/// The digest of the TLS key in the files of a node.
fn tls_key(dir: &Path) -> String {
    let certificate = fs::read_to_string(dir.join(folder::CERTIFICATE)).unwrap();
    hiwar_node::tls::public_key_hash(&certificate).unwrap().to_string()
}

/// A member of the newest card that a node shows.
fn in_newest_card(both: &Ministries, node: &str, member: &str) -> Value {
    let shown = both.person.at(node, &["invitation"]).ok().json();
    shown["cards"].as_array().unwrap().last().unwrap()["card"][member].clone()
}

/// Both speak, hear each other, and prove it, without an alarm.
fn all_is_well(both: &Ministries, dialogue: &str) {
    both.say("motie", dialogue, "still here");
    both.say("meti", dialogue, "so are we");
    both.settle(dialogue);
    both.logs_agree();
    both.dossiers_prove_everything(dialogue);
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
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

#[test]
fn after_a_rotation_of_the_node_key_peers_follow_in_both_directions() {
    let (mut both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "receipted with the first node key");
    both.settle(&dialogue);
    let fingerprint = |both: &Ministries| both.motie(&["invitation"]).ok().err;
    let before = fingerprint(&both);
    let new = both.motie(&["key", "rotate", "--which", "node"]).ok();
    assert!(new.err.contains("Card 1 is in force"), "{}", new.err);
    // The other speaks first, on a session that began under the old key.
    both.say("meti", &dialogue, "is this still you?");
    both.settle(&dialogue);
    wait_for_cards(&both, 2);
    assert_eq!(in_newest_card(&both, "motie", "nodeKey"), json!(new.word()));
    let dir = both.person.path("motie");
    assert_eq!(public_key(&dir.join(folder::NODE_KEY)), new.word());
    assert_eq!((retired(&dir, "node.key.retired-"), retired_keys(&dir)), (1, 0));
    assert_eq!(fingerprint(&both), before, "the fingerprint is the organisation key's");
    all_is_well(&both, &dialogue);
    both.meti(&["key", "rotate", "--which", "node"]).ok();
    for node in ["motie", "meti"] {
        both.kill(node);
        both.start(node);
    }
    wait_for_cards_at("motie", &both, 2);
    all_is_well(&both, &dialogue);
}

#[test]
fn a_node_that_accepts_no_connection_follows_new_node_and_tls_keys() {
    let (mut both, dialogue) = Ministries::talking_outbound_only();
    both.settle(&dialogue);
    for (which, cards) in [("node", 2), ("tls", 3)] {
        both.meti(&["key", "rotate", "--which", which]).ok();
        let told = both.say("meti", &dialogue, "under new keys");
        both.arrived("motie", &dialogue, &told);
        wait_for_cards_at("motie", &both, cards);
        all_is_well(&both, &dialogue);
    }
    // What happens while it is away is made up for: it expects a key that was replaced twice since.
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    both.meti(&["key", "rotate", "--which", "tls"]).ok();
    both.meti(&["key", "rotate", "--which", "node"]).ok();
    both.meti(&["key", "rotate", "--which", "tls"]).ok();
    both.kill("meti");
    both.start("meti");
    both.start("motie");
    wait_for_cards_at("motie", &both, 6);
    all_is_well(&both, &dialogue);
    // It has a node key of its own that can be replaced, too.
    both.motie(&["key", "rotate", "--which", "node"]).ok();
    wait_for_cards(&both, 2);
    all_is_well(&both, &dialogue);
}

#[test]
fn after_a_rotation_of_the_tls_key_peers_connect_whether_or_not_they_know_the_new_card() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    let dir = both.person.path("motie");
    let first = tls_key(&dir);
    both.kill("meti");
    let new = both.motie(&["key", "rotate", "--which", "tls"]).ok().word();
    assert_ne!(new, first);
    assert_eq!((tls_key(&dir), in_newest_card(&both, "motie", "tlsKey")), (new.clone(), json!(new)));
    assert_eq!(retired(&dir, "tls.retired-"), 1);
    both.start("meti");
    both.say("meti", &dialogue, "said to a node whose new card we do not know");
    both.settle(&dialogue);
    wait_for_cards(&both, 2);
    all_is_well(&both, &dialogue);
    let known = both.motie(&["peer", "show", &both.meti_did, "--format", "json"]).ok().json();
    assert_eq!(known["knows_card"], 1, "the operator sees who knows the card");
    // Once everybody knows it, the old key may go.
    both.kill("motie");
    for entry in fs::read_dir(dir.join("keys")).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("tls.retired-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    both.start("motie");
    all_is_well(&both, &dialogue);
    let log = both.meti.as_ref().unwrap().log();
    assert!(!log.contains("its TLS key is not the one"), "{log}");
}

#[test]
fn a_node_key_is_revoked_with_its_reason_and_a_tls_key_is_not() {
    let (both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    let revoke = |which| {
        let since = "2026-01-01T00:00:00.000Z";
        both.motie(&["key", "rotate", "--which", which, "--revoke-since", since, "--reason", "disk lost"])
    };
    revoke("tls").refused(&["a TLS key cannot be revoked", "(bad-request)"]);
    revoke("node").ok();
    wait_for_cards(&both, 2);
    assert_eq!(in_newest_card(&both, "motie", "revoked")[0]["reason"], "disk lost");
    both.say("motie", &dialogue, "under the new node key");
    both.say("meti", &dialogue, "heard");
    both.settle(&dialogue);
    both.logs_agree();
    assert!(both.alarms("meti").is_empty(), "{:?}", both.alarms("meti"));
}

#[test]
fn a_node_behind_a_proxy_has_no_tls_key_to_rotate() {
    let person = newcomer::Newcomer::new();
    let listen = format!("127.0.0.1:{}", newcomer::two_free_ports());
    let url = format!("http://{listen}");
    person.hiwar(&["init", "node", "--name", "N", "--behind-proxy", "--listen", &listen, "--url", &url]).ok();
    let _node = person.serve("node");
    person
        .at("node", &["key", "rotate", "--which", "tls"])
        .refused(&["its certificate comes from an authority", "(not-pinned)"]);
    person.at("node", &["key", "rotate", "--which", "node"]).ok();
}

/// A rotation writes the next key, makes the card durable, then moves the key into place.
#[test]
fn a_node_key_rotation_that_was_killed_is_undone_or_finished_at_the_next_start() {
    let (mut both, dialogue) = Ministries::talking();
    let dir = both.person.path("motie");
    let (current, next) = (dir.join(folder::NODE_KEY), dir.join(folder::NEXT_NODE_KEY));
    let before = public_key(&current);
    both.kill("motie");
    folder::write_key(&next, &folder::new_key().unwrap(), None).unwrap();
    both.start("motie");
    assert_eq!((next.exists(), public_key(&current)), (false, before));
    for old_is_set_aside in [false, true] {
        let old = fs::read(&current).unwrap();
        let new = both.motie(&["key", "rotate", "--which", "node"]).ok().word();
        both.kill("motie");
        fs::rename(&current, &next).unwrap();
        if !old_is_set_aside {
            hiwar_node::folder::write_secret(&current, &old).unwrap();
        }
        both.start("motie");
        assert_eq!((next.exists(), public_key(&current)), (false, new));
        all_is_well(&both, &dialogue);
    }
}

/// Certificate and key are written to one file, the card becomes durable, the old pair is kept in
/// one file, the key is put in its place, then the certificate, and the first file is removed.
#[test]
fn a_tls_rotation_that_was_killed_is_undone_or_finished_at_the_next_start() {
    let (mut both, dialogue) = Ministries::talking();
    let dir = both.person.path("motie");
    let [certificate, key, next] =
        [folder::CERTIFICATE, folder::CERTIFICATE_KEY, folder::NEXT_CERTIFICATE].map(|name| dir.join(name));
    let pair = || (fs::read_to_string(&certificate).unwrap(), fs::read_to_string(&key).unwrap());
    let together = |(certificate, key): &(String, String)| format!("{certificate}{key}");
    let before = tls_key(&dir);
    both.kill("motie");
    let unused = hiwar_node::tls::new_certificate("127.0.0.1").unwrap();
    folder::write_secret(&next, together(&unused).as_bytes()).unwrap();
    both.start("motie");
    assert_eq!((next.exists(), tls_key(&dir)), (false, before));
    for steps_done in 0..4 {
        let old = pair();
        let new = both.motie(&["key", "rotate", "--which", "tls"]).ok().word();
        both.kill("motie");
        let made = pair();
        folder::write_secret(&next, together(&made).as_bytes()).unwrap();
        if steps_done < 1 {
            let name =
                format!("keys/tls.retired-{}", hiwar_node::tls::public_key_hash(&old.0).unwrap().short());
            fs::remove_file(dir.join(name)).unwrap();
        }
        if steps_done < 2 {
            folder::write_secret(&key, old.1.as_bytes()).unwrap();
        }
        if steps_done < 3 {
            fs::write(&certificate, &old.0).unwrap();
        }
        both.start("motie");
        assert_eq!((next.exists(), tls_key(&dir)), (false, new), "after {steps_done} steps");
        assert_eq!(pair(), made);
        assert_eq!(retired(&dir, "tls.retired-"), steps_done + 1);
        all_is_well(&both, &dialogue);
    }
}

/// kill -9 at moments spread over the whole of a rotation or a change of the card: the next start
/// always works, its files are those of its newest card, and the other side believes it.
#[test]
fn a_node_that_is_killed_while_anything_is_replaced_starts_and_is_believed() {
    let (mut both, dialogue) = Ministries::talking();
    let dir = both.person.path("motie");
    let mut cards = 1;
    for round in 0..40_u64 {
        let name = format!(r#"{{"name":"Ministry {round}"}}"#);
        let (method, path, body) = match round % 4 {
            0 => ("POST", "/api/v1/keys/rotate", r#"{"which":"organisation"}"#),
            1 => ("POST", "/api/v1/keys/rotate", r#"{"which":"node"}"#),
            2 => ("POST", "/api/v1/keys/rotate", r#"{"which":"tls"}"#),
            _ => ("PATCH", "/api/v1/card", name.as_str()),
        };
        std::thread::scope(|scope| {
            // Nobody answers when the node is killed first.
            scope.spawn(|| std::panic::catch_unwind(|| api(&dir, method, path, body.as_bytes())).is_ok());
            std::thread::sleep(std::time::Duration::from_micros(round / 4 * 800));
            both.kill("motie");
        });
        both.start("motie");
        let newest = in_newest_card(&both, "motie", "sequence").as_u64().unwrap() + 1;
        assert!(newest == cards || newest == cards + 1, "round {round}: {cards} cards, then {newest}");
        cards = newest;
        assert_eq!(json!(public_key(&dir.join(folder::NODE_KEY))), in_newest_card(&both, "motie", "nodeKey"));
        assert_eq!(json!(tls_key(&dir)), in_newest_card(&both, "motie", "tlsKey"));
        let config = hiwar_node::config::Config::read(&dir).unwrap();
        assert_eq!(json!(config.name), in_newest_card(&both, "motie", "name"));
        both.say("motie", &dialogue, "still us");
    }
    assert!(cards > 1, "at least one change was made");
    wait_for_cards(&both, usize::try_from(cards).unwrap());
    all_is_well(&both, &dialogue);
}
