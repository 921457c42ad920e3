//! Proofs over a stored log, built from its tiles.

use std::borrow::Cow;

use super::{ProofError, node_hash, root};
use crate::hash::Hash;
use crate::tiles::TileIndex;

/// Why a hash of the log could not be read, or was asked for where there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store does not have the tile.
    #[error("{tile} is not stored; rebuild the tiles from the entries of the log")]
    Missing {
        /// The tile that was asked for.
        tile: TileIndex,
    },
    /// The store has a tile of another width.
    #[error("{tile} was read with {found} hashes; rebuild the tiles from the entries of the log")]
    WrongWidth {
        /// The tile that was asked for.
        tile: TileIndex,
        /// How many hashes came back.
        found: usize,
    },
    /// The store failed.
    #[error("{tile} could not be read: {reason}; check the store and its disk, then try again")]
    Storage {
        /// The tile that was asked for.
        tile: TileIndex,
        /// What the store said.
        reason: String,
    },
    /// The tile lies beyond the end of the log.
    #[error("{tile} is beyond the log, which has {size} entries; ask for a size the log has reached")]
    BeyondLog {
        /// The tile that was asked for.
        tile: TileIndex,
        /// Number of entries in the log.
        size: u64,
    },
    /// No proof exists for these positions.
    #[error(transparent)]
    Position(ProofError),
}

/// Reads the stored hashes of a log, tile by tile.
///
/// Any `Fn(TileIndex) -> Result<Vec<Hash>, ReadError>` is a reader.
pub trait HashReader {
    /// Exactly the first [`TileIndex::width`] hashes of `tile`, left to right. The stored tile may
    /// have grown wider since; a prefix of it is the same tile in an earlier, smaller log.
    ///
    /// # Errors
    /// A [`ReadError`] when the tile is absent or unreadable.
    fn read_tile(&self, tile: TileIndex) -> Result<Cow<'_, [Hash]>, ReadError>;
}

impl<F: Fn(TileIndex) -> Result<Vec<Hash>, ReadError>> HashReader for F {
    fn read_tile(&self, tile: TileIndex) -> Result<Cow<'_, [Hash]>, ReadError> {
        self(tile).map(Cow::Owned)
    }
}

/// The root of the log's first `size` entries.
///
/// # Errors
/// A [`ReadError`] when a tile cannot be read.
pub fn root_from<R: HashReader + ?Sized>(reader: &R, size: u64) -> Result<Hash, ReadError> {
    Subtrees { reader, size, tiles: Vec::new() }.range(0, size)
}

/// The proof that the entry at `index` is in the tree over the log's first `size` entries.
///
/// # Errors
/// [`ReadError::Position`] when `index` is not below `size`, another [`ReadError`] when a tile
/// cannot be read.
pub fn inclusion_proof_from<R: HashReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ReadError> {
    if index >= size {
        return Err(ReadError::Position(ProofError::IndexBeyondSize { index, size }));
    }
    let (mut begin, mut end) = (0, size);
    let mut siblings = Vec::new();
    while end - begin > 1 {
        let middle = split(begin, end);
        if index < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((begin, middle));
            begin = middle;
        }
    }
    hash_ranges(reader, size, &siblings)
}

/// The proof that the tree over the log's first `size2` entries extends that over its first
/// `size1`; empty when the sizes are equal or `size1` is 0.
///
/// # Errors
/// [`ReadError::Position`] when `size1` is above `size2`, another [`ReadError`] when a tile
/// cannot be read.
pub fn consistency_proof_from<R: HashReader + ?Sized>(
    reader: &R,
    size1: u64,
    size2: u64,
) -> Result<Vec<Hash>, ReadError> {
    if size1 > size2 {
        return Err(ReadError::Position(ProofError::SizesReversed { size1, size2 }));
    }
    if size1 == 0 {
        return Ok(Vec::new());
    }
    let (mut begin, mut end) = (0, size2);
    let mut ranges = Vec::new();
    while end != size1 {
        let middle = split(begin, end);
        if size1 <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((begin, middle));
            begin = middle;
        }
    }
    // Unless the node reached is the whole earlier tree, the verifier needs its hash too.
    if begin != 0 {
        ranges.push((begin, end));
    }
    hash_ranges(reader, size2, &ranges)
}

/// Where RFC 6962 splits a tree of at least two leaves: the left side is the largest complete
/// tree that leaves something to the right.
fn split(begin: u64, end: u64) -> u64 {
    begin + (1 << (end - begin - 1).ilog2())
}

/// The hashes of ranges found on the way down, in the order of a proof: from the leaf up.
fn hash_ranges<R: HashReader + ?Sized>(
    reader: &R,
    size: u64,
    ranges: &[(u64, u64)],
) -> Result<Vec<Hash>, ReadError> {
    let mut subtrees = Subtrees { reader, size, tiles: Vec::new() };
    ranges.iter().rev().map(|(begin, end)| subtrees.range(*begin, *end)).collect()
}

/// The subtrees of a log of `size` entries, with the tiles read so far.
struct Subtrees<'r, R: ?Sized> {
    reader: &'r R,
    size: u64,
    tiles: Vec<(TileIndex, Cow<'r, [Hash]>)>,
}

impl<R: HashReader + ?Sized> Subtrees<'_, R> {
    /// The root over the entries from `begin` up to `end`, a range that RFC 6962 splitting makes:
    /// `begin` is a multiple of a power of two not below its length. Such a range is a row of
    /// complete subtrees, one for each bit of its length, the smallest at the right.
    fn range(&mut self, begin: u64, end: u64) -> Result<Hash, ReadError> {
        let mut lengths = end - begin;
        let mut end = end;
        let mut found: Option<Hash> = None;
        while lengths != 0 {
            let height = lengths.trailing_zeros();
            lengths &= lengths - 1;
            end -= 1 << height;
            let left = self.complete(height, end >> height)?;
            found = Some(found.map_or(left, |right| node_hash(&left, &right)));
        }
        Ok(found.unwrap_or_else(|| root(&[])))
    }

    /// The root of the complete subtree over entries `index << height` up to the next multiple.
    fn complete(&mut self, height: u32, index: u64) -> Result<Hash, ReadError> {
        let [height, ..] = height.to_le_bytes();
        let (level, inner) = (height / TileIndex::HEIGHT, height % TileIndex::HEIGHT);
        let first = index << inner;
        let tile = TileIndex::containing(level, first, self.size);
        let [start, ..] = first.to_le_bytes();
        let start = usize::from(start);
        let hashes = self.tile(tile)?;
        hashes
            .get(start..start + (1 << inner))
            .map(root)
            .ok_or(ReadError::WrongWidth { tile, found: hashes.len() })
    }

    fn tile(&mut self, tile: TileIndex) -> Result<&[Hash], ReadError> {
        let at = match self.tiles.iter().position(|(known, _)| *known == tile) {
            Some(at) => at,
            None => {
                let hashes = self.reader.read_tile(tile)?;
                if hashes.len() != usize::from(tile.width()) {
                    return Err(ReadError::WrongWidth { tile, found: hashes.len() });
                }
                self.tiles.push((tile, hashes));
                self.tiles.len() - 1
            }
        };
        Ok(self.tiles.get(at).map_or(&[], |(_, hashes)| hashes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_of_another_width_is_an_error() {
        let reader = |_: TileIndex| Ok(vec![Hash([0; 32]); 3]);
        let tile = TileIndex::new(0, 0, 5).expect("the tile exists");
        assert_eq!(root_from(&reader, 5), Err(ReadError::WrongWidth { tile, found: 3 }));
    }
}
