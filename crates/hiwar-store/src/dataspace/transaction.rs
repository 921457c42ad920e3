//! One job: the ledger of a connector, and changes to the datasets offered.

use hiwar_dataspace::catalog::Dataset;
use hiwar_dataspace::ledger::{Contract, Ledger, LedgerError, Negotiation, Note, Process, Transfer};
use hiwar_dataspace::negotiation::{NegotiationState, Role};
use hiwar_dataspace::transfer::TransferState;
use hiwar_trust::time::Timestamp;
use rusqlite::{OptionalExtension as _, Params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reader::{DataspaceReader, Due, ProcessKind};
use super::text::words_of;

/// What a process is found by.
struct Columns<'a> {
    kind: ProcessKind,
    state: Option<&'static str>,
    ended: bool,
    agreement: Option<&'a str>,
    dataset: &'a str,
    delete_by: Option<Timestamp>,
}

/// One job in the writer's transaction.
#[derive(Debug)]
pub struct Tx<'a> {
    reader: &'a DataspaceReader,
    touched: Vec<Due>,
    noted: bool,
}

impl<'a> Tx<'a> {
    pub(super) fn new(reader: &'a DataspaceReader) -> Self {
        Self { reader, touched: Vec::new(), noted: false }
    }

    /// What can be read, with the changes made so far.
    pub fn view(&self) -> &DataspaceReader {
        self.reader
    }

    /// The processes that were kept, each once, with when something has to be done for them next, so
    /// that a driver can be woken without looking for work.
    pub fn touched(&self) -> Vec<Due> {
        self.touched.clone()
    }

    /// Whether something was kept that belongs into the signed log.
    pub fn noted(&self) -> bool {
        self.noted
    }

    /// Offers a dataset, or replaces the one of the same identifier, which keeps its place in the catalog.
    ///
    /// `rendered` is the dataset as it stands in a catalog, in JSON. `policy_key` stands for its terms:
    /// datasets with the same key are shown to the same participants. `source` says in JSON where its
    /// content is, and may hold secrets.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_dataset(
        &mut self,
        dataset: &Dataset,
        rendered: &str,
        policy_key: &str,
        source: &str,
    ) -> Result<(), LedgerError> {
        let old: Option<(i64, i64)> =
            self.row("SELECT number, policy FROM dataset WHERE id = ?1", [&dataset.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.execute(
            "INSERT INTO policy (key, offer) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
            params![policy_key, json(&dataset.offer)?],
        )?;
        self.execute(
            "INSERT INTO dataset (id, title, policy) SELECT ?1, ?2, number FROM policy WHERE key = ?3
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, policy = excluded.policy",
            params![dataset.id, dataset.title, policy_key],
        )?;
        let number = match old {
            Some((number, policy)) => {
                self.forget_content(number)?;
                self.forget_policy(policy)?;
                number
            }
            None => self.reader.connection.last_insert_rowid(),
        };
        self.execute(
            "INSERT INTO dataset_content (number, rendered, body) VALUES (?1, ?2, ?3)",
            params![number, rendered, json(dataset)?],
        )?;
        self.execute("INSERT INTO source (number, body) VALUES (?1, ?2)", params![number, source])?;
        self.put_words(number, dataset)
    }

    fn put_words(&self, number: i64, dataset: &Dataset) -> Result<(), LedgerError> {
        for keyword in &dataset.keywords {
            self.execute(
                "INSERT OR IGNORE INTO dataset_keyword (keyword, dataset) VALUES (?1, ?2)",
                params![keyword, number],
            )?;
        }
        for format in &dataset.formats {
            self.execute(
                "INSERT OR IGNORE INTO dataset_format (format, dataset) VALUES (?1, ?2)",
                params![format, number],
            )?;
        }
        self.execute(
            "INSERT INTO dataset_text (rowid, words) VALUES (?1, ?2)",
            params![number, words_of(dataset)],
        )
    }

    /// Takes a dataset out of the catalog; false when it was not there.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_dataset(&mut self, id: &str) -> Result<bool, LedgerError> {
        let old: Option<(i64, i64)> =
            self.row("SELECT number, policy FROM dataset WHERE id = ?1", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some((number, policy)) = old else { return Ok(false) };
        self.forget_content(number)?;
        self.execute("DELETE FROM dataset WHERE number = ?1", [number])?;
        self.forget_policy(policy)?;
        Ok(true)
    }

    /// Removes all that belongs to a dataset but its own row.
    fn forget_content(&self, number: i64) -> Result<(), LedgerError> {
        for sql in [
            "DELETE FROM dataset_keyword WHERE dataset = ?1",
            "DELETE FROM dataset_format WHERE dataset = ?1",
            "DELETE FROM dataset_text WHERE rowid = ?1",
            "DELETE FROM dataset_content WHERE number = ?1",
            "DELETE FROM source WHERE number = ?1",
        ] {
            self.execute(sql, [number])?;
        }
        Ok(())
    }

    /// Removes terms that no dataset has any more.
    fn forget_policy(&self, policy: i64) -> Result<(), LedgerError> {
        self.execute(
            "DELETE FROM policy WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM dataset WHERE policy = ?1)",
            [policy],
        )
    }

    /// Says which entry of the signed log a note became; an empty one when there was nothing to write any
    /// more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn note_done(&mut self, id: i64, entry: &str) -> Result<(), LedgerError> {
        self.execute("UPDATE note SET entry = ?2 WHERE id = ?1", params![id, entry])
    }

    fn put_process<S>(
        &mut self,
        process: &Process<S>,
        columns: &Columns<'_>,
        body: &str,
    ) -> Result<(), LedgerError> {
        let due = process.due();
        let kept = self.execute(
            "INSERT INTO process (pid, kind, role, counterparty, peer_pid, state, final, agreement, dataset,
                due, created, changed, body, delete_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (kind, pid) DO UPDATE SET role = excluded.role,
                counterparty = excluded.counterparty, peer_pid = excluded.peer_pid, state = excluded.state,
                final = excluded.final, agreement = excluded.agreement, dataset = excluded.dataset,
                due = excluded.due, created = excluded.created, changed = excluded.changed,
                body = excluded.body, delete_by = excluded.delete_by",
            params![
                process.pid,
                columns.kind.as_str(),
                process.role.as_str(),
                process.counterparty,
                process.peer_pid,
                columns.state,
                columns.ended,
                columns.agreement,
                columns.dataset,
                due.map(Timestamp::as_millis),
                process.created.as_millis(),
                process.changed.as_millis(),
                body,
                columns.delete_by.map(Timestamp::as_millis),
            ],
        );
        kept.map_err(|error| match &process.peer_pid {
            Some(peer) if error.0.contains("process.peer_pid") => LedgerError(format!(
                "{} already gave the identifier {peer:?} to another {}; every one needs its own",
                process.counterparty,
                columns.kind.as_str()
            )),
            _ => error,
        })?;
        self.touched.retain(|t| t.kind != columns.kind || t.pid != process.pid);
        self.touched.push(Due { kind: columns.kind, pid: process.pid.clone(), due });
        Ok(())
    }

    fn process<T: DeserializeOwned>(&self, kind: ProcessKind, pid: &str) -> Result<Option<T>, LedgerError> {
        self.record("SELECT body FROM process WHERE kind = ?1 AND pid = ?2", params![kind.as_str(), pid])
    }

    fn process_of<T: DeserializeOwned>(
        &self,
        kind: ProcessKind,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<T>, LedgerError> {
        self.record(
            "SELECT body FROM process
             WHERE kind = ?1 AND role = ?2 AND counterparty = ?3 AND peer_pid = ?4",
            params![kind.as_str(), role.as_str(), counterparty, peer_pid],
        )
    }

    pub(super) fn record<T: DeserializeOwned>(
        &self,
        sql: &str,
        of: impl Params,
    ) -> Result<Option<T>, LedgerError> {
        let body: Option<String> = self.row(sql, of, |row| row.get(0))?;
        body.map(|body| read(&body)).transpose()
    }

    pub(super) fn row<T>(
        &self,
        sql: &str,
        of: impl Params,
        take: impl FnOnce(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, LedgerError> {
        let row = || self.reader.connection.prepare_cached(sql)?.query_row(of, take).optional();
        row().map_err(ledger_error)
    }

    pub(super) fn execute(&self, sql: &str, of: impl Params) -> Result<(), LedgerError> {
        let run = || self.reader.connection.prepare_cached(sql)?.execute(of);
        run().map(drop).map_err(ledger_error)
    }
}

impl Ledger for Tx<'_> {
    fn dataset(&self, id: &str) -> Result<Option<Dataset>, LedgerError> {
        self.record(
            "SELECT c.body FROM dataset d JOIN dataset_content c ON c.number = d.number WHERE d.id = ?1",
            [id],
        )
    }

    fn negotiation(&self, pid: &str) -> Result<Option<Negotiation>, LedgerError> {
        self.process(ProcessKind::Negotiation, pid)
    }

    fn negotiation_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Negotiation>, LedgerError> {
        self.process_of(ProcessKind::Negotiation, role, counterparty, peer_pid)
    }

    fn put_negotiation(&mut self, negotiation: &Negotiation) -> Result<(), LedgerError> {
        let columns = Columns {
            kind: ProcessKind::Negotiation,
            state: negotiation.state.map(NegotiationState::as_str),
            ended: negotiation.state.is_some_and(NegotiationState::is_final),
            agreement: negotiation.agreement.as_ref().map(|a| a.id.as_str()),
            dataset: &negotiation.dataset,
            delete_by: None,
        };
        self.put_process(&negotiation.process, &columns, &json(negotiation)?)
    }

    fn transfer(&self, pid: &str) -> Result<Option<Transfer>, LedgerError> {
        self.process(ProcessKind::Transfer, pid)
    }

    fn transfer_of(
        &self,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<Transfer>, LedgerError> {
        self.process_of(ProcessKind::Transfer, role, counterparty, peer_pid)
    }

    fn put_transfer(&mut self, transfer: &Transfer) -> Result<(), LedgerError> {
        let columns = Columns {
            kind: ProcessKind::Transfer,
            state: transfer.state.map(TransferState::as_str),
            ended: transfer.state.is_some_and(TransferState::is_final),
            agreement: Some(&transfer.agreement),
            dataset: &transfer.dataset,
            delete_by: transfer.retention.as_ref().filter(|r| r.deleted.is_none()).map(|r| r.delete_by),
        };
        self.put_process(&transfer.process, &columns, &json(transfer)?)
    }

    fn running(&self, agreement: &str) -> Result<Vec<Transfer>, LedgerError> {
        let bodies = || -> Result<Vec<String>, rusqlite::Error> {
            let mut statement = self.reader.connection.prepare_cached(
                "SELECT body FROM process WHERE kind = 'transfer' AND final = 0 AND agreement = ?1
                 ORDER BY pid",
            )?;
            statement.query_map([agreement], |row| row.get(0))?.collect()
        };
        bodies().map_err(ledger_error)?.iter().map(|body| read(body)).collect()
    }

    fn contract(&self, agreement: &str) -> Result<Option<Contract>, LedgerError> {
        self.record("SELECT body FROM contract WHERE agreement = ?1", [agreement])
    }

    fn put_contract(&mut self, contract: &Contract) -> Result<(), LedgerError> {
        self.execute(
            "INSERT INTO contract (agreement, role, counterparty, dataset, agreed, ended, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (agreement) DO UPDATE SET role = excluded.role,
                counterparty = excluded.counterparty, dataset = excluded.dataset, agreed = excluded.agreed,
                ended = excluded.ended, body = excluded.body",
            params![
                contract.agreement.id,
                contract.role.as_str(),
                contract.counterparty,
                contract.agreement.target,
                contract.agreed.as_millis(),
                contract.ended.as_ref().map(|e| e.at.as_millis()),
                json(contract)?,
            ],
        )
    }

    fn note(&mut self, note: &Note) -> Result<(), LedgerError> {
        self.noted = true;
        self.execute("INSERT INTO note (body) VALUES (?1)", [json(note)?])
    }
}

pub(super) fn json(record: &impl Serialize) -> Result<String, LedgerError> {
    serde_json::to_string(record).map_err(|error| LedgerError(format!("a record cannot be written: {error}")))
}

fn read<T: DeserializeOwned>(body: &str) -> Result<T, LedgerError> {
    serde_json::from_str(body)
        .map_err(|error| LedgerError(format!("a record is damaged, restore a backup: {error}")))
}

/// What an error of the database means to a connector.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn ledger_error(error: rusqlite::Error) -> LedgerError {
    LedgerError(error.to_string())
}
