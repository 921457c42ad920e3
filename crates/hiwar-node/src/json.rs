//! JSON that others send: what is wrong with it is said briefly, whatever it quotes.

use serde::de::DeserializeOwned;

/// Longest description of what is wrong.
const PROBLEM_CHARS_MAX: usize = 300;

/// What is wrong with a JSON text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadJson(String);

/// Reads a JSON text.
///
/// # Errors
/// When it is none, or not of this form, with line and column.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadJson> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        if text.chars().count() <= PROBLEM_CHARS_MAX {
            return BadJson(text);
        }
        let quoted: String = text.chars().take(PROBLEM_CHARS_MAX).collect();
        BadJson(format!("{quoted} … at line {} column {}", error.line(), error.column()))
    })
}
