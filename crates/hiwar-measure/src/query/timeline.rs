//! What happened when, with every version.

use jiff::civil::Date;

use crate::claim::{Claim, Field, shown};
use crate::measure::Measure;
use crate::{Country, ItemId, MeasureId, Register, When};

/// What a timeline shows; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this measure.
    pub measure: Option<MeasureId>,
    /// Only measures of this country.
    pub jurisdiction: Option<Country>,
    /// Only measures with this item; claims on states that are not of it are left out.
    pub item: Option<ItemId>,
    /// Only dates that can lie on this day or later.
    pub from: Option<Date>,
    /// Only dates that can lie on this day or earlier.
    pub to: Option<Date>,
}

/// How a claim stands to the one that is shown for its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// It is that one.
    Shown,
    /// It says the same.
    Agrees,
    /// Both cannot be true.
    Conflicts,
}

/// A dated claim.
#[derive(Clone, Debug)]
pub struct Row<'m> {
    /// When.
    pub when: When,
    /// Of which measure.
    pub measure: &'m Measure,
    /// The claim.
    pub claim: &'m Claim,
    /// How it stands to the one that is shown.
    pub version: Version,
    /// Claims about the same field that cannot be true together with the one that is shown.
    pub conflicting: usize,
}

/// The dated claims, in order of their dates; of one day by measure, then by field.
pub fn timeline<'m>(register: &'m Register, filter: &Filter) -> Vec<Row<'m>> {
    let mut rows: Vec<Row<'m>> =
        register.measures().filter(|m| takes(filter, m)).flat_map(|m| rows(m, filter)).collect();
    rows.sort_by(|one, other| {
        let key = |row: &Row<'m>| (row.when, &row.measure.id, &row.claim.field);
        key(one).cmp(&key(other))
    });
    rows
}

fn takes(filter: &Filter, measure: &Measure) -> bool {
    filter.measure.as_ref().is_none_or(|id| measure.id == *id)
        && filter.jurisdiction.is_none_or(|country| measure.jurisdiction == country)
        && filter.item.as_ref().is_none_or(|item| measure.item(item).is_some())
}

fn rows<'m>(measure: &'m Measure, filter: &Filter) -> Vec<Row<'m>> {
    let of_item = |claim: &Claim| match (&filter.item, &claim.field) {
        (Some(item), Field::StateFrom(state) | Field::StateUntil(state)) => {
            measure.state(state).is_none_or(|state| state.is_of(item))
        }
        _ => true,
    };
    let within = |when: When| {
        filter.from.is_none_or(|from| when.last_day() >= from)
            && filter.to.is_none_or(|to| when.first_day() <= to)
    };
    let mut rows = Vec::new();
    for claim in measure.claims.iter().filter(|claim| of_item(claim)) {
        let Some(when) = claim.value.date().filter(|when| within(*when)) else { continue };
        let Some(claimed) = shown(&measure.claims, &claim.field) else { continue };
        let conflicts = claimed.conflicting.iter().any(|other| std::ptr::eq(*other, claim));
        let version = match (std::ptr::eq(claimed.shown, claim), conflicts) {
            (true, _) => Version::Shown,
            (false, true) => Version::Conflicts,
            (false, false) => Version::Agrees,
        };
        rows.push(Row { when, measure, claim, version, conflicting: claimed.conflicting.len() });
    }
    rows
}
