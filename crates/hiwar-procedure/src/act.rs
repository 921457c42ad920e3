//! An act where it stands in the history of its dialogue.

use hiwar_dialogue::entry::{Act, ActKind, Attachment, Body, EntryId, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_form::Document;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::history::Held;

/// An act with its author and time.
#[derive(Clone, Copy, Debug)]
pub struct Said<'h> {
    /// Its entry.
    pub id: EntryId,
    /// Who says it.
    pub author: &'h Did,
    /// The desk that acted.
    pub desk: &'h str,
    /// When its author says it was made.
    pub time: Timestamp,
    /// Its marking.
    pub marking: Marking,
    /// Its kind.
    pub kind: ActKind,
    /// What it is about.
    pub of: Option<EntryId>,
    /// What it says beside its content.
    pub words: &'h Words,
    /// Its content.
    pub content: &'h Map<String, Value>,
    /// Its files.
    pub attachments: &'h [Attachment],
    /// The membership that it stands under.
    pub membership: Option<EntryId>,
}

impl<'h> Said<'h> {
    /// An entry as an act, when it is one.
    pub fn of(held: &'h Held) -> Option<Self> {
        let entry = &held.entry.entry;
        let Body::Act(Act { kind, of, words, content }) = &entry.body else { return None };
        Some(Self {
            id: held.entry.id,
            author: &entry.author,
            desk: &entry.desk,
            time: entry.time,
            marking: entry.marking,
            kind: *kind,
            of: *of,
            words,
            content,
            attachments: &entry.attachments,
            membership: entry.membership,
        })
    }

    /// Its content as a form.
    pub fn form(&self) -> Document {
        Document::of_members(self.content)
    }

    /// What a step does, when it is one: `content.step`.
    pub fn step(&self) -> Option<&'h str> {
        let step = self.content.get("step")?.as_str();
        step.filter(|_| self.kind == ActKind::Step)
    }
}

/// Why an act has no effect where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Void {
    /// The key of the message in this crate's locales.
    pub code: &'static str,
    /// What the message's variables stand for.
    pub arguments: Vec<(&'static str, String)>,
}

impl Void {
    /// A reason without variables.
    pub fn plain(code: &'static str) -> Self {
        Self { code, arguments: Vec::new() }
    }

    /// A reason with variables.
    pub fn with(code: &'static str, arguments: &[(&'static str, &str)]) -> Self {
        Self { code, arguments: arguments.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
    }

    /// The reason in words.
    pub fn say(&self, language: hiwar_form::Language) -> String {
        let arguments: Vec<(&str, &str)> =
            self.arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
        crate::MESSAGES.say(language, self.code, &arguments)
    }
}
