//! Invitations: a participant's cards as one small file, handed over by mail or on paper and
//! believed once two people have compared its fingerprint by another way.
//!
//! ```text
//! {
//!   "type": "org.hiwar.invitation.v1",
//!   "cards": [ … ]
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::did::Did;
use crate::hash::Hash;
use crate::identity::{Identity, IdentityError, SignedCard};
use crate::words;

/// The `type` member of an invitation.
pub const INVITATION_TYPE: &str = "org.hiwar.invitation.v1";
/// The largest invitation that is read, in bytes.
pub const INVITATION_BYTES_MAX: usize = 1024 * 1024;

/// A participant's verified cards. Whether they are the right participant's is for people to
/// compare: see [`Invitation::words`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    identity: Identity,
}

/// Why bytes are no usable invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// Too large.
    #[error("the invitation has {bytes} bytes, but one has at most 1,048,576; it is probably another file")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Not the JSON that is expected.
    #[error(
        "the invitation is wrong at line {line}, column {column}: {problem}; ask for the file again and pass it on unchanged"
    )]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// Another kind of document.
    #[error("the member \"type\" is {found:?}; an invitation has {INVITATION_TYPE:?}")]
    WrongType {
        /// The type found, cut to 80 characters.
        found: String,
    },
    /// The cards do not hold together.
    #[error("the invitation's cards are wrong: {0}; ask the participant for a new invitation")]
    Cards(#[from] IdentityError),
}

#[derive(Serialize)]
struct InvitationOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    cards: &'a [SignedCard],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationIn {
    #[serde(rename = "type")]
    kind: String,
    cards: Vec<SignedCard>,
}

/// Only the type, so that a card or an entry handed over by mistake is named as what it is.
#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    kind: String,
}

impl Invitation {
    /// The invitation of a participant.
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// Reads an invitation and verifies its cards. Nothing but white space may follow it.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvitationError> {
        if bytes.len() > INVITATION_BYTES_MAX {
            return Err(InvitationError::TooLarge { bytes: bytes.len() });
        }
        let malformed = |e: serde_json::Error| InvitationError::Malformed {
            line: e.line(),
            column: e.column(),
            problem: e.to_string().chars().take(300).collect(),
        };
        let wrong_type = |kind: &str| InvitationError::WrongType { found: kind.chars().take(80).collect() };
        let read: InvitationIn =
            serde_json::from_slice(bytes).map_err(|error| {
                match serde_json::from_slice::<TypeOnly>(bytes) {
                    Ok(other) if other.kind != INVITATION_TYPE => wrong_type(&other.kind),
                    _ => malformed(error),
                }
            })?;
        if read.kind != INVITATION_TYPE {
            return Err(wrong_type(&read.kind));
        }
        Ok(Self { identity: Identity::verify(read.cards)? })
    }

    /// Who invites.
    pub fn did(&self) -> &Did {
        self.identity.did()
    }

    /// The verified cards.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The verified cards.
    pub fn into_identity(self) -> Identity {
        self.identity
    }

    /// What two people compare: see [`Identity::fingerprint`].
    pub fn fingerprint(&self) -> Hash {
        self.identity.fingerprint()
    }

    /// The fingerprint as twelve words.
    pub fn words(&self) -> String {
        words::fingerprint_words(&self.fingerprint())
    }
}

impl fmt::Display for Invitation {
    /// Writes indented JSON that ends in a line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = InvitationOut { kind: INVITATION_TYPE, cards: self.identity.cards() };
        writeln!(f, "{}", serde_json::to_string_pretty(&out).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CARD_TYPE, Card, DeliveryMode};
    use crate::key::{KeyHolder as _, SoftwareKey};
    use crate::time::Timestamp;

    fn invitation() -> Invitation {
        let organisation = SoftwareKey::from_seed(&[1; 32]);
        let card = Card {
            kind: CARD_TYPE.into(),
            did: "did:web:motie.example".parse().unwrap(),
            name: "산업통상자원부".into(),
            sequence: 0,
            previous: None,
            time: Timestamp::from_millis(1_561_942_800_000),
            organisation_key: organisation.public_key().clone(),
            node_key: SoftwareKey::from_seed(&[2; 32]).public_key().clone(),
            recovery_key: None,
            endpoints: vec!["https://hiwar.motie.example".into()],
            tls_key: None,
            delivery: DeliveryMode::Push,
            log_origin: "did:web:motie.example/log/1".into(),
            log_continues: None,
            revoked: Vec::new(),
        };
        Invitation::new(Identity::verify(vec![card.sign(&[&organisation]).unwrap()]).unwrap())
    }

    #[test]
    fn an_invitation_prints_and_reads_back_with_its_fingerprint() {
        let text = invitation().to_string();
        assert!(text.starts_with("{\n  \"type\": \"org.hiwar.invitation.v1\",\n  \"cards\": ["), "{text}");
        let read: Invitation = text.parse().unwrap();
        assert_eq!(read, invitation());
        assert!(words::matches(&read.words(), &read.fingerprint()));
        assert_eq!(read.fingerprint(), read.identity().latest().fingerprint());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let text = invitation().to_string();
        let cases: [(String, &str); 7] = [
            (text.replace("invitation.v1", "invitation.v9"), "an invitation has"),
            ("{\"type\": \"org.hiwar.card.v1\"}".into(), "an invitation has"),
            (text.replacen("\"cards\"", "\"kards\"", 1), "line 3"),
            (text.replace("motie.example/log", "meti.example/log"), "no valid signature"),
            (format!("{text}x"), "trailing characters"),
            (text.replacen('{', "{\"note\":1,", 1), "unknown field `note`"),
            ("\u{feff}{}".into(), "line 1, column 1"),
        ];
        for (text, expected) in cases {
            let found = Invitation::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(found.contains(expected), "{found} | {expected}");
        }
        let large = vec![b' '; INVITATION_BYTES_MAX + 1];
        assert!(matches!(Invitation::parse(&large), Err(InvitationError::TooLarge { .. })));
    }
}
