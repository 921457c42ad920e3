//! Arrangements: the agreed text that governs dialogues.
//!
//! An arrangement is proposed as an act, countersigned by every party that it names, and replaced by a later
//! version in the same way. Its terms are data: clocks, bodies, desks and mandates, markings, languages.

mod mandate;
mod read;
mod scope;
mod span;
mod template;
mod versions;
mod write;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;

pub use hiwar_dialogue::entry::Texts;
pub(crate) use mandate::own_kind;
pub use read::read;
pub use scope::{Scope, ScopeError};
pub use span::{AMOUNT_MAX, Span, SpanError};
pub use template::{Template, TemplateError};
pub use versions::{Proposal, ProposalState, Version, Versions};
pub use write::SCHEMA;

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
    pub allows: Vec<Scope>,
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
    pub four_eyes: Vec<Scope>,
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
    pub may: Vec<Scope>,
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
    /// The body that looks after it from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// By when.
    pub due: Due,
    /// When its owner is reminded: how long before it is due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remind: Vec<Span>,
    /// To which body it goes when it is overdue, and after how long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<Escalation>,
    /// The text that it is built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Who must act on a clock, written `author`, `others`, `each`, `any` or the code of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A text that says not who must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} does not say who must act; write author, others, each, any or the code of a party, such as KR"
)]
pub struct OwnerError(pub String);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Author => "author",
            Self::Others => "others",
            Self::Each => "each",
            Self::Any => "any",
            Self::Party(code) => code,
        })
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        match text {
            "author" => Ok(Self::Author),
            "others" => Ok(Self::Others),
            "each" => Ok(Self::Each),
            "any" => Ok(Self::Any),
            code if is_code(code) => Ok(Self::Party(code.to_owned())),
            _ => Err(OwnerError(text.chars().take(80).collect())),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a text is a party's code: 1 to 16 upper-case letters, digits and hyphens, a letter first. So it can
/// never be taken for one of the words that say who must act.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-')
}

/// By when a duty must be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Due {
    /// How long after the start.
    pub within: Span,
    /// Whether the day of the start is not counted and the last day counts to its end, in the arrangement's time
    /// zone; for hours likewise the hour of the start and the last hour (Regulation (EEC, Euratom) 1182/71,
    /// Article 3(1) and (2)). Otherwise the span ends at the very time of day at which it began.
    #[serde(default, skip_serializing_if = "is_false")]
    pub to_end_of_day: bool,
    /// Whether a last day that is a holiday, Saturday or Sunday moves to the next working day (as in Regulation
    /// 1182/71, Article 3(4), which is not for hours). Most arrangements of states do not say so, and holidays
    /// then change nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub working_days: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Where a duty goes when it is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// How long after it was due.
    pub after: Span,
    /// The body; absent, the one above the body that had it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
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

impl Arrangement {
    /// The party of a participant.
    pub fn party(&self, did: &Did) -> Option<&Party> {
        self.parties.iter().find(|party| party.did == *did)
    }

    /// The party with a code.
    pub fn party_of_code(&self, code: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.code == code)
    }

    /// A body.
    pub fn body(&self, id: &str) -> Option<&Body> {
        self.bodies.iter().find(|body| body.id == id)
    }

    /// A clock.
    pub fn clock(&self, id: &str) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.id == id)
    }
}

impl Clock {
    /// The bodies to which it escalates one after the other, with how long after it was due. Where none is
    /// named it goes to the one above.
    pub fn ladder<'a>(&'a self, arrangement: &'a Arrangement) -> Vec<(Span, &'a str)> {
        let mut responsible = self.body.as_deref();
        let mut ladder = Vec::new();
        for step in &self.escalate {
            let above = || arrangement.body(responsible?)?.above.as_deref();
            if let Some(to) = step.to.as_deref().or_else(above) {
                ladder.push((step.after, to));
                responsible = Some(to);
            }
        }
        ladder
    }
}
