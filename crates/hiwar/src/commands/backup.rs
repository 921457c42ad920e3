//! `hiwar backup …`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::print_json;
use hiwar::api_client::{ApiClient, NodeArgs, block_on};

/// Backups
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BackupCommand {
    /// Copy a running node's store and files to a new folder on its machine; keys are not included
    Take {
        /// The new folder
        to: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Put a backup in the place of a stopped node's store; at its next start the node tells its
    /// peers and goes on in a new log
    Restore {
        /// The backup
        backup: PathBuf,
        /// The node's folder, with its keys and configuration
        dir: PathBuf,
    },
    /// Tell the peers of a node that halted because its store is older than what it signed: at
    /// its next start it goes on in a new log
    DeclareRestore {
        /// The node's folder
        dir: PathBuf,
    },
}

impl BackupCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Take { to, node } => block_on(async {
                let to = std::path::absolute(&to)?;
                let report = ApiClient::of(&node)?.post("/api/v1/backup", &json!({ "to": to })).await?;
                print_json(&report)
            })?,
            Self::Restore { backup, dir } => {
                let set_aside = hiwar_node::folder::restore(&dir, &backup)?;
                eprintln!("Restored {} from {}", dir.display(), backup.display());
                if let Some(path) = set_aside {
                    eprintln!("The store that was there is kept in {}", path.display());
                }
                eprintln!("Start the node; it tells its peers and fetches back what it had said since.");
            }
            Self::DeclareRestore { dir } => {
                hiwar_node::folder::mark_restored(&dir)?;
                eprintln!("Start the node; it tells its peers that its log goes on anew.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
