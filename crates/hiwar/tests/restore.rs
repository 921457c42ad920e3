//! Backups: taken while a node runs, put back after its store is gone, and found out when
//! somebody puts an old store back without a word.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::path::{Path, PathBuf};

use newcomer::{Ministries, get, until};

/// What a node keeps beside its keys and configuration.
fn destroy_store(dir: &Path) {
    for name in ["hiwar.db", "hiwar.db-wal", "hiwar.db-shm"] {
        drop(std::fs::remove_file(dir.join(name)));
    }
    std::fs::remove_dir_all(dir.join("attachments")).unwrap();
}

/// Copies the database of a stopped node by hand, as somebody would who knows no better.
fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["hiwar.db-wal", "hiwar.db-shm"] {
        drop(std::fs::remove_file(to.join(name)));
    }
    std::fs::copy(from.join("hiwar.db"), to.join("hiwar.db")).unwrap();
}

fn attach(both: &Ministries, node: &str, dialogue: &str, name: &str, text: &str) -> PathBuf {
    std::fs::write(both.person.path(name), text).unwrap();
    both.person.at(node, &["dialogue", "attach", dialogue, name, "--text", "en=A file"]).ok();
    let digest = hiwar_trust::hash::Hash::of(text.as_bytes()).to_string();
    newcomer::whole_file(Path::new(""), &digest)
}

fn wait_for_file(both: &Ministries, node: &str, file: &Path, text: &str) {
    let path = both.person.path(node).join(file);
    until("a file to arrive", || path.is_file());
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_restored_node_gets_back_from_its_peer_what_it_had_said_since_the_backup() {
    let (mut both, dialogue) = Ministries::talking();
    both.say("motie", &dialogue, "before the backup");
    let old_file = attach(&both, "motie", &dialogue, "old.txt", "a file of before");
    both.settle(&dialogue);
    wait_for_file(&both, "meti", &old_file, "a file of before");
    let report = both.motie(&["backup", "take", "backup"]).ok().json();
    assert_eq!(report["keys_included"], false);
    both.motie(&["backup", "take", "backup"]).refused(&["backup", "exist"]);
    let after = both.say("motie", &dialogue, "after the backup");
    let answer = both.say("meti", &dialogue, "an answer after the backup");
    let own_file = attach(&both, "motie", &dialogue, "own.txt", "motie's file of after");
    let their_file = attach(&both, "meti", &dialogue, "their.txt", "meti's file of after");
    both.settle(&dialogue);
    wait_for_file(&both, "meti", &own_file, "motie's file of after");
    wait_for_file(&both, "motie", &their_file, "meti's file of after");
    let everything = both.held("meti", &dialogue);
    both.kill("motie");
    destroy_store(&both.person.path("motie"));
    both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
    both.start("motie");
    until("the peer to learn of the restore", || both.alarms("meti") == ["restored"]);
    both.settle(&dialogue);
    assert_eq!(both.held("motie", &dialogue), everything);
    assert!(everything.contains(&after) && everything.contains(&answer));
    for (file, text) in [
        (&old_file, "a file of before"),
        (&own_file, "motie's file of after"),
        (&their_file, "meti's file of after"),
    ] {
        wait_for_file(&both, "motie", file, text);
    }
    both.say("motie", &dialogue, "the dialogue goes on");
    both.say("meti", &dialogue, "so it does");
    both.settle(&dialogue);
    assert_eq!(both.alarms("meti"), ["restored"], "one restore raises one alarm");
    assert!(both.alarms("motie").is_empty(), "{:?}", both.alarms("motie"));
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
    // The mark is used up: another start declares nothing.
    both.kill("motie");
    both.start("motie");
    both.say("motie", &dialogue, "still here");
    both.settle(&dialogue);
    assert_eq!(both.alarms("meti"), ["restored"]);
}

#[test]
fn the_same_backup_can_be_restored_twice() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.motie(&["backup", "take", "backup"]).ok();
    for round in 1..=2 {
        both.say("motie", &dialogue, &format!("round {round}"));
        both.settle(&dialogue);
        both.kill("motie");
        destroy_store(&both.person.path("motie"));
        both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
        both.start("motie");
        until("the peer to learn of the restore", || both.alarms("meti").len() == round);
        both.settle(&dialogue);
    }
    assert_eq!(both.alarms("meti"), ["restored", "restored"]);
    both.say("motie", &dialogue, "the dialogue goes on");
    both.settle(&dialogue);
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn a_backup_from_before_a_key_rotation_can_be_restored() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.motie(&["backup", "take", "backup"]).ok();
    both.motie(&["key", "rotate"]).ok();
    both.say("motie", &dialogue, "under the new key");
    both.settle(&dialogue);
    both.kill("motie");
    destroy_store(&both.person.path("motie"));
    both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
    both.start("motie");
    until("the peer to learn of the restore", || both.alarms("meti") == ["restored"]);
    both.say("motie", &dialogue, "the dialogue goes on");
    both.settle(&dialogue);
    both.logs_agree();
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn restoring_over_a_running_node_is_refused_and_leaves_no_mark() {
    let (mut both, dialogue) = Ministries::talking();
    both.motie(&["backup", "take", "backup"]).ok();
    both.say("motie", &dialogue, "after the backup");
    both.settle(&dialogue);
    both.person
        .hiwar(&["backup", "restore", "backup", "motie"])
        .refused(&["is in use by process", "stop that"]);
    both.person
        .hiwar(&["backup", "restore", "nowhere", "motie"])
        .refused(&["nowhere/hiwar.db does not exist"]);
    both.kill("motie");
    both.person
        .hiwar(&["backup", "restore", "nowhere", "motie"])
        .refused(&["nowhere/hiwar.db does not exist"]);
    both.start("motie");
    both.say("motie", &dialogue, "nothing was restored");
    both.settle(&dialogue);
    assert!(
        both.alarms("meti").is_empty(),
        "no restore was made, none is declared: {:?}",
        both.alarms("meti")
    );
}

#[test]
fn a_backup_replaces_a_damaged_store() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.motie(&["backup", "take", "backup"]).ok();
    both.kill("motie");
    let database = both.person.path("motie/hiwar.db");
    std::fs::write(&database, "this was a database once ".repeat(4000)).unwrap();
    both.person.hiwar(&["serve", "motie"]).refused(&["motie/hiwar.db", "not a hiwar database"]);
    let told = both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
    assert!(
        told.err.contains("The store that was there is kept in motie/hiwar.db.before-restore-1"),
        "{}",
        told.err
    );
    both.start("motie");
    both.say("motie", &dialogue, "the dialogue goes on");
    both.settle(&dialogue);
    both.logs_agree();
}

#[test]
fn an_old_store_put_back_without_a_word_halts_the_node_until_it_is_declared() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    let dir = both.person.path("motie");
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    let log = std::fs::metadata(dir.join("hiwar.db-wal")).map_or(0, |m| m.len());
    assert_eq!(log, 0, "the database of a stopped node is one file");
    let old = both.person.path("old");
    copy_store(&dir, &old);
    both.start("motie");
    both.say("motie", &dialogue, "said after the copy");
    both.say("meti", &dialogue, "answered after the copy");
    both.settle(&dialogue);
    let everything = both.held("meti", &dialogue);
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    copy_store(&old, &dir);
    let serving = both.person.spawn(both.person.command(&["serve", "motie"]), "motie");
    until("the node to halt", || {
        get(serving.api, "/readyz").is_some_and(|a| a.starts_with("HTTP/1.1 503") && a.contains("has halted"))
    });
    both.motie(&["dialogue", "say", &dialogue, "--text", "en=on a second history"])
        .refused(&["(halted)", "hiwar backup declare-restore"]);
    assert_eq!(both.alarms("motie"), ["own-log-behind"]);
    assert!(both.status("motie", "halted").is_string());
    until("the peer to see it, too", || both.alarms("meti").contains(&"rollback".to_owned()));
    // Halting outlives a restart.
    serving.kill();
    let serving = both.person.spawn(both.person.command(&["serve", "motie"]), "motie");
    until("the node to be halted still", || {
        get(serving.api, "/readyz").is_some_and(|a| a.contains("has halted"))
    });
    serving.kill();
    both.person.hiwar(&["backup", "declare-restore", "motie"]).ok();
    both.start("motie");
    until("the peer to learn of the restore", || both.alarms("meti").contains(&"restored".to_owned()));
    both.settle(&dialogue);
    assert_eq!(both.held("motie", &dialogue), everything);
    both.say("motie", &dialogue, "the dialogue goes on");
    both.say("meti", &dialogue, "so it does");
    both.settle(&dialogue);
    both.logs_agree();
}

#[test]
fn a_dossier_exported_after_a_restore_still_shows_who_witnessed_the_log_that_ended() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.dossiers_prove_everything(&dialogue);
    both.motie(&["backup", "take", "backup"]).ok();
    both.kill("motie");
    both.person.hiwar(&["backup", "restore", "backup", "motie"]).ok();
    both.start("motie");
    until("the peer to learn of the restore", || both.alarms("meti") == ["restored"]);
    both.dossiers_prove_everything(&dialogue);
}
