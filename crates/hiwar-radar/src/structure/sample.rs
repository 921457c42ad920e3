//! Made-up trade in the form of BACI, to measure with. No country trades like this.
//!
//! 226 countries and 5,018 products. Rank weights are Zipf's: exporters `rank^-0.9`, importers
//! `rank^-0.55`, products `rank^-0.35`, ranks shuffled over the codes. An exporter, importer and
//! product (never to itself) trade with probability `1 - exp(-c · weights)`, which is drawing rows by
//! the weights and keeping each once; `c` is set so that a year has about as many rows as asked.
//! Value in thousand dollars is `exp(N(2.5, 2.8))`, tonnes `value · exp(N(-0.5, 1.2))`, both with
//! three decimals, at least 0.001; tonnes lack (`NA`) in 2 % of rows. So that dependencies last, 85 %
//! of possible rows are the same each year and 90 % of the variance of values is.
//!
//! Rows are sorted by exporter, importer and product, as BACI's are. Every number is a hash (the
//! finaliser of SplitMix64, Steele et al. 2014) of seed, place and year: the same seed gives the same
//! files wherever `ln`, `cos` and `exp` round alike.

use std::io::{self, Write};

/// Number of countries.
pub const COUNTRIES: u16 = 226;
/// Number of products.
pub const PRODUCTS: u16 = 5018;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The seed.
    pub seed: u64,
    /// Rows a year, about.
    pub rows: u64,
    /// Number of countries, at most [`COUNTRIES`].
    pub countries: u16,
    /// Number of products, at most [`PRODUCTS`].
    pub products: u16,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    /// Place of the exporter, below [`COUNTRIES`].
    pub exporter: u16,
    /// Place of the importer, below [`COUNTRIES`].
    pub importer: u16,
    /// Place of the product, below [`PRODUCTS`].
    pub product: u16,
    /// Thousandths of thousand US dollars.
    pub value_thousandths: u64,
    /// Thousandths of tonnes; `None` where lacking.
    pub tonnes_thousandths: Option<u64>,
}

/// The code of a country by its place: three digits at most, ascending.
pub fn country_code(place: u16) -> u16 {
    4 + 4 * place
}

/// The code of a product by its place: up to six digits, ascending.
pub fn product_code(place: u16) -> u32 {
    10_121 + 190 * u32::from(place)
}

fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// From 0 to 1, both excluded.
fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A standard normal number (Box & Muller 1958).
fn normal(hash: u64) -> f64 {
    let (first, second) = (unit(mix(hash ^ 1)), unit(mix(hash ^ 2)));
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

/// Zipf weights over shuffled ranks, adding up to 1.
fn weights(seed: u64, count: usize, power: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|place| mix(seed ^ mix(*place as u64)));
    let mut weights = vec![0.0; count];
    for (rank, place) in order.into_iter().enumerate() {
        if let Some(weight) = weights.get_mut(place) {
            *weight = ((rank + 1) as f64).powf(-power);
        }
    }
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Logarithms sorted into bins: how many, and their mean.
fn bins(logs: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    let mut bins = std::collections::BTreeMap::new();
    for log in logs {
        let bin = bins.entry((log * 50.0).floor() as i64).or_insert((0.0, 0.0));
        bin.0 += 1.0;
        bin.1 += log;
    }
    bins.into_values().map(|(count, sum)| (count, sum / count)).collect()
}

impl Sample {
    /// With all countries and products.
    pub fn new(seed: u64, rows: u64) -> Self {
        Self { seed, rows, countries: COUNTRIES, products: PRODUCTS }
    }

    /// Makes the rows of a year in order and hands each to `take`, until it fails.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn rows<E>(&self, year: u16, mut take: impl FnMut(SampleRow) -> Result<(), E>) -> Result<(), E> {
        let exporters = weights(mix(self.seed ^ 10), usize::from(self.countries.min(COUNTRIES)), 0.9);
        let importers = weights(mix(self.seed ^ 11), usize::from(self.countries.min(COUNTRIES)), 0.55);
        let products = weights(mix(self.seed ^ 12), usize::from(self.products.min(PRODUCTS)), 0.35);
        let scale = self.scale(&exporters, &importers, &products);
        let yearly = mix(self.seed ^ mix(u64::from(year)));
        for (i, exporter) in (0..).zip(&exporters) {
            for (j, importer) in (0..).zip(&importers) {
                if i == j {
                    continue;
                }
                let pair = scale * exporter * importer;
                for (k, product) in (0..).zip(&products) {
                    let cell = (u64::from(i) << 32) | (u64::from(j) << 16) | u64::from(k);
                    let lasting = mix(self.seed ^ mix(cell));
                    let fresh = if lasting & 0xff < 38 { mix(yearly ^ cell) } else { lasting };
                    let chance = pair * product;
                    // 1 - exp(-x) <= x spares most logarithms.
                    let draw = unit(mix(fresh ^ 3));
                    if draw < chance && draw < 1.0 - (-chance).exp() {
                        take(row((i, j, k), lasting, mix(yearly ^ mix(cell))))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The `c` at which the expected number of rows is the wanted one, by bisection over binned
    /// weights.
    fn scale(&self, exporters: &[f64], importers: &[f64], products: &[f64]) -> f64 {
        let pairs = exporters.iter().enumerate().flat_map(|(i, exporter)| {
            let others = importers.iter().enumerate().filter(move |(j, _)| *j != i);
            others.map(move |(_, importer)| (exporter * importer).ln())
        });
        let (pairs, products) = (bins(pairs), bins(products.iter().map(|weight| weight.ln())));
        let expected = |log_scale: f64| -> f64 {
            let one = |(count, pair): &(f64, f64)| -> f64 {
                let some = products
                    .iter()
                    .map(|(n, product)| n * (1.0 - (-(log_scale + pair + product).exp()).exp()));
                count * some.sum::<f64>()
            };
            pairs.iter().map(one).sum()
        };
        let (mut low, mut high) = (0.0, 60.0);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if expected(middle) < self.rows as f64 { low = middle } else { high = middle }
        }
        low.exp()
    }

    /// Writes a year as BACI CSV; the number of rows.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write_csv(&self, year: u16, into: &mut impl Write) -> io::Result<u64> {
        into.write_all(b"t,i,j,k,v,q\n")?;
        let mut rows = 0;
        self.rows(year, |row| {
            rows += 1;
            let (i, j) = (country_code(row.exporter), country_code(row.importer));
            let k = product_code(row.product);
            let (whole, rest) = (row.value_thousandths / 1000, row.value_thousandths % 1000);
            write!(into, "{year},{i},{j},{k:06},{whole}.{rest:03},")?;
            match row.tonnes_thousandths {
                Some(tonnes) => writeln!(into, "{}.{:03}", tonnes / 1000, tonnes % 1000),
                None => into.write_all(b"NA\n"),
            }
        })?;
        Ok(rows)
    }
}

fn row((exporter, importer, product): (u16, u16, u16), lasting: u64, yearly: u64) -> SampleRow {
    let mixed =
        |salt: u64| 0.9f64.sqrt() * normal(mix(lasting ^ salt)) + 0.1f64.sqrt() * normal(mix(yearly ^ salt));
    let value = (2.5 + 2.8 * mixed(5)).exp();
    let tonnes = value * (-0.5 + 1.2 * mixed(6)).exp();
    // A cast holds at the ends of its type; none of these comes near.
    let thousandths = |amount: f64| ((amount * 1000.0).round() as u64).max(1);
    let lacking = mix(yearly ^ 7).is_multiple_of(50);
    SampleRow {
        exporter,
        importer,
        product,
        value_thousandths: thousandths(value),
        tonnes_thousandths: (!lacking).then(|| thousandths(tonnes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_rows_asked_for_in_order_and_once() {
        let sample = Sample { products: 100, ..Sample::new(1, 20_000) };
        let mut keys = Vec::new();
        sample
            .rows(2020, |row| {
                keys.push((row.exporter, row.importer, row.product));
                Ok::<(), ()>(())
            })
            .unwrap();
        assert!(keys.is_sorted_by(|a, b| a < b) && keys.iter().all(|(i, j, _)| i != j));
        assert!((19_000..21_000).contains(&keys.len()), "{}", keys.len());
        assert!(product_code(5017) < 1_000_000 && country_code(225) < 1000);
        let mut first = Vec::new();
        sample.write_csv(2020, &mut first).unwrap();
        let mut again = Vec::new();
        sample.write_csv(2020, &mut again).unwrap();
        assert_eq!(first, again);
    }
}
