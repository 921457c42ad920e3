//! Forms that people fill in, and the messages they get back.
//!
//! A form is a JSON or TOML document. [`Document`] keeps the line of every field; [`Form`] reads the
//! fields one by one and collects **all** faults, each with file, line and field. What a fault says is a
//! message in English, Korean, Japanese and Arabic ([`Messages`], Project Fluent).

mod document;
mod fault;
mod field;
mod form;
mod language;
mod messages;

pub use document::Document;
pub use fault::{Fault, Faults, Place};
pub use field::{FromField, Wrong};
pub use form::Form;
pub use language::{Language, LanguageError};
pub use messages::{Messages, MessagesError};

#[cfg(test)]
mod tests;
