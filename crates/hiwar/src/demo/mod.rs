//! `hiwar demo`: three real nodes replay a real dispute, with a crash and a cut, and prove what was
//! said.
//!
//! * `script` — what is said: real facts, fictional desks,
//! * `cast` — the three nodes, in processes of their own,
//! * `network` — the links between them, which can be cut,
//! * `play` — says the steps, kills, cuts, heals,
//! * `ministers` — the meeting of 22 April 2024: minutes, commitments, the next agenda,
//! * `contract` — a table that goes from one to the other under an agreement,
//! * `prove` — the dossier, and a copy with one changed byte,
//! * `checks` — what must hold at the end,
//! * `report`, `progress` — what is printed.

mod cast;
mod checks;
mod contract;
mod ministers;
mod network;
mod play;
mod progress;
mod prove;
mod report;
mod script;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hiwar::api_client::block_on;
use hiwar_form::Language;
use serde_json::Value;
use tempfile::TempDir;

use crate::commands::serve::stop_signal;
use crate::commands::{print, print_json};
use cast::Cast;
use play::Stage;
use progress::Progress;
use prove::Proof;
use script::{Party, Script};

/// How long the nodes may take to end by themselves.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Three real nodes replay a real dispute, with a crash and a cut, and prove what was said
///
/// A Korean ministry, a Japanese ministry and an industry association (fictional desks, real facts)
/// talk about the export control of semiconductor materials, 2019 to 2023, over loopback. One node
/// is killed, another is cut off; both come back. The dialogue is exported as a dossier and
/// verified, and once more with one byte changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// End after the run; otherwise the nodes stay up until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Where the nodes' folders are made, and kept; a temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The language of the timeline: en, ko, ja or ar
    #[arg(long, default_value_t = Language::En)]
    language: Language,
}

/// Where the nodes live.
enum Place {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Place {
    fn of(dir: Option<&Path>) -> anyhow::Result<Self> {
        match dir {
            None => {
                let made = tempfile::Builder::new().prefix("hiwar-demo-").tempdir();
                Ok(Self::Temporary(made.context("no temporary folder can be made")?))
            }
            Some(dir) => {
                let taken = Party::ALL.iter().find(|p| dir.join(p.key()).exists());
                if let Some(party) = taken {
                    bail!("{} holds an earlier demo ({}); choose another folder", dir.display(), party.key());
                }
                std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
                Ok(Self::Given(dir.to_owned()))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }

    /// Keeps the folder, whatever it is; returns where it is.
    fn keep(self) -> PathBuf {
        match self {
            Self::Given(dir) => dir,
            Self::Temporary(dir) => dir.keep(),
        }
    }
}

/// A demo that has run; its nodes are still up.
struct Ended<'a> {
    held: bool,
    stage: Stage<'a>,
    proof: Proof,
    /// The files of the invitations.
    anchors: Vec<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let place = Place::of(self.dir.as_deref())?;
        let outcome = block_on(async {
            let script = Script::read()?;
            let progress = Progress::new(script.steps.len());
            let mut ended = tokio::select! {
                done = Box::pin(self.perform(&script, &progress, place.path())) => done,
                stopped = stop_signal() => stopped.and_then(|()| bail!("interrupted")),
            }?;
            if !self.exit {
                self.stay(&mut ended).await?;
            }
            Ok(ended.held)
        });
        match outcome {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => {
                eprintln!("Not every check held. The nodes' folders are kept: {}", place.keep().display());
                Ok(ExitCode::FAILURE)
            }
            Err(error) => {
                let kept = place.keep();
                Err(error.context(format!(
                    "the demo did not end well; the nodes' folders are kept: {}",
                    kept.display()
                )))
            }
        }
    }

    /// Runs the demo and prints what came of it.
    async fn perform<'a>(
        &self,
        script: &'a Script,
        progress: &'a Progress,
        dir: &Path,
    ) -> anyhow::Result<Ended<'a>> {
        let begun = Instant::now();
        progress.line(&format!("Three nodes in {}", dir.display()));
        progress.now("three nodes start");
        let cast = Cast::make(dir, script).await?;
        let anchors = cast.write_invitations(dir)?;
        let mut stage = Stage::open(script, cast, progress).await?;
        let [a, b, c] = Party::ALL;
        let seconds = begun.elapsed().as_secs_f64();
        progress.line(&format!("{a}, {b} and {c} are peers; the dialogue is open ({seconds:.1} s)"));
        stage.play().await?;
        progress.now("a table is offered, negotiated for and pulled");
        stage.contract = Some(contract::carry(&stage).await?);
        progress.now("the ministers meet, and their agreements become commitments");
        stage.ministers = Some(ministers::meet(&stage).await?);
        progress.now("receipts and cosignatures come in");
        checks::rest(&stage).await?;
        progress.now("dossiers are exported, verified, changed, verified");
        let proof = prove::prove(&stage.cast, script, &stage.dialogue, dir).await?;
        progress.now("everything is checked");
        let checks = checks::all(&stage, &proof).await?;
        let rows = report::rows(&stage).await?;
        progress.end();
        let seconds = begun.elapsed().as_secs_f64();
        if self.json {
            print_json(&report::summary(&stage, &rows, &proof, &checks, seconds)?)?;
        } else {
            let agenda = stage.ministers.as_ref().and_then(|met| met.agendas.first());
            self.print_text(script, &rows, agenda, &checks, seconds)?;
        }
        drop(rows);
        Ok(Ended { held: checks.iter().all(|c| c.holds), stage, proof, anchors })
    }

    fn print_text(
        &self,
        script: &Script,
        rows: &[report::Row<'_>],
        agenda: Option<&Vec<Value>>,
        checks: &[checks::Check],
        seconds: f64,
    ) -> anyhow::Result<()> {
        let title = script.title.get(self.language.as_str()).map_or("", String::as_str);
        print(&format!("\n{title}\n{}\n", report::kinds(&script.steps)))?;
        print(&report::timeline(rows, self.language))?;
        let (one, other) =
            (script.step(&script.contradiction.one)?, script.step(&script.contradiction.other)?);
        print(&format!(
            "\nTwo versions, side by side:\n\n{}",
            report::side_by_side(one, other, self.language)
        ))?;
        if let Some(agenda) = agenda {
            print(&format!(
                "\nThe next agenda of the ministers, written from what is open:\n\n{}",
                report::agenda(agenda, self.language)
            ))?;
        }
        print(&format!("\n{}", report::verdict(checks)))?;
        let good = checks.iter().filter(|c| c.holds).count();
        print(&format!("\n{good} of {} checks held, in {seconds:.1} s.", checks.len()))
    }

    /// Tells how to look around, and waits until the demo is told to stop.
    async fn stay(&self, ended: &mut Ended<'_>) -> anyhow::Result<()> {
        let Ended { stage, proof, anchors, .. } = ended;
        let program = std::env::args().next().unwrap_or_else(|| "hiwar".into());
        let dialogue: String = stage.dialogue.chars().take(12).collect();
        let mut out = vec!["\nThe nodes stay up until Ctrl-C:".to_owned()];
        for party in Party::ALL {
            let actor = stage.cast.actor(party)?;
            out.push(format!("  {}", actor.did));
            out.push(format!(
                "    desks {}  peers {}",
                format_args!("http://{}", actor.api),
                actor.public_url
            ));
            out.push(format!("    folder {}", actor.dir().display()));
        }
        let node = stage.cast.actor(Party::Motie)?.dir().display().to_string();
        let anchors: Vec<String> = anchors.iter().map(|a| format!("--anchor {}", a.display())).collect();
        let anchors = anchors.join(" ");
        out.push("Look around from another terminal:".to_owned());
        for command in [
            format!("dialogue show {dialogue} --language ko --node {node}"),
            format!("dialogue say {dialogue} --text en=\"Good morning\" --node {node}"),
            format!("peer list --node {node}"),
            format!("log check {node}"),
            format!("verify {} {anchors}", proof.path.display()),
            format!("verify {} {anchors}", proof.changed.path.display()),
        ] {
            out.push(format!("  {program} {command}"));
        }
        if self.dir.is_none() {
            out.push("The folder goes with the nodes; --dir DIR keeps it.".to_owned());
        }
        eprintln!("{}", out.join("\n"));
        stop_signal().await?;
        eprintln!("The nodes stop.");
        stage.cast.end(END_LIMIT).await
    }
}
