//! `hiwar draft …`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::ReadingArgs;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Acts that a second desk must release before they leave
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DraftCommand {
    /// List those that wait
    List {
        /// Decided ones too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Show one whole
    Show {
        /// Its number
        draft: i64,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Let one go, as another desk with a token of its own
    Release {
        /// Its number
        draft: i64,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Keep one back for good
    Refuse {
        /// Its number
        draft: i64,
        /// Why
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl DraftCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::List { all, reading } => {
                let drafts = ApiClient::of(&reading.node)?.get(&format!("/api/v1/drafts?all={all}")).await?;
                if reading.node.format == Format::Json {
                    return print_json(&drafts);
                }
                let mut rows = vec![
                    ["DRAFT", "STATE", "DESK", "DRAFTED", "KIND", "DIALOGUE"].map(str::to_owned).to_vec(),
                ];
                for draft in list(&drafts, "/drafts") {
                    let kind = [text(draft, "/action/kind"), text(draft, "/action/content/notice")];
                    rows.push(vec![
                        draft["id"].to_string(),
                        text(draft, "/state").to_owned(),
                        text(draft, "/desk").to_owned(),
                        text(draft, "/drafted").to_owned(),
                        kind.join(" ").trim().to_owned(),
                        text(draft, "/dialogue").chars().take(12).collect(),
                    ]);
                }
                print(&table(&rows))
            }
            Self::Show { draft, reading } => {
                let drafts = ApiClient::of(&reading.node)?.get("/api/v1/drafts?all=true").await?;
                let found = list(&drafts, "/drafts").iter().find(|one| one["id"] == json!(draft));
                print_json(found.ok_or_else(|| anyhow::anyhow!("there is no draft {draft}"))?)
            }
            Self::Release { draft, reading } => decide(draft, "release", None, &reading).await,
            Self::Refuse { draft, note, reading } => decide(draft, "refuse", note, &reading).await,
        }
    }
}

async fn decide(draft: i64, what: &str, note: Option<String>, reading: &ReadingArgs) -> anyhow::Result<()> {
    let body = json!({ "desk": reading.node.desk, "note": note });
    let client = ApiClient::of(&reading.node)?;
    let made: Value =
        super::post(&client, &format!("/api/v1/drafts/{draft}/{what}"), &body, reading.language).await?;
    match (reading.node.format, text(&made, "/entry")) {
        (Format::Json, _) => print_json(&made),
        (Format::Table, "") => print(&format!("draft {draft} was refused")),
        (Format::Table, entry) => print(entry),
    }
}
