//! This node's own log: its leaves, its tiles and the proofs made from them.

use hiwar_trust::hash::Hash;
use hiwar_trust::merkle::{self, HashReader, ReadError};
use hiwar_trust::tiles::{LogTail, TailReader, TileIndex};

use super::{Engine, EngineError};
use crate::ledger::{Change, LogNumber, StoreError, View};

/// Reads complete tiles of one log from a view.
pub(crate) struct StoredTiles<'a> {
    pub(crate) view: &'a dyn View,
    pub(crate) log: LogNumber,
    /// Decided but not yet applied to the store.
    pub(crate) changes: &'a [Change],
}

impl HashReader for StoredTiles<'_> {
    fn read_tile(&self, tile: TileIndex) -> Result<std::borrow::Cow<'_, [Hash]>, ReadError> {
        let fresh = self.changes.iter().rev().find_map(|change| match change {
            Change::Tile { log, level, index, hashes }
                if *log == self.log && *level == tile.level() && *index == tile.index() =>
            {
                Some(hashes)
            }
            _ => None,
        });
        if let Some(hashes) = fresh {
            return Ok(std::borrow::Cow::Borrowed(hashes));
        }
        match self.view.tile(self.log, tile.level(), tile.index()) {
            Ok(Some(hashes)) => Ok(std::borrow::Cow::Owned(hashes)),
            Ok(None) => Err(ReadError::Missing { tile }),
            Err(error) => Err(ReadError::Storage { tile, reason: error.to_string() }),
        }
    }
}

/// Rebuilds the right edge of a stored log: leaves after the last full tile, and above them the
/// roots of full tiles that no higher tile holds yet.
///
/// # Errors
/// When a leaf or tile is missing.
pub fn restore_tail(view: &dyn View, log: LogNumber, size: u64) -> Result<LogTail, EngineError> {
    let reader = |tile: TileIndex| -> Result<Vec<Hash>, ReadError> {
        let failed = |e: StoreError| ReadError::Storage { tile, reason: e.to_string() };
        let first = tile.index() * u64::from(TileIndex::FULL_WIDTH);
        if tile.level() == 0 {
            let leaves = view.leaves(log, first, usize::from(tile.width())).map_err(failed)?;
            return Ok(leaves.iter().map(|data| merkle::leaf_hash(data.as_bytes())).collect());
        }
        let mut hashes = Vec::with_capacity(usize::from(tile.width()));
        for index in first..first + u64::from(tile.width()) {
            let below = view.tile(log, tile.level() - 1, index).map_err(failed)?;
            hashes.push(merkle::root(&below.ok_or(ReadError::Missing { tile })?));
        }
        Ok(hashes)
    };
    Ok(LogTail::restore(size, &reader)?)
}

impl Engine {
    pub(super) fn append_leaf(&mut self, data: &str) -> u64 {
        let appended = self.log.append(merkle::leaf_hash(data.as_bytes()));
        self.changes.push(Change::Leaf {
            log: self.log_number,
            index: appended.index,
            data: data.to_owned(),
        });
        for full in appended.full_tiles {
            self.changes.push(Change::Tile {
                log: self.log_number,
                level: full.tile.level(),
                index: full.tile.index(),
                hashes: full.hashes,
            });
        }
        appended.index
    }

    /// The leaf of a stored file in the current log; a file kept in an earlier log gets one.
    pub(super) fn file_leaf(&mut self, view: &dyn View, sha256: Hash) -> Result<Option<u64>, EngineError> {
        let Some(leaf) = view.attachment(&sha256)? else { return Ok(None) };
        let data = format!("attachment {sha256}");
        if view.leaves(self.log_number, leaf, 1)?.first() == Some(&data) {
            return Ok(Some(leaf));
        }
        let leaf = self.append_leaf(&data);
        self.changes.push(Change::AttachmentStored { sha256, leaf });
        Ok(Some(leaf))
    }

    /// The root of this node's log when it had `size` leaves.
    pub(super) fn root_at(&self, view: &dyn View, size: u64) -> Result<Hash, EngineError> {
        let stored = StoredTiles { view, log: self.log_number, changes: &self.changes };
        let reader = TailReader { tail: &self.log, stored: &stored };
        Ok(merkle::root_from(&reader, size)?)
    }

    /// A consistency proof of this node's log between two sizes.
    pub(super) fn consistency(&self, view: &dyn View, from: u64, to: u64) -> Result<Vec<Hash>, EngineError> {
        let stored = StoredTiles { view, log: self.log_number, changes: &self.changes };
        let reader = TailReader { tail: &self.log, stored: &stored };
        Ok(merkle::consistency_proof_from(&reader, from, to)?)
    }

    /// One tile of this node's log.
    ///
    /// # Errors
    /// When the log has not reached it.
    pub fn tile(&self, view: &dyn View, tile: TileIndex) -> Result<Vec<Hash>, EngineError> {
        let stored = StoredTiles { view, log: self.log_number, changes: &self.changes };
        let reader = TailReader { tail: &self.log, stored: &stored };
        Ok(reader.read_tile(tile)?.into_owned())
    }
}
