//! Rows for other programs: named, typed columns, written as CSV or as Parquet ([`super::parquet`]).

use std::collections::BTreeMap;

/// The cells of a column; a cell may be empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Words: names, codes, dates.
    Text(Vec<Option<String>>),
    /// Amounts and ratios.
    Number(Vec<Option<f64>>),
    /// Counts.
    Count(Vec<Option<u64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
}

/// A named column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, in lower case with underscores.
    pub name: &'static str,
    /// Its cells, one for each row.
    pub cells: Cells,
}

/// Rows of the same kind, by columns.
///
/// ```
/// use hiwar_radar::report::records::Records;
///
/// let rows = [("281111", Some(0.45)), ("370790", None)];
/// let records = Records::default()
///     .note("rules", "structure/1")
///     .text("item", rows.iter().map(|r| r.0))
///     .number("hhi", rows.iter().map(|r| r.1));
/// assert_eq!(records.csv(), "item,hhi\n281111,0.45\n370790,\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    columns: Vec<Column>,
    notes: BTreeMap<&'static str, String>,
}

impl Records {
    /// Says something of all rows, such as their rule, unit or source; kept where the format has a place for it.
    #[must_use]
    pub fn note(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.notes.insert(name, text.into());
        self
    }

    /// Adds a column of words.
    #[must_use]
    pub fn text<T: ToString>(self, name: &'static str, cells: impl Iterator<Item = T>) -> Self {
        self.column(name, Cells::Text(cells.map(|c| Some(c.to_string())).collect()))
    }

    /// Adds a column of words that may be missing.
    #[must_use]
    pub fn text_if_any<T: ToString>(
        self,
        name: &'static str,
        cells: impl Iterator<Item = Option<T>>,
    ) -> Self {
        self.column(name, Cells::Text(cells.map(|c| c.map(|c| c.to_string())).collect()))
    }

    /// Adds a column of amounts; `f64` or `Option<f64>`.
    #[must_use]
    pub fn number<T: Into<Option<f64>>>(self, name: &'static str, cells: impl Iterator<Item = T>) -> Self {
        self.column(name, Cells::Number(cells.map(Into::into).collect()))
    }

    /// Adds a column of counts; `u64` or `Option<u64>`.
    #[must_use]
    pub fn count<T: Into<Option<u64>>>(self, name: &'static str, cells: impl Iterator<Item = T>) -> Self {
        self.column(name, Cells::Count(cells.map(Into::into).collect()))
    }

    /// Adds a column of answers; `bool` or `Option<bool>`.
    #[must_use]
    pub fn flag<T: Into<Option<bool>>>(self, name: &'static str, cells: impl Iterator<Item = T>) -> Self {
        self.column(name, Cells::Flag(cells.map(Into::into).collect()))
    }

    fn column(mut self, name: &'static str, cells: Cells) -> Self {
        let column = Column { name, cells };
        debug_assert!(self.columns.first().is_none_or(|first| first.len() == column.len()), "{name}");
        self.columns.push(column);
        self
    }

    /// The columns, in their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What is said of all rows.
    pub fn notes(&self) -> &BTreeMap<&'static str, String> {
        &self.notes
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// As CSV (RFC 4180 with line feeds), the names in the first line; an empty cell is nothing at all.
    pub fn csv(&self) -> String {
        let mut out = csv::Writer::from_writer(Vec::new());
        let rows = (0..self.rows()).map(|row| self.columns.iter().map(|c| c.cell(row)).collect::<Vec<_>>());
        let written = out
            .write_record(self.columns.iter().map(|c| c.name))
            .and_then(|()| rows.into_iter().try_for_each(|row| out.write_record(row)));
        // Memory refuses nothing, and all rows have the same number of cells.
        debug_assert!(written.is_ok());
        String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}

impl Column {
    fn len(&self) -> usize {
        match &self.cells {
            Cells::Text(cells) => cells.len(),
            Cells::Number(cells) => cells.len(),
            Cells::Count(cells) => cells.len(),
            Cells::Flag(cells) => cells.len(),
        }
    }

    fn cell(&self, row: usize) -> String {
        fn text<T: ToString>(cells: &[Option<T>], row: usize) -> String {
            cells.get(row).and_then(Option::as_ref).map_or_else(String::new, ToString::to_string)
        }
        match &self.cells {
            Cells::Text(cells) => text(cells, row),
            Cells::Number(cells) => text(cells, row),
            Cells::Count(cells) => text(cells, row),
            Cells::Flag(cells) => text(cells, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_with_commas_quotes_or_lines_is_quoted() {
        let records = Records::default()
            .text("name", ["plain", "a, b", "say \"so\"", "two\nlines"].iter())
            .flag("known", [Some(true), None, Some(false), None].into_iter());
        let text = records.csv();
        assert_eq!(text, "name,known\nplain,true\n\"a, b\",\n\"say \"\"so\"\"\",false\n\"two\nlines\",\n");
    }
}
