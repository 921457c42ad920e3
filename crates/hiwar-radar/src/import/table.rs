//! Rows of a table and their fields.

use std::cell::RefCell;
use std::collections::BTreeSet;

use csv::StringRecord;

use super::error::{FieldError, Problem, cut};
use crate::month::{Date, Month};
use crate::series::Flow;

/// The header: names in lower case, without spaces around them.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    names: Vec<String>,
    /// The columns that were found when a reader asked: no other one is read.
    asked: RefCell<BTreeSet<usize>>,
}

impl Header {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let name = |n: &str| n.trim().trim_matches('\u{feff}').trim_matches('"').to_lowercase();
        Self { names: names.map(name).collect(), asked: RefCell::default() }
    }

    /// The columns that readers found.
    #[cfg(feature = "parquet")]
    pub(crate) fn asked(&self) -> BTreeSet<usize> {
        self.asked.borrow().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The first column that has one of these names.
    pub(crate) fn find(&self, names: &[&str]) -> Option<Column> {
        names.iter().find_map(|name| {
            let index = self.names.iter().position(|n| n == name)?;
            self.asked.borrow_mut().insert(index);
            Some(Column { index, name: (*name).to_owned() })
        })
    }

    pub(crate) fn names(&self) -> String {
        let shown: Vec<&str> = self.names.iter().take(12).map(String::as_str).collect();
        cut_long(&shown.join(", "))
    }
}

fn cut_long(text: &str) -> String {
    text.chars().take(240).collect()
}

/// A column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    index: usize,
    pub(crate) name: String,
}

impl Column {
    pub(crate) fn fail(&self, problem: Problem) -> FieldError {
        FieldError::new(&self.name, problem)
    }

    /// The field, without spaces around it; empty when the row is short.
    pub(crate) fn text<'a>(&self, row: &'a StringRecord) -> &'a str {
        row.get(self.index).unwrap_or_default().trim()
    }

    /// The field, which must not be empty.
    pub(crate) fn need<'a>(&self, row: &'a StringRecord) -> Result<&'a str, FieldError> {
        let text = self.text(row);
        if text.is_empty() { Err(self.fail(Problem::Missing)) } else { Ok(text) }
    }

    /// An amount times ten to the power `tens`; `None` where the source says that it has none.
    pub(crate) fn amount(&self, row: &StringRecord, tens: u8) -> Result<Option<f64>, FieldError> {
        amount(self.text(row), tens).map_err(|p| self.fail(p))
    }

    /// A flow written 1 and 2, with `export` saying which of the two is an export.
    pub(crate) fn flow(&self, row: &StringRecord, export: &str) -> Result<Flow, FieldError> {
        let text = self.need(row)?;
        let other = if export == "1" { "2" } else { "1" };
        match text.to_lowercase().as_str() {
            "export" => Ok(Flow::Export),
            "import" => Ok(Flow::Import),
            t if t == export => Ok(Flow::Export),
            t if t == other => Ok(Flow::Import),
            _ => Err(self.fail(Problem::NotAFlow(cut(text)))),
        }
    }

    pub(crate) fn year(&self, row: &StringRecord) -> Result<u16, FieldError> {
        let text = self.need(row)?;
        year(text).ok_or_else(|| self.fail(Problem::NotAPeriod(cut(text))))
    }
}

/// Reads an amount. The point is moved in the text, so that 0.1 thousand is exactly 100.
pub(crate) fn amount(text: &str, tens: u8) -> Result<Option<f64>, Problem> {
    if text.is_empty() || ["NA", "N/A", "NULL", "null", "-", "."].contains(&text) {
        return Ok(None);
    }
    let unsigned = text.strip_prefix('-');
    let digits = unsigned.unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let parsed = match plain {
        true if tens == 0 => digits.parse::<f64>(),
        true if digits.contains(['e', 'E']) => {
            digits.parse::<f64>().map(|v| v * 10_f64.powi(i32::from(tens)))
        }
        true => format!("{digits}e{tens}").parse::<f64>(),
        false => return Err(Problem::NotANumber(cut(text))),
    };
    match parsed {
        Ok(value) if !value.is_finite() => Err(Problem::NotANumber(cut(text))),
        Ok(value) if unsigned.is_some() && value != 0.0 => Err(Problem::Negative(cut(text))),
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(Problem::NotANumber(cut(text))),
    }
}

/// A year of four digits between 1900 and 2200.
pub(crate) fn year(text: &str) -> Option<u16> {
    let plain = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|y| (1900..=2200).contains(y))
}

/// A month written as a year and a month of one or two digits.
pub(crate) fn month(year_text: &str, month_text: &str) -> Option<Month> {
    let plain = (1..=2).contains(&month_text.len()) && month_text.bytes().all(|b| b.is_ascii_digit());
    Month::new(year(year_text)?, plain.then(|| month_text.parse().ok()).flatten()?)
}

/// A month written `2019-07`.
pub(crate) fn iso_month(text: &str) -> Option<Month> {
    text.parse().ok().filter(|m: &Month| (1900..=2200).contains(&m.year()))
}

/// A month written `201907`.
pub(crate) fn compact_month(text: &str) -> Option<Month> {
    let (year_text, month_text) = text.split_at_checked(4)?;
    (text.len() == 6).then(|| month(year_text, month_text)).flatten()
}

/// A date written `2019-08-15`.
pub(crate) fn date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// A code of digits that has one of `lengths` (ascending). One digit short is a lost zero.
pub(crate) fn digits(text: &str, lengths: &[usize], restore: bool) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(Problem::Missing);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::NotACode(cut(text)));
    }
    if lengths.contains(&text.len()) {
        return Ok(text.to_owned());
    }
    match lengths.iter().find(|l| **l == text.len() + 1) {
        Some(length) if restore => Ok(format!("{text:0>length$}")),
        Some(length) => Err(Problem::LostZeros { found: cut(text), expected: length.to_string() }),
        None => Err(Problem::NotACode(cut(text))),
    }
}
