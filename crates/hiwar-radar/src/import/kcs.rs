//! Korea Customs Service: its table, and the answers of its interface.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::BufRead;

use csv::StringRecord;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::{FieldError, ImportError, Problem, cut};
use super::read::{Format, Out, RowError};
use super::table::{Column, Header, amount, digits, month};
use super::{Missing, Record};
use crate::calendar::Period;
use crate::items::{Scheme, economy};
use crate::month::Month;
use crate::series::{Flow, Observation, SeriesKey, Unit};

const HSK: [usize; 4] = [2, 4, 6, 10];

struct Table {
    item: Column,
    country: Column,
    year: Column,
    month: Column,
    /// Exports in USD and kg, imports in USD and kg.
    amounts: [Column; 4],
}

pub(crate) fn recognise(header: &Header) -> Option<Box<dyn Format>> {
    Some(Box::new(Table {
        item: header.find(&["hsk10", "hsk", "hs"])?,
        country: header.find(&["country"])?,
        year: header.find(&["year"])?,
        month: header.find(&["month"])?,
        amounts: [
            header.find(&["exp_usd"])?,
            header.find(&["exp_kg"])?,
            header.find(&["imp_usd"])?,
            header.find(&["imp_kg"])?,
        ],
    }))
}

impl Format for Table {
    fn name(&self) -> &'static str {
        "kcs-csv"
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let item =
            digits(self.item.text(row), &HSK, out.options.restore_zeros).map_err(|p| self.item.fail(p))?;
        let (year, text) = (self.year.need(row)?, self.month.need(row)?);
        let month = month(year, text).ok_or_else(|| self.month.fail(Problem::NotAPeriod(cut(text))))?;
        let [exp_usd, exp_kg, imp_usd, imp_kg] = &self.amounts;
        let export = (exp_usd.amount(row, 0)?, exp_kg.amount(row, 0)?);
        let import = (imp_usd.amount(row, 0)?, imp_kg.amount(row, 0)?);
        let country = (self.country.name.as_str(), self.country.need(row)?);
        put(out, &item, country, month, [export, import], Missing::Unknown)
    }
}

type Amounts = (Option<f64>, Option<f64>);

/// Both flows of a row; `country` with the name of its column.
fn put(
    out: &mut Out<'_>,
    item: &str,
    country: (&str, &str),
    month: Month,
    amounts: [Amounts; 2],
    missing: Missing,
) -> Result<(), RowError> {
    let (column, code) = country;
    let partner = economy(Scheme::Kcs, code).ok_or_else(|| {
        FieldError::new(column, Problem::UnknownEconomy { code: cut(code), scheme: Scheme::Kcs.name() })
    })?;
    for (flow, (value, kg)) in [Flow::Export, Flow::Import].into_iter().zip(amounts) {
        let key = SeriesKey {
            source: out.intern("kcs"),
            reporter: out.intern("KR"),
            partner: partner.clone(),
            item: out.intern(item),
            flow,
        };
        out.put(Record {
            key,
            period: Period::Month(month),
            unit: Unit::Usd,
            observation: Observation { value, kg, quantity: None },
            released: None,
            missing,
            add: false,
            placeholder: false,
            line: out.line,
        })?;
    }
    Ok(())
}

/// The elements of an `<item>` that are read.
const ELEMENTS: [&str; 7] = ["year", "statCd", "hsCd", "expDlr", "expWgt", "impDlr", "impWgt"];

/// Reads an answer of the interface, `<item>` by `<item>`. Lines are numbers of items here, because
/// the interface writes everything in one line.
pub(crate) fn read_xml(input: impl BufRead, since: &Cell<u64>, out: &mut Out<'_>) -> Result<(), ImportError> {
    out.report.recognised.format = "kcs-xml".to_owned();
    let mut reader = Reader::from_reader(input);
    let mut buffer = Vec::new();
    let mut fields: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut element: Option<&'static str> = None;
    out.line = 0;
    let wrong = |out: &Out<'_>, what: String| ImportError::Row {
        file: out.file.to_owned(),
        line: out.line,
        field: "(XML)".to_owned(),
        problem: Problem::Xml(crate::brief::brief(what)),
    };
    let mut depth = 0_u32;
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(e)) => return Err(out.io(std::io::Error::new(e.kind(), e))),
            Err(e) => return Err(wrong(out, e.to_string())),
        };
        match event {
            Event::Start(start) => {
                depth += 1;
                let name = start.local_name();
                element = ELEMENTS.iter().copied().find(|e| *e == name.as_ref());
                if name.as_ref() == "item" {
                    since.set(0);
                    fields.clear();
                    out.line += 1;
                }
            }
            Event::Text(text) => {
                if let Some(element) = element {
                    fields.entry(element).or_default().push_str(text.trim());
                }
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                element = None;
                if end.local_name().as_ref() == "item" {
                    out.report.rows += 1;
                    let result = item(&fields, out);
                    out.settle(result)?;
                }
            }
            Event::Eof if depth > 0 => return Err(wrong(out, "it ends inside an element".to_owned())),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn item(fields: &BTreeMap<&'static str, String>, out: &mut Out<'_>) -> Result<(), RowError> {
    let text = |name: &'static str| fields.get(name).map(String::as_str).unwrap_or_default();
    let period = text("year");
    if ["총계", "TOTAL"].contains(&period) || text("hsCd") == "-" || text("statCd") == "-" {
        out.skip("total row of the answer");
        return Ok(());
    }
    let month = period.split_once('.').and_then(|(y, m)| month(y, m));
    let month = month.ok_or_else(|| FieldError::new("year", Problem::NotAPeriod(cut(period))))?;
    let item = digits(text("hsCd"), &HSK, out.options.restore_zeros);
    let item = item.map_err(|p| FieldError::new("hsCd", p))?;
    let number = |name: &'static str| amount(text(name), 0).map_err(|p| FieldError::new(name, p));
    let export = (number("expDlr")?, number("expWgt")?);
    let import = (number("impDlr")?, number("impWgt")?);
    put(out, &item, ("statCd", text("statCd")), month, [export, import], Missing::ZeroWithinItem)
}
