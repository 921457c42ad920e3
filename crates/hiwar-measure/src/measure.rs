//! Measures, their items and their states.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hiwar_form::Language;
use serde::Serialize;

use crate::claim::{self, Claim, Claimed, Field};
use crate::code::Listed;
use crate::{
    Cas, ControlCode, Country, ItemId, MeasureId, NotRead, Places, StateId, TariffCode, Threshold, When,
};

/// A text by language tag of BCP 47; English (`en`) is always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// None when there is no English text.
    pub fn new(texts: BTreeMap<String, String>) -> Option<Self> {
        texts.contains_key("en").then_some(Self(texts))
    }

    /// An English text alone.
    pub fn english(text: &str) -> Self {
        Self(BTreeMap::from([("en".to_owned(), text.to_owned())]))
    }

    /// The text in a language, else in English.
    pub fn say(&self, language: Language) -> &str {
        let find = |tag: &str| self.0.get(tag).map(String::as_str);
        find(language.as_str()).or_else(|| find("en")).unwrap_or_default()
    }
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.say(Language::En))
    }
}

/// Which way goods go, seen from the jurisdiction that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Out.
    Export,
    /// In.
    Import,
    /// Through.
    Transit,
}

impl Flow {
    /// All.
    pub const ALL: [Self; 3] = [Self::Export, Self::Import, Self::Transit];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Import => "import",
            Self::Transit => "transit",
        }
    }
}

/// For how much a licence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Licence {
    /// The source does not say.
    Unspecified,
    /// One contract.
    Individual,
    /// Any contract with listed countries, for some years (Japan: general bulk licence).
    Bulk,
    /// Contracts with one buyer over time (Japan: special bulk licence).
    SpecialBulk,
    /// Any contract of an exporter with an inspected compliance programme (Japan: special general bulk licence).
    SpecialGeneralBulk,
}

/// What a government does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A licence is needed.
    Licence(Licence),
    /// Nothing may pass.
    Ban,
    /// A quantity may pass.
    Quota,
    /// A duty on exports.
    ExportTax,
    /// A duty beyond a quantity.
    TariffQuota,
    /// A country moves to another group of a list.
    Listing,
    /// Inspection or another administrative step that slows trade without forbidding it.
    SlowDown,
    /// Trade has to be notified.
    NotificationDuty,
    /// A step of an investigation or a dispute.
    DisputeStep,
    /// The measure stands but is not applied for the time being.
    Suspended,
    /// Nothing is demanded: what held before a measure, or holds after it.
    Free,
    /// Anything else.
    Other,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 16] = [
        Self::Licence(Licence::Unspecified),
        Self::Licence(Licence::Individual),
        Self::Licence(Licence::Bulk),
        Self::Licence(Licence::SpecialBulk),
        Self::Licence(Licence::SpecialGeneralBulk),
        Self::Ban,
        Self::Quota,
        Self::ExportTax,
        Self::TariffQuota,
        Self::Listing,
        Self::SlowDown,
        Self::NotificationDuty,
        Self::DisputeStep,
        Self::Suspended,
        Self::Free,
        Self::Other,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Licence(Licence::Unspecified) => "licence",
            Self::Licence(Licence::Individual) => "individual-licence",
            Self::Licence(Licence::Bulk) => "bulk-licence",
            Self::Licence(Licence::SpecialBulk) => "special-bulk-licence",
            Self::Licence(Licence::SpecialGeneralBulk) => "special-general-bulk-licence",
            Self::Ban => "ban",
            Self::Quota => "quota",
            Self::ExportTax => "export-tax",
            Self::TariffQuota => "tariff-quota",
            Self::Listing => "listing",
            Self::SlowDown => "slow-down",
            Self::NotificationDuty => "notification-duty",
            Self::DisputeStep => "dispute-step",
            Self::Suspended => "suspended",
            Self::Free => "free",
            Self::Other => "other",
        }
    }
}

macro_rules! word {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = NotRead;

            fn from_str(text: &str) -> Result<Self, NotRead> {
                let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
                found.ok_or_else(|| NotRead::none_of(text, &Self::ALL.map(Self::as_str)))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

word!(Flow);
word!(Kind);

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// A law, order or notice that a measure rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalBasis {
    /// Its title.
    pub title: String,
    /// Its number or article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Goods under a measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name within the measure.
    pub id: ItemId,
    /// What it is.
    pub title: Texts,
    /// Entries of control lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub control_codes: Vec<Listed<ControlCode>>,
    /// Customs codes; none are given when they are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tariff_codes: Vec<Listed<TariffCode>>,
    /// Bounds that goods must be within; all hold together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    /// The substance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<Cas>,
    /// Whether its customs codes hold these goods alone. `false`: they are baskets, and trade under
    /// them is not trade in the item.
    pub separable_in_statistics: bool,
}

/// A party that a measure affects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its country.
    pub country: Country,
    /// In which way.
    pub role: String,
}

/// What holds for some items from a day on. The days are claims: `state.<id>.from` and `.until`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Its name within the measure.
    pub id: StateId,
    /// What holds.
    pub kind: Kind,
    /// In words.
    pub title: Texts,
    /// The items it holds for; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemId>,
}

impl State {
    /// Whether it holds for an item.
    pub fn is_of(&self, item: &ItemId) -> bool {
        self.items.is_empty() || self.items.contains(item)
    }
}

/// A measure of a government.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measure {
    /// Its name in the register.
    pub id: MeasureId,
    /// What it is called.
    pub title: Texts,
    /// Who acts.
    pub jurisdiction: Country,
    /// Which way the goods go.
    pub flow: Flow,
    /// What is done, in the main.
    pub kind: Kind,
    /// Where the goods come from.
    pub origins: Places,
    /// Where they go.
    pub destinations: Places,
    /// What it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legal_bases: Vec<LegalBasis>,
    /// The goods; none for measures on countries, such as a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// Whom it affects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affected_parties: Vec<Party>,
    /// What held when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// All dates and facts, with their sources.
    pub claims: Vec<Claim>,
}

impl Measure {
    /// The claims about a field, ordered by [`claim::shown`].
    pub fn claimed(&self, field: &Field) -> Option<Claimed<'_>> {
        claim::shown(&self.claims, field)
    }

    /// The date that is shown for a field.
    pub fn date(&self, field: &Field) -> Option<When> {
        self.claimed(field).and_then(|claimed| claimed.shown.value.date())
    }

    /// The item of this name.
    pub fn item(&self, id: &ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == *id)
    }

    /// The state of this name.
    pub fn state(&self, id: &StateId) -> Option<&State> {
        self.states.iter().find(|state| state.id == *id)
    }

    /// The fields that claims are about, each once, in order.
    pub fn fields(&self) -> Vec<&Field> {
        let mut fields: Vec<&Field> = self.claims.iter().map(|claim| &claim.field).collect();
        fields.sort();
        fields.dedup();
        fields
    }
}
