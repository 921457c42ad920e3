//! What a node keeps for procedures beside the signed log, in a SQLite file of its own: acts that wait for
//! a second desk, and stages of duties that were told.
//!
//! The procedures themselves are in the entries; this file can be lost without losing any of them.

use std::path::Path;

use hiwar_dialogue::ledger::StoreError;
use hiwar_trust::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::StorageError;
use crate::sqlite::beside::Beside;
use crate::sqlite::connection::store_error;
use crate::sqlite::migrate::Migration;

/// The file in a node's folder.
pub const PROCEDURE_FILE: &str = "procedure.db";

/// The file.
pub(crate) const PROCEDURE: Beside = Beside { name: PROCEDURE_FILE, migrations: MIGRATIONS };

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "first", sql: include_str!("../migrations/procedure/0001_first.sql") }];

/// Where a draft stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftState {
    /// A second desk must release or refuse it.
    Waiting,
    /// It became an entry.
    Released,
    /// It never left.
    Refused,
}

impl DraftState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Released => "released",
            Self::Refused => "refused",
        }
    }
}

/// An act that a second desk must release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActDraft {
    /// Its number.
    pub id: i64,
    /// The dialogue it is for.
    pub dialogue: String,
    /// The act, as the local API takes it (JSON).
    pub action: String,
    /// 32 hexadecimal digits that its entry bears.
    pub nonce: String,
    /// The desk that drafted it.
    pub desk: String,
    /// Whether the operator's token was used.
    pub operator: bool,
    /// When.
    pub drafted: Timestamp,
    /// Where it stands.
    pub state: DraftState,
    /// The desk that decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided: Option<Timestamp>,
    /// Why, in words.
    pub note: Option<String>,
    /// The entry it became.
    pub entry: Option<String>,
}

/// A draft as it comes.
#[derive(Clone, Debug)]
pub struct NewDraft<'a> {
    /// The dialogue it is for.
    pub dialogue: &'a str,
    /// The act (JSON).
    pub action: &'a str,
    /// 32 hexadecimal digits.
    pub nonce: &'a str,
    /// The desk.
    pub desk: &'a str,
    /// Whether the operator's token was used.
    pub operator: bool,
    /// When.
    pub at: Timestamp,
}

/// What a second desk decided.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// The desk.
    pub desk: &'a str,
    /// When.
    pub at: Timestamp,
    /// The entry that the draft became; absent when it was refused.
    pub entry: Option<&'a str>,
    /// Why.
    pub note: Option<&'a str>,
}

/// A stage of a duty that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldStage {
    /// What it is called, the same for ever.
    pub key: String,
    /// The dialogue.
    pub dialogue: String,
    /// When it was to be told.
    pub at: Timestamp,
    /// When it was told.
    pub told: Timestamp,
    /// What was told (JSON).
    pub content: String,
}

/// The file. Every change is durable when the call returns.
#[derive(Debug)]
pub struct ProcedureStore {
    connection: Connection,
}

impl ProcedureStore {
    /// Opens the file in `dir`, making it when it is not there.
    ///
    /// # Errors
    /// When the file is none of this program's or of a newer version, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        Ok(Self { connection: PROCEDURE.open_writer(dir)? })
    }

    /// Keeps an act until a second desk has decided; returns its number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn draft(&self, new: &NewDraft<'_>) -> Result<i64, StoreError> {
        let sql = "INSERT INTO draft (dialogue, action, nonce, desk, operator, drafted, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting')";
        let values = params![new.dialogue, new.action, new.nonce, new.desk, new.operator, new.at.as_millis()];
        self.connection.execute(sql, values).map_err(store_error)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// A draft by its number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn draft_by_id(&self, id: i64) -> Result<Option<ActDraft>, StoreError> {
        let sql = format!("SELECT {DRAFT} FROM draft WHERE id = ?1");
        self.connection.query_row(&sql, [id], draft_of).optional().map_err(store_error)
    }

    /// Drafts, newest first, at most `most` of them; only those that wait, or all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn drafts(&self, waiting_only: bool, most: usize) -> Result<Vec<ActDraft>, StoreError> {
        let which = if waiting_only { "WHERE state = 'waiting'" } else { "" };
        let sql = format!("SELECT {DRAFT} FROM draft {which} ORDER BY id DESC LIMIT ?1");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map([most], draft_of)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(store_error)
    }

    /// Keeps what the second desk decided; false when the draft was decided before or is not there.
    ///
    /// # Errors
    /// When the store fails.
    pub fn decide(&self, id: i64, decision: &Decision<'_>) -> Result<bool, StoreError> {
        let sql = "UPDATE draft SET state = ?2, decided_by = ?3, decided = ?4, note = ?5, entry = ?6
                   WHERE id = ?1 AND state = 'waiting'";
        let state = if decision.entry.is_some() { DraftState::Released } else { DraftState::Refused };
        let values = params![
            id,
            state.as_str(),
            decision.desk,
            decision.at.as_millis(),
            decision.note,
            decision.entry
        ];
        Ok(self.connection.execute(sql, values).map_err(store_error)? > 0)
    }

    /// Keeps that stages were told, all of them or none; those that were told before are left as they are.
    /// Returns the keys that are new.
    ///
    /// # Errors
    /// When the store fails; nothing is kept then.
    pub fn tell(&mut self, stages: &[ToldStage]) -> Result<Vec<String>, StoreError> {
        let mut run = || {
            let transaction = self.connection.transaction()?;
            let mut new = Vec::new();
            {
                let sql = "INSERT INTO stage (key, dialogue, at, told, content) VALUES (?1, ?2, ?3, ?4, ?5)
                           ON CONFLICT (key) DO NOTHING";
                let mut statement = transaction.prepare_cached(sql)?;
                for stage in stages {
                    let (at, told) = (stage.at.as_millis(), stage.told.as_millis());
                    let values = params![stage.key, stage.dialogue, at, told, stage.content];
                    if statement.execute(values)? > 0 {
                        new.push(stage.key.clone());
                    }
                }
            }
            transaction.commit()?;
            Ok(new)
        };
        run().map_err(store_error)
    }

    /// Dialogues with an arrangement, and the position up to which entries were looked through for them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn watched(&self) -> Result<(u64, Vec<String>), StoreError> {
        let read = || {
            let seq: i64 = self.connection.query_row("SELECT seq FROM scanned", [], |row| row.get(0))?;
            let mut statement = self.connection.prepare_cached("SELECT dialogue FROM watched")?;
            let dialogues = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok((u64::try_from(seq).unwrap_or_default(), dialogues))
        };
        read().map_err(store_error)
    }

    /// Keeps that entries up to `seq` were looked through, and dialogues that were found.
    ///
    /// # Errors
    /// When the store fails; nothing is kept then.
    pub fn watch(&mut self, seq: u64, dialogues: &[String]) -> Result<(), StoreError> {
        let mut run = || {
            let transaction = self.connection.transaction()?;
            for dialogue in dialogues {
                transaction.execute("INSERT OR IGNORE INTO watched (dialogue) VALUES (?1)", [dialogue])?;
            }
            transaction.execute("UPDATE scanned SET seq = ?1", [i64::try_from(seq).unwrap_or(i64::MAX)])?;
            transaction.commit()
        };
        run().map_err(store_error)
    }

    /// Whether a stage was told.
    ///
    /// # Errors
    /// When the store fails.
    pub fn was_told(&self, key: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stage WHERE key = ?1)";
        self.connection.query_row(sql, [key], |row| row.get(0)).map_err(store_error)
    }

    /// Stages that were told, newest first, at most `most` of them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn told(&self, most: usize) -> Result<Vec<ToldStage>, StoreError> {
        let sql = "SELECT key, dialogue, at, told, content FROM stage ORDER BY told DESC, key LIMIT ?1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let stage = |row: &Row<'_>| {
                Ok(ToldStage {
                    key: row.get(0)?,
                    dialogue: row.get(1)?,
                    at: Timestamp::from_millis(row.get(2)?),
                    told: Timestamp::from_millis(row.get(3)?),
                    content: row.get(4)?,
                })
            };
            statement.query_map([most], stage)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(store_error)
    }
}

const DRAFT: &str =
    "id, dialogue, action, nonce, desk, operator, drafted, state, decided_by, decided, note, entry";

fn draft_of(row: &Row<'_>) -> rusqlite::Result<ActDraft> {
    let state: String = row.get(7)?;
    let decided: Option<i64> = row.get(9)?;
    Ok(ActDraft {
        id: row.get(0)?,
        dialogue: row.get(1)?,
        action: row.get(2)?,
        nonce: row.get(3)?,
        desk: row.get(4)?,
        operator: row.get(5)?,
        drafted: Timestamp::from_millis(row.get(6)?),
        state: match state.as_str() {
            "released" => DraftState::Released,
            "refused" => DraftState::Refused,
            _ => DraftState::Waiting,
        },
        decided_by: row.get(8)?,
        decided: decided.map(Timestamp::from_millis),
        note: row.get(10)?,
        entry: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn new<'a>(nonce: &'a str) -> NewDraft<'a> {
        NewDraft { dialogue: "d", action: "{}", nonce, desk: "policy", operator: false, at: at(1) }
    }

    #[test]
    fn a_draft_is_decided_once_and_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = ProcedureStore::open(dir.path()).unwrap();
        let (one, two) = (store.draft(&new("01")).unwrap(), store.draft(&new("02")).unwrap());
        assert!(store.draft(&new("01")).is_err(), "a nonce is used once");
        let decision = Decision { desk: "director", at: at(5), entry: Some("e"), note: None };
        assert!(store.decide(one, &decision).unwrap());
        assert!(!store.decide(one, &Decision { entry: None, ..decision.clone() }).unwrap());
        assert!(!store.decide(99, &decision).unwrap());
        drop(store);
        let store = ProcedureStore::open(dir.path()).unwrap();
        assert_eq!(store.drafts(true, 10).unwrap().iter().map(|d| d.id).collect::<Vec<_>>(), [two]);
        let kept = store.draft_by_id(one).unwrap().unwrap();
        assert_eq!((kept.state, kept.entry.as_deref()), (DraftState::Released, Some("e")));
        assert_eq!((kept.decided_by.as_deref(), kept.decided), (Some("director"), Some(at(5))));
    }

    #[test]
    fn a_stage_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ProcedureStore::open(dir.path()).unwrap();
        let stage = |key: &str, told| ToldStage {
            key: key.to_owned(),
            dialogue: "d".to_owned(),
            at: at(1),
            told: at(told),
            content: "{}".to_owned(),
        };
        assert_eq!(store.tell(&[stage("a", 1), stage("b", 1)]).unwrap(), ["a", "b"]);
        assert_eq!(store.tell(&[stage("b", 2), stage("c", 2)]).unwrap(), ["c"]);
        assert!(store.was_told("a").unwrap() && !store.was_told("z").unwrap());
        let told: Vec<(String, Timestamp)> =
            store.told(9).unwrap().into_iter().map(|s| (s.key, s.told)).collect();
        assert_eq!(told, [("c".to_owned(), at(2)), ("a".to_owned(), at(1)), ("b".to_owned(), at(1))]);
    }
}
