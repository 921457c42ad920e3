//! What the command, its demo, its bench and its tests share: a client of the local API, and nodes
//! run as processes of their own.

pub mod api_client;
pub mod node_process;
