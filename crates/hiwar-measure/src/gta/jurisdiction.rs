//! GTA's numbers and names of countries.
//!
//! The numbers are those of ISO 3166-1 (UN M49) but for three, which are UN Comtrade's: France 251, Italy
//! 381, India 699 (github.com/global-trade-alert/docs, `.api/gta-value-mappings.md`). The others of UN
//! Comtrade are *not* used there: the United States are 840, Norway 578, Switzerland 756, Taiwan 158.

use crate::{Country, NotRead};

/// Where GTA's number is not that of ISO 3166-1; Kosovo has none there.
const OWN: [(u16, &str); 4] = [(251, "FR"), (381, "IT"), (699, "IN"), (999, "XK")];

/// Numbers of other lists that are taken for GTA's: which list, and GTA's number.
const OF_OTHERS: [(u16, &str, u16); 7] = [
    (250, "ISO 3166-1", 251),
    (380, "ISO 3166-1", 381),
    (356, "ISO 3166-1", 699),
    (842, "UN Comtrade", 840),
    (579, "UN Comtrade", 578),
    (757, "UN Comtrade", 756),
    (490, "UN Comtrade", 158),
];

/// GTA's names that differ from the English names of the project's table of economies.
const NAMES: [(&str, &str); 31] = [
    ("Bosnia & Herzegovina", "BA"),
    ("Brunei Darussalam", "BN"),
    ("Chinese Taipei", "TW"),
    ("Congo", "CG"),
    ("DPR Korea", "KP"),
    ("DR Congo", "CD"),
    ("European Union", "EU"),
    ("Faeroe Islands", "FO"),
    ("Ivory Coast", "CI"),
    ("Lao", "LA"),
    ("Macedonia", "MK"),
    ("Republic of Korea", "KR"),
    ("Republic of Kosovo", "XK"),
    ("Republic of Moldova", "MD"),
    ("Republic of the Sudan", "SD"),
    ("Saint Helena", "SH"),
    ("Saint Kitts & Nevis", "KN"),
    ("Saint Lucia", "LC"),
    ("Saint Pierre & Miquelon", "PM"),
    ("Saint Vincent & the Grenadines", "VC"),
    ("Saint-Barthélemy", "BL"),
    ("Saint-Martin", "MF"),
    ("Sao Tome & Principe", "ST"),
    ("State of Palestine", "PS"),
    ("Svalbard & Jan Mayen Islands", "SJ"),
    ("Turkiye", "TR"),
    ("US Virgin Islands", "VI"),
    ("United Kingdom", "GB"),
    ("United States of America", "US"),
    ("Vatican", "VA"),
    ("Wallis & Futuna Islands", "WF"),
];

/// The country of a number in a table of GTA.
///
/// # Errors
///
/// When GTA has no such number; for numbers of other lists the error says which one GTA writes.
pub fn country_of_id(id: u16) -> Result<Country, NotRead> {
    if let Some((_, list, meant)) = OF_OTHERS.iter().find(|(other, ..)| *other == id) {
        let arguments =
            vec![("found", id.to_string()), ("list", (*list).to_owned()), ("meant", meant.to_string())];
        return Err(NotRead { code: "gta-other-numbering", arguments });
    }
    let own = OWN.iter().find(|(own, _)| *own == id).and_then(|(_, code)| code.parse().ok());
    own.or_else(|| Country::of_iso_number(id))
        .ok_or_else(|| NotRead::new("gta-unknown-jurisdiction", &id.to_string()))
}

/// The country of a name in a table of GTA.
///
/// # Errors
///
/// When GTA has no such name.
pub fn country_of_name(name: &str) -> Result<Country, NotRead> {
    let own = NAMES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    let own = own.and_then(|(_, code)| code.parse().ok());
    own.or_else(|| Country::of_english_name(name))
        .ok_or_else(|| NotRead::new("gta-unknown-jurisdiction", name))
}
