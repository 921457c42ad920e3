//! `hiwar dossier …` and `hiwar verify`

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use hiwar_dossier::{Anchor, Limits};
use hiwar_trust::invitation::Invitation;

use super::dialogue::dialogue_id;
use super::{print, print_json};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// Files that prove what was said
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DossierCommand {
    /// Write everything needed to prove a dialogue to one file
    Export {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The file
        #[arg(short, long)]
        output: PathBuf,
        /// Leave the attached files out
        #[arg(long)]
        without_files: bool,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl DossierCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Export { dialogue, output, without_files, node } = self;
        block_on(async {
            let client = ApiClient::of(&node)?;
            let id = dialogue_id(&client, &dialogue).await?;
            let size = export(&client, &id, !without_files, &output).await?;
            eprintln!(
                "Wrote {} ({size} bytes); verify it anywhere with `hiwar verify {}`",
                output.display(),
                output.display()
            );
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Writes the dossier of a dialogue to a file, all of it or nothing; returns its size in bytes.
pub(crate) async fn export(
    client: &ApiClient,
    dialogue: &str,
    files: bool,
    output: &Path,
) -> anyhow::Result<usize> {
    let answer = client.get_stream(&format!("/api/v1/dialogues/{dialogue}/dossier?files={files}")).await?;
    let part = output.with_extension("part");
    let mut file =
        std::fs::File::create(&part).with_context(|| format!("{} cannot be written", part.display()))?;
    let mut stream = answer.bytes_stream();
    let mut size = 0;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.context("the node stopped before the dossier was complete; nothing was written")?;
        size += bytes.len();
        file.write_all(&bytes)?;
    }
    file.sync_all()?;
    std::fs::rename(&part, output)?;
    Ok(size)
}

/// Verify a dossier offline: a verdict for every claim
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The dossier
    file: PathBuf,
    /// An invitation you trust, or a fingerprint in words that a party told you; may be repeated
    #[arg(long = "anchor", value_name = "FILE|WORDS")]
    anchors: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Verify {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let anchors = self.anchors.iter().map(|a| anchor(a)).collect::<anyhow::Result<Vec<_>>>()?;
        let file = std::fs::File::open(&self.file)
            .with_context(|| format!("{} cannot be read", self.file.display()))?;
        let verdict = hiwar_dossier::verify(std::io::BufReader::new(file), &anchors, &Limits::default());
        match self.format {
            Format::Json => print_json(&serde_json::to_value(&verdict)?)?,
            Format::Table => print(&hiwar_dossier::render_text(&verdict, std::io::stdout().is_terminal()))?,
        }
        Ok(ExitCode::from(verdict.outcome().exit_status()))
    }
}

fn anchor(given: &str) -> anyhow::Result<Anchor> {
    let path = std::path::Path::new(given);
    if path.is_file() {
        let bytes = std::fs::read(path)?;
        let invitation = Invitation::parse(&bytes).with_context(|| given.to_owned())?;
        return Ok(Anchor::from(invitation.fingerprint()));
    }
    given
        .parse::<Anchor>()
        .with_context(|| format!("{given:?} is neither an invitation file nor a fingerprint of 12 words"))
}
