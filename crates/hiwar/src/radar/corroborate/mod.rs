//! `hiwar radar corroborate PEER …` talks to a peer's node through the own one;
//! `hiwar radar corroborate file …` does the same over files, for a desk without a network.

mod claims;
mod correspondence;
mod intersection;
mod kept;
mod on_files;
pub(super) mod record;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};
use hiwar_radar::month::Month;

use self::correspondence::Correspondence;
use self::kept::Kept;
use self::record::{Record, RecordArgs};
use self::show::Turn;
use super::{OutputArgs, StoreOfNodeArgs, open_store};

/// Compare alarms with a peer without telling volumes
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Corroborate {
    #[command(subcommand)]
    by: Option<By>,
    #[command(flatten)]
    turn: TurnArgs,
}

#[derive(Debug, clap::Subcommand)]
enum By {
    /// The same over files, for a desk without a network
    #[command(subcommand)]
    File(on_files::OnFiles),
}

/// One turn of an exchange in a dialogue. What a turn cannot do without is optional by its type, because a
/// subcommand does without.
#[derive(Debug, clap::Args)]
struct TurnArgs {
    /// The peer: its identifier, or its name
    #[arg(required = true)]
    peer: Option<String>,
    /// The dialogue (its first digits are enough)
    #[arg(long, required = true)]
    dialogue: Option<String>,
    /// Ask about this month (repeatable); without it only what has come is shown and answered
    #[arg(long)]
    month: Vec<Month>,
    /// The economy that the peer speaks for, such as JP; its questions are answered for no other
    #[arg(long)]
    peer_economy: Option<String>,
    /// Learn only what both see, by a private set intersection
    #[arg(long)]
    psi: bool,
    /// Send what is shown, as the desk
    #[arg(long)]
    send: bool,
    /// The marking of what is sent
    #[arg(long, default_value = "TLP:AMBER")]
    marking: String,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    store: StoreOfNodeArgs,
    /// The node's folder
    #[arg(long, env = "HIWAR_NODE", default_value = ".")]
    node: PathBuf,
    /// The desk that acts (the node's first desk when left out)
    #[arg(long, env = "HIWAR_DESK")]
    desk: Option<String>,
    /// File with the token to use, in place of the operator's
    #[arg(long, env = "HIWAR_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a turn works with.
struct Desk<'a> {
    args: &'a TurnArgs,
    record: Record,
    letters: Correspondence,
    kept: Kept,
}

impl Corroborate {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.by {
            Some(By::File(command)) => command.run(),
            None => block_on(self.turn.run()),
        }
    }
}

impl TurnArgs {
    async fn run(&self) -> anyhow::Result<ExitCode> {
        let node = NodeArgs {
            node: self.node.clone(),
            desk: self.desk.clone(),
            token_file: self.token_file.clone(),
            format: Format::Json,
        };
        let (Some(peer), Some(dialogue)) = (&self.peer, &self.dialogue) else {
            anyhow::bail!("give the peer and --dialogue");
        };
        let store_path = self.store.path(&self.node)?;
        let record = self.record.open(&open_store(&store_path)?)?;
        let letters = Correspondence::open(ApiClient::of(&node)?, peer, dialogue).await?;
        let kept = Kept::open(&store_path)?;
        let desk = Desk { args: self, record, letters, kept };
        let mut turn = Turn::of(&desk.letters, self.send);
        if self.psi {
            desk.intersect(&mut turn).await?
        } else {
            desk.talk(&mut turn).await?
        }
        turn.show(&self.output)?;
        desk.file(&turn)?;
        turn.outcome()
    }
}

impl Desk<'_> {
    /// Sends what is ready, when the desk says so; returns the entry.
    async fn leaves(&self, turn: &mut Turn, letter: show::Leaving) -> anyhow::Result<Option<String>> {
        let entry = if self.args.send {
            let sent = self.letters.send(self.args.desk.as_deref(), &self.args.marking, &letter).await;
            Some(sent.with_context(|| format!("{} was not sent", letter.what))?)
        } else {
            None
        };
        turn.leaving.push((letter, entry.clone()));
        Ok(entry)
    }
}
