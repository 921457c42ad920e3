//! Merkle proofs, as numbers and hashes: `index size`, the leaf, the root, and the proof's hashes,
//! one a line.

use hiwar_trust::hash::Hash;
use hiwar_trust::merkle::{self, verify_consistency, verify_inclusion};

use super::{answered, text};
use crate::sample;

/// The largest tree that the bodies build themselves.
const SIZE_MAX: u64 = 40;

/// What stands in an input.
struct Proof {
    first: u64,
    second: u64,
    hashes: Vec<Hash>,
}

/// Two numbers and then hashes, one a line; a line that is no digest counts as the digest of it.
fn read(data: &[u8]) -> Option<Proof> {
    let mut lines = text(data)?.lines();
    let mut numbers = lines.next()?.split(' ').map(str::parse::<u64>);
    let (first, second) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let hashes =
        lines.take(200).map(|line| line.parse().unwrap_or_else(|_| Hash::of(line.as_bytes()))).collect();
    Some(Proof { first, second, hashes })
}

fn write(first: u64, second: u64, hashes: impl IntoIterator<Item = Hash>) -> Vec<u8> {
    let mut text = format!("{first} {second}");
    for hash in hashes {
        text.push('\n');
        text.push_str(&hash.to_string());
    }
    text.into()
}

/// Leaf hashes of the sample log.
fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| merkle::leaf_hash(&number.to_be_bytes())).collect()
}

/// A proof that a leaf is in a tree. For trees of the sample log, only the one true proof may pass.
pub fn inclusion_proof(data: &[u8]) {
    let Some(Proof { first: index, second: size, hashes }) = read(data) else { return };
    let [leaf, root, proof @ ..] = hashes.as_slice() else { return };
    let verified = verify_inclusion(leaf, index, size, proof, root);
    answered(&verified);
    if verified.is_ok() {
        assert!(index < size && proof.len() <= 64);
    }
    if size <= SIZE_MAX {
        let leaves = leaves(size);
        if *root == merkle::root(&leaves) {
            let at = usize::try_from(index).ok().and_then(|at| leaves.get(at));
            let true_proof = merkle::inclusion_proof(&leaves, index);
            let holds = at == Some(leaf) && true_proof.as_deref() == Some(proof);
            assert_eq!(verified.is_ok(), holds, "a forged proof passes, or a true one fails");
        }
    }
}

/// True proofs for the sample log.
pub fn inclusion_proof_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, size) in [(0, 1), (0, 2), (4, 7), (6, 7), (31, 32), (32, 33)] {
        let leaves = leaves(size);
        let leaf = usize::try_from(index).ok().and_then(|at| leaves.get(at)).copied();
        let proof = merkle::inclusion_proof(&leaves, index).unwrap_or_default();
        seeds.push(write(index, size, leaf.into_iter().chain([merkle::root(&leaves)]).chain(proof)));
    }
    seeds.push(write(u64::MAX - 1, u64::MAX, (0..66).map(sample::hash)));
    seeds
}

/// A proof that one tree extends another. For trees of the sample log, none other may pass.
pub fn consistency_proof(data: &[u8]) {
    let Some(Proof { first: size1, second: size2, hashes }) = read(data) else { return };
    let [root1, root2, proof @ ..] = hashes.as_slice() else { return };
    let verified = verify_consistency(size1, root1, size2, root2, proof);
    answered(&verified);
    if verified.is_ok() {
        assert!(size1 <= size2 && proof.len() <= 65);
        if size2 <= SIZE_MAX && size1 > 0 && *root2 == root_of(size2) {
            assert_eq!(*root1, root_of(size1), "another log passes as the earlier one");
        }
    }
}

fn root_of(size: u64) -> Hash {
    merkle::root(&leaves(size))
}

/// True proofs for the sample log.
pub fn consistency_proof_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (size1, size2) in [(0, 5), (1, 2), (3, 7), (4, 7), (6, 7), (7, 7), (8, 33)] {
        let proof = consistency(size1, size2);
        seeds.push(write(size1, size2, [root_of(size1), root_of(size2)].into_iter().chain(proof)));
    }
    seeds.push(write(u64::MAX - 1, u64::MAX, (0..70).map(sample::hash)));
    seeds
}

/// The proof of RFC 6962 section 2.1.2, by the recursion that stands there.
fn consistency(size1: u64, size2: u64) -> Vec<Hash> {
    match usize::try_from(size1) {
        Ok(size1 @ 1..) => subproof(size1, &leaves(size2), true),
        _ => Vec::new(),
    }
}

fn subproof(size: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if size == leaves.len() {
        return if whole { Vec::new() } else { vec![merkle::root(leaves)] };
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = match size.checked_sub(middle) {
        None | Some(0) => (subproof(size, left, whole), merkle::root(right)),
        Some(rest) => (subproof(rest, right, false), merkle::root(left)),
    };
    proof.push(sibling);
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_proofs_pass() {
        for seed in consistency_proof_seeds().iter().take(7) {
            let Proof { first, second, hashes } = read(seed).expect("it is read");
            let [root1, root2, proof @ ..] = hashes.as_slice() else { panic!("no roots") };
            assert_eq!(verify_consistency(first, root1, second, root2, proof), Ok(()), "{first} {second}");
        }
    }
}
