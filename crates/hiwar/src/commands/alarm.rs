//! `hiwar alarm …` and its short form `hiwar alarms`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// Alarms of a running node
#[derive(Debug, clap::Args)]
pub(crate) struct Alarms {
    /// Only those that nobody has acknowledged
    #[arg(long)]
    unacknowledged: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl Alarms {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let path = format!("/api/v1/alarms?limit=1000&unacknowledged={}", self.unacknowledged);
            let alarms = ApiClient::of(&self.node)?.get(&path).await?;
            if self.node.format == Format::Json {
                print_json(&alarms)?;
            } else {
                print(&as_table(list(&alarms, "/alarms")))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn as_table(alarms: &[Value]) -> String {
    let mut rows =
        vec![["ID", "TIME", "CODE", "PEER", "ACKNOWLEDGED", "WHAT"].map(ToOwned::to_owned).to_vec()];
    for item in alarms {
        let cell = |name: &str| text(item, &format!("/alarm/{name}")).to_owned();
        let mut row = vec![item["number"].to_string(), cell("time"), cell("code"), cell("peer")];
        row.extend([who(&item["acknowledged"]), cell("detail")]);
        rows.push(row);
    }
    table(&rows)
}

/// Who acknowledged, for a table.
fn who(acknowledged: &Value) -> String {
    match text(acknowledged, "/by") {
        "" => "-".to_owned(),
        "desk" => format!("desk {}", text(acknowledged, "/desk")),
        by => by.to_owned(),
    }
}

/// Alarms of a running node
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AlarmCommand {
    /// List alarms, oldest first
    List(Alarms),
    /// Note that an alarm was seen to; the alarm stays, with who said so and when
    Acknowledge {
        /// The alarm's number in the list
        id: u64,
        /// What was found and done
        #[arg(long)]
        note: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl AlarmCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(alarms) => alarms.run(),
            Self::Acknowledge { id, note, node } => acknowledge(id, &note, &node),
        }
    }
}

fn acknowledge(id: u64, note: &str, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let path = format!("/api/v1/alarms/{id}/acknowledge");
        let kept = ApiClient::of(node)?.post(&path, &json!({ "note": note })).await?;
        if node.format == Format::Json {
            print_json(&kept)?;
        } else {
            eprintln!("Alarm {id} is acknowledged by {}", who(&kept["acknowledged"]));
        }
        Ok(ExitCode::SUCCESS)
    })
}
