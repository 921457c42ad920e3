//! What verifying a dossier finds: claims, each of them one sentence.

use std::fmt;

use hiwar_dialogue::entry::{DialogueId, EntryId, Texts};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a claim holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Status {
    /// The dossier proves it.
    Proved,
    /// The dossier contradicts it: something was changed, left out or forged.
    Failed {
        /// What does not fit and where.
        why: String,
    },
    /// The dossier neither proves nor contradicts it.
    Unproved {
        /// Why not.
        why: String,
        /// What would prove it.
        would_prove: String,
    },
}

/// What a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "kebab-case")]
pub enum Subject {
    /// The file itself.
    Container,
    /// A party.
    Party(Did),
    /// One of the exporter's logs, by its origin.
    Log(String),
    /// A membership of the dialogue.
    Membership(EntryId),
    /// An entry.
    Entry(EntryId),
    /// An attached file.
    Attachment(Hash),
    /// The dialogue as a whole.
    Dialogue,
    /// An alarm of the exporter's, from 0.
    Alarm(usize),
}

/// One thing that a dossier may prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Stable code, such as `entry:<id>:signature`.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// What is proved if it is proved, as one sentence.
    pub statement: String,
    /// Whether it holds.
    #[serde(flatten)]
    pub status: Status,
    /// The time that it fixes, by the clock of whoever signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Where in the dossier the evidence stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Why a claim does not hold: the part of [`Status`] that says so.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Failed(String),
    Unproved(String, String),
}

impl Claim {
    /// A claim with its outcome.
    pub(crate) fn new(
        id: String,
        subject: Subject,
        statement: impl Into<String>,
        outcome: Result<(), Trouble>,
    ) -> Self {
        let status = match outcome {
            Ok(()) => Status::Proved,
            Err(Trouble::Failed(why)) => Status::Failed { why: plain(&why) },
            Err(Trouble::Unproved(why, would_prove)) => {
                Status::Unproved { why: plain(&why), would_prove: plain(&would_prove) }
            }
        };
        let statement = plain(&statement.into());
        Self { id, subject, statement, status, time: None, evidence: None }
    }

    pub(crate) fn at(mut self, time: Option<Timestamp>) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn seen_in(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }

    /// Whether it is proved.
    pub fn is_proved(&self) -> bool {
        self.status == Status::Proved
    }

    /// Whether the dossier contradicts it.
    pub fn is_failed(&self) -> bool {
        matches!(self.status, Status::Failed { .. })
    }
}

/// A text from a dossier on one line, without anything that could steer a terminal or turn the
/// direction of writing.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() || steers(c) => '\u{FFFD}',
            c => c,
        })
        .collect()
}

/// A party as its newest card describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyRow {
    /// The party.
    pub did: Did,
    /// Its name, as it says itself.
    pub name: String,
    /// The twelve words to compare with it by another way.
    pub words: String,
    /// Whether one of the anchors is a fingerprint of it.
    pub pinned: bool,
}

/// How a party is known to have held an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// Its node signed a receipt.
    Receipt,
    /// It cosigned a state of the exporter's log that contains the entry: the entry existed then.
    Cosignature,
}

/// That a party is proved to have known of an entry at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The party.
    pub party: Did,
    /// How.
    pub by: KnownBy,
    /// When, by the party's own clock.
    pub time: Timestamp,
    /// Milliseconds after the time its author gave; negative when the clocks differ.
    pub delay_ms: i64,
}

/// One entry in the time line: who said it and who knew it when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    /// The entry.
    pub id: EntryId,
    /// Its line in `entries.ndjson`, from 1.
    pub line: usize,
    /// Its author.
    pub author: Did,
    /// The desk that acted.
    pub desk: String,
    /// Its type, such as `org.hiwar.statement.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its marking.
    pub marking: Marking,
    /// When its author says it was made.
    pub time: Timestamp,
    /// The beginning of its text in one language.
    pub excerpt: String,
    /// Who is proved to have known it when, earliest first.
    pub known: Vec<Known>,
}

/// How many claims hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Proved.
    pub proved: usize,
    /// Contradicted.
    pub failed: usize,
    /// Neither.
    pub unproved: usize,
}

/// The verdict as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything is proved.
    Complete,
    /// Nothing is contradicted, but not everything is proved.
    Partial,
    /// Something is contradicted.
    Failed,
}

impl Outcome {
    /// The exit status for a command: 0, 3 or 1.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Partial => 3,
            Self::Failed => 1,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "everything is proved",
            Self::Partial => "nothing is contradicted, but not everything is proved",
            Self::Failed => "something was changed, left out or forged: do not rely on it",
        })
    }
}

/// Everything that verifying a dossier found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The dialogue, as far as the dossier could be read.
    pub dialogue: Option<DialogueId>,
    /// What it is about.
    pub title: Texts,
    /// Who exported it.
    pub exporter: Option<Did>,
    /// When, by the exporter's clock.
    pub time: Option<Timestamp>,
    /// The parties whose cards hold.
    pub parties: Vec<PartyRow>,
    /// The entries that could be read, in the exporter's order of arrival.
    pub entries: Vec<EntryRow>,
    /// The claims, grouped by subject.
    pub claims: Vec<Claim>,
}

impl Verdict {
    /// Whether nothing is contradicted.
    pub fn ok(&self) -> bool {
        !self.claims.is_empty() && !self.claims.iter().any(Claim::is_failed)
    }

    /// Whether everything is proved.
    pub fn complete(&self) -> bool {
        !self.claims.is_empty() && self.claims.iter().all(Claim::is_proved)
    }

    /// The verdict in one word.
    pub fn outcome(&self) -> Outcome {
        match (self.ok(), self.complete()) {
            (_, true) => Outcome::Complete,
            (true, false) => Outcome::Partial,
            (false, false) => Outcome::Failed,
        }
    }

    /// How many claims hold.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for claim in &self.claims {
            match claim.status {
                Status::Proved => counts.proved += 1,
                Status::Failed { .. } => counts.failed += 1,
                Status::Unproved { .. } => counts.unproved += 1,
            }
        }
        counts
    }

    /// The claim with this code.
    pub fn claim(&self, id: &str) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.id == id)
    }

    /// Who said what and who knew it when, by the authors' times.
    pub fn timeline(&self) -> Vec<&EntryRow> {
        let mut rows: Vec<&EntryRow> = self.entries.iter().collect();
        rows.sort_by_key(|row| (row.time, row.line));
        rows
    }
}
