//! A peer that holds valid keys of its own, and a stranger, do their worst to a running node over
//! its real TLS listener. Whatever is refused leaves nothing behind.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop here"
)]

mod mallory;
mod newcomer;

use std::io::{Read as _, Write as _};

use hiwar_dialogue::engine::Command;
use hiwar_dialogue::marking::Marking;
use hiwar_node::folder;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::RevokedKey;
use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::time::Timestamp;
use mallory::{Forged, Mallory, words};
use newcomer::{Ministries, get, request, until};
use serde_json::{Value, json};

/// The attacked node, and everything about it that a refused request must not change.
#[derive(Debug, PartialEq)]
struct State {
    entries: Value,
    dialogues: Value,
    log: Value,
    alarms: Vec<String>,
}

fn state(both: &Ministries) -> State {
    State {
        entries: both.status("meti", "entries"),
        dialogues: both.status("meti", "dialogues"),
        log: both.status("meti", "log"),
        alarms: both.alarms("meti"),
    }
}

/// A node whose peer is an attacker, and a dialogue between the two.
fn attacked() -> (Ministries, Mallory) {
    let both = Ministries::started();
    let mallory = Mallory::peer_of(&both, false);
    (both, mallory)
}

fn in_dialogue() -> (Ministries, Mallory) {
    let (both, mut mallory) = attacked();
    let dialogue = mallory.open_dialogue();
    assert_eq!(mallory.post_plan().0, 200);
    both.wait_for_dialogue("meti", 1);
    both.meti(&["dialogue", "assent", &dialogue.to_string()]).ok();
    mallory.fetch_assent();
    (both, mallory)
}

/// Sends `forged` and checks that it is refused so, and that nothing changed.
#[track_caller]
fn refused(both: &Ministries, mallory: &Mallory, forged: &Forged, status: u16, code: &str) {
    let before = state(both);
    let (got, body) = mallory.send(forged);
    assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|d| d.len() > 10), "the refusal says why: {body}");
    assert!(
        !body.to_string().contains(both.person.dir.path().to_str().unwrap()),
        "no path is betrayed: {body}"
    );
    assert_eq!(state(both), before, "a refused request changes nothing");
}

#[test]
fn a_request_that_is_not_signed_by_a_peer_for_this_node_is_refused() {
    let (both, mallory) = attacked();
    let session = mallory.session();
    let good = mallory.batch(&session, 1);
    let with = |change: &dyn Fn(&mut Forged)| {
        let mut forged = good.clone();
        change(&mut forged);
        forged
    };
    for header in [
        "signature",
        "signature-input",
        "content-digest",
        "hiwar-session",
        "hiwar-sequence",
        "hiwar-destination",
    ] {
        refused(&both, &mallory, &with(&|f| f.leave_out(header)), 401, "not-signed");
        refused(&both, &mallory, &with(&|f| f.double(header)), 401, "not-signed");
    }
    refused(&both, &mallory, &with(&|f| f.set("signature", "hiwar=:AAAA:")), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.set("signature-input", "other=()")), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.set("hiwar-sequence", "2")), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.set("hiwar-session", "00")), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.path.push_str("?x=1")), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.path = "/hiwar/v1/fetch".into()), 401, "wrong-signature");
    // The digest of another body, and another body under the right digest.
    let other = Hash::of(b"other");
    let digest = hiwar_trust::httpsig::content_digest(&other);
    refused(&both, &mallory, &with(&|f| f.set("content-digest", &digest)), 401, "wrong-signature");
    refused(&both, &mallory, &with(&|f| f.body = b"other".to_vec()), 401, "wrong-signature");
    // Meant for another node.
    let elsewhere = mallory.signed("/hiwar/v1/batch", good.body.clone(), &session, "3", &both.motie_did);
    refused(&both, &mallory, &elsewhere, 421, "wrong-destination");
    refused(
        &both,
        &mallory,
        &with(&|f| f.set("hiwar-destination", &both.motie_did)),
        421,
        "wrong-destination",
    );
    // By a key that is no node key of a peer: the organisation's, or a stranger's.
    let organisation = folder::read_key(&mallory.dir.join(folder::ORGANISATION_KEY), None).unwrap();
    for key in [organisation, folder::new_key().unwrap()] {
        let forged =
            mallory.signed_by(&key, "/hiwar/v1/batch", good.body.clone(), &session, "4", &both.meti_did);
        refused(&both, &mallory, &forged, 403, "unknown-key");
    }
    assert_eq!(mallory.send(&good).0, 200, "after all that the genuine request is still taken");
}

#[test]
fn a_recorded_request_is_accepted_once_and_never_again() {
    let (mut both, mut mallory) = attacked();
    let old_session = mallory.session();
    let asking = mallory.asking_for_session();
    let session = mallory.session();
    mallory.open_dialogue();
    let recorded = mallory.batch(&session, 7);
    assert_eq!(mallory.send(&recorded).0, 200);
    both.wait_for_dialogue("meti", 1);
    refused(&both, &mallory, &recorded, 409, "replayed");
    let (before, after) = (mallory.batch(&session, 6), mallory.batch(&session, 8));
    refused(&both, &mallory, &before, 409, "replayed");
    refused(&both, &mallory, &mallory.batch(&old_session, 99), 409, "replayed");
    refused(&both, &mallory, &mallory.batch("made-up", 99), 401, "unknown-session");
    // A recorded request for a session brings one whose name is of no use without the key.
    assert_eq!(mallory.send(&asking).0, 200);
    refused(&both, &mallory, &recorded, 409, "replayed");
    assert_eq!(mallory.send(&after).0, 200, "the session in use goes on");
    both.kill("meti");
    both.start("meti");
    for forged in [&recorded, &after] {
        refused(&both, &mallory, forged, 401, "unknown-session");
    }
    assert_eq!(both.held("meti", &mallory.dialogue.unwrap().to_string()).len(), 1);
}

#[test]
fn a_batch_that_is_not_what_it_says_is_refused_as_a_whole() {
    let (both, mallory) = attacked();
    let session = mallory.session();
    let mut number = 0;
    let mut send = |body: Vec<u8>, status: u16, code: &str| {
        number += 1;
        let forged = mallory.signed("/hiwar/v1/batch", body, &session, &number.to_string(), &both.meti_did);
        refused(&both, &mallory, &forged, status, code);
    };
    let header = |member: &str, value: Value| {
        let good = String::from_utf8(mallory.plan_body.clone()).unwrap();
        let mut header: Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
        header[member] = value;
        format!("{header}\n").into_bytes()
    };
    send(header("from", json!(both.motie_did)), 403, "wrong-sender");
    send(header("to", json!(both.motie_did)), 421, "wrong-destination");
    send(header("protocol", json!("hiwar/2")), 400, "malformed");
    send(header("entries", json!(3)), 400, "malformed");
    send(header("entries", json!(100_000)), 413, "too-large");
    send(header("entries", json!(-1)), 400, "malformed");
    send(header("log", json!("none")), 400, "malformed");
    send(Vec::new(), 400, "malformed");
    send(b"\n\n\n".to_vec(), 400, "malformed");
    send(b"null".to_vec(), 400, "malformed");
    send([b'['; 200_000].to_vec(), 400, "malformed");
    send((0..=255).cycle().take(100_000).collect(), 400, "malformed");
    send(vec![b'x'; 9 << 20], 413, "too-large");
    for path in ["fetch", "attachments/read", "session"] {
        number += 1;
        let path = format!("/hiwar/v1/{path}");
        let forged =
            mallory.signed(&path, b"{\"x\":".to_vec(), &session, &number.to_string(), &both.meti_did);
        refused(&both, &mallory, &forged, 400, "malformed");
    }
    let entry_of_nothing = [header("entries", json!(2)), b"{}\nnot an entry\n".to_vec()].concat();
    number += 1;
    let forged =
        mallory.signed("/hiwar/v1/batch", entry_of_nothing, &session, &number.to_string(), &both.meti_did);
    let (status, reply) = mallory.send(&forged);
    assert_eq!(status, 200, "wrong lines do not spoil a batch: {reply}");
    assert_eq!(reply["refused"].as_array().unwrap().len(), 2, "{reply}");
    assert_eq!(reply["refused"][0]["code"], "malformed");
    assert!(both.meti.as_ref().unwrap().answers("/readyz"));
}

#[test]
fn a_peer_gets_no_file_that_it_has_no_part_in_and_brings_none_that_nobody_wants() {
    let (both, mallory) = attacked();
    std::fs::write(both.person.path("secret.txt"), "for others").unwrap();
    let dir = both.person.path("meti");
    let (status, stored) = newcomer::api(&dir, "PUT", "/api/v1/attachments", b"for others");
    assert_eq!(status, 200, "{stored}");
    let session = mallory.session();
    for (number, sha256) in [(1, stored["sha256"].as_str().unwrap().to_owned()), (2, "0".repeat(64))] {
        let body = json!({ "sha256": sha256, "offset": 0 }).to_string().into_bytes();
        let forged =
            mallory.signed("/hiwar/v1/attachments/read", body, &session, &number.to_string(), &both.meti_did);
        refused(&both, &mallory, &forged, 404, "no-such-file");
        let path = format!("/hiwar/v1/attachments/write?sha256={sha256}&offset=0");
        let forged =
            mallory.signed(&path, b"for others".to_vec(), &session, &number.to_string(), &both.meti_did);
        refused(&both, &mallory, &forged, 404, "not-wanted");
    }
    for (number, query) in [(3, ""), (4, "?sha256=../../x&offset=0"), (5, "?sha256=00&offset=-1")] {
        let path = format!("/hiwar/v1/attachments/write{query}");
        let forged = mallory.signed(&path, b"x".to_vec(), &session, &number.to_string(), &both.meti_did);
        refused(&both, &mallory, &forged, 400, "malformed");
    }
}

#[test]
fn a_retired_peer_is_refused_whatever_it_asks_also_in_a_session_that_it_had_before() {
    let (both, mallory) = in_dialogue();
    let session = mallory.session();
    both.meti(&["peer", "retire", mallory.did.as_str()]).ok();
    let asking = mallory.asking_for_session();
    refused(&both, &mallory, &asking, 403, "not-dealt-with");
    refused(&both, &mallory, &mallory.batch(&session, 1), 403, "not-dealt-with");
    let fetch = json!({ "wait_ms": 0 }).to_string().into_bytes();
    let read = json!({ "sha256": "0".repeat(64), "offset": 0 }).to_string().into_bytes();
    for (path, body) in [("fetch", fetch), ("attachments/read", read)] {
        let forged = mallory.signed(&format!("/hiwar/v1/{path}"), body, &session, "2", &both.meti_did);
        refused(&both, &mallory, &forged, 403, "not-dealt-with");
    }
}

#[test]
fn an_entry_under_a_revoked_key_is_refused_until_its_author_signs_it_with_the_new_key() {
    let (both, mut mallory) = in_dialogue();
    let dialogue = mallory.dialogue.unwrap();
    let held = both.held("meti", &dialogue.to_string());
    let stolen = mallory.keys.organisation.public_key().id();
    let said = mallory.command(Command::Say {
        dialogue,
        marking: Marking::Green,
        words: words("under the stolen key"),
        attachments: Vec::new(),
    });
    let under_stolen = mallory.planned();
    mallory.next_card(|card, fresh| {
        card.organisation_key = fresh.organisation.public_key().clone();
        let since: Timestamp = "2026-01-01T00:00:00.000Z".parse().unwrap();
        card.revoked.push(RevokedKey { key: stolen, since, reason: "stolen".into() });
    });
    let session = mallory.session();
    let (status, reply) = mallory.send(&mallory.batch_of(under_stolen, &session, 1));
    assert_eq!(status, 200, "{reply}");
    let refusals = reply["refused"].as_array().unwrap();
    assert_eq!(refusals.len(), 1, "{reply}");
    assert_eq!(refusals[0]["code"], "revoked-key", "{reply}");
    assert_eq!(refusals[0]["entry"], said.to_string());
    assert_eq!(both.held("meti", &dialogue.to_string()), held);
    let (status, reply) = mallory.post_plan();
    assert_eq!(status, 200, "{reply}");
    assert!(reply["refused"].as_array().is_none_or(Vec::is_empty), "{reply}");
    assert!(both.held("meti", &dialogue.to_string()).contains(&said.to_string()));
}

#[test]
fn a_new_node_key_counts_once_its_card_is_shown_and_the_old_one_no_more() {
    let (both, mut mallory) = attacked();
    let session = mallory.session();
    let old = mallory.batch(&session, 1);
    let old_asking = mallory.asking_for_session();
    let cards_before = mallory.cards();
    mallory.next_card(|card, fresh| card.node_key = fresh.node.public_key().clone());
    refused(&both, &mallory, &mallory.asking_with(&cards_before), 403, "unknown-key");
    refused(&both, &mallory, &mallory.batch(&session, 2), 403, "unknown-key");
    let session = mallory.session();
    assert_eq!(mallory.send(&mallory.batch(&session, 1)).0, 200, "known by the card that was shown");
    refused(&both, &mallory, &old, 403, "unknown-key");
    refused(&both, &mallory, &old_asking, 403, "unknown-key");
}

#[test]
fn a_card_that_does_not_follow_teaches_nothing_and_two_histories_end_the_trust() {
    let (both, mut mallory) = attacked();
    let before = mallory.cards();
    // Its own newest card, with a signature of somebody else.
    let mut forged = before.clone();
    let mut card = before[0].card.clone();
    card.sequence = 1;
    card.previous = Some(card.hash().unwrap());
    let stranger = folder::new_key().unwrap();
    card.node_key = stranger.public_key().clone();
    forged.push(card.clone().sign(&[&stranger]).unwrap());
    let asking = mallory.asking_as(&stranger, &forged);
    refused(&both, &mallory, &asking, 403, "unknown-key");
    // Two different cards in one place, both rightly signed.
    let fork = card.sign(&[&*mallory.keys.organisation]).unwrap();
    mallory.next_card(|card, _| card.name = "Mallory, renamed".into());
    let session = mallory.session();
    assert_eq!(mallory.send(&mallory.batch(&session, 1)).0, 200);
    let honest = mallory.cards();
    let (status, _) =
        mallory.send(&mallory.asking_with(&[before[0].clone(), fork.clone(), honest[1].clone()]));
    assert!(status == 200 || status == 403, "{status}");
    // It travels in a briefing as well.
    let good = String::from_utf8(mallory.plan_body.clone()).unwrap();
    let mut header: Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
    header["cards"] = json!([fork]);
    let body = format!("{header}\n").into_bytes();
    mallory.send(&mallory.signed("/hiwar/v1/batch", body, &session, "2", &both.meti_did));
    until("the alarm", || both.alarms("meti") == ["identity-fork"]);
    refused(&both, &mallory, &mallory.batch(&session, 3), 403, "not-dealt-with");
}

#[test]
fn garbage_on_the_peers_port_harms_nobody() {
    let (both, mallory) = attacked();
    let address = mallory.address;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 255, 255], &[0; 4096], b""] {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP/"), "nothing is said without TLS");
    }
    // Many half-open connections hold up no request.
    let idle: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let session = mallory.session();
    assert_eq!(mallory.send(&mallory.batch(&session, 1)).0, 200);
    drop(idle);
    let (status, _) =
        request(newcomer::api_address(&both.person.path("meti")), "POST", "/hiwar/v1/batch", None, b"x");
    assert_eq!(status, 404, "the peers' protocol is not on the desks' port");
}

#[test]
fn an_answer_that_the_peer_did_not_sign_settles_nothing() {
    let both = Ministries::started();
    let mallory = Mallory::peer_of(&both, true);
    let fake = std::net::TcpListener::bind(mallory.listen.unwrap()).unwrap();
    let opened = both
        .meti(&["dialogue", "open", "--title", "en=T", "--with", mallory.did.as_str(), "--arrangement", "A"])
        .ok()
        .word();
    let mut asked = 0;
    for connection in fake.incoming() {
        let mut stream = connection.unwrap();
        let mut head = [0; 65_536];
        let read = stream.read(&mut head).unwrap();
        asked += usize::from(head[..read].starts_with(b"POST /hiwar/v1/session"));
        let body = json!({ "session": "00", "protocol": "hiwar/1" }).to_string();
        drop(write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        if asked == 3 {
            break;
        }
    }
    assert_eq!(both.status("meti", "queued"), 1, "{opened} still waits");
    let log = both.meti.as_ref().unwrap().log();
    assert!(log.contains("the answer is not signed by the node of"), "{log}");
}

#[test]
fn nothing_is_sent_to_a_node_whose_certificate_is_not_the_one_that_its_card_names() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.kill("meti");
    both.kill("motie");
    both.person.configure("motie", "unreachable_alarm_ms", "1");
    let dir = both.person.path("meti");
    let (certificate, key) = (dir.join(folder::CERTIFICATE), dir.join(folder::CERTIFICATE_KEY));
    let right = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    let (other, other_key) = hiwar_node::tls::new_certificate("127.0.0.1").unwrap();
    std::fs::write(&certificate, other).unwrap();
    std::fs::write(&key, other_key).unwrap();
    both.start("meti");
    both.start("motie");
    let said = both.say("motie", &dialogue, "only for the real ministry");
    until("the alarm", || both.alarms("motie").contains(&"unreachable".to_owned()));
    let log = both.motie.as_ref().unwrap().log();
    let warned =
        |l: &&str| l.contains("WARN") && l.contains("its TLS key is not the one that its card names");
    assert!(log.lines().find(warned).is_some(), "{log}");
    assert_eq!(both.status("motie", "queued"), 1);
    assert!(!both.held("meti", &dialogue).contains(&said));
    let metrics = get(both.meti.as_ref().unwrap().api, "/metrics").unwrap();
    assert!(metrics.contains("hiwar_entries_received_total 0"), "{metrics}");
    both.kill("meti");
    std::fs::write(&certificate, right.0).unwrap();
    std::fs::write(&key, right.1).unwrap();
    both.start("meti");
    both.settle(&dialogue);
}
