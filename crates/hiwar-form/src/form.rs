//! Reading a form field by field.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::document::member;
use crate::fault::{Fault, Place};
use crate::field::{FromField, Wrong, quote};

/// Most items of one list.
const ITEMS_MAX: usize = 4_096;
/// Most faults that are told of one form.
const FAULTS_MAX: usize = 100;
/// How alike a wrong name must be to a right one to be taken for a slip of the pen (Jaro-Winkler, 0 to 1).
const ALIKE_MIN: f64 = 0.8;

pub(crate) struct Context<'d> {
    pub(crate) file: Option<&'d str>,
    pub(crate) lines: &'d BTreeMap<String, u32>,
    pub(crate) faults: RefCell<Vec<Fault>>,
}

impl Context<'_> {
    pub(crate) fn note(&self, field: &str, code: &'static str, arguments: Vec<(&'static str, String)>) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            let place =
                Place { file: self.file.map(str::to_owned), line: self.line(field), field: field.to_owned() };
            faults.push(Fault { place, code, arguments });
        }
    }

    /// The line of a field; for one that is missing, of what it should stand in.
    fn line(&self, field: &str) -> Option<u32> {
        let mut path = field;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            let end = path.rfind(['.', '['])?;
            path = path.get(..end)?;
        }
    }
}

/// The members of one object, asked for by name. Whatever is asked for and does not fit is noted as a fault
/// and comes back as nothing; whoever reads goes on, so that all faults are found at once.
pub struct Form<'d> {
    context: &'d Context<'d>,
    members: &'d Map<String, Value>,
    path: String,
    asked: Vec<&'static str>,
}

impl<'d> Form<'d> {
    pub(crate) fn read_in<T>(
        context: &'d Context<'d>,
        members: &'d Map<String, Value>,
        path: String,
        read: impl FnOnce(&mut Form<'d>) -> Option<T>,
    ) -> Option<T> {
        let mut form = Form { context, members, path, asked: Vec::new() };
        let found = read(&mut form);
        form.must_have_been_asked();
        found
    }

    /// Members that nobody asked for are written in vain, so they are faults.
    fn must_have_been_asked(&self) {
        for name in self.members.keys().filter(|name| !self.asked.contains(&name.as_str())) {
            let alike = self
                .asked
                .iter()
                .map(|asked| (strsim::jaro_winkler(asked, name), *asked))
                .filter(|(alike, _)| *alike >= ALIKE_MIN)
                .max_by(|one, other| one.0.total_cmp(&other.0));
            let path = member(&self.path, &quote(name));
            match alike {
                Some((_, meant)) => {
                    self.context.note(&path, "unknown-meant", vec![("meant", meant.to_owned())])
                }
                None => self.context.note(&path, "unknown", vec![("known", self.asked.join(", "))]),
            }
        }
    }

    fn value(&mut self, name: &'static str) -> Option<&'d Value> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, wrong: Wrong) {
        let field = format!("{}{}", member(&self.path, name), wrong.within);
        self.context.note(&field, wrong.code, wrong.arguments);
    }

    /// Whether the form has this field.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes a fault of a field; an empty name means the object itself.
    pub fn fault(&self, name: &str, code: &'static str, arguments: &[(&'static str, &str)]) {
        let field = if name.is_empty() { self.path.clone() } else { member(&self.path, name) };
        let arguments = arguments.iter().map(|(name, value)| (*name, quote(value))).collect();
        self.context.note(&field, code, arguments);
    }

    /// A field that must be there.
    pub fn required<T: FromField>(&mut self, name: &'static str) -> Option<T> {
        if self.value(name).is_none() {
            self.fault(name, "missing", &[]);
            return None;
        }
        self.optional(name)
    }

    /// A field that may be absent.
    pub fn optional<T: FromField>(&mut self, name: &'static str) -> Option<T> {
        match T::from_field(self.value(name)?) {
            Ok(found) => Some(found),
            Err(wrong) => {
                self.wrong(name, wrong);
                None
            }
        }
    }

    /// A text that is read by `T`; when it cannot be, the fault is `code` with the variable `found`.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, code: &'static str) -> Option<T> {
        if self.value(name).is_none() {
            self.fault(name, "missing", &[]);
            return None;
        }
        self.parsed_optional(name, code)
    }

    /// The same for a field that may be absent.
    pub fn parsed_optional<T: FromStr>(&mut self, name: &'static str, code: &'static str) -> Option<T> {
        let text: String = self.optional(name)?;
        let found = text.parse().ok();
        if found.is_none() {
            self.fault(name, code, &[("found", &text)]);
        }
        found
    }

    /// One of a few words, which must be there.
    pub fn choice<T: Clone>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        if self.value(name).is_none() {
            self.fault(name, "missing-choice", &[("choices", &words(choices))]);
            return None;
        }
        self.choice_optional(name, choices)
    }

    /// One of a few words, which may be absent.
    pub fn choice_optional<T: Clone>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text: String = self.optional(name)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        if found.is_none() {
            self.fault(name, "not-one-of", &[("found", &text), ("choices", &words(choices))]);
        }
        found
    }

    /// The items of a list; an absent list is empty.
    fn items(&mut self, name: &'static str) -> &'d [Value] {
        let Some(value) = self.value(name) else { return &[] };
        match value.as_array() {
            Some(items) if items.len() > ITEMS_MAX => {
                self.fault(name, "too-many", &[("most", &ITEMS_MAX.to_string())]);
                &[]
            }
            Some(items) => items,
            None => {
                self.fault(name, "not-list", &[]);
                &[]
            }
        }
    }

    /// A list of values; an absent list is empty.
    pub fn values<T: FromField>(&mut self, name: &'static str) -> Vec<T> {
        let mut found = Vec::new();
        for (index, value) in self.items(name).iter().enumerate() {
            match T::from_field(value) {
                Ok(value) => found.push(value),
                Err(wrong) => self.wrong(&format!("{name}[{index}]"), wrong),
            }
        }
        found
    }

    /// A list of texts that are read by `T`; what cannot be is the fault `code` with the variable `found`.
    pub fn parsed_values<T: FromStr>(&mut self, name: &'static str, code: &'static str) -> Vec<T> {
        let texts: Vec<String> = self.values(name);
        let mut found = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(value) => found.push(value),
                Err(_) => self.fault(&format!("{name}[{index}]"), code, &[("found", text)]),
            }
        }
        found
    }

    /// A list of objects, each read with `read`; an absent list is empty.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Form<'d>) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let path = member(&self.path, name);
        for (index, value) in self.items(name).iter().enumerate() {
            let path = format!("{path}[{index}]");
            match value.as_object() {
                Some(members) => found.extend(Form::read_in(self.context, members, path, &mut read)),
                None => self.context.note(&path, "not-object", Vec::new()),
            }
        }
        found
    }

    /// An object that may be absent, read with `read`.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Form<'d>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name)?;
        match value.as_object() {
            Some(members) => Form::read_in(self.context, members, member(&self.path, name), read),
            None => {
                self.fault(name, "not-object", &[]);
                None
            }
        }
    }

    /// An object whose names are the writer's own, such as texts or amounts by code; each value is read by `T`.
    pub fn named<T: FromField>(&mut self, name: &'static str) -> BTreeMap<String, T> {
        let Some(value) = self.value(name) else { return BTreeMap::new() };
        let Some(members) = value.as_object() else {
            self.fault(name, "not-object", &[]);
            return BTreeMap::new();
        };
        let mut found = BTreeMap::new();
        for (key, value) in members {
            match T::from_field(value) {
                Ok(value) => drop(found.insert(key.clone(), value)),
                Err(wrong) => self.wrong(&format!("{name}.{}", quote(key)), wrong),
            }
        }
        found
    }

    /// A value that is passed on as it is.
    pub fn raw(&mut self, name: &'static str) -> Option<&'d Value> {
        self.value(name)
    }

    /// The path of a field of this object.
    pub fn path_of(&self, name: &str) -> String {
        member(&self.path, name)
    }
}

fn words<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
