//! The follow-up note: decisions, upcoming meetings, and the table of agreed steps.
//!
//! The notes that the chair of the WTO Council for Trade in Goods circulates after each meeting (such as
//! G/C/W/857 on the meeting of 2-3 December 2024) have two columns, subject and detail: remarks by the chair,
//! decisions taken at the meeting, key dates of the upcoming meeting. This note has the same subjects; what they
//! leave to prose, who does what by when, is a table of its own here.

use std::fmt::Write;

use hiwar_form::Language;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::FollowUp;
use crate::MESSAGES;
use crate::commitment::due::AsOf;
use crate::commitment::{Commitment, CommitmentPhase};
use crate::meeting::minutes::MinutesPhase;
use crate::meeting::parties::{Code, Parties};
use crate::meeting::{MeetingPhase, Moment};
use crate::status::Status;

/// A follow-up note in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Note {
    /// The language.
    pub language: Tag,
    /// As of when.
    pub as_of: Timestamp,
    /// Decisions by meeting.
    pub decisions: Vec<Decided>,
    /// Meetings that are to come.
    pub upcoming: Vec<Upcoming>,
    /// The agreed steps.
    pub rows: Vec<Row>,
}

/// A language, written as its BCP 47 tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub Language);

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// What a meeting decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The day of the meeting.
    pub date: String,
    /// The decisions' names and texts.
    pub decisions: Vec<(Code, String)>,
}

/// A meeting that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upcoming {
    /// The day.
    pub date: String,
    /// What it is called.
    pub title: String,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The commitment's name.
    pub commitment: String,
    /// What was agreed.
    pub step: String,
    /// Who does it: the party, and its desk.
    pub responsible: String,
    /// The last day, when it is known.
    pub deadline: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Whether it is overdue.
    pub overdue: bool,
    /// What shows that it is done.
    pub evidence: Vec<String>,
    /// What was said about it, with what came of it.
    pub history: Vec<String>,
}

fn say(language: Language, key: &str, arguments: &[(&str, &str)]) -> String {
    MESSAGES.say(language, key, arguments)
}

impl Note {
    /// The note on one body, or on all of them, with what has this status.
    pub fn of(
        state: &FollowUp,
        body: Option<&Code>,
        status: Status,
        parties: &Parties,
        of: &AsOf<'_>,
        language: Language,
    ) -> Self {
        let here = |found: Option<&Code>| body.is_none() || found == body;
        let day = |time| of.day_of(time).map(|day| day.to_string()).unwrap_or_default();
        let mut decisions = Vec::new();
        for minutes in state.minutes.values() {
            if minutes.phase != MinutesPhase::Agreed || minutes.status != status || !here(Some(&minutes.body))
            {
                continue;
            }
            let held = state.meetings.get(&minutes.meeting).and_then(|meeting| meeting.held.as_ref());
            let texts = minutes.current.draft.decisions.iter().map(|decision| {
                (decision.id.clone(), parties.text_in(&decision.texts, language).1.to_owned())
            });
            let date = held.map(|held| day(held.starts)).unwrap_or_default();
            decisions.push(Decided { date, decisions: texts.collect() });
        }
        decisions.sort_by(|one, other| one.date.cmp(&other.date));
        let mut upcoming: Vec<Upcoming> = Vec::new();
        for meeting in state.meetings.values() {
            let convening = meeting.convening();
            let open = !matches!(meeting.phase, MeetingPhase::Held | MeetingPhase::Cancelled);
            if open && convening.status == status && here(Some(&convening.body)) && convening.ends > of.now {
                let title = parties.text_in(&convening.title, language).1.to_owned();
                upcoming.push(Upcoming { date: day(convening.starts), title });
            }
        }
        upcoming.sort_by(|one, other| one.date.cmp(&other.date));
        let mut commitments: Vec<&Commitment> = state.commitments.values().collect();
        commitments.retain(|one| one.status == status && here(one.body.as_ref()));
        commitments.sort_by_cached_key(|one| {
            let due = one.due(of);
            (!one.is_overdue(of), !one.phase.is_pending(), due.is_none(), due, one.id.clone())
        });
        let rows = commitments.into_iter().map(|one| Row::of(one, parties, of, language)).collect();
        Self { language: Tag(language), as_of: of.now, decisions, upcoming, rows }
    }

    fn headings(language: Language) -> [String; 6] {
        ["step", "responsible", "deadline", "status", "evidence", "history"]
            .map(|name| say(language, &format!("follow-up-{name}"), &[]))
    }

    /// The table as CSV (RFC 4180) in UTF-8. A cell that a spreadsheet would take for a formula begins with an
    /// apostrophe.
    pub fn to_csv(&self) -> String {
        let language = self.language.0;
        let mut out = csv_line(&Self::headings(language));
        for row in &self.rows {
            out.push_str(&csv_line(&row.cells(language)));
        }
        out
    }

    /// The note as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The note as an HTML page without scripts, styles or addresses.
    pub fn to_html(&self) -> String {
        let language = self.language.0;
        let direction = if language.is_right_to_left() { "rtl" } else { "ltr" };
        let title = escaped(&say(language, "follow-up-title", &[]));
        let as_of = escaped(&say(language, "follow-up-as-of", &[("time", &self.as_of.to_string())]));
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<p>{as_of}</p>\n"
        );
        for decided in &self.decisions {
            let heading = escaped(&say(language, "follow-up-decisions", &[("date", &decided.date)]));
            out.push_str(&format!("<h2>{heading}</h2>\n<ol>\n"));
            for (_, text) in &decided.decisions {
                out.push_str(&format!("<li><bdi>{}</bdi></li>\n", escaped(text)));
            }
            out.push_str("</ol>\n");
        }
        if !self.upcoming.is_empty() {
            out.push_str(&format!("<h2>{}</h2>\n<ul>\n", escaped(&say(language, "follow-up-upcoming", &[]))));
            for meeting in &self.upcoming {
                let (date, title) = (escaped(&meeting.date), escaped(&meeting.title));
                out.push_str(&format!("<li>{date}: <bdi>{title}</bdi></li>\n"));
            }
            out.push_str("</ul>\n");
        }
        out.push_str("<table>\n<thead><tr>");
        for heading in Self::headings(language) {
            out.push_str(&format!("<th scope=\"col\">{}</th>", escaped(&heading)));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for cell in row.cells(language) {
                let lines: Vec<String> =
                    cell.lines().map(|line| format!("<bdi>{}</bdi>", escaped(line))).collect();
                out.push_str(&format!("<td>{}</td>", lines.join("<br>")));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n</body>\n</html>\n");
        out
    }

    /// The note as plain text.
    pub fn to_text(&self) -> String {
        let language = self.language.0;
        let mut out = say(language, "follow-up-title", &[]);
        let as_of = say(language, "follow-up-as-of", &[("time", &self.as_of.to_string())]);
        out.push_str(&format!("\n{as_of}\n"));
        for decided in &self.decisions {
            out.push_str(&format!(
                "\n{}\n",
                say(language, "follow-up-decisions", &[("date", &decided.date)])
            ));
            for (number, (_, text)) in (1..).zip(&decided.decisions) {
                out.push_str(&format!("{number}. {text}\n"));
            }
        }
        if !self.upcoming.is_empty() {
            out.push_str(&format!("\n{}\n", say(language, "follow-up-upcoming", &[])));
            for meeting in &self.upcoming {
                out.push_str(&format!("{}: {}\n", meeting.date, meeting.title));
            }
        }
        for (number, row) in (1..).zip(&self.rows) {
            out.push_str(&format!("\n[{number}]\n"));
            for (heading, cell) in Self::headings(language).iter().zip(row.cells(language)) {
                if !cell.is_empty() {
                    out.push_str(&format!("{heading}: {}\n", cell.replace('\n', "\n  ")));
                }
            }
        }
        out
    }
}

impl Row {
    fn of(one: &Commitment, parties: &Parties, of: &AsOf<'_>, language: Language) -> Self {
        let overdue = one.is_overdue(of);
        let mut status = say(language, one.phase.message(), &[]);
        if overdue {
            status = format!("{status} ({})", say(language, "commitment-overdue", &[]));
        }
        let mut evidence = Vec::new();
        if let Some(claim) = one.claim() {
            evidence.extend(claim.files.iter().map(|file| file.name.clone()));
            evidence.extend(claim.evidence.iter().map(ToString::to_string));
            let confirmed = claim.accepted.keys();
            evidence.extend(
                confirmed.map(|code| say(language, "follow-up-confirmed", &[("party", code.as_str())])),
            );
        }
        if one.phase == CommitmentPhase::DoneClaimed {
            let waiting = one.unconfirmed(parties);
            evidence.extend(
                waiting.iter().map(|code| say(language, "follow-up-waits", &[("party", code.as_str())])),
            );
        }
        let responsible = match &one.terms.desk {
            Some(desk) => format!("{} ({desk})", one.terms.owner),
            None => one.terms.owner.to_string(),
        };
        Self {
            commitment: one.id.to_string(),
            step: parties.text_in(&one.terms.texts, language).1.to_owned(),
            responsible,
            deadline: one.due(of).map(|day| day.to_string()),
            status,
            overdue,
            evidence,
            history: one.history.iter().map(|moment| told(moment, of, language)).collect(),
        }
    }

    fn cells(&self, language: Language) -> [String; 6] {
        let deadline = self.deadline.clone().unwrap_or_else(|| say(language, "follow-up-no-deadline", &[]));
        [
            self.step.clone(),
            self.responsible.clone(),
            deadline,
            self.status.clone(),
            self.evidence.join("\n"),
            self.history.join("\n"),
        ]
    }
}

fn told(moment: &Moment, of: &AsOf<'_>, language: Language) -> String {
    let key = format!("follow-up-said-{}", moment.what);
    let what = if MESSAGES.has(&key) { say(language, &key, &[]) } else { moment.what.clone() };
    let by = moment.by.as_ref().map_or("?", Code::as_str);
    let day = of.day_of(moment.at).map(|day| day.to_string()).unwrap_or_default();
    let mut line = format!("{day} {by}: {what}");
    if let Some(void) = &moment.void {
        let reason = void.say(language);
        // Writing to a text cannot fail.
        let _ = write!(line, " ({})", say(language, "follow-up-void", &[("reason", &reason)]));
    }
    line
}

fn csv_line(cells: &[String]) -> String {
    let quoted: Vec<String> = cells
        .iter()
        .map(|cell| {
            let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let guard = if formula { "'" } else { "" };
            format!("\"{guard}{}\"", cell.replace('"', "\"\""))
        })
        .collect();
    format!("{}\r\n", quoted.join(","))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
