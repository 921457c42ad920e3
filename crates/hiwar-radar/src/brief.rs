//! What is said of a stranger's text is cut: it may quote what came, however long that is.

/// Longest account, in characters.
const CHARS_MAX: usize = 300;

/// An account, cut.
pub(crate) fn brief(text: impl std::fmt::Display) -> String {
    let mut text = text.to_string();
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}
