//! Economies: ISO 3166-1, and what sources call them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::lists;

/// A list of codes or names for economies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// ISO 3166-1 alpha-2, and the words of [`Scheme::Kcs`].
    Kcs,
    /// The three digits of Japan Customs (103 = Korea).
    JapanCustoms,
    /// The abbreviations of e-Stat's tables (`R KOREA`), in any case.
    Estat,
    /// Numbers of ISO 3166-1 and M49 as UN Comtrade and BACI use them, with their own (490 = Taiwan).
    M49,
    /// Alpha-2 as Eurostat writes it (`EL`, `XS`); its own codes for what is no country stay.
    Comext,
    /// Short English names, and FAOSTAT's own where they differ.
    Faostat,
    /// ISO 3166-1 alpha-2 or alpha-3, or words of at most 60 characters.
    Plain,
}

impl Scheme {
    /// The name in messages and in `economy_aliases.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kcs => "kcs",
            Self::JapanCustoms => "japan-customs",
            Self::Estat => "estat",
            Self::M49 => "m49",
            Self::Comext => "comext",
            Self::Faostat => "faostat",
            Self::Plain => "plain",
        }
    }
}

struct Lists {
    alpha2: HashMap<&'static str, Arc<str>>,
    alpha3: HashMap<&'static str, Arc<str>>,
    m49: HashMap<u32, Arc<str>>,
    names: HashMap<&'static str, &'static str>,
    aliases: HashMap<(&'static str, &'static str), Arc<str>>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists {
        alpha2: HashMap::new(),
        alpha3: HashMap::new(),
        m49: HashMap::new(),
        names: HashMap::new(),
        aliases: HashMap::new(),
    };
    for row in lists::rows(lists::ECONOMIES) {
        let [Some(alpha2), Some(alpha3), Some(m49), Some(name)] = lists::fields(row) else { continue };
        let code: Arc<str> = alpha2.into();
        lists.names.insert(alpha2, name);
        lists.alpha2.insert(alpha2, Arc::clone(&code));
        lists.alpha3.insert(alpha3, Arc::clone(&code));
        if let Ok(number) = m49.parse() {
            lists.m49.insert(number, code);
        }
    }
    for row in lists::rows(lists::ECONOMY_ALIASES) {
        // The economy is the last column and may hold a comma, in quotes.
        let mut parts = row.splitn(3, ',');
        if let (Some(scheme), Some(code), Some(economy)) = (parts.next(), parts.next(), parts.next()) {
            lists.aliases.insert((scheme, code), economy.trim_matches('"').into());
        }
    }
    lists
});

/// The economy that a source's code or name stands for: alpha-2 where there is one, the source's own
/// words where not. `None` for a code that is in no list.
pub fn economy(scheme: Scheme, code: &str) -> Option<Arc<str>> {
    let lists = &*LISTS;
    let alias = |scheme: Scheme, code: &str| lists.aliases.get(&(scheme.name(), code)).cloned();
    match scheme {
        Scheme::Kcs => lists.alpha2.get(code).cloned().or_else(|| alias(scheme, code)),
        Scheme::JapanCustoms => alias(scheme, code),
        Scheme::Estat => alias(scheme, &code.to_uppercase()),
        Scheme::M49 => {
            let number: u32 = code.parse().ok()?;
            alias(scheme, &number.to_string()).or_else(|| lists.m49.get(&number).cloned())
        }
        Scheme::Comext => alias(scheme, code).or_else(|| lists.alpha2.get(code).cloned()).or_else(|| {
            let own = code.len() == 2 && code.starts_with(['Q', 'X', 'E']);
            (own && code.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| code.into())
        }),
        Scheme::Faostat => alias(scheme, code).or_else(|| {
            let (alpha2, _) = lists.names.iter().find(|(_, name)| **name == code)?;
            lists.alpha2.get(alpha2).cloned()
        }),
        Scheme::Plain => {
            if code.is_empty() || code.chars().count() > 60 {
                return None;
            }
            let upper = code.bytes().all(|b| b.is_ascii_uppercase());
            match code.len() {
                2 if upper => lists
                    .alpha2
                    .get(code)
                    .cloned()
                    .or_else(|| ["EU", "XK"].contains(&code).then(|| code.into())),
                3 if upper => lists.alpha3.get(code).cloned(),
                _ => Some(code.into()),
            }
        }
    }
}

/// The short English name of an economy by its alpha-2 code.
pub fn economy_name(alpha2: &str) -> Option<&'static str> {
    LISTS.names.get(alpha2).copied()
}

/// The alpha-3 code of an economy by its alpha-2 code.
pub fn alpha3(alpha2: &str) -> Option<&'static str> {
    LISTS.alpha3.iter().find(|(_, two)| two.as_ref() == alpha2).map(|(three, _)| *three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_the_same_economies() {
        for (scheme, code, expected) in [
            (Scheme::JapanCustoms, "103", Some("KR")),
            (Scheme::JapanCustoms, "105", Some("CN")),
            (Scheme::JapanCustoms, "304", Some("US")),
            (Scheme::JapanCustoms, "702", Some("Unknown")),
            (Scheme::JapanCustoms, "703", Some("Bonded Manufacturing Warehouse,Integrated Hozei Area")),
            (Scheme::JapanCustoms, "999", None),
            (Scheme::Kcs, "Rumania", Some("RO")),
            (Scheme::Kcs, "Netherland", Some("NL")),
            (Scheme::Kcs, "JP", Some("JP")),
            (Scheme::Kcs, "Atlantis", None),
            (Scheme::Estat, "R KOREA", Some("KR")),
            (Scheme::Estat, "R Korea", Some("KR")),
            (Scheme::Estat, "Grand Total", Some("Grand Total")),
            (Scheme::M49, "410", Some("KR")),
            (Scheme::M49, "490", Some("TW")),
            (Scheme::M49, "842", Some("US")),
            (Scheme::M49, "004", Some("AF")),
            (Scheme::M49, "516", Some("NA")),
            (Scheme::Comext, "EL", Some("GR")),
            (Scheme::Comext, "QP", Some("QP")),
            (Scheme::Faostat, "South Korea", Some("KR")),
            (Scheme::Faostat, "United States", Some("US")),
            (Scheme::Faostat, "Atlantis", None),
            (Scheme::Plain, "KOR", Some("KR")),
            (Scheme::Plain, "ZZ", None),
        ] {
            assert_eq!(economy(scheme, code).as_deref(), expected, "{scheme:?} {code}");
        }
        assert_eq!((economy_name("KR"), alpha3("JP")), (Some("South Korea"), Some("JPN")));
    }
}
