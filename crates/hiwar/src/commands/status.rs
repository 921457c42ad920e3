//! `hiwar status`

use std::process::ExitCode;

use super::{print, print_json, table};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// State of a running node
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    node: NodeArgs,
}

impl Status {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let status = ApiClient::of(&self.node)?.get("/api/v1/status").await?;
            if self.node.format == Format::Json {
                print_json(&status)?;
            } else {
                let mut rows = Vec::new();
                for (key, value) in status.as_object().into_iter().flatten() {
                    rows.push(vec![
                        key.clone(),
                        value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned),
                    ]);
                }
                print(&table(&rows))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
