//! One function for each question that the ledger asks.

use std::sync::Arc;

use hiwar_dialogue::entry::{DialogueId, EntryId};
use hiwar_dialogue::ledger::{
    Delivery, DialogueRecord, Direction, LogNumber, OwnRecord, PeerRecord, Seq, Snapshot, StoreError,
    StoredEntry,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyId, Signature};
use hiwar_trust::receipt::{ItemKind, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, Rows, Transaction};
use serde::de::DeserializeOwned;

use super::connection::{from_integer, store_error, to_integer};
use super::names::{Names, digest};

/// Version of the form of records kept as JSON.
pub(super) const RECORD_VERSION: i64 = 1;
/// Bytes of one receipt item: its kind, digest and leaf.
pub(super) const ITEM_BYTES: usize = 1 + 32 + 8;
pub(super) const ITEM_ENTRY: u8 = 1;
pub(super) const ITEM_ATTACHMENT: u8 = 2;
pub(super) const ISSUED: i64 = 1;
pub(super) const RECEIVED: i64 = 2;
pub(super) const RECEIPTED: i64 = 1;
pub(super) const REFUSED: i64 = 2;
pub(super) const EXPIRED: i64 = 3;
/// Stands for this node where a participant announced a file.
pub(super) const THIS_NODE: i64 = 0;

/// The columns of an entry, in the order in which [`Database::entry_row`] reads them.
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT e.seq, e.id, e.dialogue, e.log, e.leaf, e.received, e.via, e.receipt, e.key, ",
            "e.signature, e.content FROM ",
            $rest
        )
    };
}
pub(super) use select_entry;

/// A connection, and the names met through it.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) dids: Names<Did>,
    pub(super) dialogues: Names<DialogueId>,
    pub(super) keys: Names<KeyId>,
}

impl Database {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, dids: Names::default(), dialogues: Names::default(), keys: Names::default() }
    }

    /// Forgets the names met, because a transaction that may have made some was rolled back.
    pub(super) fn forget_names(&self) {
        self.dids.forget();
        self.dialogues.forget();
        self.keys.forget();
    }

    /// Holds on to the state committed now: until the transaction is dropped, every question is
    /// answered from it.
    pub(super) fn snapshot_of_now(&self) -> Result<Transaction<'_>, rusqlite::Error> {
        let transaction = self.connection.unchecked_transaction()?;
        // A transaction holds on to the state that its first question meets.
        transaction.query_row("SELECT count(*) FROM migration", [], |_| Ok(()))?;
        Ok(transaction)
    }

    /// Runs a query and gives each row to `take` until that returns false.
    pub(super) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut take: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let mut rows: Rows<'_> = statement.query(params).map_err(store_error)?;
        while let Some(row) = rows.next().map_err(store_error)? {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    }

    /// The row that a query yields, if it yields one, as `read` reads it.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let mut rows = statement.query(params).map_err(store_error)?;
        rows.next().map_err(store_error)?.map(read).transpose()
    }

    /// The one number that a query yields; 0 when it yields none.
    pub(super) fn count(&self, sql: &str, params: impl Params) -> Result<u64, StoreError> {
        let ask = || {
            self.connection
                .prepare_cached(sql)?
                .query_row(params, |row| row.get::<_, Option<i64>>(0))
                .optional()
        };
        from_integer(ask().map_err(store_error)?.flatten().unwrap_or(0))
    }

    /// An entry from the columns of `select_entry!`.
    pub(super) fn entry_row(&self, row: &Row<'_>) -> Result<StoredEntry, StoreError> {
        let via: Option<i64> = column(row, 6)?;
        let receipt: Option<i64> = column(row, 7)?;
        let signature: [u8; 64] = column(row, 9)?;
        let content = row.get_ref(10).map_err(store_error)?;
        let content = content.as_blob().map_err(|e| store_error(e.into()))?;
        Ok(StoredEntry {
            seq: from_integer(column(row, 0)?)?,
            id: EntryId(hash(row, 1)?),
            dialogue: self.dialogues.name(&self.connection, column(row, 2)?)?,
            log: column(row, 3)?,
            leaf: from_integer(column(row, 4)?)?,
            received: Timestamp::from_millis(column(row, 5)?),
            via: via.map(|number| self.dids.name(&self.connection, number)).transpose()?,
            receipt: receipt.map(from_integer).transpose()?,
            key: self.keys.name(&self.connection, column(row, 8)?)?,
            signature: Signature::from_bytes(signature),
            content: Arc::from(content),
        })
    }

    pub(super) fn find(&self, id: &EntryId) -> Result<Option<Seq>, StoreError> {
        self.seek(id).map(Result::ok)
    }

    /// The position of an entry, or else the mark that it would get (see the schema).
    pub(super) fn seek(&self, id: &EntryId) -> Result<Result<Seq, i64>, StoreError> {
        let mut mark = first_mark(id);
        loop {
            let found = self.first("SELECT seq, id FROM entry WHERE mark = ?1", [mark], |row| {
                Ok((from_integer(column(row, 0)?)?, hash(row, 1)?))
            })?;
            match found {
                None => return Ok(Err(mark)),
                Some((seq, found)) if found == id.0 => return Ok(Ok(seq)),
                Some(_) => mark = mark.wrapping_add(1),
            }
        }
    }

    pub(super) fn entry(&self, seq: Seq) -> Result<Option<StoredEntry>, StoreError> {
        let sql = select_entry!("entry e WHERE e.seq = ?1");
        self.first(sql, [to_integer(seq)?], |row| self.entry_row(row))
    }

    pub(super) fn queued(
        &self,
        peer: &Did,
        after: Seq,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0_usize;
        let Some(peer) = self.dids.find(&self.connection, peer)? else { return Ok(found) };
        // CROSS JOIN keeps the order of the loops: the queue first, in the order of its key.
        let sql = select_entry!(
            "queue q CROSS JOIN entry e ON e.seq = q.seq WHERE q.participant = ?1 AND q.seq > ?2 \
             ORDER BY q.seq LIMIT ?3"
        );
        self.each(sql, (peer, to_integer(after)?, limit(count_max)), |row| {
            let entry = self.entry_row(row)?;
            bytes = bytes.saturating_add(entry.content.len());
            if bytes > bytes_max && !found.is_empty() {
                return Ok(false);
            }
            found.push(entry);
            Ok(true)
        })?;
        Ok(found)
    }

    pub(super) fn delivery(&self, peer: &Did, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        let Some(peer) = self.dids.find(&self.connection, peer)? else { return Ok(None) };
        let key = (peer, to_integer(seq)?);
        let waits = "SELECT 1 FROM queue WHERE participant = ?1 AND seq = ?2";
        if self.first(waits, key, |_| Ok(()))?.is_some() {
            return Ok(Some(Delivery::Pending));
        }
        let sql = "SELECT outcome, receipt, code, detail FROM delivery WHERE participant = ?1 AND seq = ?2";
        self.first(sql, key, |row| outcome(row, 0))
    }

    pub(super) fn receipt(&self, number: u64) -> Result<Option<(Direction, SignedReceipt)>, StoreError> {
        self.first(
            "SELECT direction, note, items FROM receipt WHERE number = ?1",
            [to_integer(number)?],
            |row| {
                let direction = direction(column(row, 0)?)?;
                let note: String = column(row, 1)?;
                let items = row.get_ref(2).map_err(store_error)?;
                let items =
                    read_items(items.as_blob().map_err(|e| store_error(e.into()))?).ok_or_else(|| {
                        StoreError::Damaged(format!("the items of receipt {number} are no items"))
                    })?;
                let receipt = SignedReceipt::parse(&note, items)
                    .map_err(|e| StoreError::Damaged(format!("receipt {number}: {e}")))?;
                Ok((direction, receipt))
            },
        )
    }

    pub(super) fn tile(
        &self,
        log: LogNumber,
        level: u8,
        index: u64,
    ) -> Result<Option<Vec<Hash>>, StoreError> {
        let sql = "SELECT hashes FROM tile WHERE log = ?1 AND level = ?2 AND position = ?3";
        self.first(sql, (log, level, to_integer(index)?), |row| {
            let bytes = row.get_ref(0).map_err(store_error)?;
            match bytes.as_blob().map_err(|e| store_error(e.into()))?.as_chunks::<32>() {
                (hashes, []) => Ok(hashes.iter().copied().map(Hash).collect()),
                _ => Err(StoreError::Damaged(format!("tile {level}/{index} of log {log} is cut short"))),
            }
        })
    }

    pub(super) fn leaves(
        &self,
        log: LogNumber,
        from: u64,
        count_max: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        // A log has no gaps, so a range is read, and not whatever comes next.
        let sql = "SELECT data FROM leaf WHERE log = ?1 AND position >= ?2 ORDER BY position LIMIT ?3";
        self.each(sql, (log, to_integer(from)?, limit(count_max)), |row| {
            found.push(column(row, 0)?);
            Ok(true)
        })?;
        Ok(found)
    }

    pub(super) fn attachment(&self, sha256: &Hash) -> Result<Option<u64>, StoreError> {
        self.first("SELECT leaf FROM attachment_stored WHERE sha256 = ?1", [&sha256.0[..]], |row| {
            from_integer(column(row, 0)?)
        })
    }

    pub(super) fn own(&self) -> Result<Option<OwnRecord>, StoreError> {
        self.first("SELECT v, record FROM own", [], |row| record(row, 0, "this node's record"))
    }

    pub(super) fn log_size(&self, log: LogNumber) -> Result<u64, StoreError> {
        self.count("SELECT position + 1 FROM leaf WHERE log = ?1 ORDER BY position DESC LIMIT 1", [log])
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let own = self.own()?;
        let mut snapshot = Snapshot {
            log_size: own.as_ref().map_or(Ok(0), |own| self.log_size(own.log))?,
            own,
            last_seq: self.count("SELECT max(seq) FROM entry", [])?,
            last_receipt: self.count("SELECT max(number) FROM receipt", [])?,
            ..Snapshot::default()
        };
        self.each("SELECT v, record FROM peer_record ORDER BY participant", [], |row| {
            snapshot.peers.push(record::<PeerRecord>(row, 0, "a peer's record")?);
            Ok(true)
        })?;
        self.each("SELECT v, record FROM dialogue_record ORDER BY dialogue", [], |row| {
            snapshot.dialogues.push(record::<DialogueRecord>(row, 0, "a dialogue's record")?);
            Ok(true)
        })?;
        self.each("SELECT participant, count(*) FROM queue GROUP BY participant", [], |row| {
            let peer = self.dids.name(&self.connection, column(row, 0)?)?;
            snapshot.backlog.insert(peer, from_integer(column(row, 1)?)?);
            Ok(true)
        })?;
        Ok(snapshot)
    }
}

/// The mark that an entry gets when it is free.
pub(super) fn first_mark(id: &EntryId) -> i64 {
    id.0.0.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// One column, as a type of its own.
pub(super) fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, index: usize) -> Result<T, StoreError> {
    row.get(index).map_err(store_error)
}

/// One column, as a digest.
pub(super) fn hash(row: &Row<'_>, index: usize) -> Result<Hash, StoreError> {
    row.get_ref(index).and_then(|value| Ok(digest(value)?)).map_err(store_error)
}

/// A record kept as JSON, from its version and the column after that.
pub(super) fn record<T: DeserializeOwned>(row: &Row<'_>, index: usize, what: &str) -> Result<T, StoreError> {
    let version: i64 = column(row, index)?;
    if version != RECORD_VERSION {
        return Err(StoreError::Damaged(format!("{what} has the unknown version {version}")));
    }
    let text = row.get_ref(index + 1).map_err(store_error)?;
    let text = text.as_str().map_err(|e| store_error(e.into()))?;
    serde_json::from_str(text).map_err(|e| StoreError::Damaged(format!("{what} cannot be read: {e}")))
}

/// An outcome, from the columns outcome, receipt, code and detail.
pub(super) fn outcome(row: &Row<'_>, index: usize) -> Result<Delivery, StoreError> {
    match column::<i64>(row, index)? {
        RECEIPTED => Ok(Delivery::Receipted { receipt: from_integer(column(row, index + 1)?)? }),
        REFUSED => Ok(Delivery::Refused { code: column(row, index + 2)?, detail: column(row, index + 3)? }),
        EXPIRED => Ok(Delivery::Expired),
        other => Err(StoreError::Damaged(format!("a delivery has the unknown outcome {other}"))),
    }
}

/// A receipt's direction.
pub(super) fn direction(number: i64) -> Result<Direction, StoreError> {
    match number {
        ISSUED => Ok(Direction::Issued),
        RECEIVED => Ok(Direction::Received),
        other => Err(StoreError::Damaged(format!("a receipt has the unknown direction {other}"))),
    }
}

/// How many rows at most, as the database holds numbers.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A receipt's items, from their bytes.
pub(super) fn read_items(bytes: &[u8]) -> Option<Vec<ReceiptItem>> {
    let (items, rest) = bytes.as_chunks::<ITEM_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let read = |item: &[u8; ITEM_BYTES]| {
        let (kind, item) = item.split_first()?;
        let (hash, leaf) = item.split_first_chunk::<32>()?;
        let kind = match *kind {
            ITEM_ENTRY => ItemKind::Entry,
            ITEM_ATTACHMENT => ItemKind::Attachment,
            _ => return None,
        };
        Some(ReceiptItem { kind, hash: Hash(*hash), leaf: u64::from_be_bytes(leaf.try_into().ok()?) })
    };
    items.iter().map(read).collect()
}
