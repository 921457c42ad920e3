//! From one revision of the Harmonized System to another, at six digits.
//!
//! The built-in tables (concordance package, MIT) give each code of the newer revision one code of
//! the older one, the main one. Backwards they are one-to-many.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::lists;
use crate::month::Date;

/// A revision of the Harmonized System.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revision {
    /// HS 1992, H0.
    Hs1992,
    /// HS 2012, H4.
    Hs2012,
    /// HS 2017, H5.
    Hs2017,
    /// HS 2022, H6.
    Hs2022,
}

impl Revision {
    /// The first day it was in force in most places.
    pub fn in_force_from(self) -> Date {
        let year = match self {
            Self::Hs1992 => 1992,
            Self::Hs2012 => 2012,
            Self::Hs2017 => 2017,
            Self::Hs2022 => 2022,
        };
        jiff::civil::date(year, 1, 1)
    }

    /// The revision in force in most places in a year, of those that are built in: 1992 stands for
    /// 1996, 2002 and 2007 too.
    pub fn of_year(year: u16) -> Self {
        match year {
            2022.. => Self::Hs2022,
            2017.. => Self::Hs2017,
            2012.. => Self::Hs2012,
            _ => Self::Hs1992,
        }
    }
}

/// The names of the revisions, oldest first, for the command line and for errors.
const NAMES: [(&str, Revision); 4] = [
    ("hs1992", Revision::Hs1992),
    ("hs2012", Revision::Hs2012),
    ("hs2017", Revision::Hs2017),
    ("hs2022", Revision::Hs2022),
];

/// A text is no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no revision of the Harmonized System that is built in: hs1992, hs2012, hs2017 or hs2022")]
pub struct NoRevision(pub String);

impl FromStr for Revision {
    type Err = NoRevision;

    fn from_str(text: &str) -> Result<Self, NoRevision> {
        let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, revision)| *revision).ok_or_else(|| NoRevision(text.to_owned()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = NAMES.iter().find(|(_, revision)| revision == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

type Table = HashMap<&'static str, Vec<&'static str>>;

fn forward(text: &'static str) -> Table {
    let mut table = Table::new();
    for row in lists::rows(text) {
        if let [Some(from), _, _, Some(to)] = lists::fields(row)
            && from != "NA"
            && to != "NA"
        {
            table.entry(from).or_default().push(to);
        }
    }
    table
}

fn backward(table: &Table) -> Table {
    let mut turned = Table::new();
    for (from, all) in table {
        for to in all {
            turned.entry(to).or_default().push(from);
        }
    }
    turned
}

static DOWN_22_17: LazyLock<Table> = LazyLock::new(|| forward(&lists::HS6_HS5));
static DOWN_17_12: LazyLock<Table> = LazyLock::new(|| forward(&lists::HS5_HS4));
static DOWN_17_92: LazyLock<Table> = LazyLock::new(|| forward(&lists::HS5_HS0));
static UP_17_22: LazyLock<Table> = LazyLock::new(|| backward(&DOWN_22_17));
static UP_12_17: LazyLock<Table> = LazyLock::new(|| backward(&DOWN_17_12));
static UP_92_17: LazyLock<Table> = LazyLock::new(|| backward(&DOWN_17_92));
static DIRECT_22_12: LazyLock<Table> = LazyLock::new(|| forward(&lists::HS6_HS4));

/// The codes of `to` that the six-digit `code` of `from` turns into, in order; empty when the
/// tables do not know the code. Leads through HS 2017, which every table touches.
pub fn convert(code: &str, from: Revision, to: Revision) -> Vec<String> {
    let known = |table: &Table, code: &str| table.contains_key(code);
    if from == to {
        let there = match from {
            Revision::Hs2022 => known(&DOWN_22_17, code),
            Revision::Hs2017 => known(&DOWN_17_12, code),
            Revision::Hs2012 => known(&UP_12_17, code),
            Revision::Hs1992 => known(&UP_92_17, code),
        };
        return if there { vec![code.to_owned()] } else { Vec::new() };
    }
    let through = |table: &Table, codes: &BTreeSet<&str>| -> BTreeSet<&'static str> {
        codes.iter().filter_map(|c| table.get(c)).flatten().copied().collect()
    };
    let start = BTreeSet::from([code]);
    let at_2017: BTreeSet<&str> = match from {
        Revision::Hs2022 => through(&DOWN_22_17, &start),
        Revision::Hs2017 => start,
        Revision::Hs2012 => through(&UP_12_17, &start),
        Revision::Hs1992 => through(&UP_92_17, &start),
    };
    let end: BTreeSet<&str> = match to {
        Revision::Hs2022 => through(&UP_17_22, &at_2017),
        Revision::Hs2017 => at_2017,
        Revision::Hs2012 => through(&DOWN_17_12, &at_2017),
        Revision::Hs1992 => through(&DOWN_17_92, &at_2017),
    };
    end.into_iter().map(str::to_owned).collect()
}

/// Where the tables are from, for reports.
pub const SOURCE: &str =
    "R package concordance (github insongkim/concordance at 201c812, MIT): each newer code's main older one";

/// One step of a conversion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// The revision that it leads from.
    pub from: Revision,
    /// The code there.
    pub code: String,
    /// The revision that it leads to.
    pub to: Revision,
    /// The code there.
    pub becomes: String,
}

/// The steps of [`convert`], through HS 2017 where neither end is it; empty when it is empty.
pub fn steps(code: &str, from: Revision, to: Revision) -> Vec<Step> {
    let step = |code: &str, from, to| {
        let into = convert(code, from, to).into_iter();
        into.map(|becomes| Step { from, code: code.to_owned(), to, becomes }).collect::<Vec<_>>()
    };
    if [from, to].contains(&Revision::Hs2017) || from == to {
        return step(code, from, to);
    }
    let first = step(code, from, Revision::Hs2017);
    let second: BTreeSet<Step> =
        first.iter().flat_map(|middle| step(&middle.becomes, Revision::Hs2017, to)).collect();
    if second.is_empty() { Vec::new() } else { first.into_iter().chain(second).collect() }
}

/// The code of HS 2012 that the direct table gives a code of HS 2022, to check the chain against.
pub fn direct_2022_to_2012(code: &str) -> Option<&'static str> {
    DIRECT_22_12.get(code)?.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_lead_from_2022_to_2012() {
        let chain = |code| {
            let middle = convert(code, Revision::Hs2022, Revision::Hs2017);
            let end = convert(code, Revision::Hs2022, Revision::Hs2012);
            (middle, end)
        };
        for (code, middle, end) in [
            ("281111", "281111", "281111"),
            ("370790", "370790", "370790"),
            ("310210", "310210", "310210"),
            ("854232", "854232", "854232"),
            ("852411", "851712", "851712"),
            ("010121", "010121", "010121"),
        ] {
            assert_eq!(chain(code), (vec![middle.to_owned()], vec![end.to_owned()]), "{code}");
        }
        assert_eq!(convert("854232", Revision::Hs2017, Revision::Hs1992), ["854211"]);
        assert!(convert("854211", Revision::Hs1992, Revision::Hs2017).contains(&"854232".to_owned()));
        let phones = convert("851712", Revision::Hs2012, Revision::Hs2022);
        assert!(phones.contains(&"852411".to_owned()), "{phones:?}");
        assert!(convert("888888", Revision::Hs2022, Revision::Hs2012).is_empty());
        assert!(convert("888888", Revision::Hs2022, Revision::Hs2022).is_empty());
        assert_eq!(convert("281111", Revision::Hs2017, Revision::Hs2017), ["281111"]);
    }

    #[test]
    fn steps_name_every_code_on_the_way() {
        let phones = steps("852411", Revision::Hs2022, Revision::Hs2012);
        let said: Vec<String> =
            phones.iter().map(|s| format!("{} {} → {} {}", s.from, s.code, s.to, s.becomes)).collect();
        assert_eq!(said, ["hs2022 852411 → hs2017 851712", "hs2017 851712 → hs2012 851712"]);
        assert_eq!(steps("281111", Revision::Hs2017, Revision::Hs2012).len(), 1);
        assert!(steps("888888", Revision::Hs2022, Revision::Hs2012).is_empty());
        assert!(
            "HS2022".parse::<Revision>() == Ok(Revision::Hs2022) && "hs2007".parse::<Revision>().is_err()
        );
    }

    #[test]
    fn the_chain_agrees_with_the_direct_table_for_nearly_all_codes() {
        let codes: Vec<&str> = DOWN_22_17.keys().copied().collect();
        let same = codes.iter().filter(|code| {
            let chain = convert(code, Revision::Hs2022, Revision::Hs2012);
            chain.first().map(String::as_str) == direct_2022_to_2012(code)
        });
        let share = same.count() as f64 / codes.len() as f64;
        assert!(share > 0.97, "{share}");
    }
}
