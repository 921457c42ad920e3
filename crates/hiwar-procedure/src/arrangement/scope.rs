//! Kinds of acts as an arrangement names them: in `allows`, in `four-eyes` and in what a desk `may` do.

use std::fmt;
use std::str::FromStr;

use hiwar_dialogue::entry::ActKind;
use serde::{Deserialize, Serialize};

/// Longest name of a narrower kind, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Kinds of acts: all of them (`*`), one kind (`notice`), or a narrower one (`notice:disruption-alert`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every act, written `*`.
    Everything,
    /// Every act of this kind.
    Kind(ActKind),
    /// Acts of this kind whose own kind has this name.
    Narrow(ActKind, String),
}

/// A text that names no kinds of acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no kinds of acts; write * or a kind such as notice, or narrower notice:disruption-alert"
)]
pub struct ScopeError(pub String);

impl Scope {
    /// Whether an act of `kind` falls under it; `name` is the act's own kind, such as `disruption-alert` of a
    /// notice, when it has one.
    pub fn covers(&self, kind: ActKind, name: Option<&str>) -> bool {
        match self {
            Self::Everything => true,
            Self::Kind(known) => *known == kind,
            Self::Narrow(known, narrow) => *known == kind && name == Some(narrow.as_str()),
        }
    }
}

/// Whether a text is a short name: lower-case letters and digits, parted by single hyphens.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::Narrow(kind, name) => write!(f, "{kind}:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let fail = || ScopeError(text.chars().take(80).collect());
        match text.split_once(':') {
            None if text == "*" => Ok(Self::Everything),
            None => text.parse().map(Self::Kind).map_err(|_| fail()),
            Some((kind, name)) if is_name(name) => {
                Ok(Self::Narrow(kind.parse().map_err(|_| fail())?, name.to_owned()))
            }
            Some(_) => Err(fail()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_it_names_and_nothing_else() {
        let alert = (ActKind::Notice, Some("disruption-alert"));
        for (text, covers) in [
            ("*", true),
            ("notice", true),
            ("notice:disruption-alert", true),
            ("notice:offer", false),
            ("meeting", false),
        ] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.covers(alert.0, alert.1), covers, "{text}");
            assert_eq!(scope.to_string(), text);
        }
        for text in ["", "notices", "notice:", "notice:A", "notice:a--b", "notice:a:b", "**"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
