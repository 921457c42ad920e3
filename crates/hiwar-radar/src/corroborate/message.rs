//! The messages of an exchange: their bytes, what is refused of them, and how one names another.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::psi::{CLOSE, Close, HELLO, Hello, REPLY, Reply};
use super::{ANSWERS, Answers, CorroborationError, QUESTION, Question, Subject};
use crate::brief::brief;
use crate::month::Month;

/// Most claims, answers or points in one message. Our own cut: more than any desk reads.
pub const CLAIMS_MAX: usize = 4_096;
/// Most different months in one question. Our own cut: the answerer screens each of them.
pub const MONTHS_MAX: usize = 24;
/// Largest message, in bytes: room for as many answers with the longest names.
pub const MESSAGE_BYTES_MAX: usize = 4_194_304;
/// Longest name of an economy or an item, in characters.
const NAME_CHARS_MAX: usize = 80;

/// SHA-256 of a message's bytes as they were sent: an answer names by it what it answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 32];
        let text = String::deserialize(deserializer)?;
        hex::decode_to_slice(text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// A message that one side sends to the other. Its set of fields is closed: a message with any
/// other field is refused, so that nothing can travel along unseen.
pub trait Message: Serialize + DeserializeOwned {
    /// What its field `type` says.
    const KIND: &'static str;
    /// What the field says in this one.
    fn kind(&self) -> &str;
    /// How many claims, answers or points it has.
    fn len(&self) -> usize;
    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The names in it, which people will read.
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// The bytes that are sent. The same message always has the same.
    fn bytes(&self) -> Vec<u8> {
        // A message is made of text, lists and nothing else: writing it cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a message of this kind.
    ///
    /// # Errors
    /// When it is another one, too long, or has names that cannot be shown.
    fn read(bytes: &[u8]) -> Result<Self, CorroborationError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(CorroborationError::TooLarge { found: bytes.len() });
        }
        let message: Self =
            serde_json::from_slice(bytes).map_err(|e| CorroborationError::NotRead { problem: brief(e) })?;
        message.check()?;
        Ok(message)
    }

    /// What [`Message::read`] checks of what it read.
    ///
    /// # Errors
    /// As there.
    fn check(&self) -> Result<(), CorroborationError> {
        if self.kind() != Self::KIND {
            return Err(CorroborationError::OtherType { found: brief(self.kind()), expected: Self::KIND });
        }
        if self.len() > CLAIMS_MAX {
            return Err(CorroborationError::TooMany { found: self.len() });
        }
        let odd = |name: &&str| {
            name.trim().is_empty()
                || name.chars().count() > NAME_CHARS_MAX
                || name.chars().any(|c| c.is_control() || ('\u{200e}'..='\u{2069}').contains(&c))
        };
        match self.names().into_iter().find(odd) {
            Some(name) => Err(CorroborationError::OddName { name: brief(name.escape_debug()) }),
            None => Ok(()),
        }
    }
}

fn of_subject(subject: &Subject) -> [&str; 2] {
    [&subject.exporter, &subject.item]
}

impl Message for Question {
    const KIND: &'static str = QUESTION;
    fn kind(&self) -> &str {
        &self.kind
    }
    fn len(&self) -> usize {
        self.claims.len()
    }
    fn names(&self) -> Vec<&str> {
        let names = self.claims.iter().flat_map(|c| of_subject(&c.subject));
        names.chain([&*self.asker]).collect()
    }
}

impl Question {
    /// The months asked about, each once.
    ///
    /// # Errors
    /// When there are too many to be screened.
    pub fn months(&self) -> Result<Vec<Month>, CorroborationError> {
        let mut months: Vec<Month> = self.claims.iter().map(|c| c.subject.month).collect();
        months.sort_unstable();
        months.dedup();
        if months.len() > MONTHS_MAX {
            return Err(CorroborationError::TooManyMonths { found: months.len() });
        }
        Ok(months)
    }
}

impl Message for Answers {
    const KIND: &'static str = ANSWERS;
    fn kind(&self) -> &str {
        &self.kind
    }
    fn len(&self) -> usize {
        self.answers.len()
    }
    fn names(&self) -> Vec<&str> {
        let names = self.answers.iter().flat_map(|a| of_subject(&a.subject));
        names.chain([&*self.answerer]).collect()
    }
}

impl Message for Hello {
    const KIND: &'static str = HELLO;
    fn kind(&self) -> &str {
        &self.kind
    }
    fn len(&self) -> usize {
        self.mine.len()
    }
}

impl Message for Reply {
    const KIND: &'static str = REPLY;
    fn kind(&self) -> &str {
        &self.kind
    }
    fn len(&self) -> usize {
        self.mine.len().max(self.yours.len())
    }
}

impl Message for Close {
    const KIND: &'static str = CLOSE;
    fn kind(&self) -> &str {
        &self.kind
    }
    fn len(&self) -> usize {
        self.yours.len()
    }
}
