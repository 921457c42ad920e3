//! Whether something is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a notice, meeting or commitment is meant, after CAP 1.2 (OASIS, July 2010), section 3.2.1 `status`.
/// What speaks about an exercise is one too, so that a drill can run between real nodes and never be taken
/// for the real thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Meant: act on it.
    #[default]
    Actual,
    /// A drill: act on it as the exercise says, and nowhere else.
    Exercise,
    /// Technical testing only: ignore it.
    Test,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Actual, Self::Exercise, Self::Test];

    /// The word that CAP uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "Actual",
            Self::Exercise => "Exercise",
            Self::Test => "Test",
        }
    }

    /// The words as a form takes them.
    pub const CHOICES: [(&'static str, Self); 3] =
        [("Actual", Self::Actual), ("Exercise", Self::Exercise), ("Test", Self::Test)];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
