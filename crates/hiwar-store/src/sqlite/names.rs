//! Long names and the numbers that stand for them in every other table.
//!
//! A name's number never changes and is never given to another name, so what was read once may be
//! remembered; only a transaction that is rolled back takes the numbers it gave back.

use std::cell::RefCell;
use std::collections::HashMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::StoreError;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::KeyId;
use rusqlite::types::{FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _};

use super::connection::store_error;

/// Most names of a kind that are remembered; beyond that, all are forgotten and read again.
const REMEMBERED_MAX: usize = 32_768;

/// Something that is stored once and meant by its number elsewhere.
pub(super) trait Name: Clone + Eq + std::hash::Hash {
    /// Finds the number of a name.
    const FIND: &'static str;
    /// Gives a name a number.
    const ADD: &'static str;
    /// Finds the name of a number.
    const READ: &'static str;

    /// The name as the database holds it.
    fn to_value(&self) -> ToSqlOutput<'_>;
    /// The name from what the database holds.
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self>;
}

macro_rules! statements {
    ($table:literal) => {
        const FIND: &'static str = concat!("SELECT number FROM ", $table, " WHERE name = ?1");
        const ADD: &'static str = concat!("INSERT INTO ", $table, " (name) VALUES (?1)");
        const READ: &'static str = concat!("SELECT name FROM ", $table, " WHERE number = ?1");
    };
}

impl Name for Did {
    statements!("participant");

    fn to_value(&self) -> ToSqlOutput<'_> {
        self.as_str().into()
    }

    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl Name for EntryId {
    statements!("dialogue");

    fn to_value(&self) -> ToSqlOutput<'_> {
        self.0.0.as_slice().into()
    }

    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        digest(value).map(Self)
    }
}

impl Name for KeyId {
    statements!("key");

    fn to_value(&self) -> ToSqlOutput<'_> {
        self.0.0.as_slice().into()
    }

    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        digest(value).map(Self)
    }
}

/// A digest from 32 bytes.
pub(super) fn digest(value: ValueRef<'_>) -> FromSqlResult<Hash> {
    let bytes = value.as_blob()?;
    let bytes = bytes
        .try_into()
        .map_err(|_| FromSqlError::InvalidBlobSize { expected_size: 32, blob_size: bytes.len() })?;
    Ok(Hash(bytes))
}

/// The names of one kind that were met so far.
struct Known<T> {
    numbers: HashMap<T, i64>,
    names: HashMap<i64, T>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), names: HashMap::new() }
    }
}

impl<T: Name> Known<T> {
    fn remember(&mut self, name: &T, number: i64) {
        if self.numbers.len() >= REMEMBERED_MAX {
            *self = Self::default();
        }
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, name.clone());
    }
}

/// Looks names and numbers up, and remembers them.
pub(super) struct Names<T>(RefCell<Known<T>>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Name> Names<T> {
    /// The number of a name, when it has one.
    pub(super) fn find(&self, connection: &Connection, name: &T) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.0.borrow().numbers.get(name) {
            return Ok(Some(*number));
        }
        let find =
            || connection.prepare_cached(T::FIND)?.query_row([name.to_value()], |row| row.get(0)).optional();
        let number: Option<i64> = find().map_err(store_error)?;
        if let Some(number) = number {
            self.0.borrow_mut().remember(name, number);
        }
        Ok(number)
    }

    /// The number of a name, which is given one when it has none.
    pub(super) fn number(&self, connection: &Connection, name: &T) -> Result<i64, StoreError> {
        if let Some(number) = self.find(connection, name)? {
            return Ok(number);
        }
        let add = || connection.prepare_cached(T::ADD)?.insert([name.to_value()]);
        let number = add().map_err(store_error)?;
        self.0.borrow_mut().remember(name, number);
        Ok(number)
    }

    /// The name of a number.
    pub(super) fn name(&self, connection: &Connection, number: i64) -> Result<T, StoreError> {
        if let Some(name) = self.0.borrow().names.get(&number) {
            return Ok(name.clone());
        }
        let read = || {
            connection
                .prepare_cached(T::READ)?
                .query_row([number], |row| Ok(T::from_value(row.get_ref(0)?)?))
                .optional()
        };
        let name = read()
            .map_err(store_error)?
            .ok_or_else(|| StoreError::Damaged(format!("nothing is named by number {number}")))?;
        self.0.borrow_mut().remember(&name, number);
        Ok(name)
    }

    /// Forgets everything, because numbers were taken back.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = Known::default();
    }
}
