//! The bodies, by what they read. Each asserts what must hold for every input.

pub mod arrangement;
pub mod claims;
pub mod dataspace;
pub mod disclosure;
pub mod entry;
pub mod evidence;
pub mod http;
pub mod identity;
pub mod json;
pub mod key;
pub mod measure;
pub mod meeting;
pub mod merkle;
pub mod note;
pub mod radar;
pub mod receipt;
pub mod text;
pub mod wire;

/// The longest refusal that a stranger's input may cause, in bytes: a refusal is logged and sent
/// back, so its length must not follow from the input's.
pub const REFUSAL_BYTES_MAX: usize = 2048;

/// Tells the runner what was answered, and asserts that a refusal is short.
fn answered<T, E: std::fmt::Display>(answer: &Result<T, E>) {
    crate::outcome::report(answer);
    if let Err(error) = answer {
        let text = error.to_string();
        assert!(text.len() <= REFUSAL_BYTES_MAX, "a refusal of {} bytes: {text}", text.len());
    }
}

/// The input as text; none when it is not UTF-8, which the callers of text parsers refuse.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
