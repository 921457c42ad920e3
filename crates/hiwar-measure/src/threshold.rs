//! Thresholds in free parameters: a wavelength, a share by weight, a purity.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{Decimal, NotRead};

/// What is measured: a name in lower case with hyphens, such as `wavelength` or `combined-fluorine`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(String);

impl Quantity {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Quantity {
    type Err = NotRead;

    fn from_str(text: &str) -> Result<Self, NotRead> {
        let name: Result<crate::ItemId, _> = text.parse();
        name.map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

/// Bounds of one quantity: goods within them are under the measure. At least one bound is given, of
/// each side one at most, and the lower one lies below the upper one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Threshold {
    /// What is measured.
    pub quantity: Quantity,
    /// Lower bound that is itself within: `>=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Decimal>,
    /// Lower bound that is itself outside: `>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Decimal>,
    /// Upper bound that is itself within: `<=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Decimal>,
    /// Upper bound that is itself outside: `<`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Decimal>,
    /// The unit, such as `nm`, `% by weight`, `MPa`, `g/cm3`.
    pub unit: String,
}

impl Threshold {
    /// Whether a value in [`unit`](Self::unit) is within the bounds.
    pub fn holds(&self, value: Decimal) -> bool {
        self.at_least.is_none_or(|bound| value >= bound)
            && self.above.is_none_or(|bound| value > bound)
            && self.at_most.is_none_or(|bound| value <= bound)
            && self.below.is_none_or(|bound| value < bound)
    }

    /// Why the bounds make no sense: the key of a message.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let both = |one: Option<Decimal>, other: Option<Decimal>| one.is_some() && other.is_some();
        if both(self.at_least, self.above) || both(self.at_most, self.below) {
            return Some("two-bounds");
        }
        match (self.at_least.or(self.above), self.at_most.or(self.below)) {
            (None, None) => Some("no-bound"),
            (Some(lower), Some(upper)) if lower > upper => Some("bounds-crossed"),
            // Of two equal bounds, one that is outside leaves nothing.
            (Some(lower), Some(upper)) if lower == upper && !both(self.at_least, self.at_most) => {
                Some("bounds-crossed")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.quantity)?;
        for (sign, bound) in
            [(">=", self.at_least), (">", self.above), ("<=", self.at_most), ("<", self.below)]
        {
            if let Some(bound) = bound {
                write!(f, " {sign} {bound}")?;
            }
        }
        write!(f, " {}", self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(bounds: [&str; 4], unit: &str) -> Threshold {
        let [at_least, above, at_most, below] = bounds.map(|text| text.parse().ok());
        Threshold {
            quantity: "wavelength".parse().unwrap(),
            at_least,
            above,
            at_most,
            below,
            unit: unit.into(),
        }
    }

    #[test]
    fn the_bounds_of_a_resist_hold_from_15_to_below_245_nanometres() {
        // 3C002.a.1 of the dual-use lists: less than 245 nm, equal to or greater than 15 nm.
        let resist = threshold(["15", "", "", "245"], "nm");
        for (value, within) in [("14.9", false), ("15", true), ("193", true), ("244.9", true), ("245", false)]
        {
            assert_eq!(resist.holds(value.parse().unwrap()), within, "{value}");
        }
        assert_eq!(resist.fault(), None);
        assert_eq!(resist.to_string(), "wavelength >= 15 < 245 nm");
    }

    #[test]
    fn bounds_that_leave_nothing_are_found() {
        for (bounds, fault) in [
            (["", "", "", ""], Some("no-bound")),
            (["1", "2", "", ""], Some("two-bounds")),
            (["", "", "1", "2"], Some("two-bounds")),
            (["3", "", "2", ""], Some("bounds-crossed")),
            (["", "2", "2", ""], Some("bounds-crossed")),
            (["2", "", "2", ""], None),
        ] {
            assert_eq!(threshold(bounds, "nm").fault(), fault, "{bounds:?}");
        }
    }
}
