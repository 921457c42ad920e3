//! From the codes of a source to the operator's own items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::ItemList;
use super::concordance::{Revision, convert};
use crate::month::{Date, Month};

/// A way from a source's codes to an item in one year: trade under codes that begin with `prefix`.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemWay {
    /// The item's own code.
    pub item: Arc<str>,
    /// What the source's codes begin with.
    pub prefix: String,
    /// The part of their trade that is the item.
    pub share: f64,
    /// How the link was followed, in words.
    pub how: String,
}

/// A list of items that was applied to a source, with the codes that each item was found under.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// The list.
    pub list: String,
    /// Its version.
    pub version: String,
    /// By item: the codes it was found under, with the first and last year and how.
    pub found: BTreeMap<Arc<str>, Vec<FoundUnder>>,
    /// Items of the list that were found under no code.
    pub missing: BTreeSet<String>,
}

/// A code that an item was found under.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundUnder {
    /// The source's code.
    pub code: Arc<str>,
    /// The part of its trade.
    pub share: f64,
    /// How the link was followed.
    pub how: String,
    /// The first year.
    pub first: u16,
    /// The last year.
    pub last: u16,
}

impl ItemWay {
    /// Whether a code of the source is on this way.
    pub fn takes(&self, code: &str) -> bool {
        code.starts_with(&self.prefix)
    }
}

/// The nomenclatures that a source's codes are of: its own, and the Harmonized System they begin with.
fn nomenclature(source: &str) -> Option<&'static str> {
    match source {
        "kcs" => Some("kr-hsk"),
        "japan-customs" => Some("jp-hs9"),
        "comext" => Some("cn8"),
        _ => None,
    }
}

impl ItemList {
    /// The ways from a source's codes to the items of the list that are valid at the end of a year.
    /// Of an item, links in the source's own nomenclature (`kr-hsk`, `jp-hs9`, `cn8`) go first; else
    /// those in the revision of the Harmonized System that the codes begin with (that of the year
    /// when not given); else those in another revision, through the built-in tables.
    pub fn ways(&self, source: &str, year: u16, revision: Option<Revision>) -> Vec<ItemWay> {
        let day = Month::new(year, 12).map_or(Date::MAX, Month::last_day);
        let revision = revision.unwrap_or_else(|| Revision::of_year(year));
        let mut all = Vec::new();
        for item in self.valid_on(day) {
            let code: Arc<str> = item.code.as_str().into();
            let links = || item.links.iter().filter(|link| link.holds(day));
            let way = |prefix: String, share, how| ItemWay { item: Arc::clone(&code), prefix, share, how };
            let direct = |name: &str| -> Vec<ItemWay> {
                let of = links().filter(|link| link.nomenclature == name);
                of.map(|link| way(link.code.clone(), link.share(), format!("{name} {}", link.code))).collect()
            };
            let mut found = nomenclature(source).map(direct).unwrap_or_default();
            if found.is_empty() {
                found = direct(&revision.to_string());
            }
            if found.is_empty() {
                for link in links() {
                    let Ok(other) = link.nomenclature.parse::<Revision>() else { continue };
                    for to in convert(&link.code, other, revision) {
                        let how = format!("{other} {} → {revision} {to}", link.code);
                        found.push(way(to, link.share(), how));
                    }
                }
            }
            all.extend(found);
        }
        all
    }
}

impl Applied {
    /// Nothing found yet.
    pub fn new(list: &ItemList) -> Self {
        Self {
            list: list.name.clone(),
            version: list.version.clone(),
            found: BTreeMap::new(),
            missing: list.items.iter().map(|item| item.code.clone()).collect(),
        }
    }

    /// Notes that an item was found under a code in a year.
    pub fn note(&mut self, way: &ItemWay, code: &Arc<str>, year: u16) {
        self.missing.remove(&*way.item);
        let all = self.found.entry(Arc::clone(&way.item)).or_default();
        match all.iter_mut().find(|f| f.code == *code && f.how == way.how) {
            Some(found) => (found.first, found.last) = (found.first.min(year), found.last.max(year)),
            None => all.push(FoundUnder {
                code: Arc::clone(code),
                share: way.share,
                how: way.how.clone(),
                first: year,
                last: year,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        name = "watched"
        version = "1"
        [[item]]
        code = "acid"
        name = "Hydrogen fluoride, all grades"
        link = [
            { nomenclature = "kr-hsk", code = "2811111000", until = "2019-12-31" },
            { nomenclature = "hs2017", code = "281111" },
        ]
        [[item]]
        code = "displays"
        name = "Modules of flat panels"
        link = [{ nomenclature = "hs2022", code = "852411", share = 0.5 }]
    "#;

    #[test]
    fn the_narrowest_link_that_holds_is_taken_and_other_revisions_are_converted() {
        let list = ItemList::parse(LIST).unwrap();
        let ways = |source, year| -> Vec<(String, String, String)> {
            let all = list.ways(source, year, None).into_iter();
            all.map(|way| (way.item.to_string(), way.prefix, way.how)).collect()
        };
        let own = |item: &str, prefix: &str, how: &str| (item.to_owned(), prefix.to_owned(), how.to_owned());
        // concordance package: 852411 of HS 2022 was in 851712 of HS 2017.
        let displays = own("displays", "851712", "hs2022 852411 → hs2017 851712");
        assert_eq!(ways("kcs", 2019), [own("acid", "2811111000", "kr-hsk 2811111000"), displays.clone()]);
        assert_eq!(ways("kcs", 2020), [own("acid", "281111", "hs2017 281111"), displays]);
        let later = [
            own("acid", "281111", "hs2017 281111 → hs2022 281111"),
            own("displays", "852411", "hs2022 852411"),
        ];
        assert_eq!(ways("baci", 2022), later);
    }

    #[test]
    fn what_an_item_was_found_under_is_kept() {
        let list = ItemList::parse(LIST).unwrap();
        let mut applied = Applied::new(&list);
        for year in [2019, 2018] {
            let ways = list.ways("kcs", year, None);
            applied.note(&ways[0], &"2811111000".into(), year);
        }
        assert_eq!(applied.missing, BTreeSet::from(["displays".to_owned()]));
        let found = &applied.found["acid"][0];
        assert_eq!((&*found.code, found.share, found.first, found.last), ("2811111000", 1.0, 2018, 2019));
    }
}
