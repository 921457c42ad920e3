//! Country codes, so that a misspelt one is found when terms are written.

/// The officially assigned codes of ISO 3166-1 alpha-2, sorted.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
     BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH \
     ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT \
     HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS \
     LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI \
     NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG \
     SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG \
     UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Codes that people write and that are no ISO 3166-1 alpha-2 codes, and what they mean.
const OFTEN_WRITTEN: [(&str, &str); 12] = [
    ("CHN", "CN"),
    ("DEU", "DE"),
    ("EL", "GR"),
    ("FRA", "FR"),
    ("GBR", "GB"),
    ("JAP", "JP"),
    ("JPN", "JP"),
    ("KOR", "KR"),
    ("ROK", "KR"),
    ("TWN", "TW"),
    ("UK", "GB"),
    ("USA", "US"),
];

/// Whether `code` is an ISO 3166-1 alpha-2 code, in any case.
pub(crate) fn is_country(code: &str) -> bool {
    code.len() == 2 && CODES.split(' ').any(|known| known.eq_ignore_ascii_case(code))
}

/// What to write instead of a code that is none.
pub(crate) fn mend(code: &str) -> String {
    let meant = OFTEN_WRITTEN.iter().find(|(written, _)| written.eq_ignore_ascii_case(code));
    match meant {
        Some((_, code)) => format!("write {code}"),
        None => "write ISO 3166-1 alpha-2 codes, such as KR or JP".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_list_that_the_project_carries() {
        let list = include_str!("../../../../data/trade/codes/economies.csv");
        let mut listed: Vec<&str> = list.lines().skip(1).filter_map(|row| row.split(',').next()).collect();
        listed.sort_unstable();
        assert_eq!(CODES.split(' ').collect::<Vec<_>>(), listed);
        assert_eq!(listed.len(), 249, "ISO 3166-1 has 249 officially assigned codes");
    }

    #[test]
    fn a_code_that_is_often_written_is_no_code_and_is_mended_to_one_that_is() {
        for (written, meant) in OFTEN_WRITTEN {
            assert!(!is_country(written), "{written}");
            assert!(is_country(meant), "{meant}");
        }
        assert!(is_country("kr"));
        assert_eq!(mend("UK"), "write GB");
    }
}
