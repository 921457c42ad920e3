//! Operators of constraints (schema `Operator`; ODRL Vocabulary 2.2, "Constraint Operators").

use std::fmt;

use super::operand::bare_term;

/// How the two operands are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Greater, or later.
    Gt,
    /// Greater or equal, or not earlier.
    Gteq,
    /// Less, or earlier.
    Lt,
    /// Less or equal, or not later.
    Lteq,
    /// Less or equal by the order of terms (schema only; ODRL has no such operator).
    TermLteq,
    /// The left operand contains the right one.
    HasPart,
    /// The left operand is an instance of the right one.
    IsA,
    /// The left operand is all of the right ones.
    IsAllOf,
    /// The left operand is one of the right ones.
    IsAnyOf,
    /// The left operand is none of the right ones.
    IsNoneOf,
    /// The left operand is contained in the right one.
    IsPartOf,
    /// A term that the schema does not list.
    Other(String),
}

impl Operator {
    /// The operators of the schema.
    pub const ALL: [Self; 13] = [
        Self::Eq,
        Self::Neq,
        Self::Gt,
        Self::Gteq,
        Self::Lt,
        Self::Lteq,
        Self::TermLteq,
        Self::HasPart,
        Self::IsA,
        Self::IsAllOf,
        Self::IsAnyOf,
        Self::IsNoneOf,
        Self::IsPartOf,
    ];

    /// The operator that a term or IRI names; `odrl:` prefixes are taken off.
    pub fn from_term(term: &str) -> Self {
        let bare = bare_term(term);
        Self::ALL.into_iter().find(|op| op.as_str() == bare).unwrap_or_else(|| Self::Other(bare.to_owned()))
    }

    /// The term as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Gt => "gt",
            Self::Gteq => "gteq",
            Self::Lt => "lt",
            Self::Lteq => "lteq",
            Self::TermLteq => "term-lteq",
            Self::HasPart => "hasPart",
            Self::IsA => "isA",
            Self::IsAllOf => "isAllOf",
            Self::IsAnyOf => "isAnyOf",
            Self::IsNoneOf => "isNoneOf",
            Self::IsPartOf => "isPartOf",
            Self::Other(term) => term,
        }
    }

    /// Whether the right operand is a set, and is written as an array.
    pub fn takes_set(&self) -> bool {
        matches!(self, Self::IsAllOf | Self::IsAnyOf | Self::IsNoneOf)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
