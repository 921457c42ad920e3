//! Whether an act may be done under an arrangement: by this party and desk, of this kind, with this marking, in
//! these languages, as an exercise.

use hiwar_dialogue::entry::{ActKind, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_trust::did::Did;

use super::{Arrangement, Scope};
use crate::act::{Said, Void};
use crate::status::Status;

/// How an act is named to people: its kind, and its own kind where it has one.
fn named(kind: ActKind, name: Option<&str>) -> String {
    name.map_or_else(|| kind.to_string(), |name| format!("{kind}:{name}"))
}

/// An act's own kind, such as `disruption-alert` of a notice.
pub(crate) fn own_kind<'h>(said: &Said<'h>) -> Option<&'h str> {
    match said.kind {
        ActKind::Notice => said.content.get("notice")?.as_str(),
        _ => None,
    }
}

fn any(scopes: &[Scope], kind: ActKind, name: Option<&str>) -> bool {
    scopes.iter().any(|scope| scope.covers(kind, name))
}

impl Arrangement {
    /// Whether `author` is a party, and its desk has a mandate for acts of this kind. A party that lists no desks
    /// lets every desk do everything; one that lists some lets no other desk act.
    ///
    /// # Errors
    /// Why not.
    pub fn mandate(&self, author: &Did, desk: &str, kind: ActKind, name: Option<&str>) -> Result<(), Void> {
        let party = self
            .party(author)
            .ok_or_else(|| Void::with("arrangement-void-party", &[("author", author.as_str())]))?;
        let may = |scopes: &[Scope]| any(scopes, kind, name);
        if party.desks.is_empty() || party.desks.iter().any(|known| known.name == desk && may(&known.may)) {
            return Ok(());
        }
        let able: Vec<&str> =
            party.desks.iter().filter(|desk| may(&desk.may)).map(|desk| desk.name.as_str()).collect();
        let arguments = [
            ("desk", desk),
            ("kind", &named(kind, name)),
            ("party", &party.code),
            ("able", &able.join(", ")),
        ];
        let code = if able.is_empty() { "arrangement-void-no-desk" } else { "arrangement-void-desk" };
        Err(Void::with(code, &arguments))
    }

    /// Whether acts of this kind may be done under it. The arrangement itself can always be renewed, and a step
    /// is judged as what it speaks about.
    ///
    /// # Errors
    /// Why not.
    pub fn allowed(&self, kind: ActKind, name: Option<&str>) -> Result<(), Void> {
        let always = matches!(kind, ActKind::Arrangement | ActKind::Step);
        if always || self.allows.is_empty() || any(&self.allows, kind, name) {
            return Ok(());
        }
        let allowed: Vec<String> = self.allows.iter().map(ToString::to_string).collect();
        let arguments = [("kind", named(kind, name)), ("allowed", allowed.join(", "))];
        Err(Void::with(
            "arrangement-void-kind",
            &arguments.each_ref().map(|(name, text)| (*name, text.as_str())),
        ))
    }

    /// Whether words are there in every required language. Words without any text are judged by what they belong
    /// to.
    ///
    /// # Errors
    /// The first language that lacks.
    pub fn languages(&self, words: &Words) -> Result<(), Void> {
        let lacking = self.languages.required.iter().find(|language| !words.texts.contains_key(*language));
        match lacking {
            Some(language) if !words.texts.is_empty() => {
                Err(Void::with("arrangement-void-language", &[("language", language)]))
            }
            _ => Ok(()),
        }
    }

    /// Whether a marking is within the cap.
    ///
    /// # Errors
    /// Why not.
    pub fn marking(&self, marking: Marking) -> Result<(), Void> {
        if marking <= self.marking.cap {
            return Ok(());
        }
        let arguments = [("marking", marking.as_str()), ("cap", self.marking.cap.as_str())];
        Err(Void::with("arrangement-void-marking", &arguments))
    }

    /// Whether something of this status may be said: exercises only where they are allowed.
    ///
    /// # Errors
    /// Why not.
    pub fn status(&self, status: Status) -> Result<(), Void> {
        if status != Status::Exercise || self.exercise.allowed {
            return Ok(());
        }
        Err(Void::plain("arrangement-void-exercise"))
    }

    /// Whether a second desk must release acts of this kind before they leave.
    pub fn needs_four_eyes(&self, kind: ActKind, name: Option<&str>) -> bool {
        any(&self.four_eyes, kind, name)
    }

    /// Whether `second` may release what `first` wrote: another desk of the same party with the same mandate.
    ///
    /// # Errors
    /// Why not.
    pub fn release(
        &self,
        author: &Did,
        (first, second): (&str, &str),
        kind: ActKind,
        name: Option<&str>,
    ) -> Result<(), Void> {
        if first == second && self.needs_four_eyes(kind, name) {
            return Err(Void::with(
                "arrangement-void-four-eyes",
                &[("kind", &named(kind, name)), ("desk", first)],
            ));
        }
        self.mandate(author, second, kind, name)
    }

    /// Whether an act may be done where it stands, as far as the arrangement says. The kind of a step is that of
    /// what it speaks about, which the caller knows: `about`, with that act's own kind.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn permits(&self, said: &Said<'_>, about: Option<(ActKind, Option<&str>)>) -> Result<(), Void> {
        let (kind, name) = about.unwrap_or_else(|| (said.kind, own_kind(said)));
        self.allowed(kind, name)?;
        self.mandate(said.author, said.desk, kind, name)?;
        self.marking(said.marking)?;
        self.languages(said.words)
    }
}
