//! The short form of terms, and the policy that it stands for.

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::instant::{Length, read as read_instant, read_day};
use super::place::{Place, find};
use super::terms::{Terms, TermsError};
use super::{Action, Constraint, LeftOperand, LogicalKind, Operator, PROFILE, Policy, RightOperand, Rule};

/// The short form; see the module `terms`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Short {
    permit: Permit,
    #[serde(default)]
    forbid: Texts,
    #[serde(default)]
    oblige: Oblige,
    marking: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permit {
    r#use: Use,
    distribute: Option<Who>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Use {
    participants: Texts,
    groups: Texts,
    countries: Texts,
    purposes: Texts,
    except: Who,
    from: Option<String>,
    until: Option<String>,
    within: Option<String>,
    count: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Who {
    participants: Texts,
    groups: Texts,
    countries: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Oblige {
    delete_after: Option<String>,
    delete_by: Option<String>,
}

/// A list of texts, or one text that stands for a list of one.
#[derive(Debug, Default)]
struct Texts(Option<Vec<String>>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Texts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of texts, such as [\"KR\", \"JP\"]")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(Some(vec![text.to_owned()])))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(Some(texts)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Builds the policy and remembers where each part of it came from.
struct Builder<'t> {
    text: &'t str,
    places: Vec<(String, Place)>,
}

impl Builder<'_> {
    fn place(&self, field: &str) -> Place {
        find(self.text, field).unwrap_or_else(|| Place { line: 1, column: 1, field: field.to_owned() })
    }

    fn came_from(&mut self, path: String, field: &str) {
        let place = self.place(field);
        self.places.push((path, place));
    }

    fn wrong<T>(&self, field: &str, problem: String, mend: &str) -> Result<T, TermsError> {
        Err(TermsError::Short { place: self.place(field), problem, mend: mend.to_owned() })
    }

    /// The texts of a member; an empty list would permit nobody, so it is asked about.
    fn texts(&self, field: &str, texts: Texts) -> Result<Option<Vec<String>>, TermsError> {
        match texts.0 {
            Some(texts) if texts.is_empty() => self.wrong(
                field,
                "the list is empty".to_owned(),
                "name at least one, or leave the member out",
            ),
            Some(texts) if texts.iter().any(|text| text.trim().is_empty()) => {
                self.wrong(field, "a text is empty".to_owned(), "write it, or take it out of the list")
            }
            texts => Ok(texts),
        }
    }

    /// One comparison with the values of `field`, if it is there. A single value is compared with `eq` or
    /// `neq`, which more connectors know than the operators on sets.
    fn names(
        &self,
        operand: LeftOperand,
        operator: Operator,
        field: &str,
        texts: Texts,
    ) -> Result<Option<Constraint>, TermsError> {
        let Some(mut texts) = self.texts(field, texts)? else { return Ok(None) };
        let single = match operator {
            Operator::IsAnyOf => Some(Operator::Eq),
            Operator::IsNoneOf => Some(Operator::Neq),
            _ => None,
        };
        let (operator, right) = match (single, texts.len()) {
            (Some(single), 1) => (single, RightOperand::one(texts.remove(0))),
            _ => (operator, RightOperand::many(texts)),
        };
        Ok(Some(Constraint::atomic(operand, operator, right)))
    }

    /// The comparisons of `who` under `field`, with the member that each comes from.
    fn who(
        &self,
        who: Who,
        field: &str,
        operator: &Operator,
    ) -> Result<Vec<(Constraint, String)>, TermsError> {
        let lists = [
            (LeftOperand::Participant, "participants", who.participants),
            (LeftOperand::Group, "groups", who.groups),
            (LeftOperand::Country, "countries", who.countries),
        ];
        let mut found = Vec::new();
        for (operand, name, texts) in lists {
            let field = format!("{field}.{name}");
            if let Some(constraint) = self.names(operand, operator.clone(), &field, texts)? {
                found.push((constraint, field));
            }
        }
        Ok(found)
    }

    /// A time limit: a day in UTC, whose first instant or that of the day after counts, or a time.
    fn time(&self, field: &str, text: &str, after: bool) -> Result<RightOperand, TermsError> {
        let at = match read_day(text) {
            Some((first, next)) => Ok(if after { next } else { first }),
            None => read_instant(text),
        };
        match at {
            Ok(at) => Ok(RightOperand::one(at.to_string())),
            Err(mend) => self.wrong(
                field,
                format!("{text:?} is neither a day nor a time"),
                &format!("write 2027-03-31, or {mend}"),
            ),
        }
    }

    fn length(&self, field: &str, text: String) -> Result<RightOperand, TermsError> {
        match Length::read(&text) {
            Ok(_) => Ok(RightOperand::one(text)),
            Err(mend) => self.wrong(field, format!("{text:?} is not a length of time"), mend),
        }
    }

    fn permission(&mut self, terms: Use, marking: Option<String>) -> Result<Rule, TermsError> {
        let mut all: Vec<(Constraint, String)> = Vec::new();
        let at = |name: &str| format!("permit.use.{name}");
        let listed =
            self.names(LeftOperand::Participant, Operator::IsAnyOf, &at("participants"), terms.participants)?;
        let member = self.names(LeftOperand::Group, Operator::IsAnyOf, &at("groups"), terms.groups)?;
        match (listed, member) {
            (Some(listed), Some(member)) => {
                all.push((Constraint::logical(LogicalKind::Or, vec![listed, member]), at("participants")));
            }
            (listed, member) => {
                all.extend(listed.map(|one| (one, at("participants"))));
                all.extend(member.map(|one| (one, at("groups"))));
            }
        }
        let countries =
            self.names(LeftOperand::Country, Operator::IsAnyOf, &at("countries"), terms.countries)?;
        all.extend(countries.map(|one| (one, at("countries"))));
        let purposes =
            self.names(LeftOperand::Purpose, Operator::IsAnyOf, &at("purposes"), terms.purposes)?;
        all.extend(purposes.map(|one| (one, at("purposes"))));
        all.extend(self.who(terms.except, &at("except"), &Operator::IsNoneOf)?);
        if let Some(from) = terms.from {
            let right = self.time(&at("from"), &from, false)?;
            all.push((Constraint::atomic(LeftOperand::DateTime, Operator::Gteq, right), at("from")));
        }
        if let Some(until) = terms.until {
            let right = self.time(&at("until"), &until, true)?;
            all.push((Constraint::atomic(LeftOperand::DateTime, Operator::Lt, right), at("until")));
        }
        if let Some(within) = terms.within {
            let right = self.length(&at("within"), within)?;
            all.push((Constraint::atomic(LeftOperand::ElapsedTime, Operator::Lteq, right), at("within")));
        }
        if let Some(count) = terms.count {
            let right = RightOperand::one(count.to_string());
            all.push((Constraint::atomic(LeftOperand::Count, Operator::Lteq, right), at("count")));
        }
        if let Some(label) = marking {
            let right = RightOperand::one(label.to_ascii_uppercase());
            all.push((Constraint::atomic(LeftOperand::Marking, Operator::Eq, right), "marking".to_owned()));
        }
        self.came_from("permission[0]".to_owned(), "permit.use");
        for (i, (constraint, field)) in all.iter().enumerate() {
            let path = format!("permission[0].constraint[{i}]");
            if matches!(constraint, Constraint::Logical(_)) {
                self.came_from(format!("{path}.or[1]"), &at("groups"));
            }
            self.came_from(path, field);
        }
        Ok(Rule::new(Action::Use, all.into_iter().map(|(constraint, _)| constraint).collect()))
    }

    /// Since `use` includes `distribute`, to permit it to some is to prohibit it to all others.
    fn onward(&mut self, to: Option<Who>, forbid: Texts) -> Result<Option<Rule>, TermsError> {
        let forbidden = self.texts("forbid", forbid)?.unwrap_or_default();
        if let Some(other) = forbidden.iter().find(|action| action.as_str() != "distribute") {
            let problem =
                format!("{other:?} cannot be forbidden: the node cannot tell it from any other use");
            return self.wrong("forbid", problem, "write \"distribute\", or narrow permit.use");
        }
        match (to, forbidden.is_empty()) {
            (Some(_), false) => self.wrong(
                "forbid",
                "distribute is both permitted and forbidden".to_owned(),
                "leave out forbid; permit.distribute forbids it to all others",
            ),
            (None, true) => Ok(None),
            (None, false) => {
                self.came_from("prohibition[0]".to_owned(), "forbid");
                Ok(Some(Rule::new(Action::Distribute, Vec::new())))
            }
            (Some(to), true) => {
                let others = self.who(to, "permit.distribute", &Operator::IsNoneOf)?;
                self.came_from("prohibition[0]".to_owned(), "permit.distribute");
                for (i, (_, field)) in others.iter().enumerate() {
                    let path = if others.len() == 1 {
                        "prohibition[0].constraint[0]".to_owned()
                    } else {
                        format!("prohibition[0].constraint[0].or[{i}]")
                    };
                    self.came_from(path, field);
                }
                let mut others: Vec<Constraint> = others.into_iter().map(|(one, _)| one).collect();
                let constraint = match others.len() {
                    // Permitted to everybody.
                    0 => return Ok(None),
                    1 => others.pop(),
                    _ => Some(Constraint::logical(LogicalKind::Or, others)),
                };
                Ok(Some(Rule::new(Action::Distribute, constraint.into_iter().collect())))
            }
        }
    }

    fn obligation(&mut self, oblige: Oblige) -> Result<Option<Rule>, TermsError> {
        let mut all = Vec::new();
        if let Some(after) = oblige.delete_after {
            let right = self.length("oblige.delete_after", after)?;
            self.came_from(format!("obligation[0].constraint[{}]", all.len()), "oblige.delete_after");
            all.push(Constraint::atomic(LeftOperand::DelayPeriod, Operator::Lteq, right));
        }
        if let Some(by) = oblige.delete_by {
            let right = self.time("oblige.delete_by", &by, true)?;
            self.came_from(format!("obligation[0].constraint[{}]", all.len()), "oblige.delete_by");
            all.push(Constraint::atomic(LeftOperand::DateTime, Operator::Lt, right));
        }
        Ok(if all.is_empty() { None } else { Some(Rule::new(Action::Delete, all)) })
    }
}

impl Short {
    /// The policy that the short form stands for.
    pub(crate) fn into_terms(self, text: &str) -> Result<Terms, TermsError> {
        let mut builder = Builder { text, places: Vec::new() };
        let permission = builder.permission(self.permit.r#use, self.marking)?;
        let prohibition = builder.onward(self.permit.distribute, self.forbid)?;
        let obligation = builder.obligation(self.oblige)?;
        let policy = Policy {
            profile: vec![PROFILE.to_owned()],
            permission: vec![permission],
            prohibition: prohibition.into_iter().collect(),
            obligation: obligation.into_iter().collect(),
            other: serde_json::Map::new(),
        };
        Ok(Terms { policy, places: builder.places })
    }
}
