//! Codes of goods: control lists, customs tariffs, CAS numbers.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::claim::Checked;
use crate::{Country, NotRead};

/// The longest code of a control list, in bytes.
pub const CONTROL_CODE_BYTES_MAX: usize = 80;

/// An edition of the Harmonized System, such as `HS2017`. National tariffs name the edition they are
/// built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition(u16);

impl Edition {
    /// The years in which the World Customs Organization put a new edition in force.
    pub const YEARS: [u16; 8] = [1988, 1996, 2002, 2007, 2012, 2017, 2022, 2028];

    /// Its year.
    pub fn year(self) -> u16 {
        self.0
    }
}

impl FromStr for Edition {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let year = text.strip_prefix("HS").and_then(|year| year.parse().ok());
        // HS 1992 is the first edition with its first amendments, and how statistics call it.
        let known = |year: &u16| *year == 1992 || Self::YEARS.contains(year);
        year.filter(known).map(Self).ok_or_else(|| NotRead::new("not-an-edition", text))
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HS{}", self.0)
    }
}

impl Serialize for Edition {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A customs code: 4 to 10 digits; more than six only with the jurisdiction that gave them (9 in
/// Japan, 10 in Korea and China, 8 in the European Union).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TariffCode {
    /// Who gave the digits behind the sixth; none for codes of the Harmonized System itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    jurisdiction: Option<Country>,
    /// The edition of the Harmonized System that it is built on.
    edition: Edition,
    /// Digits only.
    code: String,
}

/// Digits that all countries share.
const COMMON_DIGITS: usize = 6;

impl TariffCode {
    /// A code; dots, hyphens and spaces between digits are taken off.
    ///
    /// # Errors
    ///
    /// When it has not 4 to 10 digits, an odd number up to six, or national digits without a jurisdiction.
    pub fn new(jurisdiction: Option<Country>, edition: Edition, text: &str) -> Result<Self, NotRead> {
        let code: String = text.chars().filter(|c| !matches!(c, '.' | '-' | ' ')).collect();
        let digits = code.bytes().all(|b| b.is_ascii_digit());
        let length = matches!(code.len(), 4 | 6..=10);
        if !digits || !length {
            return Err(NotRead::new("not-a-tariff-code", text));
        }
        if code.len() > COMMON_DIGITS && jurisdiction.is_none() {
            return Err(NotRead::new("tariff-code-without-jurisdiction", text));
        }
        Ok(Self { jurisdiction, edition, code })
    }

    /// Who gave the digits behind the sixth.
    pub fn jurisdiction(&self) -> Option<Country> {
        self.jurisdiction
    }

    /// The edition of the Harmonized System.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        &self.code
    }

    /// The digits that all countries share: the first six, or four of a heading.
    pub fn common(&self) -> &str {
        self.code.get(..COMMON_DIGITS).unwrap_or(&self.code)
    }

    /// How goods under `asked` lie to the goods under this code, digits alone: editions are not compared.
    pub fn covers(&self, asked: &Self) -> Option<Overlap> {
        let national = |code: &Self| code.code.len() > COMMON_DIGITS;
        // National digits of two countries mean different things: only the shared ones can be compared.
        if national(self) && national(asked) && self.jurisdiction != asked.jurisdiction {
            return (self.common() == asked.common()).then_some(Overlap::SameSubheading);
        }
        if self.code == asked.code {
            Some(Overlap::Same)
        } else if asked.code.starts_with(&self.code) {
            Some(Overlap::Within)
        } else if self.code.starts_with(&asked.code) {
            Some(Overlap::Part)
        } else {
            None
        }
    }
}

impl fmt::Display for TariffCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.jurisdiction {
            Some(country) => write!(f, "{country} {} ({})", self.code, self.edition),
            None => write!(f, "{} ({})", self.code, self.edition),
        }
    }
}

/// How the goods that were asked about lie to the goods of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// The same code.
    Same,
    /// The measure's code is shorter: all goods under the code asked for lie under it.
    Within,
    /// The measure's code is longer: it names a part of the goods under the code asked for.
    Part,
    /// National codes of two countries with the same six digits: nothing more can be said.
    SameSubheading,
}

/// An entry of a control list, such as `3C002.a.1` of the Wassenaar dual-use list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ControlCode {
    /// The list, by the name its publisher gives it.
    pub list: String,
    /// The entry as the list writes it.
    pub code: String,
}

impl ControlCode {
    /// Whether this entry is `asked` or contains it: the same list (any, when none is asked for), and
    /// the same entry or a sub-entry behind a point or bracket. Case and spaces are not looked at.
    pub fn contains(&self, list: Option<&str>, asked: &str) -> bool {
        let bare = |text: &str| -> String {
            text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
        };
        if list.is_some_and(|list| bare(list) != bare(&self.list)) {
            return false;
        }
        let (own, asked) = (bare(&self.code), bare(asked));
        !own.is_empty()
            && asked.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '(']))
    }
}

impl fmt::Display for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.list, self.code)
    }
}

/// A code of a measure's item, and how far it was checked that the item has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed<C> {
    /// The code.
    #[serde(flatten)]
    pub code: C,
    /// How far it was checked.
    pub checked: Checked,
}

/// A CAS Registry Number, with a check digit that holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cas(String);

impl Cas {
    /// As it is written, such as `7664-39-3`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cas {
    type Err = NotRead;

    /// Two to seven digits, two digits, a check digit: the sum of all digits before it, each times its
    /// place from the right, modulo 10 (CAS, "Check Digit Verification of CAS Registry Numbers").
    fn from_str(text: &str) -> Result<Self, NotRead> {
        let refuse = || NotRead::new("not-a-cas-number", text);
        let parts: Vec<&str> = text.split('-').collect();
        let [front, middle, check] = parts.as_slice() else { return Err(refuse()) };
        let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if !digits || !(2..=7).contains(&front.len()) || middle.len() != 2 || check.len() != 1 {
            return Err(refuse());
        }
        let places = middle.bytes().rev().chain(front.bytes().rev()).zip(1_u32..);
        let sum: u32 = places.map(|(digit, place)| u32::from(digit - b'0') * place).sum();
        if check.parse() == Ok(sum % 10) { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }
}

impl fmt::Display for Cas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Cas {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(jurisdiction: &str, edition: &str, digits: &str) -> TariffCode {
        let jurisdiction = (!jurisdiction.is_empty()).then(|| jurisdiction.parse().unwrap());
        TariffCode::new(jurisdiction, edition.parse().unwrap(), digits).unwrap()
    }

    #[test]
    fn national_lengths_are_taken_with_their_jurisdiction_only() {
        assert_eq!(code("JP", "HS2017", "2811.11-000").digits(), "281111000");
        assert_eq!(code("", "HS2017", "2811.11").digits(), "281111");
        let hs: Edition = "HS2017".parse().unwrap();
        for (given, expected) in [
            ("281111000", "tariff-code-without-jurisdiction"),
            ("28111", "not-a-tariff-code"),
            ("281", "not-a-tariff-code"),
            ("28111100000", "not-a-tariff-code"),
            ("2811x1", "not-a-tariff-code"),
        ] {
            assert_eq!(TariffCode::new(None, hs, given).unwrap_err().code, expected, "{given}");
        }
        for wrong in ["HS2018", "2017", "hs2017", "HS"] {
            assert!(wrong.parse::<Edition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn longer_codes_lie_within_shorter_ones_and_national_digits_of_two_countries_are_not_compared() {
        let japan = code("JP", "HS2017", "281111000");
        let six = code("", "HS2017", "281111");
        let korea = code("KR", "HS2017", "2811111000");
        for (own, asked, expected) in [
            (&japan, &japan, Some(Overlap::Same)),
            (&six, &japan, Some(Overlap::Within)),
            (&japan, &six, Some(Overlap::Part)),
            (&japan, &korea, Some(Overlap::SameSubheading)),
            (&japan, &code("", "HS2017", "2811"), Some(Overlap::Part)),
            (&japan, &code("", "HS2017", "370790"), None),
            (&japan, &code("KR", "HS2017", "2812111000"), None),
        ] {
            assert_eq!(own.covers(asked), expected, "{own} / {asked}");
        }
    }

    #[test]
    fn sub_entries_of_a_control_list_lie_within_their_entry() {
        let entry = ControlCode { list: "Wassenaar".into(), code: "3C002.a".into() };
        assert!(entry.contains(None, "3C002.a"));
        assert!(entry.contains(Some("wassenaar"), "3c002.a.1"));
        assert!(!entry.contains(None, "3C002"));
        assert!(!entry.contains(None, "3C002.ab"));
        assert!(!entry.contains(Some("AG"), "3C002.a"));
    }

    #[test]
    fn a_cas_number_has_a_check_digit() {
        // 7664-39-3 is hydrogen fluoride, 7732-18-5 water (safety data sheets).
        for right in ["7664-39-3", "7732-18-5"] {
            assert!(right.parse::<Cas>().is_ok(), "{right}");
        }
        for wrong in ["7664-39-4", "7664-39", "7-39-3", "7664393", "a664-39-3", ""] {
            assert!(wrong.parse::<Cas>().is_err(), "{wrong}");
        }
    }
}
