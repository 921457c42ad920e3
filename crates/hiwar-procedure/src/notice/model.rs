//! What a notice holds.

pub use hiwar_dialogue::entry::Texts;
use hiwar_trust::time::Timestamp;
use serde::Serialize;

use crate::status::Status;

/// A list of words that a field can hold, with their spellings.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The spellings with their meanings.
            pub const CHOICES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];

            /// The spelling.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The kind of a notice.
    Kind {
        /// Supply is disrupted, or is expected to be.
        DisruptionAlert = "disruption-alert",
        /// A party asks another one for information.
        InformationRequest = "information-request",
        /// The answer to a request, an alert or a request for a meeting.
        Answer = "answer",
        /// Help is offered.
        Offer = "offer",
        /// A party asks for an emergency meeting.
        EmergencyMeetingRequest = "emergency-meeting-request",
    }
}

words! {
    /// How soon to act. Source: CAP 1.2, section 3.2.2 `urgency`.
    Urgency {
        /// Responsive action should be taken immediately.
        Immediate = "Immediate",
        /// Within the next hours; here: within days.
        Expected = "Expected",
        /// In the near future.
        Future = "Future",
        /// Action is no longer required.
        Past = "Past",
        /// Not known.
        Unknown = "Unknown",
    }
}

words! {
    /// How bad it is. Source: CAP 1.2, section 3.2.2 `severity`.
    Severity {
        /// Extraordinary threat.
        Extreme = "Extreme",
        /// Significant threat.
        Severe = "Severe",
        /// Possible threat.
        Moderate = "Moderate",
        /// Minimal threat.
        Minor = "Minor",
        /// Not known.
        Unknown = "Unknown",
    }
}

words! {
    /// How sure it is. Source: CAP 1.2, section 3.2.2 `certainty`.
    Certainty {
        /// It has happened or goes on.
        Observed = "Observed",
        /// More than about 50 per cent.
        Likely = "Likely",
        /// Possible, but not likely.
        Possible = "Possible",
        /// Close to 0 per cent.
        Unlikely = "Unlikely",
        /// Not known.
        Unknown = "Unknown",
    }
}

words! {
    /// Whether an information request must be answered. Source: Regulation (EU) 2023/1781, Article 25, keeps the
    /// two apart; a mandatory one names its legal basis and asks for no more than is necessary.
    Obligation {
        /// Answering is up to the recipient.
        Voluntary = "voluntary",
        /// The law obliges the recipient.
        Mandatory = "mandatory",
    }
}

words! {
    /// What is offered. Source: the responses that Article 12 of the IPEF Supply Chain Agreement names.
    Offer {
        /// Other suppliers.
        AlternativeSuppliers = "alternative-suppliers",
        /// Buying together.
        JointProcurement = "joint-procurement",
        /// Other routes of transport.
        Routes = "routes",
        /// Faster customs clearance.
        FasterCustoms = "faster-customs",
        /// From stocks.
        Stocks = "stocks",
        /// Something else, as the words say.
        Other = "other",
    }
}

/// What a party says of a disruption. Source: the information that a requester supplies under Article 12 of the
/// IPEF Supply Chain Agreement. What is not known yet is named in `pending`, so that an alert is never held back
/// by missing data (after Regulation (EU) 2019/1715, Article 17).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Case {
    /// Effects on security, health, economy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<Texts>,
    /// Why it happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Texts>,
    /// How long it is expected to last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_duration: Option<Texts>,
    /// Sectors that are likely to be hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sectors: Option<Texts>,
    /// Measures taken or planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Texts>,
    /// What help is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistance: Option<Texts>,
    /// Which of these are not known yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

/// The names of a case's fields.
pub const CASE_FIELDS: [&str; 6] =
    ["impact", "cause", "expected-duration", "sectors", "measures", "assistance"];

/// What an information request asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// Whether it must be answered.
    pub obligation: Obligation,
    /// The law, for a mandatory one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    /// Why no less would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_data: Option<Texts>,
    /// By when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The authority of the recipient's country that gets a copy: a party's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<String>,
    /// The party that is asked, by its code; absent when all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

words! {
    /// What recipients may do with what they learn. Source: FIRST Information Exchange Policy 2.0,
    /// `permitted_actions`, from the narrowest.
    Handling {
        /// Nothing without asking first.
        None = "none",
        /// Ask the author how.
        ContactForInstruction = "contact-for-instruction",
        /// Actions seen inside of the recipient's organisation only.
        InternallyVisible = "internally-visible-actions",
        /// Actions that others may see, if they do not show the source.
        ExternallyVisibleIndirect = "externally-visible-indirect-actions",
        /// Actions that others may see and trace back.
        ExternallyVisibleDirect = "externally-visible-direct-actions",
    }
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Notice {
    /// Its kind.
    pub kind: Kind,
    /// Whether it puts an earlier notice of the same author right.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub correction: bool,
    /// Whether it is meant.
    pub status: Status,
    /// How soon to act; alerts and requests for a meeting have all three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How sure it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certainty: Option<Certainty>,
    /// When it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<Timestamp>,
    /// Until when the notice is to be relied on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it is about, in one line.
    pub headline: Texts,
    /// Items concerned: codes with their system, such as `HS2017:2811.11`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// What is said of the disruption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// What recipients may do with it, beside its marking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permitted: Option<Handling>,
}

impl Notice {
    /// Whether it answers another notice.
    pub fn is_reply(&self) -> bool {
        matches!(self.kind, Kind::Answer | Kind::Offer)
    }
}
