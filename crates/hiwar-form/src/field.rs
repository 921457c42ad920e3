//! What a single field can hold.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

/// Longest text in a field, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 16_384;
/// Longest text of a stranger that a fault quotes, in characters.
const QUOTE_CHARS_MAX: usize = 80;

/// Why a value does not fit a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The key of the message.
    pub code: &'static str,
    /// What the message's variables stand for.
    pub arguments: Vec<(&'static str, String)>,
    /// The member inside of the field, such as `.ko`; empty for the field itself.
    pub within: String,
}

impl Wrong {
    /// A fault of the field itself, without variables.
    pub fn plain(code: &'static str) -> Self {
        Self { code, arguments: Vec::new(), within: String::new() }
    }

    /// A fault that quotes what was found, as the variable `found`.
    pub fn quoting(code: &'static str, found: &str) -> Self {
        Self { code, arguments: vec![("found", quote(found))], within: String::new() }
    }
}

/// A stranger's text as a message may repeat it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().filter(|c| !c.is_control()).take(QUOTE_CHARS_MAX).collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        quoted.push('…');
    }
    quoted
}

/// A value that a field of a form can hold.
pub trait FromField: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When it does not fit.
    fn from_field(value: &Value) -> Result<Self, Wrong>;
}

impl FromField for String {
    /// A text that is not blank and has no control characters but line feed and tab.
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or_else(|| Wrong::plain("not-text"))?;
        if text.trim().is_empty() {
            return Err(Wrong::plain("empty-text"));
        }
        if text.len() > TEXT_BYTES_MAX {
            let arguments = vec![("most", TEXT_BYTES_MAX.to_string())];
            return Err(Wrong { code: "too-long", arguments, within: String::new() });
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(Wrong::plain("control-character"));
        }
        Ok(text.to_owned())
    }
}

impl FromField for bool {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        value.as_bool().ok_or_else(|| Wrong::plain("not-boolean"))
    }
}

impl FromField for i64 {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        value.as_i64().ok_or_else(|| Wrong::plain("not-integer"))
    }
}

impl FromField for u64 {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        value.as_u64().ok_or_else(|| Wrong::plain("not-count"))
    }
}

impl FromField for u32 {
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let number = u64::from_field(value)?;
        Self::try_from(number).map_err(|_| Wrong::plain("not-count"))
    }
}

impl FromField for Date {
    /// A civil date, written `2019-07-04`.
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or_else(|| Wrong::plain("not-date-text"))?;
        let date = text.parse::<Self>().ok().filter(|date| date.to_string() == text);
        date.ok_or_else(|| Wrong::quoting("not-date", text))
    }
}

impl FromField for BTreeMap<String, String> {
    /// Parallel texts by language tag.
    fn from_field(value: &Value) -> Result<Self, Wrong> {
        let members = value.as_object().ok_or_else(|| Wrong::plain("not-texts"))?;
        if members.is_empty() {
            return Err(Wrong::plain("not-texts"));
        }
        let mut texts = Self::new();
        for (tag, value) in members {
            let is_tag = (2..=35).contains(&tag.len())
                && tag.starts_with(|c: char| c.is_ascii_lowercase())
                && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !is_tag {
                return Err(Wrong::quoting("not-language-tag", tag));
            }
            let text = String::from_field(value)
                .map_err(|wrong| Wrong { within: format!(".{tag}{}", wrong.within), ..wrong })?;
            texts.insert(tag.clone(), text);
        }
        Ok(texts)
    }
}
