//! Dossiers that were forged as a whole: their archive, digests and seal fit, and still no lie in
//! them is believed.

use hiwar_dialogue::entry::{Body, EntryId, Membership, SignedEntry};
use hiwar_dialogue::ledger::Alarm;
use hiwar_dialogue::marking::Marking;
use hiwar_dossier::{Anchor, DossierContents, Limits, ReceiptEvidence, Verdict, verify};
use hiwar_trust::checkpoint::SignedCheckpoint;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::LogContinuation;
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::words::fingerprint_words;

use crate::world::{DG, METI, MOTIE, World, about, at, failed, show, unproved, words};

fn sealed(world: &World, contents: &DossierContents) -> Verdict {
    let verdict = world.verdict(&world.sealed(contents));
    assert!(verdict.claim("container").unwrap().is_proved(), "{}", show(&verdict));
    assert!(verdict.claim("seal").unwrap().is_proved());
    verdict
}

fn code(id: &EntryId, what: &str) -> String {
    format!("entry:{id}:{what}")
}

/// The why of a claim that is not proved.
fn why(verdict: &Verdict, id: &str) -> String {
    let claim = verdict.claim(id).unwrap_or_else(|| panic!("no claim {id}"));
    serde_json::to_value(claim).unwrap()["why"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_entry_signed_with_a_wrong_key_fails_alone() {
    for (key_named, expected) in [(MOTIE, "does not verify"), (DG, "never named")] {
        let mut world = World::new();
        let entry = world.draft(MOTIE, 9, Body::Statement(words("We agree to everything.")), Vec::new());
        let thief = &world.parties[DG].organisation[0];
        let named = world.parties[key_named].organisation[0].public_key().id();
        let signed = SignedEntry::sign(entry, thief, named).unwrap();
        let id = world.add(signed);
        let verdict = sealed(&world, &world.contents());
        assert_eq!(failed(&verdict), [code(&id, "signature")]);
        assert!(why(&verdict, &code(&id, "signature")).contains(expected));
        assert!(unproved(&verdict).is_empty());
    }
}

#[test]
fn an_entry_that_was_left_out_is_missed_by_the_one_that_links_to_it() {
    let world = World::new();
    let mut contents = world.contents();
    let gone = contents.entries.remove(5).id;
    contents.receipts.retain(|r| r.item.hash != gone.0);
    let verdict = sealed(&world, &contents);
    let after = contents.entries[5].id;
    assert_eq!(failed(&verdict), [code(&after, "order"), "completeness".into()]);
    assert!(why(&verdict, "completeness").contains(&gone.to_string()));
}

#[test]
fn an_entry_that_was_left_out_is_missed_by_its_receipts() {
    let world = World::new();
    let mut contents = world.contents();
    let gone = contents.entries.pop().unwrap().id;
    let verdict = sealed(&world, &contents);
    assert_eq!(failed(&verdict), ["completeness"]);
    assert!(why(&verdict, "completeness").contains(&gone.to_string()));
    // Without them nothing in the dossier knows of it, and the claim says so.
    contents.receipts.retain(|r| r.item.hash != gone.0);
    let verdict = sealed(&world, &contents);
    assert!(verdict.complete());
    let newest = contents.entries.last().unwrap().id;
    assert!(verdict.claim("completeness").unwrap().statement.contains(&newest.to_string()));
}

#[test]
fn an_entry_that_the_exporter_says_it_lacks_is_unproved_not_failed() {
    let world = World::new();
    let mut contents = world.contents();
    let gone = contents.entries.remove(5).id;
    contents.receipts.retain(|r| r.item.hash != gone.0);
    contents.missing.push(gone);
    let verdict = sealed(&world, &contents);
    assert!(verdict.ok(), "{}", show(&verdict));
    assert_eq!(unproved(&verdict), [code(&contents.entries[5].id, "order"), "completeness".into()]);
}

#[test]
fn lines_that_were_moved_contradict_the_log() {
    let world = World::new();
    let mut contents = world.contents();
    contents.entries.swap(4, 6);
    let verdict = sealed(&world, &contents);
    let moved = [code(&world.entries[5].id, "log"), code(&world.entries[4].id, "log")];
    assert_eq!(failed(&verdict), moved);
    assert!(why(&verdict, &moved[0]).contains("moved"));
}

#[test]
fn receipts_that_were_exchanged_prove_nothing() {
    let world = World::new();
    let swap = |swap: fn(&mut DossierContents)| {
        let mut contents = world.contents();
        swap(&mut contents);
        let verdict = sealed(&world, &contents);
        assert!(unproved(&verdict).is_empty());
        failed(&verdict).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // The notes of two entries by one issuer.
    let first =
        |c: &DossierContents| format!("entry:{}:receipt:{}", c.receipts[0].item.hash, c.receipts[0].issuer);
    let contents = world.contents();
    let found = swap(|c| {
        let other = c.receipts.iter().skip(1).position(|r| r.issuer == c.receipts[0].issuer).unwrap() + 1;
        let note = c.receipts[0].note.clone();
        c.receipts[0].note = std::mem::replace(&mut c.receipts[other].note, note);
    });
    assert_eq!(found.len(), 2);
    assert!(found.contains(&first(&contents)));
    // The notes of two issuers.
    let found = swap(|c| {
        let note = c.receipts[0].note.clone();
        c.receipts[0].note = std::mem::replace(&mut c.receipts[1].note, note);
    });
    assert_eq!(found.len(), 2);
    // Another leaf, another position, another count.
    for change in [
        |c: &mut DossierContents| c.receipts[0].item.leaf = 0,
        |c: &mut DossierContents| c.receipts[0].index = 0,
        |c: &mut DossierContents| c.receipts[0].count = 4,
    ] {
        assert_eq!(swap(change), [first(&contents)]);
    }
}

#[test]
fn a_receipt_signed_by_another_node_fails() {
    let world = World::new();
    let mut contents = world.contents();
    let statement = world.entries[3].id;
    let note: hiwar_trust::note::Note = world.receipt(METI, 3).note.parse().unwrap();
    let name = "did:web:meti.example".parse().unwrap();
    let forged = hiwar_trust::note::Note::sign(note.text(), &name, &world.parties[DG].node).unwrap();
    let did = world.parties[METI].did.clone();
    let place = contents.receipts.iter().position(|r| r.issuer == did && r.item.hash == statement.0).unwrap();
    contents.receipts[place].note = forged.to_string();
    let verdict = sealed(&world, &contents);
    assert_eq!(failed(&verdict), [format!("entry:{statement}:receipt:{did}")]);
}

#[test]
fn a_checkpoint_signed_by_another_key_is_no_state_of_the_log() {
    let mut world = World::new();
    world.witnessed = false;
    let mut contents = world.contents();
    let checkpoint = world.parties[MOTIE].checkpoint_at(9);
    let name = checkpoint.origin().parse().unwrap();
    let forged = checkpoint.sign(&name, &world.parties[DG].node).unwrap();
    contents.logs[0].checkpoint = forged.to_string();
    let verdict = sealed(&world, &contents);
    assert_eq!(failed(&verdict), ["log:did:web:motie.example/log/1:checkpoint"]);
    assert!(world.entries.iter().all(|e| unproved(&verdict).contains(&code(&e.id, "log").as_str())));
}

#[test]
fn a_checkpoint_of_another_history_contains_no_entry() {
    let mut world = World::new();
    world.parties[MOTIE].leaves[0] = "card y".into();
    let other = world.parties[MOTIE].signed_checkpoint(9);
    let mut world = World::new();
    world.witnessed = false;
    let mut contents = world.contents();
    contents.logs[0].checkpoint = other.to_string();
    let verdict = sealed(&world, &contents);
    let expected: Vec<String> = world.entries.iter().map(|e| code(&e.id, "log")).collect();
    assert_eq!(failed(&verdict), expected);
}

#[test]
fn an_old_checkpoint_proves_nothing_of_what_came_later() {
    let mut world = World::new();
    world.witnessed = false;
    let mut contents = world.contents();
    contents.logs[0].checkpoint = world.parties[MOTIE].signed_checkpoint(6).to_string();
    let verdict = sealed(&world, &contents);
    // The proofs lead to the newer state, so they fit the older one for no entry.
    assert_eq!(failed(&verdict).len(), 8);
    let last = code(&world.entries[7].id, "log");
    assert!(why(&verdict, &last).contains("entry 8 is not in a tree of 6 entries"));
}

#[test]
fn cosignatures_count_only_for_the_same_log() {
    let world = World::new();
    let dg = "log:did:web:motie.example/log/1:witness:did:web:dg.example";
    // A proof that does not lead from the one to the other.
    let mut contents = world.contents();
    contents.logs[0].witnessed[0].proof.pop();
    assert_eq!(failed(&sealed(&world, &contents)), [dg]);
    // A state with the same size and another root: two histories.
    let mut other = World::new();
    other.parties[MOTIE].leaves[0] = "card y".into();
    let mut forked = other.parties[MOTIE].signed_checkpoint(9);
    other.parties[DG].cosign(&mut forked, at(9));
    let mut contents = world.contents();
    contents.logs[0].witnessed[0].checkpoint = forked.to_string();
    contents.logs[0].witnessed[0].proof.clear();
    let verdict = sealed(&world, &contents);
    assert_eq!(failed(&verdict), [dg]);
    assert!(why(&verdict, dg).contains("two different states"));
    // A line in the name of a party by another key.
    let mut contents = world.contents();
    let mut signed = SignedCheckpoint::parse(contents.logs[0].checkpoint.as_bytes()).unwrap();
    let name = "did:web:dg.example".parse().unwrap();
    let forged = signed.checkpoint().cosign(&name, &SoftwareKey::from_seed(&[9; 32]), 1).unwrap();
    signed.add(forged).unwrap();
    contents.logs[0].checkpoint = signed.to_string();
    assert_eq!(failed(&sealed(&world, &contents)), [dg]);
    // None at all.
    let mut contents = world.contents();
    contents.logs[0].witnessed.clear();
    let verdict = sealed(&world, &contents);
    assert!(verdict.ok());
    assert_eq!(unproved(&verdict), [dg]);
}

#[test]
fn a_stolen_key_proves_only_what_others_held_before() {
    // The receipts came one minute after each entry; DG revokes its key as of minute 8.
    let revoked = |since: i64, delay: i64, witnessed: bool| {
        let mut world = World::new();
        world.receipt_delay = delay;
        world.witnessed = witnessed;
        world.parties[DG].rotate(30, at(30), Some(at(since)));
        let verdict = sealed(&world, &world.contents());
        assert!(verdict.ok(), "{}", show(&verdict));
        let unproved: Vec<String> = unproved(&verdict).into_iter().map(str::to_owned).collect();
        (world, unproved, verdict)
    };
    // Others held everything of DG's (minutes 2, 7 and 8) before minute 20.
    let (world, open, verdict) = revoked(20, 1, false);
    assert!(!open.iter().any(|id| id.ends_with(":signature")), "{open:?}");
    let id = code(&world.entries[7].id, "signature");
    let statement = &verdict.claim(&id).unwrap().statement;
    assert!(statement.contains("before it revoked the key"), "{statement}");
    // As of minute 8: the assent of minute 2 was receipted in time, the entries of 7 and 8 not.
    let (world, open, _) = revoked(8, 1, false);
    let signatures: Vec<&String> = open.iter().filter(|id| id.ends_with(":signature")).collect();
    assert_eq!(
        signatures,
        [&code(&world.entries[6].id, "signature"), &code(&world.entries[7].id, "signature")]
    );
    // As of minute 2: the assent is not believed either, and so the membership is open.
    let (world, open, _) = revoked(2, 1, false);
    assert!(open.contains(&format!("membership:{}", world.dialogue())), "{open:?}");
    // The receipts came too late, but METI cosigned the log at minute 10.
    let (_, open, _) = revoked(20, 600, true);
    assert!(!open.iter().any(|id| id.ends_with(":signature")), "{open:?}");
    let (_, open, _) = revoked(20, 600, false);
    assert_eq!(open.iter().filter(|id| id.ends_with(":signature")).count(), 3);
}

#[test]
fn for_a_stolen_key_neither_the_exporter_nor_a_stranger_can_vouch() {
    let mut world = World::new();
    world.witnessed = false;
    world.without_receipt = vec![(2, METI), (6, METI), (7, METI)];
    world.parties[DG].rotate(30, at(30), Some(at(20)));
    let open = |contents: &DossierContents| {
        let verdict = sealed(&world, contents);
        unproved(&verdict).iter().filter(|id| id.ends_with(":signature")).count()
    };
    // MOTIE's own receipts for DG's three entries are there, but MOTIE is the exporter.
    let mut contents = world.contents();
    assert_eq!(open(&contents), 3);
    // A participant of no membership, whose cards are as good as anybody's.
    let stranger = crate::world::Party::new("Notary", "notary.example", 50);
    let receipt = hiwar_trust::receipt::Receipt {
        issuer: stranger.did.clone(),
        to: world.parties[MOTIE].did.clone(),
        time: at(9),
        log: stranger.checkpoint_at(1),
        items: vec![hiwar_trust::receipt::ReceiptItem {
            kind: hiwar_trust::receipt::ItemKind::Entry,
            hash: world.entries[7].id.0,
            leaf: 0,
        }],
    };
    let receipt = receipt.sign(&stranger.node).unwrap();
    let kind = hiwar_trust::receipt::ItemKind::Entry;
    contents.receipts.push(ReceiptEvidence::of(&receipt, kind, &world.entries[7].id.0).unwrap());
    contents.identities.push(stranger.cards);
    assert_eq!(open(&contents), 3);
    // METI's receipt does.
    let receipt = world.receipt(METI, 7);
    contents.receipts.push(ReceiptEvidence::of(&receipt, kind, &world.entries[7].id.0).unwrap());
    assert_eq!(open(&contents), 2);
}

#[test]
fn a_key_that_was_replaced_signs_nothing_later() {
    let mut world = World::new();
    let entry = world.draft(METI, 30, Body::Statement(words("Late.")), Vec::new());
    let old = &world.parties[METI].organisation[0];
    let signed = SignedEntry::sign(entry, old, old.public_key().id()).unwrap();
    let id = world.add(signed);
    let verdict = sealed(&world, &world.contents());
    assert_eq!(failed(&verdict), [code(&id, "signature")]);
    assert!(why(&verdict, &code(&id, "signature")).contains("replaced the key"));
}

#[test]
fn entries_stand_under_the_rules_of_their_membership() {
    type Change = fn(&mut hiwar_dialogue::entry::Entry);
    let cases: [(Change, &str); 4] = [
        (|e| e.marking = Marking::Red, "above the cap"),
        (|e| e.arrangement = "Another".into(), "arrangement"),
        (|e| e.dialogue = Some(EntryId(Hash::of(b"other"))), "another dialogue"),
        (|e| e.membership = Some(EntryId(Hash::of(b"other"))), "left out"),
    ];
    for (change, expected) in cases {
        let mut world = World::new();
        let mut entry = world.draft(MOTIE, 9, Body::Statement(words("x")), Vec::new());
        change(&mut entry);
        let key = &world.parties[MOTIE].organisation[0];
        let signed = SignedEntry::sign(entry, key, key.public_key().id()).unwrap();
        let id = world.add(signed);
        let verdict = sealed(&world, &world.contents());
        let order = code(&id, "order");
        assert!(failed(&verdict).contains(&order.as_str()), "{expected}: {:?}", failed(&verdict));
        assert!(why(&verdict, &order).contains(expected), "{}", why(&verdict, &order));
    }
}

#[test]
fn a_membership_needs_the_assent_of_everyone_old_and_new() {
    let mut world = World::new();
    let opening = world.dialogue();
    let mut parties: Vec<_> = [MOTIE, METI].map(|p| world.parties[p].did.clone()).into();
    parties.sort();
    let smaller = Membership {
        title: crate::world::texts("Smaller", "x"),
        parties,
        cap: Marking::Amber,
        replaces: Some(opening),
    };
    let proposal = world.say(MOTIE, 10, Body::Membership(smaller));
    world.say(METI, 11, Body::Assent(about(proposal, "yes")));
    let verdict = sealed(&world, &world.contents());
    let claim = format!("membership:{proposal}");
    assert!(verdict.ok(), "{}", show(&verdict));
    assert_eq!(unproved(&verdict), [claim.as_str()]);
    assert!(why(&verdict, &claim).contains("did:web:dg.example"));
    world.say(DG, 12, Body::Refusal(about(proposal, "no")));
    let verdict = sealed(&world, &world.contents());
    assert!(why(&verdict, &claim).contains("did:web:dg.example refused"));
    world.say(DG, 13, Body::Assent(about(proposal, "yes after all")));
    let verdict = sealed(&world, &world.contents());
    assert!(verdict.complete(), "{}", show(&verdict));
}

#[test]
fn who_the_parties_are_is_known_only_from_outside() {
    let world = World::new();
    let bytes = world.bytes();
    let check = |anchors: &[Anchor]| verify(bytes.as_slice(), anchors, &Limits::default());
    let verdict = check(&[]);
    assert_eq!(unproved(&verdict).len(), 3);
    assert!(verdict.ok() && !verdict.complete());
    // The twelve words do as well as the digits.
    let words = fingerprint_words(&world.parties[MOTIE].identity().fingerprint());
    let verdict = check(&[words.parse().unwrap()]);
    assert!(verdict.claim("identity:did:web:motie.example").unwrap().is_proved());
    assert_eq!(unproved(&verdict).len(), 2);
    // METI's words from before it changed its key pin the whole chain.
    let old = world.parties[METI].cards[0].card.fingerprint();
    let verdict = check(&[Anchor::from(old)]);
    assert!(verdict.claim("identity:did:web:meti.example").unwrap().is_proved());
    // Words of nobody here: somebody is not who it says it is.
    let verdict = check(&[Anchor::from(Hash::of(b"nobody"))]);
    assert_eq!(failed(&verdict), ["anchor:1"]);
}

#[test]
fn an_anchor_of_a_revoked_key_pins_nothing() {
    let mut world = World::new();
    let old = world.parties[DG].identity().fingerprint();
    world.parties[DG].rotate(30, at(30), Some(at(20)));
    let bytes = world.bytes();
    let verdict = verify(bytes.as_slice(), &[Anchor::from(old)], &Limits::default());
    assert!(unproved(&verdict).contains(&"identity:did:web:dg.example"));
    assert!(why(&verdict, "identity:did:web:dg.example").contains("revoked"));
}

#[test]
fn cards_that_do_not_hold_prove_nothing_of_their_party() {
    let world = World::new();
    let mut contents = world.contents();
    let meti = contents.identities.iter_mut().find(|c| c.len() == 2).unwrap();
    meti[1].card.name = "Somebody else".into();
    let verdict = sealed(&world, &contents);
    let broken = ["identity:did:web:meti.example:chain", "anchor:2"];
    assert_eq!(failed(&verdict), broken);
    assert!(unproved(&verdict).contains(&code(&world.entries[4].id, "signature").as_str()));
    contents.identities.retain(|chain| chain[0].card.did.as_str() != "did:web:meti.example");
    let verdict = sealed(&world, &contents);
    assert_eq!(failed(&verdict), broken);
    assert!(why(&verdict, broken[0]).contains("no cards"));
}

#[test]
fn a_log_that_was_replaced_after_a_restore_is_tied_to_the_card_that_says_so() {
    let claim = "log:did:web:motie.example/log/1:continuation";
    let restored = |leaves: usize, root: Hash| {
        let mut world = World::new();
        let size = leaves as u64;
        let key = &world.parties[MOTIE].organisation[0];
        let identity = world.parties[MOTIE].identity();
        let mut card = identity.latest().clone();
        card.sequence = 1;
        card.previous = Some(identity.latest_hash());
        card.time = at(40);
        card.log_origin = "did:web:motie.example/log/2".into();
        card.log_continues =
            Some(LogContinuation { origin: "did:web:motie.example/log/1".into(), size, root });
        let card = card.sign(&[key]).unwrap();
        world.parties[MOTIE].cards.push(card);
        sealed(&world, &world.contents())
    };
    let root = World::new().parties[MOTIE].checkpoint_at(9).root();
    assert!(restored(9, root).complete());
    assert_eq!(failed(&restored(9, Hash::of(b"other"))), [claim]);
    assert_eq!(unproved(&restored(8, root)), [claim]);
}

#[test]
fn an_alarm_is_the_exporters_word_unless_its_evidence_proves_it() {
    let world = World::new();
    let mut other = World::new();
    other.parties[DG].leaves[0] = "card y".into();
    let states = [&world, &other].map(|w| w.parties[DG].signed_checkpoint(9).to_string());
    let alarm = |code: &str, evidence: &[String]| Alarm {
        time: at(50),
        code: code.into(),
        peer: Some(world.parties[DG].did.clone()),
        detail: "it signed two histories\u{1b}[2J".into(),
        evidence: evidence.to_vec(),
    };
    let mut card = world.parties[DG].cards[0].card.clone();
    card.name = "Another name".into();
    let card = card.sign(&[&world.parties[DG].organisation[0]]).unwrap();
    let card = serde_json::to_string(&card).unwrap();
    let mut contents = world.contents();
    contents.alarms = vec![
        alarm("fork", &states),
        alarm("fork", &[states[0].clone(), states[0].clone()]),
        alarm("identity-fork", &[card]),
        alarm("rollback", &[]),
    ];
    let verdict = sealed(&world, &contents);
    assert!(verdict.ok());
    assert_eq!(unproved(&verdict), ["alarm:1", "alarm:3"]);
    assert!(verdict.claim("alarm:0").unwrap().statement.contains("two different states"));
    assert!(verdict.claim("alarm:2").unwrap().statement.contains("two different cards number 0"));
    assert!(!show(&verdict).contains('\u{1b}'));
}

#[test]
fn a_missing_receipt_is_unproved_and_says_who_could_give_it() {
    let mut world = World::new();
    world.without_receipt.push((4, DG));
    let verdict = sealed(&world, &world.contents());
    let id = code(&world.entries[4].id, "receipt:did:web:dg.example");
    assert!(verdict.ok());
    assert_eq!(unproved(&verdict), [id]);
    assert!(show(&verdict).contains("a dossier exported by did:web:dg.example"));
}

#[test]
fn another_title_and_another_exporter_are_noticed() {
    let world = World::new();
    let mut contents = world.contents();
    contents.title = crate::world::texts("Something else", "x");
    let bytes = world.unsealed(&contents);
    assert_eq!(failed(&world.verdict(&bytes)), ["container:dossier.json"]);
    let mut contents = world.contents();
    contents.exporter = world.parties[DG].did.clone();
    let verdict = world.verdict(&world.unsealed(&contents));
    assert_eq!(failed(&verdict), ["log:did:web:motie.example/log/1:checkpoint"]);
    // And a seal by another than the exporter is none.
    let verdict = world.verdict(&world.sealed(&contents));
    assert!(failed(&verdict).contains(&"seal"));
}
