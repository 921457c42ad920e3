//! What one firm says, confidentially, to its ministry.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::code::{Code, Id, Party, Period};
use crate::design::{DIMENSIONS_MAX, Design, Sign, VALUE_MAX};
use crate::fault::{Collected, Fault, Faults, Members};
use crate::proof::{Blinding, Commitment};

/// One value of one firm. It is confidential: only what [`crate::protect()`] lets through leaves the ministry.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The firm that says it.
    pub firm: Party,
    /// The dataset.
    pub dataset: Id,
    /// The time.
    pub period: Period,
    /// The code of each dimension.
    pub dimensions: BTreeMap<Id, Code>,
    /// The value, in the unit.
    pub value: i64,
    /// The unit.
    pub unit: Code,
    /// The firm's own mark on it (`CL_OBS_STATUS`), such as `E` for estimated.
    pub status: Option<Code>,
    /// The opening of the firm's commitment, when it made one.
    pub opening: Option<(Commitment, Blinding)>,
}

// A report must not end up in a log.
impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Report of {} for {} {}", self.firm, self.dataset, self.period)
    }
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(value: &Value) -> Result<Self, Faults> {
        let mut faults = Collected::default();
        let read = Self::members(value, &mut faults);
        faults.result(read)
    }

    fn members(value: &Value, faults: &mut Collected) -> Option<Self> {
        let mut members = Members::of(value, "", faults);
        let code = |text: &str| text.parse::<Code>().ok();
        let firm = members.text("firm", "disclosure-party", |text| text.parse::<Party>().ok());
        let dataset = members.text("dataset", "disclosure-id", |text| text.parse::<Id>().ok());
        let period = members.text("period", "disclosure-period", |text| text.parse::<Period>().ok());
        let number = members.whole("value", -VALUE_MAX..=VALUE_MAX);
        let unit = members.text("unit", "disclosure-code", code);
        let status = members.optional("status", "disclosure-code", code);
        let commitment = members.optional("commitment", "disclosure-commitment", Commitment::from_hex);
        let blinding = members.optional("blinding", "disclosure-blinding", Blinding::from_hex);
        if commitment.is_some() != blinding.is_some() {
            let field = if commitment.is_some() { "blinding" } else { "commitment" };
            members.faults().add(Fault::new(field, "disclosure-missing"));
        }
        let mut dimensions = BTreeMap::new();
        if let Some(value) = members.must("dimensions") {
            let given = value.as_object().filter(|given| given.len() <= DIMENSIONS_MAX);
            if given.is_none() {
                members.fault("dimensions", "disclosure-no-object", DIMENSIONS_MAX);
            }
            for (name, value) in given.into_iter().flatten() {
                let read = name.parse::<Id>().ok().zip(value.as_str().and_then(code));
                match read {
                    Some((name, value)) => drop(dimensions.insert(name, value)),
                    None => {
                        let fault = Fault::new(format!("dimensions.{name}"), "disclosure-code");
                        members.faults().add(fault.with("value", value.as_str().unwrap_or("?")));
                    }
                }
            }
        }
        members.finish();
        Some(Self {
            firm: firm?,
            dataset: dataset?,
            period: period?,
            dimensions,
            value: number?,
            unit: unit?,
            status,
            opening: commitment.zip(blinding),
        })
    }

    /// The place of the report in a table of this design and period: its leaf in each dimension.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn place(&self, design: &Design, period: Period) -> Result<Vec<usize>, Faults> {
        let mut faults = Collected::default();
        let mut differs = |field: &str, found: &str, expected: &str| {
            if found != expected {
                let fault = Fault::new(field, "disclosure-differs");
                faults.add(fault.with("found", found).with("expected", expected));
            }
        };
        differs("dataset", self.dataset.as_str(), design.dataset.as_str());
        differs("unit", self.unit.as_str(), design.unit.as_str());
        differs("period", &self.period.to_string(), &period.to_string());
        let fits = match design.sign {
            Sign::NonNegative => self.value >= 0,
            Sign::Signed { magnitude } => self.value.abs() <= magnitude,
        };
        if !fits {
            faults.add(Fault::new("value", "disclosure-sign"));
        }
        let mut place = Vec::new();
        for dimension in &design.dimensions {
            let field = format!("dimensions.{}", dimension.id());
            match self.dimensions.get(dimension.id()) {
                None => faults.add(Fault::new(field, "disclosure-missing")),
                Some(code) => match dimension.find(code).filter(|&at| dimension.children(at).is_empty()) {
                    Some(at) => place.push(at),
                    None => faults.add(Fault::new(field, "disclosure-no-leaf").with("value", code)),
                },
            }
        }
        for name in self.dimensions.keys() {
            if !design.dimensions.iter().any(|dimension| dimension.id() == name) {
                faults.add(Fault::new(format!("dimensions.{name}"), "disclosure-unknown-member"));
            }
        }
        faults.result(Some(place))
    }
}
