//! Procedures: what officials do in a crisis and between meetings, with clocks, roles and papers.
//!
//! Everything here is read from the **set** of entries of one dialogue: [`history`] puts them into one order
//! that follows from the set alone, and the state of every notice, meeting and commitment follows from that
//! order. So all parties that hold the same entries see the same state, whatever the order of arrival was.
//! An act that is not allowed where it stands is void and says why; nothing is overwritten.
//!
//! No clock, no sockets, no storage: the time to judge as of is an argument.

pub mod act;
pub mod arrangement;
pub mod event;
pub mod history;
pub mod status;

use std::sync::LazyLock;

use hiwar_form::Messages;

/// What this crate says to people, in four languages.
pub static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    Messages::new([
        include_str!("../locales/en.ftl"),
        include_str!("../locales/ko.ftl"),
        include_str!("../locales/ja.ftl"),
        include_str!("../locales/ar.ftl"),
    ])
});

#[cfg(test)]
mod tests {
    #[test]
    fn every_message_is_there_in_all_languages() {
        assert_eq!(super::MESSAGES.check(), Ok(()));
    }
}
