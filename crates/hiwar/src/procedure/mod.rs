//! Procedures on a running node: `hiwar notice`, `hiwar draft` and what goes with them.
//!
//! Everything that leaves goes through [`send`]: the form is read here first, so that a fault is told with
//! file and line; the node says who would read it and whether a second desk must release it; then it is sent.

pub(crate) mod arrangement;
pub(crate) mod commitment;
pub(crate) mod draft;
pub(crate) mod duty;
pub(crate) mod meeting;
pub(crate) mod notice;
pub(crate) mod report;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hiwar_dialogue::entry::ActKind;
use hiwar_form::{Document, Language};
use serde_json::{Value, json};

use crate::commands::dialogue::{WordsArgs, dialogue_id, entry_id, upload};
use crate::commands::{list, print, print_json, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs};

/// How an act is sent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SendArgs {
    /// TLP 2.0 marking
    #[arg(long, default_value = "TLP:AMBER")]
    marking: String,
    #[command(flatten)]
    words: WordsArgs,
    /// A file to attach; may be repeated
    #[arg(long = "attach", value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Media type of the attached files
    #[arg(long, default_value = "application/octet-stream")]
    media_type: String,
    /// Show what would be sent and who would read it, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Send without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl SendArgs {
    pub(crate) fn language(&self) -> Language {
        self.reading.language
    }

    pub(crate) fn node(&self) -> &NodeArgs {
        &self.reading.node
    }
}

/// In which language people are spoken to, and on which node.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadingArgs {
    /// The language of messages: en, ko, ja or ar
    #[arg(long, env = "HIWAR_LANGUAGE", default_value = "en", global = true)]
    pub(crate) language: Language,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// An act, before it is sent.
pub(crate) struct Outgoing {
    pub(crate) kind: ActKind,
    pub(crate) dialogue: String,
    pub(crate) of: Option<String>,
    pub(crate) content: Value,
}

/// Reads a form from a file; `-` is standard input, in JSON.
pub(crate) fn form(file: &Path, language: Language) -> anyhow::Result<Document> {
    let name = file.display().to_string();
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input cannot be read as UTF-8 text")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read as UTF-8 text"))?
    };
    Document::by_name(&name, &text)
        .map_err(|faults| anyhow::anyhow!(faults.say(&hiwar_procedure::MESSAGES, language)))
}

/// The content of an act from a file, read here so that its faults are told with their lines.
pub(crate) fn content(
    file: &Path,
    kind: ActKind,
    about: Option<ActKind>,
    language: Language,
) -> anyhow::Result<Value> {
    let document = form(file, language)?;
    let content = document.value().clone();
    hiwar_procedure::check_form(kind, about, &document.without(&hiwar_procedure::act::COMMON))
        .map_err(|faults| anyhow::anyhow!(faults.say(&hiwar_procedure::MESSAGES, language)))?;
    Ok(content)
}

/// Texts given as LANGUAGE=TEXT.
pub(crate) fn texts_of(given: &[String]) -> anyhow::Result<Value> {
    let pairs = given.iter().map(|given| {
        let (language, text) =
            given.split_once('=').with_context(|| format!("{given:?}: write LANGUAGE=TEXT"))?;
        Ok((language.to_owned(), json!(text)))
    });
    Ok(Value::Object(pairs.collect::<anyhow::Result<_>>()?))
}

/// Sends an act about an entry.
pub(crate) async fn about(
    entry: &str,
    kind: ActKind,
    content: Value,
    sending: &SendArgs,
) -> anyhow::Result<()> {
    let client = ApiClient::of(sending.node())?;
    let (of, dialogue) = entry_in(&client, entry).await?;
    send(&client, sending, Outgoing { kind, dialogue, of: Some(of), content }).await
}

/// Sends an act, or keeps it for a second desk, after showing who would read it.
pub(crate) async fn send(client: &ApiClient, args: &SendArgs, act: Outgoing) -> anyhow::Result<()> {
    let node = &args.reading.node;
    let attachments = upload(client, &args.attach, &args.media_type).await?;
    let mut action = json!({
        "action": "act", "desk": node.desk, "dialogue": act.dialogue, "marking": args.marking,
        "kind": act.kind, "of": act.of, "content": act.content, "attachments": attachments,
    });
    if let (Some(action), Value::Object(words)) = (action.as_object_mut(), args.words.read()?) {
        action.extend(words);
    }
    let passage = post(client, "/api/v1/acts/check", &action, args.reading.language).await?;
    show_passage(&passage, &act.content);
    if args.dry_run {
        return if node.format == Format::Json { print_json(&passage) } else { Ok(()) };
    }
    if !args.yes && !confirmed()? {
        bail!("nothing was sent");
    }
    if passage["needs_release"] == json!(true) {
        let made = post(client, "/api/v1/drafts", &action, args.reading.language).await?;
        if node.format == Format::Json {
            return print_json(&made);
        }
        return print(&format!(
            "draft {} waits for a second desk: hiwar draft release {}",
            made["draft"], made["draft"]
        ));
    }
    let made = post(client, "/api/v1/entries", &action, args.reading.language).await?;
    if node.format == Format::Json { print_json(&made) } else { print(text(&made, "/entry")) }
}

/// Posts, and tells refusals in the reader's language.
async fn post(client: &ApiClient, path: &str, body: &Value, language: Language) -> anyhow::Result<Value> {
    client.post(path, body).await.map_err(|error| match error.downcast_ref::<hiwar::api_client::Refusal>() {
        Some(refusal) if !refusal.faults.is_empty() => {
            let pointer = format!("/texts/{language}");
            let lines: Vec<&str> = refusal.faults.iter().map(|fault| text(fault, &pointer)).collect();
            anyhow::anyhow!("{} ({})", lines.join("\n"), refusal.code)
        }
        _ => error,
    })
}

/// Who would read it, and whether it is meant, on standard error: standard output is for the result.
fn show_passage(passage: &Value, content: &Value) {
    let audience: Vec<&str> = list(passage, "/audience").iter().filter_map(Value::as_str).collect();
    let mut lines = vec![format!("{} to {}", text(passage, "/marking"), audience.join(", "))];
    if let Some(status @ ("Exercise" | "Test")) = content["status"].as_str() {
        lines.push(format!("*** {} ***", status.to_uppercase()));
    }
    if passage["needs_release"] == json!(true) {
        lines.push("a second desk must release it".to_owned());
    }
    eprintln!("{}", lines.join("\n"));
}

/// Asks on a terminal; elsewhere whoever runs the command has decided already.
fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    eprint!("Send? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The procedures of a dialogue.
pub(crate) async fn procedures(client: &ApiClient, dialogue: &str) -> anyhow::Result<Value> {
    let id = dialogue_id(client, dialogue).await?;
    client.get(&format!("/api/v1/dialogues/{id}/procedures")).await
}

/// An entry with the dialogue that it stands in.
pub(crate) async fn entry_in(client: &ApiClient, entry: &str) -> anyhow::Result<(String, String)> {
    let id = entry_id(client, entry).await?;
    let found = client.get(&format!("/api/v1/entries/{id}")).await?;
    let dialogue = text(&found, "/entry/dialogue");
    // The entry that opens a dialogue names none: it is its own.
    let dialogue = if dialogue.is_empty() { id.clone() } else { dialogue.to_owned() };
    Ok((id, dialogue))
}

/// A text in the reader's language, or in the first one there is.
pub(crate) fn in_language(texts: &Value, language: Language) -> &str {
    let chosen = texts.get(language.as_str()).and_then(Value::as_str);
    let first = || texts.as_object().and_then(|all| all.values().next()).and_then(Value::as_str);
    chosen.or_else(first).unwrap_or_default()
}
