//! Pages of negotiations, transfers and agreements for people, newest first.

use hiwar_dataspace::ledger::{Contract, Negotiation, Transfer};
use hiwar_dataspace::negotiation::Role;
use hiwar_dialogue::ledger::StoreError;
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use serde::de::DeserializeOwned;

use super::reader::{DataspaceReader, ProcessKind, read};

/// Which negotiations or transfers; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFilter {
    /// Those in which this side has this part.
    pub role: Option<Role>,
    /// Those with this participant.
    pub counterparty: Option<String>,
    /// Those in this state, as on the wire, such as `FINALIZED`.
    pub state: Option<String>,
}

/// Which agreements; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractFilter {
    /// Those in which this side has this part.
    pub role: Option<Role>,
    /// Those with this participant.
    pub counterparty: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The records, newest first.
    pub records: Vec<T>,
    /// What to give as `after` for the next page; none at the end.
    pub next: Option<i64>,
}

impl DataspaceReader {
    /// Negotiations, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn negotiations(
        &self,
        filter: &ProcessFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Listed<Negotiation>, StoreError> {
        self.processes(ProcessKind::Negotiation, filter, after, limit)
    }

    /// Transfers, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn transfers(
        &self,
        filter: &ProcessFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Listed<Transfer>, StoreError> {
        self.processes(ProcessKind::Transfer, filter, after, limit)
    }

    /// Agreements, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn contracts(
        &self,
        filter: &ContractFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Listed<Contract>, StoreError> {
        let equal =
            [("role", filter.role.map(Role::as_str)), ("counterparty", filter.counterparty.as_deref())];
        self.list("contract", &equal, after, limit)
    }

    fn processes<T: DeserializeOwned>(
        &self,
        kind: ProcessKind,
        filter: &ProcessFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Listed<T>, StoreError> {
        let equal = [
            ("kind", Some(kind.as_str())),
            ("role", filter.role.map(Role::as_str)),
            ("counterparty", filter.counterparty.as_deref()),
            ("state", filter.state.as_deref()),
        ];
        self.list("process", &equal, after, limit)
    }

    fn list<T: DeserializeOwned>(
        &self,
        table: &'static str,
        equal: &[(&'static str, Option<&str>)],
        after: Option<i64>,
        limit: usize,
    ) -> Result<Listed<T>, StoreError> {
        let limit = limit.max(1);
        let mut sql = format!("SELECT number, body FROM {table} WHERE number < ?1");
        let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let mut values = vec![Value::Integer(after.unwrap_or(i64::MAX)), Value::Integer(more)];
        for (column, value) in equal {
            if let Some(value) = value {
                values.push(Value::Text((*value).to_owned()));
                sql.push_str(&format!(" AND {column} = ?{}", values.len()));
            }
        }
        sql.push_str(" ORDER BY number DESC LIMIT ?2");
        let rows: Vec<(i64, String)> =
            self.rows(&sql, params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let shown = rows.get(..limit);
        let next = shown.and_then(<[_]>::last).filter(|_| rows.len() > limit).map(|(number, _)| *number);
        let records = rows.iter().take(limit).map(|(_, body)| read(body)).collect::<Result<_, _>>()?;
        Ok(Listed { records, next })
    }
}
