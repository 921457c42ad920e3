//! World trade in the products of a book: how concentrated exports are, and how central exporters.
//!
//! It comes from a table of trade between all countries (BACI, FAOSTAT's trade matrix, or any table
//! that [`crate::import`] reads), or from the store itself when enough reporters are in it. Which way
//! was taken is kept with it ([`Origin`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::annual::sum_year;
use super::rules::Limits;
use super::{Basis, Centrality, centrality, concentration};
use crate::calendar::{Period, released};
use crate::import::{ImportError, ReadOptions, read_file};
use crate::items::{Scheme, economy};
use crate::month::Date;
use crate::series::Flow;
use crate::store::{Filter, Store, StoreError};

/// Where world trade is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Files that were given, or the reporters of the store.
    pub way: Way,
    /// The source, such as `baci`, and the files.
    pub source: String,
    /// What shares are of: weight where the table holds no values.
    pub basis: Basis,
    /// The years that it covers.
    pub years: BTreeSet<u16>,
    /// Importers in it, in the year with the fewest.
    pub importers: u32,
}

/// How world trade was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From files.
    Files,
    /// From what the reporters of the store say of their imports.
    Store,
}

/// World trade in one item in one year.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldItem {
    /// HHI of exports over exporters, from 1/n to 1.
    pub hhi: f64,
    /// Exporters and their shares of world exports, by code.
    pub exporters: Vec<(Arc<str>, f64)>,
    /// Importers.
    pub importers: u32,
    /// The exporter with the largest mean share over importers, the first by code of equals.
    pub most_central: (Arc<str>, Centrality),
}

/// World trade by item and year.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldTrade {
    /// Where it is from.
    pub origin: Origin,
    items: BTreeMap<(Arc<str>, u16), WorldItem>,
}

/// Why there is no world trade.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A file cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A row of a FAOSTAT table is wrong.
    #[error("{file}, line {line}, field {field}: {why}")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The field.
        field: &'static str,
        /// What is wrong, and how to mend it.
        why: String,
    },
    /// Files with values and files with weights only do not go together.
    #[error("{file} holds tonnes and another file values; give them to two books")]
    TwoBases {
        /// The second file.
        file: String,
    },
    /// The files hold none of what is wanted.
    #[error(
        "{files} hold no trade in the items of the book that had been released by {as_of}; they cover {covered}"
    )]
    Nothing {
        /// The files.
        files: String,
        /// The date of the book.
        as_of: Date,
        /// Years with rows, or what is there instead.
        covered: String,
    },
}

/// One flow: places of the item, importer and exporter, and the year.
type Key = (u32, u16, u32, u32);

/// World trade being added up, flow by flow.
#[derive(Debug, Default)]
pub struct Flows {
    names: Vec<Arc<str>>,
    places: HashMap<Arc<str>, u32>,
    flows: Vec<(Key, f64)>,
}

impl Flows {
    fn place(&mut self, name: &Arc<str>) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        // As many names as rows at most; a file of 2^32 rows does not fit the memory.
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(Arc::clone(name));
        self.places.insert(Arc::clone(name), place);
        place
    }

    /// Adds what an importer bought from an exporter, in any unit that is the same for all.
    pub fn add(&mut self, item: &Arc<str>, year: u16, importer: &Arc<str>, exporter: &Arc<str>, amount: f64) {
        if amount > 0.0 && amount.is_finite() {
            let key = (self.place(item), year, self.place(importer), self.place(exporter));
            self.flows.push((key, amount));
        }
    }

    fn name(&self, place: u32) -> Arc<str> {
        usize::try_from(place)
            .ok()
            .and_then(|place| self.names.get(place))
            .map_or_else(|| "".into(), Arc::clone)
    }

    /// Importers with any trade in a year.
    pub fn importers(&self, year: u16) -> usize {
        let all: BTreeSet<u32> = self.flows.iter().filter(|f| f.0.1 == year).map(|f| f.0.2).collect();
        all.len()
    }

    /// Years with any trade.
    pub fn years(&self) -> BTreeSet<u16> {
        self.flows.iter().map(|f| f.0.1).collect()
    }

    /// World trade of all items and years that were added.
    pub fn finish(mut self, way: Way, source: String, basis: Basis, limits: &Limits) -> WorldTrade {
        self.flows.sort_unstable_by_key(|flow| flow.0);
        let mut items = BTreeMap::new();
        for group in self.flows.chunk_by(|a, b| (a.0.0, a.0.1) == (b.0.0, b.0.1)) {
            let Some(((item, year, ..), _)) = group.first() else { continue };
            if let Some(found) = self.item(group, limits) {
                items.insert((self.name(*item), *year), found);
            }
        }
        let years = self.years();
        let fewest = years.iter().map(|year| self.importers(*year)).min().unwrap_or(0);
        let importers = u32::try_from(fewest).unwrap_or(u32::MAX);
        WorldTrade { origin: Origin { way, source, basis, years, importers }, items }
    }

    /// One item and year, its flows sorted by importer.
    fn item(&self, flows: &[(Key, f64)], limits: &Limits) -> Option<WorldItem> {
        let mut exporters: Vec<(Arc<str>, u32)> = flows.iter().map(|f| (self.name(f.0.3), f.0.3)).collect();
        exporters.sort();
        exporters.dedup();
        let columns: HashMap<u32, usize> =
            exporters.iter().enumerate().map(|(column, (_, place))| (*place, column)).collect();
        let mut sums = vec![0.0; exporters.len()];
        let mut rows = Vec::new();
        for of_one in flows.chunk_by(|a, b| a.0.2 == b.0.2) {
            let mut row = vec![0.0; exporters.len()];
            for ((.., exporter), amount) in of_one {
                let Some(column) = columns.get(exporter) else { continue };
                for cell in [row.get_mut(*column), sums.get_mut(*column)].into_iter().flatten() {
                    *cell += amount;
                }
            }
            rows.push(row);
        }
        let all = concentration(Basis::Value, sums.iter().copied())?;
        let found = centrality(&rows, exporters.len(), limits);
        let names = || exporters.iter().map(|(name, _)| Arc::clone(name));
        let most_central = names()
            .zip(found)
            .reduce(|best, next| if next.1.mean_share > best.1.mean_share { next } else { best })?;
        Some(WorldItem {
            hhi: all.hhi,
            exporters: names().zip(sums.iter().map(|sum| sum / all.total)).collect(),
            importers: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            most_central,
        })
    }
}

impl WorldTrade {
    /// An item in a year, or else the code of six or four digits that it belongs to, which may be
    /// wider; with the code that it is of.
    pub fn get(&self, item: &str, year: u16) -> Option<(Arc<str>, &WorldItem)> {
        codes(item).find_map(|code| {
            let (key, found) = self.items.get_key_value(&(Arc::from(code), year))?;
            Some((Arc::clone(&key.0), found))
        })
    }

    /// Reads tables of trade between all countries, of the items that are wanted or the wider codes
    /// that [`WorldTrade::get`] would take for them. A year that its source had not released by `as_of` is left
    /// out.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn from_files(
        files: &[std::path::PathBuf],
        wanted: &BTreeSet<Arc<str>>,
        as_of: Date,
        limits: &Limits,
    ) -> Result<Self, WorldError> {
        let wanted: BTreeSet<&str> = wanted.iter().flat_map(|item| codes(item)).collect();
        let mut reading =
            Reading { wanted: &wanted, as_of, flows: Flows::default(), others: BTreeSet::new() };
        let mut basis = None;
        let mut sources = BTreeSet::new();
        for file in files {
            let (of_file, source) = reading.file(file)?;
            if basis.is_some_and(|basis| basis != of_file) {
                return Err(WorldError::TwoBases { file: file.display().to_string() });
            }
            basis = Some(of_file);
            sources.insert(source);
        }
        let names = || files.iter().map(|f| name(f)).collect::<Vec<_>>().join(", ");
        if reading.flows.flows.is_empty() {
            let years = reading.others.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let covered = if years.is_empty() { "none of them".to_owned() } else { years };
            return Err(WorldError::Nothing { files: names(), as_of, covered });
        }
        let source = format!("{} ({})", sources.into_iter().collect::<Vec<_>>().join(", "), names());
        Ok(reading.flows.finish(Way::Files, source, basis.unwrap_or(Basis::Value), limits))
    }
}

/// World trade as the reporters of a store say it, or how many reporters there are when they are too
/// few in every year.
#[derive(Clone, Debug, PartialEq)]
pub enum FromStore {
    /// Enough reporters.
    World(WorldTrade),
    /// At most so many in a year.
    TooFew(usize),
}

/// World trade from what the reporters of one source say of their imports, of whole years, as known
/// on a day. Years with fewer reporters than `limits` ask for are left out.
///
/// # Errors
/// [`StoreError`].
pub fn from_store(
    store: &Store,
    source: &str,
    wanted: &BTreeSet<Arc<str>>,
    as_of: Date,
    limits: &Limits,
) -> Result<FromStore, StoreError> {
    let filter = Filter {
        sources: vec![source.to_owned()],
        flow: Some(Flow::Import),
        without_aggregates: true,
        ..Filter::default()
    };
    let wanted: BTreeSet<&str> = wanted.iter().flat_map(|item| codes(item)).collect();
    let mut flows = Flows::default();
    // Who has reported a year is asked of all items: an importer may buy none of those wanted.
    let mut reporters: BTreeMap<u16, BTreeSet<Arc<str>>> = BTreeMap::new();
    for series in store.series(as_of, &filter)? {
        let series = series?;
        if series.months.is_empty() {
            continue;
        }
        for year in series.first.year()..=series.last().year() {
            let sum = sum_year(&series, year);
            if sum.months == 12 {
                reporters.entry(year).or_default().insert(Arc::clone(&series.key.reporter));
                if wanted.contains(&*series.key.item) {
                    let (exporter, importer) = series.key.exporter_and_importer();
                    flows.add(&series.key.item, year, importer, exporter, sum.import_value);
                }
            }
        }
    }
    for series in store.annual(as_of, &filter)? {
        let series = series?;
        for (year, seen) in (series.first..).zip(&series.years) {
            let Some(seen) = seen else { continue };
            reporters.entry(year).or_default().insert(Arc::clone(&series.key.reporter));
            if wanted.contains(&*series.key.item) {
                let (exporter, importer) = series.key.exporter_and_importer();
                flows.add(&series.key.item, year, importer, exporter, seen.value.unwrap_or(0.0));
            }
        }
    }
    let enough =
        |year: &u16| reporters.get(year).is_some_and(|all| all.len() >= usize::from(limits.world_reporters));
    flows.flows.retain(|flow| enough(&flow.0.1));
    if flows.flows.is_empty() {
        return Ok(FromStore::TooFew(reporters.values().map(BTreeSet::len).max().unwrap_or(0)));
    }
    let named = format!("{source}, imports reported by the economies in the store");
    Ok(FromStore::World(flows.finish(Way::Store, named, Basis::Value, limits)))
}

/// A code and the codes of the Harmonized System that hold it, the narrowest first.
fn codes(item: &str) -> impl Iterator<Item = &str> {
    let digits = item.bytes().all(|b| b.is_ascii_digit());
    let wider = [6, 4].into_iter().filter(move |length| digits && *length < item.len());
    std::iter::once(item).chain(wider.filter_map(|length| item.get(..length)))
}

fn name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Files being read.
struct Reading<'a> {
    wanted: &'a BTreeSet<&'a str>,
    as_of: Date,
    flows: Flows,
    /// Years of rows that were left out.
    others: BTreeSet<u16>,
}

/// The columns of FAOSTAT's trade matrix as this project carries it.
const CROPS: &str = "crop,year,exporter,importer,tonnes";

impl Reading<'_> {
    /// The basis and the source of a file.
    fn file(&mut self, path: &Path) -> Result<(Basis, String), WorldError> {
        if let Some(rows) = crops(path)? {
            self.crops(path, rows)?;
            return Ok((Basis::Weight, "FAOSTAT trade matrix".to_owned()));
        }
        let mut source = None;
        read_file(path, &ReadOptions::default(), &mut |record| {
            let (exporter, importer) = record.key.exporter_and_importer();
            if record.key.flow == Flow::Import {
                let year = match record.period {
                    Period::Year(year) => year,
                    Period::Month(month) => month.year(),
                };
                let out = record.released.or_else(|| released(&record.key.source, Period::Year(year)));
                if out.is_some_and(|out| out > self.as_of) || !self.wants(&record.key.item) {
                    self.others.insert(year);
                } else {
                    let value = record.observation.value.unwrap_or(0.0);
                    self.flows.add(&record.key.item, year, importer, exporter, value);
                }
            }
            source.get_or_insert_with(|| record.key.source.to_string());
            Ok(())
        })?;
        Ok((Basis::Value, source.unwrap_or_else(|| "empty".to_owned())))
    }

    fn wants(&self, item: &str) -> bool {
        self.wanted.contains(item)
    }

    fn crops(&mut self, path: &Path, mut rows: csv::Reader<impl std::io::Read>) -> Result<(), WorldError> {
        let wrong =
            |line, field, why: String| WorldError::Row { file: path.display().to_string(), line, field, why };
        for row in rows.records() {
            let row = row.map_err(|e| {
                let line = e.position().map_or(0, csv::Position::line);
                wrong(line, "crop", e.to_string())
            })?;
            let line = row.position().map_or(0, csv::Position::line);
            let text = |at| row.get(at).unwrap_or_default();
            let year: u16 =
                text(1).parse().map_err(|_| wrong(line, "year", format!("{:?} is no year", text(1))))?;
            let tonnes = text(4).parse::<f64>().ok().filter(|t| t.is_finite() && *t >= 0.0);
            let tonnes = tonnes
                .ok_or_else(|| wrong(line, "tonnes", format!("{:?} is no amount of 0 or more", text(4))))?;
            let item = heading(text(0));
            if self.wants(item) {
                self.flows.add(&item.into(), year, &named(text(3)), &named(text(2)), tonnes);
            } else {
                self.others.insert(year);
            }
        }
        Ok(())
    }
}

/// The heading of the Harmonized System that holds a crop of FAOSTAT's.
fn heading(crop: &str) -> &str {
    match crop {
        "Wheat" => "1001",
        "Maize" => "1005",
        "Rice" => "1006",
        "Soya beans" => "1201",
        other => other,
    }
}

/// An economy by FAOSTAT's name for it; the name itself where there is no code.
fn named(name: &str) -> Arc<str> {
    economy(Scheme::Faostat, name).unwrap_or_else(|| name.into())
}

/// The rows of a file with FAOSTAT's columns; `None` when it has others.
fn crops(path: &Path) -> Result<Option<csv::Reader<Box<dyn std::io::Read>>>, WorldError> {
    use std::io::Read as _;
    let io = |source| ImportError::Io { file: path.display().to_string(), source };
    let open = || -> std::io::Result<Box<dyn std::io::Read>> {
        let mut start = Vec::new();
        std::fs::File::open(path)?.take(2).read_to_end(&mut start)?;
        let file = std::io::BufReader::new(std::fs::File::open(path)?);
        Ok(if start == [0x1f, 0x8b] {
            Box::new(flate2::read::MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        })
    };
    let mut head = Vec::new();
    open().map_err(io)?.take(CROPS.len() as u64).read_to_end(&mut head).map_err(io)?;
    if head != CROPS.as_bytes() {
        return Ok(None);
    }
    Ok(Some(csv::Reader::from_reader(open().map_err(io)?)))
}

#[cfg(test)]
mod tests;
