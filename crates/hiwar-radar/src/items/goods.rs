//! How replaceable and what kind of goods: Rauch's classes, elasticities, economic categories.
//!
//! Caution: Rauch's class of hydrogen fluoride is "exchange-traded", which is wrong for etch grade;
//! the elasticity says the right thing. Prefer the elasticity and let experts override both.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::concordance::{Revision, convert};
use super::{alpha3, lists};

/// How goods are priced (Rauch 1999).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RauchClass {
    /// w: traded on an organised exchange.
    Exchange,
    /// r: has a reference price.
    Reference,
    /// n: differentiated.
    Differentiated,
}

/// The class of goods, in both of Rauch's readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rauch {
    /// Where in doubt, fewer goods are exchange-traded or reference-priced.
    pub conservative: RauchClass,
    /// Where in doubt, more are.
    pub liberal: RauchClass,
}

static RAUCH: LazyLock<HashMap<&'static str, Rauch>> = LazyLock::new(|| {
    let class = |text| match text {
        "w" => Some(RauchClass::Exchange),
        "r" => Some(RauchClass::Reference),
        "n" => Some(RauchClass::Differentiated),
        _ => None,
    };
    let row = |row| match lists::fields(row) {
        [Some(code), Some(con), Some(lib)] => {
            Some((code, Rauch { conservative: class(con)?, liberal: class(lib)? }))
        }
        _ => None,
    };
    lists::rows(&lists::SITC2_RAUCH).filter_map(row).collect()
});

static SITC: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let row = |row| match lists::fields(row) {
        [Some(hs), _, _, Some(sitc)] if sitc != "NA" => Some((hs, sitc)),
        _ => None,
    };
    lists::rows(&lists::HS5_SITC2).filter_map(row).collect()
});

static SIGMA: LazyLock<HashMap<(&'static str, &'static str), f64>> = LazyLock::new(|| {
    let row = |row| match lists::fields(row) {
        [Some(iso3), Some(hs3), _, Some(sigma)] => Some(((iso3, hs3), sigma.parse().ok()?)),
        _ => None,
    };
    lists::rows(&lists::SIGMA_HS0).filter_map(row).collect()
});

static BEC: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<_>> = HashMap::new();
    for row in lists::rows(&lists::HS6_BEC4) {
        if let [Some(hs), _, _, Some(bec)] = lists::fields(row)
            && hs != "NA"
        {
            table.entry(hs).or_default().push(bec);
        }
    }
    table
});

/// The five-digit SITC Rev. 2 code of a six-digit code of HS 2017.
pub fn sitc2(hs2017: &str) -> Option<&'static str> {
    SITC.get(hs2017).copied()
}

/// Rauch's class of a six-digit code of HS 2017; `None` when the list has
/// none.
pub fn rauch(hs2017: &str) -> Option<Rauch> {
    let sitc4 = sitc2(hs2017)?.get(..4)?;
    RAUCH.get(sitc4).copied()
}

/// The elasticity of substitution between an importer's suppliers of a group of goods
/// (Broda-Weinstein), by alpha-2 code of the importer and the first three digits of HS 1992. Low
/// means hard to replace.
pub fn sigma(importer: &str, hs1992_3: &str) -> Option<f64> {
    SIGMA.get(&(alpha3(importer)?, hs1992_3)).copied()
}

/// An elasticity of substitution, with what it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elasticity {
    /// The elasticity.
    pub sigma: f64,
    /// The importer, alpha-3 as in the table.
    pub importer: String,
    /// The group of goods: the first three digits of HS 1992.
    pub hs1992_3: String,
}

/// Where the elasticities are from, for reports.
pub const SIGMA_SOURCE: &str = "Broda & Weinstein 2006, import elasticities by country and three digits of HS 1992 (R package concordance, MIT)";

/// The elasticity for a six-digit code of any revision: that of the group it fell in in HS 1992.
pub fn sigma_of(importer: &str, code: &str, revision: Revision) -> Option<Elasticity> {
    let old = convert(code, revision, Revision::Hs1992);
    let group = old.first()?.get(..3)?;
    Some(Elasticity {
        sigma: sigma(importer, group)?,
        importer: alpha3(importer)?.to_owned(),
        hs1992_3: group.to_owned(),
    })
}

/// The categories of BEC Rev. 4 a six-digit code of HS 2022 is in; several when its goods have
/// several uses.
pub fn bec4(hs2022: &str) -> &'static [&'static str] {
    BEC.get(hs2022).map_or(&[], Vec::as_slice)
}

/// Whether a category of BEC Rev. 4 is of intermediate goods (System of National Accounts classes).
pub fn is_intermediate(bec: &str) -> bool {
    ["111", "121", "210", "220", "310", "322", "420", "530"].contains(&bec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_give_the_published_values() {
        let close = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 0.005;
        assert!(close(sigma("KR", "281"), 1.58) && close(sigma("JP", "281"), 2.06));
        let of = |code, revision| sigma_of("KR", code, revision).unwrap();
        let acid = of("281111", Revision::Hs2022);
        assert_eq!((acid.importer.as_str(), acid.hs1992_3.as_str()), ("KOR", "281"));
        assert!(close(Some(acid.sigma), 1.58));
        assert!(close(Some(of("854232", Revision::Hs2017).sigma), 5.47));
        assert_eq!(sigma("KR", "000"), None);

        assert_eq!(rauch("281111").unwrap().conservative, RauchClass::Exchange);
        let memory = rauch("854232").unwrap();
        assert_eq!(
            (memory.conservative, memory.liberal),
            (RauchClass::Differentiated, RauchClass::Reference)
        );
        assert_eq!(rauch("370790"), None, "photoresist has no class");
        assert_eq!(sitc2("710820"), None, "NA is no code");

        assert_eq!(bec4("281111"), ["220"]);
        assert!(bec4("854232").contains(&"420") && bec4("NA").is_empty());
        assert!(is_intermediate("220") && !is_intermediate("410"));
    }
}
