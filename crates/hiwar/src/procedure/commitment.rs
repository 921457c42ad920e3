//! `hiwar commitment …`

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_dialogue::entry::ActKind;
use serde_json::{Value, json};

use super::{Outgoing, ReadingArgs, SendArgs, content, entry_in, in_language, procedures, send, texts_of};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Commitments: who undertakes what by when, with evidence, confirmed by both sides
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CommitmentCommand {
    /// Propose a commitment by itself; those of minutes come with them
    Propose {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The form, in TOML or JSON
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// A step: accept, refuse, progress, done, accept-done, reject-done, withdraw, supersede
    Step {
        /// The commitment, as `list` shows it
        commitment: String,
        /// The step
        step: String,
        /// For progress and reject-done: what there is to say, as LANGUAGE=TEXT; may be repeated
        #[arg(long = "say", value_name = "LANGUAGE=TEXT")]
        texts: Vec<String>,
        /// For progress: how far it is, in per cent
        #[arg(long)]
        percent: Option<u32>,
        /// For done: an entry that shows it; may be repeated. Files are given with --attach
        #[arg(long)]
        evidence: Vec<String>,
        /// For supersede: the commitment in its place
        #[arg(long)]
        by: Option<String>,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// List the commitments of a dialogue
    List {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Print what was agreed and what came of it
    FollowUp {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// One body only
        #[arg(long)]
        body: Option<String>,
        /// text, csv, html or json
        #[arg(long = "as", default_value = "text")]
        form: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Print the commitments as iCalendar to-dos
    Calendar {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl CommitmentCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Propose { dialogue, form, sending } => {
                let content = content(&form, ActKind::Commitment, None, sending.language())?;
                let client = ApiClient::of(sending.node())?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                send(&client, &sending, Outgoing { kind: ActKind::Commitment, dialogue, of: None, content })
                    .await
            }
            Self::Step { commitment, step, texts, percent, evidence, by, sending } => {
                let client = ApiClient::of(sending.node())?;
                let (entry, within) = match commitment.split_once('/') {
                    Some((entry, within)) => (entry, Some(within)),
                    None => (commitment.as_str(), None),
                };
                let (of, dialogue) = entry_in(&client, entry).await?;
                let mut content = json!({ "step": step });
                let mut set = |name: &str, value: Option<Value>| {
                    if let (Some(value), Some(members)) = (value, content.as_object_mut()) {
                        members.insert(name.to_owned(), value);
                    }
                };
                set("commitment", within.map(Value::from));
                set("texts", if texts.is_empty() { None } else { Some(texts_of(&texts)?) });
                set("percent", percent.map(Value::from));
                set("by", by.map(Value::from));
                let mut shown = Vec::new();
                for entry in &evidence {
                    shown.push(entry_in(&client, entry).await?.0);
                }
                set("evidence", (!shown.is_empty()).then(|| json!(shown)));
                send(&client, &sending, Outgoing { kind: ActKind::Step, dialogue, of: Some(of), content })
                    .await
            }
            Self::List { dialogue, reading } => list_all(&dialogue, &reading).await,
            Self::FollowUp { dialogue, body, form, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                let body = body.map(|body| format!("&body={body}")).unwrap_or_default();
                let path = format!(
                    "/api/v1/dialogues/{dialogue}/follow-up?format={form}&language={}{body}",
                    reading.language
                );
                print(client.get_stream(&path).await?.text().await?.trim_end())
            }
            Self::Calendar { dialogue, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                let path = format!(
                    "/api/v1/dialogues/{dialogue}/commitments/calendar?language={}",
                    reading.language
                );
                print(client.get_stream(&path).await?.text().await?.trim_end())
            }
        }
    }
}

async fn list_all(dialogue: &str, reading: &ReadingArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let state = procedures(&client, dialogue).await?;
    if reading.node.format == Format::Json {
        let shown =
            json!({ "commitments": state["commitments"], "overdue": state["overdue"], "due": state["due"] });
        return print_json(&shown);
    }
    let overdue: Vec<&str> = list(&state, "/overdue").iter().filter_map(Value::as_str).collect();
    let mut rows = vec![["COMMITMENT", "OWNER", "PHASE", "DUE", "WHAT"].map(str::to_owned).to_vec()];
    for (id, commitment) in state["commitments"].as_object().into_iter().flatten() {
        let late = if overdue.contains(&id.as_str()) { " OVERDUE" } else { "" };
        let due = state["due"].get(id).and_then(Value::as_str).unwrap_or_default();
        rows.push(vec![
            id.clone(),
            text(commitment, "/terms/owner").to_owned(),
            format!("{}{late}", text(commitment, "/phase")),
            due.to_owned(),
            in_language(&commitment["terms"]["texts"], reading.language).to_owned(),
        ]);
    }
    print(&table(&rows))
}
