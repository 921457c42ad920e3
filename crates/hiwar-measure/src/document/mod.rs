//! Measures as documents: read with all faults at once, written as they are read.

mod check;

use hiwar_form::{Document, Faults, Form};

use crate::claim::{Claim, Source, Value as Claimed};
use crate::code::{CONTROL_CODE_BYTES_MAX, Listed};
use crate::field::Url;
use crate::measure::{Item, LegalBasis, Measure, Party, State};
use crate::{ControlCode, TariffCode, Threshold, When};

/// Longest unit, in bytes.
const UNIT_BYTES_MAX: usize = 40;

/// Reads a measure.
///
/// # Errors
///
/// All faults of the document, each with its field and how to mend it; [`crate::messages`] says them.
pub fn read(document: &Document) -> Result<Measure, Faults> {
    document.read(measure)
}

/// The document of a measure as JSON, for people to read and to keep under version control.
pub fn write(measure: &Measure) -> String {
    // All of a measure is written as text, boolean, list or object with text keys: that never fails.
    let mut text = serde_json::to_string_pretty(measure).unwrap_or_default();
    text.push('\n');
    text
}

fn measure(form: &mut Form<'_>) -> Option<Measure> {
    let id = form.required("id");
    let title = form.required("title");
    let jurisdiction = form.required("jurisdiction");
    let flow = form.required("flow");
    let kind = form.required("kind");
    let origins = form.required("origins");
    let destinations = form.required("destinations");
    let legal_bases = form.list("legal_bases", legal_basis);
    let items = form.list("items", item);
    let affected_parties = form.list("affected_parties", party);
    let states = form.list("states", state);
    let claims = form.list("claims", claim);
    let mut whole =
        |name, read: usize| form.raw(name).and_then(serde_json::Value::as_array).map_or(0, Vec::len) == read;
    // Places within lists are counted; they hold only when every element was read.
    let all_read =
        whole("items", items.len()) && whole("states", states.len()) && whole("claims", claims.len());
    if form.raw("claims").is_none_or(|claims| claims.as_array().is_some_and(Vec::is_empty)) {
        form.fault("claims", "no-claims", &[]);
    }
    let measure = Measure {
        id: id?,
        title: title?,
        jurisdiction: jurisdiction?,
        flow: flow?,
        kind: kind?,
        origins: origins?,
        destinations: destinations?,
        legal_bases,
        items,
        affected_parties,
        states,
        claims,
    };
    if all_read {
        check::check(&measure, form);
    }
    Some(measure)
}

fn url(form: &mut Form<'_>) -> Option<String> {
    form.optional::<Url>("url").map(|url| url.0)
}

fn legal_basis(form: &mut Form<'_>) -> Option<LegalBasis> {
    let (title, number, url) = (form.required("title"), form.optional("number"), url(form));
    Some(LegalBasis { title: title?, number, url })
}

fn item(form: &mut Form<'_>) -> Option<Item> {
    let id = form.required("id");
    let title = form.required("title");
    let control_codes = form.list("control_codes", control_code);
    let tariff_codes = form.list("tariff_codes", tariff_code);
    let thresholds = form.list("thresholds", threshold);
    let cas = form.optional("cas");
    let separable = form.required("separable_in_statistics");
    Some(Item {
        id: id?,
        title: title?,
        control_codes,
        tariff_codes,
        thresholds,
        cas,
        separable_in_statistics: separable?,
    })
}

fn control_code(form: &mut Form<'_>) -> Option<Listed<ControlCode>> {
    let list: Option<String> = form.required("list");
    let code: Option<String> = form.required("code");
    for (name, text) in [("list", &list), ("code", &code)] {
        if text.as_ref().is_some_and(|text| text.len() > CONTROL_CODE_BYTES_MAX) {
            form.fault(name, "too-long", &[("most", &CONTROL_CODE_BYTES_MAX.to_string())]);
        }
    }
    let checked = form.required("checked");
    Some(Listed { code: ControlCode { list: list?, code: code? }, checked: checked? })
}

fn tariff_code(form: &mut Form<'_>) -> Option<Listed<TariffCode>> {
    let jurisdiction = form.optional("jurisdiction");
    let edition = form.required("edition");
    let text: Option<String> = form.required("code");
    let checked = form.required("checked");
    let code = TariffCode::new(jurisdiction, edition?, &text?);
    let code = code.map_err(|error| form.fault("code", error.code, &named(&error.arguments))).ok();
    Some(Listed { code: code?, checked: checked? })
}

fn named<'a>(arguments: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    arguments.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn threshold(form: &mut Form<'_>) -> Option<Threshold> {
    let quantity = form.required("quantity");
    let at_least = form.optional("at_least");
    let above = form.optional("above");
    let at_most = form.optional("at_most");
    let below = form.optional("below");
    let unit = if form.has("unit") {
        form.optional::<String>("unit")
    } else {
        // Asked for, so that a unit of `null` is not an unknown member.
        form.raw("unit");
        form.fault("unit", "threshold-without-unit", &[]);
        None
    };
    if unit.as_ref().is_some_and(|unit| unit.len() > UNIT_BYTES_MAX) {
        form.fault("unit", "too-long", &[("most", &UNIT_BYTES_MAX.to_string())]);
    }
    let threshold = Threshold { quantity: quantity?, at_least, above, at_most, below, unit: unit? };
    if let Some(code) = threshold.fault() {
        form.fault("", code, &[]);
    }
    Some(threshold)
}

fn party(form: &mut Form<'_>) -> Option<Party> {
    let (country, role) = (form.required("country"), form.required("role"));
    Some(Party { country: country?, role: role? })
}

fn state(form: &mut Form<'_>) -> Option<State> {
    let (id, kind, title) = (form.required("id"), form.required("kind"), form.required("title"));
    let items = form.values("items");
    Some(State { id: id?, kind: kind?, title: title?, items })
}

fn claim(form: &mut Form<'_>) -> Option<Claim> {
    let field = form.required("field");
    let date = form.optional("date").map(Claimed::Date);
    let text = form.optional("text").map(Claimed::Text);
    let amount = form.object("amount", |form| {
        let (number, unit) = (form.required("number"), form.required("unit"));
        Some(Claimed::Amount { number: number?, unit: unit? })
    });
    let given = ["date", "text", "amount"].into_iter().filter(|name| form.has(name)).count();
    if given != 1 {
        form.fault("", "claim-not-one-value", &[]);
    }
    let party = form.optional("party");
    let note = form.optional("note");
    if !form.has("source") {
        form.fault("source", "claim-without-source", &[]);
    }
    let source = form.object("source", source);
    Some(Claim { field: field?, value: date.or(text).or(amount)?, party, note, source: source? })
}

fn source(form: &mut Form<'_>) -> Option<Source> {
    let (title, publisher, url) = (form.required("title"), form.required("publisher"), url(form));
    let date = form.optional::<When>("date");
    let checked = form.required("checked");
    let day = match date {
        None => None,
        Some(When::Day(day)) => Some(day),
        Some(_) => {
            form.fault("date", "not-a-day", &[]);
            None
        }
    };
    Some(Source { title: title?, publisher: publisher?, url, date: day, checked: checked? })
}
