//! What a connector of the dataspace keeps, in a SQLite file of its own beside the node's store.
//!
//! * `store` — the writer: many jobs in one transaction, each of which can fail by itself;
//! * `transaction` — one job: the connector's [`Ledger`](hiwar_dataspace::ledger::Ledger), and changes
//!   to the datasets offered;
//! * `reader` — what is asked beside the writer; `catalog` — pages of datasets; `list` — pages of
//!   negotiations, transfers and agreements for people;
//! * `issuance` — credentials that this node issues, and who asked for them.

mod catalog;
mod issuance;
mod list;
mod reader;
mod schema;
mod store;
mod text;
mod transaction;

#[cfg(test)]
mod tests;

pub use catalog::{Page, Policies};
pub use issuance::{Issuance, IssuanceState, IssuedCredential, Wanted};
pub use list::{ContractFilter, Listed, ProcessFilter};
pub use reader::{DataspaceReader, Due, ProcessKind, WaitingNote};
pub(crate) use schema::DATASPACE;
pub use schema::DATASPACE_FILE;
pub use store::DataspaceStore;
pub use transaction::Tx;
