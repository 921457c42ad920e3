//! A form as it was written: its values, and the line of each field.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use crate::fault::{Fault, Faults, Place};
use crate::form::{Context, Form};

/// Largest form, in bytes.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a form.
const DEPTH_MAX: usize = 32;

/// A form as it was written.
#[derive(Clone, Debug)]
pub struct Document {
    file: Option<String>,
    value: Value,
    /// The line of each field, by its path.
    lines: BTreeMap<String, u32>,
}

impl Document {
    /// Reads a form written in JSON. `file` is named in faults.
    ///
    /// # Errors
    /// When it is no JSON, too large, or names a member twice.
    pub fn json(file: Option<&str>, text: &str) -> Result<Self, Faults> {
        must_fit(file, text)?;
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let line = u32::try_from(error.line()).ok().filter(|line| *line > 0);
            let arguments = vec![("problem", crate::field::quote(&error.to_string()))];
            Faults::one(place(file, line, ""), "not-json", arguments)
        })?;
        let mut scan =
            Scan { bytes: text.as_bytes(), at: 0, line: 1, lines: BTreeMap::new(), twice: Vec::new() };
        scan.value("", 0);
        if let Some((field, line)) = scan.twice.first() {
            return Err(Faults::one(place(file, Some(*line), field), "twice", Vec::new()));
        }
        Ok(Self { file: file.map(str::to_owned), value, lines: scan.lines })
    }

    /// Reads a form written in TOML. `file` is named in faults.
    ///
    /// # Errors
    /// When it is no TOML or too large.
    pub fn toml(file: Option<&str>, text: &str) -> Result<Self, Faults> {
        must_fit(file, text)?;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, &span));
            let arguments = vec![("problem", crate::field::quote(error.message()))];
            Faults::one(place(file, line, ""), "not-toml", arguments)
        })?;
        let mut lines = BTreeMap::new();
        let value = from_table(text, table.get_ref(), "", &mut lines);
        Ok(Self { file: file.map(str::to_owned), value, lines })
    }

    /// Reads a form by the ending of its file's name: `.toml` is TOML, everything else JSON.
    ///
    /// # Errors
    /// As [`Document::json`] and [`Document::toml`].
    pub fn by_name(file: &str, text: &str) -> Result<Self, Faults> {
        if file.ends_with(".toml") { Self::toml(Some(file), text) } else { Self::json(Some(file), text) }
    }

    /// A form that is in memory already, such as the content of an entry. It has no lines.
    pub fn of(value: Value) -> Self {
        Self { file: None, value, lines: BTreeMap::new() }
    }

    /// The same for a content's members.
    pub fn of_members(members: &Map<String, Value>) -> Self {
        Self::of(Value::Object(members.clone()))
    }

    /// The values.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Reads the form with `read`, which asks for the fields one by one. Members that it does not ask for
    /// are faults too.
    ///
    /// # Errors
    /// All faults found.
    pub fn read<T>(&self, read: impl FnOnce(&mut Form<'_>) -> Option<T>) -> Result<T, Faults> {
        let context =
            Context { file: self.file.as_deref(), lines: &self.lines, faults: RefCell::new(Vec::new()) };
        let found = match self.value.as_object() {
            Some(members) => Form::read_in(&context, members, String::new(), read),
            None => {
                context.note("", "not-object", Vec::new());
                None
            }
        };
        let mut faults = context.faults.into_inner();
        match found {
            Some(found) if faults.is_empty() => Ok(found),
            _ => {
                if faults.is_empty() {
                    let place = place(self.file.as_deref(), None, "");
                    faults.push(Fault { place, code: "not-complete", arguments: Vec::new() });
                }
                faults.sort_by_key(|fault| fault.place.line);
                Err(Faults(faults))
            }
        }
    }
}

fn place(file: Option<&str>, line: Option<u32>, field: &str) -> Place {
    Place { file: file.map(str::to_owned), line, field: field.to_owned() }
}

fn must_fit(file: Option<&str>, text: &str) -> Result<(), Faults> {
    if text.len() <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    let arguments = vec![("most", DOCUMENT_BYTES_MAX.to_string())];
    Err(Faults::one(place(file, None, ""), "too-long", arguments))
}

fn line_of(text: &str, span: &Range<usize>) -> u32 {
    let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
    let feeds = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(feeds).unwrap_or(u32::MAX).saturating_add(1)
}

/// The path of a member.
pub(crate) fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn from_table(text: &str, table: &DeTable<'_>, path: &str, lines: &mut BTreeMap<String, u32>) -> Value {
    let members = table.iter().map(|(name, value)| {
        let path = member(path, name.get_ref());
        lines.insert(path.clone(), line_of(text, &name.span()));
        (name.get_ref().to_string(), from_toml(text, value.get_ref(), &path, lines))
    });
    Value::Object(members.collect())
}

fn from_toml(text: &str, value: &DeValue<'_>, path: &str, lines: &mut BTreeMap<String, u32>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        // A number too large for JSON's readers stays a text, which no numeric field takes.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => Value::String(number.to_string()),
        DeValue::Boolean(is) => Value::Bool(*is),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                let path = format!("{path}[{index}]");
                lines.insert(path.clone(), line_of(text, &item.span()));
                from_toml(text, item.get_ref(), &path, lines)
            });
            Value::Array(items.collect())
        }
        DeValue::Table(table) => from_table(text, table, path, lines),
    }
}

/// Walks over a JSON text that was read already, for the lines of its fields.
struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u32,
    lines: BTreeMap<String, u32>,
    twice: Vec<(String, u32)>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek().filter(u8::is_ascii_whitespace) {
            self.line += u32::from(byte == b'\n');
            self.at += 1;
        }
    }

    fn value(&mut self, path: &str, depth: usize) {
        self.skip_space();
        if !path.is_empty() && self.lines.insert(path.to_owned(), self.line).is_some() {
            self.twice.push((path.to_owned(), self.line));
        }
        match self.peek() {
            // What is nested deeper has the line of what it stands in.
            Some(b'{' | b'[') if depth >= DEPTH_MAX => self.skip_nested(),
            Some(b'{') => self.members(path, depth),
            Some(b'[') => self.items(path, depth),
            Some(b'"') => drop(self.text()),
            _ => {
                while self
                    .peek()
                    .is_some_and(|byte| !matches!(byte, b',' | b']' | b'}') && !byte.is_ascii_whitespace())
                {
                    self.at += 1;
                }
            }
        }
    }

    fn members(&mut self, path: &str, depth: usize) {
        self.at += 1;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'"') => {
                    let name = self.text();
                    self.skip_space();
                    self.at += 1;
                    self.value(&member(path, &name), depth + 1);
                }
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.at += 1;
    }

    fn items(&mut self, path: &str, depth: usize) {
        self.at += 1;
        for index in 0.. {
            self.skip_space();
            match self.peek() {
                Some(b']') | None => break,
                Some(_) => self.value(&format!("{path}[{index}]"), depth + 1),
            }
            self.skip_space();
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn skip_nested(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    drop(self.text());
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open = open.saturating_sub(1),
                b'\n' => self.line += 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                break;
            }
        }
    }

    fn text(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        self.bytes.get(start..self.at).and_then(|raw| serde_json::from_slice(raw).ok()).unwrap_or_default()
    }
}
