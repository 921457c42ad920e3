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
//! Two importers alarm on one exporter's item in one month far more rarely than one does, so a joint
//! answer weighs a great deal; [`federate`] measures how much. A measure against one importer alone
//! can only be confirmed by mirror and contrast. [`psi`] lets two sides learn only what both see.
//!
//! # What leaks
//!
//! The answerer learns what the asker claims to see: which of its imports are out of line, when,
//! which way and in which of three classes, and how many they are. The asker learns the same of what
//! it asked about, and that the answerer judges a flow at all (contrast). Neither learns an amount,
//! a ratio or a distance: two stores whose volumes differ a thousandfold send the same bytes. A
//! class of strength bounds the distance in spreads from one side, and a spread is not told.
//!
//! An asker may claim what it does not see, to learn what the answerer sees. Every question is
//! signed, logged by both and kept, which makes it a statement that can be held against its author;
//! its length is bounded ([`CLAIMS_MAX`], [`MONTHS_MAX`]). A question says itself for which economy
//! it asks: whoever answers must know that the peer speaks for that economy, or it tells the peer
//! about exports to others.

pub mod federate;
pub mod psi;

mod message;
mod shared;
mod sight;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use message::{CLAIMS_MAX, Digest, MESSAGE_BYTES_MAX, MONTHS_MAX, Message};
pub use shared::{SharedItems, SharedItemsError};
pub use sight::{Sight, answer, check_answers};

use crate::month::{Date, Month};
use crate::scan::{Direction, Strength};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Who exports.
    pub exporter: Arc<str>,
    /// The item, as both sides can name it ([`SharedItems`]).
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// As an importer of the same, the same.
    Joint,
    /// As the exporter to the asker, the same.
    Mirror,
    /// As an importer of the same, nothing out of line this way.
    Contrast,
    /// It cannot tell.
    Unknown,
}

/// The answer to one claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The question.
    pub to: Digest,
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

/// Why a message of an exchange is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorroborationError {
    /// It is too large to be read.
    #[error("it has {found} bytes; at most {MESSAGE_BYTES_MAX} are read")]
    TooLarge {
        /// How many.
        found: usize,
    },
    /// It is no such message, or has a field that does not belong.
    #[error("it cannot be read: {problem}")]
    NotRead {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// It is of another type.
    #[error("it is of the type {found:?}; expected {expected}")]
    OtherType {
        /// The type found.
        found: String,
        /// The type expected.
        expected: &'static str,
    },
    /// It says too much.
    #[error("it has {found} claims, answers or points; at most {CLAIMS_MAX} are taken at one time")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// It asks about too many months.
    #[error("it asks about {found} months; at most {MONTHS_MAX} are answered at one time")]
    TooManyMonths {
        /// How many.
        found: usize,
    },
    /// A name that cannot be shown.
    #[error("{name} is no name of an economy or an item")]
    OddName {
        /// The name.
        name: String,
    },
    /// Answers to something else.
    #[error("it answers {to}, which is no question of this side")]
    OtherQuestion {
        /// What it names.
        to: Digest,
    },
    /// Claims were left out or added.
    #[error("it has {found} answers to {expected} claims")]
    Miscounted {
        /// How many answers.
        found: usize,
        /// How many claims.
        expected: usize,
    },
    /// An answer that cannot be.
    #[error("answer {index}: {problem}")]
    WrongAnswer {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
}
