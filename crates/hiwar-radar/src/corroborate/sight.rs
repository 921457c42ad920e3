//! What one sees oneself, as far as it bears on what a peer may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::message::{Digest, Message as _};
use super::{
    ANSWERS, Answer, Answers, Claim, CorroborationError, Finding, QUESTION, Question, SharedItems, Subject,
};
use crate::month::{Date, Month};
use crate::scan::{self, Direction, Measure, Rule, Scan, Strength};
use crate::series::{Flow, Series, SeriesKey};

/// Whose flow a series is, as an importer or as the exporter to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Importer,
    ExporterTo(Arc<str>),
}

impl Side {
    fn of(key: &SeriesKey) -> Self {
        match key.flow {
            Flow::Import => Self::Importer,
            Flow::Export => Self::ExporterTo(key.partner.clone()),
        }
    }
}

/// An exporter's item in a month.
pub(crate) type Flowing = (Arc<str>, Arc<str>, Month);

/// What one sees oneself, month by month: the alarms, and what was judged at all.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    shared: SharedItems,
    alarms: BTreeMap<(Side, Subject), Strength>,
    judged: BTreeSet<(Side, Flowing)>,
}

impl Sight {
    /// Sees nothing yet; items will be called as the table says.
    pub fn new(shared: &SharedItems) -> Self {
        Self { shared: shared.clone(), ..Self::default() }
    }

    /// Screens a month of one's own series, which must be what was known at `as_of`, and takes in
    /// what is seen. Of several alarms on one subject the strongest counts.
    pub fn screen(&mut self, series: &[Series], month: Month, as_of: Date, rule: &Rule) -> Scan {
        let (found, judged) = scan::scan_and_judged(series, month, as_of, rule);
        // Claims speak of quantities: a price that rises is no surge of imports.
        for alarm in found.alarms.iter().filter(|a| a.measure != Measure::UnitValue) {
            let (exporter, _) = alarm.series.exporter_and_importer();
            let subject = Subject {
                exporter: exporter.clone(),
                item: self.shared.name_of(&alarm.series),
                month,
                direction: alarm.direction,
            };
            let key = (Side::of(&alarm.series), subject);
            let strength = self.alarms.entry(key).or_insert(alarm.strength);
            *strength = (*strength).max(alarm.strength);
        }
        // A month that could not be judged says nothing, least of all that nothing is out of line.
        for key in judged {
            let (exporter, _) = key.exporter_and_importer();
            let flowing = (exporter.clone(), self.shared.name_of(key), month);
            self.judged.insert((Side::of(key), flowing));
        }
        found
    }

    /// What alarms on imports say to others.
    pub fn claims(&self) -> Vec<Claim> {
        let imports = self.alarms.iter().filter(|((side, _), _)| *side == Side::Importer);
        imports
            .map(|((_, subject), strength)| Claim { subject: subject.clone(), strength: *strength })
            .collect()
    }

    /// A question about what one's own alarms on imports say.
    pub fn question(&self, asker: &str) -> Question {
        Question { kind: QUESTION.into(), asker: asker.into(), claims: self.claims() }
    }

    /// What is compared in an intersection with a peer: alarms on imports, and on exports to that
    /// peer, so that an exporter can find the peer's alarm in its own record.
    pub fn subjects(&self, peer: Option<&str>) -> Vec<Subject> {
        let concerns = |side: &Side| match side {
            Side::Importer => true,
            Side::ExporterTo(importer) => peer.is_some_and(|peer| **importer == *peer),
        };
        let mut subjects: Vec<Subject> =
            self.alarms.keys().filter(|(side, _)| concerns(side)).map(|(_, s)| s.clone()).collect();
        subjects.sort();
        subjects.dedup();
        subjects
    }

    /// What was judged of one's own imports.
    pub(crate) fn judged_imports(&self) -> impl Iterator<Item = &Flowing> {
        self.judged.iter().filter(|(side, _)| *side == Side::Importer).map(|(_, flowing)| flowing)
    }

    /// Whether one's own exports of this to an importer were judged.
    pub(crate) fn judged_export(&self, importer: &Arc<str>, flowing: &Flowing) -> bool {
        self.judged.contains(&(Side::ExporterTo(importer.clone()), flowing.clone()))
    }

    /// Whether one's own exports of this to an importer alarm.
    pub(crate) fn export_alarms(&self, importer: &Arc<str>, flowing: &Flowing, direction: Direction) -> bool {
        let (exporter, item, month) = flowing.clone();
        let subject = Subject { exporter, item, month, direction };
        self.alarms.contains_key(&(Side::ExporterTo(importer.clone()), subject))
    }

    fn answer(&self, answerer: &str, asker: &Arc<str>, claim: &Claim) -> Answer {
        let subject = &claim.subject;
        let is_exporter = *subject.exporter == *answerer;
        let side = if is_exporter { Side::ExporterTo(asker.clone()) } else { Side::Importer };
        let strength = self.alarms.get(&(side.clone(), subject.clone())).copied();
        let flowing = (subject.exporter.clone(), subject.item.clone(), subject.month);
        let finding = match (strength, is_exporter) {
            (Some(_), true) => Finding::Mirror,
            (Some(_), false) => Finding::Joint,
            (None, false) if self.judged.contains(&(side, flowing)) => Finding::Contrast,
            (None, _) => Finding::Unknown,
        };
        Answer { subject: subject.clone(), finding, strength }
    }
}

/// Answers a question, whose bytes have the digest `to`, by what one sees oneself.
///
/// # Errors
/// When it is no question, or too long.
pub fn answer(
    question: &Question,
    to: Digest,
    answerer: &str,
    as_of: Date,
    sight: &Sight,
) -> Result<Answers, CorroborationError> {
    question.check()?;
    let answers = question.claims.iter().map(|claim| sight.answer(answerer, &question.asker, claim));
    Ok(Answers { kind: ANSWERS.into(), to, answerer: answerer.into(), as_of, answers: answers.collect() })
}

/// Checks that answers are answers to this question, whose bytes have the digest `asked`.
///
/// # Errors
/// When they name another question, leave a claim out, add one, or say what their sender cannot
/// have seen.
pub fn check_answers(
    question: &Question,
    asked: Digest,
    answers: &Answers,
) -> Result<(), CorroborationError> {
    answers.check()?;
    if answers.to != asked {
        return Err(CorroborationError::OtherQuestion { to: answers.to });
    }
    let (found, expected) = (answers.answers.len(), question.claims.len());
    if found != expected {
        return Err(CorroborationError::Miscounted { found, expected });
    }
    for (index, (claim, answer)) in question.claims.iter().zip(&answers.answers).enumerate() {
        let is_exporter = claim.subject.exporter == answers.answerer;
        let problem = match (answer.finding, is_exporter, answer.strength) {
            _ if answer.subject != claim.subject => "it is about another subject than the claim",
            (Finding::Joint | Finding::Contrast, true, _) => "only another importer can say this",
            (Finding::Mirror, false, _) => "only the exporter can say this",
            (Finding::Joint | Finding::Mirror, _, None) => "it has no class of strength",
            (Finding::Contrast | Finding::Unknown, _, Some(_)) => "it has a class of strength and no alarm",
            _ => continue,
        };
        return Err(CorroborationError::WrongAnswer { index, problem });
    }
    Ok(())
}
