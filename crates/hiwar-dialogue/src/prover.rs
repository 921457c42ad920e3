//! Proofs from a stored log, at any size it has had.

use hiwar_trust::hash::Hash;
use hiwar_trust::merkle;
use hiwar_trust::tiles::{LogTail, TailReader};

use crate::engine::{EngineError, StoredTiles, restore_tail};
use crate::ledger::{LogNumber, View};

/// One state of a stored log, from which proofs can be made.
pub struct LogProver<'a> {
    view: &'a dyn View,
    log: LogNumber,
    tail: LogTail,
}

impl<'a> LogProver<'a> {
    /// The state of a log when it had `size` leaves.
    ///
    /// # Errors
    /// When the store has fewer.
    pub fn at(view: &'a dyn View, log: LogNumber, size: u64) -> Result<Self, EngineError> {
        Ok(Self { view, log, tail: restore_tail(view, log, size)? })
    }

    /// The root at that size.
    pub fn root(&self) -> Hash {
        self.tail.root()
    }

    /// RFC 6962 inclusion proof of a leaf.
    ///
    /// # Errors
    /// When the log has no such leaf.
    pub fn inclusion(&self, leaf: u64) -> Result<Vec<Hash>, EngineError> {
        let stored = self.stored();
        let reader = TailReader { tail: &self.tail, stored: &stored };
        Ok(merkle::inclusion_proof_from(&reader, leaf, self.tail.size())?)
    }

    /// RFC 6962 consistency proof from an earlier size.
    ///
    /// # Errors
    /// When `from` is larger than this state.
    pub fn consistency(&self, from: u64) -> Result<Vec<Hash>, EngineError> {
        let stored = self.stored();
        let reader = TailReader { tail: &self.tail, stored: &stored };
        Ok(merkle::consistency_proof_from(&reader, from, self.tail.size())?)
    }

    fn stored(&self) -> StoredTiles<'_> {
        StoredTiles { view: self.view, log: self.log, changes: &[] }
    }
}
