//! Durable state: the SQLite adapter of the ledger's `Store`, the attachment folder, and backups.
//!
//! * `sqlite` — one writer per folder, any number of readers beside it;
//! * `dataspace` — what a connector of the dataspace keeps, in a file of its own;
//! * `procedure` — acts that wait for a second desk, and stages of duties that were told;
//! * `attachments` — files, named by nothing but their digest;
//! * `backup` — a consistent copy of a running node's folder, and its way back;
//! * `contract` — what every store must do, as one suite of tests for all of them.
//!
//! This crate decides nothing: it keeps what the engine tells it to keep.

pub mod attachments;
pub mod backup;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod dataspace;
mod error;
pub mod memory;
pub mod procedure;
mod sqlite;

pub use error::StorageError;
pub use sqlite::{
    CheckReport, Counts, DATABASE_FILE, KeptAlarm, ReceiptTime, SqliteReader, SqliteStore, Touched,
    WantedAttachment,
};
