//! Questions to the register.

use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_form::Language;
use hiwar_measure::query::{
    Answer, Asked, Filter, Governing as Found, Matched, Notice, Question, Ruling, Version, governing,
    timeline, touches,
};
use hiwar_measure::{Country, Edition, ItemId, MeasureId, Register, TariffCode};
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Format, RegisterArgs, Rows, measure};
use crate::radar::today;

/// What governed an item
#[derive(Debug, clap::Args)]
pub(crate) struct Governing {
    /// A customs code (with --edition), an entry of a control list (with --control), or the name of an item
    item: String,
    /// The country that the goods leave
    #[arg(long)]
    from: Country,
    /// The country that they go to
    #[arg(long)]
    to: Country,
    /// The day [default: today]
    #[arg(long)]
    on: Option<Date>,
    /// The item is a customs code of this edition of the Harmonized System, such as HS2017
    #[arg(long, conflicts_with = "control")]
    edition: Option<Edition>,
    /// Who gave the digits behind the sixth [default: the country of --from]
    #[arg(long, requires = "edition")]
    of: Option<Country>,
    /// The item is an entry of a control list
    #[arg(long)]
    control: bool,
    /// Only this control list
    #[arg(long, requires = "control")]
    list: Option<String>,
    /// Only what was published by this day
    #[arg(long)]
    known_on: Option<Date>,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Governing {
    fn asked(&self) -> anyhow::Result<Asked> {
        if let Some(edition) = self.edition {
            let code = TariffCode::new(Some(self.of.unwrap_or(self.from)), edition, &self.item)?;
            return Ok(Asked::Tariff(code));
        }
        if self.control {
            return Ok(Asked::Control { list: self.list.clone(), code: self.item.clone() });
        }
        anyhow::ensure!(
            !self.item.starts_with(|c: char| c.is_ascii_digit()),
            "{} looks like a code; say of which edition with --edition HS2017, or that it is one of a control list with --control",
            self.item
        );
        Ok(Asked::Item(self.item.parse()?))
    }

    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = known(self.register.open()?, self.known_on);
        let day = self.on.map_or_else(today, Ok)?;
        let question = Question { item: self.asked()?, from: self.from, to: self.to, day };
        let answer = governing(&register, &question);
        let mut rows = Vec::new();
        for found in &answer.governing {
            let language = self.register.language;
            rows.push(row(found, &found.ruling, language, String::new()));
            for other in &found.otherwise {
                let claims = other.claims.iter().map(|claim| format!("{} {}", claim.field, claim.value));
                let claims: Vec<String> = claims.collect();
                let by = format!("{}: {}", other.source.publisher, claims.join(", "));
                rows.push(row(found, &other.ruling, language, by));
            }
        }
        let head = ["MEASURE", "ITEM", "STANDING", "STATE", "SINCE", "OTHERWISE BY"];
        Rows { head, rows, json: answer_json(&answer) }.show(self.format)?;
        if self.format == Format::Table {
            notes(&answer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn known(register: Register, day: Option<Date>) -> Register {
    let Some(day) = day else { return register };
    let known = register.known_on(day);
    if known.undated > 0 {
        eprintln!("Left out: {} claims whose source has no date", known.undated);
    }
    known.register
}

fn standing(ruling: &Ruling<'_>) -> String {
    serde_json::to_value(ruling.standing).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn row(found: &Found<'_>, ruling: &Ruling<'_>, language: Language, by: String) -> [String; 6] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        found.measure.id.to_string(),
        found.item.map_or_else(|| "all goods".to_owned(), |item| item.id.to_string()),
        standing(ruling),
        or_dash(ruling.state.map(|state| state.title.say(language).to_owned())),
        or_dash(ruling.since.map(|since| since.to_string())),
        by,
    ]
}

/// Beside the table, on standard error: what the answer rests on and what it does not say.
fn notes(answer: &Answer<'_>) {
    for other in &answer.other_editions {
        let (measure, item, code) = (&other.measure.id, &other.item.id, other.code);
        eprintln!("Not counted: {measure} has {item} under {code}; the edition is another one");
    }
    for found in &answer.governing {
        for disputed in &found.disputed {
            let versions =
                [disputed.claims.shown].into_iter().chain(disputed.claims.conflicting.iter().copied());
            let versions: Vec<String> = versions
                .map(|claim| format!("{:?} ({})", claim.value.to_string(), claim.source.publisher))
                .collect();
            eprintln!("Versions of {} {}: {}", found.measure.id, disputed.field, versions.join(" against "));
        }
    }
}

fn ruling_json(ruling: &Ruling<'_>) -> Value {
    json!({ "standing": ruling.standing, "state": ruling.state, "since": ruling.since })
}

fn answer_json(answer: &Answer<'_>) -> Value {
    let matched = |matched: &Matched<'_>| match matched {
        Matched::Tariff { code, overlap } => json!({ "by": "tariff", "code": code, "overlap": overlap }),
        Matched::Control => json!({ "by": "control" }),
        Matched::Name => json!({ "by": "name" }),
        Matched::AllGoods => json!({ "by": "all-goods" }),
    };
    let governing = answer.governing.iter().map(|found| {
        let otherwise: Vec<Value> = found
            .otherwise
            .iter()
            .map(|other| json!({ "source": other.source, "claims": other.claims, "ruling": ruling_json(&other.ruling) }))
            .collect();
        let disputed: Vec<Value> = found
            .disputed
            .iter()
            .map(
                |d| json!({ "field": d.field, "shown": d.claims.shown, "conflicting": d.claims.conflicting }),
            )
            .collect();
        json!({ "measure": found.measure.id, "item": found.item.map(|item| &item.id),
            "matched": matched(&found.matched), "ruling": ruling_json(&found.ruling),
            "otherwise": otherwise, "disputed": disputed })
    });
    let editions = answer
        .other_editions
        .iter()
        .map(|other| json!({ "measure": other.measure.id, "item": other.item.id, "code": other.code }));
    json!({ "governing": governing.collect::<Vec<_>>(), "other_editions": editions.collect::<Vec<_>>() })
}

/// The codes of a measure
#[derive(Debug, clap::Args)]
pub(crate) struct Touches {
    /// The measure
    id: String,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Touches {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = self.register.open()?;
        let measure = measure(&register, &self.id)?;
        let mut rows = Vec::new();
        let mut json = Vec::new();
        for touched in touches(measure) {
            let notices: Vec<String> = touched.notices.iter().map(notice).collect();
            let code = &touched.listed.code;
            json.push(json!({ "item": touched.item.id, "code": touched.listed, "notices": notices }));
            rows.push([
                touched.item.id.to_string(),
                code.jurisdiction().map_or_else(|| "HS".to_owned(), |country| country.to_string()),
                code.edition().to_string(),
                code.digits().to_owned(),
                notices.join("; "),
            ]);
        }
        Rows { head: ["ITEM", "OF", "EDITION", "CODE", "MIND"], rows, json: Value::Array(json) }
            .show(self.format)?;
        for item in measure.items.iter().filter(|item| item.tariff_codes.is_empty()) {
            eprintln!("No code is known of {}", item.id);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn notice(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Basket => "basket: other goods are under it too".to_owned(),
        Notice::SharedWith(others) => {
            let others: Vec<&str> = others.iter().map(|id| id.as_str()).collect();
            format!("shared with {}", others.join(", "))
        }
        Notice::PartByThreshold => "only goods within the thresholds".to_owned(),
        Notice::Unverified => "not checked".to_owned(),
    }
}

/// What happened when
#[derive(Debug, clap::Args)]
pub(crate) struct Timeline {
    /// Only this measure
    #[arg(long)]
    measure: Option<MeasureId>,
    /// Only measures of this country
    #[arg(long)]
    jurisdiction: Option<Country>,
    /// Only measures with this item
    #[arg(long)]
    item: Option<ItemId>,
    /// Only from this day on
    #[arg(long)]
    since: Option<Date>,
    /// Only until this day
    #[arg(long)]
    until: Option<Date>,
    /// Only what was published by this day
    #[arg(long)]
    known_on: Option<Date>,
    #[command(flatten)]
    register: RegisterArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Timeline {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let register = known(self.register.open()?, self.known_on);
        let filter = Filter {
            measure: self.measure,
            jurisdiction: self.jurisdiction,
            item: self.item,
            from: self.since,
            to: self.until,
        };
        if let Some(id) = &filter.measure {
            register
                .measure(id)
                .with_context(|| format!("there is no measure {id}; `hiwar measure list` names them"))?;
        }
        let found = timeline(&register, &filter);
        let rows = found.iter().map(|row| {
            let how = match (row.version, row.conflicting) {
                (Version::Shown, 0) => "shown".to_owned(),
                (Version::Shown, n) => format!("shown; {n} otherwise"),
                (Version::Agrees, _) => "agrees".to_owned(),
                (Version::Conflicts, _) => "conflicts".to_owned(),
            };
            [
                row.when.to_string(),
                row.measure.id.to_string(),
                row.claim.field.to_string(),
                how,
                row.claim.source.checked.as_str().to_owned(),
                row.claim.source.publisher.clone(),
            ]
        });
        let json: Vec<Value> = found
            .iter()
            .map(|row| {
                json!({ "when": row.when, "measure": row.measure.id, "claim": row.claim, "version": row.version,
                    "conflicting": row.conflicting })
            })
            .collect();
        let head = ["WHEN", "MEASURE", "WHAT", "VERSION", "CHECKED", "SOURCE"];
        Rows { head, rows: rows.collect(), json: Value::Array(json) }.show(self.format)?;
        Ok(ExitCode::SUCCESS)
    }
}
