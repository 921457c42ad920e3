//! The organisation key is lost or stolen; the recovery key brings the node back, and its peers
//! follow.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hiwar_node::folder;
use newcomer::ministries::fingerprint;
use newcomer::{Done, Ministries, until};
use serde_json::{Value, json};

/// Two ministries that talk; motie's recovery key is where it belongs, and its node is stopped.
fn stopped() -> (Ministries, String) {
    let (mut both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "under the key that will be gone");
    both.settle(&dialogue);
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    let safe = both.person.path("safe.key");
    fs::rename(both.person.path("motie").join(folder::RECOVERY_KEY), safe).unwrap();
    (both, dialogue)
}

fn recover(both: &Ministries, args: &[&str]) -> Done {
    let mut all = vec!["key", "recover", "motie", "--recovery-key", "safe.key"];
    all.extend(args);
    both.person.hiwar(&all)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy_folder(&found.path(), &to);
        } else if found.file_type().unwrap().is_file() {
            fs::copy(found.path(), to).unwrap();
        }
    }
}

fn lose(both: &Ministries, name: &str) {
    fs::remove_file(both.person.path("motie").join(name)).unwrap();
}

/// How many cards of motie the other holds.
fn cards_held(both: &Ministries) -> Value {
    both.meti(&["peer", "show", &both.motie_did, "--format", "json"]).ok().json()["cards"].clone()
}

/// Both speak, hear each other, and prove it; the peer holds so many cards.
fn all_is_well(both: &Ministries, dialogue: &str, cards: usize) {
    both.say("motie", dialogue, "we are back");
    both.say("meti", dialogue, "welcome back");
    until("the peer to learn the cards", || cards_held(both) == json!(cards));
    both.settle(dialogue);
    both.logs_agree();
    // Whoever verifies compares the words of the newest key.
    both.person.typed_into(&["invitation", "--node", "motie"], "motie.invitation");
}

fn newest_card(both: &Ministries) -> Value {
    let shown = both.motie(&["invitation"]).ok().json();
    shown["cards"].as_array().unwrap().last().unwrap()["card"].clone()
}

fn no_alarms(both: &Ministries) {
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
}

#[test]
fn a_node_whose_organisation_key_is_lost_goes_on_under_a_new_one() {
    let (mut both, dialogue) = stopped();
    lose(&both, folder::ORGANISATION_KEY);
    let before = newest_card(&both);
    both.person.hiwar(&["serve", "motie"]).refused(&["organisation.key is missing", "hiwar key recover"]);
    let done = recover(&both, &[]).ok();
    for told in ["Card 1 is in force, signed with the recovery key", "the fingerprint has changed"] {
        assert!(done.err.contains(told), "{}", done.err);
    }
    both.start("motie");
    let card = newest_card(&both);
    assert_eq!(card["organisationKey"], json!(done.word()));
    for kept in ["nodeKey", "tlsKey", "recoveryKey", "name", "endpoints", "logOrigin"] {
        assert_eq!(card[kept], before[kept], "{kept}");
    }
    assert_eq!(card["revoked"], Value::Null);
    assert_eq!(fingerprint(&done.err), fingerprint(&both.motie(&["invitation"]).ok().err));
    all_is_well(&both, &dialogue, 2);
    both.dossiers_prove_everything(&dialogue);
    no_alarms(&both);
    // The recovery key is as good for the next time.
    both.kill("motie");
    recover(&both, &["--format", "json"]).ends_with(2);
    let again = recover(&both, &[]).ok();
    assert!(again.err.contains("Card 2 is in force"), "{}", again.err);
    both.start("motie");
    all_is_well(&both, &dialogue, 3);
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn after_a_theft_all_keys_are_replaced_and_the_old_ones_revoked() {
    let (mut both, dialogue) = stopped();
    let before = newest_card(&both);
    let since = "2026-01-01T00:00:00.000Z";
    recover(&both, &["--reason", "burglary"]).ends_with(2);
    let theft = ["--all-keys", "--revoke-since", since, "--reason", "burglary", "--new-recovery", "new.key"];
    let done = recover(&both, &theft).ok();
    for told in ["The node key is new as well", "The TLS key is new as well", "new.key off this machine"] {
        assert!(done.err.contains(told), "{}", done.err);
    }
    both.start("motie");
    let card = newest_card(&both);
    for replaced in ["organisationKey", "nodeKey", "tlsKey", "recoveryKey"] {
        assert_ne!(card[replaced], before[replaced], "{replaced}");
    }
    let revoked = card["revoked"].as_array().unwrap();
    assert_eq!(revoked.len(), 2, "organisation key and node key");
    assert!(revoked.iter().all(|r| r["since"] == since && r["reason"] == "burglary"), "{revoked:?}");
    all_is_well(&both, &dialogue, 2);
    no_alarms(&both);
    // From here on the old recovery key is void.
    both.kill("motie");
    recover(&both, &[]).refused(&["not the recovery key that card 1", "--new-recovery"]);
    recover(&both, &["--recovery-key", "new.key"]).ends_with(2);
    both.person.hiwar(&["key", "recover", "motie", "--recovery-key", "new.key"]).ok();
    both.start("motie");
    all_is_well(&both, &dialogue, 3);
    no_alarms(&both);
}

#[test]
fn nothing_is_recovered_without_the_right_key_or_over_what_is_there() {
    let (mut both, dialogue) = stopped();
    let dir = both.person.path("motie");
    both.start("motie");
    recover(&both, &[]).refused(&["in use by process"]);
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    let key = |name: &str| both.person.path("motie").join(name);
    let files = || [folder::ORGANISATION_KEY, folder::NODE_KEY].map(|name| fs::read(key(name)).unwrap());
    let before = files();
    let hiwar = |args: &[&str]| both.person.hiwar(args);
    hiwar(&["key", "recover", "motie", "--recovery-key", "meti/keys/recovery.key"])
        .refused(&["not the recovery key that card 0"]);
    hiwar(&["key", "recover", "motie", "--recovery-key", "nowhere.key"]).refused(&["nowhere.key"]);
    hiwar(&["key", "recover", "nowhere", "--recovery-key", "safe.key"]).refused(&["nowhere/hiwar.toml"]);
    recover(&both, &["--new-recovery", "safe.key"]).refused(&["safe.key is there already"]);
    fs::copy(both.person.path("meti").join(folder::NODE_KEY), dir.join(folder::NODE_KEY)).unwrap();
    recover(&both, &[]).refused(&["the node key in", "card 0", "--all-keys"]);
    folder::write_secret(&dir.join(folder::NODE_KEY), &before[1]).unwrap();
    assert_eq!(files(), before);
    both.start("motie");
    all_is_well(&both, &dialogue, 1);
    no_alarms(&both);
}

#[test]
fn key_files_that_are_locked_stay_locked() {
    let (both, _) = stopped();
    let dir = both.person.path("motie");
    for (file, words) in [("one.pass", "first words\n"), ("two.pass", "second words\n")] {
        folder::write_secret(&both.person.path(file), words.as_bytes()).unwrap();
    }
    let lock = |path: &Path, words: &str| {
        let key = folder::read_key(path, None).unwrap();
        folder::write_key(path, &key, Some(words.as_bytes())).unwrap();
    };
    lock(&dir.join(folder::ORGANISATION_KEY), "first words");
    lock(&dir.join(folder::NODE_KEY), "first words");
    lock(&both.person.path("safe.key"), "second words");
    recover(&both, &[]).refused(&["safe.key is encrypted"]);
    recover(&both, &["--passphrase-file", "one.pass"]).refused(&["safe.key", "does not open"]);
    recover(&both, &["--passphrase-file", "one.pass", "--recovery-passphrase-file", "two.pass"]).ok();
    let start = ["serve", "motie", "--passphrase-file", "one.pass"];
    let mut serving = both.person.spawn(both.person.command(&start), "motie");
    serving.wait_ready();
    assert!(folder::read_key(&dir.join(folder::ORGANISATION_KEY), None).is_err(), "it is locked");
}

/// The machine is gone with all its keys; what is left is a backup, three small files and the safe.
#[test]
fn a_backup_and_the_recovery_key_are_enough_to_come_back() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.motie(&["backup", "take", "backup"]).ok();
    both.say("motie", &dialogue, "said after the backup");
    both.settle(&dialogue);
    let everything = both.held("meti", &dialogue);
    both.kill("motie");
    let (dir, gone) = (both.person.path("motie"), both.person.path("gone"));
    fs::rename(&dir, &gone).unwrap();
    fs::copy(gone.join(folder::RECOVERY_KEY), both.person.path("safe.key")).unwrap();
    fs::create_dir(&dir).unwrap();
    for name in ["hiwar.toml", "api.token"] {
        fs::copy(gone.join(name), dir.join(name)).unwrap();
    }
    both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
    let done = recover(&both, &[]).ok();
    for told in ["node key is new", "TLS key is new", "also tells the peers that the store was restored"] {
        assert!(done.err.contains(told), "{}", done.err);
    }
    both.start("motie");
    until("the peer to learn of the restore", || both.alarms("meti") == ["restored"]);
    all_is_well(&both, &dialogue, 2);
    assert!(both.held("motie", &dialogue).is_superset(&everything));
    assert!(newest_card(&both)["logOrigin"].as_str().unwrap().ends_with("/log/2"));
    both.kill("motie");
    both.start("motie");
    all_is_well(&both, &dialogue, 2);
    assert_eq!(both.alarms("meti"), ["restored"], "one restore raises one alarm");
    assert!(both.alarms("motie").is_empty(), "{:?}", both.alarms("motie"));
}

/// A peer that accepts no connection can only connect to the TLS key that it knows; when that is
/// lost, the newest invitation helps.
#[test]
fn a_known_peer_is_added_again_from_its_newest_invitation() {
    let (mut both, dialogue) = Ministries::talking_outbound_only();
    both.settle(&dialogue);
    both.kill("meti");
    let dir = both.person.path("meti");
    for name in [folder::ORGANISATION_KEY, folder::CERTIFICATE, folder::CERTIFICATE_KEY] {
        fs::remove_file(dir.join(name)).unwrap();
    }
    let recover = ["key", "recover", "meti", "--recovery-key", "meti/keys/recovery.key"];
    let words = fingerprint(&both.person.hiwar(&recover).ok().err);
    both.start("meti");
    let told = both.say("meti", &dialogue, "do you hear us?");
    until("the peer to notice", || {
        both.motie.as_ref().unwrap().log().contains("its TLS key is not the one that its card names")
    });
    assert!(!both.held("motie", &dialogue).contains(&told));
    both.person.typed_into(&["invitation", "--node", "meti"], "meti.invitation");
    let add = ["peer", "add", "meti.invitation", "--node", "motie", "--fingerprint"];
    both.person.hiwar(&[&add[..], &[&both.meti_words]].concat()).refused(&["(wrong-fingerprint)"]);
    both.person.hiwar(&[&add[..], &[&words]].concat()).ok();
    both.arrived("motie", &dialogue, &told);
    both.say("motie", &dialogue, "now we do");
    both.settle(&dialogue);
    both.dossiers_prove_everything(&dialogue);
    no_alarms(&both);
}

fn next_files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("keys")).unwrap().map(|e| e.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|e| e == "next")).collect()
}

/// kill -9 at moments spread over the whole run of the command: the next start always works, under
/// the keys of the newest card.
#[test]
fn a_recovery_that_is_killed_at_any_moment_leaves_a_node_that_starts() {
    let (mut both, dialogue) = stopped();
    let dir = both.person.path("motie");
    let began = std::time::Instant::now();
    recover(&both, &["--all-keys"]).ok();
    let whole = began.elapsed();
    let mut cards = 2;
    let mut cut_off = 0;
    for step in 0..12_u32 {
        let args = ["key", "recover", "motie", "--recovery-key", "safe.key", "--all-keys"];
        let mut child =
            both.person.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * step / 10);
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        cut_off += usize::from(ended.code().is_none());
        let left = next_files(&dir).len();
        both.start("motie");
        assert!(next_files(&dir).is_empty(), "what was left is put in its place or removed");
        let now = newest_card(&both)["sequence"].as_u64().unwrap() + 1;
        assert!(now == cards || now == cards + 1, "step {step}: {cards}, then {now}; {left} files were left");
        cards = now;
        both.say("motie", &dialogue, &format!("after step {step}"));
        both.kill("motie");
    }
    assert!(cut_off > 0, "at least one run was cut off");
    both.start("motie");
    all_is_well(&both, &dialogue, usize::try_from(cards).unwrap());
    no_alarms(&both);
}

/// The card is durable and no file is in its place yet.
#[test]
fn a_recovery_that_was_killed_right_after_its_card_was_durable_is_finished_at_the_next_start() {
    for key_was_lost in [false, true] {
        let (mut both, dialogue) = stopped();
        let dir = both.person.path("motie");
        let files =
            [folder::ORGANISATION_KEY, folder::NODE_KEY, folder::CERTIFICATE, folder::CERTIFICATE_KEY];
        let read = || files.map(|name| fs::read_to_string(dir.join(name)).unwrap());
        let old = read();
        recover(&both, &["--all-keys"]).ok();
        let new = read();
        for (name, text) in files.iter().zip(&old) {
            folder::write_secret(&dir.join(name), text.as_bytes()).unwrap();
        }
        let next = |name: &str, text: &str| folder::write_secret(&dir.join(name), text.as_bytes()).unwrap();
        next(folder::NEXT_ORGANISATION_KEY, &new[0]);
        next(folder::NEXT_NODE_KEY, &new[1]);
        next(folder::NEXT_CERTIFICATE, &format!("{}{}", new[2], new[3]));
        if key_was_lost {
            lose(&both, folder::ORGANISATION_KEY);
        }
        both.start("motie");
        assert_eq!(read(), new);
        assert!(next_files(&dir).is_empty());
        all_is_well(&both, &dialogue, 2);
        no_alarms(&both);
    }
}

#[test]
fn a_thief_who_publishes_a_card_first_is_found_out_by_the_card_of_the_recovery_key() {
    let (mut both, _) = stopped();
    let (node, before) = (both.person.path("motie"), both.person.path("before the theft"));
    copy_folder(&node, &before);
    // The thief brings its own key into force.
    both.start("motie");
    both.motie(&["key", "rotate"]).ok();
    until("the peer to learn the thief's card", || cards_held(&both) == json!(2));
    both.kill("motie");
    fs::remove_dir_all(&node).unwrap();
    copy_folder(&before, &node);
    recover(&both, &[]).ok();
    both.start("motie");
    until("the peer to see two chains", || both.alarms("meti").contains(&"identity-fork".to_owned()));
}
