//! Content lines: folding, escaping, parameters (RFC 5545, section 3.1; RFC 6868), and components.

use super::CalendarError;

/// Longest line without its break, in octets (RFC 5545, section 3.1).
const OCTETS_MAX: usize = 75;
/// Largest file that is read, in bytes.
pub(super) const BYTES_MAX: usize = 256 * 1024;
/// Most lines of a file, when folded lines are joined.
const LINES_MAX: usize = 4_096;
/// Deepest nesting of components.
const DEPTH_MAX: usize = 8;

/// Writes content lines.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
}

impl Writer {
    /// A line whose value is not escaped: dates, numbers, addresses, words of the standard.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        // What is no text can hold no break and no control character.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        self.fold(&format!("{name}:{value}"));
    }

    /// A line whose value is text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.fold(&format!("{name}:{}", escaped(value)));
    }

    pub(super) fn begin(&mut self, component: &str) {
        self.raw("BEGIN", component);
    }

    pub(super) fn end(&mut self, component: &str) {
        self.raw("END", component);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Breaks a line so that no part has more than 75 octets and no character is divided.
    fn fold(&mut self, line: &str) {
        let mut octets = 0;
        for c in line.chars() {
            if octets + c.len_utf8() > OCTETS_MAX {
                self.out.push_str("\r\n ");
                octets = 1;
            }
            self.out.push(c);
            octets += c.len_utf8();
        }
        self.out.push_str("\r\n");
    }
}

/// Text as a value (RFC 5545, section 3.3.11).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

/// A parameter's value in quotation marks (RFC 6868).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '^' => out.push_str("^^"),
            '"' => out.push_str("^'"),
            '\n' => out.push_str("^n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A property as it was read; its value still escaped.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) value: String,
}

impl Property {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A component as it was read.
#[derive(Debug, Default)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) properties: Vec<Property>,
    pub(super) components: Vec<Component>,
}

impl Component {
    pub(super) fn all<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    /// A property that may be there once.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&Property>, CalendarError> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (one, None) => Ok(one),
            _ => Err(CalendarError::Missing { property: name }),
        }
    }

    /// A property that must be there once.
    pub(super) fn required(&self, name: &'static str) -> Result<&Property, CalendarError> {
        self.optional(name)?.ok_or(CalendarError::Missing { property: name })
    }

    pub(super) fn components<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Component> {
        self.components.iter().filter(move |component| component.name == name)
    }
}

/// Reads the one VCALENDAR of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Component, CalendarError> {
    if bytes.len() > BYTES_MAX {
        return Err(CalendarError::TooLarge { most: BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        CalendarError::Syntax { line: before.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })?;
    let lines = unfolded(text)?;
    let mut open: Vec<Component> = Vec::new();
    let mut calendar = None;
    for (index, line) in lines.iter().enumerate() {
        let wrong = || CalendarError::Syntax { line: index + 1 };
        if line.is_empty() {
            continue;
        }
        let property = property(line).ok_or_else(wrong)?;
        match property.name.as_str() {
            "BEGIN" => {
                let first = open.is_empty();
                if open.len() >= DEPTH_MAX || calendar.is_some() {
                    return Err(wrong());
                }
                let name = property.value.trim().to_ascii_uppercase();
                if first && name != "VCALENDAR" {
                    return Err(wrong());
                }
                open.push(Component { name, ..Component::default() });
            }
            "END" => {
                let ended = open.pop().ok_or_else(wrong)?;
                if !property.value.trim().eq_ignore_ascii_case(&ended.name) {
                    return Err(wrong());
                }
                match open.last_mut() {
                    Some(outer) => outer.components.push(ended),
                    None => calendar = Some(ended),
                }
            }
            _ => open.last_mut().ok_or_else(wrong)?.properties.push(property),
        }
    }
    match calendar {
        Some(calendar) if open.is_empty() => Ok(calendar),
        _ => Err(CalendarError::Syntax { line: lines.len().max(1) }),
    }
}

/// The lines, folded ones joined. Line feeds alone are taken as breaks too, as many programs write them.
fn unfolded(text: &str) -> Result<Vec<String>, CalendarError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let full = lines.len() >= LINES_MAX;
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ if full => return Err(CalendarError::TooLarge { most: BYTES_MAX }),
            _ => lines.push(line.to_owned()),
        }
    }
    Ok(lines)
}

fn property(line: &str) -> Option<Property> {
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let end = line.find([';', ':'])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    if !is_name(name) {
        return None;
    }
    let mut parameters = Vec::new();
    while let Some(after) = rest.strip_prefix(';') {
        let (name, mut value) = after.split_once('=')?;
        if !is_name(name) {
            return None;
        }
        let mut joined = String::new();
        loop {
            let (part, after) = match value.strip_prefix('"') {
                Some(inner) => inner.split_once('"')?,
                None => value.split_at_checked(value.find([';', ':', ','])?)?,
            };
            if part.chars().any(|c| c.is_control() && c != '\t') {
                return None;
            }
            joined.push_str(&decoded(part));
            match after.strip_prefix(',') {
                Some(next) => {
                    joined.push(',');
                    value = next;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        parameters.push((name.to_ascii_uppercase(), joined));
    }
    let value = rest.strip_prefix(':')?.to_owned();
    Some(Property { name: name.to_ascii_uppercase(), parameters, value })
}

/// A parameter's value without the escapes of RFC 6868.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match (c, chars.peek()) {
            ('^', Some('^')) => '^',
            ('^', Some('\'')) => '"',
            ('^', Some('n')) => '\n',
            _ => {
                out.push(c);
                continue;
            }
        };
        chars.next();
        out.push(meant);
    }
    out
}
