//! The script: real facts of the semiconductor-materials dispute, told by fictional desks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, ensure};
use hiwar_dialogue::entry::Texts;
use hiwar_dialogue::marking::Marking;
use hiwar_form::Language;
use serde::{Deserialize, Serialize};

/// The script's file.
const SCRIPT: &str = include_str!("../../../../data/demo/semiconductor-materials-2019-2023.toml");
/// The files that steps hand over, by name.
const FILES: &[(&str, &str)] = &[
    (
        "japan-hydrogen-fluoride-exports-to-korea-2019-07.csv",
        include_str!("../../../../data/demo/japan-hydrogen-fluoride-exports-to-korea-2019-07.csv"),
    ),
    (super::contract::TABLE, include_str!("../../../../data/demo/korea-imports-2019-07.csv")),
];

/// One of the three parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Party {
    /// The Korean ministry.
    Motie,
    /// The Japanese ministry.
    Meti,
    /// The industry association.
    Association,
}

impl Party {
    pub(super) const ALL: [Self; 3] = [Self::Motie, Self::Meti, Self::Association];

    /// The other two.
    pub(super) fn others(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |p| *p != self)
    }

    /// The name of its folder and of its files.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Motie => "motie",
            Self::Meti => "meti",
            Self::Association => "association",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Motie => "MOTIE",
            Self::Meti => "METI",
            Self::Association => "the association",
        })
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Says something, perhaps with a file.
    Statement,
    /// Puts an own step right.
    Correction,
    /// Takes an own step back.
    Withdrawal,
    /// Contradicts another party's step.
    Dispute,
    /// Takes note of another party's step.
    Acknowledgement,
}

impl Kind {
    /// The local API's name of the action.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Statement => "say",
            Self::Correction => "correct",
            Self::Withdrawal => "withdraw",
            Self::Dispute => "dispute",
            Self::Acknowledgement => "ack",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Correction => "correction",
            Self::Withdrawal => "withdrawal",
            Self::Dispute => "dispute",
            Self::Acknowledgement => "acknowledgement",
        }
    }
}

/// Where a fact is from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    pub(super) tag: Tag,
}

/// How near a source is to the fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tag {
    /// The text of the authority itself was read.
    Primary,
    /// A page or report about it was read.
    Secondary,
}

/// One thing that a desk says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) id: String,
    /// The day that it recounts, YYYY-MM-DD.
    pub(super) date: String,
    pub(super) speaker: Party,
    pub(super) desk: String,
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) about: Option<String>,
    pub(super) marking: Marking,
    pub(super) prevailing: String,
    pub(super) sources: Vec<String>,
    #[serde(default)]
    pub(super) attachment: Option<String>,
    pub(super) texts: Texts,
}

impl Step {
    /// Its text in a language.
    pub(super) fn text(&self, language: Language) -> &str {
        self.texts.get(language.as_str()).map_or("", String::as_str)
    }
}

/// A node that is killed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    pub(super) party: Party,
    /// Its last step before, during whose delivery it is killed.
    pub(super) at: String,
    /// Another party's step that is on its way at the same time.
    pub(super) alongside: String,
    /// The step before which it is back.
    pub(super) until: String,
}

/// A node that is cut off from the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cut {
    pub(super) party: Party,
    /// The first step that is said during the cut.
    pub(super) from: String,
    /// The first step that is said after it.
    pub(super) until: String,
}

/// Two versions of one matter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contradiction {
    pub(super) one: String,
    pub(super) other: String,
}

/// Where one byte of the dossier is changed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flip {
    pub(super) step: String,
    /// Digits in its English text, of which the first is changed.
    pub(super) digits: String,
}

/// All of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    pub(super) arrangement: String,
    pub(super) cap: Marking,
    pub(super) title: Texts,
    pub(super) kill: Kill,
    pub(super) cut: Cut,
    pub(super) contradiction: Contradiction,
    pub(super) flip: Flip,
    pub(super) sources: BTreeMap<String, Source>,
    #[serde(rename = "step")]
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// Reads the script that is built in.
    pub(super) fn read() -> anyhow::Result<Self> {
        let script: Self = toml::from_str(SCRIPT).context("the script")?;
        script.check()?;
        Ok(script)
    }

    /// The step with this name.
    pub(super) fn step(&self, id: &str) -> anyhow::Result<&Step> {
        self.steps.iter().find(|s| s.id == id).with_context(|| format!("the script has no step {id:?}"))
    }

    /// Its position among the steps.
    pub(super) fn position(&self, id: &str) -> anyhow::Result<usize> {
        self.steps.iter().position(|s| s.id == id).with_context(|| format!("the script has no step {id:?}"))
    }

    /// The desks that speak for a party.
    pub(super) fn desks(&self, party: Party) -> BTreeSet<&str> {
        self.steps.iter().filter(|s| s.speaker == party).map(|s| s.desk.as_str()).collect()
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut before: BTreeMap<&str, &Step> = BTreeMap::new();
        let mut last = "";
        for step in &self.steps {
            self.check_step(step, &before).with_context(|| format!("step {:?}", step.id))?;
            ensure!(step.date.as_str() >= last, "step {:?} is dated before the one above it", step.id);
            last = &step.date;
            before.insert(&step.id, step);
        }
        ensure!(before.len() == self.steps.len(), "two steps have one name");
        let kill = &self.kill;
        let (at, until) = (self.position(&kill.at)?, self.position(&kill.until)?);
        ensure!(self.step(&kill.at)?.speaker == kill.party, "kill.at is said by another party");
        ensure!(self.position(&kill.alongside)? + 1 == at, "kill.alongside must stand just above kill.at");
        let down = self.steps.get(at + 1..until).unwrap_or_default();
        ensure!(!down.is_empty() && down.iter().all(|s| s.speaker != kill.party), "a dead node cannot speak");
        let (from, end) = (self.position(&self.cut.from)?, self.position(&self.cut.until)?);
        ensure!(until <= from && from < end, "kill and cut must follow each other");
        let during: BTreeSet<bool> = self
            .steps
            .get(from..end)
            .unwrap_or_default()
            .iter()
            .map(|s| s.speaker == self.cut.party)
            .collect();
        ensure!(during.len() == 2, "both sides of the cut must speak during it");
        let Contradiction { one, other } = &self.contradiction;
        let (one, other) = (self.step(one)?, self.step(other)?);
        ensure!(other.kind == Kind::Dispute && other.about.as_ref() == Some(&one.id), "no contradiction");
        ensure!(
            self.step(&self.flip.step)?.text(Language::En).contains(&self.flip.digits),
            "flip.digits are not in the text"
        );
        Ok(())
    }

    fn check_step(&self, step: &Step, before: &BTreeMap<&str, &Step>) -> anyhow::Result<()> {
        let _: jiff::civil::Date = step.date.parse().context("the date")?;
        for language in Language::ALL {
            ensure!(!step.text(language).trim().is_empty(), "there is no text in {}", language.as_str());
        }
        ensure!(step.texts.len() == Language::ALL.len(), "it has a text in a language that others lack");
        ensure!(step.texts.contains_key(&step.prevailing), "the prevailing language has no text");
        ensure!(!step.sources.is_empty(), "it names no source");
        for source in &step.sources {
            ensure!(self.sources.contains_key(source), "its source {source:?} is not described");
        }
        ensure!(step.marking <= self.cap, "its marking is above the cap");
        if let Some(name) = &step.attachment {
            ensure!(
                step.kind == Kind::Statement && file(name).is_some(),
                "the file {name:?} is not built in"
            );
        }
        let Some(about) = &step.about else {
            ensure!(step.kind == Kind::Statement, "it does not say which step it is about");
            return Ok(());
        };
        let about = before.get(about.as_str()).context("the step it is about does not stand above it")?;
        ensure!(step.marking == about.marking, "its marking differs from that of the step it is about");
        let own = about.speaker == step.speaker;
        let fits = match step.kind {
            Kind::Statement => false,
            Kind::Correction | Kind::Withdrawal => own,
            Kind::Dispute | Kind::Acknowledgement => !own,
        };
        ensure!(fits, "this party cannot do that to the step it is about");
        Ok(())
    }
}

/// The content of a file that a step hands over.
pub(super) fn file(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, content)| *content)
}

#[cfg(test)]
mod tests {
    use hiwar_trust::hash::Hash;

    use super::*;

    const SOURCE: &str = include_str!("../../../../data/demo/SOURCE.md");

    #[test]
    fn every_step_has_all_languages_a_source_a_date_in_order_and_a_target_that_exists() {
        let script = Script::read().unwrap();
        assert!((20..=30).contains(&script.steps.len()));
        for kind in
            [Kind::Statement, Kind::Correction, Kind::Withdrawal, Kind::Dispute, Kind::Acknowledgement]
        {
            assert!(script.steps.iter().any(|s| s.kind == kind), "{kind:?}");
        }
        let used: BTreeSet<&String> = script.steps.iter().flat_map(|s| &s.sources).collect();
        assert_eq!(used, script.sources.keys().collect(), "every source that is described is used");
    }

    #[test]
    fn every_text_names_its_day_and_its_source() {
        let script = Script::read().unwrap();
        for step in &script.steps {
            let date: jiff::civil::Date = step.date.parse().unwrap();
            for (tag, text) in &step.texts {
                let year = date.year().to_string();
                assert!(text.contains(&year) && text.contains(&date.day().to_string()), "{} {tag}", step.id);
                assert!(text.ends_with(')') || text.ends_with('\u{FF09}'), "{} {tag}", step.id);
            }
        }
    }

    #[test]
    fn texts_are_written_in_the_script_of_their_language() {
        let in_range = |tag: &str, c: char| match tag {
            "ko" => ('\u{AC00}'..='\u{D7A3}').contains(&c),
            "ja" => ('\u{3041}'..='\u{30FF}').contains(&c),
            "ar" => ('\u{0621}'..='\u{064A}').contains(&c),
            _ => c.is_ascii_alphabetic(),
        };
        for step in Script::read().unwrap().steps {
            for (tag, text) in &step.texts {
                let own = text.chars().filter(|c| in_range(tag, *c)).count();
                assert!(own * 8 > text.chars().count(), "{} {tag}: {own} letters", step.id);
            }
        }
    }

    #[test]
    fn the_note_on_sources_names_the_very_files_and_every_source() {
        for (name, content) in FILES.iter().chain(&[("semiconductor-materials-2019-2023.toml", SCRIPT)]) {
            let line = format!("| `{name}` | `{}` |", Hash::of(content.as_bytes()));
            assert!(SOURCE.contains(&line), "SOURCE.md should have the line {line}");
        }
        let script = Script::read().unwrap();
        for step in &script.steps {
            assert!(SOURCE.contains(&format!("| `{}` |", step.id)), "SOURCE.md says nothing of {}", step.id);
        }
    }

    #[test]
    fn a_script_that_contradicts_itself_is_refused() {
        for (right, wrong) in [
            ("date = \"2019-08-07\"", "date = \"2019-08-32\""),
            ("date = \"2019-08-07\"", "date = \"2019-06-07\""),
            ("about = \"hydrogen-fluoride-meti\"", "about = \"no-such-step\""),
            ("about = \"hydrogen-fluoride-meti\"", "about = \"wto-request\""),
            ("sources = [\"jiji-2019-11-22\"]", "sources = []"),
            ("sources = [\"jiji-2019-11-22\"]", "sources = [\"no-such-source\"]"),
            ("until = \"hydrogen-fluoride-meti\"", "until = \"five-approvals\""),
            ("digits = \"479\"", "digits = \"999\""),
        ] {
            let script: Script = toml::from_str(&SCRIPT.replacen(right, wrong, 1)).unwrap();
            assert!(SCRIPT.contains(right) && script.check().is_err(), "{wrong}");
        }
    }
}
