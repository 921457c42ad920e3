//! Left operands: what a constraint compares.

use std::fmt;

use super::PROFILE;

/// What is compared. Each names its unit, and where the term comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOperand {
    /// `urn:hiwar:policy:1:participant`: the participant identifier (a DID) of who asks for the
    /// data, or of who it would be passed on to. The same idea as IDSA `connector` and ODRL
    /// `recipient`; Catena-X compares business partner numbers (`BusinessPartnerNumber`) instead.
    Participant,
    /// `urn:hiwar:policy:1:group`: a group that the participant belongs to: a list of participants
    /// that the node keeps under that name, or `credential:TYPE` or `credential:TYPE.CLAIM=VALUE`
    /// for a verified credential. Catena-X: `BusinessPartnerGroup`, `Membership`.
    Group,
    /// ODRL `spatial`: the country of the participant, ISO 3166-1 alpha-2, such as `KR`. ODRL means
    /// the place where the action is done; a node can only know where the participant is at home.
    Country,
    /// ODRL `purpose` (Catena-X `UsagePurpose`): what the consumer says the data are for, as the code
    /// that it states with the request. Compared as text.
    Purpose,
    /// ODRL `dateTime`: the time of the action, RFC 3339 with a zone.
    DateTime,
    /// ODRL `elapsedTime`: how long ago the agreement was made, an ISO 8601 duration such as `P30D`.
    ElapsedTime,
    /// ODRL `count`: which transfer under the agreement this is, counted from 1.
    Count,
    /// ODRL `delayPeriod`: how long after the data were received a duty is due, an ISO 8601 duration.
    DelayPeriod,
    /// `urn:hiwar:policy:1:marking`: the TLP 2.0 label (FIRST, 2022) that the receiver says it keeps,
    /// such as `TLP:AMBER`.
    Marking,
    /// Any other term or IRI, as it came without an `odrl:` prefix.
    Other(String),
}

impl LeftOperand {
    /// The operands that this node knows.
    pub const KNOWN: [Self; 9] = [
        Self::Participant,
        Self::Group,
        Self::Country,
        Self::Purpose,
        Self::DateTime,
        Self::ElapsedTime,
        Self::Count,
        Self::DelayPeriod,
        Self::Marking,
    ];

    /// The operand that a term or IRI names. `odrl:` prefixes are taken off, and the operands of
    /// [`PROFILE`] may be written by their short names.
    pub fn from_term(term: &str) -> Self {
        let bare = bare_term(term);
        let short = bare.strip_prefix(PROFILE).and_then(|rest| rest.strip_prefix(':')).unwrap_or(bare);
        match short {
            "participant" => Self::Participant,
            "group" => Self::Group,
            "country" | "spatial" => Self::Country,
            "purpose" => Self::Purpose,
            "dateTime" => Self::DateTime,
            "elapsedTime" => Self::ElapsedTime,
            "count" => Self::Count,
            "delayPeriod" => Self::DelayPeriod,
            "marking" => Self::Marking,
            _ => Self::Other(bare.to_owned()),
        }
    }

    /// The term or IRI as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Participant => "urn:hiwar:policy:1:participant",
            Self::Group => "urn:hiwar:policy:1:group",
            Self::Country => "spatial",
            Self::Purpose => "purpose",
            Self::DateTime => "dateTime",
            Self::ElapsedTime => "elapsedTime",
            Self::Count => "count",
            Self::DelayPeriod => "delayPeriod",
            Self::Marking => "urn:hiwar:policy:1:marking",
            Self::Other(term) => term,
        }
    }

    /// The operand as a person calls it, such as `country`.
    pub fn name(&self) -> &str {
        match self {
            Self::Participant => "participant",
            Self::Group => "group",
            Self::Country => "country",
            Self::Marking => "marking",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for LeftOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A term without `odrl:` or the namespace of ODRL in front.
pub(crate) fn bare_term(term: &str) -> &str {
    term.strip_prefix("odrl:").or_else(|| term.strip_prefix("http://www.w3.org/ns/odrl/2/")).unwrap_or(term)
}
