//! `hiwar data …`: offers, catalogs, contracts and transfers of the dataspace.

mod offer;
mod remote;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar::api_client::{ApiClient, NodeArgs, block_on};
use serde_json::Value;

use crate::commands::list;

/// Offer data under terms, and get data of others under theirs (Dataspace Protocol 2025-1)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DataCommand {
    /// Offer a file, a folder, an object of a store or a service over HTTP under terms; the terms are checked first and it is said who could get it
    Offer(offer::OfferArgs),
    /// Offer many datasets: a file with one JSON object a line
    OfferMany(offer::OfferManyArgs),
    /// Check terms without offering anything: what is wrong, who could get the data, who not and why
    Terms(offer::TermsArgs),
    /// What this node offers
    Datasets {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Offer a dataset no longer; agreements that hold stay, but bring no data any more
    Withdraw {
        /// The dataset
        dataset: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// What a peer offers to this node
    Catalog(remote::CatalogArgs),
    /// Negotiate a contract for a dataset of a peer
    Negotiate(remote::NegotiateArgs),
    /// Get the data of an agreement; a pull that broke off goes on where it was
    Pull(remote::PullArgs),
    /// Have the provider bring the data of an agreement to this node
    Push(remote::PushArgs),
    /// Negotiations of this node
    Negotiations(show::ListArgs),
    /// Agreements that this node made
    Agreements(show::ListArgs),
    /// Transfers of this node
    Transfers(show::ListArgs),
    /// What became of a negotiation, agreement or transfer, and why: which rule, what would satisfy it
    Explain {
        /// Its identifier, or the beginning of it
        id: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take a step in a negotiation or transfer by hand
    Step(show::StepArgs),
    /// Say that no copy is left of what a transfer brought; the node deletes its own, and the log says so
    Deleted {
        /// The transfer
        transfer: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// End an agreement: running transfers stop, new ones are refused
    End {
        /// The agreement
        agreement: String,
        /// Why; the other side is told
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl DataCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Offer(args) => args.run(),
            Self::OfferMany(args) => args.run(),
            Self::Terms(args) => args.run(),
            Self::Datasets { node } => offer::datasets(&node),
            Self::Withdraw { dataset, node } => offer::withdraw(&dataset, &node),
            Self::Catalog(args) => args.run(),
            Self::Negotiate(args) => args.run(),
            Self::Pull(args) => args.run(),
            Self::Push(args) => args.run(),
            Self::Negotiations(args) => show::negotiations(&args),
            Self::Agreements(args) => show::agreements(&args),
            Self::Transfers(args) => show::transfers(&args),
            Self::Explain { id, node } => show::explain(&id, &node),
            Self::Step(args) => args.run(),
            Self::Deleted { transfer, node } => show::deleted(&transfer, &node),
            Self::End { agreement, reason, node } => show::end(&agreement, &reason, &node),
        }
    }
}

/// A participant to deal with.
#[derive(Debug, clap::Args)]
struct PartyArgs {
    /// The participant: its identifier, or the beginning of it or its name when it is a peer
    peer: String,
    /// The address of its connector, when it is no peer of this node
    #[arg(long)]
    address: Option<String>,
}

impl PartyArgs {
    /// The identifier: completed among the peers when no address is given.
    async fn id(&self, client: &ApiClient) -> anyhow::Result<String> {
        if self.address.is_some() {
            return Ok(self.peer.clone());
        }
        let peers = client.get("/api/v1/peers").await?;
        let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let named: Vec<String> = list(&peers, "/peers")
            .iter()
            .filter(|p| text(p, "name") == self.peer)
            .map(|p| text(p, "did"))
            .collect();
        if let [one] = named.as_slice() {
            return Ok(one.clone());
        }
        let all: Vec<String> = list(&peers, "/peers").iter().map(|p| text(p, "did")).collect();
        hiwar::api_client::complete(&self.peer, &all, "peer")
    }
}

/// A path as the node sees it.
fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

/// Percent-encodes one segment of a path (RFC 3986, section 2.3: only unreserved characters stay).
fn segment(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn with_client<F>(node: &NodeArgs, work: impl FnOnce(ApiClient) -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    block_on(async { work(ApiClient::of(node)?).await })
}
