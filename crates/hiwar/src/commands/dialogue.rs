//! `hiwar dialogue …`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on, complete};

/// What an entry says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WordsArgs {
    /// The text in a language, as LANGUAGE=TEXT such as en="We ask for…"; may be repeated for parallel texts
    #[arg(long = "text", value_name = "LANGUAGE=TEXT")]
    texts: Vec<String>,
    /// The text in a language from a UTF-8 file, as LANGUAGE=FILE
    #[arg(long = "text-file", value_name = "LANGUAGE=FILE")]
    text_files: Vec<String>,
    /// The language whose text prevails when the texts differ
    #[arg(long)]
    prevailing: Option<String>,
}

impl WordsArgs {
    pub(crate) fn read(&self) -> anyhow::Result<Value> {
        let mut texts = BTreeMap::new();
        for given in &self.texts {
            let (language, text) = given
                .split_once('=')
                .with_context(|| format!("--text {given:?}: write LANGUAGE=TEXT, such as en=\"…\""))?;
            texts.insert(language.to_owned(), text.to_owned());
        }
        for given in &self.text_files {
            let (language, file) = given.split_once('=').with_context(|| {
                format!("--text-file {given:?}: write LANGUAGE=FILE, such as en=note.txt")
            })?;
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{file} cannot be read as UTF-8 text"))?;
            texts.insert(language.to_owned(), text.trim_end().to_owned());
        }
        let mut words = json!({ "texts": texts });
        if let (Some(language), Some(object)) = (&self.prevailing, words.as_object_mut()) {
            object.insert("prevailing".into(), json!(language));
        }
        Ok(words)
    }
}

/// Dialogues on a running node
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DialogueCommand {
    /// Open a dialogue; it is open when all parties have assented
    Open {
        /// What it is about, as LANGUAGE=TEXT; may be repeated
        #[arg(long = "title", required = true, value_name = "LANGUAGE=TEXT")]
        titles: Vec<String>,
        /// Another party; may be repeated
        #[arg(long = "with", required = true, value_name = "DID")]
        with: Vec<String>,
        /// The arrangement it stands under
        #[arg(long)]
        arrangement: String,
        /// The most restricted marking allowed in it
        #[arg(long, default_value = "TLP:AMBER")]
        cap: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List dialogues
    List {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show a dialogue: who said what, and when each party provably knew
    Show {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The language to show where there are several
        #[arg(long, default_value = "en")]
        language: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Say something
    Say {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        words: WordsArgs,
        /// TLP 2.0 marking
        #[arg(long, default_value = "TLP:AMBER")]
        marking: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Hand over files
    Attach {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Media type of the files
        #[arg(long, default_value = "application/octet-stream")]
        media_type: String,
        #[command(flatten)]
        words: WordsArgs,
        /// TLP 2.0 marking
        #[arg(long, default_value = "TLP:AMBER")]
        marking: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Put an own entry right; both stay
    Correct {
        /// The entry
        entry: String,
        #[command(flatten)]
        words: WordsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take an own entry back; it stays readable
    Withdraw {
        /// The entry
        entry: String,
        #[command(flatten)]
        words: WordsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Contradict another party's entry; both versions stand side by side
    Dispute {
        /// The entry
        entry: String,
        #[command(flatten)]
        words: WordsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take note of another party's entry, as a desk
    Ack {
        /// The entry
        entry: String,
        #[command(flatten)]
        words: WordsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Propose another membership
    Members {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// All parties from then on; may be repeated
        #[arg(long = "party", required = true, value_name = "DID")]
        parties: Vec<String>,
        /// The cap from then on
        #[arg(long, default_value = "TLP:AMBER")]
        cap: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Assent to a membership
    Assent {
        /// The dialogue or the membership entry
        of: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Decline a membership
    Refuse {
        /// The dialogue or the membership entry
        of: String,
        #[command(flatten)]
        words: WordsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl DialogueCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Open { titles, with, arrangement, cap, node } => {
                let title = WordsArgs { texts: titles, text_files: Vec::new(), prevailing: None }.read()?;
                let body = json!({
                    "desk": node.desk, "title": title["texts"], "with": with, "arrangement": arrangement, "cap": cap,
                });
                let made = ApiClient::of(&node)?.post("/api/v1/dialogues", &body).await?;
                told(&made, "dialogue", node.format)
            }
            Self::List { node } => list_all(&node).await,
            Self::Show { dialogue, language, node } => show(&dialogue, &language, &node).await,
            Self::Say { dialogue, words, marking, node } => {
                let client = ApiClient::of(&node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                act(&client, &node, "say", json!({ "dialogue": dialogue, "marking": marking }), words.read()?)
                    .await
            }
            Self::Attach { dialogue, files, media_type, words, marking, node } => {
                let client = ApiClient::of(&node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                let attachments = upload(&client, &files, &media_type).await?;
                let what = json!({ "dialogue": dialogue, "marking": marking, "attachments": attachments });
                act(&client, &node, "say", what, words.read()?).await
            }
            Self::Correct { entry, words, node } => about(&node, "correct", &entry, words.read()?).await,
            Self::Withdraw { entry, words, node } => about(&node, "withdraw", &entry, words.read()?).await,
            Self::Dispute { entry, words, node } => about(&node, "dispute", &entry, words.read()?).await,
            Self::Ack { entry, words, node } => about(&node, "ack", &entry, words.read()?).await,
            Self::Members { dialogue, parties, cap, node } => {
                let client = ApiClient::of(&node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                act(
                    &client,
                    &node,
                    "members",
                    json!({ "dialogue": dialogue, "parties": parties, "cap": cap }),
                    json!({}),
                )
                .await
            }
            Self::Assent { of, node } => about(&node, "assent", &of, json!({})).await,
            Self::Refuse { of, words, node } => about(&node, "refuse", &of, words.read()?).await,
        }
    }
}

fn told(made: &Value, member: &str, format: Format) -> anyhow::Result<()> {
    if format == Format::Json { print_json(made) } else { print(text(made, &format!("/{member}"))) }
}

async fn act(
    client: &ApiClient,
    node: &NodeArgs,
    action: &str,
    what: Value,
    words: Value,
) -> anyhow::Result<()> {
    let mut body = json!({ "action": action, "desk": node.desk });
    for part in [what, words] {
        if let (Some(body), Value::Object(part)) = (body.as_object_mut(), part) {
            body.extend(part);
        }
    }
    let made = client.post("/api/v1/entries", &body).await?;
    told(&made, "entry", node.format)
}

async fn about(node: &NodeArgs, action: &str, entry: &str, words: Value) -> anyhow::Result<()> {
    let client = ApiClient::of(node)?;
    let entry = entry_id(&client, entry).await?;
    act(&client, node, action, json!({ "of": entry }), words).await
}

pub(crate) async fn upload(
    client: &ApiClient,
    files: &[PathBuf],
    media_type: &str,
) -> anyhow::Result<Vec<Value>> {
    let mut attachments = Vec::with_capacity(files.len());
    for file in files {
        let name = file
            .file_name()
            .and_then(|n| n.to_str())
            .with_context(|| format!("{} has no file name", file.display()))?;
        let stored = client.upload(file).await.with_context(|| file.display().to_string())?;
        attachments.push(json!({ "name": name, "mediaType": media_type, "size": stored["size"], "sha256": stored["sha256"] }));
    }
    Ok(attachments)
}

async fn all_dialogues(client: &ApiClient) -> anyhow::Result<Vec<Value>> {
    Ok(list(&client.get("/api/v1/dialogues").await?, "/dialogues").to_vec())
}

/// The full identifier of a dialogue from its first digits.
pub(crate) async fn dialogue_id(client: &ApiClient, prefix: &str) -> anyhow::Result<String> {
    if prefix.len() == 64 {
        return Ok(prefix.to_owned());
    }
    let ids: Vec<String> = all_dialogues(client).await?.iter().map(|d| text(d, "/id").to_owned()).collect();
    complete(prefix, &ids, "dialogue")
}

/// The full identifier of an entry from its first digits, looked for in all dialogues.
pub(crate) async fn entry_id(client: &ApiClient, prefix: &str) -> anyhow::Result<String> {
    if prefix.len() == 64 {
        return Ok(prefix.to_owned());
    }
    if prefix.len() < 6 {
        bail!("give at least 6 digits of the entry's identifier");
    }
    let mut ids = Vec::new();
    for dialogue in all_dialogues(client).await? {
        for entry in all_entries(client, text(&dialogue, "/id")).await? {
            ids.push(text(&entry, "/entry/id").to_owned());
        }
    }
    complete(prefix, &ids, "entry")
}

/// All entries of a dialogue, in the order in which the node took them.
pub(crate) async fn all_entries(client: &ApiClient, dialogue: &str) -> anyhow::Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = client.get(&format!("/api/v1/dialogues/{dialogue}/entries?after={after}")).await?;
        entries.extend_from_slice(list(&page, "/entries"));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return Ok(entries),
        }
    }
}

async fn list_all(node: &NodeArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(node)?;
    let dialogues = all_dialogues(&client).await?;
    if node.format == Format::Json {
        return print_json(&json!({ "dialogues": dialogues }));
    }
    let mut rows =
        vec![["DIALOGUE", "STATE", "ENTRIES", "CAP", "PARTIES", "TITLE"].map(ToOwned::to_owned).to_vec()];
    for dialogue in &dialogues {
        let state = if dialogue["open"] == json!(true) { "open" } else { "awaiting assent" };
        let title = dialogue["title"].as_object().and_then(|t| t.get("en").or_else(|| t.values().next()));
        rows.push(vec![
            text(dialogue, "/id").chars().take(12).collect(),
            state.to_owned(),
            dialogue["entries"].to_string(),
            text(dialogue, "/cap").to_owned(),
            list(dialogue, "/parties").len().to_string(),
            title.and_then(Value::as_str).unwrap_or_default().to_owned(),
        ]);
    }
    print(&table(&rows))
}

async fn show(prefix: &str, language: &str, node: &NodeArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(node)?;
    let id = dialogue_id(&client, prefix).await?;
    let dialogue = client.get(&format!("/api/v1/dialogues/{id}")).await?;
    let entries = all_entries(&client, &id).await?;
    if node.format == Format::Json {
        return print_json(&json!({ "dialogue": dialogue, "entries": entries }));
    }
    print(&render(&dialogue, &entries, language))
}

/// A dialogue as people read it.
pub(crate) fn render(dialogue: &Value, entries: &[Value], language: &str) -> String {
    let mut out = vec![format!("Dialogue {}", text(dialogue, "/id"))];
    for party in list(dialogue, "/parties") {
        out.push(format!("  party  {}", party.as_str().unwrap_or_default()));
    }
    if dialogue["open"] != json!(true) {
        for waiting in list(dialogue, "/waiting_for") {
            out.push(format!("  still to assent: {}", waiting.as_str().unwrap_or_default()));
        }
    }
    for item in entries {
        out.push(String::new());
        out.push(render_entry(item, language));
    }
    out.join("\n")
}

fn render_entry(item: &Value, language: &str) -> String {
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let kind = text(item, "/entry/type").trim_start_matches("org.hiwar.").trim_end_matches(".v1");
    let mut lines = vec![format!(
        "{}  {}  {}  {} / {}  {}",
        short(text(item, "/entry/id")),
        text(item, "/entry/time"),
        kind,
        text(item, "/entry/source"),
        text(item, "/entry/desk"),
        text(item, "/entry/marking"),
    )];
    let of = text(item, "/entry/data/of");
    if !of.is_empty() {
        lines.push(format!("    about {}", short(of)));
    }
    let texts = item
        .pointer("/entry/data/texts")
        .or_else(|| item.pointer("/entry/data/title"))
        .and_then(Value::as_object);
    if let Some(texts) = texts {
        let chosen = texts.get_key_value(language).or_else(|| texts.iter().next());
        if let Some((tag, words)) = chosen {
            let others: Vec<&str> = texts.keys().filter(|t| *t != tag).map(String::as_str).collect();
            for line in words.as_str().unwrap_or_default().lines() {
                lines.push(format!("    {line}"));
            }
            if !others.is_empty() {
                lines.push(format!("    [{tag}; also in {}]", others.join(", ")));
            }
        }
    }
    for file in list(item, "/entry/attachments") {
        lines.push(format!(
            "    file {} ({} bytes, sha256 {})",
            text(file, "/name"),
            file["size"],
            short(text(file, "/sha256"))
        ));
    }
    for known in list(item, "/known_by") {
        lines.push(format!("    held by {} at {}", text(known, "/peer"), text(known, "/time")));
    }
    for (member, words) in [("/disputed_by", "contradicted by"), ("/corrected_by", "corrected by")] {
        for id in list(item, member) {
            lines.push(format!("    {words} {}", short(id.as_str().unwrap_or_default())));
        }
    }
    if !text(item, "/withdrawn_by").is_empty() {
        lines.push(format!("    withdrawn by {}", short(text(item, "/withdrawn_by"))));
    }
    for (peer, _) in item["acknowledged_by"].as_object().into_iter().flatten() {
        lines.push(format!("    acknowledged by {peer}"));
    }
    if !text(item, "/void").is_empty() {
        lines.push(format!("    without effect: {}", text(item, "/void")));
    }
    lines.join("\n")
}
