//! `hiwar key …` and `hiwar desk …`

use std::process::ExitCode;

use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::{print, print_json, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// Keys of a running node
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Bring a new key into force; old signatures stay verifiable
    Rotate {
        /// Which key
        #[arg(long, value_enum, default_value_t = WhichKey::Organisation)]
        which: WhichKey,
        /// The old key may have been in wrong hands since this time (RFC 3339 UTC with milliseconds)
        #[arg(long)]
        revoke_since: Option<Timestamp>,
        /// Why, for the peers
        #[arg(long, requires = "revoke_since")]
        reason: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl KeyCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Rotate { which, revoke_since, reason, node } = self;
        block_on(async {
            let body = json!({ "which": which.name(), "revoke_since": revoke_since, "reason": reason });
            let made = ApiClient::of(&node)?.post("/api/v1/keys/rotate", &body).await?;
            show(&made, which, node.format)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A key of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WhichKey {
    /// Signs entries and cards
    Organisation,
    /// Signs requests, receipts and checkpoints
    Node,
    /// Secures connections
    Tls,
}

impl WhichKey {
    fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Node => "node",
            Self::Tls => "tls",
        }
    }
}

/// Tokens for desks
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DeskCommand {
    /// Make a token for a desk; it is shown once
    Token {
        /// The desk
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take all tokens of a desk back
    Revoke {
        /// The desk
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl DeskCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            match self {
                Self::Token { name, node } => {
                    let made = ApiClient::of(&node)?
                        .post(&format!("/api/v1/desks/{name}/tokens"), &json!({}))
                        .await?;
                    print(text(&made, "/token"))?;
                }
                Self::Revoke { name, node } => {
                    let made = ApiClient::of(&node)?.delete(&format!("/api/v1/desks/{name}/tokens")).await?;
                    eprintln!("Took back {} tokens of {name}", made["revoked"]);
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn show(made: &Value, which: WhichKey, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return print_json(made);
    }
    eprintln!("Card {} is in force; peers learn it with the next batch", made["sequence"]);
    print(text(made, &format!("/{}_key", which.name())))
}
