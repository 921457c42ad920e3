//! `hiwar duty …`

use std::process::ExitCode;

use serde_json::Value;

use super::{ReadingArgs, in_language};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Who must do what by when, after the clocks of arrangements
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DutyCommand {
    /// List what is to be done
    List {
        /// One dialogue only
        #[arg(long)]
        dialogue: Option<String>,
        /// Also what was done
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// List reminders, ends of terms and escalations that were told
    Told {
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl DutyCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::List { dialogue, all, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let mut path = format!("/api/v1/duties?all={all}");
                if let Some(dialogue) = dialogue {
                    path.push_str(&format!("&dialogue={}", dialogue_id(&client, &dialogue).await?));
                }
                let duties = client.get(&path).await?;
                if reading.node.format == Format::Json {
                    return print_json(&duties);
                }
                let heads = ["STATE", "DUE", "OWNER", "BODY", "ABOUT", "WHAT", "SOURCE"];
                let mut rows = vec![heads.map(str::to_owned).to_vec()];
                for duty in list(&duties, "/duties") {
                    rows.push(row(duty, &reading));
                }
                print(&table(&rows))
            }
            Self::Told { reading } => {
                let stages = ApiClient::of(&reading.node)?.get("/api/v1/stages").await?;
                if reading.node.format == Format::Json {
                    return print_json(&stages);
                }
                let heads = ["TOLD", "AT", "STAGE", "CLOCK", "OWNER", "DIALOGUE"];
                let mut rows = vec![heads.map(str::to_owned).to_vec()];
                for stage in list(&stages, "/stages") {
                    let kind = [text(stage, "/duty/stage/kind"), text(stage, "/duty/stage/body")].join(" ");
                    rows.push(vec![
                        text(stage, "/told").to_owned(),
                        text(stage, "/at").to_owned(),
                        kind.trim().to_owned(),
                        text(stage, "/duty/clock").to_owned(),
                        text(stage, "/duty/owner").to_owned(),
                        text(stage, "/dialogue").chars().take(12).collect(),
                    ]);
                }
                print(&table(&rows))
            }
        }
    }
}

fn row(duty: &Value, reading: &ReadingArgs) -> Vec<String> {
    let drill = match text(duty, "/status") {
        "Actual" => "",
        _ => " (exercise)",
    };
    let owner = match text(duty, "/owner") {
        "" => "any party",
        owner => owner,
    };
    let source = [text(duty, "/source/title"), text(duty, "/source/clause")].join(" ");
    vec![
        format!("{}{drill}", text(duty, "/state/state")),
        text(duty, "/due").to_owned(),
        owner.to_owned(),
        text(duty, "/body").to_owned(),
        text(duty, "/subject").chars().take(12).collect(),
        in_language(&duty["title"], reading.language).to_owned(),
        source.trim().to_owned(),
    ]
}
