//! Entries that are not taken, by what is wrong with them.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{
    About, Attachment, Body, Entry, EntryId, Membership, SignedEntry, Words, write_envelope,
};
use hiwar_dialogue::limits;
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::RefusalCode;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder as _, KeyId};

use super::kit::{Party, codes, envelope, key, open_dialogue, parties, talk, two, words};

/// What the second party says of a line that the first sends it in an open dialogue.
fn verdict(make: impl FnOnce(&mut Party, Entry) -> Vec<u8>) -> Vec<RefusalCode> {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let entry = sender.draft(dialogue);
    let line = make(sender, entry);
    let body = sender.batch_of(&receiver.did, &[line]);
    receiver.now_ms = sender.now_ms;
    let before = receiver.store.entries().count();
    let reply = receiver.take(&sender.did, &body).unwrap();
    let refused = codes(&reply);
    assert_eq!(receiver.store.entries().count(), before + usize::from(refused.is_empty()));
    refused
}

type Change = fn(&mut Entry);

#[test]
fn an_entry_as_it_should_be_is_taken() {
    assert_eq!(verdict(|party, entry| envelope(&party.sign(entry))), []);
}

#[test]
fn entries_that_break_a_rule_are_refused_with_its_code() {
    let elsewhere = || EntryId(Hash::of(b"elsewhere"));
    let unheld = elsewhere;
    let cases: [(&str, Change, RefusalCode); 8] = [
        (
            "future-dated",
            |e| e.time = e.time.plus_millis(limits::FUTURE_MILLIS_MAX + 3_600_000),
            RefusalCode::FutureDated,
        ),
        ("above the cap", |e| e.marking = Marking::Red, RefusalCode::AboveCap),
        (
            "unknown membership",
            |e| e.membership = Some(EntryId(Hash::of(b"elsewhere"))),
            RefusalCode::UnknownMembership,
        ),
        (
            "another dialogue",
            |e| e.dialogue = Some(EntryId(Hash::of(b"elsewhere"))),
            RefusalCode::WrongDialogue,
        ),
        ("another arrangement", |e| e.arrangement = "b/1".into(), RefusalCode::WrongDialogue),
        (
            "a voice on an unknown membership",
            |e| e.body = Body::Assent(About { of: EntryId(Hash::of(b"elsewhere")), words: Words::default() }),
            RefusalCode::UnknownMembership,
        ),
        (
            "an author who is no peer",
            |e| e.author = "did:web:nobody.example".parse().unwrap(),
            RefusalCode::UnknownAuthor,
        ),
        // The key is the sender's, not the author's.
        ("another author", |e| e.author = "did:web:p2.example".parse().unwrap(), RefusalCode::UnknownKey),
    ];
    assert_eq!(elsewhere(), unheld());
    for (what, change, code) in cases {
        let found = verdict(|party, mut entry| {
            change(&mut entry);
            envelope(&party.sign(entry))
        });
        assert_eq!(found, [code], "{what}");
    }
}

#[test]
fn an_entry_of_somebody_who_is_no_party_is_refused() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let mut entry = all[0].draft(dialogue);
    let (outsider, receiver) = two(&mut all, 2, 1);
    entry.author = outsider.did.clone();
    let line = envelope(&outsider.sign(entry.clone()));
    // Nor may it propose itself as a party.
    let parties = vec![receiver.did.clone(), outsider.did.clone()];
    let title = words("mine").texts;
    entry.body =
        Body::Membership(Membership { title, parties, cap: Marking::Amber, replaces: entry.membership });
    let proposal = envelope(&outsider.sign(entry));
    let body = outsider.batch_of(&receiver.did, &[line, proposal]);
    receiver.now_ms = outsider.now_ms;
    let reply = receiver.take(&outsider.did, &body).unwrap();
    assert_eq!(codes(&reply), [RefusalCode::NotAParty, RefusalCode::NotAParty]);
    assert!(!receiver.engine.dialogue(&dialogue).unwrap().takes_part(&outsider.did));
}

#[test]
fn an_opening_entry_without_both_sides_is_refused_unless_it_was_asked_for() {
    let mut all = parties(4);
    let with = all[3].did.clone();
    let dialogue = all[2].open(&[&with], Marking::Amber);
    let signed = all[2].store.entries().find(|e| e.id == dialogue).unwrap().signed().unwrap();
    let (sender, receiver) = two(&mut all, 2, 1);
    let body = sender.batch_of(&receiver.did, &[envelope(&signed)]);
    assert_eq!(codes(&receiver.take(&sender.did, &body).unwrap()), [RefusalCode::NotAskedFor]);
    assert!(receiver.engine.dialogue(&dialogue).is_none());
}

#[test]
fn bytes_that_are_no_entry_are_refused_and_spoil_nothing_else() {
    let good = |party: &mut Party, entry: Entry| envelope(&party.sign(entry));
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 6] = [
        ("no JSON", |_| b"garbage".to_vec()),
        ("an array", |_| b"[1,2,3]".to_vec()),
        ("cut short", |line| line[..line.len() / 2].to_vec()),
        ("not canonical", |line| {
            String::from_utf8(line).unwrap().replace("{\"entry\":{", "{\"entry\":{ ").into_bytes()
        }),
        ("an unknown type", |line| {
            String::from_utf8(line).unwrap().replace("statement.v1", "statement.v9").into_bytes()
        }),
        ("oversized", |line| {
            let text = String::from_utf8(line).unwrap();
            text.replace("\"text\"", &format!("\"{}\"", "x".repeat(limits::ENTRY_BYTES_MAX))).into_bytes()
        }),
    ];
    for (what, damage) in damages {
        let found = verdict(|party, entry| damage(good(party, entry)));
        assert_eq!(found, [RefusalCode::Malformed], "{what}");
    }
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let entry = sender.draft(dialogue);
    let signed = sender.sign(entry);
    let body = sender.batch_of(&receiver.did, &[b"garbage".to_vec(), envelope(&signed)]);
    let reply = receiver.take(&sender.did, &body).unwrap();
    assert_eq!((codes(&reply), reply.refused[0].line), (vec![RefusalCode::Malformed], 0));
    assert!(receiver.store.holds(&signed.id));
}

#[test]
fn members_that_break_a_rule_cannot_even_be_written() {
    let file = |name: &str| Attachment {
        name: name.into(),
        media_type: "text/csv".into(),
        size: 1,
        sha256: Hash::of(b"file"),
    };
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let entry = all[0].draft(dialogue);
    let (a, b) = (EntryId(Hash([1; 32])), EntryId(Hash([2; 32])));
    let mut cases: Vec<(String, Entry)> = vec![
        ("unsorted prev".into(), Entry { prev: vec![b, a], ..entry.clone() }),
        ("repeated prev".into(), Entry { prev: vec![a, a], ..entry.clone() }),
        ("no text".into(), Entry { body: Body::Statement(Words::default()), ..entry.clone() }),
        ("no dialogue".into(), Entry { dialogue: None, ..entry.clone() }),
        ("empty desk".into(), Entry { desk: " ".into(), ..entry.clone() }),
    ];
    let many = (0..=limits::PREV_MAX as u8).map(|n| EntryId(Hash([n; 32]))).collect();
    cases.push(("too many prev".into(), Entry { prev: many, ..entry.clone() }));
    for name in
        ["../etc/passwd", "a/b", "a\\b", "c:file", ".hidden", "trailing.", "", "a\u{202E}fdp.exe", "a\nb"]
    {
        cases.push((format!("the name {name:?}"), Entry { attachments: vec![file(name)], ..entry.clone() }));
    }
    for (what, entry) in cases {
        assert!(entry.canonical().is_err(), "{what}");
    }
}

#[test]
fn an_entry_cannot_link_to_itself() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let entry = all[0].draft(dialogue);
    let before = all[0].sign(entry.clone());
    let after = all[0].sign(Entry { prev: vec![before.id], ..entry });
    assert_ne!(before.id, after.id, "whatever names its own digest has another one");
}

#[test]
fn links_to_unknown_and_foreign_entries_are_gaps_and_no_reason_to_refuse() {
    let mut all = parties(3);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let third = all[2].did.clone();
    let foreign = all[1].open(&[&third], Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let unknown = EntryId(Hash::of(b"unknown"));
    let mut entry = sender.draft(dialogue);
    entry.prev = if unknown < foreign { vec![unknown, foreign] } else { vec![foreign, unknown] };
    let signed = sender.sign(entry);
    let body = sender.batch_of(&receiver.did, &[envelope(&signed)]);
    let reply = receiver.take(&sender.did, &body).unwrap();
    assert_eq!(codes(&reply), []);
    assert_eq!(reply.briefing.wanted, [unknown], "what is held elsewhere is no gap");
    let record = receiver.engine.dialogue(&dialogue).unwrap();
    assert_eq!(record.missing.keys().copied().collect::<Vec<_>>(), [unknown]);
    // What is missing may be withheld for ever; it is asked for a few times only.
    let asked = (0..60).filter(|_| talk(&mut all, 1) > 0).count();
    assert!(asked < 12, "{asked}");
}

#[test]
fn a_signature_under_another_key_is_refused() {
    let wrong = verdict(|party, entry| {
        let id = party.keys.organisation.public_key().id();
        envelope(&SignedEntry::sign(entry, &*key("thief"), id).unwrap())
    });
    assert_eq!(wrong, [RefusalCode::WrongSignature]);
    let unknown = verdict(|_, entry| {
        let thief = key("thief");
        let id = thief.public_key().id();
        envelope(&SignedEntry::sign(entry, &*thief, id).unwrap())
    });
    assert_eq!(unknown, [RefusalCode::UnknownKey]);
    let swapped = verdict(|party, entry| {
        let signed = party.sign(entry);
        let mut out = Vec::new();
        write_envelope(&signed.content, KeyId(Hash::of(b"no key")), &signed.signature, &mut out);
        out
    });
    assert_eq!(swapped, [RefusalCode::UnknownKey]);
}

#[test]
fn an_entry_under_a_replaced_key_is_taken_up_to_the_time_of_the_new_card() {
    for (late_ms, expected) in [(0, vec![]), (1, vec![RefusalCode::RevokedKey])] {
        let found = verdict(|party, mut entry| {
            let old = party.keys.organisation.clone();
            party.rotate(false);
            entry.time = party.engine.identity().latest().time.plus_millis(late_ms);
            let id = old.public_key().id();
            envelope(&SignedEntry::sign(entry, &*old, id).unwrap())
        });
        assert_eq!(found, expected, "{late_ms} ms late");
    }
}

#[test]
fn an_entry_under_a_revoked_key_is_refused_unless_something_held_links_to_it() {
    let found = verdict(|party, entry| {
        let signed = party.sign(entry);
        party.rotate(true);
        envelope(&signed)
    });
    assert_eq!(found, [RefusalCode::RevokedKey]);

    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (sender, receiver) = two(&mut all, 0, 1);
    let entry = sender.draft(dialogue);
    let early = sender.sign(entry);
    sender.rotate(true);
    let mut entry = sender.draft(dialogue);
    entry.prev = vec![early.id];
    let later = sender.sign(entry);
    let body = sender.batch_of(&receiver.did, &[envelope(&later), envelope(&early)]);
    assert_eq!(codes(&receiver.take(&sender.did, &body).unwrap()), []);
    assert!(receiver.store.holds(&early.id));
}

#[test]
fn whoever_has_a_revoked_key_cannot_make_a_node_take_its_entries_by_naming_them_as_heads() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let (thief, receiver) = two(&mut all, 0, 1);
    let entry = thief.draft(dialogue);
    let stolen = thief.sign(entry);
    thief.rotate(true);
    let mut header = thief.header(&receiver.did);
    header.briefing.heads = Some(BTreeMap::from([(dialogue, vec![stolen.id])]));
    let mut body = serde_json::to_vec(&header).unwrap();
    body.push(b'\n');
    let reply = receiver.take(&thief.did, &body).unwrap();
    assert_eq!(reply.briefing.wanted, [stolen.id], "it asks for what it lacks");
    let body = thief.batch_of(&receiver.did, &[envelope(&stolen)]);
    assert_eq!(codes(&receiver.take(&thief.did, &body).unwrap()), [RefusalCode::RevokedKey]);
    assert!(!receiver.store.holds(&stolen.id));
}

#[test]
fn a_membership_under_a_revoked_key_counts_once_another_of_its_parties_speaks_of_it() {
    let mut all = parties(4);
    let dids: Vec<Did> = all.iter().map(|p| p.did.clone()).collect();
    let opened = all[0].open(&[&dids[1], &dids[2]], Marking::Amber);
    let opening = all[0].store.entries().next().unwrap().signed().unwrap();
    all[0].rotate(true);
    // The newer card of the author, without the entry.
    let (author, receiver) = two(&mut all, 0, 2);
    let mut cards = serde_json::to_vec(&author.header(&receiver.did)).unwrap();
    cards.push(b'\n');
    receiver.take(&author.did, &cards).unwrap();
    let assent_of = |party: &mut Party| {
        let mut entry = Entry {
            author: party.did.clone(),
            dialogue: Some(opened),
            membership: Some(opened),
            prev: vec![opened],
            ..opening.entry.as_ref().clone()
        };
        entry.nonce = party.nonce();
        entry.body = Body::Assent(About { of: opened, words: Words::default() });
        party.sign(entry)
    };
    // An outsider's word counts nothing, a party's does.
    for (speaker, expected) in [(3, vec![RefusalCode::RevokedKey]), (1, vec![])] {
        let (speaker, receiver) = two(&mut all, speaker, 2);
        let assent = envelope(&assent_of(speaker));
        let body = speaker.batch_of(&receiver.did, &[assent]);
        assert_eq!(codes(&receiver.take(&speaker.did, &body).unwrap()), [RefusalCode::UnknownMembership]);
        let body = speaker.batch_of(&receiver.did, &[envelope(&opening)]);
        receiver.now_ms = receiver.now_ms.max(speaker.now_ms);
        let found = codes(&receiver.take(&speaker.did, &body).unwrap());
        assert_eq!(found, expected, "{}", speaker.did);
    }
    assert!(all[2].store.holds(&opened));
}

#[test]
fn what_was_said_before_a_key_was_revoked_arrives_signed_anew() {
    let mut all = parties(2);
    let dialogue = open_dialogue(&mut all, 2, Marking::Amber);
    let early = all[0].say(dialogue, "said before the key was lost");
    all[0].rotate(true);
    talk(&mut all, 5);
    let kept = all[1].store.entries().find(|e| e.id == early.id).unwrap();
    assert_eq!(kept.key, all[0].keys.organisation.public_key().id());
    assert_eq!(all[0].alarms("refused").len(), 0);
}
