//! What is wrong with a document, all of it at once, and reading JSON member by member.

use std::fmt;

use serde_json::{Map, Value};

/// Most faults that are told of one document.
pub const FAULTS_MAX: usize = 20;
/// Most characters of a stranger's text that a fault repeats.
const QUOTED_MAX: usize = 60;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: a field like `dimensions[2].codes[0].within`, or a line like `line 7, OBS_VALUE`.
    pub field: String,
    /// Key of the message in `locales/*.ftl`.
    pub code: &'static str,
    /// What the message names.
    pub args: Vec<(&'static str, String)>,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            let field = if fault.field.is_empty() { "the document" } else { &fault.field };
            write!(f, "{between}{field}: {}", fault.code)?;
            for (name, value) in &fault.args {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl Faults {
    /// All faults in words, one a line.
    pub fn say(&self, messages: &hiwar_form::Messages, language: hiwar_form::Language) -> String {
        let lines = self.0.iter().map(|fault| {
            let args: Vec<(&str, &str)> =
                fault.args.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let text = messages.say(language, fault.code, &args);
            if fault.field.is_empty() { text } else { format!("{}: {text}", fault.field) }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Fault {
    pub(crate) fn new(field: impl Into<String>, code: &'static str) -> Self {
        Self { field: quoted(&field.into()), code, args: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.args.push((name, quoted(&value.to_string())));
        self
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Collects faults while a document is read.
#[derive(Default)]
pub(crate) struct Collected(Vec<Fault>);

impl Collected {
    pub(crate) fn add(&mut self, fault: Fault) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(fault);
        }
    }

    pub(crate) fn result<T>(self, value: Option<T>) -> Result<T, Faults> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ if self.0.is_empty() => Err(Faults(vec![Fault::new("", "disclosure-not-read")])),
            _ => Err(Faults(self.0)),
        }
    }
}

/// The members of one JSON object; what nobody asked for is a fault.
pub(crate) struct Members<'d, 'c> {
    path: String,
    members: Option<&'d Map<String, Value>>,
    asked: Vec<&'static str>,
    faults: &'c mut Collected,
}

impl<'d, 'c> Members<'d, 'c> {
    pub(crate) fn of(value: &'d Value, path: &str, faults: &'c mut Collected) -> Self {
        if !value.is_object() {
            faults.add(Fault::new(path, "disclosure-no-object"));
        }
        Self { path: path.to_owned(), members: value.as_object(), asked: Vec::new(), faults }
    }

    pub(crate) fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn faults(&mut self) -> &mut Collected {
        self.faults
    }

    pub(crate) fn fault(&mut self, name: &str, code: &'static str, value: impl fmt::Display) {
        let fault = Fault::new(self.field(name), code).with("value", value);
        self.faults.add(fault);
    }

    /// The value of a member, when it is there and not null.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'d Value> {
        self.asked.push(name);
        self.members.and_then(|members| members.get(name)).filter(|value| !value.is_null())
    }

    pub(crate) fn must(&mut self, name: &'static str) -> Option<&'d Value> {
        let value = self.get(name);
        if value.is_none() && self.members.is_some() {
            self.faults.add(Fault::new(self.field(name), "disclosure-missing"));
        }
        value
    }

    /// A member that is a text of a certain form.
    pub(crate) fn text<T>(
        &mut self,
        name: &'static str,
        code: &'static str,
        form: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.must(name)?;
        self.formed(name, value, code, form)
    }

    /// As [`Self::text`], for a member that need not be there.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        code: &'static str,
        form: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        self.formed(name, value, code, form)
    }

    fn formed<T>(
        &mut self,
        name: &str,
        value: &Value,
        code: &'static str,
        form: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let formed = value.as_str().and_then(form);
        if formed.is_none() {
            self.fault(name, code, value.as_str().unwrap_or("?"));
        }
        formed
    }

    /// A member that is a whole number in a range.
    pub(crate) fn whole(&mut self, name: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.must(name)?;
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            let limits = format!("{}..{}", range.start(), range.end());
            let fault = Fault::new(self.field(name), "disclosure-number").with("range", limits);
            self.faults.add(fault);
        }
        number
    }

    /// A member that is a list of at most `most` items.
    pub(crate) fn list(&mut self, name: &'static str, most: usize) -> Option<&'d [Value]> {
        let value = self.must(name)?;
        let Some(items) = value.as_array() else {
            self.faults.add(Fault::new(self.field(name), "disclosure-no-list"));
            return None;
        };
        if items.len() > most {
            let fault = Fault::new(self.field(name), "disclosure-too-many")
                .with("found", items.len())
                .with("most", most);
            self.faults.add(fault);
            return None;
        }
        Some(items)
    }

    /// Members that nobody asked for are faults.
    pub(crate) fn finish(self) {
        for name in self.members.into_iter().flatten().map(|(name, _)| name) {
            if !self.asked.contains(&name.as_str()) {
                self.faults.add(Fault::new(self.field(name), "disclosure-unknown-member"));
            }
        }
    }
}
