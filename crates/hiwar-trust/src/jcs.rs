//! Canonical JSON: one spelling for every document, so that a digest or a signature over its bytes
//! means the same to everybody.
//!
//! Source: RFC 8785, *JSON Canonicalization Scheme (JCS)*. Incoming documents are only accepted
//! when they already have the canonical spelling; nothing received is ever rewritten and then
//! trusted.
//!
//! One narrowing of RFC 8785: an integer from 2^53 up to 2^64 is accepted only when its canonical
//! spelling is exactly that integer. Beyond 2^53 a double is written with the fewest digits that
//! identify it, so 2^63 would read `9223372036854776000`, which a reader with 64-bit integers takes
//! for another number. Send such quantities as text.
//!
//! Another narrowing: names that begin with `$serde_json::private::` are refused, because a widely
//! used JSON library gives them a meaning of their own. Whoever reads an accepted document with
//! that library must see what everybody else sees.

mod plain;

use std::borrow::Cow;

use plain::Plain;
use serde_json::{Map, Number, Value};

/// The largest integer that a double holds together with all smaller ones, 2^53 - 1.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// The deepest nesting of arrays and objects that is ever written or read.
pub const DEPTH_MAX: usize = 127;

/// How names begin that have no canonical form here; see above.
const RESERVED_NAMES: &str = "$serde_json::private::";

/// The longest piece of a document that an error quotes, in bytes.
const EXCERPT_BYTES_MAX: usize = 24;

/// How large a received document may be. All three are checked in one pass over the bytes, before
/// anything is allocated for the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// The most bytes.
    pub bytes_max: usize,
    /// The deepest nesting; a document `[]` has depth 1. Values above [`DEPTH_MAX`] mean that.
    pub depth_max: usize,
    /// The most object members and array elements together, counted over the whole document.
    pub members_max: usize,
}

/// Why a document has no canonical form, or why its bytes are not in that form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JcsError {
    /// The document is too long.
    #[error("the document has {bytes} bytes, but at most {bytes_max} are accepted here; send less at a time")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The document is nested too deeply.
    #[error("the document nests more than {depth_max} arrays and objects; flatten it")]
    TooDeep {
        /// The limit.
        depth_max: usize,
    },
    /// The document has too many parts.
    #[error(
        "the document has {members} members and elements, but at most {members_max} are accepted here; send less at a time"
    )]
    TooManyMembers {
        /// How many it has.
        members: usize,
        /// The limit.
        members_max: usize,
    },
    /// The bytes are no JSON text in UTF-8.
    #[error("the document stops being JSON at byte {offset}: {reason}")]
    NotJson {
        /// Where reading stopped, counted from 0.
        offset: usize,
        /// What was wrong there.
        reason: String,
    },
    /// The bytes are JSON, but not in the canonical spelling.
    #[error(
        "the document leaves the canonical form (RFC 8785) at byte {offset}: expected {expected:?}, found {found:?}; \
         canonicalise it before signing and send exactly the signed bytes"
    )]
    NotCanonical {
        /// The first byte that differs, counted from 0.
        offset: usize,
        /// The canonical text from there on, cut to 24 bytes; empty when the document should end there.
        expected: String,
        /// The text found there, cut to 24 bytes; empty when the document ends there.
        found: String,
    },
    /// An integer that other readers would take for another number.
    #[error(
        "the integer {number} has no exact canonical form; keep integers within 9007199254740991 (2^53 - 1) or write them as text"
    )]
    InexactInteger {
        /// The number as given.
        number: String,
    },
    /// A name that some readers take for something else.
    #[error("the name {name:?} is one that some JSON readers give a meaning of its own; choose another")]
    ReservedName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// Not a number, or an infinity.
    #[error("the number {number} has no JSON form; leave the member out instead")]
    NotFinite {
        /// The number as given.
        number: String,
    },
}

/// The canonical form of `value`.
///
/// # Errors
/// [`JcsError::InexactInteger`], [`JcsError::NotFinite`], [`JcsError::ReservedName`] or
/// [`JcsError::TooDeep`] when it has none.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, JcsError> {
    let mut out = Vec::with_capacity(1024);
    write(value, &mut out)?;
    Ok(out)
}

/// Appends the canonical form of `value` to `out`. After an error `out` is as it was.
///
/// # Errors
/// As for [`to_vec`].
pub fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), JcsError> {
    let start = out.len();
    write_value(value, DEPTH_MAX, out).inspect_err(|_| out.truncate(start))
}

/// Reads a document that is already in canonical form, and only such a document: white space,
/// repeated or unsorted names, needless escapes and other spellings of a number are refused.
///
/// # Errors
/// Any [`JcsError`]; [`JcsError::NotCanonical`] names the first byte that differs.
pub fn parse_canonical(bytes: &[u8], limits: JsonLimits) -> Result<Value, JcsError> {
    let value = parse_any(bytes, limits)?;
    let mut canonical = Vec::with_capacity(bytes.len());
    write_value(&value, DEPTH_MAX, &mut canonical)?;
    if canonical == bytes { Ok(value) } else { Err(first_difference(&canonical, bytes)) }
}

/// Reads any JSON within `limits`, in whatever spelling: for what an own desk writes and what is not
/// signed as it stands. Of members with one name the last counts.
///
/// # Errors
/// [`JcsError::TooLong`], [`JcsError::TooDeep`], [`JcsError::TooManyMembers`] or [`JcsError::NotJson`].
pub fn parse_any(bytes: &[u8], limits: JsonLimits) -> Result<Value, JcsError> {
    check_limits(bytes, limits)?;
    let Plain(value) = serde_json::from_slice(bytes).map_err(|error| not_json(bytes, &error))?;
    Ok(value)
}

/// Counts bytes, depth and members without building anything. Text that is not JSON passes or
/// fails here by its brackets and commas alone; the parser refuses it afterwards.
fn check_limits(bytes: &[u8], limits: JsonLimits) -> Result<(), JcsError> {
    if bytes.len() > limits.bytes_max {
        return Err(JcsError::TooLong { bytes: bytes.len(), bytes_max: limits.bytes_max });
    }
    let depth_max = limits.depth_max.min(DEPTH_MAX);
    let (mut depth, mut members) = (0_usize, 0_usize);
    let mut just_opened = false;
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let opens = matches!(byte, b'{' | b'[');
        match byte {
            b'"' => skip_string(&mut rest),
            b'{' | b'[' => {
                depth += 1;
                members += 1;
                if depth > depth_max {
                    return Err(JcsError::TooDeep { depth_max });
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                members -= usize::from(just_opened);
            }
            b',' => members += 1,
            _ => {}
        }
        just_opened = opens;
    }
    if members > limits.members_max {
        return Err(JcsError::TooManyMembers { members, members_max: limits.members_max });
    }
    Ok(())
}

/// Moves `rest` behind the quotation mark that ends the string it stands in.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(&byte) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                rest.next();
            }
            _ => {}
        }
    }
}

fn write_value(value: &Value, depth_left: usize, out: &mut Vec<u8>) -> Result<(), JcsError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out)?,
        Value::String(text) => write_string(text, out),
        Value::Array(elements) => {
            let depth_left = deeper(depth_left)?;
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(element, depth_left, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, deeper(depth_left)?, out)?,
    }
    Ok(())
}

fn deeper(depth_left: usize) -> Result<usize, JcsError> {
    depth_left.checked_sub(1).ok_or(JcsError::TooDeep { depth_max: DEPTH_MAX })
}

/// Writes members in the order of their names' UTF-16 code units (RFC 8785 section 3.2.3). For
/// ASCII names that is byte order, which the map usually has already; checking costs less than
/// sorting.
fn write_object(members: &Map<String, Value>, depth_left: usize, out: &mut Vec<u8>) -> Result<(), JcsError> {
    let ascii = members.keys().all(|name| name.is_ascii());
    if ascii && members.keys().is_sorted() {
        return write_members(members.iter(), depth_left, out);
    }
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    write_members(sorted.into_iter(), depth_left, out)
}

fn write_members<'a>(
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    depth_left: usize,
    out: &mut Vec<u8>,
) -> Result<(), JcsError> {
    out.push(b'{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if name.starts_with(RESERVED_NAMES) {
            return Err(JcsError::ReservedName { name: name.chars().take(80).collect() });
        }
        write_string(name, out);
        out.push(b':');
        write_value(value, depth_left, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Writes a string with the escapes of RFC 8785 section 3.2.2.2 and no others.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Looking at every byte, without an early exit, lets the compiler use vector instructions.
    if text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        text.bytes().for_each(|byte| write_escaped(byte, out));
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        0x00..0x20 => {
            let low = byte & 0x0f;
            let digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
            return;
        }
        _ => {
            out.push(byte);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_number(number: &Number, out: &mut Vec<u8>) -> Result<(), JcsError> {
    let (negative, magnitude) = match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => (false, positive),
        (None, Some(signed)) => (signed < 0, signed.unsigned_abs()),
        (None, None) => {
            let double = number.as_f64().unwrap_or(f64::NAN);
            return write_double(double, out);
        }
    };
    if magnitude <= SAFE_INTEGER_MAX {
        write_integer(negative, magnitude, out);
        return Ok(());
    }
    // Rounding is harmless: a double that is not exactly this integer is refused.
    let double = magnitude as f64;
    if double as u128 != u128::from(magnitude) {
        return Err(JcsError::InexactInteger { number: number.to_string() });
    }
    write_double(if negative { -double } else { double }, out)
}

fn write_integer(negative: bool, mut magnitude: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
        start -= 1;
        if magnitude == 0 {
            break;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes a double as ECMAScript does (RFC 8785 section 3.2.2.3).
fn write_double(double: f64, out: &mut Vec<u8>) -> Result<(), JcsError> {
    if !double.is_finite() {
        return Err(JcsError::NotFinite { number: double.to_string() });
    }
    let mut buffer = ryu_js::Buffer::new();
    let text = buffer.format_finite(double);
    let may_read_as_integer = (9_007_199_254_740_992.0..18_446_744_073_709_551_616.0).contains(&double.abs());
    if may_read_as_integer && text.parse::<i128>().ok() != Some(double as i128) {
        return Err(JcsError::InexactInteger { number: text.to_owned() });
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Turns the parser's line and column, both counted from 1, into a byte offset.
fn not_json(bytes: &[u8], error: &serde_json::Error) -> JcsError {
    let line_start: usize =
        bytes.split_inclusive(|&b| b == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let offset = (line_start + error.column().saturating_sub(1)).min(bytes.len());
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    JcsError::NotJson { offset, reason: reason.to_owned() }
}

fn first_difference(canonical: &[u8], found: &[u8]) -> JcsError {
    let offset = canonical.iter().zip(found).take_while(|(left, right)| left == right).count();
    JcsError::NotCanonical {
        offset,
        expected: excerpt(canonical, offset).into_owned(),
        found: excerpt(found, offset).into_owned(),
    }
}

fn excerpt(bytes: &[u8], offset: usize) -> Cow<'_, str> {
    let rest = bytes.get(offset..).unwrap_or_default();
    String::from_utf8_lossy(rest.get(..EXCERPT_BYTES_MAX).unwrap_or(rest))
}

#[cfg(test)]
mod tests;
