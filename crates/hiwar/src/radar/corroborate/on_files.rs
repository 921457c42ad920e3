//! `hiwar radar corroborate file …`: what is exchanged are files, so that a desk without a network can carry them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::corroborate::psi::{Close, Hello, Reply};
use hiwar_radar::corroborate::{Answers, Digest, Message, Question, Sight, Subject, answer, check_answers};
use hiwar_radar::month::Month;
use hiwar_radar::report::html::{Page, escape};

use super::super::{OutputArgs, Shown, StoreArgs, whole};
use super::kept::Secret;
use super::record::{Record, RecordArgs};
use super::show::{answer_line, answer_records, line};

/// An exchange over files.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum OnFiles {
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
        /// The economy that the peer speaks for, such as KR; its question is answered for no other
        #[arg(long)]
        peer_economy: Option<String>,
        #[command(flatten)]
        record: RecordArgs,
        #[command(flatten)]
        store: StoreArgs,
        /// The answers
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Show a peer's answers
    Read {
        /// The answers
        answers: PathBuf,
        /// The question, to check that these are its answers
        #[arg(long)]
        question: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
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
    /// The month (repeatable)
    #[arg(long, required = true)]
    month: Vec<Month>,
    /// The economy that the peer speaks for: an intersection compares its imports with the exports to it
    #[arg(long)]
    peer_economy: Option<String>,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl SightArgs {
    fn look(&self) -> anyhow::Result<(Record, Sight)> {
        let record = self.record.open(&self.store.open()?)?;
        let sight = record.sight(&self.month);
        Ok((record, sight))
    }

    fn subjects(&self) -> anyhow::Result<Vec<Subject>> {
        Ok(self.look()?.1.subjects(self.peer_economy.as_deref()))
    }
}

/// A message and the digest of its bytes.
fn read<M: Message>(path: &Path) -> anyhow::Result<(M, Digest)> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let message = M::read(&bytes).with_context(|| path.display().to_string())?;
    Ok((message, Digest::of(&bytes)))
}

fn write(path: &Path, message: &impl Message) -> anyhow::Result<()> {
    whole(path, &message.bytes())
}

fn show(common: &[Subject]) -> anyhow::Result<ExitCode> {
    for subject in common {
        crate::commands::print(&line(subject))?;
    }
    eprintln!("{} subjects are seen by both sides", common.len());
    Ok(if common.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show_answers(answers: &Answers, output: &OutputArgs) -> anyhow::Result<()> {
    let lines = || {
        let mut text = format!("Answers of {} as of {}\n", answers.answerer, answers.as_of);
        answers.answers.iter().for_each(|a| text.push_str(&format!("{}\n", answer_line(a))));
        text
    };
    output.show(&Shown {
        json: answers,
        records: &|| answer_records(std::iter::once(answers)),
        table: &lines,
        page: &|| {
            let mut page = Page::new("Answers of a peer");
            page.raw(&format!("<pre>{}</pre>", escape(&lines())));
            page.finish()
        },
    })
}

impl OnFiles {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Ask { sight, output } => {
                let (record, sight) = sight.look()?;
                let question = sight.question(&record.economy);
                write(&output, &question)?;
                eprintln!("{} claims; read {} before it leaves", question.claims.len(), output.display());
            }
            Self::Answer { question, peer_economy, record, store, output } => {
                let (question, to): (Question, _) = read(&question)?;
                if let Some(economy) = peer_economy {
                    anyhow::ensure!(
                        *question.asker == *economy,
                        "it asks as {}, but the peer speaks for {economy}",
                        question.asker
                    );
                }
                let record = record.open(&store.open()?)?;
                let sight = record.sight(&question.months()?);
                write(&output, &answer(&question, to, &record.economy, record.as_of, &sight)?)?;
                eprintln!("Answered as to {}; read {} before it leaves", question.asker, output.display());
            }
            Self::Read { answers, question, output } => {
                let (told, _): (Answers, _) = read(&answers)?;
                if let Some(question) = question {
                    let (question, asked): (Question, _) = read(&question)?;
                    check_answers(&question, asked, &told).with_context(|| answers.display().to_string())?;
                }
                show_answers(&told, &output)?;
            }
            Self::PsiOffer { sight, secret, output } => {
                let kept = Secret::fresh(sight.subjects()?)?;
                kept.write(&secret)?;
                write(&output, &kept.side()?.hello())?;
            }
            Self::PsiReply { offer, sight, secret, output } => {
                let (hello, to): (Hello, _) = read(&offer)?;
                let mut kept = Secret::fresh(sight.subjects()?)?;
                let reply = kept.side()?.reply(&hello, to)?;
                kept.reply = Some(reply.clone());
                kept.write(&secret)?;
                write(&output, &reply)?;
            }
            Self::PsiClose { reply, secret, output } => {
                let kept = Secret::read(&secret)?;
                let (reply, to): (Reply, _) = read(&reply)?;
                let (common, close) = kept.side()?.close(&reply, to)?;
                write(&output, &close)?;
                return show(&common);
            }
            Self::PsiLearn { close, secret } => {
                let kept = Secret::read(&secret)?;
                let (close, _): (Close, _) = read(&close)?;
                let reply = kept.reply.as_ref().context("this secret is of an offer, not of a reply")?;
                return show(&kept.side()?.learn(reply, &close)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
