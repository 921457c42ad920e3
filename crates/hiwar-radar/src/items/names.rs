//! What codes of the Harmonized System stand for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use super::lists;

/// Code to description, of HS 2022.
static NAMES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut rows = csv::Reader::from_reader(lists::HS6_NAMES.as_bytes());
    rows.deserialize().flatten().collect()
});

/// Characters of a name where there is little room.
const SHORT: usize = 48;

/// The description of the narrowest group of HS 2022 that a code belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The group: six digits, or four or two where there is no narrower one.
    pub code: &'static str,
    /// Its description, in English.
    pub text: &'static str,
}

/// What a code of six digits or more stands for, by HS 2022; national digits after the sixth are not looked at. A code
/// of an earlier revision may have meant something else: convert it first ([`super::concordance`]).
///
/// ```
/// let name = hiwar_radar::items::name_of("2811111000").unwrap();
/// assert_eq!((name.code, name.text), ("281111", "Hydrogen fluoride (hydrofluoric acid)"));
/// assert_eq!(hiwar_radar::items::name_of("MOTOR VEHICLES"), None);
/// ```
pub fn name_of(code: &str) -> Option<Name> {
    let digits = code.bytes().take_while(u8::is_ascii_digit).count();
    if digits < 6 || digits < code.len() {
        return None;
    }
    let found = [6, 4, 2].into_iter().find_map(|n| NAMES.get_key_value(code.get(..n)?));
    found.map(|(code, text)| Name { code, text })
}

/// The item as sources that use the Harmonized System share it: its first six digits.
pub fn six_digits(item: &str) -> Arc<str> {
    let digits = item.bytes().take_while(u8::is_ascii_digit).count();
    match item.get(..6) {
        Some(six) if digits >= 6 => six.into(),
        _ => item.into(),
    }
}

impl Name {
    /// The description, cut where a table has little room.
    pub fn short(self) -> String {
        match self.text.char_indices().nth(SHORT) {
            Some((end, _)) => format!("{}…", self.text.get(..end).unwrap_or_default().trim_end()),
            None => self.text.to_owned(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HS 2022, {})", self.text, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_national_code_has_the_name_of_its_six_digits_or_of_a_wider_group() {
        assert_eq!(name_of("854232").unwrap().text, "Electronic integrated circuits; memories");
        let wider = name_of("2811990000").unwrap();
        assert_eq!(wider.code, "2811");
        assert_eq!(name_of("28111"), None);
    }

    #[test]
    fn a_long_name_is_cut() {
        let short = name_of("370790").unwrap().short();
        assert_eq!(short, "Photographic goods; chemical preparations other…");
    }
}
