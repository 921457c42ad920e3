//! The register of government measures on items: export control and other trade measures.
//!
//! A [`Measure`] is what a government does to goods: it demands a licence, forbids, taxes, inspects,
//! moves a country to another list, or takes a step in a dispute. Its goods carry the codes of control
//! lists and of customs, with thresholds ("over 30 % by weight"), and it passes through dated states
//! (bulk licence, individual licence, special general bulk licence).
//!
//! **Every date is a claim.** A [`Claim`] says who published a date, where, and how far that was
//! checked. Claims that contradict each other stand side by side; none overwrites another. Which one
//! is shown follows one rule ([`claim::shown`]), and every answer names the others.
//!
//! The register answers: what governed an item between two countries on a day ([`query::governing`]),
//! which codes a measure touches ([`query::touches`]), what happened when ([`query::timeline`]), all of
//! it also as it was known on a day ([`Register::known_on`]). [`gta`] reads tables of Global Trade Alert;
//! [`qr`] writes notifications of quantitative restrictions to the WTO.
//!
//! Pure: text in, values out. No files, sockets, clock or randomness.

pub mod claim;
pub mod code;
pub mod country;
pub mod decimal;
pub mod document;
mod field;
pub mod gta;
pub mod measure;
pub mod name;
pub mod qr;
pub mod query;
pub mod register;
pub mod shipped;
pub mod threshold;
pub mod when;

pub use claim::{Checked, Claim, Field, Source, Value};
pub use code::{Cas, ControlCode, Edition, TariffCode};
pub use country::{Country, Places};
pub use decimal::Decimal;
pub use field::messages;
pub use measure::{Flow, Item, Kind, LegalBasis, Licence, Measure, Party, State, Texts};
pub use name::{ItemId, MeasureId, StateId};
pub use register::{Known, Register};
pub use threshold::{Quantity, Threshold};
pub use when::When;

/// Why a text is not read as a value: the key of a message, and what the message names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", field::say(self))]
pub struct NotRead {
    /// Key of the message in `locales/`.
    pub code: &'static str,
    /// Values that the message names.
    pub arguments: Vec<(&'static str, String)>,
}

impl NotRead {
    pub(crate) fn new(code: &'static str, found: &str) -> Self {
        Self { code, arguments: vec![("found", field::cut(found))] }
    }

    pub(crate) fn none_of(found: &str, choices: &[&str]) -> Self {
        let arguments = vec![("found", field::cut(found)), ("choices", choices.join(", "))];
        Self { code: "not-one-of", arguments }
    }
}
