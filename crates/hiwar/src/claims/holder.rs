//! The holder's commands: list, request, requests, import.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};
use serde_json::{Value, json};

use crate::commands::{list, print, print_json, table, text};

/// Most bytes of a file with a credential.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a holder does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum HolderCommand {
    /// Credentials that this node holds, and those that issuers offer to it
    List {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Ask an issuer for a credential; it comes when the issuer has decided
    Request {
        /// The issuer's DID, such as did:web:authority.example
        issuer: String,
        /// The type of the credential, such as MembershipCredential
        #[arg(value_name = "TYPE")]
        kind: String,
        /// How it is to be written (vc20-bssl/jwt or vc11-sl2021/jwt; the first where the issuer has it)
        #[arg(long)]
        profile: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// What this node asked issuers for, and what became of it
    Requests {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Keep a credential from a file: one about this participant, signed by its issuer
    Import {
        /// The file: the credential as a token (JWT), and nothing else
        file: PathBuf,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl HolderCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { node } => held(&node),
            Self::Request { issuer, kind, profile, node } => {
                request(&issuer, &kind, profile.as_deref(), &node)
            }
            Self::Requests { node } => requests(&node),
            Self::Import { file, node } => import(&file, &node),
        }
    }
}

fn rows(head: &[&str]) -> Vec<Vec<String>> {
    vec![head.iter().map(ToString::to_string).collect()]
}

fn words(item: &Value, pointer: &str) -> String {
    let words: Vec<&str> = list(item, pointer).iter().filter_map(Value::as_str).collect();
    words.join(",")
}

/// Seconds since 1970 as a time for people.
fn time(item: &Value, pointer: &str) -> String {
    let seconds = item.pointer(pointer).and_then(Value::as_i64);
    let time = seconds.and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

fn held(node: &NodeArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = ApiClient::of(node)?;
        let held = client.get("/api/v1/claims/credentials").await?;
        let offered = client.get("/api/v1/claims/offered").await?;
        if node.format == Format::Json {
            let (held, offered) = (list(&held, "/credentials"), list(&offered, "/offers"));
            print_json(&json!({ "credentials": held, "offers": offered }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut shown = rows(&["CREDENTIAL", "TYPE", "ISSUER", "PROFILE", "UNTIL", "HOLDS", "SHOWN"]);
        let yes = |item: &Value, pointer: &str| match item.pointer(pointer) {
            Some(Value::Bool(true)) => "yes".to_owned(),
            _ => "no".to_owned(),
        };
        for item in list(&held, "/credentials") {
            let name = text(item, "/name").chars().take(12).collect();
            let (kind, until) = (words(item, "/types"), time(item, "/until"));
            let (issuer, profile) = (text(item, "/issuer").to_owned(), text(item, "/profile").to_owned());
            shown.push(vec![name, kind, issuer, profile, until, yes(item, "/holds"), yes(item, "/shown")]);
        }
        print(&table(&shown))?;
        let mut waiting = rows(&["OFFERED", "ISSUER", "CAME", "WHY"]);
        for offer in list(&offered, "/offers") {
            for item in list(offer, "/credentials") {
                let kind = item["kind"].as_str().or_else(|| item["id"].as_str()).unwrap_or_default();
                let (issuer, came) = (text(offer, "/issuer").to_owned(), text(offer, "/came").to_owned());
                waiting.push(vec![kind.to_owned(), issuer, came, text(item, "/reason").to_owned()]);
            }
        }
        if waiting.len() > 1 {
            print(&table(&waiting))?;
            eprintln!("Take an offer with: hiwar claims request ISSUER TYPE");
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn request(issuer: &str, kind: &str, profile: Option<&str>, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let body = json!({ "issuer": issuer, "type": kind, "profile": profile });
        let asked = ApiClient::of(node)?.post("/api/v1/claims/requests", &body).await?;
        if node.format == Format::Json {
            print_json(&asked)?;
        } else {
            match (text(&asked, "/state"), text(&asked, "/reason")) {
                ("failed", reason) => eprintln!("{issuer} did not take the request: {reason}"),
                ("asking", reason) => eprintln!(
                    "{issuer} did not answer ({reason}); the request may have arrived, so it stays open"
                ),
                (state, _) => eprintln!("The request is {state}; see hiwar claims requests"),
            }
            print(text(&asked, "/holder_pid"))?;
        }
        Ok(if text(&asked, "/state") == "failed" { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

fn requests(node: &NodeArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let asked = ApiClient::of(node)?.get("/api/v1/claims/requests").await?;
        if node.format == Format::Json {
            print_json(&asked)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut shown = rows(&["REQUEST", "TYPE", "ISSUER", "STATE", "CHANGED", "WHY"]);
        for item in list(&asked, "/requests") {
            let cell = |name: &str| text(item, &format!("/{name}")).to_owned();
            shown.push(vec![
                cell("holder_pid"),
                words(item, "/types"),
                cell("issuer"),
                cell("state"),
                cell("changed"),
                cell("reason"),
            ]);
        }
        print(&table(&shown))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn import(file: &Path, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::metadata(file).with_context(|| format!("{} cannot be read", file.display()))?.len();
    anyhow::ensure!(bytes <= FILE_BYTES_MAX, "{} is larger than any credential", file.display());
    let credential =
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    block_on(async {
        let body = json!({ "credential": credential.trim() });
        let kept = ApiClient::of(node)?.post("/api/v1/claims/credentials", &body).await?;
        if node.format == Format::Json {
            print_json(&kept)?;
        } else {
            eprintln!("The credential is kept");
            print(text(&kept, "/name"))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
