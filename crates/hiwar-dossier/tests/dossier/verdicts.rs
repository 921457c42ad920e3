//! What an honest dossier proves, and how that is told.

use hiwar_dossier::{KnownBy, Outcome, Verdict, render_text};

use hiwar_trust::hash::Hash;

use crate::archive::members;
use crate::world::{World, show};

#[test]
fn a_whole_dossier_proves_everything() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    assert!(verdict.complete(), "{}", show(&verdict));
    assert_eq!(verdict.outcome(), Outcome::Complete);
    assert_eq!(verdict.counts().proved, verdict.claims.len());
    let title = verdict.title.get("ko").map(String::as_str);
    assert_eq!((verdict.entries.len(), title), (8, Some("불화수소 허가")));
}

#[test]
fn every_claim_has_its_own_code() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    let mut codes: Vec<&str> = verdict.claims.iter().map(|c| c.id.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), verdict.claims.len());
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let world = World::new();
    assert_eq!(world.bytes(), world.bytes());
    let mut contents = world.contents();
    contents.identities.reverse();
    contents.receipts.reverse();
    assert_eq!(world.sealed(&contents), world.bytes(), "the order in which they are given does not matter");
}

/// Whoever changes these digests changes the format: raise its version.
#[test]
fn the_members_have_the_bytes_they_always_had() {
    let world = World::new();
    let digests: Vec<(String, String)> = members(&world.bytes())
        .into_iter()
        .filter(|(name, _)| name.ends_with("json"))
        .map(|(name, content)| (name, Hash::of(&content).short()))
        .skip(1)
        .collect();
    let digests: Vec<(&str, &str)> = digests.iter().map(|(n, d)| (n.as_str(), d.as_str())).collect();
    assert_eq!(
        digests,
        [
            ("identities.json", "aea759cb"),
            ("entries.ndjson", "69c1434c"),
            ("log.json", "0215055b"),
            ("receipts.ndjson", "d72a5df7"),
        ]
    );
}

#[test]
fn the_timeline_tells_who_knew_what_when() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    let rows = verdict.timeline();
    assert!(rows.is_sorted_by_key(|row| row.time));
    let statement = rows.iter().find(|row| row.id == world.entries[3].id).unwrap();
    assert_eq!(statement.excerpt, "No licence for hydrogen fluoride has reached us since July.");
    let known: Vec<(&str, KnownBy, i64)> =
        statement.known.iter().map(|k| (k.party.as_str(), k.by, k.delay_ms)).collect();
    assert_eq!(
        known,
        [
            ("did:web:dg.example", KnownBy::Receipt, 60_000),
            ("did:web:meti.example", KnownBy::Receipt, 60_000),
            ("did:web:dg.example", KnownBy::Cosignature, 360_000),
            ("did:web:meti.example", KnownBy::Cosignature, 420_000),
        ]
    );
    // The newest entry came after the state that DG cosigned.
    let newest = rows.last().unwrap();
    assert!(!newest.known.iter().any(|k| k.party.as_str() == "did:web:dg.example"));
}

#[test]
fn corrections_and_disputes_count_or_are_void() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    for (position, expected) in [
        (4, "contradicts entry"),
        (5, "corrects entry"),
        (6, "takes note of entry"),
        (7, "has no effect on entry"),
    ] {
        let claim = verdict.claim(&format!("entry:{}:effect", world.entries[position].id)).unwrap();
        assert!(claim.is_proved() && claim.statement.contains(expected), "{}", claim.statement);
    }
}

#[test]
fn a_verdict_is_json_too() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes()[..20_000]);
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let claim = &value["claims"][0];
    assert_eq!(claim["id"], "container");
    assert_eq!(claim["subject"]["kind"], "container");
    assert_eq!(claim["status"], "failed");
    assert!(claim["why"].as_str().unwrap().contains("cut off"));
}

#[test]
fn the_text_ends_in_counts_and_the_meaning_of_the_exit_status() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    let text = render_text(&verdict, false);
    assert!(text.contains("Party 経済産業省 (did:web:meti.example)"), "{text}");
    assert!(text.contains("Verdict: everything is proved (exit status 0)"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(render_text(&verdict, true).contains("\u{1b}[32mPROVED"));
    for (outcome, status) in [(Outcome::Complete, 0), (Outcome::Partial, 3), (Outcome::Failed, 1)] {
        assert_eq!(outcome.exit_status(), status);
    }
    let nothing = Verdict::default();
    assert_eq!(nothing.outcome(), Outcome::Failed);
}
