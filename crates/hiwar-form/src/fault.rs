//! What is wrong with a form, and where.

use std::fmt;

use crate::{Language, Messages};

/// Where something is in a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, when it came from one.
    pub file: Option<String>,
    /// The line, from 1, when the form has lines.
    pub line: Option<u32>,
    /// The field, such as `clocks[2].due`; empty for the form as a whole.
    pub field: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
        }
        match (&self.file, self.line) {
            (Some(_), Some(line)) => write!(f, ":{line}")?,
            (None, Some(line)) => write!(f, "line {line}")?,
            (_, None) => {}
        }
        if !self.field.is_empty() {
            let before = if self.file.is_some() || self.line.is_some() { ": " } else { "" };
            write!(f, "{before}{}", self.field)?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What: the key of a message.
    pub code: &'static str,
    /// What the message's variables stand for.
    pub arguments: Vec<(&'static str, String)>,
}

impl Fault {
    /// The place and what is wrong there, in words.
    pub fn say(&self, messages: &Messages, language: Language) -> String {
        let arguments: Vec<(&str, &str)> =
            self.arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let text = messages.say(language, self.code, &arguments);
        match self.place.to_string() {
            place if place.is_empty() => text,
            place => format!("{place}: {text}"),
        }
    }
}

/// Everything that is wrong with a form. There is at least one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// A form with one fault.
    pub fn one(place: Place, code: &'static str, arguments: Vec<(&'static str, String)>) -> Self {
        Self(vec![Fault { place, code, arguments }])
    }

    /// All faults in words, one a line.
    pub fn say(&self, messages: &Messages, language: Language) -> String {
        self.0.iter().map(|fault| fault.say(messages, language)).collect::<Vec<_>>().join("\n")
    }
}
