//! Questions to the register.

mod governing;
mod timeline;
mod touches;

use jiff::civil::Date;

pub use governing::{
    Alternative, Answer, Asked, Disputed, Governing, Matched, OtherEdition, Question, Ruling, Standing,
    governing,
};
pub use timeline::{Filter, Row, Version, timeline};
pub use touches::{Notice, Touched, touches};

use crate::claim::{Claim, Field};
use crate::measure::{Measure, State};
use crate::{ItemId, When};

/// Which claim is taken for a field.
pub(crate) type Lookup<'a, 'm> = &'a dyn Fn(&Field) -> Option<&'m Claim>;

/// A state with its days.
#[derive(Clone, Debug)]
pub(crate) struct Span<'m> {
    pub(crate) state: &'m State,
    /// As it is claimed.
    pub(crate) since: When,
    /// First day.
    pub(crate) from: Date,
    /// Last day, when it is claimed; else it holds until the next state begins.
    pub(crate) until: Option<Date>,
}

/// The states of an item (of all items, when none is named) in the order in which they begin. A state
/// whose beginning nobody claims is left out.
pub(crate) fn sequence<'m>(
    measure: &'m Measure,
    item: Option<&ItemId>,
    lookup: Lookup<'_, 'm>,
) -> Vec<Span<'m>> {
    let date = |field: Field| lookup(&field).and_then(|claim| claim.value.date());
    let of_item = |state: &&State| item.is_none_or(|item| state.is_of(item));
    let mut spans: Vec<Span<'m>> = measure
        .states
        .iter()
        .filter(of_item)
        .filter_map(|state| {
            let since = date(Field::StateFrom(state.id.clone()))?;
            let until = date(Field::StateUntil(state.id.clone())).map(When::last_day);
            Some(Span { state, since, from: since.first_day(), until })
        })
        .collect();
    spans.sort_by_key(|span| span.from);
    spans
}
