//! Others' catalogs, negotiations and pulls.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use hiwar::api_client::{ApiClient, Format, NodeArgs};
use hiwar_node::data_plane::source::{Fingerprint, MANIFEST_TYPE, Manifest};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::offer::datasets_table;
use super::show::{negotiation_text, retention};
use super::{PartyArgs, segment, with_client};
use crate::commands::{list, print, print_json, text};

/// What a peer offers to this node
#[derive(Debug, clap::Args)]
pub(crate) struct CatalogArgs {
    #[command(flatten)]
    party: PartyArgs,
    /// Only datasets that fit: words of the text, or field=value with the field id, title, keyword or
    /// format; several must all fit
    #[arg(long)]
    filter: Vec<String>,
    /// Most datasets shown
    #[arg(long, default_value_t = 500)]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

/// A filter as the catalog takes it.
fn condition(text: &str) -> Value {
    match text.split_once('=') {
        Some((field @ ("id" | "title" | "keyword" | "format" | "text"), value)) => {
            match value.strip_suffix('*') {
                Some(start) if field != "text" => {
                    json!({ "field": field, "operator": "startsWith", "value": start })
                }
                _ => {
                    json!({ "field": field, "operator": if field == "text" { "words" } else { "eq" }, "value": value })
                }
            }
        }
        _ => json!(text),
    }
}

impl CatalogArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        with_client(&self.node, async |client| {
            let peer = self.party.id(&client).await?;
            let filter: Vec<Value> = self.filter.iter().map(|f| condition(f)).collect();
            let mut datasets: Vec<Value> = Vec::new();
            let mut page = Value::Null;
            loop {
                let body =
                    json!({ "peer": peer, "address": self.party.address, "filter": filter, "page": page });
                let found = client.post("/api/v1/data/catalog", &body).await?;
                datasets.extend(list(&found, "/datasets").iter().cloned());
                for problem in list(&found, "/unread") {
                    eprintln!(
                        "left out, because it cannot be read: {}",
                        problem.as_str().unwrap_or_default()
                    );
                }
                page = found["next"].clone();
                if page.is_null() || datasets.len() >= self.limit {
                    break;
                }
            }
            let more = !page.is_null() || datasets.len() > self.limit;
            datasets.truncate(self.limit);
            if self.node.format == Format::Json {
                print_json(&json!({ "participant": peer, "datasets": datasets, "more": more }))?;
            } else {
                print(&datasets_table(&datasets))?;
                if more {
                    eprintln!("There are more; narrow it with --filter or raise --limit.");
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Negotiate a contract for a dataset of a peer
#[derive(Debug, clap::Args)]
pub(crate) struct NegotiateArgs {
    #[command(flatten)]
    party: PartyArgs,
    /// The dataset
    dataset: String,
    /// One of its offers, when there are several
    #[arg(long)]
    offer: Option<String>,
    /// The purpose to state, when the terms ask for one
    #[arg(long)]
    purpose: Option<String>,
    /// The marking to accept, such as TLP:AMBER, when the terms ask for it
    #[arg(long)]
    accept_marking: Option<String>,
    /// How long to wait for the end, in seconds
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    node: NodeArgs,
}

impl NegotiateArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        with_client(&self.node, async |client| {
            let body = json!({
                "peer": self.party.id(&client).await?, "address": self.party.address, "dataset": self.dataset,
                "offer": self.offer, "purpose": self.purpose, "marking": self.accept_marking,
                "wait_ms": self.wait.saturating_mul(1000),
            });
            let made = client.post("/api/v1/data/negotiations", &body).await?;
            let finalized = text(&made, "/state") == "FINALIZED";
            if self.node.format == Format::Json {
                print_json(&made)?;
            } else {
                eprintln!("{}", negotiation_text(&made));
                print(if finalized { text(&made, "/agreement/@id") } else { text(&made, "/pid") })?;
            }
            Ok(if finalized { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

/// Get the data of an agreement
#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// The agreement
    agreement: String,
    /// The file to write, or the folder when a folder was offered; it must not exist
    #[arg(short, long)]
    output: PathBuf,
    /// The purpose to state, when it is another than that of the negotiation
    #[arg(long)]
    purpose: Option<String>,
    /// The marking to accept
    #[arg(long)]
    accept_marking: Option<String>,
    /// A transfer that was begun and broke off
    #[arg(long)]
    transfer: Option<String>,
    /// How long to wait for the provider to start, in seconds
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    node: NodeArgs,
}

impl PullArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if self.output.exists() {
            bail!("{} exists already; choose another name, or move it away", self.output.display());
        }
        with_client(&self.node, async |client| {
            let body = json!({
                "agreement": self.agreement, "purpose": self.purpose, "marking": self.accept_marking,
                "transfer": self.transfer, "wait_ms": self.wait.saturating_mul(1000),
            });
            let made = client.post("/api/v1/data/pulls", &body).await?;
            copy(&client, text(&made, "/transfer"), &self.output).await?;
            if self.node.format == Format::Json {
                print_json(&made)?;
            } else {
                eprintln!("transfer {}: {} bytes", text(&made, "/transfer"), made["bytes"]);
                say_by_when_to_delete(&client, text(&made, "/transfer")).await?;
                print(&format!("{}  {}", text(&made, "/sha256"), self.output.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Have the provider bring the data of an agreement to this node
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The agreement
    agreement: String,
    /// The file to write when all is here; it must not exist
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// The purpose to state, when it is another than that of the negotiation
    #[arg(long)]
    purpose: Option<String>,
    /// The marking to accept
    #[arg(long)]
    accept_marking: Option<String>,
    /// A transfer that was begun before, to wait for
    #[arg(long)]
    transfer: Option<String>,
    /// How long to wait until all is here, in seconds
    #[arg(long, default_value_t = 300)]
    wait: u64,
    #[command(flatten)]
    node: NodeArgs,
}

impl PushArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(output) = self.output.as_ref().filter(|o| o.exists()) {
            bail!("{} exists already; choose another name, or move it away", output.display());
        }
        with_client(&self.node, async |client| {
            let body = json!({
                "agreement": self.agreement, "purpose": self.purpose, "marking": self.accept_marking,
                "transfer": self.transfer, "wait_ms": self.wait.saturating_mul(1000),
            });
            let made = client.post("/api/v1/data/pushes", &body).await?;
            if let Some(output) = &self.output {
                copy(&client, text(&made, "/transfer"), output).await?;
            }
            if self.node.format == Format::Json {
                print_json(&made)?;
            } else {
                eprintln!("transfer {}: {} bytes", text(&made, "/transfer"), made["bytes"]);
                say_by_when_to_delete(&client, text(&made, "/transfer")).await?;
                let to = self.output.as_ref().map_or_else(|| "-".into(), |o| o.display().to_string());
                print(&format!("{}  {to}", text(&made, "/sha256")))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn say_by_when_to_delete(client: &ApiClient, transfer: &str) -> anyhow::Result<()> {
    let kept = client.get(&format!("/api/v1/data/transfers/{}", segment(transfer))).await?;
    if let Some(said) = retention(&kept) {
        eprintln!("{}", said.trim_start());
    }
    Ok(())
}

/// Copies what the node has into a file or folder; nothing half-written stays.
async fn copy(client: &ApiClient, transfer: &str, to: &Path) -> anyhow::Result<()> {
    let mut name = to.file_name().context("the output has no file name")?.to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    let path = format!("/api/v1/data/transfers/{}/content", segment(transfer));
    let answer = client.get_stream(&path).await?;
    let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok());
    let written = if kind == Some(MANIFEST_TYPE) {
        write_folder(client, &path, answer, &partial).await
    } else {
        write(answer, &partial).await
    };
    if let Err(error) = written {
        drop(tokio::fs::remove_file(&partial).await);
        drop(tokio::fs::remove_dir_all(&partial).await);
        return Err(error);
    }
    tokio::fs::rename(&partial, to).await.with_context(|| format!("{} cannot be written", to.display()))
}

/// Copies each file of the manifest; its paths were checked when it was read, and none leads elsewhere.
async fn write_folder(
    client: &ApiClient,
    path: &str,
    manifest: reqwest::Response,
    partial: &Path,
) -> anyhow::Result<()> {
    let manifest = Manifest::read(&manifest.bytes().await.context("the node broke off")?)?;
    tokio::fs::create_dir_all(partial).await.with_context(|| format!("{}", partial.display()))?;
    for file in &manifest.files {
        let to = partial.join(&file.path);
        if let Some(folder) = to.parent() {
            tokio::fs::create_dir_all(folder).await.with_context(|| format!("{}", folder.display()))?;
        }
        write(client.get_stream(&format!("{path}?path={}", segment(&file.path))).await?, &to).await?;
        let print = tokio::task::spawn_blocking(move || Fingerprint::of(&to)).await??;
        if print.sha256 != file.sha256 {
            bail!("{} did not arrive as the node has it; the disk may be failing", file.path);
        }
    }
    Ok(())
}

async fn write(answer: reqwest::Response, partial: &Path) -> anyhow::Result<()> {
    let doing = || format!("{} cannot be written", partial.display());
    let mut file = tokio::fs::File::create(partial).await.with_context(doing)?;
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        file.write_all(&part.context("the node broke off")?).await.with_context(doing)?;
    }
    file.sync_all().await.with_context(doing)?;
    Ok(())
}
