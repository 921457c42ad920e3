//! Records as rows: the whole as JSON text, beside it the columns that are searched.

use hiwar_dataspace::catalog::Dataset;
use hiwar_dataspace::ledger::{Contract, Ledger, LedgerError, Negotiation, Note, Process, Transfer};
use hiwar_dataspace::negotiation::Role;
use hiwar_dataspace::transfer::TransferState;
use hiwar_trust::time::Timestamp;
use rusqlite::{OptionalExtension as _, Params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ProcessKind, Tx, ledger_error};

fn to_text(value: &impl Serialize) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(ledger_error)
}

/// What of a process stands in columns of its own.
struct Columns<'a, S> {
    kind: ProcessKind,
    process: &'a Process<S>,
    state: Option<&'static str>,
    agreement: Option<&'a str>,
}

impl Tx<'_> {
    fn one<T: DeserializeOwned>(&self, sql: &str, params: impl Params) -> Result<Option<T>, LedgerError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(ledger_error)?;
        let text: Option<String> =
            statement.query_row(params, |row| row.get(0)).optional().map_err(ledger_error)?;
        text.map(|t| serde_json::from_str(&t).map_err(ledger_error)).transpose()
    }

    fn all<T: DeserializeOwned>(&self, sql: &str, params: impl Params) -> Result<Vec<T>, LedgerError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(ledger_error)?;
        let rows = statement.query_map(params, |row| row.get::<_, String>(0)).map_err(ledger_error)?;
        rows.map(|text| serde_json::from_str(&text.map_err(ledger_error)?).map_err(ledger_error)).collect()
    }

    fn run(&self, sql: &str, params: impl Params) -> Result<usize, LedgerError> {
        self.connection.prepare_cached(sql).and_then(|mut s| s.execute(params)).map_err(ledger_error)
    }

    fn process<T: DeserializeOwned>(&self, kind: ProcessKind, pid: &str) -> Result<Option<T>, LedgerError> {
        self.one("SELECT body FROM process WHERE pid = ?1 AND kind = ?2", params![pid, kind.number()])
    }

    fn process_of<T: DeserializeOwned>(
        &self,
        kind: ProcessKind,
        role: Role,
        counterparty: &str,
        peer_pid: &str,
    ) -> Result<Option<T>, LedgerError> {
        self.one(
            "SELECT body FROM process WHERE kind = ?1 AND role = ?2 AND counterparty = ?3 AND peer_pid = ?4",
            params![kind.number(), role.as_str(), counterparty, peer_pid],
        )
    }

    fn put<S>(&mut self, columns: &Columns<'_, S>, body: &str) -> Result<(), LedgerError> {
        let process = columns.process;
        let due = process.due();
        self.run(
            "INSERT INTO process (pid, kind, role, counterparty, peer_pid, state, agreement, due, created, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (pid) DO UPDATE SET peer_pid = excluded.peer_pid, state = excluded.state,
                 due = excluded.due, body = excluded.body",
            params![
                process.pid,
                columns.kind.number(),
                process.role.as_str(),
                process.counterparty,
                process.peer_pid,
                columns.state,
                columns.agreement,
                due.map(Timestamp::as_millis),
                process.created.as_millis(),
                body
            ],
        )?;
        self.touched.insert((columns.kind, process.pid.clone()), due);
        Ok(())
    }

    /// Offers a dataset, or offers it anew. `rendered` is how a catalog shows it, `policy` a text that is
    /// the same for the same terms, `source` where its content is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_dataset(
        &mut self,
        dataset: &Dataset,
        rendered: &str,
        policy: &str,
        source: &str,
    ) -> Result<(), LedgerError> {
        self.remove_dataset(&dataset.id)?;
        self.run(
            "INSERT INTO dataset (id, title, policy, body, rendered, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![dataset.id, dataset.title, policy, to_text(dataset)?, rendered, source],
        )?;
        let number = self.connection.last_insert_rowid();
        for keyword in &dataset.keywords {
            self.run(
                "INSERT OR IGNORE INTO dataset_keyword (keyword, number) VALUES (?1, ?2)",
                params![keyword, number],
            )?;
        }
        for format in &dataset.formats {
            self.run(
                "INSERT OR IGNORE INTO dataset_format (format, number) VALUES (?1, ?2)",
                params![format, number],
            )?;
        }
        self.run(
            "INSERT INTO dataset_text (rowid, words) VALUES (?1, ?2)",
            params![number, words_of(dataset)],
        )?;
        self.run(
            "INSERT INTO policy (policy, offer, datasets) VALUES (?1, ?2, 1)
             ON CONFLICT (policy) DO UPDATE SET datasets = datasets + 1",
            params![policy, to_text(&dataset.offer)?],
        )?;
        Ok(())
    }

    /// Offers a dataset no longer; whether it was offered.
    ///
    /// # Errors
    /// When the store fails.
    pub fn remove_dataset(&mut self, id: &str) -> Result<bool, LedgerError> {
        let Some(dataset) = self.dataset(id)? else { return Ok(false) };
        let (number, policy): (i64, String) = self
            .connection
            .prepare_cached("SELECT number, policy FROM dataset WHERE id = ?1")
            .and_then(|mut s| s.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(ledger_error)?;
        // An index without content must be told what it held.
        self.run(
            "INSERT INTO dataset_text (dataset_text, rowid, words) VALUES ('delete', ?1, ?2)",
            params![number, words_of(&dataset)],
        )?;
        self.run("DELETE FROM dataset WHERE number = ?1", [number])?;
        self.run("UPDATE policy SET datasets = datasets - 1 WHERE policy = ?1", [&policy])?;
        self.run("DELETE FROM policy WHERE policy = ?1 AND datasets <= 0", [&policy])?;
        Ok(true)
    }

    /// Where the content of a dataset is.
    ///
    /// # Errors
    /// When the store fails.
    pub fn source(&self, dataset: &str) -> Result<Option<String>, LedgerError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT source FROM dataset WHERE id = ?1")
            .map_err(ledger_error)?;
        statement.query_row([dataset], |row| row.get(0)).optional().map_err(ledger_error)
    }

    /// Everything that is due at some time, to be read once at the start.
    ///
    /// # Errors
    /// When the store fails.
    pub fn due(&self) -> Result<Vec<(ProcessKind, String, Timestamp)>, LedgerError> {
        let sql = "SELECT kind, pid, due FROM process WHERE due IS NOT NULL";
        let mut statement = self.connection.prepare_cached(sql).map_err(ledger_error)?;
        let rows = statement.query_map([], |row| {
            let kind =
                if row.get::<_, i64>(0)? == 0 { ProcessKind::Negotiation } else { ProcessKind::Transfer };
            Ok((kind, row.get(1)?, Timestamp::from_millis(row.get(2)?)))
        });
        rows.map_err(ledger_error)?.collect::<Result<_, _>>().map_err(ledger_error)
    }

    /// Up to `limit` notes that the signed log has not got yet, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn notes_waiting(&self, limit: usize) -> Result<Vec<(i64, Note)>, LedgerError> {
        let sql = "SELECT id, body FROM note WHERE entry IS NULL ORDER BY id LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(ledger_error)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        rows.map_err(ledger_error)?
            .map(|row| {
                let (id, text) = row.map_err(ledger_error)?;
                Ok((id, serde_json::from_str(&text).map_err(ledger_error)?))
            })
            .collect()
    }

    /// A note is in the signed log as this entry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn note_done(&mut self, id: i64, entry: &str) -> Result<(), LedgerError> {
        self.run("UPDATE note SET entry = ?2 WHERE id = ?1", params![id, entry]).map(drop)
    }
}

/// What words a filter finds a dataset by.
fn words_of(dataset: &Dataset) -> String {
    let mut words = dataset.title.clone();
    for part in dataset.description.iter().chain(&dataset.keywords) {
        words.push(' ');
        words.push_str(part);
    }
    words
}

impl Ledger for Tx<'_> {
    fn dataset(&self, id: &str) -> Result<Option<Dataset>, LedgerError> {
        self.one("SELECT body FROM dataset WHERE id = ?1", [id])
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
            process: &negotiation.process,
            state: negotiation.state.map(|s| s.as_str()),
            agreement: negotiation.agreement.as_ref().map(|a| a.id.as_str()),
        };
        self.put(&columns, &to_text(negotiation)?)
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
            process: &transfer.process,
            state: transfer.state.map(|s| s.as_str()),
            agreement: Some(&transfer.agreement),
        };
        self.put(&columns, &to_text(transfer)?)
    }

    fn running(&self, agreement: &str) -> Result<Vec<Transfer>, LedgerError> {
        let sql = "SELECT body FROM process WHERE agreement = ?1 AND kind = 1 ORDER BY pid";
        let mut found: Vec<Transfer> = self.all(sql, [agreement])?;
        found.retain(|t| !t.state.is_some_and(TransferState::is_final));
        Ok(found)
    }

    fn contract(&self, agreement: &str) -> Result<Option<Contract>, LedgerError> {
        self.one("SELECT body FROM contract WHERE agreement = ?1", [agreement])
    }

    fn put_contract(&mut self, contract: &Contract) -> Result<(), LedgerError> {
        self.run(
            "INSERT INTO contract (agreement, role, counterparty, ended, created, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (agreement) DO UPDATE SET ended = excluded.ended, body = excluded.body",
            params![
                contract.agreement.id,
                contract.role.as_str(),
                contract.counterparty,
                contract.ended.as_ref().map(|e| e.at.as_millis()),
                contract.agreed.as_millis(),
                to_text(contract)?
            ],
        )
        .map(drop)
    }

    fn note(&mut self, note: &Note) -> Result<(), LedgerError> {
        self.run("INSERT INTO note (body) VALUES (?1)", [to_text(note)?]).map(drop)
    }
}
