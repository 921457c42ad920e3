//! Every number as it is held, with the day it was released: what an operator takes out.

use super::scan::Scan;
use super::segment::Group;
use super::{Filter, Store, StoreError};
use crate::calendar::Period;
use crate::month::{Date, Month};
use crate::series::{Observation, SeriesKey, Unit};

/// A number of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What it is of.
    pub key: SeriesKey,
    /// The unit of its value.
    pub unit: Unit,
    /// When.
    pub period: Period,
    /// The day it was released.
    pub released: Date,
    /// How many numbers for the period were held before it came.
    pub revision: u32,
    /// The amounts; without any when it was withdrawn.
    pub observation: Observation,
}

/// All numbers of a store, in order of series, period and release.
pub struct HeldIter {
    scan: Scan,
    filter: Filter,
    group: std::vec::IntoIter<Held>,
    failed: bool,
}

impl HeldIter {
    pub(super) fn new(store: &Store, filter: &Filter) -> Result<Self, StoreError> {
        let scan = Scan::new(&store.segments()?)?;
        Ok(Self { scan, filter: filter.clone(), group: Vec::new().into_iter(), failed: false })
    }
}

impl Iterator for HeldIter {
    type Item = Result<Held, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(held) = self.group.next() {
                return Some(Ok(held));
            }
            if self.failed {
                return None;
            }
            match self.scan.next() {
                Ok(None) => return None,
                Ok(Some(group)) if self.filter.wants(&group.key.key) => self.group = held(group),
                Ok(Some(_)) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn held(group: Group) -> std::vec::IntoIter<Held> {
    let Group { key, cells } = group;
    let of = |cell: super::segment::StoredCell| Held {
        key: key.key.clone(),
        unit: key.unit,
        period: match key.annual {
            true => Period::Year(cell.period),
            false => Period::Month(Month::from_index(cell.period)),
        },
        released: super::date(cell.released),
        revision: cell.revision,
        observation: cell.observation,
    };
    cells.into_iter().map(of).collect::<Vec<_>>().into_iter()
}
