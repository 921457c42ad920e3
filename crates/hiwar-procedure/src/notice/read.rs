//! Reading a notice: every fault with its field.

use std::str::FromStr;

use hiwar_form::{Document, Faults, Form};
use hiwar_trust::time::Timestamp;

use super::model::{
    CASE_FIELDS, Case, Certainty, Handling, Kind, Notice, Obligation, Offer, Request, Severity, Texts,
    Urgency,
};
use crate::status::Status;

/// Reads a notice.
///
/// # Errors
/// All faults, each with its field.
pub fn read(document: &Document) -> Result<Notice, Faults> {
    document.read(notice)
}

fn notice(form: &mut Form<'_>) -> Option<Notice> {
    let kind = form.choice("notice", Kind::CHOICES)?;
    let correction = form.optional("correction").unwrap_or(false);
    let status = form.choice_optional("status", &Status::CHOICES).unwrap_or_default();
    let alarming = matches!(kind, Kind::DisruptionAlert | Kind::EmergencyMeetingRequest);
    let (urgency, severity, certainty) = if alarming {
        (
            form.choice("urgency", Urgency::CHOICES),
            form.choice("severity", Severity::CHOICES),
            form.choice("certainty", Certainty::CHOICES),
        )
    } else {
        (
            form.choice_optional("urgency", Urgency::CHOICES),
            form.choice_optional("severity", Severity::CHOICES),
            form.choice_optional("certainty", Certainty::CHOICES),
        )
    };
    let onset = form.parsed_optional::<Timestamp>("onset", "not-a-time");
    let expires = form.parsed_optional::<Timestamp>("expires", "not-a-time");
    if let (Some(onset), Some(expires)) = (onset, expires)
        && expires <= onset
    {
        form.fault("expires", "expires-before-onset", &[("onset", &onset.to_string())]);
    }
    let headline = form.required::<Texts>("headline");
    let items: Vec<Item> = form.parsed_values("items", "not-an-item");
    let case = alarming.then(|| case(form));
    let request = if kind == Kind::InformationRequest { request(form) } else { None };
    let offer = if kind == Kind::Offer { form.choice("offer", Offer::CHOICES) } else { None };
    let permitted = form.choice_optional("permitted", Handling::CHOICES);
    Some(Notice {
        kind,
        correction,
        status,
        urgency,
        severity,
        certainty,
        onset,
        expires,
        headline: headline?,
        items: items.into_iter().map(|item| item.0).collect(),
        case,
        request,
        offer,
        permitted,
    })
}

/// What is known of the disruption. A field that is neither said nor named as pending is a fault: whoever reads
/// must be able to tell "there is none" from "we do not know yet".
fn case(form: &mut Form<'_>) -> Case {
    let mut said = CASE_FIELDS.map(|name| form.optional::<Texts>(name));
    let pending: Vec<String> = form.values("pending");
    for (name, value) in CASE_FIELDS.iter().zip(&said) {
        let is_pending = pending.iter().any(|pending| pending == name);
        match value {
            None if !is_pending && !form.has(name) => form.fault(name, "say-or-pending", &[]),
            Some(_) if is_pending => form.fault(name, "said-and-pending", &[]),
            _ => {}
        }
    }
    for (index, name) in pending.iter().enumerate() {
        if !CASE_FIELDS.contains(&name.as_str()) {
            let choices = CASE_FIELDS.join(", ");
            form.fault(&format!("pending[{index}]"), "not-one-of", &[("found", name), ("choices", &choices)]);
        }
    }
    let mut take = |index: usize| said.get_mut(index).and_then(Option::take);
    Case {
        impact: take(0),
        cause: take(1),
        expected_duration: take(2),
        sectors: take(3),
        measures: take(4),
        assistance: take(5),
        pending,
    }
}

fn request(form: &mut Form<'_>) -> Option<Request> {
    let obligation = form.choice("obligation", Obligation::CHOICES)?;
    let legal_basis: Option<String> = form.optional("legal-basis");
    let minimum_data: Option<Texts> = form.optional("minimum-data");
    let deadline = form.parsed_optional::<Timestamp>("deadline", "not-a-time");
    let copy_to: Option<String> = form.optional("copy-to");
    let asked: Option<String> = form.optional("asked");
    if obligation == Obligation::Mandatory {
        let absent = [
            ("legal-basis", legal_basis.is_none()),
            ("minimum-data", minimum_data.is_none()),
            ("deadline", deadline.is_none()),
            ("copy-to", copy_to.is_none()),
        ];
        for (name, absent) in absent {
            if absent && !form.has(name) {
                form.fault(name, "mandatory-needs", &[]);
            }
        }
    }
    Some(Request { obligation, legal_basis, minimum_data, deadline, copy_to, asked })
}

/// An item's code with its system, such as `HS2017:2811.11`, `JP-EXPORT-ORDER:3(1)`, `CAS:7664-39-3`.
struct Item(String);

impl FromStr for Item {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (system, code) = text.split_once(':').ok_or(())?;
        let is_system = system.starts_with(|c: char| c.is_ascii_uppercase())
            && system.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_code = !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_graphic());
        if is_system && is_code { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// A form to fill in for a kind of notice, in TOML.
pub fn blank(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "disruption-alert" => include_str!("../../forms/disruption-alert.toml"),
        "information-request" => include_str!("../../forms/information-request.toml"),
        "answer" => include_str!("../../forms/answer.toml"),
        "offer" => include_str!("../../forms/offer.toml"),
        "emergency-meeting-request" => include_str!("../../forms/emergency-meeting-request.toml"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_form_to_fill_in_for_every_kind_and_it_has_no_fault() {
        for (name, kind) in Kind::CHOICES {
            let document = Document::toml(Some(name), blank(name).unwrap()).unwrap();
            assert_eq!(read(&document).map(|notice| notice.kind), Ok(*kind));
        }
    }
}
