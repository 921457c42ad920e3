//! Values of this crate as fields of forms, and what is said when they are wrong.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

use hiwar_form::{FromField, Language, Messages, Wrong};
use serde_json::Value;

use crate::measure::{Flow, Kind, Texts};
use crate::{
    Cas, Checked, Country, Decimal, Edition, Field, ItemId, MeasureId, NotRead, Places, Quantity, StateId,
    When,
};

/// Longest text of a stranger that a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    Messages::new([
        include_str!("../locales/en.ftl"),
        include_str!("../locales/ko.ftl"),
        include_str!("../locales/ja.ftl"),
        include_str!("../locales/ar.ftl"),
    ])
});

/// The messages of this crate, with those about forms in general.
pub fn messages() -> &'static Messages {
    &MESSAGES
}

/// What is wrong with a value, in English.
pub(crate) fn say(error: &NotRead) -> String {
    let arguments: Vec<(&str, &str)> = error.arguments.iter().map(|(n, v)| (*n, v.as_str())).collect();
    messages().say(Language::En, error.code, &arguments)
}

/// A stranger's text as a message may repeat it.
pub(crate) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn wrong(error: NotRead) -> Wrong {
    Wrong { code: error.code, arguments: error.arguments, within: String::new() }
}

fn parsed<T: FromStr<Err = NotRead>>(value: &Value) -> Result<T, Wrong> {
    String::from_field(value)?.parse().map_err(wrong)
}

macro_rules! from_text {
    ($($type:ty),+) => {
        $(impl FromField for $type {
            fn from_field(value: &Value) -> Result<Self, Wrong> {
                parsed(value)
            }
        })+
    };
}

from_text!(Cas, Checked, Country, Edition, Field, Flow, ItemId, Kind, MeasureId, Quantity, StateId, When);

impl FromField for Decimal {
    /// A number in quotation marks or without; the latter is read by its digits, never by way of a float.
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Number(number) => number.to_string().parse().map_err(wrong),
            _ => parsed(value),
        }
    }
}

impl FromField for Places {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::String(text) if text == "all" => Ok(Self::All),
            Value::Array(values) if !values.is_empty() => {
                let mut countries = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    let within = |wrong| Wrong { within: format!("[{index}]"), ..wrong };
                    countries.push(Country::from_field(value).map_err(within)?);
                }
                countries.sort_unstable();
                countries.dedup();
                Ok(Self::Of(countries))
            }
            _ => Err(Wrong::plain("not-places")),
        }
    }
}

impl FromField for Texts {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let texts: BTreeMap<String, String> = FromField::from_field(value)?;
        Self::new(texts).ok_or_else(|| Wrong::plain("texts-without-english"))
    }
}

/// An address of the web; nothing else is ever made into a link.
pub(crate) struct Url(pub(crate) String);

impl FromField for Url {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let text = String::from_field(value)?;
        let is_web = text.starts_with("https://") || text.starts_with("http://");
        let unsafe_in_links = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>');
        if !is_web || text.chars().any(unsafe_in_links) {
            return Err(Wrong::quoting("not-a-url", &text));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_there_in_all_languages() {
        assert_eq!(messages().check(), Ok(()));
    }

    #[test]
    fn every_key_that_the_code_uses_has_a_message_and_every_message_is_used() {
        let sources = [
            include_str!("code.rs"),
            include_str!("country.rs"),
            include_str!("claim.rs"),
            include_str!("decimal.rs"),
            include_str!("document/mod.rs"),
            include_str!("document/check.rs"),
            include_str!("field.rs"),
            include_str!("gta/mod.rs"),
            include_str!("gta/row.rs"),
            include_str!("gta/jurisdiction.rs"),
            include_str!("name.rs"),
            include_str!("register.rs"),
            include_str!("threshold.rs"),
            include_str!("when.rs"),
        ];
        let keys = include_str!("../locales/en.ftl").lines().filter_map(|line| line.split_once(" = "));
        for (key, _) in keys {
            assert!(sources.iter().any(|source| source.contains(&format!("\"{key}\""))), "unused: {key}");
        }
        let beginnings = ["not-a-", "not-an-", "gta-", "no-", "name-", "state-", "states-", "claim-"];
        for source in sources {
            let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
            for text in shipped.split('"').skip(1).step_by(2) {
                if beginnings.iter().any(|beginning| text.starts_with(beginning))
                    && !text.contains([' ', '{'])
                {
                    assert!(messages().has(text), "no message: {text}");
                }
            }
        }
    }

    #[test]
    fn a_refused_value_is_named_with_what_can_be_written_instead() {
        let error = "UK".parse::<Country>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"UK\" is no country; write two capitals of ISO 3166-1, such as KR or GB"
        );
        let error = "banned".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("ban, quota"), "{error}");
    }
}
