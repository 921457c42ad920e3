//! The log cut into tiles of 256 hashes (C2SP tlog-tiles), and the growing right edge of it.
//!
//! Tile `n` of level `l` holds the hashes of 256 neighbouring complete subtrees of height `8 * l`.
//! A full tile never changes again, so it is stored once; the partial tile at the right edge of
//! each level lives in a [`LogTail`] until it is full.

mod tail;

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;

pub use tail::{Appended, FullTile, LogTail, TailReader};

/// Names a tile: its level, its position in the level, and how many hashes of it are meant.
///
/// Written as the path of C2SP tlog-tiles, such as `tile/0/x001/x234/067` or `tile/1/000.p/17`.
/// Every value names a tile that a log of at most 2^64 entries can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileIndex {
    level: u8,
    index: u64,
    width: u16,
}

/// Why a text or numbers name no tile, or bytes are not the content of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The text is no tile path.
    #[error("{text:?} is not a tile path; write it like tile/0/x001/x234/067 or tile/0/067.p/12")]
    NotAPath {
        /// The text as given, cut to 80 characters.
        text: String,
    },
    /// No log has such a tile.
    #[error(
        "no log has a tile at level {level}, index {index}, width {width}; levels end at 7, widths at 256"
    )]
    NoSuchTile {
        /// Level of the tile, the leaves being level 0.
        level: u8,
        /// Zero-based position in the level.
        index: u64,
        /// Number of hashes.
        width: u16,
    },
    /// The content has the wrong length.
    #[error("{tile} came with {bytes} bytes; it has 32 bytes for each hash of its width")]
    WrongLength {
        /// The tile.
        tile: TileIndex,
        /// How many bytes came.
        bytes: usize,
    },
}

impl TileIndex {
    /// How many levels of the Merkle tree a tile spans.
    pub const HEIGHT: u8 = 8;
    /// How many hashes a full tile holds.
    pub const FULL_WIDTH: u16 = 256;
    /// How many levels of tiles a log of at most 2^64 entries has.
    pub const LEVELS: u8 = 8;

    /// The tile with this level (0 to 7), index and width (1 to 256).
    ///
    /// # Errors
    /// [`TileError::NoSuchTile`] when no log of at most 2^64 entries has it.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let exists = level < Self::LEVELS
            && (1..=Self::FULL_WIDTH).contains(&width)
            && hashes_in_level(u64::MAX, level) >> Self::HEIGHT >= index;
        if exists {
            Ok(Self { level, index, width })
        } else {
            Err(TileError::NoSuchTile { level, index, width })
        }
    }

    /// The partial tiles at the right edge of a log of `size` entries, lowest level first.
    /// A level whose last tile is full has none.
    pub fn partial_tiles(size: u64) -> impl Iterator<Item = Self> {
        (0..Self::LEVELS).filter_map(move |level| {
            let hashes = hashes_in_level(size, level);
            let [width, ..] = hashes.to_le_bytes();
            (width != 0).then_some(Self { level, index: hashes >> Self::HEIGHT, width: width.into() })
        })
    }

    /// The tile of a log of `size` entries in which hash number `hash` of the level stands. The
    /// caller makes sure that the log has that hash.
    pub(crate) fn containing(level: u8, hash: u64, size: u64) -> Self {
        let index = hash >> Self::HEIGHT;
        let rest = hashes_in_level(size, level).saturating_sub(index << Self::HEIGHT);
        let width = u16::try_from(rest).map_or(Self::FULL_WIDTH, |rest| rest.min(Self::FULL_WIDTH));
        Self { level, index, width }
    }

    /// Level of the tile; level 0 holds the leaf hashes.
    pub fn level(self) -> u8 {
        self.level
    }

    /// Zero-based position in the level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Number of hashes, 1 to 256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Whether the tile is full, and so never changes again.
    pub fn is_full(self) -> bool {
        self.width == Self::FULL_WIDTH
    }

    /// The same tile at its full width.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: Self::FULL_WIDTH, ..self }
    }

    /// Reads the content of this tile from its bytes, 32 for each hash.
    ///
    /// # Errors
    /// [`TileError::WrongLength`] when they are not as many as the width says.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        match bytes.as_chunks::<32>() {
            (hashes, []) if hashes.len() == usize::from(self.width) => {
                Ok(hashes.iter().copied().map(Hash).collect())
            }
            _ => Err(TileError::WrongLength { tile: self, bytes: bytes.len() }),
        }
    }
}

/// How many hashes a level of tiles has in a log of `size` entries: one for each complete subtree.
fn hashes_in_level(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(TileIndex::HEIGHT) * u32::from(level)).unwrap_or(0)
}

/// The content of a tile as bytes, 32 for each hash: 8,192 for a full tile.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

impl fmt::Display for TileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        // The largest power of 1000 not above the index starts the path.
        let mut unit = 1_u64;
        while self.index / unit >= 1000 {
            unit *= 1000;
        }
        while unit > 1 {
            write!(f, "x{:03}/", self.index / unit % 1000)?;
            unit /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for TileIndex {
    type Err = TileError;

    /// Reads exactly the form that `Display` writes, so that a tile has one path.
    fn from_str(text: &str) -> Result<Self, TileError> {
        let fail = || TileError::NotAPath { text: text.chars().take(80).collect() };
        let read = || {
            let (level, place) = text.strip_prefix("tile/")?.split_once('/')?;
            let (place, width) = match place.split_once(".p/") {
                Some((place, width)) => (place, width.parse().ok().filter(|w| *w < Self::FULL_WIDTH)?),
                None => (place, Self::FULL_WIDTH),
            };
            let mut index = 0_u64;
            for part in place.split('/') {
                let digits: u16 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
                index = index.checked_mul(1000)?.checked_add(u64::from(digits))?;
            }
            Self::new(level.parse().ok()?, index, width).ok()
        };
        read().filter(|tile| tile.to_string() == text).ok_or_else(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(level: u8, index: u64, width: u16) -> TileIndex {
        TileIndex::new(level, index, width).expect("the test names a tile that can exist")
    }

    /// Source: C2SP tlog-tiles, section "Merkle Tree" (index 1234067), section "Partial Tiles"
    /// (the tiles of a log of 70,000 entries).
    #[test]
    fn tiles_are_written_as_the_paths_of_tlog_tiles() {
        for (tile, path) in [
            (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile(0, 273, 112), "tile/0/273.p/112"),
            (tile(1, 0, 256), "tile/1/000"),
            (tile(1, 1, 17), "tile/1/001.p/17"),
            (tile(2, 0, 1), "tile/2/000.p/1"),
            (tile(0, 1000, 256), "tile/0/x001/000"),
            (tile(7, 0, 255), "tile/7/000.p/255"),
            (tile(0, (1 << 56) - 1, 256), "tile/0/x072/x057/x594/x037/x927/935"),
        ] {
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile));
        }
    }

    #[test]
    fn a_tile_has_exactly_one_path() {
        for text in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "/tile/0/067",
            "tile/0/067/",
            "tile/00/067",
            "tile/+0/067",
            "tile/-1/067",
            "tile/8/000",
            "tile/64/000",
            "tile/7/001",
            "tile/0/67",
            "tile/0/0067",
            "tile/0/x067",
            "tile/0/001/x234/067",
            "tile/0/x000/067",
            "tile/0/x001/234/067",
            "tile/0/x001/x234/067.p",
            "tile/0/067.p/",
            "tile/0/067.p/0",
            "tile/0/067.p/256",
            "tile/0/067.p/012",
            "tile/0/067.p/+12",
            "tile/0/067.p/12/",
            "tile/0/067.p/12.p/12",
            "tile/0/+67",
            "tile/0/x072/x057/x594/x037/x927/936",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/entries/067",
            "tile/0/0\u{661}7",
        ] {
            assert!(matches!(text.parse::<TileIndex>(), Err(TileError::NotAPath { .. })), "{text}");
        }
    }

    /// Source: C2SP tlog-tiles, section "Partial Tiles": the examples of 70,000 and 256 entries.
    #[test]
    fn the_right_edge_of_a_log_is_the_one_of_tlog_tiles() {
        let edge = |size| TileIndex::partial_tiles(size).collect::<Vec<_>>();
        assert_eq!(edge(70_000), [tile(0, 273, 112), tile(1, 1, 17), tile(2, 0, 1)]);
        assert_eq!(edge(256), [tile(1, 0, 1)]);
        assert_eq!(edge(0), []);
        assert_eq!(edge(u64::MAX).len(), 8);
    }

    #[test]
    fn tiles_that_no_log_can_have_are_refused() {
        for (level, index, width) in [(8, 0, 1), (0, 0, 0), (0, 0, 257), (7, 1, 1), (0, 1 << 56, 1)] {
            let refused = TileIndex::new(level, index, width);
            assert_eq!(refused, Err(TileError::NoSuchTile { level, index, width }));
        }
    }

    #[test]
    fn the_content_of_a_tile_has_32_bytes_for_each_hash() {
        let hashes = [Hash([1; 32]), Hash([2; 32])];
        let bytes = encode_tile(&hashes);
        assert_eq!(bytes.len(), 64);
        assert_eq!(tile(0, 0, 2).decode(&bytes), Ok(hashes.to_vec()));
        for wrong in [&bytes[..32], &bytes[..63], &[]] {
            assert!(tile(0, 0, 2).decode(wrong).is_err());
        }
    }
}
