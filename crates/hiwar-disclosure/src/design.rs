//! What a release is made of: dimensions with their hierarchies, the unit, the rules.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::code::{Code, Id};
use crate::fault::{Collected, Faults, Members};
use crate::rules::RuleSet;

/// Most dimensions.
pub const DIMENSIONS_MAX: usize = 6;
/// Most codes of one dimension.
pub const CODES_MAX: usize = 2_000;
/// Most cells of a table: the product of the dimensions' codes.
pub const CELLS_MAX: usize = 100_000;
/// Most that a value of one report may be, in either direction.
pub const VALUE_MAX: i64 = 1_000_000_000_000_000;

/// Columns and components that a dimension may not be called.
const RESERVED: &[&str] = &[
    "STRUCTURE",
    "STRUCTURE_ID",
    "STRUCTURE_NAME",
    "ACTION",
    "SERIES_KEY",
    "OBS_KEY",
    "TIME_PERIOD",
    "OBS_VALUE",
    "OBS_STATUS",
    "CONF_STATUS",
    "UNIT_MEASURE",
];

/// What everybody knows of a contribution beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It is not negative.
    NonNegative,
    /// It may have either sign, and is not larger than this in either direction.
    Signed {
        /// In the design's unit, 1 to [`VALUE_MAX`].
        magnitude: i64,
    },
}

/// A dimension: a tree of codes with one root, the total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    id: Id,
    codes: Vec<Code>,
    /// A code's parent; it stands before its children.
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    index: BTreeMap<Code, usize>,
}

impl Dimension {
    /// Its identifier.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Its codes; the total comes first, and each before its parts.
    pub fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// The place of a code.
    pub fn find(&self, code: &Code) -> Option<usize> {
        self.index.get(code).copied()
    }

    /// The code that the code at this place is part of; none for the total.
    pub fn parent(&self, at: usize) -> Option<usize> {
        self.parents.get(at).copied().flatten()
    }

    /// The parts of the code at this place; none for a leaf.
    pub fn children(&self, at: usize) -> &[usize] {
        self.children.get(at).map_or(&[], Vec::as_slice)
    }

    /// The code at this place and all that it is part of, up to the total.
    pub fn ancestors(&self, at: usize) -> Vec<usize> {
        std::iter::successors(Some(at), |&at| self.parent(at)).collect()
    }

    pub(crate) fn code(&self, at: usize) -> Option<&Code> {
        self.codes.get(at)
    }

    fn read(value: &Value, path: &str, faults: &mut Collected) -> Option<Self> {
        let mut members = Members::of(value, path, faults);
        let free = |text: &str| text.parse::<Id>().ok().filter(|_| !RESERVED.contains(&text));
        let id = members.text("id", "disclosure-id", free);
        let items = members.list("codes", CODES_MAX).unwrap_or_default();
        let field = members.field("codes");
        let parse = |text: &str| text.parse::<Code>().ok();
        let read = items.iter().enumerate().map(|(index, item)| {
            let mut code = Members::of(item, &format!("{field}[{index}]"), members.faults());
            let name = code.text("code", "disclosure-code", parse);
            let within = code.optional("within", "disclosure-code", parse);
            code.finish();
            name.map(|name| (name, within))
        });
        let named: Option<Vec<(Code, Option<Code>)>> = read.collect();
        let (id, named) = (id?, named?);
        let tree = Self::tree(id, &named);
        if tree.is_none() {
            members.fault("codes", "disclosure-no-tree", named.len());
        }
        members.finish();
        tree
    }

    /// The codes as a tree; none when they have not exactly one root, or a code twice, or a circle.
    fn tree(id: Id, named: &[(Code, Option<Code>)]) -> Option<Self> {
        let mut below: BTreeMap<Option<&Code>, Vec<&Code>> = BTreeMap::new();
        for (code, within) in named {
            below.entry(within.as_ref()).or_default().push(code);
        }
        let mut made =
            Self { id, codes: Vec::new(), parents: Vec::new(), children: Vec::new(), index: BTreeMap::new() };
        let roots = below.get(&None).filter(|roots| roots.len() == 1)?;
        let mut next: Vec<(&Code, Option<usize>)> = roots.iter().map(|&root| (root, None)).collect();
        // Breadth first, so that a parent stands before its children.
        while !next.is_empty() {
            let mut after = Vec::new();
            for (code, parent) in next {
                let at = made.codes.len();
                if made.index.insert(code.clone(), at).is_some() {
                    return None;
                }
                made.codes.push(code.clone());
                made.parents.push(parent);
                made.children.push(Vec::new());
                if let Some(siblings) = parent.and_then(|parent| made.children.get_mut(parent)) {
                    siblings.push(at);
                }
                after.extend(below.get(&Some(code)).into_iter().flatten().map(|&child| (child, Some(at))));
            }
            next = after;
        }
        (made.codes.len() == named.len()).then_some(made)
    }
}

/// The design of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    /// Who maintains it, an SDMX agency.
    pub agency: Id,
    /// The dataset it is of; also the identifier of its SDMX structure.
    pub dataset: Id,
    /// Its version: two or three numbers with points between.
    pub version: String,
    /// The unit that every value is in, a code of `CL_UNIT_MEASURE` such as `KGM`, `USD` or `D`.
    pub unit: Code,
    /// What everybody knows of a contribution.
    pub sign: Sign,
    /// The dimensions, in the order of the columns.
    pub dimensions: Vec<Dimension>,
    /// The rules.
    pub rules: RuleSet,
}

impl Design {
    /// Reads a design.
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
        let id = |text: &str| text.parse::<Id>().ok();
        let agency = members.text("agency", "disclosure-id", id);
        let dataset = members.text("dataset", "disclosure-id", id);
        let version = members.text("version", "disclosure-version", version);
        let unit = members.text("unit", "disclosure-code", |text| text.parse::<Code>().ok());
        let sign = match members.must("sign") {
            Some(Value::String(text)) if text == "non-negative" => Some(Sign::NonNegative),
            Some(value) => {
                let field = members.field("sign");
                let mut signed = Members::of(value, &field, members.faults());
                let magnitude = signed.whole("magnitude", 1..=VALUE_MAX);
                signed.finish();
                magnitude.map(|magnitude| Sign::Signed { magnitude })
            }
            None => None,
        };
        let items = members.list("dimensions", DIMENSIONS_MAX).unwrap_or_default();
        let read = items
            .iter()
            .enumerate()
            .map(|(index, item)| Dimension::read(item, &format!("dimensions[{index}]"), members.faults()));
        let read: Vec<Option<Dimension>> = read.collect();
        let dimensions: Option<Vec<Dimension>> = read.into_iter().collect();
        let dimensions = dimensions.filter(|dimensions| !dimensions.is_empty());
        let rules = members.must("rules").and_then(|value| RuleSet::read(value, "rules", members.faults()));
        if let Some(dimensions) = &dimensions {
            let mut names: Vec<&str> = dimensions.iter().map(|d| d.id.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            if names.len() < dimensions.len() {
                members.fault("dimensions", "disclosure-twice", "id");
            }
            let sizes = dimensions.iter().map(|d| d.codes.len());
            let cells = sizes.fold(1usize, usize::saturating_mul);
            if cells > CELLS_MAX {
                members.fault("dimensions", "disclosure-too-large", cells);
            }
        }
        members.finish();
        Some(Self {
            agency: agency?,
            dataset: dataset?,
            version: version?,
            unit: unit?,
            sign: sign?,
            dimensions: dimensions?,
            rules: rules?,
        })
    }
}

/// A version as SDMX writes it: `1.0` or `1.0.0`.
pub(crate) fn version(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| {
        (1..=5).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    ((2..=3).contains(&parts.len()) && parts.iter().all(number)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let faults = Design::read(&json!({
            "agency": "1", "dataset": "STOCK", "version": "x", "unit": "KGM", "sign": "positive",
            "dimensions": [{ "id": "OBS_VALUE", "codes": [{ "code": "_T" }] },
                { "id": "REGION", "codes": [{ "code": "_T" }, { "code": "A", "within": "B" }, { "code": "B", "within": "A" }] }],
            "rules": { "version": "1", "minimum_frequency": 2, "frequency_range": "0",
                "prior_posterior": { "p": "50", "q": "10" } },
            "more": 1
        }));
        let fields: Vec<String> = faults.unwrap_err().0.into_iter().map(|f| f.field).collect();
        for field in [
            "agency",
            "version",
            "sign",
            "dimensions[0].id",
            "dimensions[1].codes",
            "rules.minimum_frequency",
            "rules.prior_posterior",
            "more",
        ] {
            assert!(fields.contains(&field.to_owned()), "{field} is not in {fields:?}");
        }
    }
}
