//! `hiwar arrangement …`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_dialogue::entry::ActKind;
use hiwar_form::Language;
use hiwar_procedure::arrangement::{Arrangement, Template, Texts, read};
use hiwar_trust::did::Did;
use serde_json::{Value, json};

use super::{Outgoing, ReadingArgs, SendArgs, about, form, in_language, procedures, send};
use crate::commands::dialogue::dialogue_id;
use crate::commands::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, block_on};

/// The agreed text that governs a dialogue: parties, bodies, clocks, markings, languages
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ArrangementCommand {
    /// List the shipped templates
    Templates,
    /// Print a template, or fill in its parties
    Template {
        /// Its name
        name: String,
        /// A party, as CODE=DID=NAME, such as KR=did:web:motie.example="Ministry A"; may be repeated
        #[arg(long = "party", value_name = "CODE=DID=NAME")]
        parties: Vec<String>,
    },
    /// Check a text without a node
    Check {
        /// The text, in TOML or JSON
        file: PathBuf,
        #[command(flatten)]
        reading: ReadingArgs,
    },
    /// Propose the first or the next version; it is in force when every party has assented
    Propose {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        /// The text, in TOML or JSON
        file: PathBuf,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Assent to a proposal
    Assent {
        /// The proposal
        proposal: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Decline a proposal
    Refuse {
        /// The proposal
        proposal: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Hand over what a clock asks for by name
    Deliver {
        /// The arrangement's proposal, or the notice or meeting that it is about
        about: String,
        /// The name, such as critical-goods
        what: String,
        #[command(flatten)]
        sending: SendArgs,
    },
    /// Show what governs a dialogue
    Show {
        /// The dialogue (its first digits are enough)
        dialogue: String,
        #[command(flatten)]
        reading: ReadingArgs,
    },
}

impl ArrangementCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.execute())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Templates => {
                let names: Vec<&str> = Template::ALL.iter().map(|template| template.id()).collect();
                print(&names.join("\n"))
            }
            Self::Template { name, parties } => {
                let template = Template::named(&name);
                let template = template.with_context(|| {
                    format!("there is no template {name:?}; `hiwar arrangement templates` lists them")
                })?;
                if parties.is_empty() {
                    return print(template.text().trim_end());
                }
                let parties = parties.iter().map(|one| party(one)).collect::<anyhow::Result<Vec<_>>>()?;
                let parties: Vec<(&str, Did, Texts)> = parties
                    .iter()
                    .map(|(code, did, name)| (code.as_str(), did.clone(), name.clone()))
                    .collect();
                print(template.fill(&parties)?.to_toml().trim_end())
            }
            Self::Check { file, reading } => {
                let arrangement = arrangement(&file, reading.language)?;
                print(&format!(
                    "{}: {} version {}, no fault",
                    file.display(),
                    arrangement.id,
                    arrangement.version
                ))
            }
            Self::Propose { dialogue, file, sending } => {
                let content = Value::Object(arrangement(&file, sending.reading.language)?.to_content());
                let client = ApiClient::of(&sending.reading.node)?;
                let dialogue = dialogue_id(&client, &dialogue).await?;
                let state = procedures(&client, &dialogue).await?;
                let before = list(&state, "/arrangement/in-force").last();
                let of = before.map(|version| text(version, "/proposal").to_owned());
                send(&client, &sending, Outgoing { kind: ActKind::Arrangement, dialogue, of, content }).await
            }
            Self::Assent { proposal, sending } => {
                about(&proposal, ActKind::Step, json!({ "step": "assent" }), &sending).await
            }
            Self::Refuse { proposal, sending } => {
                about(&proposal, ActKind::Step, json!({ "step": "refuse" }), &sending).await
            }
            Self::Deliver { about: of, what, sending } => {
                about(&of, ActKind::Step, json!({ "step": "deliver", "what": what }), &sending).await
            }
            Self::Show { dialogue, reading } => show(&dialogue, &reading).await,
        }
    }
}

fn party(given: &str) -> anyhow::Result<(String, Did, Texts)> {
    let wrong =
        || format!("--party {given:?}: write CODE=DID=NAME, such as KR=did:web:motie.example=\"Ministry A\"");
    let mut parts = given.splitn(3, '=');
    let (Some(code), Some(did), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!(wrong());
    };
    let did: Did = did.parse().with_context(wrong)?;
    // A name of its own is the same in all languages, until somebody writes it in the file.
    let name = Language::ALL.into_iter().map(|language| (language.to_string(), name.to_owned())).collect();
    Ok((code.to_owned(), did, name))
}

fn arrangement(file: &std::path::Path, language: Language) -> anyhow::Result<Arrangement> {
    read(&form(file, language)?)
        .map_err(|faults| anyhow::anyhow!(faults.say(&hiwar_procedure::MESSAGES, language)))
}

async fn show(dialogue: &str, reading: &ReadingArgs) -> anyhow::Result<()> {
    let client = ApiClient::of(&reading.node)?;
    let state = procedures(&client, dialogue).await?;
    if reading.node.format == Format::Json {
        return print_json(&state["arrangement"]);
    }
    let mut lines = Vec::new();
    match list(&state, "/arrangement/in-force").last() {
        None => lines.push("no arrangement is in force".to_owned()),
        Some(version) => {
            let arrangement = &version["arrangement"];
            lines.push(in_language(&arrangement["title"], reading.language).to_owned());
            lines.push(format!(
                "{} version {}, in force since {}; marking up to {}; days in {}",
                text(arrangement, "/id"),
                arrangement["version"],
                text(version, "/at"),
                text(arrangement, "/marking/cap"),
                text(arrangement, "/time/zone"),
            ));
            let mut rows = vec![["PARTY", "DID", "NAME"].map(str::to_owned).to_vec()];
            for party in list(arrangement, "/parties") {
                let name = in_language(&party["name"], reading.language).to_owned();
                rows.push(vec![text(party, "/code").to_owned(), text(party, "/did").to_owned(), name]);
            }
            lines.push(table(&rows));
            let mut rows =
                vec![["CLOCK", "STARTS", "ENDS", "WITHIN", "SOURCE", "WHAT"].map(str::to_owned).to_vec()];
            for clock in list(arrangement, "/clocks") {
                let source = [text(clock, "/source/title"), text(clock, "/source/clause")].join(" ");
                rows.push(vec![
                    text(clock, "/id").to_owned(),
                    text(clock, "/starts").to_owned(),
                    text(clock, "/ends").to_owned(),
                    text(clock, "/due/within").to_owned(),
                    source.trim().to_owned(),
                    in_language(&clock["title"], reading.language).to_owned(),
                ]);
            }
            lines.push(table(&rows));
        }
    }
    for proposal in list(&state, "/arrangement/proposals") {
        let state = text(proposal, "/state/state");
        if state != "in-force" {
            let missing: Vec<&str> =
                list(proposal, "/state/missing").iter().filter_map(Value::as_str).collect();
            let waits = if missing.is_empty() {
                String::new()
            } else {
                format!(", waits for {}", missing.join(", "))
            };
            lines.push(format!(
                "proposal {}: version {} by {}, {state}{waits}",
                text(proposal, "/entry"),
                proposal["arrangement"]["version"],
                text(proposal, "/author"),
            ));
        }
    }
    print(&lines.join("\n"))
}
