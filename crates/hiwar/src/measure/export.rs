//! Tables that come in from Global Trade Alert, forms that go out to the WTO.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_form::Language;
use hiwar_measure::claim::Field;
use hiwar_measure::gta::{self, Import};
use hiwar_measure::qr::{Nature, Notification, Row, due};
use hiwar_measure::{Country, Edition, Measure, messages};
use jiff::civil::Date;
use serde_json::json;

use super::{Format, RegisterArgs, Rows, measure};
use crate::commands::print;
use crate::radar::today;

/// Read a table of Global Trade Alert
#[derive(Debug, clap::Args)]
pub(crate) struct ImportGta {
    /// The table, CSV
    file: PathBuf,
    /// The edition of the Harmonized System that the table's products are in, such as HS2012
    #[arg(long)]
    edition: Edition,
    /// Language of the faults: en, ko, ja or ar
    #[arg(long, default_value_t = Language::En)]
    language: Language,
    /// How to print; json gives whole documents of measures
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl ImportGta {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display().to_string();
        let bytes = std::fs::read(&self.file).with_context(|| name.clone())?;
        let import = gta::read(&name, &bytes)
            .map_err(|faults| anyhow::anyhow!(faults.say(messages(), self.language)))?;
        let measures: Vec<Measure> =
            import.interventions.iter().flat_map(|row| row.measures(self.edition)).collect();
        let date = |measure: &Measure, field| {
            measure.date(&field).map_or_else(|| "-".to_owned(), |when| when.to_string())
        };
        let rows = measures.iter().map(|m| {
            [
                m.id.to_string(),
                m.flow.to_string(),
                m.kind.to_string(),
                date(m, Field::InForce),
                date(m, Field::Ended),
                m.title.to_string(),
            ]
        });
        let bad: Vec<_> = import.bad.iter().map(|row| self.bad(row)).collect();
        Rows {
            head: ["MEASURE", "FLOW", "KIND", "FROM", "ENDED", "TITLE"],
            rows: rows.collect(),
            json: json!({ "measures": measures, "bad": bad, "ignored_columns": import.ignored_columns }),
        }
        .show(self.format)?;
        self.tell(&import, measures.len());
        Ok(if import.bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn bad(&self, row: &gta::BadRow) -> serde_json::Value {
        let faults: Vec<String> =
            row.faults.iter().map(|fault| fault.say(messages(), self.language)).collect();
        json!({ "line": row.line, "cells": row.cells, "faults": faults })
    }

    fn tell(&self, import: &Import, measures: usize) {
        for fault in import.bad.iter().flat_map(|row| &row.faults) {
            eprintln!("{}", fault.say(messages(), self.language));
        }
        if !import.ignored_columns.is_empty() {
            eprintln!("Columns that are not read: {}", import.ignored_columns.join(", "));
        }
        let (read, bad) = (import.interventions.len(), import.bad.len());
        eprintln!("{read} rows read, {bad} not; {measures} measures on goods at a border");
    }
}

/// How a notification is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum QrFormat {
    /// Header and sections for spreadsheets
    Csv,
    /// The form as a page
    Html,
}

/// Write a notification
#[derive(Debug, clap::Args)]
pub(crate) struct Qr {
    /// The measures, all of one member
    #[arg(required = true)]
    ids: Vec<String>,
    /// WTO justification and grounds, which the member gives
    #[arg(long, default_value = "")]
    justification: String,
    /// Symbol of the last notification, which this one changes [default: this is the first, and complete]
    #[arg(long)]
    last: Option<String>,
    /// The biennium, such as 2024-2026
    #[arg(long)]
    biennium: String,
    /// Day of the notification [default: today]
    #[arg(long)]
    date: Option<Date>,
    /// General comments
    #[arg(long, default_value = "N/A")]
    comments: String,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to write it
    #[arg(long, value_enum, default_value_t = QrFormat::Csv)]
    format: QrFormat,
}

impl Qr {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = self.register.open()?;
        let date = self.date.map_or_else(today, Ok)?;
        let mut rows = Vec::new();
        let mut member: Option<Country> = None;
        for (id, number) in self.ids.iter().zip(1_u32..) {
            let measure = measure(&register, id)?;
            let one = *member.get_or_insert(measure.jurisdiction);
            anyhow::ensure!(
                one == measure.jurisdiction,
                "{id} is of {}, the others are of {one}; a notification is of one member",
                measure.jurisdiction
            );
            rows.push(Row::of(measure, number, &self.justification, date)?);
            let in_force = measure.date(&Field::InForce).map(|when| when.first_day());
            if let Some(last_day) = in_force.and_then(due) {
                let late = if date > last_day { ", which is past" } else { "" };
                eprintln!("{id} was to be notified by {last_day}{late}");
            }
        }
        let nature = match &self.last {
            None => Nature::Complete,
            Some(to) => Nature::Changes { to: to.clone(), new: true, eliminated: false, modified: false },
        };
        let notification = Notification {
            member: member.context("no measure is named")?,
            date,
            last: self.last,
            nature,
            biennium: self.biennium,
            as_of: date,
            comments: self.comments,
            rows,
            references: Vec::new(),
        };
        let text = match self.format {
            QrFormat::Csv => notification.csv(),
            QrFormat::Html => notification.html(),
        };
        print(text.trim_end_matches('\n'))?;
        Ok(ExitCode::SUCCESS)
    }
}
