//! Lists of items: the operator's own, dated, below any customs code.
//!
//! ```toml
//! name = "watched"
//! version = "2026-11"
//!
//! [[item]]
//! code = "urea-vehicle"
//! name = "Urea for vehicles"
//! from = "2021-11-01"
//!
//! [[item.link]]
//! nomenclature = "kr-hsk"      # or hs2022, hs2017, hs2012, jp-hs9, cn8, …
//! code = "3102101000"
//! share = 0.15                 # of the code's trade, when it is not all of it
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::brief::brief;
use crate::month::Date;

/// A list of items with a version. Lists are dated because dependence moves: of the products one
/// importer depended on in a year, one in five was none a year later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemList {
    /// What the list is called.
    pub name: String,
    /// The version, for people and reports.
    pub version: String,
    /// The items.
    #[serde(default, rename = "item")]
    pub items: Vec<Item>,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The operator's own code. The same code may stand twice for spans that do not overlap.
    pub code: String,
    /// The name.
    pub name: String,
    /// The first day it is valid; always was when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The last day it is valid; still is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The codes it is found under.
    #[serde(default, rename = "link")]
    pub links: Vec<ItemLink>,
}

/// A code that an item is found under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemLink {
    /// The nomenclature, such as `hs2022`, `kr-hsk`, `jp-hs9`.
    pub nomenclature: String,
    /// The code there, with leading zeros. A shorter code stands for all that begin with it.
    pub code: String,
    /// The first day of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The last day of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The part of the code's trade that is this item, above 0 and at most 1; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// What is wrong with a list of items.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// No TOML, or other fields.
    #[error("the list of items cannot be read: {0}")]
    Syntax(String),
    /// A field that cannot be.
    #[error("line {line}, item {item:?}: {what}")]
    Item {
        /// The line of the text where the item begins, from 1.
        line: usize,
        /// The item's code.
        item: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// The line where the item at a place begins; it is looked for only when something is wrong with it.
fn line_of(text: &str, place: usize) -> usize {
    #[derive(Deserialize)]
    struct Places {
        item: Vec<toml::Spanned<toml::Table>>,
    }
    let places: Option<Places> = toml::from_str(text).ok();
    let start = places.and_then(|places| places.item.get(place).map(|item| item.span().start));
    let before = start.and_then(|start| text.get(..start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

fn covers(from: Option<Date>, until: Option<Date>, day: Date) -> bool {
    from.is_none_or(|f| f <= day) && until.is_none_or(|u| day <= u)
}

impl ItemLink {
    /// Whether it holds on a day.
    pub fn holds(&self, day: Date) -> bool {
        covers(self.from, self.until, day)
    }

    /// The part of the code's trade that is the item.
    pub fn share(&self) -> f64 {
        self.share.unwrap_or(1.0)
    }
}

impl ItemList {
    /// Reads and checks a list in TOML.
    ///
    /// # Errors
    /// [`ItemError`], naming the item.
    pub fn parse(text: &str) -> Result<Self, ItemError> {
        let list: Self = toml::from_str(text).map_err(|e| ItemError::Syntax(brief(e)))?;
        list.check(text)?;
        Ok(list)
    }

    fn check(&self, text: &str) -> Result<(), ItemError> {
        let mut spans: BTreeMap<&str, Vec<(Date, Date)>> = BTreeMap::new();
        for (place, item) in self.items.iter().enumerate() {
            let fail = |what: String| ItemError::Item {
                line: line_of(text, place),
                item: brief(&item.code),
                what: brief(what),
            };
            if item.code.trim().is_empty() {
                return Err(fail("needs a code".to_owned()));
            }
            let span = (item.from.unwrap_or(Date::MIN), item.until.unwrap_or(Date::MAX));
            if span.0 > span.1 {
                return Err(fail("ends before it begins".to_owned()));
            }
            let others = spans.entry(&item.code).or_default();
            if others.iter().any(|o| span.0 <= o.1 && o.0 <= span.1) {
                return Err(fail("stands twice for the same days; end one with `until`".to_owned()));
            }
            others.push(span);
            for link in &item.links {
                if link.from.zip(link.until).is_some_and(|(f, u)| f > u) {
                    return Err(fail(format!("its link to {:?} ends before it begins", link.code)));
                }
                if link.share.is_some_and(|s| !(s > 0.0 && s <= 1.0)) {
                    return Err(fail(format!("the share of {:?} must be above 0 and at most 1", link.code)));
                }
                if !(2..=20).contains(&link.code.len())
                    || !link.code.bytes().all(|b| b.is_ascii_alphanumeric())
                {
                    return Err(fail(format!("{:?} is no code: 2 to 20 digits or letters", link.code)));
                }
                let odd = link.nomenclature.starts_with("hs") && link.code.len() % 2 == 1;
                if odd {
                    return Err(fail(format!(
                        "{:?} has an odd number of digits; is a zero lost?",
                        link.code
                    )));
                }
            }
        }
        Ok(())
    }

    /// The items valid on a day.
    pub fn valid_on(&self, day: Date) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |i| covers(i.from, i.until, day))
    }

    /// The links of an item in a nomenclature on a day; many when it is found under many codes.
    pub fn links_of<'a>(
        &'a self,
        item: &'a str,
        nomenclature: &'a str,
        day: Date,
    ) -> impl Iterator<Item = &'a ItemLink> {
        let items = self.valid_on(day).filter(move |i| i.code == item);
        items.flat_map(|i| &i.links).filter(move |l| l.nomenclature == nomenclature && l.holds(day))
    }

    /// The items that a code of a nomenclature belongs to on a day, with the links that say so.
    pub fn items_of<'a>(
        &'a self,
        nomenclature: &'a str,
        code: &'a str,
        day: Date,
    ) -> impl Iterator<Item = (&'a Item, &'a ItemLink)> {
        self.valid_on(day).flat_map(|i| i.links.iter().map(move |l| (i, l))).filter(move |(_, l)| {
            l.nomenclature == nomenclature && code.starts_with(l.code.as_str()) && l.holds(day)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        name = "watched"
        version = "2026-11"
        [[item]]
        code = "urea-vehicle"
        name = "Urea for vehicles"
        from = "2021-11-01"
        link = [
            { nomenclature = "kr-hsk", code = "3102101000", share = 0.15, until = "2021-12-31" },
            { nomenclature = "kr-hsk", code = "3102101010", from = "2022-01-01" },
            { nomenclature = "hs2022", code = "310210", share = 0.1 },
        ]
        [[item]]
        code = "urea-farm"
        name = "Urea for fields"
        link = [{ nomenclature = "kr-hsk", code = "310210", share = 0.85 }]
    "#;

    #[test]
    fn items_lie_below_codes_and_move_with_time() {
        let list = ItemList::parse(LIST).unwrap();
        let day = |t: &str| t.parse::<Date>().unwrap();
        let codes = |d| -> Vec<_> {
            list.links_of("urea-vehicle", "kr-hsk", day(d)).map(|l| (l.code.as_str(), l.share())).collect()
        };
        assert!(codes("2021-10-31").is_empty());
        assert_eq!(codes("2021-11-01"), [("3102101000", 0.15)]);
        assert_eq!(codes("2022-01-01"), [("3102101010", 1.0)]);
        let items = |d| -> Vec<_> {
            list.items_of("kr-hsk", "3102101000", day(d)).map(|(i, _)| i.code.as_str()).collect()
        };
        assert_eq!(items("2021-11-15"), ["urea-vehicle", "urea-farm"]);
        assert_eq!(items("2020-01-01"), ["urea-farm"]);
        let again = ItemList::parse(&toml::to_string(&list).unwrap()).unwrap();
        assert_eq!(again, list);
    }

    #[test]
    fn a_wrong_list_is_refused_with_the_item() {
        for (from, to, expected) in [
            ("share = 0.85", "share = 1.5", "at most 1"),
            ("\"310210\", share = 0.85", "\"31-210\"", "is no code"),
            ("\"310210\", share = 0.1", "\"31021\"", "zero lost"),
            ("\"urea-farm\"", "\"urea-vehicle\"", "stands twice"),
            ("from = \"2021-11-01\"", "from = \"2021-11-01\"\nuntil = \"2020-01-01\"", "ends before"),
            ("version", "vision", "cannot be read"),
        ] {
            let error = ItemList::parse(&LIST.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        // The second item begins in the thirteenth line of the text.
        let error =
            ItemList::parse(&LIST.replacen("share = 0.85", "share = 1.5", 1)).unwrap_err().to_string();
        assert!(error.starts_with("line 13, item \"urea-farm\": the share of \"310210\""), "{error}");
    }
}
