//! Claims: what somebody published about a measure, and which of several is shown.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::Serialize;

use crate::{Country, Decimal, NotRead, StateId, When};

/// How far the publisher of a source was close to the fact, and whether the source was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checked {
    /// Read in a text of the body that acted or of the organisation that keeps the record.
    Primary,
    /// Read in a report of others: press, law firms, associations, copies of official texts.
    Secondary,
    /// Not read: hearsay, to be checked before it is relied upon.
    Unverified,
}

impl Checked {
    /// All, best first.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Unverified];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Unverified => "unverified",
        }
    }
}

impl FromStr for Checked {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| NotRead::none_of(text, &Self::ALL.map(Self::as_str)))
    }
}

/// What a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The day the measure was announced.
    Announced,
    /// The day its legal text was published.
    Promulgated,
    /// The first day on which it applied.
    InForce,
    /// The first day on which it no longer applied.
    Ended,
    /// The first day of a state.
    StateFrom(StateId),
    /// The last day of a state, when nothing is known to follow.
    StateUntil(StateId),
    /// The day of something that happened under the measure, such as a first permit.
    Event(StateId),
    /// A fact that is no day, such as a quantity that was traded, or a party's statement.
    Fact(StateId),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announced => f.write_str("announced"),
            Self::Promulgated => f.write_str("promulgated"),
            Self::InForce => f.write_str("in-force"),
            Self::Ended => f.write_str("ended"),
            Self::StateFrom(state) => write!(f, "state.{state}.from"),
            Self::StateUntil(state) => write!(f, "state.{state}.until"),
            Self::Event(name) => write!(f, "event.{name}"),
            Self::Fact(name) => write!(f, "fact.{name}"),
        }
    }
}

impl FromStr for Field {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let parts: Vec<&str> = text.split('.').collect();
        let refuse = |_| NotRead::new("not-a-field", text);
        match parts.as_slice() {
            ["announced"] => Ok(Self::Announced),
            ["promulgated"] => Ok(Self::Promulgated),
            ["in-force"] => Ok(Self::InForce),
            ["ended"] => Ok(Self::Ended),
            ["state", state, "from"] => state.parse().map(Self::StateFrom).map_err(refuse),
            ["state", state, "until"] => state.parse().map(Self::StateUntil).map_err(refuse),
            ["event", name] => name.parse().map(Self::Event).map_err(refuse),
            ["fact", name] => name.parse().map(Self::Fact).map_err(refuse),
            _ => Err(NotRead::new("not-a-field", text)),
        }
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A day, month or year.
    Date(When),
    /// A number with its unit.
    Amount {
        /// The number.
        number: Decimal,
        /// Its unit.
        unit: String,
    },
    /// Words.
    Text(String),
}

impl Value {
    /// The date, when it is one.
    pub fn date(&self) -> Option<When> {
        match self {
            Self::Date(when) => Some(*when),
            _ => None,
        }
    }

    /// Whether both can be true.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Date(one), Self::Date(another)) => one.agrees_with(*another),
            _ => self == other,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(when) => write!(f, "{when}"),
            Self::Amount { number, unit } => write!(f, "{number} {unit}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Where a claim was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Title of the text.
    pub title: String,
    /// Who published it.
    pub publisher: String,
    /// Where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The day it was published; none when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// How far it was checked.
    pub checked: Checked,
}

/// A statement about a measure, with its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What it is about.
    pub field: Field,
    /// What it says.
    #[serde(flatten)]
    pub value: Value,
    /// The party that says so, when a government speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Country>,
    /// A sentence that explains the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who published it, and how far that was checked.
    pub source: Source,
}

/// All claims about one field, best first.
#[derive(Clone, Debug)]
pub struct Claimed<'m> {
    /// The one that is shown by default.
    pub shown: &'m Claim,
    /// The others that say the same.
    pub agreeing: Vec<&'m Claim>,
    /// The others that cannot be true together with it.
    pub conflicting: Vec<&'m Claim>,
}

/// Orders the claims about one field: primary before secondary before unverified sources; of these the
/// one that was published first, undated ones last; then as they are written in the document.
///
/// None when there is no claim about the field.
pub fn shown<'m>(claims: &'m [Claim], field: &Field) -> Option<Claimed<'m>> {
    let mut about: Vec<&Claim> = claims.iter().filter(|claim| claim.field == *field).collect();
    about.sort_by_key(|claim| {
        // `None` sorts before every date; reversed twice it sorts behind them.
        (claim.source.checked, Reverse(claim.source.date.map(Reverse)))
    });
    let mut about = about.into_iter();
    let shown = about.next()?;
    let (agreeing, conflicting) = about.partition(|claim| claim.value.agrees_with(&shown.value));
    Some(Claimed { shown, agreeing, conflicting })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn claim(value: &str, checked: Checked, published: Option<Date>) -> Claim {
        Claim {
            field: Field::InForce,
            value: Value::Date(value.parse().unwrap()),
            party: None,
            note: None,
            source: Source { title: "t".into(), publisher: "p".into(), url: None, date: published, checked },
        }
    }

    #[test]
    fn a_primary_source_is_shown_before_an_earlier_secondary_one_and_an_undated_one_comes_last() {
        let claims = [
            claim("2019-08-07", Checked::Secondary, Some(date(2019, 1, 1))),
            claim("2019-08-29", Checked::Secondary, None),
            claim("2019-08-28", Checked::Primary, Some(date(2019, 8, 28))),
            claim("2019-08", Checked::Unverified, Some(date(2018, 8, 28))),
        ];
        let claimed = shown(&claims, &Field::InForce).unwrap();
        assert_eq!(claimed.shown, &claims[2]);
        assert_eq!(claimed.conflicting, [&claims[0], &claims[1]]);
        assert_eq!(claimed.agreeing, [&claims[3]], "a month agrees with its day");
        assert!(shown(&claims, &Field::Ended).is_none());
    }

    #[test]
    fn fields_are_written_as_they_are_read() {
        for text in
            ["announced", "in-force", "state.bulk.from", "state.bulk.until", "event.first-permit", "fact.x"]
        {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
        for wrong in ["", "state.bulk", "state..from", "event.", "in force", "fact.A"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
    }
}
