//! Arrangements to start from, built from public texts.

use hiwar_form::{Document, Faults};
use hiwar_trust::did::Did;
use serde_json::{Value, json};

use super::{Arrangement, Owner, Texts, read};

/// An arrangement without its parties, in TOML. It is a starting point that the parties change and agree on; its
/// clocks name the texts that they are built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    id: &'static str,
    text: &'static str,
}

/// Why a template makes no arrangement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The result has faults, such as a party code that a clock names and nobody bears.
    #[error(
        "the template does not make an arrangement with these parties: {}",
        .0.say(&crate::MESSAGES, hiwar_form::Language::En)
    )]
    Faults(Faults),
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self { id: "ipef-crisis", text: include_str!("../../templates/ipef-crisis.toml") },
        Self { id: "rasff-alert", text: include_str!("../../templates/rasff-alert.toml") },
        Self {
            id: "korea-japan-directors",
            text: include_str!("../../templates/korea-japan-directors.toml"),
        },
        Self { id: "trilateral-ministers", text: include_str!("../../templates/trilateral-ministers.toml") },
        Self { id: "japan-eu", text: include_str!("../../templates/japan-eu.toml") },
    ];

    /// The template with this name.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.id == id)
    }

    /// Its name, which is the arrangement's `id` too.
    pub fn id(self) -> &'static str {
        self.id
    }

    /// Its text, in TOML with remarks.
    pub fn text(self) -> &'static str {
        self.text
    }

    /// The codes of parties that its clocks name, so that they must be among the parties.
    pub fn codes(self) -> Vec<String> {
        let clocks =
            Document::toml(None, self.text).ok().and_then(|found| found.value().get("clocks").cloned());
        let owners = clocks.iter().flat_map(|clocks| clocks.as_array().into_iter().flatten());
        let mut codes: Vec<String> = owners
            .filter_map(|clock| match clock.get("owner")?.as_str()?.parse() {
                Ok(Owner::Party(code)) => Some(code),
                _ => None,
            })
            .collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// The arrangement with these parties: code, participant, name.
    ///
    /// # Errors
    /// When the parties do not fit, such as too few or a name that lacks a language.
    pub fn fill(self, parties: &[(&str, Did, Texts)]) -> Result<Arrangement, TemplateError> {
        let mut value =
            Document::toml(Some(self.id), self.text).map_err(TemplateError::Faults)?.value().clone();
        let parties = parties
            .iter()
            .map(|(code, did, name)| json!({ "code": code, "did": did.as_str(), "name": name }))
            .collect();
        if let Value::Object(members) = &mut value {
            members.insert("parties".to_owned(), Value::Array(parties));
        }
        read(&Document::of(value)).map_err(TemplateError::Faults)
    }
}
