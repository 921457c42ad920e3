//! `hiwar meeting …` and `hiwar minutes …`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_dialogue::entry::ActKind;
use serde_json::{Value, json};

use super::{
    Outgoing, ReadingArgs, SendArgs, about, content, entry_in, in_language, procedures, send, texts_of,
};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Meetings: convened, answered, moved, held; the next agenda; calendar files
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MeetingCommand {
    /// Convene a meeting
    Convene {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The form, in TOML or JSON
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Change date or agenda of an own meeting: the whole form again, with the next sequence
    Move {
        /// The meeting
        meeting: String,
        /// The form
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// A step: accept, decline, tentative, cancel
    Step {
        /// The meeting
        meeting: String,
        /// The step
        step: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Propose another time
    Counter {
        /// The meeting
        meeting: String,
        /// When it would begin (RFC 3339 in UTC with milliseconds)
        #[arg(long)]
        starts: String,
        /// When it would end
        #[arg(long)]
        ends: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Take another party's proposal of a time; then move the meeting
    TakeCounter {
        /// The meeting
        meeting: String,
        /// The step that proposed it
        counter: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Tell that it took place
    Held {
        /// The meeting
        meeting: String,
        /// How many persons of a party were there, as CODE=NUMBER; may be repeated
        #[arg(long = "attendance", required = true, value_name = "CODE=NUMBER")]
        attendance: Vec<String>,
        /// When it began (RFC 3339 in UTC with milliseconds)
        #[arg(long)]
        starts: String,
        /// When it ended
        #[arg(long)]
        ends: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Ask for an item on the agenda
    ProposeItem {
        /// The meeting
        meeting: String,
        /// Its short name
        #[arg(long)]
        id: String,
        /// The party that asks, by its code
        #[arg(long)]
        submitter: String,
        /// What it is called, as LANGUAGE=TEXT; may be repeated
        #[arg(long = "title", required = true, value_name = "LANGUAGE=TEXT")]
        titles: Vec<String>,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// List the meetings of a dialogue
    List {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Write the agenda of a body's next meeting from what is still open
    Agenda {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The body
        #[arg(long)]
        body: String,
        /// When it meets (RFC 3339 in UTC with milliseconds); now when left out
        #[arg(long)]
        starts: Option<String>,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Print a meeting as iCalendar
    Calendar {
        /// The meeting
        meeting: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl MeetingCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Convene { dialogue, form, sending } => {
                let content = content(&form, ActKind::Meeting, None, sending.language())?;
                let client = ApiClient::of(sending.node())?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                send(&client, &sending, Outgoing { kind: ActKind::Meeting, dialogue, of: None, content })
                    .await
            }
            Self::Move { meeting, form, sending } => {
                let content = content(&form, ActKind::Meeting, None, sending.language())?;
                about(&meeting, ActKind::Meeting, content, &sending).await
            }
            Self::Step { meeting, step, sending } => {
                step_on(&meeting, json!({ "step": step }), &sending).await
            }
            Self::Counter { meeting, starts, ends, sending } => {
                step_on(&meeting, json!({ "step": "counter", "starts": starts, "ends": ends }), &sending)
                    .await
            }
            Self::TakeCounter { meeting, counter, sending } => {
                let (counter, _) = entry_in(&ApiClient::of(sending.node())?, &counter).await?;
                step_on(&meeting, json!({ "step": "accept-counter", "of-counter": counter }), &sending).await
            }
            Self::Held { meeting, attendance, starts, ends, sending } => {
                let mut persons = serde_json::Map::new();
                for given in &attendance {
                    let wrong = || format!("--attendance {given:?}: write CODE=NUMBER, such as KR=6");
                    let (code, number) = given.split_once('=').with_context(wrong)?;
                    persons.insert(code.to_owned(), json!(number.parse::<u32>().with_context(wrong)?));
                }
                let held = json!({ "step": "held", "attendance": persons, "starts": starts, "ends": ends });
                step_on(&meeting, held, &sending).await
            }
            Self::ProposeItem { meeting, id, submitter, titles, sending } => {
                let item = json!({ "id": id, "submitter": submitter, "title": texts_of(&titles)? });
                step_on(&meeting, json!({ "step": "propose-item", "item": item }), &sending).await
            }
            Self::List { dialogue, reading } => list_all(&dialogue, &reading).await,
            Self::Agenda { dialogue, body, starts, reading } => {
                agenda(&dialogue, &body, starts.as_deref(), &reading).await
            }
            Self::Calendar { meeting, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let (entry, dialogue) = entry_in(&client, &meeting).await?;
                let path = format!(
                    "/api/v1/dialogues/{dialogue}/meetings/{entry}/calendar?language={}",
                    reading.language
                );
                print(client.get_stream(&path).await?.text().await?.trim_end())
            }
        }
    }
}

/// Sends a step on the convening in force of a meeting.
async fn step_on(meeting: &str, mut content: Value, sending: &SendArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(sending.node())?;
    let (of, dialogue) = entry_in(&client, meeting).await?;
    let state = procedures(&client, &dialogue).await?;
    let found = state.pointer(&format!("/meetings/{of}"));
    let found = found.with_context(|| format!("{of} convened no meeting"))?;
    let sequence = list(found, "/versions").last().map(|version| version["convening"]["sequence"].clone());
    content["sequence"] = sequence.unwrap_or_else(|| json!(0));
    send(&client, sending, Outgoing { kind: ActKind::Step, dialogue, of: Some(of), content }).await
}

async fn list_all(dialogue: &str, reading: &ReadingArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let state = procedures(&client, dialogue).await?;
    if reading.node.format == Format::Json {
        return print_json(&json!({ "meetings": state["meetings"], "minutes": state["minutes"] }));
    }
    let heads = ["MEETING", "STARTS", "STATUS", "PHASE", "BODY", "ANSWERS", "TITLE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (id, meeting) in state["meetings"].as_object().into_iter().flatten() {
        let Some(version) = list(meeting, "/versions").last() else { continue };
        let convening = &version["convening"];
        let answers: Vec<String> = meeting["answers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(party, answer)| format!("{party} {}", text(answer, "/attendance")))
            .collect();
        rows.push(vec![
            id.chars().take(12).collect(),
            text(convening, "/starts").to_owned(),
            text(convening, "/status").to_owned(),
            text(meeting, "/phase").to_owned(),
            text(convening, "/body").to_owned(),
            answers.join(", "),
            in_language(&convening["title"], reading.language).to_owned(),
        ]);
    }
    print(&table(&rows))
}

async fn agenda(
    dialogue: &str,
    body: &str,
    starts: Option<&str>,
    reading: &ReadingArgs,
) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let dialogue = dialogue_id(&client, dialogue).await?;
    let starts = starts.map(|at| format!("&starts={at}")).unwrap_or_default();
    let planned = client.get(&format!("/api/v1/dialogues/{dialogue}/agenda?body={body}{starts}")).await?;
    if reading.node.format == Format::Json {
        return print_json(&planned);
    }
    let lines: Vec<String> = list(&planned, "/agenda")
        .iter()
        .enumerate()
        .map(|(index, one)| {
            format!("{}. {}", index + 1, in_language(&one["item"]["title"], reading.language))
        })
        .collect();
    print(&lines.join("\n"))
}

/// Minutes: drafted, commented, agreed by each party's signature or with a reservation
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MinutesCommand {
    /// Draft the minutes of a meeting, or revise a draft
    Draft {
        /// The meeting, or the draft that is revised
        of: String,
        /// The form, in TOML or JSON
        form: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Comment on a draft
    Comment {
        /// The draft
        draft: String,
        /// The item
        #[arg(long)]
        item: Option<String>,
        /// The comment, as LANGUAGE=TEXT; may be repeated
        #[arg(long = "comment", required = true, value_name = "LANGUAGE=TEXT")]
        comments: Vec<String>,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Agree to a draft
    Agree {
        /// The draft
        draft: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Agree with a reservation that stands beside the minutes
    Reserve {
        /// The draft
        draft: String,
        /// The reservation, as LANGUAGE=TEXT; may be repeated
        #[arg(long = "reservation", required = true, value_name = "LANGUAGE=TEXT")]
        reservations: Vec<String>,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Show the minutes of a dialogue
    Show {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl MinutesCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Draft { of, form, sending } => {
                let content = content(&form, ActKind::Minutes, None, sending.language())?;
                about(&of, ActKind::Minutes, content, &sending).await
            }
            Self::Comment { draft, item, comments, sending } => {
                let mut step = json!({ "step": "comment", "texts": texts_of(&comments)? });
                if let Some(item) = item {
                    step["item"] = json!(item);
                }
                about(&draft, ActKind::Step, step, &sending).await
            }
            Self::Agree { draft, sending } => {
                about(&draft, ActKind::Step, json!({ "step": "agree" }), &sending).await
            }
            Self::Reserve { draft, reservations, sending } => {
                let step = json!({ "step": "reserve", "texts": texts_of(&reservations)? });
                about(&draft, ActKind::Step, step, &sending).await
            }
            Self::Show { dialogue, reading } => {
                let client = ApiClient::of(&reading.node)?;
                let state = procedures(&client, &dialogue).await?;
                if reading.node.format == Format::Json {
                    return print_json(&state["minutes"]);
                }
                let mut lines = Vec::new();
                for minutes in state["minutes"].as_object().into_iter().flat_map(|all| all.values()) {
                    lines.extend(lines_of(minutes, &reading));
                }
                print(&lines.join("\n"))
            }
        }
    }
}

fn lines_of(minutes: &Value, reading: &ReadingArgs) -> Vec<String> {
    let draft = &minutes["current"]["draft"];
    let mut lines = vec![format!(
        "draft {}, revision {}: {}",
        text(minutes, "/current/entry"),
        draft["revision"],
        text(minutes, "/phase")
    )];
    for item in list(draft, "/items") {
        lines.push(format!("  {}: {}", text(item, "/id"), in_language(&item["texts"], reading.language)));
    }
    for decision in list(draft, "/decisions") {
        lines.push(format!(
            "  decision {}: {}",
            text(decision, "/id"),
            in_language(&decision["texts"], reading.language)
        ));
    }
    for (party, agreement) in minutes["current"]["agreements"].as_object().into_iter().flatten() {
        let reservation = in_language(&agreement["reservation"], reading.language);
        let with =
            if reservation.is_empty() { String::new() } else { format!(", with reservation: {reservation}") };
        lines.push(format!("  agreed by {party} at {}{with}", text(agreement, "/at")));
    }
    lines
}
