//! The ledger in one SQLite database.
//!
//! * `beside` — the other files of a node's folder;
//! * `connection` — how the database is opened, and what its errors mean;
//! * `lock` — one process per folder;
//! * `migrate` — the schema and its versions;
//! * `names` — long names and the numbers that stand for them;
//! * `read`, `write` — one function per question and per change;
//! * `store` — the writer; `reader`, `queries` — what the local interface asks beside it;
//! * `check` — a node's log and store held against each other.

pub(crate) mod beside;
mod check;
pub(crate) mod connection;
mod lock;
pub(crate) mod migrate;
mod names;
mod queries;
mod read;
mod reader;
mod store;
mod write;

#[cfg(test)]
mod tests;

pub use check::CheckReport;
pub use connection::DATABASE_FILE;
pub(crate) use lock::FolderLock;
pub use queries::{Counts, KeptAlarm, ReceiptTime, Touched, WantedAttachment};
pub use reader::SqliteReader;
pub use store::SqliteStore;
