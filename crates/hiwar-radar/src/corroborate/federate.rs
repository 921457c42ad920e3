//! Federated replay: what several nodes, each with its own records only, would have told each other
//! month by month, by the very questions and answers that travel between nodes.
//!
//! The rates are counted per pair: over the months in which both sides of a pair judged the same
//! flow (joint: the same item from the same exporter, by two importers; mirror: one flow between
//! two, by both ends), how often one side alarms, and how often both do in one direction. How many
//! times rarer the second is than the first is the *reduction*. Were alarms independent, both would
//! coincide as often as the product of the two rates says; what exceeds that is what is worth
//! asking for. "Any of n peers confirms" is another, higher rate: it is counted per claim.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::{Digest, Message as _};
use super::sight::{Flowing, Sight, answer, check_answers};
use super::{CorroborationError, Finding, Question, SharedItems};
use crate::month::{Date, Month};
use crate::replay::{Event, Expected};
use crate::scan::{Alarm, Direction, Rule};
use crate::series::{Flow, Series, SeriesKey};

/// A node of a federated replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its economy.
    pub economy: Arc<str>,
    /// The rule it judges by.
    pub rule: Rule,
}

/// How alarms of two records of flows coincide, in one direction. Counts are of pair-months: one
/// flow, one month, one pair of nodes that both judged it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coincidence {
    /// Both judged.
    pub judged: u64,
    /// One side alarms: the importer of the pair, or the first by name; then the other side.
    pub alarms: [u64; 2],
    /// Both alarm.
    pub both: u64,
}

/// Rates of a [`Coincidence`], as shares of its pair-months.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// How often one side alarms, on average of the two.
    pub single: f64,
    /// How often both do.
    pub both: f64,
    /// How often both would by chance.
    pub by_chance: f64,
    /// How many times rarer both are than one; absent when both never do.
    pub reduction: Option<f64>,
}

impl Coincidence {
    /// The rates; absent when nothing was judged by both.
    pub fn rates(&self) -> Option<Rates> {
        if self.judged == 0 {
            return None;
        }
        let of = |count: u64| count as f64 / self.judged as f64;
        let [one, other] = self.alarms.map(of);
        let (single, both) = (f64::midpoint(one, other), of(self.both));
        let reduction = (self.both > 0).then(|| single / both);
        Some(Rates { single, both, by_chance: one * other, reduction })
    }

    fn add(&mut self, alarms: [bool; 2]) {
        self.judged += 1;
        for (count, alarm) in self.alarms.iter_mut().zip(alarms) {
            *count += u64::from(alarm);
        }
        self.both += u64::from(alarms == [true, true]);
    }
}

/// What one node did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberFigures {
    /// Its economy.
    pub economy: Arc<str>,
    /// Its rule, as `name/version`.
    pub rule: String,
    /// Imports judged: items of an exporter, in months.
    pub judged: u64,
    /// Claims made of them.
    pub claims: u64,
    /// Claims by the best answer that any other node gave: mirror and joint before contrast,
    /// contrast before unknown. A claim that is both mirrored and joint counts as mirrored.
    pub best: BTreeMap<Finding, u64>,
    /// All answers it was given.
    pub answers: BTreeMap<Finding, u64>,
}

/// What became of a listed event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventFigures {
    /// The event.
    pub event: String,
    /// What was to be expected.
    pub expected: Expected,
    /// The first importer to alarm, and the month.
    pub alone: Option<(Arc<str>, Month)>,
    /// The first month in which a claim about it was answered with joint.
    pub joint: Option<Month>,
    /// As above, with mirror.
    pub mirror: Option<Month>,
    /// As above, with contrast.
    pub contrast: Option<Month>,
}

/// A federated replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Federation {
    /// First month.
    pub from: Month,
    /// Last month.
    pub to: Month,
    /// Node by node.
    pub members: Vec<MemberFigures>,
    /// Two importers of one exporter's item.
    pub joint: BTreeMap<Direction, Coincidence>,
    /// The two ends of one flow; the importer is the first side.
    pub mirror: BTreeMap<Direction, Coincidence>,
    /// Listed events.
    pub events: Vec<EventFigures>,
    /// Bytes of the largest question and of the largest answers.
    pub largest: [usize; 2],
}

/// What a member sees of one month, and what it asks.
struct Turn {
    as_of: Date,
    sight: Sight,
    alarms: Vec<Alarm>,
    question: Question,
    asked: Digest,
}

/// Replays months with the records that `known` gives: for a member's place and a month, the day it
/// judges on and the series it knew then.
///
/// # Errors
/// What `known` fails with, and what is wrong with a message.
pub fn federate<E: From<CorroborationError>>(
    members: &[Member],
    (from, to): (Month, Month),
    events: &[Event],
    shared: &SharedItems,
    mut known: impl FnMut(usize, Month) -> Result<(Date, Vec<Series>), E>,
) -> Result<Federation, E> {
    let mut done = Federation {
        from,
        to,
        members: members.iter().map(MemberFigures::of).collect(),
        joint: BTreeMap::new(),
        mirror: BTreeMap::new(),
        events: events.iter().map(EventFigures::of).collect(),
        largest: [0; 2],
    };
    for index in from.index()..=to.index() {
        let month = Month::from_index(index);
        let mut turns = Vec::with_capacity(members.len());
        for (place, member) in members.iter().enumerate() {
            let (as_of, series) = known(place, month)?;
            turns.push(Turn::of(member, month, as_of, &series, shared));
        }
        done.count_judged(members, &turns);
        for (place, turn) in turns.iter().enumerate() {
            done.ask(place, members, turn, &turns, events, shared)?;
        }
    }
    Ok(done)
}

impl Turn {
    fn of(member: &Member, month: Month, as_of: Date, series: &[Series], shared: &SharedItems) -> Self {
        let mut sight = Sight::new(shared);
        let alarms = sight.screen(series, month, as_of, &member.rule).alarms;
        let question = sight.question(&member.economy);
        let asked = Digest::of(&question.bytes());
        Self { as_of, sight, alarms, question, asked }
    }

    fn claims(&self, flowing: &Flowing, direction: Direction) -> bool {
        let is = |s: &super::Subject| {
            (&s.exporter, &s.item, s.month, s.direction) == (&flowing.0, &flowing.1, flowing.2, direction)
        };
        self.question.claims.iter().any(|c| is(&c.subject))
    }
}

impl MemberFigures {
    fn of(member: &Member) -> Self {
        Self {
            economy: member.economy.clone(),
            rule: format!("{}/{}", member.rule.id, member.rule.version),
            judged: 0,
            claims: 0,
            best: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }
}

impl EventFigures {
    fn of(event: &Event) -> Self {
        Self {
            event: event.id.clone(),
            expected: event.expected,
            alone: None,
            joint: None,
            mirror: None,
            contrast: None,
        }
    }

    fn note(&mut self, importer: &Arc<str>, month: Month, findings: &BTreeSet<Finding>) {
        if self.alone.is_none() {
            self.alone = Some((importer.clone(), month));
        }
        for (finding, first) in [
            (Finding::Joint, &mut self.joint),
            (Finding::Mirror, &mut self.mirror),
            (Finding::Contrast, &mut self.contrast),
        ] {
            if findings.contains(&finding) {
                first.get_or_insert(month);
            }
        }
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Drop, Direction::Surge];

impl Federation {
    /// Counts what was judged by both sides of each pair, and who alarms there.
    fn count_judged(&mut self, members: &[Member], turns: &[Turn]) {
        let mut importers: BTreeMap<&Flowing, Vec<&Turn>> = BTreeMap::new();
        for ((member, turn), figures) in members.iter().zip(turns).zip(&mut self.members) {
            for flowing in turn.sight.judged_imports() {
                figures.judged += 1;
                importers.entry(flowing).or_default().push(turn);
                let other = members.iter().position(|m| m.economy == flowing.0);
                let Some(exporter) = other.and_then(|place| turns.get(place)) else { continue };
                if !exporter.sight.judged_export(&member.economy, flowing) {
                    continue;
                }
                for direction in DIRECTIONS {
                    let theirs = exporter.sight.export_alarms(&member.economy, flowing, direction);
                    let count = self.mirror.entry(direction).or_default();
                    count.add([turn.claims(flowing, direction), theirs]);
                }
            }
        }
        for (flowing, turns) in importers {
            for direction in DIRECTIONS {
                let alarms: Vec<bool> = turns.iter().map(|t| t.claims(flowing, direction)).collect();
                let count = self.joint.entry(direction).or_default();
                for (place, one) in alarms.iter().enumerate() {
                    for other in alarms.iter().skip(place + 1) {
                        count.add([*one, *other]);
                    }
                }
            }
        }
    }

    /// Asks all others, and notes what they answer.
    fn ask(
        &mut self,
        place: usize,
        members: &[Member],
        turn: &Turn,
        turns: &[Turn],
        events: &[Event],
        shared: &SharedItems,
    ) -> Result<(), CorroborationError> {
        let claims = &turn.question.claims;
        if claims.is_empty() {
            return Ok(());
        }
        let bytes = turn.question.bytes();
        // What travels is what is read again, not what is in memory.
        let question = Question::read(&bytes)?;
        let mut found: Vec<BTreeSet<Finding>> = vec![BTreeSet::new(); claims.len()];
        let Some(figures) = self.members.get_mut(place) else { return Ok(()) };
        for (other, (member, theirs)) in members.iter().zip(turns).enumerate() {
            if other == place {
                continue;
            }
            let told = answer(&question, turn.asked, &member.economy, theirs.as_of, &theirs.sight)?;
            check_answers(&turn.question, turn.asked, &told)?;
            let [_, largest] = &mut self.largest;
            *largest = (*largest).max(told.bytes().len());
            for (answer, found) in told.answers.iter().zip(&mut found) {
                *figures.answers.entry(answer.finding).or_default() += 1;
                found.insert(answer.finding);
            }
        }
        let [largest, _] = &mut self.largest;
        *largest = (*largest).max(bytes.len());
        figures.claims += claims.len() as u64;
        for found in &found {
            let order = [Finding::Mirror, Finding::Joint, Finding::Contrast];
            let best = order.into_iter().find(|f| found.contains(f)).unwrap_or(Finding::Unknown);
            *figures.best.entry(best).or_default() += 1;
        }
        let importer = &turn.question.asker;
        for (event, noted) in events.iter().zip(&mut self.events) {
            let of_event = |a: &&Alarm| a.series.flow == Flow::Import && event.explains(a);
            for alarm in turn.alarms.iter().filter(of_event) {
                let item = shared.name_of(&alarm.series);
                let (exporter, _) = alarm.series.exporter_and_importer();
                let is = |c: &super::Claim| {
                    (&c.subject.exporter, &c.subject.item, c.subject.direction)
                        == (exporter, &item, alarm.direction)
                };
                let place = claims.iter().position(is);
                if let Some(found) = place.and_then(|place| found.get(place)) {
                    noted.note(importer, alarm.month, found);
                }
            }
        }
        Ok(())
    }
}

/// An exporter's record, seen from the other end: for each economy it exports to, the imports from
/// it as its own customs would state them. With it one reporter's table shows how alarms of several
/// importers coincide, as if each had a node. It is their supplier's record and not their own: an
/// error or a delay of that one source hits all of them at once.
pub fn seen_by_importers(series: Vec<Series>) -> BTreeMap<Arc<str>, Vec<Series>> {
    let mut seen: BTreeMap<Arc<str>, Vec<Series>> = BTreeMap::new();
    for one in series.into_iter().filter(|s| s.key.flow == Flow::Export) {
        let SeriesKey { source, reporter, partner, item, .. } = one.key;
        let key =
            SeriesKey { source, reporter: partner.clone(), partner: reporter, item, flow: Flow::Import };
        seen.entry(partner).or_default().push(Series { key, ..one });
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_pair_months_and_the_reduction_is_single_over_both() {
        let mut count = Coincidence::default();
        for (alarms, times) in
            [([true, true], 1), ([true, false], 3), ([false, true], 1), ([false, false], 95)]
        {
            (0..times).for_each(|_| count.add(alarms));
        }
        let rates = count.rates().unwrap();
        assert_eq!((count.judged, count.alarms, count.both), (100, [4, 2], 1));
        assert!((rates.single - 0.03).abs() < 1e-12 && (rates.both - 0.01).abs() < 1e-12);
        assert!((rates.by_chance - 0.0008).abs() < 1e-12);
        assert!((rates.reduction.unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(Coincidence::default().rates(), None);
    }
}
