//! What both sides call an item.
//!
//! Sources that use the Harmonized System share its first six digits. Others have goods classes of
//! their own, wider than any six digits: two sides that want to compare agree on a table that says
//! what each calls which goods. Such a table makes items wider, never narrower; alarms of the
//! parts count for the whole, and the strongest speaks.
//!
//! ```csv
//! source,item,shared
//! kcs,854232,HS 8542
//! estat,(IC),HS 8542
//! ```
//!
//! An item that is made of digits stands for all codes that begin with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::brief::brief;
use crate::items::six_digits;
use crate::series::SeriesKey;

/// A table of shared names; empty when both sides have codes of the Harmonized System.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedItems {
    by_source: BTreeMap<String, Vec<(String, Arc<str>)>>,
}

/// What is wrong with a table of shared names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SharedItemsError {
    /// The line, from 1.
    line: u64,
    /// What is wrong, and what would be right.
    problem: String,
}

fn is_code(item: &str) -> bool {
    item.bytes().all(|b| b.is_ascii_digit())
}

impl SharedItems {
    /// Reads a table with the columns `source`, `item`, `shared`.
    ///
    /// # Errors
    /// [`SharedItemsError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, SharedItemsError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let fail = |line, problem: &str| SharedItemsError { line, problem: brief(problem) };
        let at = |error: &csv::Error| error.position().map_or(1, csv::Position::line);
        let header = reader.headers().map_err(|e| fail(at(&e), &e.to_string()))?;
        if header.iter().ne(["source", "item", "shared"]) {
            return Err(fail(1, "the columns must be source,item,shared"));
        }
        let mut by_source: BTreeMap<String, Vec<(String, Arc<str>)>> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| fail(at(&e), &e.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let mut cells = record.iter();
            let (Some(source), Some(item), Some(shared)) = (cells.next(), cells.next(), cells.next()) else {
                return Err(fail(line, "three cells are needed: source,item,shared"));
            };
            if [source, item, shared].iter().any(|cell| cell.is_empty()) {
                return Err(fail(line, "a cell is empty; write source,item,shared"));
            }
            let rows = by_source.entry(source.to_owned()).or_default();
            if rows.iter().any(|(known, _)| known == item) {
                return Err(fail(line, &format!("{item:?} of {source} has a shared name already")));
            }
            rows.push((item.to_owned(), shared.into()));
        }
        // The longest code that fits speaks.
        for rows in by_source.values_mut() {
            rows.sort_by_key(|(item, _)| std::cmp::Reverse(item.len()));
        }
        Ok(Self { by_source })
    }

    /// The shared name that the table gives an item of a source.
    pub fn named(&self, source: &str, item: &str) -> Option<&Arc<str>> {
        let fits = |row: &str| row == item || (is_code(row) && item.starts_with(row));
        self.by_source.get(source)?.iter().find(|(row, _)| fits(row)).map(|(_, shared)| shared)
    }

    /// What to call the item of a series: the table's name, else its first six digits.
    pub fn name_of(&self, key: &SeriesKey) -> Arc<str> {
        self.named(&key.source, &key.item).cloned().unwrap_or_else(|| six_digits(&key.item))
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_goods_classes_and_codes_alike() {
        let table =
            SharedItems::parse("source,item,shared\nkcs,854232,HS 8542\nkcs,85,HS 85\nestat,(IC),HS 8542\n")
                .unwrap();
        let of = |source, item| table.named(source, item).map(|name| &**name);
        assert_eq!(of("kcs", "8542321010"), Some("HS 8542"));
        assert_eq!(of("kcs", "8541101000"), Some("HS 85"));
        assert_eq!(of("estat", "(IC)"), Some("HS 8542"));
        assert_eq!(of("estat", "(IC) AND MORE"), None, "a name is no beginning of another");
        assert_eq!(of("comext", "85423290"), None);
        assert_eq!(
            (&*six_digits("8542321010"), &*six_digits("8542"), &*six_digits("SHIPS")),
            ("854232", "8542", "SHIPS")
        );
    }

    #[test]
    fn a_wrong_table_is_refused_with_its_line() {
        for (text, expected) in [
            ("source,item\nkcs,1\n", "line 1: the columns must be"),
            ("source,item,shared\nkcs,85,HS 85\nkcs,85,HS 8542\n", "line 3: \"85\" of kcs has a shared name"),
            ("source,item,shared\nkcs,,HS 85\n", "line 2: a cell is empty"),
            ("source,item,shared\nkcs,85\n", "line 2"),
        ] {
            let error = SharedItems::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
