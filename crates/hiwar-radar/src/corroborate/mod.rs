//! What two nodes may tell each other about what they see, without telling how much they trade.
//!
//! A [`Claim`] names exporter, item, month, direction and a class of strength: nothing else leaves.
//! The other side answers each with what it sees itself:
//!
//! * **joint** — it imports the same item from the same exporter and alarms in the same direction,
//! * **mirror** — it is the exporter, and its own record of exports to the asker alarms in the same
//!   direction,
//! * **contrast** — it imports the item from that exporter and sees nothing out of line: the trouble
//!   is the asker's, not everybody's,
//! * **unknown** — it does not trade it, or cannot tell.
//!
//! Two importers alarm on one exporter's item in one month about ten times more rarely than one
//! does, so a joint answer weighs a great deal; but a measure against one importer alone can only be
//! confirmed by mirror and contrast. [`psi`] lets two sides learn only what both see.

pub mod psi;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::month::{Date, Month};
use crate::scan::{Alarm, Direction, Measure, Strength};
use crate::series::{Flow, SeriesKey};

/// Most claims in one exchange.
pub const CLAIMS_MAX: usize = 4_096;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Who exports.
    pub exporter: Arc<str>,
    /// The item, in the nomenclature both sides have: the first six digits of a code.
    pub item: Arc<str>,
    /// The month.
    pub month: Month,
    /// Which way it is out of line.
    pub direction: Direction,
}

/// What one side sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Of what.
    #[serde(flatten)]
    pub subject: Subject,
    /// How far out of line, in three classes.
    pub strength: Strength,
}

/// A question to a peer, as it is attached to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Always `org.hiwar.corroboration.question.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The asker's economy.
    pub asker: Arc<str>,
    /// What it sees.
    pub claims: Vec<Claim>,
}

/// What the other side sees of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// As an importer of the same, the same.
    Joint,
    /// As the exporter to the asker, the same.
    Mirror,
    /// As an importer of the same, nothing out of line.
    Contrast,
    /// It cannot tell.
    Unknown,
}

/// The answer to one claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of what.
    #[serde(flatten)]
    pub subject: Subject,
    /// What is seen.
    pub finding: Finding,
    /// How far out of line, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
}

/// The answers to a question, as they are attached to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Always `org.hiwar.corroboration.answers.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The answerer's economy.
    pub answerer: Arc<str>,
    /// As of which day it judged.
    pub as_of: Date,
    /// One answer per claim, in their order.
    pub answers: Vec<Answer>,
}

/// Type of a [`Question`].
pub const QUESTION: &str = "org.hiwar.corroboration.question.v1";
/// Type of [`Answers`].
pub const ANSWERS: &str = "org.hiwar.corroboration.answers.v1";

/// Why a question cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorroborationError {
    /// It is of another type.
    #[error("it is of the type {found:?}; expected {QUESTION}")]
    OtherType {
        /// The type found.
        found: String,
    },
    /// It asks for too much.
    #[error("it has {found} claims; at most {CLAIMS_MAX} are answered at one time")]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// The item as both sides can name it: the six digits that the Harmonized System shares.
pub fn shared_item(item: &str) -> Arc<str> {
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    match item.get(..6) {
        Some(six) if digits >= 6 => six.into(),
        _ => item.into(),
    }
}

fn subject_of(key: &SeriesKey, month: Month, direction: Direction) -> Subject {
    Subject {
        exporter: key.exporter_and_importer().0.clone(),
        item: shared_item(&key.item),
        month,
        direction,
    }
}

/// Claims speak of quantities: a price that rises is no surge of imports.
fn is_of_quantity(alarm: &Alarm) -> bool {
    alarm.measure != Measure::UnitValue
}

/// What alarms on imports say to others. Of several alarms on one subject the strongest counts.
pub fn claims(alarms: &[Alarm]) -> Vec<Claim> {
    let mut strongest: BTreeMap<Subject, Strength> = BTreeMap::new();
    for alarm in alarms.iter().filter(|a| a.series.flow == Flow::Import && is_of_quantity(a)) {
        let subject = subject_of(&alarm.series, alarm.month, alarm.direction);
        let strength = strongest.entry(subject).or_insert(alarm.strength);
        *strength = (*strength).max(alarm.strength);
    }
    strongest.into_iter().map(|(subject, strength)| Claim { subject, strength }).collect()
}

/// A question about what one's alarms say.
pub fn question(asker: &str, alarms: &[Alarm]) -> Question {
    Question { kind: QUESTION.into(), asker: asker.into(), claims: claims(alarms) }
}

/// What one sees oneself, month by month: the alarms, and the series that were judged at all.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    alarms: BTreeMap<(SeriesSide, Subject), Strength>,
    judged: std::collections::BTreeSet<(SeriesSide, Arc<str>, Arc<str>, Month)>,
}

/// Whose flow a series is, as an importer or as the exporter to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SeriesSide {
    Importer,
    ExporterTo(Arc<str>),
}

fn side_of(key: &SeriesKey) -> SeriesSide {
    match key.flow {
        Flow::Import => SeriesSide::Importer,
        Flow::Export => SeriesSide::ExporterTo(key.partner.clone()),
    }
}

impl Sight {
    /// Takes in a month that was screened: the series that were judged, and the alarms.
    pub fn add<'a>(&mut self, month: Month, judged: impl Iterator<Item = &'a SeriesKey>, alarms: &[Alarm]) {
        for key in judged {
            let (exporter, _) = key.exporter_and_importer();
            self.judged.insert((side_of(key), exporter.clone(), shared_item(&key.item), month));
        }
        for alarm in alarms.iter().filter(|a| is_of_quantity(a)) {
            let subject = subject_of(&alarm.series, alarm.month, alarm.direction);
            let strength = self.alarms.entry((side_of(&alarm.series), subject)).or_insert(alarm.strength);
            *strength = (*strength).max(alarm.strength);
        }
    }

    fn answer(&self, answerer: &str, asker: &Arc<str>, claim: &Claim) -> Answer {
        let subject = &claim.subject;
        let is_exporter = *subject.exporter == *answerer;
        let side = if is_exporter { SeriesSide::ExporterTo(asker.clone()) } else { SeriesSide::Importer };
        let strength = self.alarms.get(&(side.clone(), subject.clone())).copied();
        let judged =
            self.judged.contains(&(side, subject.exporter.clone(), subject.item.clone(), subject.month));
        let finding = match (strength, is_exporter) {
            (Some(_), true) => Finding::Mirror,
            (Some(_), false) => Finding::Joint,
            (None, false) if judged => Finding::Contrast,
            (None, _) => Finding::Unknown,
        };
        Answer { subject: subject.clone(), finding, strength }
    }
}

/// Answers a question by what one sees oneself.
///
/// # Errors
/// When it is no question, or too long.
pub fn answer(
    question: &Question,
    answerer: &str,
    as_of: Date,
    sight: &Sight,
) -> Result<Answers, CorroborationError> {
    if question.kind != QUESTION {
        return Err(CorroborationError::OtherType { found: question.kind.chars().take(80).collect() });
    }
    if question.claims.len() > CLAIMS_MAX {
        return Err(CorroborationError::TooMany { found: question.claims.len() });
    }
    let answers = question.claims.iter().map(|claim| sight.answer(answerer, &question.asker, claim));
    Ok(Answers { kind: ANSWERS.into(), answerer: answerer.into(), as_of, answers: answers.collect() })
}
