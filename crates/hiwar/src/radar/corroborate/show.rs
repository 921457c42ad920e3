//! What a turn of an exchange shows: what has come, what was refused, what leaves.

use std::process::ExitCode;

use hiwar_dialogue::entry::Attachment;
use hiwar_radar::corroborate::{Answer, Answers, Message, Subject};
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::records::Records;
use serde_json::{Value, json};

use super::super::{OutputArgs, Shown};
use super::correspondence::{Correspondence, Letter};

/// A message that is ready to leave.
pub(super) struct Leaving {
    /// What it is, for people.
    pub(super) what: String,
    /// What the statement says in words.
    pub(super) words: String,
    /// The file's name.
    pub(super) file: &'static str,
    /// The message's type.
    pub(super) kind: &'static str,
    /// The file, to the byte.
    pub(super) bytes: Vec<u8>,
}

/// Answers that have come.
pub(super) struct Came {
    pub(super) entry: String,
    pub(super) time: String,
    pub(super) answers: Answers,
}

/// One turn.
pub(super) struct Turn {
    dialogue: String,
    peer: String,
    reaches: Vec<String>,
    send: bool,
    pub(super) came: Vec<Came>,
    /// What both see, by the offer's entry.
    pub(super) both_see: Vec<(String, Vec<Subject>)>,
    /// Entries of the peer that are not taken, and why; whether that was said before.
    pub(super) refused: Vec<(String, String, bool)>,
    pub(super) leaving: Vec<(Leaving, Option<String>)>,
    pub(super) notes: Vec<String>,
    /// What could not be done.
    pub(super) problems: Vec<String>,
}

impl Leaving {
    pub(super) fn of<M: Message>(what: String, words: String, file: &'static str, message: &M) -> Self {
        Self { what, words, file, kind: M::KIND, bytes: message.bytes() }
    }
}

/// The first digits of an identifier, as people read it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// A subject on a line.
pub(super) fn line(subject: &Subject) -> String {
    let direction = format!("{:?}", subject.direction).to_lowercase();
    format!("{} from {} in {}: {direction}", subject.item, subject.exporter, subject.month)
}

/// An answer on a line.
pub(super) fn answer_line(answer: &Answer) -> String {
    let strength = answer.strength.map_or(String::new(), |s| format!(", {s:?}").to_lowercase());
    format!("{} – {:?}{strength}", line(&answer.subject), answer.finding)
}

impl Turn {
    pub(super) fn of(letters: &Correspondence, send: bool) -> Self {
        Self {
            dialogue: letters.dialogue.clone(),
            peer: letters.peer.clone(),
            reaches: letters.reaches.clone(),
            send,
            came: Vec::new(),
            both_see: Vec::new(),
            refused: Vec::new(),
            leaving: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn came(&mut self, letter: &Letter, answers: Answers) {
        self.came.push(Came { entry: letter.entry.clone(), time: letter.time.clone(), answers });
    }

    pub(super) fn show(&self, output: &OutputArgs) -> anyhow::Result<()> {
        output.show(&Shown {
            json: &self.json(),
            records: &|| answer_records(self.came.iter().map(|c| &c.answers)),
            table: &|| self.table(),
            page: &|| self.page(),
        })
    }

    /// Success when nothing new was refused: everything else of the turn was done then as well.
    pub(super) fn outcome(&self) -> anyhow::Result<ExitCode> {
        let new: Vec<String> = self
            .refused
            .iter()
            .filter(|(_, _, before)| !before)
            .map(|(entry, why, _)| format!("entry {} of {} is refused: {why}", short(entry), self.peer))
            .collect();
        let wrong: Vec<String> = new.into_iter().chain(self.problems.iter().cloned()).collect();
        anyhow::ensure!(wrong.is_empty(), "{}. The rest of this turn was done", wrong.join("; "));
        Ok(ExitCode::SUCCESS)
    }

    fn json(&self) -> Value {
        let leaving = |(letter, entry): &(Leaving, Option<String>)| {
            let body: Value = serde_json::from_slice(&letter.bytes).unwrap_or(Value::Null);
            json!({
                "what": letter.what, "words": letter.words, "file": letter.file,
                "media_type": Attachment::media_type_of(letter.kind), "message": body, "sent": entry,
            })
        };
        let came = |c: &Came| json!({ "entry": c.entry, "time": c.time, "answers": c.answers });
        let refused = |(entry, why, _): &(String, String, bool)| json!({ "entry": entry, "why": why });
        json!({
            "dialogue": self.dialogue,
            "peer": self.peer,
            "reaches": self.reaches,
            "came": self.came.iter().map(came).collect::<Vec<_>>(),
            "both_see": self.both_see.iter().map(|(e, s)| json!({ "offer": e, "subjects": s })).collect::<Vec<_>>(),
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
            "leaves": self.leaving.iter().map(leaving).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    fn table(&self) -> String {
        let mut out = Vec::new();
        for came in &self.came {
            let a = &came.answers;
            out.push(format!(
                "Answers of {} ({}) in entry {}, judged as of {}:",
                self.peer,
                a.answerer,
                short(&came.entry),
                a.as_of
            ));
            out.extend(a.answers.iter().map(|a| format!("  {}", answer_line(a))));
        }
        for (offer, subjects) in &self.both_see {
            out.push(format!("Both see, by the offer in entry {}: {}", short(offer), subjects.len()));
            out.extend(subjects.iter().map(|s| format!("  {}", line(s))));
        }
        for (entry, why, _) in &self.refused {
            out.push(format!("Refused: entry {} of {}: {why}", short(entry), self.peer));
        }
        for (letter, entry) in &self.leaving {
            let how = match entry {
                Some(entry) => format!("sent as entry {}", short(entry)),
                None => "would leave; nothing was sent".to_owned(),
            };
            out.push(format!("{} ({how}), to {}:", letter.what, self.reaches.join(", ")));
            out.push(format!("  in words: {}", letter.words));
            out.push(format!("  as the file {} ({}):", letter.file, Attachment::media_type_of(letter.kind)));
            out.push(String::from_utf8_lossy(&letter.bytes).trim_end().to_owned());
        }
        out.extend(self.notes.iter().map(|note| format!("Note: {note}")));
        if self.leaving.iter().any(|(_, entry)| entry.is_none()) && !self.send {
            out.push("Nothing was sent. Add --send to say it as the desk.".to_owned());
        }
        out.join("\n") + "\n"
    }

    fn page(&self) -> String {
        let mut page = Page::new(&format!("Corroboration with {}", self.peer));
        page.paragraph(&format!("Dialogue {}.", self.dialogue));
        page.raw(&format!("<pre>{}</pre>", escape(&self.table())));
        page.finish()
    }
}

/// Answers as rows.
pub(super) fn answer_records<'a>(answers: impl Iterator<Item = &'a Answers>) -> Records {
    let rows: Vec<(&Answers, &Answer)> =
        answers.flat_map(|of| of.answers.iter().map(move |answer| (of, answer))).collect();
    let rows = || rows.iter().copied();
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    Records::default()
        .text("answerer", rows().map(|(of, _)| &of.answerer))
        .text("as_of", rows().map(|(of, _)| of.as_of))
        .text("exporter", rows().map(|(_, a)| &a.subject.exporter))
        .text("item", rows().map(|(_, a)| &a.subject.item))
        .text("month", rows().map(|(_, a)| a.subject.month))
        .text("direction", rows().map(|(_, a)| word(&a.subject.direction)))
        .text("finding", rows().map(|(_, a)| word(&a.finding)))
        .text_if_any("strength", rows().map(|(_, a)| a.strength.map(|s| word(&s))))
        .text("question", rows().map(|(of, _)| of.to))
}
