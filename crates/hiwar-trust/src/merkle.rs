//! The SHA-256 Merkle tree of RFC 6962 section 2.1, its proofs, and their verification.
//!
//! A leaf is hashed behind a byte 0x00 and an inner node behind a byte 0x01, so that no node can
//! be passed off as a leaf. Proofs are verified by the iterative algorithms of RFC 9162 sections
//! 2.1.3.2 and 2.1.4.2. Proofs over a stored log are built from its tiles (see [`crate::tiles`])
//! through a [`HashReader`]; a proof reads at most two tiles of each level.

mod reader;

use sha2::{Digest, Sha256};

use crate::hash::Hash;

pub use reader::{HashReader, ReadError, consistency_proof_from, inclusion_proof_from, root_from};

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The entry lies outside the tree.
    #[error("entry {index} is not in a tree of {size} entries; ask for a proof in a later tree")]
    IndexBeyondSize {
        /// Zero-based position of the entry.
        index: u64,
        /// Number of entries in the tree.
        size: u64,
    },
    /// The earlier tree is larger than the later one.
    #[error(
        "a tree of {size1} entries cannot precede one of {size2}; the log shrank or the trees are swapped"
    )]
    SizesReversed {
        /// Number of entries in the earlier tree.
        size1: u64,
        /// Number of entries in the later tree.
        size2: u64,
    },
    /// The proof has fewer or more hashes than these positions need.
    #[error("a proof of {hashes} hashes does not fit these positions; ask the prover for a new one")]
    WrongLength {
        /// Number of hashes in the proof.
        hashes: usize,
    },
    /// The proof leads to another root than the one given for the (later) tree.
    #[error("the proof leads to root {found}, not to {expected}; keep both tree heads as evidence")]
    RootMismatch {
        /// The root that was to be proved.
        expected: Hash,
        /// The root that the proof leads to.
        found: Hash,
    },
    /// The proof leads to another root than the one given for the earlier tree.
    #[error("the proof leads to earlier root {found}, not to {expected}; keep both tree heads as evidence")]
    EarlierRootMismatch {
        /// The root of the earlier tree as given.
        expected: Hash,
        /// The earlier root that the proof leads to.
        found: Hash,
    },
}

/// The hash of a leaf: SHA-256 of 0x00 and `data`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// The hash of an inner node: SHA-256 of 0x01, `left` and `right`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The Merkle tree hash over `leaf_hashes`; that of no leaves is the SHA-256 of nothing.
pub fn root(leaf_hashes: &[Hash]) -> Hash {
    match leaf_hashes {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaf_hashes.split_at(1 << (leaf_hashes.len() - 1).ilog2());
            node_hash(&root(left), &root(right))
        }
    }
}

/// The proof that the leaf at `index` is in the tree over `leaf_hashes`, nearest sibling first;
/// none when there is no such leaf. For trees held in memory; costs one hash per leaf.
pub fn inclusion_proof(leaf_hashes: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut index = usize::try_from(index).ok().filter(|index| *index < leaf_hashes.len())?;
    let mut subtree = leaf_hashes;
    let mut proof = Vec::new();
    while subtree.len() > 1 {
        let (left, right) = subtree.split_at(1 << (subtree.len() - 1).ilog2());
        if index < left.len() {
            proof.push(root(right));
            subtree = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            subtree = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Verifies that the leaf with hash `leaf` is at `index` in the tree of `size` leaves with root
/// `root` (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// A [`ProofError`] saying what does not fit; nothing is proved then.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexBeyondSize { index, size });
    }
    let mut path = Path { node: index, last: size - 1 };
    let mut found = *leaf;
    for sibling in proof {
        match path.climb() {
            None => return Err(ProofError::WrongLength { hashes: proof.len() }),
            Some(Side::Left) => found = node_hash(sibling, &found),
            Some(Side::Right) => found = node_hash(&found, sibling),
        }
    }
    if path.last != 0 {
        return Err(ProofError::WrongLength { hashes: proof.len() });
    }
    expect_root(root, found)
}

/// Verifies that the tree of `size2` leaves with root `root2` extends the tree of `size1` leaves
/// with root `root1` (RFC 9162 section 2.1.4.2).
///
/// Two trees of one size need equal roots and an empty proof. The empty tree precedes every tree;
/// its root is always the SHA-256 of nothing and its proof is empty.
///
/// # Errors
/// A [`ProofError`] saying what does not fit; nothing is proved then.
pub fn verify_consistency(
    size1: u64,
    root1: &Hash,
    size2: u64,
    root2: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if size1 > size2 {
        return Err(ProofError::SizesReversed { size1, size2 });
    }
    let wrong_length = ProofError::WrongLength { hashes: proof.len() };
    let earlier = |found: Hash| match found == *root1 {
        true => Ok(()),
        false => Err(ProofError::EarlierRootMismatch { expected: *root1, found }),
    };
    if size1 == 0 {
        earlier(self::root(&[]))?;
    }
    if size1 == 0 || size1 == size2 {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        return if size1 == size2 { expect_root(root2, *root1) } else { Ok(()) };
    }
    // A complete earlier tree is a node of the later one, and the verifier knows its hash already.
    let (start, rest) = match proof.split_first() {
        None => return Err(wrong_length),
        Some(_) if size1.is_power_of_two() => (root1, proof),
        Some(split) => split,
    };
    let mut path = Path { node: size1 - 1, last: size2 - 1 };
    path.rise(path.node.trailing_ones());
    let (mut found1, mut found2) = (*start, *start);
    for sibling in rest {
        match path.climb() {
            None => return Err(wrong_length),
            Some(Side::Left) => {
                found1 = node_hash(sibling, &found1);
                found2 = node_hash(sibling, &found2);
            }
            Some(Side::Right) => found2 = node_hash(&found2, sibling),
        }
    }
    if path.last != 0 {
        return Err(wrong_length);
    }
    earlier(found1)?;
    expect_root(root2, found2)
}

fn expect_root(expected: &Hash, found: Hash) -> Result<(), ProofError> {
    if found == *expected { Ok(()) } else { Err(ProofError::RootMismatch { expected: *expected, found }) }
}

/// Where the sibling stands beside the node.
enum Side {
    Left,
    Right,
}

/// A walk from a node up to the root, beside the right-most node of the same height.
struct Path {
    node: u64,
    last: u64,
}

impl Path {
    /// Moves up to the parent of the node; says on which side the node's sibling stands, or
    /// nothing when the node is the root. A right edge without a sibling is climbed for free.
    fn climb(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 {
            Side::Left
        } else if self.node == self.last {
            self.rise(self.node.trailing_zeros());
            Side::Left
        } else {
            Side::Right
        };
        self.rise(1);
        Some(side)
    }

    fn rise(&mut self, levels: u32) {
        self.node = self.node.checked_shr(levels).unwrap_or(0);
        self.last = self.last.checked_shr(levels).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::TileIndex;

    /// Source: the reference tree of the Certificate Transparency project (RFC 6962), whose eight
    /// leaves are these bytes in hexadecimal.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    /// Source: as `LEAVES`; the roots of the trees over the first 0 to 8 leaves.
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// Source: as `LEAVES`; nodes of the tree over all eight, named by height and position.
    const NODE_0_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const NODE_0_2: &str = "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7";
    const NODE_0_3: &str = "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7";
    const NODE_0_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const NODE_0_5: &str = "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658";
    const NODE_0_6: &str = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";
    const NODE_1_0: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
    const NODE_1_1: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const NODE_1_2: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    const NODE_1_3: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const NODE_2_0: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    const NODE_2_1: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

    fn hash(text: &str) -> Hash {
        text.parse().expect("test vector is a digest")
    }

    fn leaf_hashes() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).expect("test vector is hex"))).collect()
    }

    /// A reader over leaves in memory, for trees of at most 256 leaves.
    fn one_tile(leaves: Vec<Hash>) -> impl HashReader {
        move |tile: TileIndex| {
            let width = usize::from(tile.width());
            match tile.level() {
                0 => leaves.get(..width).map(<[Hash]>::to_vec).ok_or(ReadError::Missing { tile }),
                _ => Err(ReadError::Missing { tile }),
            }
        }
    }

    #[test]
    fn roots_equal_those_of_the_reference_tree() {
        let leaves = leaf_hashes();
        let reader = one_tile(leaves.clone());
        for (size, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..size]), hash(expected), "size {size}");
            assert_eq!(root_from(&reader, size as u64), Ok(hash(expected)), "size {size}");
        }
    }

    /// Source: the inclusion vectors of the reference tree for trees of 1, 3, 5 and 8 leaves; the
    /// nodes that RFC 9162 section 2.1.5 names for d0, d3, d4 and d6 of its tree of 7 leaves.
    #[test]
    fn inclusion_proofs_equal_the_published_ones() {
        let leaves = leaf_hashes();
        let reader = one_tile(leaves.clone());
        let node_l = node_hash(&hash(NODE_1_2), &hash(NODE_0_6)).to_string();
        for (index, size, expected) in [
            (0, 1, vec![]),
            (0, 8, vec![NODE_0_1, NODE_1_1, NODE_2_1]),
            (5, 8, vec![NODE_0_4, NODE_1_3, NODE_2_0]),
            (2, 3, vec![NODE_1_0]),
            (1, 5, vec![ROOTS[1], NODE_1_1, NODE_0_4]),
            (0, 7, vec![NODE_0_1, NODE_1_1, &node_l]),
            (3, 7, vec![NODE_0_2, NODE_1_0, &node_l]),
            (4, 7, vec![NODE_0_5, NODE_0_6, NODE_2_0]),
            (6, 7, vec![NODE_1_2, NODE_2_0]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(hash).collect();
            let leaf = &leaves[index as usize];
            assert_eq!(inclusion_proof(&leaves[..size], index).as_ref(), Some(&expected));
            assert_eq!(inclusion_proof_from(&reader, index, size as u64).as_ref(), Ok(&expected));
            assert_eq!(verify_inclusion(leaf, index, size as u64, &expected, &hash(ROOTS[size])), Ok(()));
        }
        assert_eq!(inclusion_proof(&leaves, 8), None);
        assert_eq!(inclusion_proof(&[], 0), None);
    }

    /// Source: the consistency vectors of the reference tree for (1, 8), (6, 8) and (2, 5); the
    /// nodes that RFC 9162 section 2.1.5 names for (3, 7), (4, 7) and (6, 7).
    #[test]
    fn consistency_proofs_equal_the_published_ones() {
        let reader = one_tile(leaf_hashes());
        let node_l = node_hash(&hash(NODE_1_2), &hash(NODE_0_6)).to_string();
        for (size1, size2, expected) in [
            (0, 8, vec![]),
            (8, 8, vec![]),
            (1, 8, vec![NODE_0_1, NODE_1_1, NODE_2_1]),
            (6, 8, vec![NODE_1_2, NODE_1_3, NODE_2_0]),
            (2, 5, vec![NODE_1_1, NODE_0_4]),
            (3, 7, vec![NODE_0_2, NODE_0_3, NODE_1_0, &node_l]),
            (4, 7, vec![&node_l]),
            (6, 7, vec![NODE_1_2, NODE_0_6, NODE_2_0]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(hash).collect();
            let (root1, root2) = (hash(ROOTS[size1 as usize]), hash(ROOTS[size2 as usize]));
            assert_eq!(consistency_proof_from(&reader, size1, size2).as_ref(), Ok(&expected));
            assert_eq!(verify_consistency(size1, &root1, size2, &root2, &expected), Ok(()));
        }
    }

    #[test]
    fn the_empty_tree_precedes_every_tree_with_an_empty_proof_only() {
        let (empty, other) = (hash(ROOTS[0]), hash(ROOTS[8]));
        assert_eq!(verify_consistency(0, &empty, 8, &other, &[]), Ok(()));
        assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
        assert_eq!(
            verify_consistency(0, &empty, 8, &other, &[other]),
            Err(ProofError::WrongLength { hashes: 1 })
        );
        assert!(matches!(
            verify_consistency(0, &other, 8, &other, &[]),
            Err(ProofError::EarlierRootMismatch { .. })
        ));
    }

    #[test]
    fn trees_of_one_size_need_equal_roots_and_an_empty_proof() {
        let (root, other) = (hash(ROOTS[8]), hash(ROOTS[7]));
        assert_eq!(verify_consistency(8, &root, 8, &root, &[]), Ok(()));
        assert!(verify_consistency(8, &root, 8, &other, &[]).is_err());
        assert!(verify_consistency(8, &root, 8, &root, &[root]).is_err());
    }

    #[test]
    fn positions_outside_the_tree_are_refused() {
        let reader = one_tile(leaf_hashes());
        let root = hash(ROOTS[8]);
        let outside = ProofError::IndexBeyondSize { index: 8, size: 8 };
        assert_eq!(verify_inclusion(&root, 8, 8, &[], &root), Err(outside));
        assert_eq!(inclusion_proof_from(&reader, 8, 8), Err(ReadError::Position(outside)));
        let reversed = ProofError::SizesReversed { size1: 8, size2: 7 };
        assert_eq!(verify_consistency(8, &root, 7, &root, &[]), Err(reversed));
        assert_eq!(consistency_proof_from(&reader, 8, 7), Err(ReadError::Position(reversed)));
        assert!(verify_inclusion(&root, u64::MAX, u64::MAX, &[], &root).is_err());
        assert!(verify_inclusion(&root, 0, u64::MAX, &[root; 65], &root).is_err());
        assert!(verify_consistency(u64::MAX - 1, &root, u64::MAX, &root, &[root; 70]).is_err());
    }
}
