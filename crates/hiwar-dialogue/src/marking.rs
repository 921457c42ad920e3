//! Handling markings: the Traffic Light Protocol, version 2.0 (FIRST, August 2022).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TLP 2.0 label, ordered from the freest to the most restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Marking {
    /// No limit on disclosure.
    Clear,
    /// Within the community.
    Green,
    /// Within the recipients' organisations and their clients, on a need-to-know basis.
    Amber,
    /// Within the recipients' organisations only.
    AmberStrict,
    /// For the eyes of the recipients alone.
    Red,
}

/// Why a text is no marking.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no TLP 2.0 marking; write TLP:CLEAR, TLP:GREEN, TLP:AMBER, TLP:AMBER+STRICT or TLP:RED")]
pub struct MarkingError {
    /// The text as given, cut to 40 characters.
    pub text: String,
}

impl Marking {
    /// All labels, from the freest to the most restricted.
    pub const ALL: [Self; 5] = [Self::Clear, Self::Green, Self::Amber, Self::AmberStrict, Self::Red];

    /// The label as TLP 2.0 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }
}

impl fmt::Display for Marking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Marking {
    type Err = MarkingError;

    fn from_str(text: &str) -> Result<Self, MarkingError> {
        Self::ALL
            .into_iter()
            .find(|m| m.as_str() == text)
            .ok_or_else(|| MarkingError { text: text.chars().take(40).collect() })
    }
}

impl Serialize for Marking {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Marking {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: FIRST, Traffic Light Protocol 2.0, section 4 (the labels and their order).
    #[test]
    fn labels_are_ordered_and_spelled_as_tlp_2_0_does() {
        let mut sorted = Marking::ALL;
        sorted.sort();
        assert_eq!(sorted, Marking::ALL);
        for marking in Marking::ALL {
            assert_eq!(marking.to_string().parse(), Ok(marking));
        }
        assert!("TLP:WHITE".parse::<Marking>().is_err(), "WHITE is TLP 1.0");
        assert!("tlp:red".parse::<Marking>().is_err());
    }
}
