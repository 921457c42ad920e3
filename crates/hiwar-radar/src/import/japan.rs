//! Japan: the wide tables of its customs, and e-Stat's areas by goods.

use csv::StringRecord;
use serde::Serialize;

use super::error::{Problem, cut};
use super::read::{Format, Out, RowError};
use super::table::{Column, Header, digits, iso_month};
use super::{Missing, Record};
use crate::calendar::Period;
use crate::items::{Scheme, economy};
use crate::month::Month;
use crate::series::{Observation, SeriesKey, Unit};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

struct Wide {
    flow: Column,
    year: Column,
    item: Column,
    country: Column,
    units: [Column; 2],
    /// Two quantities and the value of each month.
    months: Vec<(u16, [Column; 3])>,
}

pub(crate) fn recognise_wide(header: &Header) -> Option<Box<dyn Format>> {
    let months = (1..).zip(MONTHS).map(|(number, name)| {
        let column = |what: &str| header.find(&[&format!("{what}-{name}")]);
        Some((number, [column("quantity1")?, column("quantity2")?, column("value")?]))
    });
    Some(Box::new(Wide {
        flow: header.find(&["exp or imp"])?,
        year: header.find(&["year"])?,
        item: header.find(&["hs"])?,
        country: header.find(&["country"])?,
        units: [header.find(&["unit1"])?, header.find(&["unit2"])?],
        months: months.collect::<Option<_>>()?,
    }))
}

impl Format for Wide {
    fn name(&self) -> &'static str {
        "japan-wide"
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let flow = self.flow.flow(row, "1")?;
        let year = self.year.year(row)?;
        let code = self.item.text(row).trim_start_matches('\'');
        let item = digits(code, &[9], out.options.restore_zeros).map_err(|p| self.item.fail(p))?;
        let country = self.country.need(row)?.trim_start_matches('\'');
        let partner = economy(Scheme::JapanCustoms, country).ok_or_else(|| {
            let scheme = Scheme::JapanCustoms.name();
            self.country.fail(Problem::UnknownEconomy { code: cut(country), scheme })
        })?;
        let key = SeriesKey {
            source: out.intern("japan-customs"),
            reporter: out.intern("JP"),
            partner,
            item: out.intern(&item),
            flow,
        };
        let [unit1, unit2] = [self.units[0].text(row), self.units[1].text(row)];
        for (number, [first, second, value]) in &self.months {
            let Some(month) = Month::new(year, *number) else { continue };
            // Thousand yen.
            let mut observation = Observation { value: value.amount(row, 3)?, ..Observation::default() };
            for (unit, column) in [(unit1, first), (unit2, second)] {
                match unit {
                    "" => {}
                    "KG" => observation.kg = column.amount(row, 0)?,
                    "MT" => observation.kg = column.amount(row, 3)?,
                    _ => observation.quantity = column.amount(row, 0)?,
                }
            }
            let zero = |amount: Option<f64>| amount.is_none_or(|a| a == 0.0);
            let placeholder = zero(observation.value) && zero(observation.kg) && zero(observation.quantity);
            out.put(Record {
                key: key.clone(),
                period: Period::Month(month),
                unit: Unit::Jpy,
                observation,
                released: None,
                missing: Missing::ZeroWithinItem,
                add: false,
                placeholder,
                line: out.line,
            })?;
        }
        Ok(())
    }
}

struct Estat {
    flow: Column,
    area: Column,
    goods: Column,
    value: Column,
    month: Option<Column>,
    year: Option<Column>,
}

pub(crate) fn recognise_estat(header: &Header) -> Option<Box<dyn Format>> {
    let (month, year) = (header.find(&["month"]), header.find(&["year"]));
    if month.is_none() && year.is_none() {
        return None;
    }
    Some(Box::new(Estat {
        flow: header.find(&["exp_imp"])?,
        area: header.find(&["area"])?,
        goods: header.find(&["goods"])?,
        value: header.find(&["value_bn_jpy"])?,
        month,
        year,
    }))
}

impl Format for Estat {
    fn name(&self) -> &'static str {
        if self.month.is_some() { "estat-monthly" } else { "estat-annual" }
    }

    fn row(&mut self, row: &StringRecord, out: &mut Out<'_>) -> Result<(), RowError> {
        let flow = self.flow.flow(row, "1")?;
        let period = match (&self.month, &self.year) {
            (Some(column), _) => {
                let text = column.need(row)?;
                let month = iso_month(text).ok_or_else(|| column.fail(Problem::NotAPeriod(cut(text))))?;
                Period::Month(month)
            }
            (None, Some(column)) => Period::Year(column.year(row)?),
            (None, None) => return Ok(()),
        };
        let area = self.area.need(row)?;
        let partner = economy(Scheme::Estat, area).ok_or_else(|| {
            let scheme = Scheme::Estat.name();
            self.area.fail(Problem::UnknownEconomy { code: cut(area), scheme })
        })?;
        let goods = self.goods.need(row)?;
        if goods.chars().count() > 60 {
            return Err(self.goods.fail(Problem::NotACode(cut(goods))).into());
        }
        // The monthly table writes capitals, the annual one does not.
        let upper = goods.to_uppercase();
        let item = if upper == "GRAND TOTAL" { "Grand Total" } else { upper.as_str() };
        let key = SeriesKey {
            source: out.intern("estat"),
            reporter: out.intern("JP"),
            partner,
            item: out.intern(item),
            flow,
        };
        let observation = Observation { value: self.value.amount(row, 9)?, ..Observation::default() };
        out.put(Record {
            key,
            period,
            unit: Unit::Jpy,
            observation,
            released: None,
            missing: Missing::Unknown,
            add: false,
            placeholder: false,
            line: out.line,
        })
    }
}

/// Where an item of e-Stat's tables stands. Summing over levels counts goods twice or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EstatLevel {
    /// All goods.
    Total,
    /// A section, beside its own parts.
    Section,
    /// Goods, beside the parts of them that are listed.
    Goods,
    /// A part of the goods above it; written in brackets.
    Part,
}

/// The level of an item of e-Stat's tables.
pub fn estat_level(item: &str) -> EstatLevel {
    const SECTIONS: [&str; 9] = [
        "FOODSTUFF",
        "RAW MATERIALS",
        "MINERAL FUELS",
        "CHEMICALS",
        "MANUFACTURED GOODS",
        "MACHINERY",
        "ELECTRICAL MACHINERY",
        "TRANSPORT EQUIPMENT",
        "OTHERS",
    ];
    match item.to_uppercase().as_str() {
        "GRAND TOTAL" => EstatLevel::Total,
        i if i.starts_with('(') => EstatLevel::Part,
        i if SECTIONS.contains(&i) => EstatLevel::Section,
        _ => EstatLevel::Goods,
    }
}
