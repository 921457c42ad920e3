//! `hiwar log check`: a node's log and store held against each other, in constant memory.

use std::collections::BTreeSet;

use hiwar_dialogue::ledger::{Direction, LogNumber, Seq, StoreError, StoredEntry, View as _};
use hiwar_trust::hash::Hash;
use hiwar_trust::merkle;
use hiwar_trust::receipt::ItemKind;
use hiwar_trust::tiles::LogTail;

use super::connection::{from_integer, store_error};
use super::read::{RECEIPTED, column, hash, select_entry};
use super::reader::SqliteReader;

/// Problems listed; more are only counted.
const PROBLEMS_MAX: usize = 100;
/// Problems that the database itself lists at most.
const DATABASE_PROBLEMS: &str = "PRAGMA integrity_check(20)";

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Leaves of all logs.
    pub leaves: u64,
    /// Entries.
    pub entries: u64,
    /// Receipts.
    pub receipts: u64,
    /// Root of the current log.
    pub root: Hash,
    /// What does not fit, in words; empty when all is well.
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub problem_count: u64,
}

impl CheckReport {
    fn problem(&mut self, what: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        }
    }
}

/// The last receipt that was looked into: neighbouring entries mostly share one.
#[derive(Default)]
struct LastReceipt {
    number: u64,
    direction: Option<Direction>,
    entries: BTreeSet<Hash>,
    /// That it cannot be read is said once, and not of every entry again.
    unreadable: bool,
}

impl SqliteReader {
    /// What the database says about its own files: nothing when it is whole.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        self.database.each(DATABASE_PROBLEMS, [], |row| {
            let line: String = column(row, 0)?;
            if line != "ok" {
                problems.push(line);
            }
            Ok(true)
        })?;
        Ok(problems)
    }

    /// Checks the database's own integrity, rebuilds every log from its leaves and compares the
    /// stored tiles, and holds every entry, file and receipt against its digest and its leaf. All
    /// of it is checked as it was when the check began, whatever is written meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let _snapshot = self.database.snapshot_of_now().map_err(store_error)?;
        let own = self.own()?.ok_or_else(|| StoreError::Damaged("there is no record of this node".into()))?;
        let mut report = CheckReport {
            leaves: 0,
            entries: 0,
            receipts: 0,
            root: merkle::root(&[]),
            problems: Vec::new(),
            problem_count: 0,
        };
        for line in self.integrity_check()? {
            report.problem(format!("database: {line}"));
        }
        for log in 1..=own.log {
            report.root = self.check_log(log, &mut report)?;
        }
        let beyond = self.database.count("SELECT count(*) FROM leaf WHERE log > ?1", [own.log])?;
        if beyond > 0 {
            report.problem(format!("{beyond} leaves belong to logs after the current one, {}", own.log));
        }
        self.check_receipts(&mut report)?;
        self.check_entries(&mut report)?;
        self.check_deliveries(&mut report)?;
        self.check_files(&mut report)?;
        Ok(report)
    }

    fn check_log(&self, log: LogNumber, report: &mut CheckReport) -> Result<Hash, StoreError> {
        let mut tail = LogTail::new();
        let mut tiles = 0_u64;
        let sql = "SELECT position, data FROM leaf WHERE log = ?1 ORDER BY position";
        self.database.each(sql, [log], |row| {
            let position: u64 = from_integer(column(row, 0)?)?;
            if position != tail.size() {
                report.problem(format!("log {log}: leaf {} is missing", tail.size()));
                return Ok(false);
            }
            let data = row.get_ref(1).map_err(store_error)?;
            let data = data.as_str().map_err(|e| store_error(e.into()))?;
            for full in tail.append(merkle::leaf_hash(data.as_bytes())).full_tiles {
                tiles += 1;
                let stored = self.tile(log, full.tile.level(), full.tile.index())?;
                if stored.as_ref() != Some(&full.hashes) {
                    report
                        .problem(format!("log {log}: the stored {} is not what its leaves give", full.tile));
                }
            }
            Ok(true)
        })?;
        let stored = self.database.count("SELECT count(*) FROM tile WHERE log = ?1", [log])?;
        if stored > tiles {
            report.problem(format!("log {log}: {stored} tiles are stored, and its leaves give only {tiles}"));
        }
        report.leaves += tail.size();
        Ok(tail.root())
    }

    /// Whether a leaf says this.
    fn leaf_says(&self, log: LogNumber, leaf: u64, data: &str) -> Result<bool, StoreError> {
        Ok(self.leaves(log, leaf, 1)?.first().is_some_and(|found| found == data))
    }

    fn check_entries(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut last = LastReceipt::default();
        let sql = select_entry!("entry e ORDER BY e.seq");
        self.database.each(sql, [], |row| {
            let entry = self.database.entry_row(row)?;
            report.entries += 1;
            if let Some(problem) = self.entry_problem(&entry, &mut last)? {
                report.problem(format!("entry {} at position {}: {problem}", entry.id, entry.seq));
            }
            Ok(true)
        })
    }

    fn entry_problem(
        &self,
        entry: &StoredEntry,
        last: &mut LastReceipt,
    ) -> Result<Option<String>, StoreError> {
        if Hash::of(&entry.content) != entry.id.0 {
            return Ok(Some("its bytes have changed".into()));
        }
        if self.find(&entry.id)? != Some(entry.seq) {
            return Ok(Some("it is not found by its identifier".into()));
        }
        let StoredEntry { id, log, leaf, .. } = entry;
        if !self.leaf_says(*log, *leaf, &format!("entry {id}"))? {
            return Ok(Some(format!("leaf {leaf} of log {log} is not its own")));
        }
        let Some(number) = entry.receipt else { return Ok(None) };
        self.receipt_problem(last, number, Direction::Issued, &id.0)
    }

    /// Why a receipt does not cover an entry, if it does not.
    fn receipt_problem(
        &self,
        last: &mut LastReceipt,
        number: u64,
        direction: Direction,
        id: &Hash,
    ) -> Result<Option<String>, StoreError> {
        if last.number != number {
            *last = LastReceipt { number, ..LastReceipt::default() };
            match self.receipt(number) {
                Ok(None) => {}
                Ok(Some((direction, signed))) => {
                    let entries = signed.receipt.items.iter().filter(|item| item.kind == ItemKind::Entry);
                    last.entries = entries.map(|item| item.hash).collect();
                    last.direction = Some(direction);
                }
                Err(_) => last.unreadable = true,
            }
        }
        let covers = last.direction == Some(direction) && last.entries.contains(id);
        Ok(if covers || last.unreadable { None } else { Some(format!("receipt {number} does not cover it")) })
    }

    fn check_deliveries(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut last = LastReceipt::default();
        let sql = "SELECT d.seq, d.receipt, e.id FROM delivery d JOIN entry e ON e.seq = d.seq \
                   WHERE d.outcome = ?1 ORDER BY d.seq, d.participant";
        self.database.each(sql, [RECEIPTED], |row| {
            let (seq, number): (Seq, u64) = (from_integer(column(row, 0)?)?, from_integer(column(row, 1)?)?);
            let id = hash(row, 2)?;
            if let Some(problem) = self.receipt_problem(&mut last, number, Direction::Received, &id)? {
                report.problem(format!("the delivery of entry {id} at position {seq}: {problem}"));
            }
            Ok(true)
        })
    }

    fn check_files(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        self.database.each("SELECT sha256, log, leaf FROM attachment_stored", [], |row| {
            let (sha256, leaf): (Hash, u64) = (hash(row, 0)?, from_integer(column(row, 2)?)?);
            let log: Option<LogNumber> = column(row, 1)?;
            if !self.leaf_says(log.unwrap_or(1), leaf, &format!("attachment {sha256}"))? {
                report.problem(format!("file {sha256}: leaf {leaf} is not its own"));
            }
            Ok(true)
        })
    }

    /// A receipt is read only when its items are those that were signed.
    fn check_receipts(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        self.database.each("SELECT number FROM receipt ORDER BY number", [], |row| {
            report.receipts += 1;
            if let Err(error) = self.receipt(from_integer(column(row, 0)?)?) {
                report.problem(error.to_string());
            }
            Ok(true)
        })
    }
}
