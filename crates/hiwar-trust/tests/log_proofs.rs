//! Proofs built from the tiles of a growing log, checked against a tree built the plain way.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use hiwar_trust::hash::Hash;
use hiwar_trust::merkle::{
    self, HashReader, ReadError, consistency_proof_from, inclusion_proof_from, root_from, verify_consistency,
    verify_inclusion,
};
use hiwar_trust::tiles::{LogTail, TailReader, TileIndex};
use proptest::prelude::*;

/// A log whose full tiles are in a map, as a store would hold them.
#[derive(Default)]
struct Log {
    leaves: Vec<Hash>,
    tail: LogTail,
    full_tiles: HashMap<TileIndex, Vec<Hash>>,
    /// The root after each append; the first is that of the empty log.
    roots: Vec<Hash>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log = Self::default();
        log.roots.push(log.tail.root());
        for index in 0..size {
            let leaf = merkle::leaf_hash(&index.to_be_bytes());
            log.leaves.push(leaf);
            for full in log.tail.append(leaf).full_tiles {
                assert!(log.full_tiles.insert(full.tile, full.hashes).is_none(), "a full tile never changes");
            }
            log.roots.push(log.tail.root());
        }
        log
    }

    fn stored(&self) -> impl HashReader {
        |tile: TileIndex| self.full_tiles.get(&tile).cloned().ok_or(ReadError::Missing { tile })
    }

    /// Builds a proof of inclusion, checks it and returns it.
    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, ReadError> {
        let stored = self.stored();
        let reader = TailReader { tail: &self.tail, stored: &stored };
        let proof = inclusion_proof_from(&reader, index, size)?;
        let (leaf, root) = (&self.leaves[index as usize], &self.roots[size as usize]);
        assert_eq!(verify_inclusion(leaf, index, size, &proof, root), Ok(()), "{index} in {size}");
        Ok(proof)
    }

    /// Builds a proof of consistency, checks it and returns it.
    fn consistency(&self, size1: u64, size2: u64) -> Result<Vec<Hash>, ReadError> {
        let stored = self.stored();
        let reader = TailReader { tail: &self.tail, stored: &stored };
        let proof = consistency_proof_from(&reader, size1, size2)?;
        let (root1, root2) = (&self.roots[size1 as usize], &self.roots[size2 as usize]);
        assert_eq!(verify_consistency(size1, root1, size2, root2, &proof), Ok(()), "{size1} to {size2}");
        Ok(proof)
    }
}

/// Larger than 65,536, so that a tile of level 1 is full and level 2 has begun.
const LARGE: u64 = 66_900;

fn large_log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| Log::of(LARGE))
}

#[test]
fn the_root_of_the_tail_is_that_of_the_plain_tree_at_every_size() {
    let log = Log::of(600);
    for (size, root) in log.roots.iter().enumerate() {
        assert_eq!(*root, merkle::root(&log.leaves[..size]), "size {size}");
    }
    let log = large_log();
    assert_eq!(log.tail.root(), merkle::root(&log.leaves));
}

/// 300 entries cross the first tile; every size but the last is an earlier one than the tail's.
#[test]
fn every_entry_is_provable_in_every_earlier_and_later_tree() {
    let log = Log::of(300);
    for size in 1..=300 {
        for index in 0..size {
            let proof = log.inclusion(index, size).expect("the proof can be built");
            if size <= 64 {
                assert_eq!(merkle::inclusion_proof(&log.leaves[..size as usize], index), Some(proof));
            }
        }
    }
}

#[test]
fn every_tree_is_provably_consistent_with_every_later_one() {
    let log = Log::of(300);
    for size2 in 0..=300 {
        for size1 in 0..=size2 {
            log.consistency(size1, size2).expect("the proof can be built");
        }
    }
}

#[test]
fn a_proof_reads_at_most_two_tiles_of_each_level() {
    let log = large_log();
    let stored = log.stored();
    let whole = TailReader { tail: &log.tail, stored: &stored };
    let read = RefCell::new(Vec::new());
    let counting = |tile: TileIndex| {
        read.borrow_mut().push(tile);
        whole.read_tile(tile).map(std::borrow::Cow::into_owned)
    };
    for (small, size) in
        [(0, 1), (77, LARGE), (511, 66_000), (65_535, 65_793), (65_537, LARGE), (255, 65_536)]
    {
        inclusion_proof_from(&counting, small, size).expect("the proof can be built");
        let tiles = read.take();
        assert!(tiles.len() <= 6, "{small} in {size}: {tiles:?}");
        assert_eq!(tiles.iter().collect::<HashSet<_>>().len(), tiles.len(), "no tile is read twice");
        consistency_proof_from(&counting, small, size).expect("the proof can be built");
        assert!(read.take().len() <= 6, "{small} to {size}");
    }
    root_from(&counting, LARGE).expect("the root can be built");
    assert_eq!(read.take().len(), 3);
}

/// In a log whose entries are all equal, so are all complete subtrees of one height; its tiles
/// can be made up for any size.
#[test]
fn proofs_hold_in_the_largest_logs_there_can_be() {
    let leaf = merkle::leaf_hash(b"always the same");
    let mut by_height = vec![leaf];
    for height in 0..63 {
        by_height.push(merkle::node_hash(&by_height[height], &by_height[height]));
    }
    let uniform =
        |tile: TileIndex| Ok(vec![by_height[8 * usize::from(tile.level())]; usize::from(tile.width())]);
    let sizes = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, (1 << 56) + 1, 1 << 32, 70_000, 1];
    for size in sizes {
        let root = root_from(&uniform, size).expect("the root can be built");
        for other in sizes.into_iter().chain([0, 255, 256]).filter(|other| *other < size) {
            let proof = inclusion_proof_from(&uniform, other, size).expect("the proof can be built");
            assert_eq!(verify_inclusion(&leaf, other, size, &proof, &root), Ok(()), "{other} in {size}");
            let proof = consistency_proof_from(&uniform, other, size).expect("the proof can be built");
            let earlier = root_from(&uniform, other).expect("the root can be built");
            assert_eq!(verify_consistency(other, &earlier, size, &root, &proof), Ok(()), "{other} to {size}");
        }
        let tail = LogTail::restore(size, &uniform).expect("the tail restores");
        assert_eq!(tail.root(), root, "{size}");
    }
}

#[test]
fn sizes_beyond_the_log_are_errors() {
    let log = Log::of(300);
    let stored = log.stored();
    let reader = TailReader { tail: &log.tail, stored: &stored };
    for size in [301, 511, 512, 70_000, u64::MAX] {
        assert!(matches!(root_from(&reader, size), Err(ReadError::BeyondLog { .. })), "{size}");
        assert!(inclusion_proof_from(&reader, 0, size).is_err());
        assert!(consistency_proof_from(&reader, 5, size).is_err());
    }
}

#[test]
fn a_lost_tile_is_named() {
    let mut log = Log::of(600);
    let lost = TileIndex::new(0, 0, 256).expect("the tile exists");
    log.full_tiles.remove(&lost);
    let stored = log.stored();
    let reader = TailReader { tail: &log.tail, stored: &stored };
    assert_eq!(inclusion_proof_from(&reader, 3, 600), Err(ReadError::Missing { tile: lost }));
    assert_eq!(root_from(&reader, 600), Ok(log.tail.root()), "the root needs level 1 and the tail only");
}

#[test]
fn a_restored_tail_goes_on_like_the_one_it_was_saved_from() {
    let mut tail = LogTail::new();
    for size in [0, 1, 255, 256, 257, 300, 65_535, 65_536, 65_537, 65_792, LARGE] {
        while tail.size() < size {
            let _ = tail.append(merkle::leaf_hash(&tail.size().to_be_bytes()));
        }
        let saved: HashMap<_, _> =
            tail.partial_tiles().map(|(tile, hashes)| (tile, hashes.to_vec())).collect();
        let reader = |tile: TileIndex| saved.get(&tile).cloned().ok_or(ReadError::Missing { tile });
        let mut restored = LogTail::restore(size, &reader).expect("the tail restores");
        assert_eq!((restored.size(), restored.root()), (size, tail.root()));
        let mut original = tail.clone();
        for byte in 0..=255 {
            let leaf = Hash([byte; 32]);
            assert_eq!(restored.append(leaf), original.append(leaf), "size {size}");
        }
        assert_eq!(restored.root(), original.root());
        let narrow = |tile: TileIndex| Ok(vec![Hash([0; 32]); usize::from(tile.width()) - 1]);
        assert_eq!(LogTail::restore(size, &narrow).is_err(), size != 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proofs_hold_in_large_logs(size in 1..=LARGE, pick in any::<prop::sample::Index>()) {
        let log = large_log();
        let other = pick.index(size as usize) as u64;
        log.inclusion(other, size).expect("the proof can be built");
        log.consistency(other, size).expect("the proof can be built");
        let stored = log.stored();
        let reader = TailReader { tail: &log.tail, stored: &stored };
        prop_assert_eq!(root_from(&reader, size), Ok(log.roots[size as usize]));
    }

    #[test]
    fn tampered_inclusion_proofs_fail(
        size in 2..=LARGE,
        pick in any::<prop::sample::Index>(),
        hit in any::<prop::sample::Index>(),
        bit in 0..256_usize,
    ) {
        let log = large_log();
        let index = pick.index(size as usize) as u64;
        let (leaf, root) = (log.leaves[index as usize], log.roots[size as usize]);
        let proof = log.inclusion(index, size).expect("the proof can be built");

        let mut flipped = proof.clone();
        flipped[hit.index(proof.len())].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(&leaf, index, size, &flipped, &root).is_err());

        let mut longer = proof.clone();
        longer.insert(hit.index(proof.len() + 1), root);
        prop_assert!(verify_inclusion(&leaf, index, size, &longer, &root).is_err());

        let mut shorter = proof.clone();
        shorter.remove(hit.index(proof.len()));
        prop_assert!(verify_inclusion(&leaf, index, size, &shorter, &root).is_err());

        let elsewhere = (index + 1) % size;
        prop_assert!(verify_inclusion(&leaf, elsewhere, size, &proof, &root).is_err());
        let mut other_leaf = leaf;
        other_leaf.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(&other_leaf, index, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &log.roots[size as usize - 1]).is_err());
    }

    #[test]
    fn tampered_consistency_proofs_fail(
        size2 in 2..=LARGE,
        pick in any::<prop::sample::Index>(),
        hit in any::<prop::sample::Index>(),
        bit in 0..256_usize,
    ) {
        let log = large_log();
        let size1 = 1 + pick.index(size2 as usize - 1) as u64;
        let (root1, root2) = (log.roots[size1 as usize], log.roots[size2 as usize]);
        let proof = log.consistency(size1, size2).expect("the proof can be built");

        let mut flipped = proof.clone();
        flipped[hit.index(proof.len())].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(size1, &root1, size2, &root2, &flipped).is_err());

        let mut longer = proof.clone();
        longer.insert(hit.index(proof.len() + 1), root2);
        prop_assert!(verify_consistency(size1, &root1, size2, &root2, &longer).is_err());

        let mut shorter = proof.clone();
        shorter.remove(hit.index(proof.len()));
        prop_assert!(verify_consistency(size1, &root1, size2, &root2, &shorter).is_err());

        let mut other_root = root1;
        other_root.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(size1, &other_root, size2, &root2, &proof).is_err());
        prop_assert!(verify_consistency(size1, &root1, size2, &other_root, &proof).is_err());
        prop_assert!(verify_consistency(size1, &root2, size2, &root1, &proof).is_err());
    }

    #[test]
    fn every_tile_reads_back_from_its_path(level in 0..8_u8, index in any::<u64>(), width in 1..=256_u16) {
        let index = index >> 8 >> (8 * level);
        let tile = TileIndex::new(level, index, width).expect("the tile exists");
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }

    #[test]
    fn foreign_tile_paths_never_panic(text in "(tile/)?[0-9]{0,2}/(x?[0-9]{3,4}/){0,9}[0-9]{3}(\\.p/[0-9]{0,4})?|.{0,40}") {
        if let Ok(tile) = text.parse::<TileIndex>() {
            prop_assert_eq!(tile.to_string(), text);
        }
    }
}
