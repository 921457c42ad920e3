//! What is printed at the end: the timeline, the two versions, the checks; as text or as JSON.

use std::collections::BTreeMap;

use hiwar_form::Language;
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::checks::Check;
use super::play::{Hindrance, Known, Said, Stage};
use super::prove::{Proof, why};
use super::script::{Kind, Party, Step};
use crate::commands::dialogue::all_entries;
use crate::commands::{list, text};

/// Columns of the page.
const WIDTH: usize = 100;
/// Columns before the text of a step.
const INDENT: usize = 12;
/// What is put where a text was cut.
const CUT: &str = "…";

/// One step with what became of it.
pub(super) struct Row<'a> {
    step: &'a Step,
    said: &'a Said,
    known: Vec<Known>,
    /// What later steps say of it: each with its position in the script.
    disputed_by: Vec<&'a Step>,
    corrected_by: Vec<&'a Step>,
    withdrawn_by: Option<&'a Step>,
    acknowledged_by: Vec<&'a Step>,
}

/// Collects the timeline from the nodes: receipts from each speaker's, relations from the first.
pub(super) async fn rows<'a>(stage: &'a Stage<'_>) -> anyhow::Result<Vec<Row<'a>>> {
    let entries = all_entries(stage.cast.client(Party::Motie)?, &stage.dialogue).await?;
    let by_entry: BTreeMap<&str, &Step> =
        stage.said.iter().filter_map(|s| Some((s.entry.as_str(), stage.script.steps.get(s.step)?))).collect();
    let mut rows = Vec::with_capacity(stage.said.len());
    for said in &stage.said {
        let Some(step) = stage.script.steps.get(said.step) else { continue };
        let item = entries.iter().find(|e| text(e, "/entry/id") == said.entry).unwrap_or(&Value::Null);
        let steps = |pointer: &str| -> Vec<&'a Step> {
            let ids = list(item, pointer).iter().filter_map(Value::as_str);
            ids.filter_map(|id| by_entry.get(id).copied()).collect()
        };
        let acknowledged = item["acknowledged_by"].as_object().into_iter().flat_map(|o| o.values());
        let acknowledged = acknowledged.filter_map(Value::as_str).filter_map(|id| by_entry.get(id).copied());
        rows.push(Row {
            step,
            said,
            known: stage.known(said).await?,
            disputed_by: steps("/disputed_by"),
            corrected_by: steps("/corrected_by"),
            withdrawn_by: by_entry.get(text(item, "/withdrawn_by")).copied(),
            acknowledged_by: acknowledged.collect(),
        });
    }
    rows.sort_by_key(|row| row.said.step);
    Ok(rows)
}

/// What stands over the columns.
pub(super) fn head() -> String {
    format!("{:<10}  {:<11}  {:<10}  known to, by signed receipt", "day", "who", "what")
}

/// Day, speaker and kind of a step, in columns.
pub(super) fn row_head(step: &Step) -> String {
    let kind = if step.kind == Kind::Acknowledgement { "ack" } else { step.kind.name() };
    format!("{}  {:<11}  {kind:<10}  ", step.date, column(step.speaker))
}

fn column(party: Party) -> &'static str {
    match party {
        Party::Motie => "MOTIE",
        Party::Meti => "METI",
        Party::Association => "Association",
    }
}

/// When the other parties knew, and why late.
pub(super) fn known_sentence(known: &[Known], hindrances: &BTreeMap<Party, Hindrance>) -> String {
    let mut parts: Vec<String> = known
        .iter()
        .enumerate()
        .map(|(index, k)| {
            let next = known.get(index + 1).and_then(|k| hindrances.get(&k.party));
            let hindrance = hindrances.get(&k.party).filter(|h| next != Some(h));
            let because = hindrance.map_or_else(String::new, |h| format!(" ({})", because(k.party, *h)));
            format!("{} after {}{because}", name(k.party), delay(k.delay_ms))
        })
        .collect();
    let waiting = hindrances.keys().filter(|party| known.iter().all(|k| k.party != **party));
    let waiting: Vec<&str> = waiting.map(|party| name(*party)).collect();
    if !waiting.is_empty() {
        parts.push(format!("on its way to {}", waiting.join(" and ")));
    }
    parts.join(", ")
}

fn name(party: Party) -> &'static str {
    match party {
        Party::Association => "association",
        Party::Motie | Party::Meti => column(party),
    }
}

fn because(party: Party, hindrance: Hindrance) -> String {
    let (whose, how) = match hindrance {
        Hindrance::Down(whose) => (whose, "was down"),
        Hindrance::CutOff(whose) => (whose, "was cut off"),
    };
    if whose == party { how.into() } else { format!("speaker {how}") }
}

fn delay(ms: i64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// The timeline as people read it.
pub(super) fn timeline(rows: &[Row<'_>], language: Language) -> String {
    let mut out = vec![head()];
    let note = |text: String| format!("{}{}", " ".repeat(INDENT), fit(&text, WIDTH - INDENT));
    let by = |step: &Step| format!("by {} on {}", step.speaker, step.date);
    for row in rows {
        out.push(format!("{}{}", row_head(row.step), known_sentence(&row.known, &row.said.hindrances)));
        out.push(note(row.step.text(language).lines().next().unwrap_or_default().to_owned()));
        if let Some(name) = &row.step.attachment {
            out.push(note(format!("+ file {name}")));
        }
        for step in &row.disputed_by {
            out.push(note(format!("≠ contradicted {}; both versions stand", by(step))));
        }
        for step in &row.corrected_by {
            out.push(note(format!("→ corrected {}; both stay", by(step))));
        }
        if let Some(step) = row.withdrawn_by {
            out.push(note(format!("← taken back {}; it stays readable", by(step))));
        }
        for step in &row.acknowledged_by {
            out.push(note(format!("· noted {} (desk {})", by(step), step.desk)));
        }
    }
    out.join("\n")
}

/// An agenda, numbered.
pub(super) fn agenda(titles: &[Value], language: Language) -> String {
    let title = |title: &Value| text(title, &format!("/{}", language.as_str())).to_owned();
    let lines = titles.iter().enumerate().map(|(index, one)| format!("  {}. {}", index + 1, title(one)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Two steps beside each other.
pub(super) fn side_by_side(one: &Step, other: &Step, language: Language) -> String {
    let gap = 4;
    let half = (WIDTH - gap) / 2;
    let head = |step: &Step| format!("{}, {}", column(step.speaker), step.date);
    let columns = [one, other].map(|step| {
        let mut lines = vec![head(step), "-".repeat(head(step).width())];
        lines.extend(wrap(step.text(language), half));
        lines
    });
    let [left, right] = &columns;
    // Text from right to left cannot share a line with other text.
    if language.is_right_to_left() {
        return [left.join("\n"), right.join("\n")].join("\n\n");
    }
    let mut out = Vec::new();
    for index in 0..left.len().max(right.len()) {
        let cell = left.get(index).map_or("", String::as_str);
        let pad = " ".repeat((half + gap).saturating_sub(cell.width()));
        out.push(format!("{cell}{pad}{}", right.get(index).map_or("", String::as_str)).trim_end().to_owned());
    }
    out.join("\n")
}

/// The checks as people read them.
pub(super) fn verdict(checks: &[Check]) -> String {
    let mut out = Vec::new();
    for check in checks {
        for (index, line) in wrap(&check.says, WIDTH - 2).into_iter().enumerate() {
            let mark = match (index, check.holds) {
                (0, true) => "✓ ",
                (0, false) => "✗ ",
                _ => "  ",
            };
            out.push(format!("{mark}{line}"));
        }
    }
    out.join("\n")
}

/// A text on one line of `width` columns, cut where it is longer.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = CUT.width();
    let mut out = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    format!("{}{CUT}", out.trim_end())
}

/// A text in lines of at most `width` columns, broken at spaces, and inside of words that are wider
/// or in a script that is written without spaces. Hangul is wide, but has spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let space = usize::from(used > 0);
        let fits = used + space + word.width() <= width;
        let breaks = word.width() > width || word.chars().any(|c| c.width() == Some(2) && !hangul(c));
        if !fits && !breaks {
            lines.push(String::new());
            used = 0;
        }
        for (index, c) in word.chars().enumerate() {
            let before = usize::from(index == 0 && used > 0);
            let columns = c.width().unwrap_or(0);
            if used + before + columns > width {
                lines.push(String::new());
                used = 0;
            } else if before == 1
                && let Some(line) = lines.last_mut()
            {
                line.push(' ');
                used += 1;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += columns;
        }
    }
    lines
}

fn hangul(c: char) -> bool {
    ('\u{AC00}'..='\u{D7A3}').contains(&c)
}

/// All of it for programs.
pub(super) fn summary(
    stage: &Stage<'_>,
    rows: &[Row<'_>],
    proof: &Proof,
    checks: &[Check],
    seconds: f64,
) -> anyhow::Result<Value> {
    let mut nodes = Vec::new();
    for party in Party::ALL {
        let actor = stage.cast.actor(party)?;
        nodes.push(json!({
            "party": party, "did": actor.did, "folder": actor.dir(), "api": format!("http://{}", actor.api),
            "peers": actor.public_url, "fingerprint": actor.invitation.words(),
        }));
    }
    let ids = |steps: &[&Step]| steps.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
    let steps: Vec<Value> = rows
        .iter()
        .map(|row| {
            let known: Vec<Value> = row
                .known
                .iter()
                .map(|k| {
                    let because = row.said.hindrances.get(&k.party).map(ToString::to_string);
                    json!({ "party": k.party, "delay_ms": k.delay_ms, "because": because })
                })
                .collect();
            let sources: Vec<_> =
                row.step.sources.iter().filter_map(|s| stage.script.sources.get(s)).collect();
            json!({
                "id": row.step.id, "date": row.step.date, "party": row.step.speaker, "desk": row.step.desk,
                "kind": row.step.kind, "about": row.step.about, "marking": row.step.marking,
                "texts": row.step.texts, "sources": sources, "entry": row.said.entry, "time": row.said.time,
                "known": known, "disputed_by": ids(&row.disputed_by), "corrected_by": ids(&row.corrected_by),
                "withdrawn_by": row.withdrawn_by.map(|s| &s.id), "acknowledged_by": ids(&row.acknowledged_by),
            })
        })
        .collect();
    let changed = &proof.changed;
    let failed: Vec<Value> = changed
        .failed
        .iter()
        .map(|c| json!({ "claim": c.id, "statement": c.statement, "why": why(c) }))
        .collect();
    Ok(json!({
        "ok": checks.iter().all(|c| c.holds),
        "seconds": seconds,
        "dialogue": stage.dialogue,
        "nodes": nodes,
        "steps": steps,
        "kill": stage.killed.as_ref().map(|k| json!({
            "party": k.party, "process": k.process, "acknowledged": k.acknowledged, "on_disk": k.on_disk,
            "reached": k.reached, "down_ms": ms(k.down), "ready_ms": ms(k.ready), "caught_up_ms": ms(k.caught_up),
        })),
        "cut": stage.was_cut.as_ref().map(|c| json!({
            "party": c.party, "said": c.said, "crossed": c.crossed, "refused_connections": c.refused,
            "lasted_ms": ms(c.lasted), "healed_ms": ms(c.healed),
        })),
        "dossier": {
            "file": proof.path, "bytes": proof.bytes, "outcome": proof.outcome, "proved": proof.counts.proved,
            "failed": proof.counts.failed, "unproved": proof.counts.unproved, "open": proof.open,
        },
        "changed": {
            "file": changed.path, "byte": changed.offset, "before": changed.before, "after": changed.after,
            "rejected": changed.rejected, "entries": changed.entries, "failed": failed,
        },
        "checks": checks,
    }))
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How often each kind of step occurs, for the first line.
pub(super) fn kinds(steps: &[Step]) -> String {
    let all = [Kind::Statement, Kind::Dispute, Kind::Correction, Kind::Withdrawal, Kind::Acknowledgement];
    let counted = all.iter().map(|kind| (kind, steps.iter().filter(|s| s.kind == *kind).count()));
    let parts: Vec<String> = counted
        .map(|(kind, count)| format!("{count} {}{}", kind.name(), if count == 1 { "" } else { "s" }))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::Script;

    #[test]
    fn a_line_is_never_wider_than_the_page_in_any_language() {
        for step in &Script::read().unwrap().steps {
            for language in Language::ALL {
                let text = step.text(language);
                assert!(fit(text, 88).width() <= 88, "{text}");
                let lines = wrap(text, 48);
                assert!(lines.iter().all(|l| l.width() <= 48 && !l.is_empty()), "{lines:?}");
                let without = |t: &str| t.replace(' ', "");
                assert_eq!(without(&lines.concat()), without(text), "nothing is lost");
            }
        }
    }

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert_eq!(fit("불화수소", 8), "불화수소");
        assert_eq!(fit("불화수소", 7), "불화수…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("フッ化水素", 4), ["フッ", "化水", "素"]);
        assert_eq!(wrap("액체 불화수소", 10), ["액체", "불화수소"]);
    }

    #[test]
    fn the_sentence_says_who_knew_when_and_why_late() {
        let known = [
            Known { party: Party::Motie, delay_ms: 12 },
            Known { party: Party::Association, delay_ms: 8_440 },
        ];
        let cut = Hindrance::CutOff(Party::Association);
        for (known, hindrances, expected) in [
            (&known[..], BTreeMap::new(), "MOTIE after 12 ms, association after 8.4 s"),
            (
                &known[..],
                BTreeMap::from([(Party::Association, cut)]),
                "MOTIE after 12 ms, association after 8.4 s (was cut off)",
            ),
            (
                &known[..1],
                BTreeMap::from([(Party::Association, cut)]),
                "MOTIE after 12 ms, on its way to association",
            ),
            (
                &known[..],
                Party::Meti.others().map(|p| (p, Hindrance::Down(Party::Meti))).collect(),
                "MOTIE after 12 ms, association after 8.4 s (speaker was down)",
            ),
            (&[], BTreeMap::from([(Party::Motie, cut), (Party::Meti, cut)]), "on its way to MOTIE and METI"),
        ] {
            assert_eq!(known_sentence(known, &hindrances), expected);
        }
    }
}
