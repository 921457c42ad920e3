//! The code lists that are built in: data/trade/codes, see SOURCE.md there.

use std::io::Read;
use std::sync::LazyLock;

use serde::Serialize;

pub(super) const ECONOMIES: &str = include_str!("../../../../data/trade/codes/economies.csv");
pub(super) const ECONOMY_ALIASES: &str = include_str!("../../../../data/trade/codes/economy_aliases.csv");

macro_rules! list {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<String> = LazyLock::new(|| {
            inflate(include_bytes!(concat!("../../../../data/trade/codes/", $file, ".csv.gz")))
        });
    };
}

list!(HS6_HS5, "hs6_hs5");
list!(HS5_HS4, "hs5_hs4");
list!(HS6_HS4, "hs6_hs4");
list!(HS5_HS0, "hs5_hs0");
list!(HS5_SITC2, "hs5_sitc2");
list!(HS6_BEC4, "hs6_bec4");
list!(SITC2_RAUCH, "sitc2_rauch");
list!(SIGMA_HS0, "sigma_hs0");
list!(HS6_NAMES, "hs6_names");

/// A code list that is built in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodeList {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// Its rows.
    pub rows: u64,
    /// Where it is from, and under which licence.
    pub source: &'static str,
}

const CONCORDANCE: &str = "github insongkim/concordance at 201c812, MIT";

/// The code lists that are built in.
pub fn shipped() -> Vec<CodeList> {
    let list =
        |name, holds, text: &str, source| CodeList { name, holds, rows: rows(text).count() as u64, source };
    vec![
        list(
            "economies",
            "ISO 3166-1 codes and names",
            ECONOMIES,
            "github datasets/country-codes at caa72d1, PDDL",
        ),
        list("economy-aliases", "what sources call economies", ECONOMY_ALIASES, "made for this project"),
        list("hs6-hs5", "HS 2022 to HS 2017", &HS6_HS5, CONCORDANCE),
        list("hs6-hs4", "HS 2022 to HS 2012", &HS6_HS4, CONCORDANCE),
        list("hs5-hs4", "HS 2017 to HS 2012", &HS5_HS4, CONCORDANCE),
        list("hs5-hs0", "HS 2017 to HS 1992", &HS5_HS0, CONCORDANCE),
        list("hs5-sitc2", "HS 2017 to SITC Rev. 2", &HS5_SITC2, CONCORDANCE),
        list("hs6-bec4", "HS 2022 to BEC Rev. 4", &HS6_BEC4, CONCORDANCE),
        list("sitc2-rauch", "classes of goods, Rauch 1999", &SITC2_RAUCH, CONCORDANCE),
        list("sigma-hs0", "import elasticities, Broda & Weinstein 2006", &SIGMA_HS0, CONCORDANCE),
    ]
}

/// A list that does not inflate is empty; a test reads all of them.
fn inflate(bytes: &[u8]) -> String {
    let mut text = String::new();
    match flate2::read::GzDecoder::new(bytes).read_to_string(&mut text) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}

/// The rows below the header.
pub(super) fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(1)
}

/// The first `N` fields of a row whose fields hold no comma, without quotes; `NA` is none.
pub(super) fn fields<const N: usize>(row: &str) -> [Option<&str>; N] {
    let mut parts = row.split(',');
    std::array::from_fn(|_| parts.next().map(bare))
}

/// Without quotes.
fn bare(text: &str) -> &str {
    text.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_there() {
        for (name, list, rows_expected) in [
            ("hs6_hs5", &HS6_HS5, 5613),
            ("hs5_hs4", &HS5_HS4, 5388),
            ("hs6_hs4", &HS6_HS4, 5613),
            ("hs5_hs0", &HS5_HS0, 5388),
            ("hs5_sitc2", &HS5_SITC2, 5387),
            ("hs6_bec4", &HS6_BEC4, 5927),
            ("sitc2_rauch", &SITC2_RAUCH, 1189),
            ("sigma_hs0", &SIGMA_HS0, 11293),
            ("hs6_names", &HS6_NAMES, 6940),
        ] {
            assert_eq!(rows(list).count(), rows_expected, "{name}");
        }
        assert_eq!(shipped().iter().map(|list| list.rows).sum::<u64>(), 249 + 393 + 45_798);
    }
}
