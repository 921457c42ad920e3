//! `hiwar key …` and `hiwar desk …`

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_node::folder;
use hiwar_node::recovery::{self, Recovered, Recovery};
use hiwar_node::rotation::Revocation;
use hiwar_trust::time::Timestamp;
use hiwar_trust::words;
use serde_json::{Value, json};

use super::{PassphraseArgs, print, print_json, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// Keys
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Bring a new key of a running node into force; old signatures stay verifiable
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
    Recover(Recover),
}

/// Bring a new organisation key into force on a stopped node whose organisation key is lost or
/// stolen, with the recovery key; node key and TLS key are made anew where they are missing
#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// The node's folder
    dir: PathBuf,
    /// The file with the recovery key
    #[arg(long, value_name = "FILE")]
    recovery_key: PathBuf,
    /// The old keys may have been in wrong hands since this time (RFC 3339 UTC with milliseconds)
    #[arg(long)]
    revoke_since: Option<Timestamp>,
    /// Why, for the peers
    #[arg(long, requires = "revoke_since")]
    reason: Option<String>,
    /// Replace node key and TLS key as well, because they may have been stolen, too
    #[arg(long)]
    all_keys: bool,
    /// Replace the recovery key as well; the new one is written to this file
    #[arg(long, value_name = "FILE")]
    new_recovery: Option<PathBuf>,
    /// File with the passphrase of the recovery key, when it is another one
    #[arg(long, value_name = "FILE")]
    recovery_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Recover {
    fn run(self) -> anyhow::Result<ExitCode> {
        let passphrase = self.passphrase.read(false)?;
        let passphrase = passphrase.as_ref().map(|p| p.as_slice());
        let own = match &self.recovery_passphrase_file {
            Some(path) => Some(PassphraseArgs::from_file(path)?),
            None => None,
        };
        let recovery_key =
            folder::read_key(&self.recovery_key, own.as_ref().map(|p| p.as_slice()).or(passphrase))?;
        let recovery = Recovery {
            recovery_key,
            revocation: revocation(self.revoke_since, self.reason.clone()),
            new_recovery: self.new_recovery.clone(),
            all_keys: self.all_keys,
        };
        let done = recovery::recover(&self.dir, passphrase, recovery)?;
        self.tell(&done)?;
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, done: &Recovered) -> anyhow::Result<()> {
        let dir = self.dir.display();
        let card = done.identity.latest();
        eprintln!("Card {} is in force, signed with the recovery key", card.sequence);
        for (what, is_new) in [("node key", done.node_key), ("TLS key", done.tls_key)] {
            if is_new {
                eprintln!("The {what} is new as well");
            }
        }
        if done.restored {
            eprintln!("The card also tells the peers that the store was restored");
        }
        if let Some(path) = &self.new_recovery {
            eprintln!("Move the new recovery key {} off this machine; the old one is void.", path.display());
        }
        eprintln!("Copy {dir}/keys now, start the node, and take a backup.");
        eprintln!("Tell the peers by another way; the fingerprint has changed:");
        eprintln!("Fingerprint:        {}", words::fingerprint_words(&done.identity.fingerprint()));
        print(&card.organisation_key.to_string())
    }
}

fn revocation(since: Option<Timestamp>, reason: Option<String>) -> Option<Revocation> {
    since.map(|since| Revocation { since, reason: reason.unwrap_or_else(|| "not stated".into()) })
}

impl KeyCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let (which, revoke_since, reason, node) = match self {
            Self::Rotate { which, revoke_since, reason, node } => (which, revoke_since, reason, node),
            Self::Recover(recover) => return recover.run(),
        };
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
