//! `hiwar log …`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::{print, print_json};
use hiwar::api_client::Format;

/// A node's log
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LogCommand {
    /// Verify a node's log and store against each other; the node may be running
    Check {
        /// The node's folder
        dir: PathBuf,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

impl LogCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Check { dir, format } = self;
        let reader = hiwar_store::SqliteReader::open_backup(&dir)?;
        let report = reader.check()?;
        if format == Format::Json {
            print_json(&json!({
                "ok": report.problems.is_empty(), "leaves": report.leaves, "entries": report.entries,
                "root": report.root, "problems": report.problems,
            }))?;
        } else {
            print(&format!(
                "leaves    {}\nentries   {}\nroot      {}",
                report.leaves, report.entries, report.root
            ))?;
            for problem in &report.problems {
                print(&format!("PROBLEM   {problem}"))?;
            }
            print(if report.problems.is_empty() {
                "Log and store agree."
            } else {
                "Log and store do not agree."
            })?;
        }
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
