//! What an entry must be, beside its form.

use super::act::has_plain_numbers;
use super::{Act, ActKind, Attachment, Body, Entry, EntryError, Membership, bad};
use crate::limits;

impl Entry {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        check_name("desk", &self.desk)?;
        check_name("arrangement", &self.arrangement)?;
        if self.prev.len() > limits::PREV_MAX {
            return Err(bad(
                "prev",
                format!("it links to {} entries; the most is {}", self.prev.len(), limits::PREV_MAX),
            ));
        }
        if self.prev.windows(2).any(|pair| pair.first() >= pair.last()) {
            return Err(bad("prev", "it must be sorted and without repetition"));
        }
        if self.attachments.len() > limits::ATTACHMENTS_MAX {
            return Err(bad("attachments", format!("there are more than {}", limits::ATTACHMENTS_MAX)));
        }
        self.attachments.iter().try_for_each(check_attachment)?;
        self.check_place()?;
        self.check_words()
    }

    /// An opening membership stands alone; everything else stands in a dialogue.
    fn check_place(&self) -> Result<(), EntryError> {
        if let Body::Membership(m) = &self.body {
            check_membership(m)?;
            if self.marking > m.cap {
                return Err(bad("marking", "it is above the cap of the membership itself"));
            }
            let opens = m.replaces.is_none();
            if opens && (self.dialogue.is_some() || self.membership.is_some() || !self.prev.is_empty()) {
                return Err(bad(
                    "dialogue",
                    "an entry that opens a dialogue has no dialogue, membership or prev",
                ));
            }
            if opens && !m.parties.contains(&self.author) {
                return Err(bad("data", "the author must be one of the parties"));
            }
            if !opens && self.membership != m.replaces {
                return Err(bad("data", "a change of membership must replace the one it is made under"));
            }
            if opens {
                return Ok(());
            }
        }
        if self.dialogue.is_none() || self.membership.is_none() {
            return Err(bad(
                "dialogue",
                "only an entry that opens a dialogue may leave out dialogue and membership",
            ));
        }
        Ok(())
    }

    fn check_words(&self) -> Result<(), EntryError> {
        let texts = self.body.texts();
        if texts.len() > limits::LANGUAGES_MAX {
            return Err(bad("data", format!("it has more than {} languages", limits::LANGUAGES_MAX)));
        }
        for (tag, text) in texts {
            if !is_language_tag(tag) {
                return Err(bad(
                    "data",
                    format!("{tag:?} is no BCP 47 language tag, such as en, ko, ja or ar"),
                ));
            }
            if text.trim().is_empty() {
                return Err(bad("data", format!("the text in {tag} is empty")));
            }
            if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                return Err(bad(
                    "data",
                    format!("the text in {tag} has a control character other than line feed and tab"),
                ));
            }
        }
        if let Some(tag) = self.body.prevailing()
            && !texts.contains_key(tag)
        {
            return Err(bad("data", format!("the prevailing language {tag:?} has no text")));
        }
        let speaks = matches!(
            self.body,
            Body::Statement(_) | Body::Correction(_) | Body::Dispute(_) | Body::Membership(_)
        );
        if speaks && texts.is_empty() {
            return Err(bad("data", "it has no text in any language"));
        }
        if let Body::Act(act) = &self.body {
            check_act(act)?;
        }
        if matches!(self.body, Body::Attachment(_)) && self.attachments.is_empty() {
            return Err(bad("attachments", "an attachment entry must carry at least one file"));
        }
        Ok(())
    }
}

fn check_act(act: &Act) -> Result<(), EntryError> {
    if act.kind == ActKind::Step && act.of.is_none() {
        return Err(bad("data", "a step must name in `of` the entry it is about"));
    }
    if !act.content.values().all(has_plain_numbers) {
        return Err(bad(
            "data",
            "a number in `content` is no integer below 2^53; write such a quantity as text",
        ));
    }
    Ok(())
}

fn check_membership(m: &Membership) -> Result<(), EntryError> {
    if m.parties.len() < 2 || m.parties.len() > limits::PARTIES_MAX {
        return Err(bad("data", format!("a dialogue has 2 to {} parties", limits::PARTIES_MAX)));
    }
    if m.parties.windows(2).any(|pair| pair.first() >= pair.last()) {
        return Err(bad("data", "parties must be sorted and without repetition"));
    }
    Ok(())
}

fn check_name(member: &'static str, name: &str) -> Result<(), EntryError> {
    if name.trim().is_empty() || name.len() > limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(bad(
            member,
            format!("it must have 1 to {} bytes and no control character", limits::NAME_BYTES_MAX),
        ));
    }
    Ok(())
}

fn check_attachment(file: &Attachment) -> Result<(), EntryError> {
    let name = &file.name;
    let looks_like_path =
        name.contains(['/', '\\', ':']) || name.starts_with('.') || name.ends_with(['.', ' ']);
    if name.is_empty() || name.len() > limits::ATTACHMENT_NAME_BYTES_MAX || looks_like_path {
        return Err(bad(
            "attachments",
            format!("{name:?} is no plain file name (1 to 255 bytes; no / \\ : and no dot at either end)"),
        ));
    }
    if name.chars().any(|c| c.is_control() || is_bidi_control(c)) {
        return Err(bad("attachments", "a file name has a control or text-direction character"));
    }
    if file.size > limits::ATTACHMENT_BYTES_MAX {
        return Err(bad("attachments", format!("{name:?} is larger than 10 GiB")));
    }
    let media_ok = file.media_type.len() <= 127
        && file.media_type.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && file.media_type.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !media_ok {
        return Err(bad("attachments", format!("{name:?} has no media type such as text/csv")));
    }
    Ok(())
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_lowercase())
        && tag.len() <= 35
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}
