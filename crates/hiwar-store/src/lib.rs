//! Durable state: the Store trait, its SQLite adapter and the attachment folder
