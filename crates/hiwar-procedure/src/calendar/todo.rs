//! Commitments as VTODO.

use hiwar_trust::time::Timestamp;

use super::Style;
use super::line::{Writer, quoted};
use super::write::{PRODUCT, prefix, write_category};
use super::zone::utc;
use crate::commitment::due::AsOf;
use crate::commitment::{Commitment, CommitmentPhase};
use crate::meeting::parties::Code;

/// Commitments as METHOD:PUBLISH. DUE is the end of the last day; what is overdue has the highest priority. A
/// commitment is COMPLETED when both sides say so, not when its owner claims it.
pub fn to_do_list(commitments: &[&Commitment], publisher: &Code, of: &AsOf<'_>, style: &Style<'_>) -> String {
    let mut writer = Writer::default();
    writer.begin("VCALENDAR");
    writer.raw("VERSION", "2.0");
    writer.raw("PRODID", PRODUCT);
    writer.raw("CALSCALE", "GREGORIAN");
    writer.raw("METHOD", "PUBLISH");
    for commitment in commitments {
        write(&mut writer, commitment, publisher, of, style);
    }
    writer.end("VCALENDAR");
    writer.finish()
}

fn write(writer: &mut Writer, one: &Commitment, publisher: &Code, of: &AsOf<'_>, style: &Style<'_>) {
    writer.begin("VTODO");
    writer.raw("UID", &one.id.to_string());
    writer.raw("DTSTAMP", &utc(style.stamp));
    let changes = one.history.iter().filter(|moment| moment.void.is_none()).count();
    writer.raw("SEQUENCE", &changes.saturating_sub(1).to_string());
    writer.raw(&format!("ORGANIZER;CN={}", quoted(publisher.as_str())), &style.address_of(publisher));
    let due = one.due(of).and_then(|day| of.end_of(day)).map(|end| end.plus_millis(-1_000));
    // A deadline must be later than the beginning (RFC 5545, section 3.8.2.3).
    let starts = due.map_or(one.made, |due| one.made.min(due.plus_millis(-1_000)));
    writer.raw("DTSTART", &utc(starts));
    if let Some(due) = due {
        writer.raw("DUE", &utc(due));
    }
    let (tag, text) = style.parties.text_in(&one.terms.texts, style.language);
    let summary = format!("{}{}: {text}", prefix(one.status, style.language), one.terms.owner);
    writer.text(&format!("SUMMARY;LANGUAGE={tag}"), &summary);
    write_category(writer, one.status);
    if let Some(evidence) = &one.terms.evidence {
        super::write::write_texts(writer, "DESCRIPTION", evidence, style);
    }
    let owner = match &one.terms.desk {
        Some(desk) => format!("{} ({desk})", one.terms.owner),
        None => one.terms.owner.to_string(),
    };
    writer.text("CONTACT", &owner);
    let status = match one.phase {
        CommitmentPhase::Proposed | CommitmentPhase::Open => "NEEDS-ACTION",
        CommitmentPhase::InProgress | CommitmentPhase::DoneClaimed => "IN-PROCESS",
        CommitmentPhase::DoneAccepted => "COMPLETED",
        CommitmentPhase::Refused | CommitmentPhase::Withdrawn | CommitmentPhase::Superseded(_) => "CANCELLED",
    };
    writer.raw("STATUS", status);
    if let Some(at) = completed(one) {
        writer.raw("COMPLETED", &utc(at));
        writer.raw("PERCENT-COMPLETE", "100");
    } else if let Some(percent) = one.progress.iter().rev().find_map(|progress| progress.percent) {
        writer.raw("PERCENT-COMPLETE", &percent.to_string());
    }
    writer.raw("PRIORITY", if one.is_overdue(of) { "1" } else { "0" });
    if let Some(meeting) = one.meeting {
        writer.text("RELATED-TO", &meeting.to_string());
    }
    writer.end("VTODO");
}

/// When the last party accepted that it is done.
fn completed(one: &Commitment) -> Option<Timestamp> {
    if one.phase != CommitmentPhase::DoneAccepted {
        return None;
    }
    one.history.iter().rev().find(|moment| moment.void.is_none()).map(|moment| moment.at)
}
