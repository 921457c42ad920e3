//! What must hold between the members of a measure.

use hiwar_form::Form;

use crate::When;
use crate::claim::{Field, Value, shown};
use crate::measure::Measure;
use crate::query::sequence;

pub(super) fn check(measure: &Measure, form: &Form<'_>) {
    names(measure, form);
    claims(measure, form);
    let date = |field| measure.date(&field);
    order(date(Field::InForce), date(Field::Ended), "claims", form);
    for (index, state) in measure.states.iter().enumerate() {
        let place = format!("states[{index}]");
        let from = date(Field::StateFrom(state.id.clone()));
        if from.is_none() {
            form.fault(&place, "state-without-start", &[("found", state.id.as_str())]);
        }
        order(from, date(Field::StateUntil(state.id.clone())), &place, form);
    }
    overlaps(measure, form);
}

/// An end does not lie wholly before its start.
fn order(start: Option<When>, end: Option<When>, place: &str, form: &Form<'_>) {
    if let (Some(start), Some(end)) = (start, end)
        && end.last_day() < start.first_day()
    {
        form.fault(place, "end-before-start", &[("start", &start.to_string()), ("end", &end.to_string())]);
    }
}

fn names(measure: &Measure, form: &Form<'_>) {
    for (index, item) in measure.items.iter().enumerate() {
        if measure.items.iter().take(index).any(|earlier| earlier.id == item.id) {
            form.fault(&format!("items[{index}].id"), "name-twice", &[("found", item.id.as_str())]);
        }
    }
    for (index, state) in measure.states.iter().enumerate() {
        if measure.states.iter().take(index).any(|earlier| earlier.id == state.id) {
            form.fault(&format!("states[{index}].id"), "name-twice", &[("found", state.id.as_str())]);
        }
        for (at, item) in state.items.iter().enumerate() {
            if measure.item(item).is_none() {
                let place = format!("states[{index}].items[{at}]");
                form.fault(&place, "no-such-item", &[("found", item.as_str())]);
            }
        }
    }
}

fn claims(measure: &Measure, form: &Form<'_>) {
    for (index, claim) in measure.claims.iter().enumerate() {
        let place = format!("claims[{index}]");
        if let Field::StateFrom(state) | Field::StateUntil(state) = &claim.field
            && measure.state(state).is_none()
        {
            form.fault(&place, "no-such-state", &[("found", state.as_str())]);
        }
        let needs_date = !matches!(claim.field, Field::Fact(_));
        if needs_date && !matches!(claim.value, Value::Date(_)) {
            form.fault(&place, "claim-needs-date", &[("found", &claim.field.to_string())]);
        }
    }
}

/// Of one item, no state begins on the day another one begins, and none outlasts the beginning of the next.
fn overlaps(measure: &Measure, form: &Form<'_>) {
    let whole = measure.items.is_empty().then_some(None);
    for item in measure.items.iter().map(|item| Some(&item.id)).chain(whole) {
        let spans = sequence(measure, item, &|field| shown(&measure.claims, field).map(|c| c.shown));
        for pair in spans.windows(2) {
            let [earlier, later] = pair else { continue };
            let outlasts = earlier.until.is_some_and(|until| until >= later.from);
            if earlier.from == later.from || outlasts {
                let (one, other) = (earlier.state.id.as_str(), later.state.id.as_str());
                form.fault("states", "states-overlap", &[("one", one), ("other", other)]);
                return;
            }
        }
    }
}
