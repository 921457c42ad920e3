//! What the local interface and the tools ask beyond the ledger's own questions.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{DialogueId, Entry, EntryId};
use hiwar_dialogue::ledger::{
    Acknowledgement, Alarm, Delivery, Direction, LogNumber, OwnRecord, Seq, StoreError, StoredEntry,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use rusqlite::Row;

use super::connection::{from_integer, to_integer};
use super::read::{
    ISSUED, RECEIVED, THIS_NODE, column, direction, hash, limit, outcome, record, select_entry,
};
use super::reader::SqliteReader;

/// A file that an entry announced and that is not here yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAttachment {
    /// Its digest.
    pub sha256: Hash,
    /// Its size in bytes.
    pub size: u64,
    /// Who announced it; absent when that was this node.
    pub author: Option<Did>,
    /// The dialogue it belongs to.
    pub dialogue: DialogueId,
}

/// When a receipt that covers an entry was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptTime {
    /// The entry.
    pub seq: Seq,
    /// The peer on the other side.
    pub peer: Did,
    /// Who signed.
    pub direction: Direction,
    /// The receipt's number.
    pub receipt: u64,
    /// When, by its issuer's clock.
    pub time: Timestamp,
}

/// An alarm and whether somebody has seen to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAlarm {
    /// Its number, from 1, in the order in which alarms were raised.
    pub number: u64,
    /// The alarm.
    pub alarm: Alarm,
    /// Who has seen to it, if anybody has.
    pub acknowledged: Option<Acknowledgement>,
}

/// Alarms with their acknowledgements, in the order in which [`kept_alarm`] reads them.
macro_rules! select_alarm {
    ($rest:literal) => {
        concat!(
            "SELECT a.number, a.v, a.record, k.time, k.desk, k.note ",
            "FROM alarm a LEFT JOIN acknowledgement k ON k.alarm = a.number WHERE ",
            $rest
        )
    };
}

fn kept_alarm(row: &Row<'_>) -> Result<KeptAlarm, StoreError> {
    let time: Option<i64> = column(row, 3)?;
    let acknowledged = match time {
        Some(time) => Some(Acknowledgement {
            time: Timestamp::from_millis(time),
            desk: column(row, 4)?,
            note: column(row, 5)?,
        }),
        None => None,
    };
    Ok(KeptAlarm { number: from_integer(column(row, 0)?)?, alarm: record(row, 1, "an alarm")?, acknowledged })
}

/// The receipts of one entry, received and issued.
const RECEIPTS_OF: &str = "SELECT r.participant, r.direction, r.number, r.time \
    FROM delivery d JOIN receipt r ON r.number = d.receipt WHERE d.seq = ?1 AND r.direction = ?2 \
    UNION ALL \
    SELECT r.participant, r.direction, r.number, r.time \
    FROM entry e JOIN receipt r ON r.number = e.receipt WHERE e.seq = ?1 AND r.direction = ?3";

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Entries held.
    pub entries: u64,
    /// Leaves of the current log.
    pub leaves: u64,
    /// Deliveries that wait.
    pub queued: u64,
    /// Alarms raised so far.
    pub alarms: u64,
    /// Alarms that nobody has acknowledged.
    pub unacknowledged: u64,
}

/// Dialogues that entries belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The last position looked at.
    pub last: Seq,
    /// The dialogues, each with whether one of these entries contains what was looked for.
    pub dialogues: Vec<(DialogueId, bool)>,
}

impl SqliteReader {
    /// The participant whose number stands in a column.
    fn participant(&self, row: &Row<'_>, index: usize) -> Result<Did, StoreError> {
        self.database.dids.name(&self.database.connection, column(row, index)?)
    }

    /// This node's own record.
    ///
    /// # Errors
    /// When the store fails.
    pub fn own(&self) -> Result<Option<OwnRecord>, StoreError> {
        self.database.own()
    }

    /// Leaves of one of this node's logs.
    ///
    /// # Errors
    /// When the store fails.
    pub fn leaves_of(&self, log: LogNumber) -> Result<u64, StoreError> {
        self.database.log_size(log)
    }

    /// Entries of a dialogue at positions above `after`, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dialogue_entries(
        &self,
        dialogue: &DialogueId,
        after: Seq,
        count_max: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut found = Vec::new();
        let Some(number) = self.database.dialogues.find(&self.database.connection, dialogue)? else {
            return Ok(found);
        };
        let sql = select_entry!("entry e WHERE e.dialogue = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3");
        self.database.each(sql, (number, to_integer(after)?, limit(count_max)), |row| {
            found.push(self.database.entry_row(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// All entries at positions above `after`, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn all_entries(&self, after: Seq, count_max: usize) -> Result<Vec<StoredEntry>, StoreError> {
        let mut found = Vec::new();
        let sql = select_entry!("entry e WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2");
        self.database.each(sql, (to_integer(after)?, limit(count_max)), |row| {
            found.push(self.database.entry_row(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The dialogues of the `count_max` entries above `after`, each with whether one of these contains `bytes`, and
    /// the last position looked at; nothing when there are no such entries.
    ///
    /// # Errors
    /// When the store fails.
    pub fn dialogues_touched(
        &self,
        after: Seq,
        count_max: usize,
        bytes: &[u8],
    ) -> Result<Option<Touched>, StoreError> {
        let mut found = Vec::new();
        let mut last = after;
        let sql = "SELECT dialogue, max(instr(content, ?3) > 0), max(seq) FROM entry
                   WHERE seq > ?1 AND seq <= ?1 + ?2 GROUP BY dialogue";
        self.database.each(sql, (to_integer(after)?, limit(count_max), bytes), |row| {
            let number: i64 = column(row, 0)?;
            let contains: bool = column(row, 1)?;
            let seq: i64 = column(row, 2)?;
            last = last.max(u64::try_from(seq).unwrap_or_default());
            found.push((self.database.dialogues.name(&self.database.connection, number)?, contains));
            Ok(true)
        })?;
        Ok((!found.is_empty()).then_some(Touched { last, dialogues: found }))
    }

    /// What became of an entry at every peer it was meant for.
    ///
    /// # Errors
    /// When the store fails.
    pub fn deliveries(&self, seq: Seq) -> Result<Vec<(Did, Delivery)>, StoreError> {
        let position = to_integer(seq)?;
        let mut found = BTreeMap::new();
        let settled = "SELECT participant, outcome, receipt, code, detail FROM delivery WHERE seq = ?1";
        self.database.each(settled, [position], |row| {
            found.insert(self.participant(row, 0)?, outcome(row, 1)?);
            Ok(true)
        })?;
        // The queue is by peer: one look for each, and there are few. What waits again counts as
        // waiting, whatever became of it before.
        let waiting = "SELECT p.participant FROM peer_record p CROSS JOIN queue q \
                       ON q.participant = p.participant AND q.seq = ?1";
        self.database.each(waiting, [position], |row| {
            found.insert(self.participant(row, 0)?, Delivery::Pending);
            Ok(true)
        })?;
        Ok(found.into_iter().collect())
    }

    /// The receipts that cover an entry: which peer, in which direction, and the receipt's number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipts_of(&self, seq: Seq) -> Result<Vec<(Did, Direction, u64)>, StoreError> {
        let mut found = Vec::new();
        self.database.each(RECEIPTS_OF, (to_integer(seq)?, RECEIVED, ISSUED), |row| {
            let peer = self.participant(row, 0)?;
            found.push((peer, direction(column(row, 1)?)?, from_integer(column(row, 2)?)?));
            Ok(true)
        })?;
        Ok(found)
    }

    /// When the receipts that cover these entries were signed, by their issuers' clocks.
    ///
    /// # Errors
    /// When the store fails.
    pub fn receipt_times(&self, seqs: &[Seq]) -> Result<Vec<ReceiptTime>, StoreError> {
        let mut found = Vec::new();
        for seq in seqs {
            self.database.each(RECEIPTS_OF, (to_integer(*seq)?, RECEIVED, ISSUED), |row| {
                found.push(ReceiptTime {
                    seq: *seq,
                    peer: self.participant(row, 0)?,
                    direction: direction(column(row, 1)?)?,
                    receipt: from_integer(column(row, 2)?)?,
                    time: Timestamp::from_millis(column(row, 3)?),
                });
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Alarms with numbers above `after`, oldest first; with `open_only`, those that nobody has
    /// acknowledged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn alarms(
        &self,
        after: u64,
        count_max: usize,
        open_only: bool,
    ) -> Result<Vec<KeptAlarm>, StoreError> {
        let sql = if open_only {
            select_alarm!("a.number > ?1 AND k.alarm IS NULL ORDER BY a.number LIMIT ?2")
        } else {
            select_alarm!("a.number > ?1 ORDER BY a.number LIMIT ?2")
        };
        let mut found = Vec::new();
        self.database.each(sql, (to_integer(after)?, limit(count_max)), |row| {
            found.push(kept_alarm(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// One alarm.
    ///
    /// # Errors
    /// When the store fails.
    pub fn alarm(&self, number: u64) -> Result<Option<KeptAlarm>, StoreError> {
        // No alarm has a number that the store cannot hold.
        let Ok(number) = to_integer(number) else { return Ok(None) };
        self.database.first(select_alarm!("a.number = ?1"), [number], kept_alarm)
    }

    /// Files that are announced and not here yet.
    ///
    /// # Errors
    /// When the store fails.
    pub fn wanted_attachments(&self, count_max: usize) -> Result<Vec<WantedAttachment>, StoreError> {
        let sql = "SELECT sha256, size, participant, dialogue FROM attachment_wanted WHERE held = 0 LIMIT ?1";
        let mut found = Vec::new();
        self.database.each(sql, [limit(count_max)], |row| {
            let author: i64 = column(row, 2)?;
            let author = if author == THIS_NODE {
                None
            } else {
                Some(self.database.dids.name(&self.database.connection, author)?)
            };
            let dialogue = self.database.dialogues.name(&self.database.connection, column(row, 3)?)?;
            let size = from_integer(column(row, 1)?)?;
            found.push(WantedAttachment { sha256: hash(row, 0)?, size, author, dialogue });
            Ok(true)
        })?;
        Ok(found)
    }

    /// An entry of this node's own that carries a file, whatever dialogue it is in; of several in one
    /// dialogue the newest.
    ///
    /// # Errors
    /// When the store fails.
    pub fn own_entry_with(&self, sha256: &Hash) -> Result<Option<EntryId>, StoreError> {
        for dialogue in self.attachment_dialogues(sha256)? {
            if let Some(entry) = self.own_entry_in(&dialogue, sha256)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn own_entry_in(&self, dialogue: &DialogueId, sha256: &Hash) -> Result<Option<EntryId>, StoreError> {
        let Some(number) = self.database.dialogues.find(&self.database.connection, dialogue)? else {
            return Ok(None);
        };
        let sql = "SELECT 1 FROM attachment_wanted WHERE sha256 = ?1 AND dialogue = ?2 AND participant = ?3";
        if self.database.first(sql, (&sha256.0[..], number, THIS_NODE), |_| Ok(()))?.is_none() {
            return Ok(None);
        }
        let mut found = None;
        let sql = select_entry!("entry e WHERE e.dialogue = ?1 ORDER BY e.seq DESC");
        self.database.each(sql, [number], |row| {
            let stored = self.database.entry_row(row)?;
            let carries = stored.via.is_none()
                && Entry::parse(&stored.content)
                    .is_ok_and(|entry| entry.attachments.iter().any(|a| a.sha256 == *sha256));
            found = carries.then_some(stored.id);
            Ok(!carries)
        })?;
        Ok(found)
    }

    /// The dialogues that a file belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn attachment_dialogues(&self, sha256: &Hash) -> Result<Vec<DialogueId>, StoreError> {
        let sql = "SELECT DISTINCT dialogue FROM attachment_wanted WHERE sha256 = ?1";
        let mut found = Vec::new();
        self.database.each(sql, [&sha256.0[..]], |row| {
            found.push(self.database.dialogues.name(&self.database.connection, column(row, 0)?)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Receipts that peers gave for a file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn attachment_receipts(&self, sha256: &Hash) -> Result<Vec<(Did, u64)>, StoreError> {
        let sql = "SELECT participant, receipt FROM attachment_receipt WHERE sha256 = ?1";
        let mut found = Vec::new();
        self.database.each(sql, [&sha256.0[..]], |row| {
            let peer = self.participant(row, 0)?;
            found.push((peer, from_integer(column(row, 1)?)?));
            Ok(true)
        })?;
        Ok(found)
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let log = self.own()?.map_or(1, |own| own.log);
        Ok(Counts {
            leaves: self.database.log_size(log)?,
            entries: self.database.count("SELECT max(seq) FROM entry", [])?,
            queued: self.database.count("SELECT count(*) FROM queue", [])?,
            alarms: self.database.count("SELECT max(number) FROM alarm", [])?,
            unacknowledged: self
                .database
                .count("SELECT (SELECT count(*) FROM alarm) - (SELECT count(*) FROM acknowledgement)", [])?,
        })
    }
}
