//! `hiwar notice …`

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_dialogue::entry::ActKind;
use hiwar_procedure::notice;
use serde_json::{Value, json};

use super::{Outgoing, ReadingArgs, SendArgs, about, content, entry_in, in_language, procedures, send};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Alerts, information requests, answers, offers of help, requests for an emergency meeting
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NoticeCommand {
    /// Print a form to fill in, in TOML
    Form {
        /// disruption-alert, information-request, answer, offer or emergency-meeting-request
        kind: String,
    },
    /// Check a form without a node
    Check {
        /// The form, in TOML or JSON
        form: PathBuf,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Send a notice
    Send {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The form, in TOML or JSON; `-` is standard input, in JSON
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Answer a notice, offer help on it
    Reply {
        /// The notice
        notice: String,
        /// The form (an answer or an offer)
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Put an own notice right; both stay
    Correct {
        /// The notice
        notice: String,
        /// The right form, whole
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// A step on a notice: take-offer, decline-offer, rise, monitor, close
    Step {
        /// The notice, or the offer
        notice: String,
        /// The step
        step: String,
        /// For `rise`: the body that the matter is for
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// List the notices of a dialogue
    List {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Show a notice: its versions, who has taken note, answers, offers
    Show {
        /// The notice
        notice: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Print a notice as a Common Alerting Protocol 1.2 message
    Cap {
        /// The notice
        notice: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl NoticeCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Form { kind } => {
                let form = notice::blank(&kind);
                print(
                    form.ok_or_else(|| anyhow::anyhow!("there is no notice of the kind {kind:?}"))?
                        .trim_end(),
                )
            }
            Self::Check { form: file, reading } => {
                content(&file, ActKind::Notice, None, reading.language)?;
                print(&format!("{}: no fault", file.display()))
            }
            Self::Send { dialogue, form, sending } => {
                let client = ApiClient::of(&sending.reading.node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                let content = content(&form, ActKind::Notice, None, sending.language())?;
                send(&client, &sending, Outgoing { kind: ActKind::Notice, dialogue, of: None, content }).await
            }
            Self::Reply { notice, form, sending } => {
                let content = content(&form, ActKind::Notice, None, sending.language())?;
                about(&notice, ActKind::Notice, content, &sending).await
            }
            Self::Correct { notice, form, sending } => {
                let mut content = content(&form, ActKind::Notice, None, sending.language())?;
                content["correction"] = json!(true);
                about(&notice, ActKind::Notice, content, &sending).await
            }
            Self::Step { notice, step, to, sending } => {
                let mut content = json!({ "step": step });
                if let Some(to) = to {
                    content["to"] = json!(to);
                }
                about(&notice, ActKind::Step, content, &sending).await
            }
            Self::List { dialogue, reading } => list_all(&dialogue, &reading).await,
            Self::Show { notice, reading } => show(&notice, &reading).await,
            Self::Cap { notice, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let (id, dialogue) = entry_in(&client, &notice).await?;
                let path = format!("/api/v1/dialogues/{dialogue}/notices/{id}/cap");
                let message = client.get_stream(&path).await?.text().await?;
                print(message.trim_end())
            }
        }
    }
}

async fn list_all(dialogue: &str, reading: &ReadingArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let state = procedures(&client, dialogue).await?;
    let notices = state.pointer("/notices/notices").and_then(Value::as_object).cloned().unwrap_or_default();
    if reading.node.format == Format::Json {
        return print_json(&json!({ "notices": notices }));
    }
    let heads = ["NOTICE", "SENT", "STATUS", "KIND", "STAGE", "SEVERITY", "BY", "HEADLINE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let mut all: Vec<&Value> = notices.values().collect();
    all.sort_by_key(|notice| text(notice, "/at").to_owned());
    for notice in all {
        rows.push(vec![
            text(notice, "/id").chars().take(12).collect(),
            text(notice, "/at").to_owned(),
            text(notice, "/notice/status").to_owned(),
            text(notice, "/notice/kind").to_owned(),
            text(notice, "/stage").to_owned(),
            text(notice, "/notice/severity").to_owned(),
            text(notice, "/author").to_owned(),
            in_language(&notice["notice"]["headline"], reading.language).to_owned(),
        ]);
    }
    print(&table(&rows))
}

async fn show(entry: &str, reading: &ReadingArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let (id, dialogue) = entry_in(&client, entry).await?;
    let state = procedures(&client, &dialogue).await?;
    let notices = state.pointer("/notices/notices").and_then(Value::as_object);
    let found = notices.into_iter().flat_map(|all| all.values()).find(|notice| {
        text(notice, "/id") == id || list(notice, "/versions").iter().any(|version| text(version, "/0") == id)
    });
    let Some(found) = found else { anyhow::bail!("{id} is no notice, or it has no effect") };
    if reading.node.format == Format::Json {
        return print_json(found);
    }
    let mut lines = Vec::new();
    if text(found, "/notice/status") != "Actual" {
        lines.push(format!("*** {} ***", text(found, "/notice/status").to_uppercase()));
    }
    lines.push(in_language(&found["notice"]["headline"], reading.language).to_owned());
    lines.push(format!(
        "{} of {}, {}, sent {}; {}",
        text(found, "/notice/kind"),
        text(found, "/author"),
        text(found, "/desk"),
        text(found, "/at"),
        text(found, "/stage"),
    ));
    let scale = ["urgency", "severity", "certainty"].map(|name| text(found, &format!("/notice/{name}")));
    if scale.iter().any(|word| !word.is_empty()) {
        lines.push(scale.join(", "));
    }
    for item in list(found, "/notice/items") {
        lines.push(format!("item {}", item.as_str().unwrap_or_default()));
    }
    for (name, texts) in found["notice"]["case"].as_object().into_iter().flatten() {
        match texts.as_array() {
            Some(pending) => {
                let names: Vec<&str> = pending.iter().filter_map(Value::as_str).collect();
                lines.push(format!("not known yet: {}", names.join(", ")));
            }
            None => lines.push(format!("{name}: {}", in_language(texts, reading.language))),
        }
    }
    for (party, at) in found["acknowledged"].as_object().into_iter().flatten() {
        lines.push(format!("noted by {party} at {}", at.as_str().unwrap_or_default()));
    }
    for reply in list(found, "/replies") {
        let taken = match reply["taken"].as_bool() {
            Some(true) => ", taken",
            Some(false) => ", declined",
            None => "",
        };
        lines.push(format!(
            "{} by {} at {}{taken}: {}",
            text(reply, "/notice/kind"),
            text(reply, "/by"),
            text(reply, "/at"),
            in_language(&reply["notice"]["headline"], reading.language),
        ));
    }
    print(&lines.join("\n"))
}
