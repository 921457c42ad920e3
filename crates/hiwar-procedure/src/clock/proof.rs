//! What the claimed times of entries are worth: who provably knew of an entry when, and what speaks against its
//! claimed time.
//!
//! A duty is judged by the times that entries claim, because a claim is the only time that all parties see alike.
//! Beside it stands what this node can prove: when it stored the entry itself, what other nodes' receipts say, and
//! which party's later entries link to it and so show that the party had it. A flag does not make anything void.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::{Body, EntryId};
use hiwar_form::{Document, Form};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::act::{Said, Void};
use crate::history::Held;

/// By how much clocks may differ before a claimed time is flagged, in milliseconds: five minutes.
pub const CLOCKS_DIFFER_MS: i64 = 5 * 60 * 1000;

/// What a party provably knew of an entry, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Knowledge {
    /// The party.
    pub party: Did,
    /// When it says it wrote the entry; only for the author.
    pub claimed: Option<Timestamp>,
    /// When this node stored it, by its own clock; only for this node's party.
    pub received_here: Option<Timestamp>,
    /// When the party's node proved by its receipt that it stored it, by that node's clock.
    pub receipted: Option<Timestamp>,
    /// When a desk of the party says it took note, with the entry that says so.
    pub acknowledged: Option<(EntryId, Timestamp)>,
    /// The first entry of the party that links to it, with the time that it claims: whoever wrote that had this one.
    pub linked: Option<(EntryId, Timestamp)>,
}

impl Knowledge {
    /// The earliest time by which the party provably had the entry, by whichever of the above. The author's own claim
    /// is none: it proves nothing.
    pub fn proved(&self) -> Option<Timestamp> {
        let acknowledged = self.acknowledged.map(|(_, at)| at);
        let linked = self.linked.map(|(_, at)| at);
        [self.received_here, self.receipted, acknowledged, linked].into_iter().flatten().min()
    }
}

/// How something was told while the network could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// By telephone.
    Phone,
    /// By e-mail.
    #[serde(rename = "e-mail")]
    Email,
    /// From person to person.
    InPerson,
    /// By courier.
    Courier,
}

impl Channel {
    /// The words as a form takes them.
    pub const CHOICES: [(&'static str, Self); 4] = [
        ("phone", Self::Phone),
        ("e-mail", Self::Email),
        ("in-person", Self::InPerson),
        ("courier", Self::Courier),
    ];
}

/// What an act says of itself when it was told outside of the network first and is entered later: content member
/// `re-entry`. Source: Implementing Regulation (EU) 2019/1715, Article 28: while iRASFF is not available, contact
/// points use the telephone and e-mail, and enter what they exchanged once it is available again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReEntry {
    /// When it was told.
    pub happened_at: Timestamp,
    /// How.
    pub channel: Channel,
    /// To whom, by whom, under which reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// When an act counts as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The time to judge by.
    pub at: Timestamp,
    /// Present when that time is not the one that the entry claims for itself, so that nobody takes the one for
    /// the other.
    pub re_entry: Option<ReEntry>,
}

impl ReEntry {
    /// Reads the member `re-entry` of an act's content, as part of the form of the whole content.
    pub fn read(form: &mut Form<'_>) -> Option<Self> {
        form.object("re-entry", |form| {
            let happened_at = form.parsed("happened-at", "clock-not-time");
            let channel = form.choice("channel", &Channel::CHOICES);
            let note = form.optional("note");
            Some(Self { happened_at: happened_at?, channel: channel?, note })
        })
    }
}

/// When an act counts as done: the time that its entry claims, or the one that its re-entry names.
///
/// # Errors
/// When `re-entry` has faults, or names a time after the entry was made.
pub fn effective(said: &Said<'_>) -> Result<Effective, Void> {
    let Some(member) = said.content.get("re-entry") else {
        return Ok(Effective { at: said.time, re_entry: None });
    };
    let alone = BTreeMap::from([("re-entry", member)]);
    let document = Document::of(serde_json::to_value(alone).unwrap_or_default());
    let re_entry = document.read(ReEntry::read).map_err(|faults| {
        let field = faults.0.first().map(|fault| fault.place.field.clone()).unwrap_or_default();
        Void::with("clock-void-re-entry", &[("field", &field)])
    })?;
    if re_entry.happened_at > said.time {
        let arguments = [("happened", &*re_entry.happened_at.to_string()), ("time", &*said.time.to_string())];
        return Err(Void::with("clock-void-re-entry-later", &arguments));
    }
    Ok(Effective { at: re_entry.happened_at, re_entry: Some(re_entry) })
}

/// What speaks against a claimed time, or qualifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "flag")]
pub enum Flag {
    /// The first proof that it exists is much later than its claimed time: it may have been offline, or back-dated.
    ArrivedLate {
        /// How much later, in milliseconds.
        by_ms: i64,
    },
    /// It existed before the time that it claims.
    FromTheFuture {
        /// How much before, in milliseconds.
        by_ms: i64,
    },
    /// It claims a time before that of an entry it links to, so one of the two times is wrong.
    BeforeWhatItSaw {
        /// That entry.
        saw: EntryId,
        /// How much before, in milliseconds.
        by_ms: i64,
    },
    /// It was told outside of the network and entered later; the time that it counts for is told by its author alone.
    ReEntered(ReEntry),
}

impl Flag {
    /// The flag in words.
    pub fn say(&self, language: hiwar_form::Language) -> String {
        let minutes = |ms: i64| (ms / 60_000).to_string();
        let (code, arguments): (&str, Vec<(&str, String)>) = match self {
            Self::ArrivedLate { by_ms } => ("clock-arrived-late", vec![("minutes", minutes(*by_ms))]),
            Self::FromTheFuture { by_ms } => ("clock-from-future", vec![("minutes", minutes(*by_ms))]),
            Self::BeforeWhatItSaw { saw, by_ms } => {
                ("clock-before-what-it-saw", vec![("minutes", minutes(*by_ms)), ("saw", saw.0.short())])
            }
            Self::ReEntered(re_entry) => {
                ("clock-re-entered", vec![("happened", re_entry.happened_at.to_string())])
            }
        };
        let arguments: Vec<(&str, &str)> =
            arguments.iter().map(|(name, text)| (*name, text.as_str())).collect();
        crate::MESSAGES.say(language, code, &arguments)
    }
}

/// What can be proved of an entry: who knew of it when, and what speaks against its claimed time. `here` is this
/// node's party.
pub fn knowledge(held: &[Held], entry: &EntryId, here: &Did, parties: &[Did]) -> Vec<Knowledge> {
    let Some(one) = held.iter().find(|one| one.entry.id == *entry) else { return Vec::new() };
    let first = |party: &Did, is_it: &dyn Fn(&Held) -> bool| {
        let theirs = held.iter().filter(|other| other.entry.entry.author == *party && is_it(other));
        theirs.map(|other| (other.entry.entry.time, other.entry.id)).min().map(|(at, id)| (id, at))
    };
    let of_party = |party: &Did| {
        let is_author = one.entry.entry.author == *party;
        let acknowledges = |other: &Held| matches!(&other.entry.entry.body, Body::Acknowledgement(about) if about.of == *entry);
        let links = |other: &Held| other.entry.entry.prev.contains(entry);
        Knowledge {
            party: party.clone(),
            claimed: is_author.then_some(one.entry.entry.time),
            received_here: (party == here).then_some(one.received),
            receipted: one.receipts.get(party).copied(),
            acknowledged: first(party, &acknowledges),
            linked: first(party, &links).filter(|_| !is_author),
        }
    };
    parties.iter().map(of_party).collect()
}

/// What speaks against an entry's claimed time. The order of the flags is fixed.
pub fn flags(held: &[Held], entry: &EntryId) -> Vec<Flag> {
    let Some(one) = held.iter().find(|one| one.entry.id == *entry) else { return Vec::new() };
    let claimed = one.entry.entry.time;
    let mut flags = Vec::new();
    let first_proof = one.receipts.values().copied().chain([one.received]).min().unwrap_or(one.received);
    let late = first_proof.millis_since(claimed);
    if late > CLOCKS_DIFFER_MS {
        flags.push(Flag::ArrivedLate { by_ms: late });
    }
    if late < -CLOCKS_DIFFER_MS {
        flags.push(Flag::FromTheFuture { by_ms: -late });
    }
    let mut saw: Vec<EntryId> =
        one.entry.entry.prev.iter().copied().chain(one.entry.entry.body.of()).collect();
    saw.sort_unstable();
    saw.dedup();
    for before in held.iter().filter(|other| saw.contains(&other.entry.id)) {
        let by_ms = before.entry.entry.time.millis_since(claimed);
        if by_ms > 0 {
            flags.push(Flag::BeforeWhatItSaw { saw: before.entry.id, by_ms });
        }
    }
    if let Some(re_entry) = Said::of(one).and_then(|said| effective(&said).ok()?.re_entry) {
        flags.push(Flag::ReEntered(re_entry));
    }
    flags
}
