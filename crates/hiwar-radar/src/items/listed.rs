//! Whether a code is in any list that is built in: a code that is in none may be a slip of the pen.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::lists;

/// Codes of the Harmonized System with two, four and six digits: those of 2022, 2017 and 2012, and of
/// 1992 as far as they have a successor in 2017 or an elasticity.
static CODES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let tables = [&*lists::HS6_HS5, &*lists::HS5_HS4, &*lists::HS5_HS0];
    let rows = tables.into_iter().flat_map(|table| lists::rows(table)).flat_map(lists::fields::<6>);
    rows.flatten().filter(|code| *code != "NA").collect()
});

static ECONOMIES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let codes = lists::rows(lists::ECONOMIES).filter_map(|row| lists::fields::<1>(row)[0]);
    let own = lists::rows(lists::ECONOMY_ALIASES).filter_map(|row| row.splitn(3, ',').nth(2));
    codes.chain(own.map(|name| name.trim_matches('"'))).chain(["EU", "XK", "World"]).collect()
});

/// Whether the first digits of an item's code, six at most, are in any list of the Harmonized System that
/// is built in. Codes with letters are the operator's or the source's own, and pass.
pub fn listed_item(code: &str) -> bool {
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    CODES.contains(code.get(..6).unwrap_or(code))
}

/// Whether an economy, as the readers write it, is in ISO 3166-1 or among the names that sources use.
pub fn listed_economy(economy: &str) -> bool {
    ECONOMIES.contains(economy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_any_revision_are_listed_and_slips_are_not() {
        // 8542.31 of 2007 on; 8541.43 only of 2022; 2811.11 of all.
        for code in ["2811111000", "854231", "854143", "2811", "28", "own-item", "99RRR100"] {
            assert!(listed_item(code), "{code}");
        }
        for code in ["2811991", "281199", "000000", "0000", "77"] {
            assert!(!listed_item(code), "{code}");
        }
        assert!(["KR", "JP", "EU", "World"].into_iter().all(listed_economy));
        assert!(!listed_economy("the moon"));
    }
}
