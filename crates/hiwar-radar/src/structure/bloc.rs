//! Blocs: economies that count as one, such as the European Union, with the dates of membership.
//!
//! A list of blocs is a TOML file (see `rules/blocs-1.toml`), dated and versioned as rules are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rules::RuleRef;
use crate::brief::brief;
use crate::month::{Date, Month};

/// The list that comes with the program.
const BUILT_IN: &str = include_str!("../../rules/blocs-1.toml");

/// A bloc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bloc {
    /// Its code, such as `EU`.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The list it is from.
    pub list: RuleRef,
    /// Where the list has the members from.
    pub source: String,
    members: Vec<Member>,
    inside: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    code: String,
    from: Date,
    #[serde(default)]
    until: Option<Date>,
}

impl Member {
    fn at_end_of(&self, year: u16) -> bool {
        let day = Month::new(year, 12).map(Month::last_day);
        day.is_some_and(|day| self.from <= day && self.until.is_none_or(|until| day <= until))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    version: u32,
    date: Date,
    bloc: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    source: String,
    members: Vec<Member>,
    #[serde(default)]
    inside: BTreeSet<String>,
}

/// Why there is no bloc.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlocError {
    /// It is not TOML of the expected form.
    #[error("the list of blocs cannot be read: {0}")]
    Form(String),
    /// A member ends before it begins.
    #[error("the member {member} of {bloc} ends before it begins")]
    Span {
        /// The bloc.
        bloc: String,
        /// The member.
        member: String,
    },
    /// The list has no such bloc.
    #[error("the list of blocs has no {wanted:?}; it has {there}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: String,
    },
}

impl Bloc {
    /// A bloc of the list that comes with the program.
    ///
    /// # Errors
    /// [`BlocError::Unknown`].
    pub fn built_in(code: &str) -> Result<Self, BlocError> {
        Self::parse(BUILT_IN, code)
    }

    /// A bloc of a list in TOML.
    ///
    /// # Errors
    /// [`BlocError`].
    pub fn parse(text: &str, code: &str) -> Result<Self, BlocError> {
        let file: File = toml::from_str(text).map_err(|e| BlocError::Form(brief(e)))?;
        let there = || file.bloc.keys().cloned().collect::<Vec<_>>().join(", ");
        let unknown = || BlocError::Unknown { wanted: brief(code), there: there() };
        let entry = file.bloc.get(code).ok_or_else(unknown)?;
        for member in &entry.members {
            if member.until.is_some_and(|until| until < member.from) {
                return Err(BlocError::Span { bloc: code.to_owned(), member: member.code.clone() });
            }
        }
        Ok(Self {
            code: code.to_owned(),
            name: entry.name.clone(),
            list: RuleRef { id: file.id.clone(), version: file.version, date: file.date },
            source: entry.source.clone(),
            members: entry.members.clone(),
            inside: entry.inside.clone(),
        })
    }

    /// The members on the last day of a year, by code.
    pub fn members(&self, year: u16) -> BTreeSet<&str> {
        self.members.iter().filter(|m| m.at_end_of(year)).map(|m| m.code.as_str()).collect()
    }

    /// Whether an economy is a member on the last day of a year.
    pub fn is_member(&self, economy: &str, year: u16) -> bool {
        self.members.iter().any(|m| m.code == economy && m.at_end_of(year))
    }

    /// Whether trade with a partner in a year is trade within the bloc.
    pub fn is_inside(&self, partner: &str, year: u16) -> bool {
        self.inside.contains(partner) || self.is_member(partner, year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Membership: europa.eu, "EU countries".
    #[test]
    fn the_union_has_had_27_members_since_february_2020() {
        let eu = Bloc::built_in("EU").unwrap();
        for (year, count) in [(2003, 15), (2004, 25), (2007, 27), (2013, 28), (2019, 28), (2020, 27)] {
            assert_eq!(eu.members(year).len(), count, "{year}");
        }
        assert!(eu.is_member("GB", 2019) && !eu.is_member("GB", 2020) && eu.is_member("HR", 2020));
        assert!(eu.is_inside("QV", 2020) && eu.is_inside("DE", 2020) && !eu.is_inside("QW", 2020));
        assert_eq!((eu.list.id.as_str(), eu.list.version), ("hiwar-blocs", 1));
    }

    #[test]
    fn what_is_wrong_with_a_list_of_blocs_is_said() {
        let unknown = Bloc::built_in("ASEAN").unwrap_err().to_string();
        assert!(unknown.contains("\"ASEAN\"; it has EU"), "{unknown}");
        let turned = BUILT_IN.replace("until = \"2020-01-31\"", "until = \"1970-01-31\"");
        assert!(Bloc::parse(&turned, "EU").unwrap_err().to_string().contains("GB of EU ends before"));
        let odd = BUILT_IN.replace("inside =", "outside =");
        assert!(Bloc::parse(&odd, "EU").unwrap_err().to_string().contains("outside"));
    }
}
