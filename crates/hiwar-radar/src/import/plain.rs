//! A plain long table, for everything else.

use csv::StringRecord;

use super::error::{Problem, cut};
use super::read::{Format, Out, RowError};
use super::table::{Column, Header, date, digits, iso_month, year};
use super::{Missing, Record};
use crate::calendar::Period;
use crate::items::{Scheme, economy};
use crate::series::{Flow, Observation, SeriesKey, Unit};

struct Plain {
    period: Column,
    reporter: Column,
    partner: Column,
    item: Column,
    flow: Column,
    value: Column,
    unit: Column,
    kg: Option<Column>,
    quantity: Option<Column>,
    released: Option<Column>,
    source: Option<Column>,
}

pub(crate) fn recognise(header: &Header) -> Option<Box<dyn Format>> {
    Some(Box::new(Plain {
        period: header.find(&["period", "month", "year"])?,
        reporter: header.find(&["reporter"])?,
        partner: header.find(&["partner"])?,
        item: header.find(&["item"])?,
        flow: header.find(&["flow"])?,
        value: header.find(&["value"])?,
        unit: header.find(&["unit"])?,
        kg: header.find(&["kg"]),
        quantity: header.find(&["quantity"]),
        released: header.find(&["released"]),
        source: header.find(&["source"]),
    }))
}

impl Plain {
    fn economy(column: &Column, row: &StringRecord) -> Result<std::sync::Arc<str>, RowError> {
        let code = column.need(row)?;
        let unknown = || Problem::UnknownEconomy { code: cut(code), scheme: Scheme::Plain.name() };
        Ok(economy(Scheme::Plain, code).ok_or_else(|| column.fail(unknown()))?)
    }
}

impl Format for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let text = self.period.need(row)?;
        let period = iso_month(text).map(Period::Month).or_else(|| year(text).map(Period::Year));
        let period = period.ok_or_else(|| self.period.fail(Problem::NotAPeriod(cut(text))))?;
        let code = self.item.need(row)?;
        // Own codes have letters; codes of digits have the lengths that nomenclatures have.
        let item = match code.bytes().all(|b| b.is_ascii_digit()) {
            true => digits(code, &[2, 4, 6, 8, 9, 10], out.options.restore_zeros)
                .map_err(|p| self.item.fail(p))?,
            false if code.chars().count() <= 60 => code.to_owned(),
            false => return Err(self.item.fail(Problem::NotACode(cut(code))).into()),
        };
        let flow = match self.flow.need(row)?.to_lowercase().as_str() {
            "import" => Flow::Import,
            "export" => Flow::Export,
            other => return Err(self.flow.fail(Problem::NotAFlow(cut(other))).into()),
        };
        let unit = match self.unit.need(row)?.to_uppercase().as_str() {
            "USD" => Unit::Usd,
            "EUR" => Unit::Eur,
            "JPY" => Unit::Jpy,
            other => return Err(self.unit.fail(Problem::NotAUnit(cut(other))).into()),
        };
        let amount = |column: &Option<Column>| match column {
            Some(column) => column.amount(row, 0),
            None => Ok(None),
        };
        let observation = Observation {
            value: self.value.amount(row, 0)?,
            kg: amount(&self.kg)?,
            quantity: amount(&self.quantity)?,
        };
        let released = match self.released.as_ref().map(|c| (c, c.text(row))) {
            None | Some((_, "")) => None,
            Some((column, text)) => {
                Some(date(text).ok_or_else(|| column.fail(Problem::NotADate(cut(text))))?)
            }
        };
        let source = match self.source.as_ref().map(|c| c.text(row)) {
            None | Some("") => "plain".to_owned(),
            Some(text) => cut(text),
        };
        let key = SeriesKey {
            source: out.intern(&source),
            reporter: Self::economy(&self.reporter, row)?,
            partner: Self::economy(&self.partner, row)?,
            item: out.intern(&item),
            flow,
        };
        out.put(Record {
            key,
            period,
            unit,
            observation,
            released,
            missing: Missing::Unknown,
            add: false,
            placeholder: false,
            line: out.line,
        })
    }
}
