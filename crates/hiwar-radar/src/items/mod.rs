//! Items, their codes in nomenclatures and how the codes turn into each other.
//!
//! A customs code is often wider than what one watches: vehicle urea sat inside "other nitrogen
//! fertiliser" in 2021. So an item is the operator's own: a code of its own, valid for a while,
//! joined to any number of codes in any nomenclature ([`ItemList`]). Tables that lead from one
//! revision of the Harmonized System to another are built in ([`concordance`]), as are the codes
//! of economies ([`economy`]) and classes of goods ([`goods`]).

mod apply;
pub mod concordance;
mod economies;
pub mod goods;
mod list;
mod listed;
mod lists;
mod names;

pub use apply::{Applied, FoundUnder, ItemWay};
pub use economies::{Scheme, alpha3, economy, economy_name};
pub use list::{Item, ItemError, ItemLink, ItemList};
pub use listed::{listed_economy, listed_item};
pub use lists::{CodeList, shipped};
pub use names::{Name, name_of, six_digits};
