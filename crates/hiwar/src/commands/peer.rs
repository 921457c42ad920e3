//! `hiwar peer …` and `hiwar invitation`

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use hiwar_trust::invitation::Invitation;
use hiwar_trust::words;
use serde_json::{Value, json};

use super::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// Print this node's invitation, to give to a new peer
#[derive(Debug, clap::Args)]
pub(crate) struct ShowInvitation {
    #[command(flatten)]
    node: NodeArgs,
}

impl ShowInvitation {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let reader = hiwar_store::SqliteReader::open(&self.node.node)?;
        let own = reader.own()?.context("the store has no identity; run `hiwar init`")?;
        let identity = hiwar_trust::identity::Identity::verify(own.cards)?;
        eprintln!("Fingerprint: {}", words::fingerprint_words(&identity.fingerprint()));
        print(Invitation::new(identity).to_string().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Peers of a running node
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PeerCommand {
    /// Add a peer from its invitation, after its fingerprint is confirmed
    Add {
        /// The invitation file
        invitation: PathBuf,
        /// The fingerprint, as the peer told it by another way (asked for when left out)
        #[arg(long)]
        fingerprint: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List peers and how delivery to them stands
    List {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show one peer
    Show {
        /// Its identifier
        did: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Stop dealing with a peer; what it said stays
    Retire {
        /// Its identifier
        did: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Trust a peer's log again after an alarm
    Trust {
        /// Its identifier
        did: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl PeerCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            match self {
                Self::Add { invitation, fingerprint, node } => add(invitation, fingerprint, node).await?,
                Self::List { node } => show_all(&node).await?,
                Self::Show { did, node } => show(&did, &node).await?,
                Self::Retire { did, node } => {
                    ApiClient::of(&node)?
                        .post(&format!("/api/v1/peers/{}/retire", escape(&did)), &json!({}))
                        .await?;
                    eprintln!("Retired {did}");
                }
                Self::Trust { did, node } => {
                    ApiClient::of(&node)?
                        .post(&format!("/api/v1/peers/{}/trust", escape(&did)), &json!({}))
                        .await?;
                    eprintln!("{did} is trusted again; its log is verified anew from here");
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A DID as a path segment: its per cent signs must survive decoding.
fn escape(did: &str) -> String {
    did.replace('%', "%25")
}

async fn add(path: PathBuf, fingerprint: Option<String>, node: NodeArgs) -> anyhow::Result<()> {
    let bytes = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let invitation = Invitation::parse(&bytes).with_context(|| path.display().to_string())?;
    let fingerprint = match fingerprint {
        Some(given) => given,
        None => confirm(&invitation)?,
    };
    let value: Value = serde_json::from_slice(&bytes)?;
    let body = json!({ "invitation": value, "fingerprint": fingerprint });
    ApiClient::of(&node)?.post("/api/v1/peers", &body).await?;
    eprintln!("Added {} ({})", invitation.identity().latest().name, invitation.did());
    Ok(())
}

fn confirm(invitation: &Invitation) -> anyhow::Result<String> {
    let card = invitation.identity().latest();
    eprintln!("Invitation of     {} ({})", card.name, card.did);
    eprintln!("Fingerprint       {}", invitation.words());
    eprint!(
        "Compare the words with the peer by another way, such as the telephone. Are they the same? [yes/no] "
    );
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.trim() == "yes" {
        Ok(invitation.words())
    } else {
        bail!("not confirmed; the peer was not added (scripts give --fingerprint)")
    }
}

async fn show_all(node: &NodeArgs) -> anyhow::Result<()> {
    let peers = ApiClient::of(node)?.get("/api/v1/peers").await?;
    if node.format == Format::Json {
        return print_json(&peers);
    }
    let mut rows =
        vec![["PEER", "NAME", "STANDING", "WAITING", "CLOCK SKEW", "STATE"].map(ToOwned::to_owned).to_vec()];
    for peer in list(&peers, "/peers") {
        let down = text(peer, "/down_since");
        let state = if down.is_empty() { "reachable".to_owned() } else { format!("down since {down}") };
        rows.push(vec![
            text(peer, "/did").to_owned(),
            text(peer, "/name").to_owned(),
            text(peer, "/standing/standing").to_owned(),
            peer["backlog"].to_string(),
            peer["clock_skew_ms"].as_i64().map_or_else(|| "-".into(), |ms| format!("{ms} ms")),
            state,
        ]);
    }
    print(&table(&rows))
}

async fn show(did: &str, node: &NodeArgs) -> anyhow::Result<()> {
    let peers = ApiClient::of(node)?.get("/api/v1/peers").await?;
    let peer = list(&peers, "/peers").iter().find(|p| text(p, "/did") == did);
    let peer = peer.with_context(|| format!("{did} is no peer of this node"))?;
    if node.format == Format::Json {
        return print_json(peer);
    }
    let mut rows = Vec::new();
    for (key, value) in peer.as_object().into_iter().flatten() {
        let shown = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        for (index, line) in shown.trim_end().lines().enumerate() {
            rows.push(vec![if index == 0 { key.clone() } else { String::new() }, line.to_owned()]);
        }
    }
    print(&table(&rows))
}
