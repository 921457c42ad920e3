//! A notice as a Common Alerting Protocol 1.2 message (OASIS Standard, 1 July 2010; ITU-T X.1303 bis), for
//! whoever feeds an alerting system. CAP has no field for items or the recipient's duties; they go into
//! `parameter` elements whose names begin with `hiwar:`.

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event as Xml};

use super::model::{Kind, Texts};
use super::state::{NoticeState, Stage};

const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";

/// What a message says beside the notice.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// The marking of the notice's newest version.
    pub marking: Marking,
    /// Who may read it.
    pub audience: &'a [Did],
    /// When the newest version was made.
    pub sent: Timestamp,
    /// The title of the dialogue, for people.
    pub dialogue: &'a str,
}

/// A message cannot be written; this does not depend on the notice.
#[derive(Debug, thiserror::Error)]
#[error("the CAP message cannot be written: {0}")]
pub struct CapError(#[from] std::io::Error);

/// Writes the newest version of a notice. The first version is an `Alert`, a correction an `Update`, a
/// withdrawal a `Cancel`; the last two refer to all earlier versions.
///
/// # Errors
/// Only when memory cannot be written to.
pub fn write(state: &NoticeState, envelope: &Envelope<'_>) -> Result<String, CapError> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Xml::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("alert")
        .with_attribute(("xmlns", NAMESPACE))
        .write_inner_content(|xml| alert(xml, state, envelope))?;
    Ok(String::from_utf8_lossy(&xml.into_inner()).into_owned())
}

type Xmls = Writer<Vec<u8>>;

/// Writes an element with a text. XML 1.0 has no way to write most control characters.
fn put(xml: &mut Xmls, name: &str, text: &str) -> std::io::Result<()> {
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    xml.create_element(name).write_text_content(BytesText::new(&text))?;
    Ok(())
}

fn alert(xml: &mut Xmls, state: &NoticeState, envelope: &Envelope<'_>) -> std::io::Result<()> {
    let newest = state.versions.last().map_or(state.id, |(entry, _)| *entry);
    let cancelled = state.stage == Stage::Withdrawn;
    let identifier = if cancelled { format!("{newest}-cancel") } else { newest.to_string() };
    put(xml, "identifier", &identifier)?;
    put(xml, "sender", state.author.as_str())?;
    put(xml, "sent", &time(envelope.sent))?;
    put(xml, "status", state.notice.status.as_str())?;
    let kind = match (cancelled, state.versions.len()) {
        (true, _) => "Cancel",
        (false, 1) => "Alert",
        (false, _) => "Update",
    };
    put(xml, "msgType", kind)?;
    put(xml, "source", envelope.dialogue)?;
    match envelope.marking {
        Marking::Clear => put(xml, "scope", "Public")?,
        Marking::Green => {
            put(xml, "scope", "Restricted")?;
            put(xml, "restriction", envelope.marking.as_str())?;
        }
        Marking::Amber | Marking::AmberStrict | Marking::Red => {
            put(xml, "scope", "Private")?;
            let addresses: Vec<&str> = envelope.audience.iter().map(Did::as_str).collect();
            put(xml, "addresses", &addresses.join(" "))?;
        }
    }
    put(xml, "code", envelope.marking.as_str())?;
    put(xml, "note", &note(state))?;
    let earlier = state.versions.len() - usize::from(!cancelled);
    if earlier > 0 {
        let references = state.versions.iter().take(earlier).map(|(entry, _)| reference(state, *entry));
        put(xml, "references", &references.collect::<Vec<_>>().join(" "))?;
    }
    for language in state.notice.headline.keys() {
        xml.create_element("info").write_inner_content(|xml| info(xml, state, language))?;
    }
    Ok(())
}

/// CAP wants to know why something is an exercise.
fn note(state: &NoticeState) -> String {
    format!("{} ({}) by {}", state.notice.kind, state.notice.status, state.desk)
}

fn reference(state: &NoticeState, entry: EntryId) -> String {
    format!("{},{entry},{}", state.author, time(state.at))
}

/// CAP forbids the letter Z and fractions of a second (section 3.3.2): `2019-07-01T01:00:00-00:00`.
fn time(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or(&text);
    format!("{seconds}-00:00")
}

fn info(xml: &mut Xmls, state: &NoticeState, language: &str) -> std::io::Result<()> {
    let notice = &state.notice;
    put(xml, "language", language)?;
    put(xml, "category", "Other")?;
    put(xml, "event", &notice.kind.to_string())?;
    let response = match notice.kind {
        Kind::DisruptionAlert => "Assess",
        Kind::InformationRequest | Kind::EmergencyMeetingRequest => "Prepare",
        Kind::Answer | Kind::Offer => "Monitor",
    };
    put(xml, "responseType", response)?;
    put(xml, "urgency", notice.urgency.map_or("Unknown", super::Urgency::as_str))?;
    put(xml, "severity", notice.severity.map_or("Unknown", super::Severity::as_str))?;
    put(xml, "certainty", notice.certainty.map_or("Unknown", super::Certainty::as_str))?;
    put(xml, "effective", &time(state.at))?;
    if let Some(onset) = notice.onset {
        put(xml, "onset", &time(onset))?;
    }
    if let Some(expires) = notice.expires {
        put(xml, "expires", &time(expires))?;
    }
    put(xml, "senderName", &format!("{}, {}", state.author, state.desk))?;
    if let Some(headline) = in_language(&notice.headline, language) {
        put(xml, "headline", headline)?;
    }
    let case = notice.case.as_ref();
    let said = |pick: fn(&super::Case) -> &Option<Texts>| {
        in_language(case.and_then(|c| pick(c).as_ref())?, language)
    };
    let described =
        [said(|c| &c.impact), said(|c| &c.cause), said(|c| &c.expected_duration), said(|c| &c.sectors)];
    let described: Vec<&str> = described.into_iter().flatten().collect();
    if !described.is_empty() {
        put(xml, "description", &described.join("\n"))?;
    }
    if let Some(wanted) = said(|c| &c.assistance) {
        put(xml, "instruction", wanted)?;
    }
    if let Some(taken) = said(|c| &c.measures) {
        parameter(xml, "hiwar:measures", taken)?;
    }
    for item in &notice.items {
        parameter(xml, "hiwar:item", item)?;
    }
    for pending in case.map(|case| case.pending.as_slice()).unwrap_or_default() {
        parameter(xml, "hiwar:pending", pending)?;
    }
    Ok(())
}

fn parameter(xml: &mut Xmls, name: &str, value: &str) -> std::io::Result<()> {
    xml.create_element("parameter").write_inner_content(|xml| {
        put(xml, "valueName", name)?;
        put(xml, "value", value)
    })?;
    Ok(())
}

fn in_language<'t>(texts: &'t Texts, language: &str) -> Option<&'t str> {
    texts.get(language).or_else(|| texts.values().next()).map(String::as_str)
}
