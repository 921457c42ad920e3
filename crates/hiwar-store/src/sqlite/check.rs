//! `hiwar log check`: a node's log and store held against each other, in constant memory.

use hiwar_dialogue::ledger::{LogNumber, StoreError, View as _};
use hiwar_trust::hash::Hash;
use hiwar_trust::merkle;
use hiwar_trust::tiles::LogTail;

use super::connection::from_integer;
use super::read::{column, read_items};
use super::reader::SqliteReader;

/// Rows read at one time.
const PAGE: usize = 4096;
/// Problems listed; more are only counted.
const PROBLEMS_MAX: usize = 100;

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

impl SqliteReader {
    /// Checks the database's own integrity, rebuilds every log from its leaves and compares the
    /// stored tiles, and holds every entry and receipt against its digest and its leaf.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let own = self.own()?.ok_or_else(|| StoreError::Damaged("there is no record of this node".into()))?;
        let mut report = CheckReport {
            leaves: 0,
            entries: 0,
            receipts: 0,
            root: merkle::root(&[]),
            problems: Vec::new(),
            problem_count: 0,
        };
        self.database.each("PRAGMA integrity_check(20)", [], |row| {
            let line: String = column(row, 0)?;
            if line != "ok" {
                report.problem(format!("database: {line}"));
            }
            Ok(true)
        })?;
        for log in 1..=own.log {
            report.root = self.check_log(log, &mut report)?;
        }
        self.check_entries(&mut report)?;
        self.check_receipts(&mut report)?;
        Ok(report)
    }

    fn check_log(&self, log: LogNumber, report: &mut CheckReport) -> Result<Hash, StoreError> {
        let mut tail = LogTail::new();
        loop {
            let page = self.leaves(log, tail.size(), PAGE)?;
            if page.is_empty() {
                break;
            }
            for data in &page {
                for full in tail.append(merkle::leaf_hash(data.as_bytes())).full_tiles {
                    let stored = self.tile(log, full.tile.level(), full.tile.index())?;
                    if stored.as_ref() != Some(&full.hashes) {
                        report.problem(format!(
                            "log {log}: the stored {} is not what its leaves give",
                            full.tile
                        ));
                    }
                }
            }
        }
        let last = self.database.count("SELECT max(position) + 1 FROM leaf WHERE log = ?1", [log])?;
        if last != tail.size() {
            report.problem(format!("log {log}: leaf {} is missing", tail.size()));
        }
        report.leaves += tail.size();
        Ok(tail.root())
    }

    fn check_entries(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.all_entries(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            for entry in &page {
                report.entries += 1;
                if Hash::of(&entry.content) != entry.id.0 {
                    report.problem(format!(
                        "entry {} at position {}: its bytes have changed",
                        entry.id, entry.seq
                    ));
                }
                let leaf = self.leaves(entry.log, entry.leaf, 1)?;
                if leaf.first().is_none_or(|data| *data != format!("entry {}", entry.id)) {
                    report.problem(format!(
                        "entry {} at position {}: leaf {} of log {} is not its own",
                        entry.id, entry.seq, entry.leaf, entry.log
                    ));
                }
            }
        }
    }

    fn check_receipts(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut numbers = Vec::new();
        self.database.each("SELECT number, items FROM receipt", [], |row| {
            let number: u64 = from_integer(column(row, 0)?)?;
            let items: Vec<u8> = column(row, 1)?;
            report.receipts += 1;
            if read_items(&items).is_none() {
                report.problem(format!("receipt {number}: its items cannot be read"));
            } else {
                numbers.push(number);
            }
            Ok(true)
        })?;
        for number in numbers {
            if let Err(error) = self.receipt(number) {
                report.problem(error.to_string());
            }
        }
        Ok(())
    }
}
