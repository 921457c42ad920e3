//! Tables of many reporters: Eurostat's Comext, UN Comtrade, CEPII BACI.

use csv::StringRecord;

use super::error::{Problem, cut};
use super::read::{Format, Out, RowError};
use super::table::{Column, Header, compact_month, digits, year};
use super::{Missing, Record};
use crate::calendar::Period;
use crate::items::{Scheme, economy};
use crate::series::{Flow, Observation, SeriesKey, Unit};

fn find_economy(
    column: &Column,
    row: &StringRecord,
    scheme: Scheme,
) -> Result<std::sync::Arc<str>, super::error::FieldError> {
    let code = column.need(row)?;
    let unknown = || Problem::UnknownEconomy { code: cut(code), scheme: scheme.name() };
    economy(scheme, code).ok_or_else(|| column.fail(unknown()))
}

struct Comext {
    reporter: Column,
    partner: Column,
    item: Column,
    flow: Column,
    period: Column,
    value: Column,
    kg: Column,
    quantity: Column,
}

pub(crate) fn recognise_comext(header: &Header) -> Option<Box<dyn Format>> {
    Some(Box::new(Comext {
        reporter: header.find(&["declarant_iso"])?,
        partner: header.find(&["partner_iso"])?,
        item: header.find(&["product_nc"])?,
        flow: header.find(&["flow"])?,
        period: header.find(&["period"])?,
        value: header.find(&["value_in_euros"])?,
        kg: header.find(&["quantity_in_kg"])?,
        quantity: header.find(&["sup_quantity"])?,
    }))
}

impl Format for Comext {
    fn name(&self) -> &'static str {
        "comext"
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let code = self.item.need(row)?;
        if code.eq_ignore_ascii_case("total") {
            out.skip("total of all products");
            return Ok(());
        }
        // Confidential trade has letters in its code (99RRR100) and is kept under it.
        let item = match code.bytes().all(|b| b.is_ascii_digit()) {
            true => digits(code, &[2, 4, 6, 8], out.options.restore_zeros).map_err(|p| self.item.fail(p))?,
            false if code.len() <= 10 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => code.to_owned(),
            false => return Err(self.item.fail(Problem::NotACode(cut(code))).into()),
        };
        let text = self.period.need(row)?;
        let annual = text.strip_suffix("52").and_then(year).map(Period::Year);
        let period = annual.or_else(|| compact_month(text).map(Period::Month));
        let period = period.ok_or_else(|| self.period.fail(Problem::NotAPeriod(cut(text))))?;
        let key = SeriesKey {
            source: out.intern("comext"),
            reporter: find_economy(&self.reporter, row, Scheme::Comext)?,
            partner: find_economy(&self.partner, row, Scheme::Comext)?,
            item: out.intern(&item),
            flow: self.flow.flow(row, "2")?,
        };
        let observation = Observation {
            value: self.value.amount(row, 0)?,
            kg: self.kg.amount(row, 0)?,
            quantity: self.quantity.amount(row, 0)?,
        };
        out.put(Record {
            key,
            period,
            unit: Unit::Eur,
            observation,
            released: None,
            missing: Missing::ZeroWithinFile,
            // One row for each customs procedure.
            add: true,
            placeholder: false,
            line: out.line,
        })
    }
}

struct Comtrade {
    name: &'static str,
    /// Absent in the old layout, whose periods have four digits or six.
    frequency: Option<Column>,
    period: Column,
    reporter: Column,
    partner: Column,
    flow: Column,
    item: Column,
    value: Column,
    kg: Column,
    quantity: Column,
    /// Columns that split a series, with what they hold where they do not.
    whole: Vec<(Column, &'static [&'static str])>,
}

pub(crate) fn recognise_comtrade(header: &Header) -> Option<Box<dyn Format>> {
    const WHOLE: [(&str, &[&str]); 4] = [
        ("partner2code", &["0", ""]),
        ("customscode", &["C00", ""]),
        ("motcode", &["0", ""]),
        ("moscode", &["0", ""]),
    ];
    let whole = WHOLE.iter().filter_map(|(name, all)| Some((header.find(&[*name])?, *all))).collect();
    Some(Box::new(Comtrade {
        name: "comtrade",
        frequency: Some(header.find(&["freqcode"])?),
        period: header.find(&["period"])?,
        reporter: header.find(&["reportercode"])?,
        partner: header.find(&["partnercode"])?,
        flow: header.find(&["flowcode"])?,
        item: header.find(&["cmdcode"])?,
        value: header.find(&["primaryvalue"])?,
        kg: header.find(&["netwgt"])?,
        quantity: header.find(&["qty"])?,
        whole,
    }))
}

/// The layout of 35 columns that UN Comtrade gave out before 2023.
pub(crate) fn recognise_old_comtrade(header: &Header) -> Option<Box<dyn Format>> {
    const WHOLE: [(&str, &[&str]); 3] = [
        ("2nd partner code", &["0", ""]),
        ("customs proc. code", &["C00", ""]),
        ("mode of transport code", &["0", ""]),
    ];
    let whole = WHOLE.iter().filter_map(|(name, all)| Some((header.find(&[*name])?, *all))).collect();
    Some(Box::new(Comtrade {
        name: "comtrade-old",
        frequency: None,
        period: header.find(&["period"])?,
        reporter: header.find(&["reporter code"])?,
        partner: header.find(&["partner code"])?,
        flow: header.find(&["trade flow code"])?,
        item: header.find(&["commodity code"])?,
        value: header.find(&["trade value (us$)"])?,
        kg: header.find(&["netweight (kg)"])?,
        quantity: header.find(&["qty"])?,
        whole,
    }))
}

impl Format for Comtrade {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        if self.whole.iter().any(|(column, all)| !all.contains(&column.text(row))) {
            out.skip("part of a series by second partner, customs procedure or transport");
            return Ok(());
        }
        let flow = match self.flow.need(row)? {
            "M" | "1" => Flow::Import,
            "X" | "2" => Flow::Export,
            "3" | "4" | "RX" | "RM" | "FM" | "DX" | "MIP" | "XIP" | "MOP" | "XOP" | "MIF" => {
                out.skip("flow that is part of imports or exports");
                return Ok(());
            }
            other => return Err(self.flow.fail(Problem::NotAFlow(cut(other))).into()),
        };
        let code = self.item.need(row)?;
        if code.eq_ignore_ascii_case("total") || code.starts_with("AG") {
            out.skip("total of all products");
            return Ok(());
        }
        let item = digits(code, &[2, 4, 6], out.options.restore_zeros).map_err(|p| self.item.fail(p))?;
        let text = self.period.need(row)?;
        let annual = year(text).map(Period::Year);
        let period = match self.frequency.as_ref().map(|f| f.need(row)).transpose()? {
            Some("A") => annual,
            Some("M") => compact_month(text).map(Period::Month),
            Some(_) => None,
            None => annual.or_else(|| compact_month(text).map(Period::Month)),
        };
        let period = period.ok_or_else(|| self.period.fail(Problem::NotAPeriod(cut(text))))?;
        let key = SeriesKey {
            source: out.intern("comtrade"),
            reporter: find_economy(&self.reporter, row, Scheme::M49)?,
            partner: find_economy(&self.partner, row, Scheme::M49)?,
            item: out.intern(&item),
            flow,
        };
        let observation = Observation {
            value: self.value.amount(row, 0)?,
            kg: self.kg.amount(row, 0)?,
            quantity: self.quantity.amount(row, 0)?,
        };
        out.put(Record {
            key,
            period,
            unit: Unit::Usd,
            observation,
            released: None,
            missing: Missing::ZeroWithinItem,
            add: false,
            placeholder: false,
            line: out.line,
        })
    }
}

struct Baci {
    year: Column,
    exporter: Column,
    importer: Column,
    item: Column,
    value: Column,
    tonnes: Column,
}

pub(crate) fn recognise_baci(header: &Header) -> Option<Box<dyn Format>> {
    (header.len() == 6).then_some(())?;
    Some(Box::new(Baci {
        year: header.find(&["t"])?,
        exporter: header.find(&["i"])?,
        importer: header.find(&["j"])?,
        item: header.find(&["k"])?,
        value: header.find(&["v"])?,
        tonnes: header.find(&["q"])?,
    }))
}

impl Format for Baci {
    fn name(&self) -> &'static str {
        "baci"
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let code = self.item.text(row);
        let item = digits(code, &[6], out.options.restore_zeros).map_err(|p| self.item.fail(p))?;
        let key = SeriesKey {
            source: out.intern("baci"),
            reporter: find_economy(&self.importer, row, Scheme::M49)?,
            partner: find_economy(&self.exporter, row, Scheme::M49)?,
            item: out.intern(&item),
            flow: Flow::Import,
        };
        // Thousand USD and tonnes.
        let observation = Observation {
            value: self.value.amount(row, 3)?,
            kg: self.tonnes.amount(row, 3)?,
            quantity: None,
        };
        out.put(Record {
            key,
            period: Period::Year(self.year.year(row)?),
            unit: Unit::Usd,
            observation,
            released: None,
            missing: Missing::ZeroWithinFile,
            add: false,
            placeholder: false,
            line: out.line,
        })
    }
}
