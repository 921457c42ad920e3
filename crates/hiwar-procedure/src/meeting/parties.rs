//! Who sits at the table, and in which languages it speaks.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_form::{Faults, Form, Language};
use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};

use crate::act::{Said, Void};
use crate::arrangement::{Arrangement, LanguageRule, Texts};

/// Longest code of a party, body, item or decision, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// The parties of an arrangement, or of a membership without one, with the languages they agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    codes: BTreeMap<Did, Code>,
    /// The bodies that may meet; empty means any.
    bodies: BTreeSet<String>,
    languages: LanguageRule,
}

/// A short name of a party, body, agenda item or decision: 1 to 64 letters, digits, points, hyphens, or for a
/// party of a membership without an arrangement its DID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(String);

impl Code {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no code; write 1 to 64 letters, digits, points and hyphens, such as KR or wg-1")]
pub struct CodeError(pub String);

impl std::str::FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let plain = !text.is_empty()
            && text.len() <= CODE_BYTES_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if plain || text.parse::<Did>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(CodeError(text.chars().take(80).collect()))
        }
    }
}

impl Parties {
    /// The parties that an arrangement names. A party whose code is none is called by its DID.
    pub fn of_arrangement(arrangement: &Arrangement) -> Self {
        let code = |party: &crate::arrangement::Party| {
            party.code.parse().unwrap_or_else(|_| Code(party.did.as_str().to_owned()))
        };
        Self {
            codes: arrangement.parties.iter().map(|party| (party.did.clone(), code(party))).collect(),
            bodies: arrangement.bodies.iter().map(|body| body.id.clone()).collect(),
            languages: arrangement.languages.clone(),
        }
    }

    /// The parties of a membership without an arrangement: each is called by its DID, and no language is
    /// required.
    pub fn of_members(parties: &[Did]) -> Self {
        Self {
            codes: parties.iter().map(|did| (did.clone(), Code(did.as_str().to_owned()))).collect(),
            bodies: BTreeSet::new(),
            languages: LanguageRule { required: Vec::new(), prevailing: None },
        }
    }

    /// The codes, in the order of the parties' DIDs.
    pub fn codes(&self) -> impl Iterator<Item = &Code> {
        self.codes.values()
    }

    /// All but one.
    pub fn others<'p>(&'p self, one: &'p Code) -> impl Iterator<Item = &'p Code> {
        self.codes().filter(move |code| *code != one)
    }

    /// Whether there is a party of this code.
    pub fn has(&self, code: &Code) -> bool {
        self.codes().any(|known| known == code)
    }

    /// The code of a participant.
    pub fn code_of(&self, did: &Did) -> Option<&Code> {
        self.codes.get(did)
    }

    /// The participant of a code.
    pub fn did_of(&self, code: &Code) -> Option<&Did> {
        self.codes.iter().find(|(_, known)| *known == code).map(|(did, _)| did)
    }

    /// The language whose text prevails, when one does.
    pub fn prevailing(&self) -> Option<&str> {
        self.languages.prevailing.as_deref()
    }

    /// The code of who says something.
    ///
    /// # Errors
    /// When it is no party.
    pub fn speaker(&self, said: &Said<'_>) -> Result<Code, Void> {
        self.code_of(said.author)
            .cloned()
            .ok_or_else(|| Void::with("agreed-no-party", &[("author", said.author.as_str())]))
    }

    /// Checks that a text is there in every language that the arrangement requires.
    ///
    /// # Errors
    /// The first language that is missing.
    pub(crate) fn must_be_in_all_languages(&self, texts: &Texts) -> Result<(), Void> {
        match self.languages.required.iter().find(|tag| !texts.contains_key(*tag)) {
            Some(language) => Err(Void::with("agreed-language-missing", &[("language", language)])),
            None => Ok(()),
        }
    }

    /// Checks that the arrangement has a body of this name.
    ///
    /// # Errors
    /// When it names bodies, and this is none of them.
    pub(crate) fn must_have_body(&self, body: &Code) -> Result<(), Void> {
        if self.bodies.is_empty() || self.bodies.contains(body.as_str()) {
            return Ok(());
        }
        let known = self.bodies.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(Void::with("agreed-no-such-body", &[("body", body.as_str()), ("known", &known)]))
    }

    /// A text in a language; where there is none, in the prevailing one, in English, or whichever there is.
    pub fn text_in<'t>(&self, texts: &'t Texts, language: Language) -> (&'t str, &'t str) {
        let prevailing = self.prevailing().unwrap_or("en");
        [language.as_str(), prevailing, "en"]
            .into_iter()
            .find_map(|tag| texts.get_key_value(tag))
            .or_else(|| texts.iter().next())
            .map_or(("", ""), |(tag, text)| (tag.as_str(), text.as_str()))
    }
}

/// Why content that cannot be read has no effect: its first fault.
pub(crate) fn unreadable(faults: &Faults) -> Void {
    let fault = faults.0.first();
    let field = fault.map(|fault| fault.place.field.clone()).unwrap_or_default();
    let number = faults.0.len().to_string();
    Void::with("agreed-unreadable", &[("field", &field), ("number", &number)])
}

/// A code that must be there.
pub(crate) fn code(form: &mut Form<'_>, name: &'static str) -> Option<Code> {
    form.parsed(name, "agreed-not-code")
}

/// Notes a fault when two items of a list have one name.
pub(crate) fn must_differ<'n>(form: &Form<'_>, list: &'static str, names: impl Iterator<Item = &'n Code>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            form.fault(&format!("{list}[{index}].id"), "agreed-id-twice", &[("found", name.as_str())]);
        }
    }
}
