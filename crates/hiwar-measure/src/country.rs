//! Countries (ISO 3166-1 alpha-2) and sets of them.

use std::fmt;
use std::str::FromStr;

use crate::NotRead;

const ECONOMIES: &str = include_str!("../../../data/trade/codes/economies.csv");

/// Codes that stand for no country of ISO 3166-1, and that measures and disputes name: the European
/// Union (reserved in ISO 3166-1) and Kosovo (a user-assigned code in general use).
const BESIDE_ISO: [&str; 2] = ["EU", "XK"];

/// An officially assigned code of ISO 3166-1 alpha-2, or `EU` or `XK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The code in capitals.
    pub fn as_str(&self) -> &str {
        // Always ASCII: `from_str` is the only way to make one.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The country of a numeric code of ISO 3166-1, which UN M49 shares.
    pub fn of_iso_number(number: u16) -> Option<Self> {
        rows().find(|row| row.number == Some(number)).and_then(|row| row.code.parse().ok())
    }

    /// The country of a short English name, as Unicode CLDR writes it.
    pub fn of_english_name(name: &str) -> Option<Self> {
        rows().find(|row| row.name.eq_ignore_ascii_case(name)).and_then(|row| row.code.parse().ok())
    }
}

struct Row {
    code: &'static str,
    number: Option<u16>,
    name: &'static str,
}

/// The rows of the table that the project carries: alpha-2, alpha-3, number, name.
fn rows() -> impl Iterator<Item = Row> {
    ECONOMIES.lines().skip(1).filter_map(|line| {
        let mut cells = line.splitn(4, ',');
        let code = cells.next()?;
        let number = cells.nth(1)?.parse().ok();
        Some(Row { code, number, name: cells.next().unwrap_or_default().trim_matches('"') })
    })
}

impl FromStr for Country {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let refuse = || NotRead::new("not-a-country", text);
        let bytes = <[u8; 2]>::try_from(text.as_bytes()).map_err(|_| refuse())?;
        let known = BESIDE_ISO.contains(&text) || rows().any(|row| row.code == text);
        if known { Ok(Self(bytes)) } else { Err(refuse()) }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Where goods come from or go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// Everywhere, written `"all"`.
    All,
    /// These, sorted, each once.
    Of(Vec<Country>),
}

impl Places {
    /// Whether a country is among them.
    pub fn contain(&self, country: Country) -> bool {
        match self {
            Self::All => true,
            Self::Of(countries) => countries.contains(&country),
        }
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Of(countries) => {
                let codes: Vec<_> = countries.iter().map(Country::as_str).collect();
                f.write_str(&codes.join(" "))
            }
        }
    }
}

impl serde::Serialize for Places {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => to.serialize_str("all"),
            Self::Of(countries) => to.collect_seq(countries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_found_by_code_number_and_name() {
        for (code, number, name) in
            [("JP", 392, "Japan"), ("KR", 410, "South Korea"), ("CN", 156, "China"), ("TW", 158, "Taiwan")]
        {
            let country: Country = code.parse().unwrap();
            assert_eq!(country.as_str(), code);
            assert_eq!(Country::of_iso_number(number), Some(country), "{number}");
            assert_eq!(Country::of_english_name(name), Some(country), "{name}");
        }
        assert!("EU".parse::<Country>().is_ok());
        for wrong in ["", "J", "jp", "JPN", "ZZ", "UK"] {
            assert_eq!(wrong.parse::<Country>().unwrap_err().code, "not-a-country", "{wrong}");
        }
    }
}
