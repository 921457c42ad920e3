//! `hiwar report …`: firms report confidentially to their ministry, which releases tables that reveal no firm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use hiwar_dialogue::entry::ActKind;
use hiwar_disclosure::sdmx::{Kinds, structure_message, write, write_plain};
use hiwar_disclosure::{
    Blinding, Code, Commitment, Context, Design, Gap, Party, Period, Proof, Report, Table, protect,
};
use hiwar_form::Language;
use serde_json::{Map, Value, json};

use super::{Outgoing, ReadingArgs, SendArgs, procedures, send};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// Most reports read from dialogues and files.
const REPORTS_MAX: usize = 100_000;

/// Confidential reports of firms, and tables made from them that reveal no firm
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ReportCommand {
    /// Write a report with a commitment to its value, without a node
    Prepare {
        /// The design of the table, in JSON, as the ministry gives it
        #[arg(long)]
        design: PathBuf,
        /// The month, quarter, year or day, such as 2026-03
        #[arg(long)]
        period: String,
        /// The firm's name; a node that receives the report takes the sender's identifier in its place
        #[arg(long, default_value = "self")]
        firm: String,
        /// The value, a whole number in the unit of the design
        #[arg(long, allow_negative_numbers = true)]
        value: i64,
        /// A dimension, as DIMENSION=CODE; one for each
        #[arg(required = true, value_name = "DIMENSION=CODE")]
        dimensions: Vec<String>,
    },
    /// Send a report to the ministry, in the dialogue with it
    Send {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The report, in JSON
        file: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Make a table that reveals no firm from the reports in dialogues and files; refused when that cannot be proved
    Release {
        /// The design of the table, in JSON
        #[arg(long)]
        design: PathBuf,
        /// The month, quarter, year or day
        #[arg(long)]
        period: String,
        /// A dialogue with a firm; may be repeated. Those reports count that their senders did not take back
        #[arg(long = "dialogue")]
        dialogues: Vec<String>,
        /// A file with one report or a list of them, in JSON; may be repeated
        #[arg(long = "reports")]
        files: Vec<PathBuf>,
        /// Which firms belong to one group, in JSON: {"FIRM": "GROUP"}
        #[arg(long)]
        groups: Option<PathBuf>,
        /// Tell why a cell has no value
        #[arg(long)]
        tell_why: bool,
        /// The new folder to write to: sdmx.csv, structure.json, table.csv, proofs.json
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Check the proofs of a release, without a node
    Verify {
        /// proofs.json of the release
        proofs: PathBuf,
        /// A report of one's own: whether it is in the sums
        #[arg(long)]
        report: Option<PathBuf>,
    },
}

impl ReportCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Prepare { design, period, firm, value, dimensions } => {
                print_json(&prepare(&read_design(&design)?, &period, &firm, value, &dimensions)?)
            }
            Self::Send { dialogue, file, sending } => {
                let content = json_of(&file)?;
                read_report(&content, &file.display().to_string(), sending.language())?;
                let client = ApiClient::of(sending.node())?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                send(&client, &sending, Outgoing { kind: ActKind::Report, dialogue, of: None, content }).await
            }
            Self::Release { design, period, dialogues, files, groups, tell_why, output, reading } => {
                let design = read_design(&design)?;
                let period = period_of(&period)?;
                let mut reports = Vec::new();
                if !dialogues.is_empty() {
                    let client = ApiClient::of(&reading.node)?;
                    for dialogue in &dialogues {
                        reports
                            .extend(in_dialogue(&client, dialogue, &design, period, reading.language).await?);
                    }
                }
                for file in &files {
                    let name = file.display().to_string();
                    let content = json_of(file)?;
                    let all = content.as_array().cloned().unwrap_or_else(|| vec![content]);
                    for (index, one) in all.iter().enumerate() {
                        reports.push(read_report(one, &format!("{name}[{index}]"), reading.language)?);
                    }
                }
                ensure!(reports.len() <= REPORTS_MAX, "there are more than {REPORTS_MAX} reports");
                let groups = groups.map(|file| groups_of(&file)).transpose()?.unwrap_or_default();
                release(&design, period, &reports, &groups, tell_why, &output, &reading)
            }
            Self::Verify { proofs, report } => verify(&proofs, report.as_deref()),
        }
    }
}

fn json_of(file: &Path) -> anyhow::Result<Value> {
    let name = file.display();
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read as UTF-8 text"))?;
    serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))
}

fn faults(faults: &hiwar_disclosure::Faults, place: &str, language: Language) -> anyhow::Error {
    let said = faults.say(&hiwar_disclosure::messages(), language);
    let lines: Vec<String> = said.lines().map(|line| format!("{place}: {line}")).collect();
    anyhow::anyhow!(lines.join("\n"))
}

fn read_design(file: &Path) -> anyhow::Result<Design> {
    Design::read(&json_of(file)?).map_err(|found| faults(&found, &file.display().to_string(), Language::En))
}

fn read_report(value: &Value, place: &str, language: Language) -> anyhow::Result<Report> {
    Report::read(value).map_err(|found| faults(&found, place, language))
}

fn period_of(text: &str) -> anyhow::Result<Period> {
    text.parse()
        .ok()
        .with_context(|| format!("--period {text:?}: write a period such as 2026-03, 2026-Q1, 2026"))
}

fn prepare(design: &Design, period: &str, firm: &str, value: i64, given: &[String]) -> anyhow::Result<Value> {
    let mut dimensions = Map::new();
    for one in given {
        let (name, code) = one.split_once('=').with_context(|| format!("{one:?}: write DIMENSION=CODE"))?;
        dimensions.insert(name.to_owned(), json!(code));
    }
    let period = period_of(period)?;
    let context = Context { dataset: design.dataset.clone(), period, unit: design.unit.clone() };
    let mut random = [0; 64];
    getrandom::fill(&mut random)?;
    let blinding = Blinding::new(&random);
    let report = json!({
        "firm": firm, "dataset": design.dataset.as_str(), "period": period.to_string(), "unit": design.unit.as_str(),
        "value": value, "dimensions": dimensions, "commitment": context.commit(value, &blinding).to_hex(),
        "blinding": blinding.to_hex(),
    });
    let read = read_report(&report, "the report", Language::En)?;
    read.place(design, period).map_err(|found| faults(&found, "the report", Language::En))?;
    Ok(report)
}

/// The reports of a dialogue for a table. Who sent one is the firm, whatever it calls itself; of several for one
/// cell the last one counts.
async fn in_dialogue(
    client: &ApiClient,
    dialogue: &str,
    design: &Design,
    period: Period,
    language: Language,
) -> anyhow::Result<Vec<Report>> {
    let state = procedures(client, dialogue).await?;
    let mut last: BTreeMap<(String, String), Report> = BTreeMap::new();
    for told in list(&state, "/reports") {
        let same = text(told, "/content/dataset") == design.dataset.as_str()
            && text(told, "/content/period") == period.to_string();
        if !same || told["withdrawn"] == json!(true) {
            continue;
        }
        let mut content = told["content"].clone();
        content["firm"] = told["by"].clone();
        if let Some(content) = content.as_object_mut() {
            hiwar_procedure::act::COMMON.iter().for_each(|name| drop(content.remove(*name)));
        }
        // One firm's mistake does not hold up the table of all others, and nobody passes over it unseen.
        match read_report(&content, &format!("entry {}", text(told, "/entry")), language) {
            Ok(report) => {
                last.insert((text(told, "/by").to_owned(), content["dimensions"].to_string()), report);
            }
            Err(problem) => eprintln!("left out: {problem}"),
        }
    }
    Ok(last.into_values().collect())
}

fn groups_of(file: &Path) -> anyhow::Result<BTreeMap<Party, Party>> {
    let content = json_of(file)?;
    let wrong = || format!("{}: write {{\"FIRM\": \"GROUP\"}}", file.display());
    let party = |text: &str| text.parse::<Party>().ok().with_context(wrong);
    let members = content.as_object().with_context(wrong)?;
    members
        .iter()
        .map(|(firm, group)| Ok((party(firm)?, party(group.as_str().with_context(wrong)?)?)))
        .collect()
}

fn release(
    design: &Design,
    period: Period,
    reports: &[Report],
    groups: &BTreeMap<Party, Party>,
    tell_why: bool,
    output: &Path,
    reading: &ReadingArgs,
) -> anyhow::Result<()> {
    let language = reading.language;
    let table = Table::build(design, period, reports, groups)
        .map_err(|found| faults(&found, "the table", language))?;
    let release = protect(&table).map_err(|refusal| {
        let said = hiwar_disclosure::messages().say(language, refusal.key(), &[]);
        anyhow::anyhow!("nothing is released: {said} ({refusal})")
    })?;
    let kinds = if tell_why { Kinds::Told } else { Kinds::Hidden };
    let rows = release.rows();
    let mut proofs = Vec::new();
    let mut without = None;
    for row in rows.iter().filter(|row| row.value.is_ok()) {
        let Some(id) = table.find(&row.codes) else { continue };
        match release.prove(id) {
            Ok(proof) => proofs.push(proof.to_json()),
            Err(reason) => without = Some(reason),
        }
    }
    std::fs::create_dir(output).with_context(|| format!("the folder {} cannot be made", output.display()))?;
    let prepared = jiff::Timestamp::now().to_string();
    let mut files = vec![
        ("sdmx.csv", write(&release, kinds)?),
        ("table.csv", write_plain(&release, kinds)?),
        ("structure.json", structure_message(design, &prepared)),
    ];
    if without.is_none() {
        files.push(("proofs.json", serde_json::to_string_pretty(&proofs)?));
    }
    for (name, text) in files {
        let path = output.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let count = |gap: Gap| rows.iter().filter(|row| row.value == Err(gap)).count();
    let (primary, secondary) = (count(Gap::Primary), count(Gap::Secondary));
    if let Some(reason) = without {
        eprintln!("without proofs.json: {reason}");
    }
    if reading.node.format == Format::Json {
        return print_json(&json!({
            "reports": reports.len(), "cells": rows.len(), "released": rows.len() - primary - secondary,
            "primary": primary, "secondary": secondary, "rules": design.rules.version.to_string(),
        }));
    }
    print(&format!(
        "{} cells from {} reports under rules {}: {} released, {primary} kept back for what they say themselves, \
         {secondary} so that these cannot be worked out",
        rows.len(),
        reports.len(),
        design.rules.version,
        rows.len() - primary - secondary,
    ))
}

fn verify(file: &Path, report: Option<&Path>) -> anyhow::Result<()> {
    let content = json_of(file)?;
    let own: Option<Commitment> = match report {
        Some(path) => {
            let content = json_of(path)?;
            let commitment = Commitment::from_hex(text(&content, "/commitment"));
            Some(commitment.with_context(|| format!("{} has no commitment", path.display()))?)
        }
        None => None,
    };
    let (mut right, mut inside) = (0, Vec::new());
    for (index, value) in content
        .as_array()
        .with_context(|| format!("{} is no list of proofs", file.display()))?
        .iter()
        .enumerate()
    {
        let place = format!("{}[{index}]", file.display());
        let proof = Proof::read(value).map_err(|found| faults(&found, &place, Language::En))?;
        proof.verify().with_context(|| place.clone())?;
        right += 1;
        if own.as_ref().is_some_and(|own| proof.contains(own)) {
            inside.push(proof.cell.iter().map(Code::as_str).collect::<Vec<_>>().join(" "));
        }
    }
    let mut lines = vec![format!("{right} totals are the sums of what was committed")];
    if own.is_some() && inside.is_empty() {
        bail!("{}\nthe report is in none of them", lines.join("\n"));
    }
    lines.extend(inside.into_iter().map(|cell| format!("the report is in {cell}")));
    print(&lines.join("\n"))
}
