//! Actions: what a rule is about.

use std::fmt;

use super::operand::bare_term;

/// What may, must not or must be done with the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// ODRL `use`: to get the data and work with it. Every other action known here is part of it.
    Use,
    /// ODRL `distribute`: to pass the data on to somebody else.
    Distribute,
    /// ODRL `delete`: to delete every copy.
    Delete,
    /// ODRL `transfer`: to hand over the data altogether, so that the giver keeps nothing.
    Transfer,
    /// Any other term or IRI.
    Other(String),
}

/// Terms of the ODRL Vocabulary 2.2 ("Actions for Rules") that are included in `use`.
const PART_OF_USE: &[&str] = &[
    "aggregate",
    "annotate",
    "anonymize",
    "archive",
    "attribute",
    "compensate",
    "concurrentUse",
    "copy",
    "derive",
    "digitize",
    "display",
    "execute",
    "export",
    "extract",
    "extractPage",
    "extractWord",
    "give",
    "grantUse",
    "include",
    "index",
    "inform",
    "install",
    "modify",
    "move",
    "play",
    "present",
    "print",
    "read",
    "reproduce",
    "share",
    "stream",
    "synchronize",
    "textToSpeech",
    "transform",
    "translate",
    "uninstall",
    "watermark",
];

impl Action {
    /// The action that a term or IRI names; `odrl:` prefixes are taken off.
    pub fn from_term(term: &str) -> Self {
        match bare_term(term) {
            "use" => Self::Use,
            "distribute" => Self::Distribute,
            "delete" => Self::Delete,
            "transfer" => Self::Transfer,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The term as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Use => "use",
            Self::Distribute => "distribute",
            Self::Delete => "delete",
            Self::Transfer => "transfer",
            Self::Other(term) => term,
        }
    }

    /// Whether a rule about this action is also about `asked` (ODRL `includedIn`; IM 2.2 section 2.4).
    pub fn covers(&self, asked: &Self) -> bool {
        self == asked
            || (*self == Self::Use
                && match asked {
                    Self::Distribute | Self::Delete => true,
                    Self::Other(term) => PART_OF_USE.contains(&term.as_str()),
                    Self::Use | Self::Transfer => false,
                })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
