//! `hiwar radar corroborate …`: what is exchanged are files, so that a desk sees what leaves before it does; they
//! travel as attachments of entries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::corroborate::psi::{Close, Hello, Reply, Side};
use hiwar_radar::corroborate::{self, Answers, Question, Sight, Subject};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::{self, Alarm};
use hiwar_radar::series::Series;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{SeriesArgs, StoreArgs, rule, series};

/// Compare alarms with a peer without telling volumes
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Corroborate {
    /// Write a question: exporter, item, month, direction and class of strength of each alarm
    Ask {
        #[command(flatten)]
        sight: SightArgs,
        /// The question
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Answer a peer's question: joint, mirror, contrast or unknown for each
    Answer {
        /// The question
        question: PathBuf,
        #[command(flatten)]
        sight: SightArgs,
        /// The answers
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Show a peer's answers
    Read {
        /// The answers
        answers: PathBuf,
    },
    /// Learn only what both see: the first message, and a secret that stays here
    PsiOffer {
        #[command(flatten)]
        sight: SightArgs,
        /// Where the secret is kept until the exchange ends
        #[arg(long)]
        secret: PathBuf,
        /// The message
        #[arg(short, long)]
        output: PathBuf,
    },
    /// The second message
    PsiReply {
        /// The first message
        offer: PathBuf,
        #[command(flatten)]
        sight: SightArgs,
        /// Where the secret is kept until the exchange ends
        #[arg(long)]
        secret: PathBuf,
        /// The message
        #[arg(short, long)]
        output: PathBuf,
    },
    /// What both see, and the third message
    PsiClose {
        /// The second message
        reply: PathBuf,
        /// The secret of the offer
        #[arg(long)]
        secret: PathBuf,
        /// The message
        #[arg(short, long)]
        output: PathBuf,
    },
    /// What both see, for the side that replied
    PsiLearn {
        /// The third message
        close: PathBuf,
        /// The secret of the reply
        #[arg(long)]
        secret: PathBuf,
    },
}

/// What one sees oneself.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SightArgs {
    /// This economy, such as KR
    #[arg(long)]
    economy: String,
    /// The month (repeatable)
    #[arg(long, required = true)]
    month: Vec<Month>,
    /// Judge as of this day [default: today]
    #[arg(long)]
    as_of: Option<Date>,
    /// The rule: a shipped one by name, or a file
    #[arg(long, default_value = "robust-36")]
    rule: String,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    series: SeriesArgs,
}

/// What a side keeps between two messages: whoever reads it learns what this side sees.
#[derive(Serialize, Deserialize)]
struct Kept {
    secret: String,
    subjects: Vec<Subject>,
    /// What was returned of the other's points, by the side that replied.
    reply: Option<Reply>,
}

impl SightArgs {
    fn look(&self) -> anyhow::Result<(Date, Vec<Alarm>, Sight)> {
        let rule = rule(&self.rule)?;
        let as_of = self.as_of.map_or_else(super::today, Ok)?;
        let all = series(&self.store.open()?, as_of, &self.series.filter())?;
        let own: Vec<Series> = all.into_iter().filter(|s| *s.key.reporter == *self.economy).collect();
        anyhow::ensure!(
            !own.is_empty(),
            "the store has no series reported by {} as of {as_of}",
            self.economy
        );
        let mut alarms = Vec::new();
        let mut sight = Sight::default();
        for month in &self.month {
            let found = scan::scan(&own, *month, as_of, &rule);
            sight.add(*month, own.iter().filter(|s| s.at(*month).is_some()).map(|s| &s.key), &found.alarms);
            alarms.extend(found.alarms);
        }
        Ok((as_of, alarms, sight))
    }

    fn subjects(&self) -> anyhow::Result<Vec<Subject>> {
        Ok(corroborate::claims(&self.look()?.1).into_iter().map(|c| c.subject).collect())
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    hiwar_node::json::parse(&bytes)
        .with_context(|| format!("{} is not what is expected here", path.display()))
}

fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(value)? + "\n")
        .with_context(|| path.display().to_string())
}

fn side(kept: &Kept) -> anyhow::Result<Side> {
    let mut secret = [0; 64];
    hex::decode_to_slice(&kept.secret, &mut secret).context("the secret's file is damaged")?;
    Ok(Side::new(&secret, kept.subjects.clone())?)
}

fn fresh(subjects: Vec<Subject>) -> anyhow::Result<Kept> {
    Ok(Kept { secret: hex::encode(hiwar_node::clock::random::<64>()?), subjects, reply: None })
}

fn keep(path: &Path, kept: &Kept) -> anyhow::Result<()> {
    hiwar_node::folder::write_secret(path, serde_json::to_string(kept)?.as_bytes())?;
    Ok(())
}

fn show(common: &[Subject]) -> anyhow::Result<ExitCode> {
    for s in common {
        crate::commands::print(&format!("{} {} {} {:?}", s.exporter, s.item, s.month, s.direction))?;
    }
    eprintln!("{} subjects are seen by both sides", common.len());
    Ok(if common.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Corroborate {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Ask { sight, output } => {
                let (_, alarms, _) = sight.look()?;
                let question = corroborate::question(&sight.economy, &alarms);
                write(&output, &question)?;
                eprintln!("{} claims; read {} before it leaves", question.claims.len(), output.display());
            }
            Self::Answer { question, sight, output } => {
                let question: Question = read(&question)?;
                let (as_of, _, own) = sight.look()?;
                write(&output, &corroborate::answer(&question, &sight.economy, as_of, &own)?)?;
            }
            Self::Read { answers } => {
                let answers: Answers = read(&answers)?;
                for a in &answers.answers {
                    let s = &a.subject;
                    let strength = a.strength.map_or(String::new(), |s| format!(", {s:?}").to_lowercase());
                    crate::commands::print(&format!(
                        "{} {} {} {:?}: {:?}{strength}",
                        s.exporter, s.item, s.month, s.direction, a.finding
                    ))?;
                }
            }
            Self::PsiOffer { sight, secret, output } => {
                let kept = fresh(sight.subjects()?)?;
                write(&output, &side(&kept)?.hello())?;
                keep(&secret, &kept)?;
            }
            Self::PsiReply { offer, sight, secret, output } => {
                let hello: Hello = read(&offer)?;
                let mut kept = fresh(sight.subjects()?)?;
                let reply = side(&kept)?.reply(&hello)?;
                write(&output, &reply)?;
                kept.reply = Some(reply);
                keep(&secret, &kept)?;
            }
            Self::PsiClose { reply, secret, output } => {
                let kept: Kept = read(&secret)?;
                let reply: Reply = read(&reply)?;
                let (common, close) = side(&kept)?.close(&reply)?;
                write(&output, &close)?;
                return show(&common);
            }
            Self::PsiLearn { close, secret } => {
                let kept: Kept = read(&secret)?;
                let close: Close = read(&close)?;
                let reply = kept.reply.as_ref().context("this secret is of an offer, not of a reply")?;
                return show(&side(&kept)?.learn(&reply.yours, &close)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
