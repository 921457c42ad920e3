//! Credentials that this node issues, and who asked for them.

use hiwar_dataspace::ledger::LedgerError;
use hiwar_dialogue::ledger::StoreError;
use hiwar_trust::time::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::reader::{DataspaceReader, read};
use super::transaction::{Tx, json};

/// How far an issuance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssuanceState {
    /// A person has to decide.
    Waiting,
    /// The credentials are made.
    Issued,
    /// They were refused.
    Refused,
}

impl IssuanceState {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Issued => "issued",
            Self::Refused => "refused",
        }
    }
}

/// A credential that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its type.
    pub kind: String,
    /// How it is to be written: the alias of a profile of DCP.
    pub profile: String,
}

/// One time that somebody asked for credentials, or that a person issued some unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// This side's name for it.
    pub id: String,
    /// For whom.
    pub holder: String,
    /// The holder's name for it; none when the holder did not ask.
    pub holder_pid: Option<String>,
    /// What the holder gave to write into its Credential Service. A secret, forgotten after delivery.
    pub access: Option<String>,
    /// What is asked for.
    pub wanted: Vec<Wanted>,
    /// How far it is.
    pub state: IssuanceState,
    /// Why it was refused, as the holder is told.
    pub reason: Option<String>,
    /// When it began.
    pub created: Timestamp,
    /// When the holder is to be told next; none while a person has to decide, after it was told, and
    /// when that was given up.
    pub due: Option<Timestamp>,
    /// How often telling the holder failed.
    pub attempts: u32,
    /// Why it failed last.
    pub problem: Option<String>,
    /// When the first attempt to tell the holder was due.
    pub decided: Option<Timestamp>,
    /// When the holder was told.
    pub delivered: Option<Timestamp>,
}

impl Issuance {
    /// One that begins, unasked, and waits for a decision.
    pub fn new(id: String, holder: String, wanted: Vec<Wanted>, created: Timestamp) -> Self {
        Self {
            id,
            holder,
            holder_pid: None,
            access: None,
            wanted,
            state: IssuanceState::Waiting,
            reason: None,
            created,
            due: None,
            attempts: 0,
            problem: None,
            decided: None,
            delivered: None,
        }
    }
}

/// A credential that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCredential {
    /// Its name.
    pub id: String,
    /// The issuance that it belongs to.
    pub issuance: String,
    /// About whom.
    pub holder: String,
    /// Its type.
    pub kind: String,
    /// How it is written.
    pub profile: String,
    /// The number of its status list.
    pub list: i64,
    /// Its place in that list.
    pub place: u32,
    /// From when it holds.
    pub issued: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Why; for this side only.
    pub reason: Option<String>,
    /// The credential itself.
    pub jwt: String,
}

impl Tx<'_> {
    /// Takes the name of a token by which credentials are asked for; false when it was taken before. Names
    /// whose tokens ended before `now` are forgotten. Both in seconds since 1970.
    ///
    /// # Errors
    /// When the store fails.
    pub fn take_token(&mut self, issuer: &str, jti: &str, until: i64, now: i64) -> Result<bool, LedgerError> {
        self.execute("DELETE FROM issuance_token WHERE until < ?1", [now])?;
        let held: Option<i64> = self.row(
            "SELECT until FROM issuance_token WHERE issuer = ?1 AND jti = ?2",
            [issuer, jti],
            |row| row.get(0),
        )?;
        if held.is_some() {
            return Ok(false);
        }
        self.execute(
            "INSERT INTO issuance_token (issuer, jti, until) VALUES (?1, ?2, ?3)",
            params![issuer, jti, until],
        )?;
        Ok(true)
    }

    /// An issuance.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuance(&self, id: &str) -> Result<Option<Issuance>, LedgerError> {
        self.record("SELECT body FROM issuance WHERE id = ?1", [id])
    }

    /// Keeps an issuance.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_issuance(&mut self, issuance: &Issuance) -> Result<(), LedgerError> {
        self.execute(
            "INSERT INTO issuance (id, holder, state, due, created, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, state = excluded.state,
                due = excluded.due, created = excluded.created, body = excluded.body",
            params![
                issuance.id,
                issuance.holder,
                issuance.state.as_str(),
                issuance.due.map(Timestamp::as_millis),
                issuance.created.as_millis(),
                json(issuance)?,
            ],
        )
    }

    /// How many issuances wait for a person, in all and of one holder.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuances_waiting(&self, holder: &str) -> Result<(u32, u32), LedgerError> {
        let found = self.row(
            "SELECT count(*), count(*) FILTER (WHERE holder = ?1) FROM issuance WHERE state = 'waiting'",
            [holder],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// How many issuances of a holder began after a time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuances_since(&self, holder: &str, after: Timestamp) -> Result<u32, LedgerError> {
        let found = self.row(
            "SELECT count(*) FROM issuance WHERE holder = ?1 AND created > ?2",
            params![holder, after.as_millis()],
            |row| row.get(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// The newest status list of a profile, and how many of its places were given.
    ///
    /// # Errors
    /// When the store fails.
    pub fn newest_list(&self, profile: &str) -> Result<Option<(i64, u32)>, LedgerError> {
        self.row(
            "SELECT number, given FROM status_list WHERE profile = ?1 ORDER BY number DESC LIMIT 1",
            [profile],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Begins a status list.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new_list(&mut self, profile: &str) -> Result<i64, LedgerError> {
        self.execute("INSERT INTO status_list (profile, given) VALUES (?1, 0)", [profile])?;
        Ok(self.view().connection.last_insert_rowid())
    }

    /// Whether a place of a list was given.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_given(&self, list: i64, place: u32) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM issued WHERE list = ?1 AND place = ?2";
        let found: Option<i64> = self.row(sql, params![list, place], |row| row.get(0))?;
        Ok(found.is_some())
    }

    /// Keeps a new credential. Its place in its list is given for ever.
    ///
    /// # Errors
    /// When the place was given before, or the store fails.
    pub fn put_issued(&mut self, credential: &IssuedCredential) -> Result<(), LedgerError> {
        self.execute(
            "INSERT INTO issued (id, issuance, list, place, revoked, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                credential.id,
                credential.issuance,
                credential.list,
                credential.place,
                credential.revoked.map(Timestamp::as_millis),
                json(credential)?,
            ],
        )?;
        self.execute("UPDATE status_list SET given = given + 1 WHERE number = ?1", [credential.list])
    }

    /// Revokes a credential; gives the credential as it is now, or none when there is none of that name. One
    /// that was revoked before stays as it was.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revoke(
        &mut self,
        id: &str,
        at: Timestamp,
        reason: Option<String>,
    ) -> Result<Option<IssuedCredential>, LedgerError> {
        let found: Option<IssuedCredential> = self.record("SELECT body FROM issued WHERE id = ?1", [id])?;
        let Some(mut credential) = found else { return Ok(None) };
        if credential.revoked.is_none() {
            credential.revoked = Some(at);
            credential.reason = reason;
            self.execute(
                "UPDATE issued SET revoked = ?2, body = ?3 WHERE id = ?1",
                params![id, at.as_millis(), json(&credential)?],
            )?;
        }
        Ok(Some(credential))
    }
}

impl DataspaceReader {
    /// An issuance.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuance(&self, id: &str) -> Result<Option<Issuance>, StoreError> {
        let bodies = self.bodies("SELECT body FROM issuance WHERE id = ?1", [id])?;
        bodies.first().map(|body| read(body)).transpose()
    }

    /// The newest issuances, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuances(&self, count_max: usize) -> Result<Vec<Issuance>, StoreError> {
        let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
        let bodies = self.bodies("SELECT body FROM issuance ORDER BY number DESC LIMIT ?1", [count_max])?;
        bodies.iter().map(|body| read(body)).collect()
    }

    /// Issuances whose holder is to be told, soonest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issuances_due(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let sql = "SELECT id, due FROM issuance WHERE due IS NOT NULL ORDER BY due, number";
        let rows: Vec<(String, i64)> = self.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().map(|(id, due)| (id, Timestamp::from_millis(due))).collect())
    }

    /// The newest credentials that were issued, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issued(&self, count_max: usize) -> Result<Vec<IssuedCredential>, StoreError> {
        let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
        let bodies = self.bodies("SELECT body FROM issued ORDER BY number DESC LIMIT ?1", [count_max])?;
        bodies.iter().map(|body| read(body)).collect()
    }

    /// The credentials of one issuance, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn issued_by(&self, issuance: &str) -> Result<Vec<IssuedCredential>, StoreError> {
        let bodies =
            self.bodies("SELECT body FROM issued WHERE issuance = ?1 ORDER BY number", [issuance])?;
        bodies.iter().map(|body| read(body)).collect()
    }

    /// A status list: the profile of its credentials, and the places that were revoked. None when there is
    /// no such list.
    ///
    /// # Errors
    /// When the store fails.
    pub fn status_list(&self, number: i64) -> Result<Option<(String, Vec<u32>)>, StoreError> {
        let profiles = self.bodies("SELECT profile FROM status_list WHERE number = ?1", [number])?;
        let Some(profile) = profiles.into_iter().next() else { return Ok(None) };
        let sql = "SELECT place FROM issued WHERE list = ?1 AND revoked IS NOT NULL ORDER BY place";
        Ok(Some((profile, self.rows(sql, [number], |row| row.get(0))?)))
    }

    fn bodies(&self, sql: &str, of: impl rusqlite::Params) -> Result<Vec<String>, StoreError> {
        self.rows(sql, of, |row| row.get(0))
    }
}
