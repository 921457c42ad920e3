//! What became of an input, as far as a body tells: the stable toolchain has no coverage counters,
//! so the runner keeps those inputs that led to an answer it had not seen before.

use std::cell::Cell;
use std::fmt::{Display, Write};

thread_local! {
    static OUTCOME: Cell<u64> = const { Cell::new(0) };
}

/// How many bytes of an answer tell it apart from others.
const BYTES_MAX: usize = 400;

/// Tells the runner what a parser answered. Quoted text and words with digits in them do not
/// count, so that the same complaint about another value is the same outcome.
pub fn report<T, E: Display>(answer: &Result<T, E>) {
    match answer {
        Ok(_) => report_text(&"accepted"),
        Err(error) => report_text(error),
    }
}

/// Tells the runner an answer of another kind.
pub fn report_text(answer: &dyn Display) {
    let mut shape = Shape { hash: OFFSET, left: BYTES_MAX, ..Shape::default() };
    // An error only says that enough was written.
    let _enough = write!(shape, "{answer} ");
    OUTCOME.set(OUTCOME.get().rotate_left(5) ^ shape.hash);
}

/// The outcomes reported since the last call, as one number.
pub fn take() -> u64 {
    OUTCOME.replace(0)
}

/// Where an FNV-1a hash of 64 bits starts.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// Hashes the fixed part of a text as it is written.
#[derive(Default)]
struct Shape {
    hash: u64,
    left: usize,
    /// The mark that ends the quotation, inside of one.
    within: Option<u8>,
    escaped: bool,
    /// Hash of the word so far.
    word: u64,
    word_has_digit: bool,
}

impl Shape {
    fn byte(&mut self, byte: u8) {
        let escaped = self.escaped;
        self.escaped = !escaped && byte == b'\\';
        match self.within {
            Some(mark) if byte == mark && !escaped => self.within = None,
            Some(_) => return,
            None if matches!(byte, b'"' | b'`') => self.within = Some(byte),
            None => {}
        }
        if byte.is_ascii_alphanumeric() {
            self.word = (self.word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            self.word_has_digit |= byte.is_ascii_digit();
        } else if !matches!(byte, b'+' | b'/' | b'=') {
            let word = std::mem::replace(&mut self.word, OFFSET);
            if !std::mem::take(&mut self.word_has_digit) {
                self.hash = self.hash.rotate_left(7) ^ word;
            }
        }
    }
}

impl Write for Shape {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            if self.left == 0 {
                return Err(std::fmt::Error);
            }
            self.left -= 1;
            self.byte(byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> u64 {
        report::<(), _>(&Err(text));
        take()
    }

    #[test]
    fn numbers_do_not_make_another_outcome_and_words_do() {
        assert_eq!(of("at byte 7: too long"), of("at byte 12: too long"));
        assert_eq!(of(r#""a\"b" is no key"#), of(r#""c" is no key"#));
        assert_ne!(of("at byte 7: too long"), of("at byte 7: too short"));
        assert_eq!(take(), 0);
    }
}
