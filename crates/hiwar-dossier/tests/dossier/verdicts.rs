//! What an honest dossier proves, and what it leaves open.

use crate::world::{DG, METI, MOTIE, World, at, failed, show, unproved};
use hiwar_dossier::{Limits, Outcome, Verdict, verify};

#[test]
fn a_whole_dossier_proves_everything() {
    let world = World::new();
    let verdict = world.verdict(&world.bytes());
    assert!(verdict.complete(), "{}", show(&verdict));
    assert_eq!(verdict.outcome(), Outcome::Complete);
    assert_eq!(verdict.entries.len(), 8);
    assert_eq!(verdict.counts().proved, verdict.claims.len());
}

#[test]
fn print_it() {
    let world = World::new();
    println!("{}", show(&world.verdict(&world.bytes())));
    println!("{}", show(&verify(world.bytes().as_slice(), &[], &Limits::default())));
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let world = World::new();
    assert_eq!(world.bytes(), world.bytes());
}
