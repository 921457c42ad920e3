//! The file and its schema.

use crate::sqlite::beside::Beside;
use crate::sqlite::migrate::Migration;

/// The dataspace's file in a node's folder.
pub const DATASPACE_FILE: &str = "dataspace.db";

/// The file. It holds access tokens and keys of data sources.
pub(crate) const DATASPACE: Beside = Beside { name: DATASPACE_FILE, migrations: MIGRATIONS };

/// All steps of the schema, oldest first.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../../migrations/dataspace/0001_first.sql") },
    Migration {
        version: 2,
        name: "text_index",
        sql: include_str!("../../migrations/dataspace/0002_text_index.sql"),
    },
    Migration {
        version: 3,
        name: "retention",
        sql: include_str!("../../migrations/dataspace/0003_retention.sql"),
    },
    Migration {
        version: 4,
        name: "issuance",
        sql: include_str!("../../migrations/dataspace/0004_issuance.sql"),
    },
];
