//! `hiwar status` and `hiwar alarms`

use std::process::ExitCode;

use super::{list, print, print_json, table, text};
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

/// Alarms of a running node
#[derive(Debug, clap::Args)]
pub(crate) struct Alarms {
    #[command(flatten)]
    node: NodeArgs,
}

impl Alarms {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let alarms = ApiClient::of(&self.node)?.get("/api/v1/alarms?limit=1000").await?;
            if self.node.format == Format::Json {
                print_json(&alarms)?;
            } else {
                let mut rows = vec![["TIME", "CODE", "PEER", "WHAT"].map(ToOwned::to_owned).to_vec()];
                for item in list(&alarms, "/alarms") {
                    let cell = |name: &str| text(item, &format!("/alarm/{name}")).to_owned();
                    rows.push(vec![cell("time"), cell("code"), cell("peer"), cell("detail")]);
                }
                print(&table(&rows))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
