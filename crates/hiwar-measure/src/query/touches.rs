//! The customs codes of a measure, to join with tables of trade and bills of materials.

use crate::code::Listed;
use crate::measure::{Item, Measure};
use crate::{ItemId, TariffCode};

/// What to mind when trade under a code is taken for trade in an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice<'m> {
    /// The code is a basket: it holds other goods too.
    Basket,
    /// Other items of the measure have the same code, so that they cannot be told apart.
    SharedWith(Vec<&'m ItemId>),
    /// Thresholds take only a part of the goods under the code.
    PartByThreshold,
    /// Nobody has checked that the item has this code.
    Unverified,
}

/// A code that a measure touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched<'m> {
    /// The item.
    pub item: &'m Item,
    /// The code and how far it was checked.
    pub listed: &'m Listed<TariffCode>,
    /// What to mind.
    pub notices: Vec<Notice<'m>>,
}

/// The codes of all items of a measure, in the order of the document. Items whose codes are not known
/// have none.
pub fn touches(measure: &Measure) -> impl Iterator<Item = Touched<'_>> {
    measure.items.iter().flat_map(move |item| {
        item.tariff_codes.iter().map(move |listed| Touched {
            item,
            listed,
            notices: notices(measure, item, listed),
        })
    })
}

fn notices<'m>(measure: &'m Measure, item: &'m Item, listed: &Listed<TariffCode>) -> Vec<Notice<'m>> {
    let has = |other: &&Item| other.tariff_codes.iter().any(|own| own.code == listed.code);
    let others: Vec<&ItemId> =
        measure.items.iter().filter(|other| other.id != item.id).filter(has).map(|other| &other.id).collect();
    let basket = (!item.separable_in_statistics).then_some(Notice::Basket);
    let shared = (!others.is_empty()).then_some(Notice::SharedWith(others));
    let part = (!item.thresholds.is_empty()).then_some(Notice::PartByThreshold);
    let unverified = (listed.checked == crate::Checked::Unverified).then_some(Notice::Unverified);
    [basket, shared, part, unverified].into_iter().flatten().collect()
}
