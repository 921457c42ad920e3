//! What becomes of a dossier when a byte is changed.

use std::collections::BTreeSet;

use hiwar_dossier::{Manifest, Verdict};
use hiwar_trust::hash::Hash;
use proptest::prelude::*;

use crate::archive::{archive, members};
use crate::world::{World, failed, show};

/// Where one member's header, content and padding stand in the archive.
#[derive(Debug, Clone)]
struct Region {
    name: String,
    header: usize,
    start: usize,
    end: usize,
    next: usize,
}

/// Cuts an archive into its members by the sizes in their headers.
fn regions(bytes: &[u8]) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut header = 0;
    while bytes[header] != 0 {
        let read = tar::Header::from_byte_slice(&bytes[header..header + 512]);
        let size = usize::try_from(read.entry_size().unwrap()).unwrap();
        let name = String::from_utf8(read.path_bytes().into_owned()).unwrap();
        let start = header + 512;
        let next = start + size.next_multiple_of(512);
        regions.push(Region { name, header, start, end: start + size, next });
        header = next;
    }
    regions
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes
}

/// What may fail when a byte of a member is changed, beside `container` itself.
fn may_fail(member: &str, claim: &str) -> bool {
    let own = claim == format!("container:{member}");
    match member {
        "README.txt" => own,
        "dossier.json" => {
            claim == "seal" || claim.starts_with("container:") || claim.starts_with("attachment:")
        }
        "seal.txt" => claim == "seal",
        "identities.json" => own || (claim.starts_with("identity:") && claim.ends_with(":chain")),
        "entries.ndjson" => own || claim.ends_with(":signature") || claim.ends_with(":order"),
        "log.json" => own || claim.starts_with("log:") || claim.ends_with(":log"),
        "receipts.ndjson" => own || claim.contains(":receipt:"),
        attachment => claim == attachment.replace("attachments/", "attachment:"),
    }
}

/// Changes every `step`th byte and looks at what fails.
fn flip_every(step: usize) {
    let world = World::new();
    let bytes = world.bytes();
    let regions = regions(&bytes);
    for at in (0..bytes.len()).step_by(step) {
        let verdict = world.verdict(&flipped(&bytes, at));
        let failed = failed(&verdict);
        assert!(!failed.is_empty(), "byte {at} does not count");
        let Some(region) = regions.iter().find(|r| (r.header..r.next).contains(&at)) else {
            assert_eq!(failed, ["container"], "byte {at}, behind the last member");
            continue;
        };
        if at < region.start && ["README.txt", "dossier.json", "seal.txt"].contains(&region.name.as_str()) {
            // Nothing before them says how large they are, so a damaged header may end the reading.
            continue;
        }
        if at >= region.end {
            assert_eq!(failed, ["container"], "byte {at}, behind {}", region.name);
            continue;
        }
        for claim in &failed {
            assert!(may_fail(&region.name, claim), "byte {at} of {}: {claim} failed", region.name);
        }
        if region.name == "entries.ndjson" && at >= region.start {
            one_entry_only(&bytes, at, &verdict);
        }
    }
}

/// A changed byte in one line concerns that entry and no other.
fn one_entry_only(bytes: &[u8], at: usize, verdict: &Verdict) {
    let failed: BTreeSet<&str> = failed(verdict)
        .into_iter()
        .filter_map(|id| id.strip_prefix("entry:"))
        .filter_map(|id| id.get(..64))
        .collect();
    let lines = if bytes[at] == b'\n' { 2 } else { 1 };
    assert!((1..=lines).contains(&failed.len()), "byte {at}: {failed:?}");
    assert!(verdict.claim("container:entries.ndjson").unwrap().is_failed());
    for claim in &verdict.claims {
        let own = failed.iter().any(|id| claim.id.contains(id));
        let place = claim.id.ends_with(":order") || claim.id.ends_with(":effect");
        let allowed = own || place || claim.id.starts_with("membership:") || claim.id == "completeness";
        let expected = claim.is_proved() || allowed || claim.id == "container:entries.ndjson";
        assert!(expected, "byte {at}: {} is {:?}", claim.id, claim.status);
    }
}

#[test]
fn a_changed_byte_fails_the_claims_of_the_part_it_stands_in() {
    flip_every(23);
}

#[test]
#[ignore = "takes minutes; the test above takes every 23rd byte"]
fn every_single_byte_counts() {
    flip_every(1);
}

#[test]
fn a_changed_statement_leaves_everything_else_proved() {
    let world = World::new();
    let bytes = world.bytes();
    let text = b"A licence was granted on 8 August.";
    let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
    let mut changed = bytes.clone();
    changed[at + 26] = b'9';
    let verdict = world.verdict(&changed);
    let dispute = world.entries[4].id;
    let expected = [
        "container:entries.ndjson".to_owned(),
        format!("entry:{dispute}:signature"),
        format!("entry:{dispute}:order"),
    ];
    assert_eq!(failed(&verdict), expected);
    assert_eq!(crate::world::unproved(&verdict), ["completeness"], "{}", show(&verdict));
    assert!(verdict.claim(&format!("entry:{dispute}:log")).unwrap().is_proved());
    assert_eq!(verdict.entries.len(), 7, "the changed text is not shown as an entry");
}

#[test]
fn a_dossier_that_was_cut_off_fails_and_says_where() {
    let world = World::new();
    let bytes = world.bytes();
    for length in
        (0..bytes.len()).step_by(331).chain([bytes.len() - 1, bytes.len() - 512, bytes.len() - 1024])
    {
        let verdict = world.verdict(&bytes[..length]);
        assert!(!verdict.ok(), "{length} bytes");
        assert!(verdict.claim("container").unwrap().is_failed(), "{length} bytes: {}", show(&verdict));
        if length > 8192 {
            assert!(
                show(&verdict).contains("cut off") || show(&verdict).contains("not complete"),
                "{length}"
            );
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..40_000_usize;
    prop_oneof![
        4 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => at.clone().prop_map(Change::Cut),
        1 => (at.clone(), 1..2000_usize).prop_map(|(at, n)| Change::Remove(at, n)),
        1 => (at.clone(), proptest::collection::vec(any::<u8>(), 1..600)).prop_map(|(at, b)| Change::Insert(at, b)),
        1 => (0..70_usize, 0..70_usize).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len().max(1);
    match change {
        Change::Set(at, byte) => {
            if let Some(place) = bytes.get_mut(at % length) {
                *place = *byte;
            }
        }
        Change::Cut(at) => bytes.truncate(at % length),
        Change::Remove(at, count) => {
            let start = (at % length).min(bytes.len());
            let end = (start + count).min(bytes.len());
            bytes.drain(start..end);
        }
        Change::Insert(at, more) => {
            let start = (at % length).min(bytes.len());
            bytes.splice(start..start, more.iter().copied());
        }
        Change::Swap(a, b) => {
            let blocks = bytes.len() / 512;
            if blocks > 1 {
                let (a, b) = (a % blocks, b % blocks);
                for i in 0..512 {
                    bytes.swap(a * 512 + i, b * 512 + i);
                }
            }
        }
    }
}

/// Makes `dossier.json` agree with the other members again, as a forger would.
fn mend(parts: &mut [(String, Vec<u8>)]) {
    let mut manifest: Manifest = serde_json::from_slice(&parts[1].1).unwrap();
    for record in &mut manifest.members {
        let (_, content) = parts.iter().find(|(name, _)| *name == record.name).unwrap();
        record.size = content.len() as u64;
        record.sha256 = Hash::of(content);
    }
    parts[1].1 = serde_json::to_vec_pretty(&manifest).unwrap();
    parts[1].1.push(b'\n');
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_are_noticed_and_never_panic(changes in proptest::collection::vec(change(), 1..6)) {
        let world = World::new();
        let bytes = world.bytes();
        let mut changed = bytes.clone();
        for change in &changes {
            apply(&mut changed, change);
        }
        let verdict = world.verdict(&changed);
        prop_assert_eq!(verdict.ok(), changed == bytes, "{}", show(&verdict));
    }

    /// A forger who mends the digests and takes off the seal gets further in, but no entry that
    /// was not signed is ever believed.
    #[test]
    fn changes_behind_mended_digests_forge_nothing_and_never_panic(
        member in 2_usize..6,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let world = World::new();
        let mut parts = members(&world.unsealed(&world.contents()));
        for change in &changes {
            apply(&mut parts[member].1, change);
        }
        mend(&mut parts);
        let verdict = world.verdict(&archive(&parts));
        prop_assert!(verdict.claim("container").unwrap().is_proved());
        let signed = verdict.claims.iter().filter(|c| c.is_proved() && c.id.ends_with(":signature"));
        for claim in signed {
            let known = world.entries.iter().any(|e| claim.id == format!("entry:{}:signature", e.id));
            prop_assert!(known, "{}", show(&verdict));
        }
    }

    #[test]
    fn random_bytes_are_no_dossier(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let verdict = World::empty().verdict(&bytes);
        prop_assert!(verdict.claim("container").is_some_and(hiwar_dossier::Claim::is_failed));
    }
}
