//! BACI: trade of all countries in all products, from CSV or columns to dependencies.
//!
//! CEPII's BACI is one CSV a year, `t,i,j,k,v,q`: year, exporter, importer (ISO 3166-1 numeric, with
//! CEPII's own such as 490 for Taiwan), six-digit product, thousand US dollars, tonnes (`NA` where
//! not known). It has one row for each exporter, importer, product and year; the HHI as `S2 / S1²`
//! relies on that.
//!
//! Instead of hashing pairs of codes, sums go to a dense table by importer and product (226 × 5,018
//! × 32 bytes, which a large cache holds), so a row costs little more than reading its digits.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use hiwar_radar::structure::{baci, rules::RulePack};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = ["BACI_HS17_Y2020.csv", "BACI_HS17_Y2021.csv", "BACI_HS17_Y2022.csv"];
//! let trade = baci::read(&files.map(Into::into), NonZeroUsize::MIN)?;
//! let world = baci::dependencies(&trade, &RulePack::built_in()?, NonZeroUsize::MIN)?;
//! for entry in world.dependent.iter().filter(|entry| entry.importer == 410) {
//!     println!("{:06} {:.3}", entry.product, entry.import_hhi);
//! }
//! # Ok(())
//! # }
//! ```

mod line;
mod read;
mod runs;
mod table;
mod touch;
mod world;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;

pub use read::read;
use runs::Runs;
use table::{Cell, PENDING, PRODUCT_BITS, PRODUCTS, Pending, Worker};
pub use world::{Dependency, World, YearTotals, dependencies};

/// Why trade could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BaciError {
    /// A file cannot be opened or read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The first line is not that of BACI.
    #[error("{}: the first line must be \"t,i,j,k,v,q\", not {found:?}", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// Its first line, cut to 80 characters.
        found: String,
    },
    /// A field cannot be read.
    #[error("{}, line {line}, field {field}: {why}: {text:?}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1 for the header.
        line: u64,
        /// The field: t, i, j, k, v or q.
        field: &'static str,
        /// Its text, cut to 40 characters.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More codes than a table has places.
    #[error("{}, line {line}: more than {most} {what}", file.display())]
    ManyInFile {
        /// The file.
        file: PathBuf,
        /// The line, from 1 for the header.
        line: u64,
        /// Of what.
        what: &'static str,
        /// The number of places.
        most: usize,
    },
    /// More codes than a table has places, over all parts.
    #[error("more than {most} {what}")]
    Many {
        /// Of what.
        what: &'static str,
        /// The number of places.
        most: usize,
    },
    /// Two files hold the same year.
    #[error("{}: the year {year} is in another file too; give every year once", file.display())]
    YearTwice {
        /// The second file.
        file: PathBuf,
        /// The year.
        year: u16,
    },
    /// Columns do not fit together.
    #[error("columns of {year}: {why}")]
    Columns {
        /// Their year.
        year: u16,
        /// What does not fit.
        why: &'static str,
    },
    /// There is nothing to judge.
    #[error("no year of trade was given")]
    NoYears,
}

/// One year of world trade, summed by importer and product and by exporter and product.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    year: u16,
    countries: Vec<u32>,
    products: Vec<u32>,
    /// By importer and product.
    cells: Vec<Cell>,
    /// By exporter and product.
    exports: Vec<f64>,
    /// By importer and product: tonnes are lacking in a row.
    unweighed: Vec<bool>,
    rows: u64,
    rows_without_weight: u64,
}

/// What one importer buys of one product in one year.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Imports {
    /// Thousand US dollars.
    pub value: f64,
    /// HHI over exporters by value.
    pub hhi: f64,
    /// Tonnes, of the rows that have them.
    pub tonnes: f64,
    /// HHI over exporters by weight, of the rows that have one; `None` without any.
    pub hhi_weight: Option<f64>,
    /// Every row has a weight.
    pub weight_is_whole: bool,
}

impl Trade {
    fn empty(year: u16, countries: &[u32], products: &[u32]) -> Self {
        let size = countries.len() * products.len();
        Self {
            year,
            countries: countries.to_vec(),
            products: products.to_vec(),
            cells: vec![[0.0; 4]; size],
            exports: vec![0.0; size],
            unweighed: vec![false; size],
            rows: 0,
            rows_without_weight: 0,
        }
    }

    /// The year.
    pub fn year(&self) -> u16 {
        self.year
    }

    /// Codes of all importers and exporters, ascending.
    pub fn countries(&self) -> &[u32] {
        &self.countries
    }

    /// Codes of all products, ascending.
    pub fn products(&self) -> &[u32] {
        &self.products
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of rows without tonnes.
    pub fn rows_without_weight(&self) -> u64 {
        self.rows_without_weight
    }

    fn place(&self, country: u32, product: u32) -> Option<usize> {
        let row = self.countries.binary_search(&country).ok()?;
        let column = self.products.binary_search(&product).ok()?;
        Some(row * self.products.len() + column)
    }

    /// What an importer buys of a product; `None` without imports of any value.
    pub fn imports(&self, importer: u32, product: u32) -> Option<Imports> {
        self.imports_at(self.place(importer, product)?)
    }

    fn imports_at(&self, at: usize) -> Option<Imports> {
        let [value, value_squares, tonnes, tonnes_squares] = *self.cells.get(at)?;
        (value > 0.0).then(|| Imports {
            value,
            hhi: value_squares / (value * value),
            tonnes,
            hhi_weight: (tonnes > 0.0).then(|| tonnes_squares / (tonnes * tonnes)),
            weight_is_whole: !self.unweighed.get(at).is_some_and(|lacking| *lacking),
        })
    }

    /// What a country sells of a product, in thousand US dollars.
    pub fn exports(&self, exporter: u32, product: u32) -> f64 {
        self.place(exporter, product).and_then(|at| self.exports.get(at)).copied().unwrap_or(0.0)
    }

    /// HHI of world exports of a product over exporters, by value.
    pub fn world_hhi(&self, product: u32) -> Option<f64> {
        let column = self.products.binary_search(&product).ok()?;
        self.world_hhis().get(column).copied().flatten()
    }

    /// The same for all products, in their order.
    fn world_hhis(&self) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0.0); self.products.len()];
        for line in self.exports.chunks(self.products.len().max(1)) {
            for (sum, export) in sums.iter_mut().zip(line) {
                sum.0 += export;
                sum.1 += export * export;
            }
        }
        sums.into_iter().map(|(total, squares)| (total > 0.0).then(|| squares / (total * total))).collect()
    }
}

/// Rows of a piece where there are no runs.
const PIECE: usize = 1 << 16;

/// One year of trade as columns of equal length; a place in `countries` or `products` stands for
/// its code.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The year of all rows.
    pub year: u16,
    /// Codes of countries, at most 256, each once.
    pub countries: &'a [u16],
    /// Codes of products, at most 8,192, each once.
    pub products: &'a [u32],
    /// Exporters, as places.
    pub exporter: &'a [u8],
    /// Importers, as places.
    pub importer: &'a [u8],
    /// Products, as places.
    pub product: &'a [u16],
    /// Thousand US dollars.
    pub value: &'a [f32],
    /// Tonnes; not a number where not known.
    pub tonnes: &'a [f32],
}

impl Columns<'_> {
    /// Sums the columns, in as many threads. Sums are kept in doubles. Fastest when codes ascend and
    /// rows are sorted by exporter and importer, as BACI's are.
    ///
    /// # Errors
    /// [`BaciError::Columns`] when lengths differ or a place is none.
    pub fn sum(&self, threads: NonZeroUsize) -> Result<Trade, BaciError> {
        let rows = self.value.len();
        let wrong = |why| BaciError::Columns { year: self.year, why };
        let same = [self.exporter.len(), self.importer.len(), self.product.len(), self.tonnes.len()];
        if same.iter().any(|length| *length != rows) {
            return Err(wrong("they are not of one length"));
        }
        if self.products.len() > PRODUCTS || self.countries.len() > table::COUNTRIES {
            return Err(wrong("more than 256 countries or 8,192 products"));
        }
        // A fold over values is one of the loops that compilers turn into vector instructions.
        let highest = |places: &[u8]| places.iter().fold(0, |high: u8, place| high.max(*place));
        let product = self.product.iter().fold(0, |high: u16, place| high.max(*place));
        let country = highest(self.exporter).max(highest(self.importer));
        if rows > 0
            && (usize::from(country) >= self.countries.len() || usize::from(product) >= self.products.len())
        {
            return Err(wrong("a place is beyond the codes"));
        }
        let ascend = |codes: &mut dyn Iterator<Item = u32>| codes.is_sorted_by(|a, b| a < b);
        if ascend(&mut self.countries.iter().map(|code| u32::from(*code)))
            && ascend(&mut self.products.iter().copied())
            && let (Some(imports), Some(exports)) = (Runs::of(self.importer), Runs::of(self.exporter))
        {
            return Ok(self.sum_runs(&imports, &exports, threads.get()));
        }
        let pieces: Vec<Range<usize>> =
            (0..rows).step_by(PIECE).map(|from| from..(from + PIECE).min(rows)).collect();
        let share = pieces.len().div_ceil(threads.get()).max(1);
        let workers: Vec<Worker> = std::thread::scope(|scope| {
            let running: Vec<_> =
                pieces.chunks(share).map(|part| scope.spawn(move || self.part(part))).collect();
            running.into_iter().map(read::joined).collect()
        });
        let mut years = table::merge(&workers, threads.get())?;
        Ok(years.pop().unwrap_or_else(|| {
            let codes: Vec<u32> = self.countries.iter().map(|code| u32::from(*code)).collect();
            Trade::empty(self.year, &codes, self.products)
        }))
    }

    fn part(&self, pieces: &[Range<usize>]) -> Worker {
        let mut worker = Worker::with_codes(self.year, self.countries, self.products);
        let Some(sums) = worker.years.first_mut() else { return worker };
        let mut pending = Vec::with_capacity(PENDING);
        for piece in pieces {
            let i = self.exporter.get(piece.clone()).unwrap_or_default().chunks(PENDING);
            let j = self.importer.get(piece.clone()).unwrap_or_default().chunks(PENDING);
            let k = self.product.get(piece.clone()).unwrap_or_default().chunks(PENDING);
            let value = self.value.get(piece.clone()).unwrap_or_default().chunks(PENDING);
            let tonnes = self.tonnes.get(piece.clone()).unwrap_or_default().chunks(PENDING);
            for (((i, j), k), (value, tonnes)) in i.zip(j).zip(k).zip(value.zip(tonnes)) {
                pending.clear();
                let places = i.iter().zip(j).zip(k);
                let rows = places.zip(value.iter().zip(tonnes));
                pending.extend(rows.map(|(((i, j), k), (value, tonnes))| row(*i, *j, *k, *value, *tonnes)));
                sums.add(&pending);
            }
        }
        worker
    }
}

#[inline(always)]
fn row(i: u8, j: u8, k: u16, value: f32, tonnes: f32) -> Pending {
    Pending {
        importer: u32::from(j) << PRODUCT_BITS,
        exporter: u32::from(i) << PRODUCT_BITS,
        product: u32::from(k),
        value: f64::from(value),
        tonnes: f64::from(tonnes),
    }
}

#[cfg(test)]
mod tests;
