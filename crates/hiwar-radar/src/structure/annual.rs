//! What reporters traded with each partner in each item and year: the input of a book.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bloc::Bloc;
use super::book::BookError;
use crate::month::Month;
use crate::series::{Flow, Observation, Series, SeriesKey, Unit};
use crate::store::AnnualSeries;

/// What a reporter traded with one partner in one item in one year. Partners must not overlap: no
/// totals and no groups of countries beside their members.
#[derive(Clone, Debug, PartialEq)]
pub struct Annual {
    /// The partner.
    pub partner: Arc<str>,
    /// The item's code.
    pub item: Arc<str>,
    /// The year.
    pub year: u16,
    /// Imports, in the unit of the source.
    pub import_value: f64,
    /// Imports in kilograms; `None` when the weight of some is not known.
    pub import_kg: Option<f64>,
    /// Exports, in the unit of the source; `None` when not known.
    pub export_value: Option<f64>,
    /// Months of the year that were reported, up to 12.
    pub months: u8,
}

type Sums = BTreeMap<(Arc<str>, Arc<str>, u16), Annual>;

/// Annual sums of one source, by reporter, added up series by series.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    first: Option<(SeriesKey, Unit)>,
    reporters: BTreeMap<Arc<str>, Sums>,
    /// Who has reported anything at all for which year, whatever the item.
    seen: BTreeSet<(Arc<str>, u16)>,
}

/// A source whose rows are reconciled from both sides and hold each flow once, as an import.
const ONE_SIDED: &str = "baci";

impl Gathered {
    /// Adds the months of a series, by year. Months before the first of a series count as months
    /// without trade, later ones without observation as not reported. A year that the series does
    /// not reach with any month is left out.
    ///
    /// # Errors
    /// [`BookError::Mixed`] unless all series are of one source and unit.
    pub fn add(&mut self, series: &Series) -> Result<(), BookError> {
        self.same(&series.key, series.unit)?;
        if series.months.is_empty() {
            return Ok(());
        }
        for year in series.first.year()..=series.last().year() {
            let sum = sum_year(series, year);
            if sum.months > 0 {
                self.put(&series.key.reporter, sum);
            }
        }
        Ok(())
    }

    /// Adds the years of an annual series; each that is reported counts as twelve months. An import
    /// in BACI is also the export of its partner, and what has no row there is not exported.
    ///
    /// # Errors
    /// As [`Gathered::add`].
    pub fn add_yearly(&mut self, series: &AnnualSeries) -> Result<(), BookError> {
        self.same(&series.key, series.unit)?;
        for (year, seen) in (series.first..).zip(&series.years) {
            let Some(seen) = seen else { continue };
            let mut sum = empty(&series.key, year);
            sum.months = 12;
            add_observation(&mut sum, seen, series.key.flow);
            if &*series.key.source == ONE_SIDED {
                // It holds all trade: exports that it has no row of are none.
                sum.export_value = Some(0.0);
                let key = SeriesKey {
                    reporter: Arc::clone(&series.key.partner),
                    partner: Arc::clone(&series.key.reporter),
                    flow: Flow::Export,
                    ..series.key.clone()
                };
                let mut sold = empty(&key, year);
                sold.months = 12;
                add_observation(&mut sold, seen, Flow::Export);
                self.put(&key.reporter, sold);
            }
            self.put(&series.key.reporter, sum);
        }
        Ok(())
    }

    /// Notes that a reporter has reported something for a series' years, though its numbers are not
    /// wanted: a bloc needs to know whether a member is silent or buys nothing of an item.
    pub fn note(&mut self, reporter: &Arc<str>, years: impl Iterator<Item = u16>) {
        for year in years {
            self.seen.insert((Arc::clone(reporter), year));
        }
    }

    fn same(&mut self, key: &SeriesKey, unit: Unit) -> Result<(), BookError> {
        match &self.first {
            Some((first, of)) if (&first.source, *of) != (&key.source, unit) => {
                Err(BookError::Mixed { first: first.to_string(), other: key.to_string() })
            }
            Some(_) => Ok(()),
            None => {
                self.first = Some((key.clone(), unit));
                Ok(())
            }
        }
    }

    fn put(&mut self, reporter: &Arc<str>, sum: Annual) {
        self.seen.insert((Arc::clone(reporter), sum.year));
        merge(self.reporters.entry(Arc::clone(reporter)).or_default(), sum);
    }

    /// The source and unit; `None` while there is nothing.
    pub fn source(&self) -> Option<(&Arc<str>, Unit)> {
        self.first.as_ref().map(|(key, unit)| (&key.source, *unit))
    }

    /// The sums of one reporter.
    pub fn of(&self, reporter: &str) -> Vec<Annual> {
        self.reporters.get(reporter).map(|sums| sums.values().cloned().collect()).unwrap_or_default()
    }

    /// The sums of a bloc as if it were one reporter: in each year those of its members of that
    /// year, by partner, members among the partners.
    pub fn of_bloc(&self, bloc: &Bloc) -> Vec<Annual> {
        let mut all = Sums::new();
        for (reporter, sums) in &self.reporters {
            for sum in sums.values().filter(|sum| bloc.is_member(reporter, sum.year)) {
                merge(&mut all, sum.clone());
            }
        }
        all.into_values().collect()
    }

    /// Members of a bloc that have reported nothing for a year.
    pub fn silent(&self, bloc: &Bloc, year: u16) -> Vec<String> {
        let silent = |member: &&str| !self.seen.contains(&(Arc::from(*member), year));
        bloc.members(year).into_iter().filter(silent).map(str::to_owned).collect()
    }
}

fn merge(sums: &mut Sums, sum: Annual) {
    let key = (Arc::clone(&sum.item), Arc::clone(&sum.partner), sum.year);
    match sums.get_mut(&key) {
        Some(all) => all.add(&sum),
        None => {
            sums.insert(key, sum);
        }
    }
}

impl Annual {
    /// The sums of series of one reporter, imports and exports ([`Gathered::add`]).
    ///
    /// # Errors
    /// [`BookError::Mixed`] unless all are of one source, reporter and unit.
    pub fn from_series<'a>(series: impl IntoIterator<Item = &'a Series>) -> Result<Vec<Self>, BookError> {
        let mut all = Gathered::default();
        for one in series {
            if let Some((first, _)) = &all.first
                && first.reporter != one.key.reporter
            {
                return Err(BookError::Mixed { first: first.to_string(), other: one.key.to_string() });
            }
            all.add(one)?;
        }
        Ok(all.reporters.into_values().flat_map(BTreeMap::into_values).collect())
    }

    /// The part of it that is an item of one's own.
    #[must_use]
    pub fn part(&self, item: &Arc<str>, share: f64) -> Self {
        Self {
            item: Arc::clone(item),
            import_value: self.import_value * share,
            import_kg: self.import_kg.map(|kg| kg * share),
            export_value: self.export_value.map(|value| value * share),
            ..self.clone()
        }
    }

    fn add(&mut self, more: &Self) {
        self.import_value += more.import_value;
        self.import_kg = self.import_kg.zip(more.import_kg).map(|(a, b)| a + b);
        self.export_value = match (self.export_value, more.export_value) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        self.months = self.months.min(more.months);
    }
}

fn empty(key: &SeriesKey, year: u16) -> Annual {
    Annual {
        partner: Arc::clone(&key.partner),
        item: Arc::clone(&key.item),
        year,
        import_value: 0.0,
        import_kg: Some(0.0),
        export_value: (key.flow == Flow::Export).then_some(0.0),
        months: 0,
    }
}

fn add_observation(sum: &mut Annual, seen: &Observation, flow: Flow) {
    let value = seen.value.unwrap_or(0.0);
    match flow {
        Flow::Import => {
            sum.import_value += value;
            let kg = if value > 0.0 { seen.kg } else { Some(seen.kg.unwrap_or(0.0)) };
            sum.import_kg = sum.import_kg.zip(kg).map(|(a, b)| a + b);
        }
        Flow::Export => sum.export_value = sum.export_value.map(|sum| sum + value),
    }
}

pub(super) fn sum_year(series: &Series, year: u16) -> Annual {
    let mut sum = empty(&series.key, year);
    for month in (1..=12).filter_map(|month| Month::new(year, month)) {
        match series.at(month) {
            None => sum.months += u8::from(month < series.first),
            Some(seen) => {
                sum.months += 1;
                add_observation(&mut sum, seen, series.key.flow);
            }
        }
    }
    sum
}
