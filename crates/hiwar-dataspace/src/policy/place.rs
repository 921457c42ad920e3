//! Places in a JSON text: which member stands where.

use serde::Serialize;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The member, such as `permit.use.count`; empty for the whole text.
    pub field: String,
}

/// The member that stands at a line and column as the JSON reader counts them (column in bytes, the
/// byte after the one at fault).
pub(crate) fn path_at(text: &str, line: usize, column: usize) -> Place {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = before + column;
    let mut field = String::new();
    walk(text, |at, path| {
        if at < end {
            field = path.join(".");
        }
        at >= end
    });
    Place { line, column, field }
}

/// Where a member stands, by its path.
pub(crate) fn find(text: &str, field: &str) -> Option<Place> {
    let mut found = None;
    walk(text, |at, path| {
        if path.join(".") == field {
            found = Some(at);
        }
        found.is_some()
    });
    let before = text.get(..found?)?;
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    Some(Place { line, column, field: field.to_owned() })
}

/// Calls `each` with the offset and the path of every member name, until it returns true.
fn walk(text: &str, mut each: impl FnMut(usize, &[&str]) -> bool) {
    let bytes = text.as_bytes();
    let mut path: Vec<&str> = Vec::new();
    // For each open object or array whether it has put a name on the path.
    let mut open: Vec<bool> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => open.push(false),
            b'}' | b']' if open.pop() == Some(true) => {
                path.pop();
            }
            b'"' => {
                let end = string_end(bytes, at + 1);
                let rest = text.get(end + 1..).unwrap_or_default();
                if rest.trim_start().starts_with(':') {
                    if let Some(named) = open.last_mut() {
                        if std::mem::replace(named, true) {
                            path.pop();
                        }
                        path.push(text.get(at + 1..end).unwrap_or_default());
                    }
                    if each(at, &path) {
                        return;
                    }
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"permit\": {\"use\": {\n    \"a\\\"b\": [1, {\"c\": 2}],\n    \"count\": 5}},\n  \"marking\": \"x: y\"}";

    #[test]
    fn members_are_found_by_their_path() {
        let at = |field: &str| find(TEXT, field).map(|place| (place.line, place.column));
        assert_eq!(at("permit.use"), Some((2, 14)));
        assert_eq!(at("permit.use.count"), Some((4, 5)));
        assert_eq!(at("permit.use.a\\\"b.c"), Some((3, 18)));
        assert_eq!(at("marking"), Some((5, 3)));
        assert_eq!(at("x"), None);
    }

    #[test]
    fn the_member_at_a_place_is_the_last_one_named_before_it() {
        assert_eq!(path_at(TEXT, 4, 14).field, "permit.use.count");
        assert_eq!(path_at(TEXT, 5, 18).field, "marking");
        assert_eq!(path_at("", 1, 0).field, "");
    }
}
