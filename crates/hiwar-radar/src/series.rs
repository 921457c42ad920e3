//! Series: what is known of one flow of one item between two economies, month by month.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::month::{Date, Month};

/// Which way goods go, seen from the reporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Into the reporter.
    Import,
    /// Out of the reporter.
    Export,
}

/// What a series is of. Economies are ISO 3166-1 alpha-2 codes where the source names a country
/// that has one (`KR`, `JP`), and the source's own words where it does not (`EU`, `Grand Total`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The source's short name, such as `kcs`, `japan-customs`, `estat`, `comext`, `comtrade`.
    pub source: Arc<str>,
    /// Who reports.
    pub reporter: Arc<str>,
    /// The other side.
    pub partner: Arc<str>,
    /// The item's code with its leading zeros, in the source's nomenclature.
    pub item: Arc<str>,
    /// The flow, seen from the reporter.
    pub flow: Flow,
}

/// What was reported for one month. An amount that the source does not state is absent, which is
/// not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Value, in the unit of the source ([`Unit`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Net weight in kilograms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kg: Option<f64>,
    /// Quantity in the source's supplementary unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<f64>,
}

/// A unit of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// US dollars.
    Usd,
    /// Euros.
    Eur,
    /// Japanese yen.
    Jpy,
}

/// One series as it was known at one date: consecutive months from `first` on. A month that the
/// source had not completed then is absent at the end of the series, or `None` inside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is of.
    pub key: SeriesKey,
    /// The unit of its values.
    pub unit: Unit,
    /// The month of the first observation.
    pub first: Month,
    /// One place per month. `None`: not reported (yet); the source writes no row for a month
    /// without trade in some tables, and the reader decides by the source's rule which of the two
    /// it is.
    pub months: Vec<Option<Observation>>,
    /// The day on which the number of each month was released, in places as of `months`; may be
    /// shorter where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Option<Date>>,
}

impl Series {
    /// The observation of a month.
    pub fn at(&self, month: Month) -> Option<&Observation> {
        let index = usize::try_from(month.since(self.first)).ok()?;
        self.months.get(index)?.as_ref()
    }

    /// The day on which the number of a month was released, where that is known.
    pub fn released_at(&self, month: Month) -> Option<Date> {
        let index = usize::try_from(month.since(self.first)).ok()?;
        *self.released.get(index)?
    }

    /// The newest release among the months before a month, where any is known.
    pub fn newest_release_before(&self, month: Month) -> Option<Date> {
        let count = usize::try_from(month.since(self.first)).unwrap_or(0);
        self.released.iter().take(count).flatten().max().copied()
    }

    /// The month of the last place, reported or not.
    pub fn last(&self) -> Month {
        self.first.plus(i32::try_from(self.months.len()).unwrap_or(i32::MAX) - 1)
    }
}

impl SeriesKey {
    /// Who sends and who receives, whoever reports it.
    pub fn exporter_and_importer(&self) -> (&Arc<str>, &Arc<str>) {
        match self.flow {
            Flow::Import => (&self.partner, &self.reporter),
            Flow::Export => (&self.reporter, &self.partner),
        }
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.exporter_and_importer();
        write!(f, "{} {from} → {to} ({}, {})", self.item, self.source, self.reporter)
    }
}
