//! Lists for people, newest first, page by page.

use hiwar_dataspace::ledger::{Contract, Negotiation, Transfer};
use rusqlite::params;
use serde::de::DeserializeOwned;

use super::{DataspaceReader, ProcessKind};
use crate::error::StorageError;
use crate::sqlite::connection::store_error;
use hiwar_dialogue::ledger::StoreError;

/// What of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only in this role, such as `consumer`.
    pub role: Option<String>,
    /// Only with this participant.
    pub counterparty: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Where the page before ended.
    pub after: Option<(i64, String)>,
    /// Most rows.
    pub limit: usize,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Where the next page begins, when there is one.
    pub next: Option<(i64, String)>,
}

impl DataspaceReader {
    /// Negotiations.
    ///
    /// # Errors
    /// When the store fails.
    pub fn negotiations(&self, listing: &Listing) -> Result<Listed<Negotiation>, StorageError> {
        self.processes(ProcessKind::Negotiation, listing)
    }

    /// Transfers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn transfers(&self, listing: &Listing) -> Result<Listed<Transfer>, StorageError> {
        self.processes(ProcessKind::Transfer, listing)
    }

    fn processes<T: DeserializeOwned>(
        &self,
        kind: ProcessKind,
        listing: &Listing,
    ) -> Result<Listed<T>, StorageError> {
        let sql = "SELECT body, created, pid FROM process
             WHERE kind = ?1 AND (created, pid) < (?2, ?3)
               AND (?4 IS NULL OR role = ?4) AND (?5 IS NULL OR counterparty = ?5) AND (?6 IS NULL OR state = ?6)
             ORDER BY created DESC, pid DESC LIMIT ?7";
        let (created, pid) = listing.after.clone().unwrap_or((i64::MAX, String::new()));
        let limit = i64::try_from(listing.limit).unwrap_or(i64::MAX);
        let params =
            params![kind.number(), created, pid, listing.role, listing.counterparty, listing.state, limit];
        self.listed(sql, params, listing.limit)
    }

    /// Agreements; the state is `ended` or `holds`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn contracts(&self, listing: &Listing) -> Result<Listed<Contract>, StorageError> {
        let sql = "SELECT body, created, agreement FROM contract
             WHERE (created, agreement) < (?1, ?2)
               AND (?3 IS NULL OR role = ?3) AND (?4 IS NULL OR counterparty = ?4)
               AND (?5 IS NULL OR (?5 = 'ended') = (ended IS NOT NULL))
             ORDER BY created DESC, agreement DESC LIMIT ?6";
        let (created, id) = listing.after.clone().unwrap_or((i64::MAX, String::new()));
        let limit = i64::try_from(listing.limit).unwrap_or(i64::MAX);
        self.listed(
            sql,
            params![created, id, listing.role, listing.counterparty, listing.state, limit],
            listing.limit,
        )
    }

    fn listed<T: DeserializeOwned>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        limit: usize,
    ) -> Result<Listed<T>, StorageError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let mut found = statement.query(params).map_err(store_error)?;
        let mut listed = Listed { rows: Vec::new(), next: None };
        let mut last = None;
        while let Some(row) = found.next().map_err(store_error)? {
            let text: String = row.get(0).map_err(store_error)?;
            let read = serde_json::from_str(&text).map_err(|e| StoreError::Failed(e.to_string()))?;
            listed.rows.push(read);
            last = Some((row.get(1).map_err(store_error)?, row.get(2).map_err(store_error)?));
        }
        if listed.rows.len() == limit {
            listed.next = last;
        }
        Ok(listed)
    }
}
