//! Which series to read.

use serde::Serialize;

use crate::import::{EstatLevel, estat_level};
use crate::series::{Flow, SeriesKey};

/// Which series to read. Empty lists want all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Sources, such as `kcs`.
    pub sources: Vec<String>,
    /// Reporters, such as `KR`.
    pub reporters: Vec<String>,
    /// Partners, such as `JP`.
    pub partners: Vec<String>,
    /// Items; a code stands for all that begin with it.
    pub items: Vec<String>,
    /// One flow only.
    pub flow: Option<Flow>,
    /// Leave series out that are sums of others or parts of others ([`aggregate`]).
    pub without_aggregates: bool,
}

impl Filter {
    /// Whether a series is wanted.
    pub fn wants(&self, key: &SeriesKey) -> bool {
        let listed = |list: &[String], text: &str| list.is_empty() || list.iter().any(|l| l == text);
        listed(&self.partners, &key.partner)
            && self.flow.is_none_or(|flow| flow == key.flow)
            && self.wants_item(&key.source, &key.reporter, &key.item)
            && !(self.without_aggregates && aggregate(key).is_some())
    }

    /// Whether any series of an item may be wanted; an empty item is all of them.
    pub(super) fn wants_item(&self, source: &str, reporter: &str, item: &str) -> bool {
        let listed = |list: &[String], text: &str| list.is_empty() || list.iter().any(|l| l == text);
        let begins = || self.items.is_empty() || self.items.iter().any(|i| item.starts_with(i.as_str()));
        listed(&self.sources, source) && listed(&self.reporters, reporter) && (item.is_empty() || begins())
    }
}

/// Why summing a series with others would count trade twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// The partner is the world or a group of economies.
    Partner,
    /// The item holds other listed items.
    Item,
    /// The item is part of another listed one.
    Part,
}

/// Marks a series that is a sum or a part of other series of its source. Codes of the Harmonized
/// System show by their length what holds what, and are not marked.
pub fn aggregate(key: &SeriesKey) -> Option<Aggregate> {
    let groups: &[&str] = match key.source.as_ref() {
        "estat" => &["Grand Total", "EU"],
        "comtrade" => &["World", "EU"],
        _ => &["World"],
    };
    if groups.contains(&key.partner.as_ref()) {
        return Some(Aggregate::Partner);
    }
    match estat_level(&key.item) {
        _ if key.source.as_ref() != "estat" => None,
        EstatLevel::Total | EstatLevel::Section => Some(Aggregate::Item),
        EstatLevel::Part => Some(Aggregate::Part),
        EstatLevel::Goods => None,
    }
}
