//! A verdict as text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hiwar_dialogue::entry::EntryId;

use crate::claim::{Claim, EntryRow, KnownBy, Status, Subject, Verdict, plain};

/// Colours of a terminal (ECMA-48).
struct Paint {
    color: bool,
}

impl Paint {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn status(&self, status: &Status) -> String {
        match status {
            Status::Proved => self.paint("32", "PROVED  "),
            Status::Failed { .. } => self.paint("1;31", "FAILED  "),
            Status::Unproved { .. } => self.paint("33", "UNPROVED"),
        }
    }
}

/// The verdict as a table grouped by what the claims are about, with counts and what the exit
/// status means.
pub fn render_text(verdict: &Verdict, color: bool) -> String {
    let paint = Paint { color };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = render(verdict, &paint, &mut out);
    out
}

fn render(verdict: &Verdict, paint: &Paint, out: &mut String) -> std::fmt::Result {
    let title = verdict.title.get("en").or_else(|| verdict.title.values().next());
    writeln!(
        out,
        "{}",
        paint.bold(&format!("Dossier: {}", plain(title.map_or("(no title)", String::as_str))))
    )?;
    if let Some(dialogue) = verdict.dialogue {
        writeln!(out, "  dialogue  {dialogue}")?;
    }
    if let (Some(exporter), Some(time)) = (&verdict.exporter, verdict.time) {
        writeln!(out, "  exported  {time} by {exporter}")?;
    }
    let rows: BTreeMap<EntryId, &EntryRow> = verdict.entries.iter().map(|row| (row.id, row)).collect();
    for group in groups(&verdict.claims) {
        let Some(first) = group.first() else { continue };
        writeln!(out, "\n{}", paint.bold(&heading(verdict, &rows, &first.subject)))?;
        for claim in group {
            render_claim(claim, paint, out)?;
        }
    }
    render_timeline(verdict, paint, out)?;
    let alarms = verdict.claims.iter().filter(|c| matches!(c.subject, Subject::Alarm(_))).count();
    if alarms > 0 {
        let note = format!("The exporter's node raised {alarms} alarm(s) about parties; read them above.");
        writeln!(out, "\n{}", paint.paint("33", &note))?;
    }
    let counts = verdict.counts();
    let outcome = verdict.outcome();
    writeln!(out, "\n{} proved, {} failed, {} unproved", counts.proved, counts.failed, counts.unproved)?;
    let code = match verdict.ok() {
        false => "1;31",
        true if verdict.complete() => "32",
        true => "33",
    };
    writeln!(
        out,
        "{}",
        paint.paint(code, &format!("Verdict: {outcome} (exit status {})", outcome.exit_status()))
    )?;
    writeln!(
        out,
        "Exit status 0: everything is proved. 3: nothing is contradicted, but something is not proved. 1: something failed."
    )
}

/// Claims that stand together and are about one thing.
fn groups(claims: &[Claim]) -> impl Iterator<Item = &[Claim]> {
    claims.chunk_by(|a, b| {
        a.subject == b.subject
            || matches!((&a.subject, &b.subject), (Subject::Alarm(_), Subject::Alarm(_)))
            || matches!((&a.subject, &b.subject), (Subject::Membership(_), Subject::Membership(_)))
            || matches!((&a.subject, &b.subject), (Subject::Attachment(_), Subject::Attachment(_)))
    })
}

fn heading(verdict: &Verdict, rows: &BTreeMap<EntryId, &EntryRow>, subject: &Subject) -> String {
    match subject {
        Subject::Container => "The file".into(),
        Subject::Party(did) => match verdict.parties.iter().find(|party| party.did == *did) {
            Some(party) => format!("Party {} ({did})", party.name),
            None => format!("Party {did}"),
        },
        Subject::Log(origin) => format!("Log {}", plain(origin)),
        Subject::Membership(_) => "Memberships".into(),
        Subject::Entry(id) => match rows.get(id) {
            Some(row) => {
                let kind = row.kind.trim_start_matches("org.hiwar.").trim_end_matches(".v1");
                format!(
                    "Entry {} {kind} by {} on {}: {}",
                    id.0.short(),
                    row.author,
                    row.time,
                    plain(&row.excerpt)
                )
            }
            None => format!("Entry {}", id.0.short()),
        },
        Subject::Attachment(_) => "Attached files".into(),
        Subject::Dialogue => "The dialogue".into(),
        Subject::Alarm(_) => "Alarms".into(),
    }
}

fn render_claim(claim: &Claim, paint: &Paint, out: &mut String) -> std::fmt::Result {
    write!(out, "  {}  {}", paint.status(&claim.status), plain(&claim.statement))?;
    if let Some(time) = claim.time.filter(|_| matches!(claim.subject, Subject::Log(_) | Subject::Alarm(_))) {
        write!(out, " [{time}]")?;
    }
    writeln!(out)?;
    match &claim.status {
        Status::Proved => Ok(()),
        Status::Failed { why } => {
            writeln!(out, "            why: {}", plain(why))?;
            writeln!(out, "            claim: {}", plain(&claim.id))?;
            match &claim.evidence {
                Some(evidence) => writeln!(out, "            where: {}", plain(evidence)),
                None => Ok(()),
            }
        }
        Status::Unproved { why, would_prove } => {
            writeln!(out, "            why: {}", plain(why))?;
            writeln!(out, "            would prove it: {}", plain(would_prove))
        }
    }
}

fn render_timeline(verdict: &Verdict, paint: &Paint, out: &mut String) -> std::fmt::Result {
    if verdict.entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold("Who is proved to have known what when"))?;
    for row in verdict.timeline() {
        let kind = row.kind.trim_start_matches("org.hiwar.").trim_end_matches(".v1");
        writeln!(out, "  {}  {}  {kind} by {}", row.time, row.id.0.short(), row.author)?;
        for known in &row.known {
            let how = match known.by {
                KnownBy::Receipt => "held it, by its receipt",
                KnownBy::Cosignature => "saw that it existed, by cosigning the log",
            };
            writeln!(out, "    {}  {} ({how}, {:+} ms)", known.time, known.party, known.delay_ms)?;
        }
    }
    Ok(())
}
