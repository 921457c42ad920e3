//! Firms, sectors, links and essentiality, and the readers of their tables.
//!
//! Three CSV tables with a header line, in UTF-8:
//!
//! * links: `supplier,buyer,weight` — what the supplier sells to the buyer in a year, in any one
//!   unit of value,
//! * firms: `firm,sector` and optionally `market` — firms of one market can replace one another;
//!   without the column the market is the sector,
//! * essentiality (optional): a square matrix, its header naming the buyers' sectors, one row per
//!   suppliers' sector. The first column may carry the row's sector (its header is then empty or
//!   `sector`); without it the rows are in the header's order. Cells: 0 not an input, 1 an input that production
//!   falls with in proportion, 2 an input that production stops without.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// Why a table or a network was refused.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The table could not be read as CSV.
    #[error("{file}: {source}")]
    Csv {
        /// The name given to the reader.
        file: String,
        /// What happened.
        source: csv::Error,
    },
    /// A column is missing.
    #[error("{file}: no column {column:?} in the header line; expected {expected}")]
    Column {
        /// The name given to the reader.
        file: String,
        /// The missing column.
        column: &'static str,
        /// The header that is expected.
        expected: &'static str,
    },
    /// A field does not hold what it should.
    #[error("{file}, line {line}, {field}: {value:?} {problem}")]
    Field {
        /// The name given to the reader.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column's name.
        field: String,
        /// The field, cut to 40 characters.
        value: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// Something is wrong with a value that no table gave.
    #[error("{0}")]
    Invalid(String),
}

/// Sales of one firm to another. Indices are places in [`Network::firms`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The seller.
    pub supplier: u32,
    /// The buyer.
    pub buyer: u32,
    /// What is sold in a year, in the network's unit of value; positive and finite.
    pub weight: f64,
}

/// A firm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firm {
    /// Its name, unique in the network.
    pub name: Arc<str>,
    /// Its sector, a place in [`Network::sectors`].
    pub sector: u32,
    /// Its market, a place in [`Network::markets`].
    pub market: u32,
}

/// Firms and who sells to whom. Links are sorted by supplier and buyer, no pair twice, none to
/// itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    firms: Vec<Firm>,
    sectors: Vec<Arc<str>>,
    markets: Vec<Arc<str>>,
    links: Vec<Link>,
}

/// e(supplier's sector, buyer's sector), see [`crate::graph::network`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EssentialityTable {
    sectors: Vec<Arc<str>>,
    cells: Vec<u8>,
}

fn short(value: &str) -> String {
    value.chars().take(40).collect()
}

fn field_error(file: &str, line: u64, field: &str, value: &str, problem: impl Into<String>) -> GraphError {
    GraphError::Field {
        file: file.into(),
        line,
        field: field.into(),
        value: short(value),
        problem: problem.into(),
    }
}

/// Gives every name a number, in the order of appearance.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) index: HashMap<Arc<str>, u32>,
    pub(crate) names: Vec<Arc<str>>,
}

impl Names {
    pub(crate) fn get(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        let index = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.index.insert(name.clone(), index);
        self.names.push(name);
        index
    }
}

struct Table<R> {
    file: String,
    reader: csv::Reader<R>,
    header: csv::StringRecord,
    expected: &'static str,
}

impl<R: Read> Table<R> {
    fn new(file: &str, source: R, expected: &'static str) -> Result<Self, GraphError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
        let fail = |source| GraphError::Csv { file: file.into(), source };
        let header = reader.headers().map_err(fail)?.clone();
        Ok(Self { file: file.into(), reader, header, expected })
    }

    fn find(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|h| h.trim_start_matches('\u{feff}') == column)
    }

    fn column(&self, column: &'static str) -> Result<usize, GraphError> {
        let missing = || GraphError::Column { file: self.file.clone(), column, expected: self.expected };
        self.find(column).ok_or_else(missing)
    }

    fn each(
        mut self,
        mut row: impl FnMut(u64, &csv::StringRecord) -> Result<(), GraphError>,
    ) -> Result<(), GraphError> {
        let mut record = csv::StringRecord::new();
        loop {
            match self.reader.read_record(&mut record) {
                Ok(true) => row(record.position().map_or(0, csv::Position::line), &record)?,
                Ok(false) => return Ok(()),
                Err(source) => return Err(GraphError::Csv { file: self.file, source }),
            }
        }
    }
}

impl Network {
    /// A network from its parts.
    ///
    /// # Errors
    ///
    /// When a name comes twice or an index points nowhere, when a link has a weight that is not
    /// positive and finite or leads to its own firm, and when a pair of firms is linked twice.
    pub fn new(
        firms: Vec<Firm>,
        sectors: Vec<Arc<str>>,
        markets: Vec<Arc<str>>,
        mut links: Vec<Link>,
    ) -> Result<Self, GraphError> {
        let invalid = |text: String| Err(GraphError::Invalid(crate::brief::brief(text)));
        if u32::try_from(firms.len()).is_err() || u32::try_from(links.len()).is_err() {
            return invalid("more than 4 294 967 295 firms or links".into());
        }
        let mut seen = std::collections::HashSet::new();
        for firm in &firms {
            if !seen.insert(firm.name.clone()) {
                return invalid(format!("firm {:?} comes twice", firm.name));
            }
            if firm.sector as usize >= sectors.len() || firm.market as usize >= markets.len() {
                return invalid(format!("firm {:?} is in a sector or market that is not listed", firm.name));
            }
        }
        links.sort_unstable_by_key(|l| (l.supplier, l.buyer));
        let name = |i: u32| firms.get(i as usize).map_or("?", |f| &*f.name);
        for link in &links {
            let (s, b, w) = (link.supplier, link.buyer, link.weight);
            if s as usize >= firms.len() || b as usize >= firms.len() {
                return invalid(format!("a link from firm {s} to firm {b} of {} firms", firms.len()));
            }
            if s == b {
                return invalid(format!("firm {:?} sells to itself", name(s)));
            }
            if !(w.is_finite() && w > 0.0) {
                return invalid(format!("the weight {w} of {:?} to {:?} is not positive", name(s), name(b)));
            }
        }
        for (a, b) in links.iter().zip(links.iter().skip(1)) {
            if (a.supplier, a.buyer) == (b.supplier, b.buyer) {
                return invalid(format!("{:?} to {:?} comes twice", name(a.supplier), name(a.buyer)));
            }
        }
        Ok(Self { firms, sectors, markets, links })
    }

    /// Reads the two tables; `firms_file` and `links_file` name them in errors. Links of weight 0
    /// are left out.
    ///
    /// # Errors
    ///
    /// [`GraphError`] with file, line and field: a firm that comes twice or is not in the table of
    /// firms, a weight that is negative or no number, a pair that comes twice, a firm that sells to
    /// itself.
    pub fn read(
        firms_file: &str,
        firms: impl Read,
        links_file: &str,
        links: impl Read,
    ) -> Result<Self, GraphError> {
        let table = Table::new(firms_file, firms, "firm,sector or firm,sector,market")?;
        let (firm, sector, market) = (table.column("firm")?, table.column("sector")?, table.find("market"));
        let (mut names, mut sectors, mut markets) = (Names::default(), Names::default(), Names::default());
        let mut list = Vec::new();
        table.each(|line, row| {
            let get = |i: usize, field: &str| match row.get(i) {
                Some(text) if !text.is_empty() => Ok(text),
                _ => Err(field_error(firms_file, line, field, "", "is empty")),
            };
            let (name, sector) = (get(firm, "firm")?, get(sector, "sector")?);
            let market = market.map_or(Ok(sector), |i| get(i, "market"))?;
            if names.get(name) as usize != list.len() {
                return Err(field_error(
                    firms_file,
                    line,
                    "firm",
                    name,
                    "comes twice; leave one of the lines out",
                ));
            }
            let name = names.names.last().cloned().unwrap_or_else(|| name.into());
            list.push(Firm { name, sector: sectors.get(sector), market: markets.get(market) });
            Ok(())
        })?;
        let table = Table::new(links_file, links, "supplier,buyer,weight")?;
        let (supplier, buyer) = (table.column("supplier")?, table.column("buyer")?);
        let weight = table.column("weight")?;
        let mut seen: HashMap<(u32, u32), u64> = HashMap::new();
        let mut all = Vec::new();
        table.each(|line, row| {
            let known = |i: usize, field: &str| {
                let text = row.get(i).unwrap_or_default();
                let unknown =
                    || field_error(links_file, line, field, text, format!("is not in {firms_file}"));
                names.index.get(text).copied().ok_or_else(unknown)
            };
            let (s, b) = (known(supplier, "supplier")?, known(buyer, "buyer")?);
            let text = row.get(weight).unwrap_or_default();
            let wrong = |problem: &str| field_error(links_file, line, "weight", text, problem);
            let w: f64 = text.parse().map_err(|_| wrong("is not a number"))?;
            if !w.is_finite() || w < 0.0 {
                return Err(wrong("must be finite and not negative"));
            }
            let name = row.get(buyer).unwrap_or_default();
            if s == b {
                return Err(field_error(
                    links_file,
                    line,
                    "buyer",
                    name,
                    "sells to itself; leave the line out",
                ));
            }
            if let Some(first) = seen.insert((s, b), line) {
                let problem = format!("already buys from this supplier in line {first}; add the weights up");
                return Err(field_error(links_file, line, "buyer", name, problem));
            }
            if w > 0.0 {
                all.push(Link { supplier: s, buyer: b, weight: w });
            }
            Ok(())
        })?;
        Self::new(list, sectors.names, markets.names, all)
    }

    /// The firms.
    pub fn firms(&self) -> &[Firm] {
        &self.firms
    }

    /// The names of sectors.
    pub fn sectors(&self) -> &[Arc<str>] {
        &self.sectors
    }

    /// The names of markets.
    pub fn markets(&self) -> &[Arc<str>] {
        &self.markets
    }

    /// The links, sorted by supplier and buyer.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The place of a firm.
    pub fn firm(&self, name: &str) -> Option<u32> {
        self.firms.iter().position(|f| &*f.name == name).and_then(|i| u32::try_from(i).ok())
    }

    /// What each firm sells to firms of the network in a year.
    pub fn sales(&self) -> Vec<f64> {
        let mut sales = vec![0.0; self.firms.len()];
        for link in &self.links {
            sales[link.supplier as usize] += link.weight;
        }
        sales
    }

    /// What each firm buys from firms of the network in a year.
    pub fn purchases(&self) -> Vec<f64> {
        let mut purchases = vec![0.0; self.firms.len()];
        for link in &self.links {
            purchases[link.buyer as usize] += link.weight;
        }
        purchases
    }
}

impl EssentialityTable {
    /// A table of `sectors.len()`² cells, one row after the other, rows for suppliers' sectors.
    ///
    /// # Errors
    ///
    /// When the number of cells is another or a cell is not 0, 1 or 2.
    pub fn new(sectors: Vec<Arc<str>>, cells: Vec<u8>) -> Result<Self, GraphError> {
        if cells.len() != sectors.len() * sectors.len() || cells.iter().any(|&c| c > 2) {
            let text = format!("{} cells of 0, 1 or 2 for {} sectors", cells.len(), sectors.len());
            return Err(GraphError::Invalid(format!("essentiality must be a square table: {text}")));
        }
        Ok(Self { sectors, cells })
    }

    /// Reads a table; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// [`GraphError`] with line and field when a sector comes twice, the table is not square or a
    /// cell is not 0, 1 or 2.
    pub fn read(file: &str, source: impl Read) -> Result<Self, GraphError> {
        let table = Table::new(file, source, "the sectors")?;
        let header: Vec<Arc<str>> =
            table.header.iter().map(|h| h.trim_start_matches('\u{feff}').into()).collect();
        let named = header.first().is_some_and(|h| h.is_empty() || &**h == "sector");
        let sectors: Vec<Arc<str>> = header.into_iter().skip(usize::from(named)).collect();
        let place: HashMap<Arc<str>, usize> = sectors.iter().cloned().zip(0..).collect();
        if place.len() != sectors.len() {
            return Err(field_error(file, 1, "header", "", "a sector comes twice"));
        }
        let n = sectors.len();
        let mut cells = vec![u8::MAX; n * n];
        let mut count = 0;
        table.each(|line, row| {
            let name = row.get(0).unwrap_or_default();
            let at = if named { place.get(name).copied() } else { (count < n).then_some(count) };
            let Some(at) = at else {
                return Err(field_error(file, line, "sector", name, "is not a sector of the header line"));
            };
            count += 1;
            let target = cells.iter_mut().skip(at * n).take(n).zip(&sectors);
            for ((cell, sector), text) in target.zip(row.iter().skip(usize::from(named))) {
                if *cell != u8::MAX {
                    return Err(field_error(file, line, "sector", name, "comes twice"));
                }
                *cell = match text {
                    "0" => 0,
                    "1" => 1,
                    "2" => 2,
                    _ => return Err(field_error(file, line, sector, text, "is not 0, 1 or 2")),
                };
            }
            Ok(())
        })?;
        if count != n {
            return Err(GraphError::Invalid(format!(
                "{file}: {count} rows for {n} sectors; the table must be square"
            )));
        }
        Self::new(sectors, cells)
    }

    /// The cells in the order of a network's sectors, one row after the other.
    ///
    /// # Errors
    ///
    /// When a sector of the network is missing.
    pub(crate) fn for_network(&self, network: &Network) -> Result<Vec<u8>, GraphError> {
        let place: HashMap<&str, usize> = self.sectors.iter().map(|s| &**s).zip(0..).collect();
        let missing = |s: &str| GraphError::Invalid(format!("the essentiality table has no sector {s:?}"));
        let at = |s: &Arc<str>| place.get(&**s).copied().ok_or_else(|| missing(s));
        let order: Vec<usize> = network.sectors.iter().map(at).collect::<Result<_, _>>()?;
        let n = self.sectors.len();
        Ok(order.iter().flat_map(|r| order.iter().map(move |c| self.cells[r * n + c])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRMS: &str = "firm,sector\na,1\nb,2\nc,1\n";

    fn links(text: &str) -> String {
        let text = format!("supplier,buyer,weight\n{text}");
        match Network::read("firms.csv", FIRMS.as_bytes(), "links.csv", text.as_bytes()) {
            Ok(network) => format!("{} links", network.links().len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn links_are_read_or_refused_with_their_place() {
        for (text, expected) in [
            ("a,b,1.5\nb,c,2e3\na,c,0\n", "2 links"),
            ("a,b,-1\n", "links.csv, line 2, weight: \"-1\" must be finite and not negative"),
            ("a,b,1\nb,c,NaN\n", "links.csv, line 3, weight: \"NaN\" must be finite and not negative"),
            ("a,b,much\n", "links.csv, line 2, weight: \"much\" is not a number"),
            ("a,d,1\n", "links.csv, line 2, buyer: \"d\" is not in firms.csv"),
            ("x,b,1\n", "links.csv, line 2, supplier: \"x\" is not in firms.csv"),
            ("a,a,1\n", "links.csv, line 2, buyer: \"a\" sells to itself; leave the line out"),
            (
                "a,b,1\nb,a,1\na,b,2\n",
                "links.csv, line 4, buyer: \"b\" already buys from this supplier in line 2; add the weights up",
            ),
        ] {
            assert_eq!(links(text), expected);
        }
        let twice = Network::read("f", "firm,sector\na,1\na,2\n".as_bytes(), "l", "".as_bytes());
        assert_eq!(
            twice.unwrap_err().to_string(),
            "f, line 3, firm: \"a\" comes twice; leave one of the lines out"
        );
        let column = Network::read("f", "firm,branch\na,1\n".as_bytes(), "l", "".as_bytes());
        assert!(column.unwrap_err().to_string().contains("no column \"sector\""));
    }

    #[test]
    fn essentiality_is_read_with_and_without_names_of_rows() {
        let plain = EssentialityTable::read("e", "1,2\n0,1\n2,1\n".as_bytes()).unwrap();
        let named = EssentialityTable::read("e", "sector,1,2\n2,2,1\n1,0,1\n".as_bytes()).unwrap();
        assert_eq!(plain, named);
        for wrong in ["1,2\n0,1\n", "1,2\n0,3\n1,1\n", "1,1\n0,0\n0,0\n", "sector,1,2\n1,0,0\n1,0,0\n"] {
            assert!(EssentialityTable::read("e", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
