//! The growing right edge of a log, and reading a log through it.

use std::borrow::Cow;
use std::fmt;

use super::{TileIndex, hashes_in_level};
use crate::hash::Hash;
use crate::merkle::{HashReader, ReadError, node_hash, root};

/// A tile that has just become full, to be stored for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Which tile it is; its width is 256.
    pub tile: TileIndex,
    /// Its 256 hashes, left to right.
    pub hashes: Vec<Hash>,
}

/// What one [`LogTail::append`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the full tiles must be stored, or proofs can no longer be made"]
pub struct Appended {
    /// Zero-based position of the new entry.
    pub index: u64,
    /// The tiles that are full now, lowest level first; mostly none.
    pub full_tiles: Vec<FullTile>,
}

/// The right edge of a growing log: all that is needed to append to it and to know its root.
///
/// A clone taken before a transaction is the state to fall back to when the transaction fails.
#[derive(Clone, Default)]
pub struct LogTail {
    size: u64,
    levels: [Edge; TileIndex::LEVELS as usize],
}

/// The right edge of one level of tiles.
#[derive(Clone)]
struct Edge {
    /// The hashes of the partial tile.
    tile: Vec<Hash>,
    /// By height within the level, the root of the complete subtree at the right edge; it means
    /// something only where the number of hashes in the level has that bit set.
    peaks: [Hash; TileIndex::HEIGHT as usize],
}

impl LogTail {
    /// The tail of a log without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tail of a stored log of `size` entries. Asks `reader` for the tiles of
    /// [`TileIndex::partial_tiles`] and for no others. Compare [`Self::root`] with the last signed
    /// checkpoint before appending: the hashes are taken as they are read.
    ///
    /// # Errors
    /// A [`ReadError`] when a tile cannot be read or has another width.
    pub fn restore<R: HashReader + ?Sized>(size: u64, reader: &R) -> Result<Self, ReadError> {
        let mut tail = Self { size, ..Self::new() };
        for tile in TileIndex::partial_tiles(size) {
            let hashes = reader.read_tile(tile)?;
            if hashes.len() != usize::from(tile.width) {
                return Err(ReadError::WrongWidth { tile, found: hashes.len() });
            }
            if let Some(edge) = tail.levels.get_mut(usize::from(tile.level)) {
                *edge = Edge::of(&hashes);
            }
        }
        Ok(tail)
    }

    /// Appends one leaf hash. Costs one node hash on average, and allocates only where a new tile
    /// begins.
    pub fn append(&mut self, leaf_hash: Hash) -> Appended {
        let index = self.size;
        let mut full_tiles = Vec::new();
        let mut next = Some(leaf_hash);
        for (level, edge) in (0..TileIndex::LEVELS).zip(&mut self.levels) {
            let Some(hash) = next else { break };
            let position = hashes_in_level(index, level);
            next = edge.join(position, hash);
            if let Some(hashes) = edge.push(hash) {
                let tile =
                    TileIndex { level, index: position >> TileIndex::HEIGHT, width: TileIndex::FULL_WIDTH };
                full_tiles.push(FullTile { tile, hashes });
            }
        }
        // A log that grows by one never gets to 2^64 entries.
        self.size = index.saturating_add(1);
        Appended { index, full_tiles }
    }

    /// Number of entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the log. Costs at most 63 node hashes, one for each set bit of the size but one.
    pub fn root(&self) -> Hash {
        let peaks = self.levels.iter().flat_map(|edge| &edge.peaks).enumerate();
        let complete = peaks.filter(|(height, _)| self.size >> height & 1 == 1).map(|(_, peak)| *peak);
        complete.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| root(&[]))
    }

    /// The partial tiles of the right edge, lowest level first: what [`Self::restore`] will need,
    /// together with the size.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileIndex, &[Hash])> {
        TileIndex::partial_tiles(self.size).map(|tile| (tile, self.partial(tile.level)))
    }

    fn partial(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], |edge| &edge.tile)
    }
}

impl fmt::Debug for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTail")
            .field("size", &self.size)
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self { tile: Vec::new(), peaks: [Hash([0; 32]); TileIndex::HEIGHT as usize] }
    }
}

impl Edge {
    /// The edge with this partial tile, of fewer than 256 hashes.
    fn of(hashes: &[Hash]) -> Self {
        let mut edge = Self { tile: hashes.to_vec(), ..Self::default() };
        let mut rest = hashes;
        for (height, peak) in edge.peaks.iter_mut().enumerate().rev() {
            if hashes.len() >> height & 1 == 1 {
                let (subtree, right) = rest.split_at(1 << height);
                *peak = root(subtree);
                rest = right;
            }
        }
        edge
    }

    /// Joins the hash at `position` of the level with the complete subtrees to its left, the way
    /// a carry runs through the set bits of a counter. Returns the root of the tile it completes.
    fn join(&mut self, position: u64, mut hash: Hash) -> Option<Hash> {
        for (height, peak) in self.peaks.iter_mut().enumerate() {
            if position >> height & 1 == 0 {
                *peak = hash;
                return None;
            }
            hash = node_hash(peak, &hash);
        }
        Some(hash)
    }

    /// Adds a hash to the partial tile; hands the tile over when that makes it full.
    fn push(&mut self, hash: Hash) -> Option<Vec<Hash>> {
        let width = usize::from(TileIndex::FULL_WIDTH);
        if self.tile.capacity() < width {
            self.tile.reserve_exact(width - self.tile.len());
        }
        self.tile.push(hash);
        (self.tile.len() == width).then(|| std::mem::take(&mut self.tile))
    }
}

/// Reads a log whose full tiles are in a store and whose right edge is in a [`LogTail`].
///
/// The store must have every tile that [`LogTail::append`] handed over; it is asked for full tiles
/// only. Proofs for any size up to the tail's can be built over this reader.
pub struct TailReader<'a, S: ?Sized> {
    /// The right edge of the log.
    pub tail: &'a LogTail,
    /// The store of full tiles.
    pub stored: &'a S,
}

impl<S: HashReader + ?Sized> HashReader for TailReader<'_, S> {
    fn read_tile(&self, tile: TileIndex) -> Result<Cow<'_, [Hash]>, ReadError> {
        let full_tiles = hashes_in_level(self.tail.size, tile.level) >> TileIndex::HEIGHT;
        let width = usize::from(tile.width);
        if tile.index < full_tiles {
            let hashes = self.stored.read_tile(tile.full())?;
            if hashes.len() != usize::from(TileIndex::FULL_WIDTH) {
                return Err(ReadError::WrongWidth { tile: tile.full(), found: hashes.len() });
            }
            return Ok(match hashes {
                Cow::Borrowed(hashes) => Cow::Borrowed(hashes.get(..width).unwrap_or(hashes)),
                Cow::Owned(mut hashes) => {
                    hashes.truncate(width);
                    Cow::Owned(hashes)
                }
            });
        }
        let beyond = || ReadError::BeyondLog { tile, size: self.tail.size };
        let partial = if tile.index == full_tiles { self.tail.partial(tile.level) } else { &[] };
        partial.get(..width).map(Cow::Borrowed).ok_or_else(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(level: u8, index: u64, width: u16) -> TileIndex {
        TileIndex::new(level, index, width).expect("the test names a tile that can exist")
    }

    #[test]
    fn a_tile_is_handed_over_by_the_append_that_fills_it() {
        let mut tail = LogTail::new();
        for index in 0..65_536 {
            let appended = tail.append(Hash([7; 32]));
            assert_eq!(appended.index, index);
            let full: Vec<_> = appended.full_tiles.iter().map(|full| full.tile).collect();
            match index {
                65_535 => assert_eq!(full, [tile(0, 255, 256), tile(1, 0, 256)]),
                _ if index % 256 == 255 => assert_eq!(full, [tile(0, index / 256, 256)]),
                _ => assert_eq!(full, []),
            }
            for full in appended.full_tiles {
                assert_eq!(full.hashes.len(), 256);
            }
        }
        let edge: Vec<_> = tail.partial_tiles().map(|(tile, hashes)| (tile, hashes.len())).collect();
        assert_eq!(edge, [(tile(2, 0, 1), 1)]);
    }

    #[test]
    fn a_clone_is_a_state_to_fall_back_to() {
        let mut tail = LogTail::new();
        for byte in 0..200 {
            let _ = tail.append(Hash([byte; 32]));
        }
        let before = tail.clone();
        let expected = tail.append(Hash([1; 32]));
        let mut again = before;
        assert_eq!(again.size(), 200);
        assert_eq!(again.append(Hash([1; 32])), expected);
        assert_eq!(again.root(), tail.root());
    }
}
