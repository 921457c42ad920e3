//! Backups of a running node. Keys are not part of a backup: they are kept apart, in a safe.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::now;
use crate::node::Shared;

/// Copies store and files to the new folder `to` while the node runs.
pub(crate) async fn take(shared: &Arc<Shared>, to: PathBuf) -> Result<Value, String> {
    let checkpoint = shared.writer.query(|engine, _| engine.checkpoint()).await.map_err(|e| e.to_string())?;
    let checkpoint = checkpoint.map_err(|e| e.to_string())?;
    let dir = shared.dir.clone();
    let time = now().to_string();
    let destination = to.clone();
    let shown = checkpoint.to_string();
    tokio::task::spawn_blocking(move || hiwar_store::backup::backup(&dir, &destination, &time, &shown))
        .await
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    Ok(json!({
        "backup": to,
        "log": checkpoint.origin(),
        "at_least_leaves": checkpoint.size(),
        "keys_included": false,
    }))
}
