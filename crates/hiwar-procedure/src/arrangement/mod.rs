//! Arrangements: the agreed text that governs dialogues.
//!
//! An arrangement is proposed as an act, countersigned by every party that it names, and replaced by a later
//! version in the same way. Its terms are data: clocks, bodies, desks and mandates, markings, languages.

use std::collections::BTreeMap;

use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;

/// Parallel texts by language tag.
pub type Texts = BTreeMap<String, String>;

/// An arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Arrangement {
    /// Its short name, such as `ipef-crisis`: lower-case letters, digits, hyphens.
    pub id: String,
    /// Its version, from 1.
    pub version: u32,
    /// What it is called.
    pub title: Texts,
    /// What it is built from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The parties.
    pub parties: Vec<Party>,
    /// The bodies, such as ministers, directors, a working group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<Body>,
    /// What may be said under it: kinds of acts such as `notice`, or narrower `notice:disruption-alert`. Empty
    /// means everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allows: Vec<String>,
    /// How days are counted.
    pub time: TimeRule,
    /// The clocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<Clock>,
    /// Markings.
    pub marking: MarkingRule,
    /// Languages.
    pub languages: LanguageRule,
    /// Exercises.
    pub exercise: ExerciseRule,
    /// What a second desk must release before it leaves: kinds as in `allows`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub four_eyes: Vec<String>,
}

/// A public text that an arrangement or a clock is built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its title.
    pub title: String,
    /// The article or paragraph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// Where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Party {
    /// The participant.
    pub did: Did,
    /// A short name used in clocks and commitments, such as `KR`.
    pub code: String,
    /// What it is called.
    pub name: Texts,
    /// Its desks and what each may do. Empty means that every desk may do everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub desks: Vec<Desk>,
    /// Its public holidays, which count only for clocks that say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Date>,
}

/// A desk with its mandates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// Its name, as entries give it.
    pub name: String,
    /// What it may do: kinds as in [`Arrangement::allows`], or `*`.
    pub may: Vec<String>,
}

/// The level of a body, from the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Heads of state or government.
    Leaders,
    /// Ministers.
    Ministers,
    /// Directors-general and directors.
    Directors,
    /// A working group.
    WorkingGroup,
    /// Firms and their associations.
    BusinessForum,
}

/// A body that meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Its short name, such as `wg-1`.
    pub id: String,
    /// What it is called.
    pub name: Texts,
    /// Its level.
    pub level: Level,
    /// The body above it, to which it reports and to which duties escalate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<String>,
}

/// How days are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TimeRule {
    /// The time zone in which days begin and end: an IANA name such as `Asia/Seoul`.
    pub zone: String,
}

/// A clock: who must do what by when after what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Clock {
    /// Its short name, such as `emergency-meeting`.
    pub id: String,
    /// What must be done.
    pub title: Texts,
    /// What starts it.
    pub starts: EventKind,
    /// What stops it.
    pub ends: EventKind,
    /// Who must act.
    pub owner: Owner,
    /// By when.
    pub due: Due,
    /// When its owner is reminded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remind: Vec<Span>,
    /// To which body it goes when it is overdue, and after how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<Escalation>,
    /// The text that it is built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Who must act on a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// Whoever did what started it.
    Author,
    /// Every other party, each for itself.
    Others,
    /// Every party, each for itself.
    Each,
    /// All parties together: one of them doing it is enough.
    Any,
    /// The party with this code.
    Party(String),
}

/// A length of time. Exactly one of the members is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// Hours that pass, whatever the calendar says.
    Hours(u32),
    /// Calendar days.
    Days(u32),
    /// Calendar months.
    Months(u32),
}

/// By when a duty must be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Due {
    /// How long after the start.
    pub within: Span,
    /// Whether the last day counts to its end, in the arrangement's time zone; otherwise the span ends at the
    /// hour and minute at which it began.
    #[serde(default)]
    pub to_end_of_day: bool,
    /// Whether a last day that is a holiday, Saturday or Sunday moves to the next working day (as in Regulation
    /// 1182/71, Article 3(4)). Most arrangements of states do not say so, and holidays then change nothing.
    #[serde(default)]
    pub working_days: bool,
}

/// Where a duty goes when it is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// How long after it was due.
    pub after: Span,
    /// The body.
    pub to: String,
}

/// Markings under an arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkingRule {
    /// The most restricted one allowed.
    pub cap: Marking,
    /// Who the community of TLP:GREEN is: TLP 2.0 wants it defined.
    pub community: Texts,
}

/// Languages under an arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageRule {
    /// Languages in which every act must have its texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The language whose text prevails; absent when all are equally authentic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevailing: Option<String>,
}

/// Exercises under an arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExerciseRule {
    /// Whether exercises may run on the live network.
    pub allowed: bool,
    /// What stands over everything in an exercise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub banner: Texts,
}
