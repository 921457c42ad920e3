//! What is in the register, and whether documents can be.

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_form::Language;
use hiwar_measure::claim::Field;
use hiwar_measure::{Country, Measure, messages};
use serde_json::{Value, json};

use super::{Format, RegisterArgs, Rows, measure, read_file};
use crate::commands::{print, print_json, table};

/// The measures
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only measures of this country
    #[arg(long)]
    jurisdiction: Option<Country>,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

fn date(measure: &Measure, field: &Field) -> String {
    measure.date(field).map_or_else(|| "-".to_owned(), |when| when.to_string())
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = self.register.open()?;
        let wanted = |m: &&Measure| self.jurisdiction.is_none_or(|country| m.jurisdiction == country);
        let measures: Vec<&Measure> = register.measures().filter(wanted).collect();
        let rows = measures.iter().map(|m| {
            [
                m.id.to_string(),
                m.jurisdiction.to_string(),
                m.flow.to_string(),
                m.kind.to_string(),
                date(m, &Field::InForce),
                date(m, &Field::Ended),
                m.title.say(self.register.language).to_owned(),
            ]
        });
        Rows {
            head: ["MEASURE", "BY", "FLOW", "KIND", "FROM", "ENDED", "TITLE"],
            rows: rows.collect(),
            json: serde_json::to_value(&measures)?,
        }
        .show(self.format)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One measure
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The measure
    id: String,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = self.register.open()?;
        let found = measure(&register, &self.id)?;
        match self.format {
            Format::Json => print_json(&serde_json::to_value(found)?)?,
            Format::Csv => claims(found).show(Format::Csv)?,
            Format::Table => print(&page(found, self.register.language)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The claims of a measure: those that are shown, and those that stand beside them.
fn claims(measure: &Measure) -> Rows<6> {
    let mut rows = Vec::new();
    for field in measure.fields() {
        let Some(claimed) = measure.claimed(field) else { continue };
        let ways = [
            ("shown", vec![claimed.shown]),
            ("agrees", claimed.agreeing),
            ("conflicts", claimed.conflicting),
        ];
        for (how, claims) in ways {
            rows.extend(claims.into_iter().map(|claim| {
                [
                    field.to_string(),
                    claim.value.to_string(),
                    how.to_owned(),
                    claim.source.checked.as_str().to_owned(),
                    claim.source.date.map_or_else(|| "-".to_owned(), |day| day.to_string()),
                    claim.source.publisher.clone(),
                ]
            }));
        }
    }
    Rows { head: ["FIELD", "VALUE", "HOW", "CHECKED", "PUBLISHED", "SOURCE"], rows, json: Value::Null }
}

fn page(measure: &Measure, language: Language) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    writeln!(text, "{}  {}", measure.id, measure.title.say(language))?;
    writeln!(
        text,
        "{} of {}: {} from {} to {}",
        measure.kind, measure.jurisdiction, measure.flow, measure.origins, measure.destinations
    )?;
    for basis in &measure.legal_bases {
        writeln!(text, "  {} {}", basis.title, basis.number.as_deref().unwrap_or_default())?;
    }
    for item in &measure.items {
        writeln!(text, "\nItem {}: {}", item.id, item.title.say(language))?;
        for listed in &item.control_codes {
            writeln!(text, "  {} ({})", listed.code, listed.checked.as_str())?;
        }
        for listed in &item.tariff_codes {
            writeln!(text, "  {} ({})", listed.code, listed.checked.as_str())?;
        }
        for threshold in &item.thresholds {
            writeln!(text, "  {threshold}")?;
        }
        if !item.separable_in_statistics {
            writeln!(text, "  not separable in trade statistics")?;
        }
    }
    if !measure.states.is_empty() {
        writeln!(text)?;
    }
    for state in &measure.states {
        let from = date(measure, &Field::StateFrom(state.id.clone()));
        let items: Vec<&str> = state.items.iter().map(|item| item.as_str()).collect();
        let items = if items.is_empty() { String::new() } else { format!(" ({})", items.join(", ")) };
        writeln!(text, "State from {from}: {}{items}", state.title.say(language))?;
    }
    let claims = claims(measure);
    let head = claims.head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        [head].into_iter().chain(claims.rows.iter().map(|row| row.to_vec())).collect();
    write!(text, "\n{}", table(&rows))?;
    Ok(text)
}

/// Check documents
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The documents, JSON or TOML
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Language of the faults: en, ko, ja or ar
    #[arg(long, default_value_t = Language::En)]
    language: Language,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut rows = Vec::new();
        let mut json = Vec::new();
        for path in &self.files {
            let Err(faults) = read_file(path)? else { continue };
            for fault in &faults.0 {
                let line = fault.place.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
                let arguments: Vec<(&str, &str)> =
                    fault.arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let said = messages().say(self.language, fault.code, &arguments);
                json.push(json!({ "file": path.display().to_string(), "line": fault.place.line,
                    "field": fault.place.field, "code": fault.code, "message": said }));
                rows.push([path.display().to_string(), line, fault.place.field.clone(), said]);
            }
        }
        let good = rows.is_empty();
        if good && self.format == Format::Table {
            eprintln!("No faults in {} files", self.files.len());
        } else {
            Rows { head: ["FILE", "LINE", "FIELD", "FAULT"], rows, json: Value::Array(json) }
                .show(self.format)?;
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
