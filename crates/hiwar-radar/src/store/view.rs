//! Series as they were known on a day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::scan::{Scan, visible};
use super::segment::{Group, SegmentReader};
use super::{Filter, Store, StoreError, date, day};
use crate::month::{Date, Month};
use crate::series::{Observation, Series, SeriesKey, Unit};

/// One annual series as it was known at one date: consecutive years from `first` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnualSeries {
    /// What it is of.
    pub key: SeriesKey,
    /// The unit of its values.
    pub unit: Unit,
    /// The year of the first observation.
    pub first: u16,
    /// One place per year; `None`: not reported.
    pub years: Vec<Option<Observation>>,
}

struct View {
    scan: Scan,
    coverage: Vec<Coverage>,
    day: i32,
    filter: Filter,
    annual: bool,
    failed: bool,
}

/// An observation and the day it was released.
type Place = Option<(Observation, i32)>;
type Places = (Group, u16, Vec<Place>);

impl View {
    fn new(store: &Store, as_of: Date, filter: &Filter, annual: bool) -> Result<Self, StoreError> {
        let day = day(as_of);
        let mut coverage = Vec::new();
        let segments = store.segments()?;
        for segment in &segments {
            let all = SegmentReader::open(&segment.path)?.coverage()?;
            let until = |(_, c): (u64, Coverage)| c.until(day, |s, r, i| filter.wants_item(s, r, i));
            coverage.extend(all.into_iter().map(until));
        }
        let scan = Scan::new(&segments)?;
        Ok(Self { scan, coverage, day, filter: filter.clone(), annual, failed: false })
    }

    fn next(&mut self) -> Option<Result<Places, StoreError>> {
        while !self.failed {
            match self.scan.next() {
                Ok(None) => return None,
                Ok(Some(group)) => {
                    let wanted = group.key.annual == self.annual && self.filter.wants(&group.key.key);
                    if let Some(places) = wanted.then(|| self.places(group)).flatten() {
                        return Some(Ok(places));
                    }
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// The periods from the first to the last that was complete.
    fn places(&self, group: Group) -> Option<Places> {
        // A withdrawn number is not reported, whatever the coverage says.
        let mut known: BTreeMap<u16, Option<(Observation, i32)>> = BTreeMap::new();
        for cells in group.cells.chunk_by(|a, b| a.period == b.period) {
            if let Some(cell) = visible(cells, self.day) {
                let told = (!cell.is_withdrawn()).then_some((cell.observation, cell.released));
                known.insert(cell.period, told);
            }
        }
        let first = known.iter().find_map(|(period, cell)| cell.map(|_| *period))?;
        let zero = Observation { value: Some(0.0), kg: Some(0.0), quantity: None };
        for (period, released) in self.coverage.iter().flat_map(|c| c.complete(&group.key)) {
            if period >= first {
                // A row of nothing that only confirms what was known is no newer than that.
                if let Some((seen, day)) = known.entry(period).or_insert(Some((zero, released)))
                    && *seen == zero
                {
                    *day = (*day).min(released);
                }
            }
        }
        let last = known.iter().rev().find_map(|(period, cell)| cell.map(|_| *period))?;
        let places = (first..=last).map(|period| known.get(&period).copied().flatten()).collect();
        Some((group, first, places))
    }
}

fn observations(places: Vec<Place>) -> Vec<Option<Observation>> {
    places.into_iter().map(|p| p.map(|(observation, _)| observation)).collect()
}

/// Monthly series, in order of their keys.
pub struct SeriesIter(View);

impl SeriesIter {
    pub(super) fn new(store: &Store, as_of: Date, filter: &Filter) -> Result<Self, StoreError> {
        Ok(Self(View::new(store, as_of, filter, false)?))
    }
}

impl Iterator for SeriesIter {
    type Item = Result<Series, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let places = self.0.next()?;
        Some(places.map(|(group, first, places)| Series {
            key: group.key.key,
            unit: group.key.unit,
            first: Month::from_index(first),
            released: places.iter().map(|p| p.map(|(_, day)| date(day))).collect(),
            months: observations(places),
        }))
    }
}

/// Annual series, in order of their keys.
pub struct AnnualIter(View);

impl AnnualIter {
    pub(super) fn new(store: &Store, as_of: Date, filter: &Filter) -> Result<Self, StoreError> {
        Ok(Self(View::new(store, as_of, filter, true)?))
    }
}

impl Iterator for AnnualIter {
    type Item = Result<AnnualSeries, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let places = self.0.next()?;
        Some(places.map(|(group, first, places)| AnnualSeries {
            key: group.key.key,
            unit: group.key.unit,
            first,
            years: observations(places),
        }))
    }
}
