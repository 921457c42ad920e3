//! One function for each change that the ledger makes.

use hiwar_dialogue::entry::DialogueId;
use hiwar_dialogue::ledger::{
    Acknowledgement, Alarm, Change, Delivery, DialogueRecord, Direction, LogNumber, OwnRecord, PeerRecord,
    Seq, StoreError, StoredEntry,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::{ItemKind, ReceiptItem, SignedReceipt};
use hiwar_trust::tiles::encode_tile;
use rusqlite::{Params, ffi, params};
use serde::Serialize;

use super::connection::{store_error, to_integer};
use super::read::{
    Database, EXPIRED, ISSUED, ITEM_ATTACHMENT, ITEM_BYTES, ITEM_ENTRY, RECEIPTED, RECEIVED, RECORD_VERSION,
    REFUSED, THIS_NODE, first_mark,
};

impl Database {
    /// Makes one change inside the open transaction.
    pub(super) fn change(&self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Entry(entry) => self.add_entry(entry),
            Change::EntryReceipt { seq, receipt } => self.set_entry_receipt(*seq, *receipt),
            Change::Leaf { log, index, data } => self.add_leaf(*log, *index, data),
            Change::Tile { log, level, index, hashes } => self.add_tile(*log, *level, *index, hashes),
            Change::Queue { peer, seq } => self.queue(peer, *seq),
            Change::Delivered { peer, seq, delivery } => self.delivered(peer, *seq, delivery),
            Change::Receipt { number, direction, peer, receipt } => {
                self.add_receipt(*number, *direction, peer, receipt)
            }
            Change::Peer(record) => self.set_peer(record),
            Change::Dialogue(record) => self.set_dialogue(record),
            Change::Own(record) => self.set_own(record),
            Change::Alarm(alarm) => self.add_alarm(alarm),
            Change::AlarmAcknowledged { alarm, acknowledgement } => self.acknowledge(*alarm, acknowledgement),
            Change::AttachmentWanted { sha256, size, dialogue, author } => {
                self.want_attachment(sha256, *size, dialogue, author.as_ref())
            }
            Change::AttachmentStored { sha256, leaf } => self.attachment_stored(sha256, *leaf),
            Change::AttachmentReceipted { peer, sha256, receipt } => {
                self.attachment_receipted(peer, sha256, *receipt)
            }
        }
    }

    fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        run().map_err(store_error)
    }

    fn add_entry(&self, entry: &StoredEntry) -> Result<(), StoreError> {
        let dialogue = self.dialogues.number(&self.connection, &entry.dialogue)?;
        let key = self.keys.number(&self.connection, &entry.key)?;
        let via = entry.via.as_ref().map(|did| self.dids.number(&self.connection, did)).transpose()?;
        let seq = to_integer(entry.seq)?;
        let leaf = to_integer(entry.leaf)?;
        let receipt = entry.receipt.map(to_integer).transpose()?;
        let sql = "INSERT INTO entry \
                   (seq, id, mark, dialogue, log, leaf, received, via, receipt, key, signature, content) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let insert = |mark: i64| {
            self.connection.prepare_cached(sql)?.execute(params![
                seq,
                &entry.id.0.0[..],
                mark,
                dialogue,
                entry.log,
                leaf,
                entry.received.as_millis(),
                via,
                receipt,
                key,
                &entry.signature.as_bytes()[..],
                &entry.content[..],
            ])
        };
        let refused = |reason: String| {
            StoreError::Failed(format!(
                "entry {} cannot be kept at position {}: {reason}",
                entry.id, entry.seq
            ))
        };
        // Nearly always the first mark is free, so it is tried before it is looked for.
        let inserted = match insert(first_mark(&entry.id)) {
            Err(error) if is_taken(&error) => match self.seek(&entry.id)? {
                Ok(held) => return Err(refused(format!("it is held at position {held}"))),
                Err(mark) => insert(mark),
            },
            other => other,
        };
        match inserted.map_err(store_error) {
            Ok(_) => Ok(()),
            Err(StoreError::Failed(reason)) => Err(refused(reason)),
            Err(other) => Err(other),
        }
    }

    fn set_entry_receipt(&self, seq: Seq, receipt: u64) -> Result<(), StoreError> {
        let sql = "UPDATE entry SET receipt = ?2 WHERE seq = ?1";
        match self.run(sql, (to_integer(seq)?, to_integer(receipt)?))? {
            0 => Err(StoreError::Failed(format!("there is no entry at position {seq} to be receipted"))),
            _ => Ok(()),
        }
    }

    fn add_leaf(&self, log: LogNumber, index: u64, data: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO leaf (log, position, data) VALUES (?1, ?2, ?3)";
        self.run(sql, (log, to_integer(index)?, data)).map(drop)
    }

    fn add_tile(&self, log: LogNumber, level: u8, index: u64, hashes: &[Hash]) -> Result<(), StoreError> {
        let sql = "INSERT INTO tile (log, level, position, hashes) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, (log, level, to_integer(index)?, encode_tile(hashes))).map(drop)
    }

    fn queue(&self, peer: &Did, seq: Seq) -> Result<(), StoreError> {
        let peer = self.dids.number(&self.connection, peer)?;
        let sql = "INSERT INTO queue (participant, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.run(sql, (peer, to_integer(seq)?)).map(drop)
    }

    fn delivered(&self, peer: &Did, seq: Seq, delivery: &Delivery) -> Result<(), StoreError> {
        let (outcome, receipt, reason) = match delivery {
            Delivery::Pending => return self.queue(peer, seq),
            Delivery::Receipted { receipt } => (RECEIPTED, Some(to_integer(*receipt)?), None),
            Delivery::Refused { code, detail } => (REFUSED, None, Some((code, detail))),
            Delivery::Expired => (EXPIRED, None, None),
        };
        let peer = self.dids.number(&self.connection, peer)?;
        let seq = to_integer(seq)?;
        self.run("DELETE FROM queue WHERE participant = ?1 AND seq = ?2", (peer, seq))?;
        let (code, detail) = reason.unzip();
        self.run(
            "INSERT OR REPLACE INTO delivery (seq, participant, outcome, receipt, code, detail) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (seq, peer, outcome, receipt, code, detail),
        )
        .map(drop)
    }

    fn add_receipt(
        &self,
        number: u64,
        direction: Direction,
        peer: &Did,
        receipt: &SignedReceipt,
    ) -> Result<(), StoreError> {
        let direction = match direction {
            Direction::Issued => ISSUED,
            Direction::Received => RECEIVED,
        };
        let peer = self.dids.number(&self.connection, peer)?;
        let sql = "INSERT INTO receipt (number, direction, participant, time, note, items) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let content = &receipt.receipt;
        let items = write_items(&content.items);
        self.run(sql, (to_integer(number)?, direction, peer, content.time.as_millis(), &receipt.note, items))
            .map(drop)
    }

    fn set_peer(&self, record: &PeerRecord) -> Result<(), StoreError> {
        let peer = self.dids.number(&self.connection, &record.did)?;
        let sql = "INSERT OR REPLACE INTO peer_record (participant, v, record) VALUES (?1, ?2, ?3)";
        self.run(sql, (peer, RECORD_VERSION, json(record)?)).map(drop)
    }

    fn set_dialogue(&self, record: &DialogueRecord) -> Result<(), StoreError> {
        let dialogue = self.dialogues.number(&self.connection, &record.id)?;
        let sql = "INSERT OR REPLACE INTO dialogue_record (dialogue, v, record) VALUES (?1, ?2, ?3)";
        self.run(sql, (dialogue, RECORD_VERSION, json(record)?)).map(drop)
    }

    fn set_own(&self, record: &OwnRecord) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO own (number, v, record) VALUES (1, ?1, ?2)";
        self.run(sql, (RECORD_VERSION, json(record)?)).map(drop)
    }

    fn add_alarm(&self, alarm: &Alarm) -> Result<(), StoreError> {
        self.run("INSERT INTO alarm (v, record) VALUES (?1, ?2)", (RECORD_VERSION, json(alarm)?)).map(drop)
    }

    fn acknowledge(&self, alarm: u64, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
        let Acknowledgement { time, desk, note } = acknowledgement;
        let sql = "INSERT INTO acknowledgement (alarm, time, desk, note) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO NOTHING";
        self.run(sql, (to_integer(alarm)?, time.as_millis(), desk, note)).map(drop)
    }

    fn want_attachment(
        &self,
        sha256: &Hash,
        size: u64,
        dialogue: &DialogueId,
        author: Option<&Did>,
    ) -> Result<(), StoreError> {
        let dialogue = self.dialogues.number(&self.connection, dialogue)?;
        let author = author.map_or(Ok(THIS_NODE), |did| self.dids.number(&self.connection, did))?;
        let held = self.attachment(sha256)?.is_some();
        let sql = "INSERT INTO attachment_wanted (sha256, dialogue, participant, size, held) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        self.run(sql, (&sha256.0[..], dialogue, author, to_integer(size)?, held)).map(drop)
    }

    fn attachment_stored(&self, sha256: &Hash, leaf: u64) -> Result<(), StoreError> {
        let log = self.own()?.map(|own| own.log);
        let sql = "INSERT OR REPLACE INTO attachment_stored (sha256, log, leaf) VALUES (?1, ?2, ?3)";
        self.run(sql, (&sha256.0[..], log, to_integer(leaf)?))?;
        let sql = "UPDATE attachment_wanted SET held = 1 WHERE sha256 = ?1 AND held = 0";
        self.run(sql, [&sha256.0[..]]).map(drop)
    }

    fn attachment_receipted(&self, peer: &Did, sha256: &Hash, receipt: u64) -> Result<(), StoreError> {
        let peer = self.dids.number(&self.connection, peer)?;
        let sql = "INSERT INTO attachment_receipt (sha256, participant, receipt) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO NOTHING";
        self.run(sql, (&sha256.0[..], peer, to_integer(receipt)?)).map(drop)
    }
}

/// Whether an index refused a row because another has its key.
fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

fn json(record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|e| StoreError::Failed(format!("a record cannot be written: {e}")))
}

/// A receipt's items as bytes.
fn write_items(items: &[ReceiptItem]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * ITEM_BYTES);
    for item in items {
        bytes.push(match item.kind {
            ItemKind::Entry => ITEM_ENTRY,
            ItemKind::Attachment => ITEM_ATTACHMENT,
        });
        bytes.extend_from_slice(&item.hash.0);
        bytes.extend_from_slice(&item.leaf.to_be_bytes());
    }
    bytes
}
