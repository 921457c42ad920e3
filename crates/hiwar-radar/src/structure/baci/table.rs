//! Sums by importer and product: dense tables, one a thread and year, and their merging.

use super::line::{self, Prefix, WINDOW};
use super::touch::touch;
use super::{BaciError, Trade};

/// Most countries in one table; BACI has about 230.
pub(super) const COUNTRIES: usize = 256;
/// Most products in one table; an HS revision has 5,000 to 5,700 of six digits.
pub(super) const PRODUCTS: usize = 1 << PRODUCT_BITS;
pub(super) const PRODUCT_BITS: usize = 13;
/// Most years held at once.
const YEARS: usize = 8;
const UNSEEN: u16 = u16::MAX;

/// Sums of one importer and product: value, its squares, tonnes, their squares.
pub(super) type Cell = [f64; 4];

/// Codes to places in a table, in the order of first sight.
pub(super) struct Places {
    places: Vec<u16>,
    pub(super) codes: Vec<u32>,
    most: usize,
}

impl Places {
    pub(super) fn new(codes: usize, most: usize) -> Self {
        Self { places: vec![UNSEEN; codes], codes: Vec::new(), most }
    }

    /// The place of a code; `None` when there is none left, or no such code can be.
    #[inline(always)]
    pub(super) fn of(&mut self, code: usize) -> Option<usize> {
        match self.places.get(code) {
            Some(place) if *place != UNSEEN => Some(usize::from(*place)),
            _ => self.add(code),
        }
    }

    #[cold]
    fn add(&mut self, code: usize) -> Option<usize> {
        let new = self.codes.len();
        if new >= self.most {
            return None;
        }
        *self.places.get_mut(code)? = u16::try_from(new).ok()?;
        self.codes.push(u32::try_from(code).ok()?);
        Some(new)
    }
}

/// The sums of one year. Lines of countries that no row names are never made real by the operating
/// system.
pub(super) struct Sums {
    pub(super) year: u16,
    /// By place: whether the line of an importer, and that of an exporter, is real.
    real: [[bool; COUNTRIES]; 2],
    /// By importer and product.
    cells: Vec<Cell>,
    /// Value exported, by exporter and product.
    exports: Vec<f64>,
    /// One bit a cell: tonnes are lacking in a row of it.
    unweighed: Vec<u64>,
    rows: u64,
    rows_unweighed: u64,
}

impl Sums {
    pub(super) fn new(year: u16) -> Self {
        Self {
            year,
            real: [[false; COUNTRIES]; 2],
            cells: vec![[0.0; 4]; COUNTRIES * PRODUCTS],
            exports: vec![0.0; COUNTRIES * PRODUCTS],
            unweighed: vec![0; COUNTRIES * PRODUCTS / 64],
            rows: 0,
            rows_unweighed: 0,
        }
    }

    /// Makes the lines of an importer and an exporter real, given as places times [`PRODUCTS`].
    fn ready(&mut self, importer: usize, exporter: usize) {
        let [importers, exporters] = &mut self.real;
        let new = |real: &mut [bool; COUNTRIES], from: usize| {
            real.get_mut(from / PRODUCTS).is_some_and(|real| !std::mem::replace(real, true))
        };
        if new(importers, importer) {
            touch(self.cells.get_mut(importer..importer + PRODUCTS).unwrap_or_default());
        }
        if new(exporters, exporter) {
            touch(self.exports.get_mut(exporter..exporter + PRODUCTS).unwrap_or_default());
        }
    }

    /// Adds rows. A cell is seldom in a near cache; many rows in one tight loop let the processor
    /// wait for several cells at once, which reading digits in between would not.
    pub(super) fn add(&mut self, rows: &[Pending]) {
        for row in rows {
            self.add_one(row);
        }
        self.rows += rows.len() as u64;
    }

    #[inline(always)]
    fn add_one(&mut self, row: &Pending) {
        if let Some(export) = self.exports.get_mut(row.exporter as usize + row.product as usize) {
            *export += row.value;
        }
        let Some(cell) = self.cells.get_mut(row.cell()) else { return };
        cell[0] += row.value;
        cell[1] += row.value * row.value;
        if row.tonnes.is_nan() {
            self.rows_unweighed += 1;
            if let Some(word) = self.unweighed.get_mut(row.cell() / 64) {
                *word |= 1 << (row.cell() % 64);
            }
        } else {
            cell[2] += row.tonnes;
            cell[3] += row.tonnes * row.tonnes;
        }
    }
}

/// A row that is read and not yet added. `importer` and `exporter` are places times [`PRODUCTS`].
#[derive(Clone, Copy, Default)]
pub(super) struct Pending {
    pub(super) importer: u32,
    pub(super) exporter: u32,
    pub(super) product: u32,
    pub(super) value: f64,
    /// Not a number where lacking.
    pub(super) tonnes: f64,
}

impl Pending {
    #[inline(always)]
    fn cell(&self) -> usize {
        self.importer as usize + self.product as usize
    }
}

/// Rows held back at most; they fit the nearest cache.
pub(super) const PENDING: usize = 512;

/// What one thread has summed, and where it is on its line.
pub(super) struct Worker {
    countries: Places,
    products: Places,
    pub(super) years: Vec<Sums>,
    prefix: Prefix,
    slot: usize,
    importer: usize,
    exporter: usize,
    /// Rows of the year at `slot`.
    pending: Vec<Pending>,
}

/// Why a line was not taken: bytes from the start of what was given, and the reason.
pub(super) struct Refused {
    pub(super) offset: usize,
    pub(super) why: Why,
}

pub(super) enum Why {
    Field(line::Bad),
    Many { what: &'static str, most: usize },
}

impl Worker {
    pub(super) fn new() -> Self {
        Self {
            countries: Places::new(1000, COUNTRIES),
            products: Places::new(1_000_000, PRODUCTS),
            years: Vec::new(),
            prefix: Prefix::default(),
            slot: 0,
            importer: 0,
            exporter: 0,
            pending: Vec::with_capacity(PENDING),
        }
    }

    /// For columns, whose places are given.
    pub(super) fn with_codes(year: u16, countries: &[u16], products: &[u32]) -> Self {
        let mut worker = Self::new();
        worker.countries.codes = countries.iter().map(|code| u32::from(*code)).collect();
        worker.products.codes = products.to_vec();
        worker.years.push(Sums::new(year));
        worker
    }

    /// Takes all whole lines of `bytes`, and with `last` also a line without end. Returns the
    /// number of bytes taken.
    pub(super) fn feed(&mut self, bytes: &[u8], last: bool) -> Result<usize, Refused> {
        let mut rest = bytes;
        loop {
            if let Some(window) = rest.first_chunk::<WINDOW>()
                && let Some(taken) = self.fast(window)
            {
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            let offset = bytes.len() - rest.len();
            let (line, after) = match memchr::memchr(b'\n', rest) {
                Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
                None if last && !rest.is_empty() => (rest, rest.len()),
                None => {
                    self.flush();
                    return Ok(offset);
                }
            };
            self.slow(line).map_err(|why| Refused { offset, why })?;
            rest = rest.get(after..).unwrap_or_default();
        }
    }

    /// Takes one line of the usual form; its length with its end.
    #[inline(always)]
    fn fast(&mut self, window: &[u8; WINDOW]) -> Option<usize> {
        let at = match self.prefix.meets(window) {
            Some(at) => at,
            None => self.turn_fast(window)?,
        };
        let (product, at) = line::whole(window, at, 6)?;
        let (value, tonnes, end) = line::amounts(window, at)?;
        let product = self.products.of(product as usize)?;
        self.take(product, value, tonnes);
        Some(end)
    }

    #[inline(always)]
    fn take(&mut self, product: usize, value: f64, tonnes: f64) {
        if self.pending.len() >= PENDING {
            self.flush();
        }
        // Places are below 2^21.
        let (importer, exporter, product) = (self.importer as u32, self.exporter as u32, product as u32);
        self.pending.push(Pending { importer, exporter, product, value, tonnes });
    }

    #[inline(never)]
    fn flush(&mut self) {
        if let Some(sums) = self.years.get_mut(self.slot) {
            sums.add(&self.pending);
        }
        self.pending.clear();
    }

    /// Reads year, exporter and importer of a line that starts otherwise than the last.
    fn turn_fast(&mut self, window: &[u8; WINDOW]) -> Option<usize> {
        let (year, at) = line::whole(window, 0, 4)?;
        let (exporter, at) = line::whole(window, at, 3)?;
        let (importer, at) = line::whole(window, at, 3)?;
        let year = u16::try_from(year).ok()?;
        self.turn(year, exporter as usize, importer as usize).ok()?;
        self.prefix = Prefix::keep(window, at);
        Some(at)
    }

    fn turn(&mut self, year: u16, exporter: usize, importer: usize) -> Result<(), Why> {
        let many = || Why::Many { what: "countries", most: COUNTRIES };
        self.prefix = Prefix::default();
        self.exporter = self.countries.of(exporter).ok_or_else(many)? * PRODUCTS;
        self.importer = self.countries.of(importer).ok_or_else(many)? * PRODUCTS;
        if self.years.get(self.slot).is_none_or(|sums| sums.year != year) {
            self.flush();
            self.slot = match self.years.iter().position(|sums| sums.year == year) {
                Some(slot) => slot,
                None if self.years.len() >= YEARS => {
                    return Err(Why::Many { what: "years in one file", most: YEARS });
                }
                None => {
                    self.years.push(Sums::new(year));
                    self.years.len() - 1
                }
            };
        }
        if let Some(sums) = self.years.get_mut(self.slot) {
            sums.ready(self.importer, self.exporter);
        }
        Ok(())
    }

    fn slow(&mut self, line: &[u8]) -> Result<(), Why> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let row = line::slow(line).map_err(Why::Field)?;
        self.turn(row.year, usize::from(row.exporter), usize::from(row.importer))?;
        let many = Why::Many { what: "products", most: PRODUCTS };
        let product = self.products.of(row.product as usize).ok_or(many)?;
        self.take(product, row.value, row.tonnes);
        Ok(())
    }
}

/// Merges what threads have summed into one table a year, sorted by year, its places sorted by
/// code. The order of adding is that of `workers`, so the same workers give the same sums.
pub(super) fn merge(workers: &[Worker], threads: usize) -> Result<Vec<Trade>, BaciError> {
    let sorted = |codes: fn(&Worker) -> &Vec<u32>| {
        let mut all: Vec<u32> = workers.iter().flat_map(codes).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let countries = sorted(|worker| &worker.countries.codes);
    let products = sorted(|worker| &worker.products.codes);
    for (what, found, most) in
        [("countries", countries.len(), COUNTRIES), ("products", products.len(), PRODUCTS)]
    {
        if found > most {
            return Err(BaciError::Many { what, most });
        }
    }
    let mut years: Vec<u16> = workers.iter().flat_map(|w| w.years.iter().map(|sums| sums.year)).collect();
    years.sort_unstable();
    years.dedup();
    // places[worker][new place] = place in the worker's table
    let places = |all: &[u32], codes: fn(&Worker) -> &Vec<u32>| -> Vec<Vec<Option<usize>>> {
        let one = |worker| {
            let mut places = vec![None; all.len()];
            for (old, code) in codes(worker).iter().enumerate() {
                if let Some(new) = all.binary_search(code).ok().and_then(|new| places.get_mut(new)) {
                    *new = Some(old);
                }
            }
            places
        };
        workers.iter().map(one).collect()
    };
    let rows = places(&countries, |worker| &worker.countries.codes);
    let columns = places(&products, |worker| &worker.products.codes);
    let merge_year = |year: u16| {
        let sums: Vec<Option<&Sums>> =
            workers.iter().map(|worker| worker.years.iter().find(|sums| sums.year == year)).collect();
        let mut trade = Trade::empty(year, &countries, &products);
        for sums in sums.iter().flatten() {
            trade.rows += sums.rows;
            trade.rows_without_weight += sums.rows_unweighed;
        }
        let width = products.len().max(1);
        let share = countries.len().div_ceil(threads.max(1)).max(1) * width;
        let parts = trade
            .cells
            .chunks_mut(share)
            .zip(trade.exports.chunks_mut(share))
            .zip(trade.unweighed.chunks_mut(share));
        std::thread::scope(|scope| {
            for (part, ((cells, exports), unweighed)) in parts.enumerate() {
                let (sums, rows, columns) = (&sums, &rows, &columns);
                scope.spawn(move || {
                    touch(cells);
                    touch(exports);
                    for (worker, sums) in sums.iter().enumerate() {
                        let Some(sums) = sums else { continue };
                        let lines = cells
                            .chunks_mut(width)
                            .zip(exports.chunks_mut(width))
                            .zip(unweighed.chunks_mut(width));
                        let (Some(rows), Some(columns)) = (rows.get(worker), columns.get(worker)) else {
                            continue;
                        };
                        let rows = rows.iter().skip(part * share / width);
                        for (((cells, exports), unweighed), row) in lines.zip(rows) {
                            if let Some(row) = row {
                                add_line(sums, row * PRODUCTS, columns, (cells, exports, unweighed));
                            }
                        }
                    }
                });
            }
        });
        trade
    };
    Ok(years.into_iter().map(merge_year).collect())
}

fn add_line(
    sums: &Sums,
    base: usize,
    columns: &[Option<usize>],
    into: (&mut [Cell], &mut [f64], &mut [bool]),
) {
    let (cells, exports, unweighed) = into;
    let from = sums.cells.get(base..base + PRODUCTS).unwrap_or_default();
    let from_exports = sums.exports.get(base..base + PRODUCTS).unwrap_or_default();
    for (((cell, export), unweighed), column) in cells.iter_mut().zip(exports).zip(unweighed).zip(columns) {
        let Some(column) = column else { continue };
        if let (Some(old), Some(old_export)) = (from.get(*column), from_exports.get(*column)) {
            for (sum, old) in cell.iter_mut().zip(old) {
                *sum += old;
            }
            *export += old_export;
            let at = base + column;
            *unweighed |= sums.unweighed.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1);
        }
    }
}
