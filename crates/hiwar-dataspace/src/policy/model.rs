//! The content that offers and agreements share: rules and their constraints.

use serde_json::{Map, Value};

use super::instant::{self, Length};
use super::{Action, LeftOperand, Operator, RightOperand};
use hiwar_trust::time::Timestamp;

/// What an offer or an agreement permits, prohibits and obliges to (`PolicyClass` of the schema
/// without its identifier).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The vocabularies that the policy says it uses (IM 2.2 section 3).
    pub profile: Vec<String>,
    /// What may be done.
    pub permission: Vec<Rule>,
    /// What must not be done.
    pub prohibition: Vec<Rule>,
    /// What must be done by who gets the data.
    pub obligation: Vec<Rule>,
    /// Members of the object that this reader does not know, kept as they came.
    pub other: Map<String, Value>,
}

/// One permission, prohibition or obligation.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it is about, such as `use`.
    pub action: Action,
    /// When it holds: all of them must be fulfilled (IM 2.2 section 2.6.3).
    pub constraint: Vec<Constraint>,
    /// Members of the object that this reader does not know, kept as they came.
    pub other: Map<String, Value>,
}

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// One comparison.
    Atomic(Atomic),
    /// Several constraints under one logical operator.
    Logical(Logical),
}

/// One comparison: left operand, operator, right operand (IM 2.2 section 2.5.1).
///
/// Times, lengths and numbers in the right operand are read once, here, so that evaluation does
/// not read text.
#[derive(Clone, Debug, PartialEq)]
pub struct Atomic {
    left_operand: LeftOperand,
    operator: Operator,
    right_operand: RightOperand,
    required: Required,
    spelling: Spelling,
    other: Map<String, Value>,
}

/// The terms and the value of a comparison as they came, where that is not how the schema writes them. Some
/// connectors compare an agreement with their own request text by text, so it is given back as it came.
/// Comparisons are equal whatever their spelling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spelling {
    pub(crate) left_operand: Option<Box<str>>,
    pub(crate) operator: Option<Box<str>>,
    /// Such as one text where the schema writes an array.
    pub(crate) right_operand: Option<Value>,
}

impl PartialEq for Spelling {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The right operand as the left operand reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Required {
    /// Compared as text, or as a set of texts.
    Texts,
    /// A point in time.
    Instant(Timestamp),
    /// A length of time, such as `P30D`.
    Length(Length),
    /// A number of transfers.
    Number(u64),
    /// The text cannot be read as the left operand needs it; how to write it instead.
    Unreadable(&'static str),
}

/// Constraints under one logical operator (IM 2.2 section 2.5.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Logical {
    /// How they are joined.
    pub kind: LogicalKind,
    /// What is joined.
    pub constraints: Vec<Constraint>,
    /// Members of the object that this reader does not know, kept as they came.
    pub other: Map<String, Value>,
}

/// How the constraints of a [`Logical`] are joined (IM 2.2 section 2.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalKind {
    /// All must be fulfilled.
    And,
    /// All must be fulfilled, in the order in which they are written.
    AndSequence,
    /// At least one must be fulfilled.
    Or,
    /// Exactly one must be fulfilled.
    Xone,
}

impl LogicalKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::And, Self::AndSequence, Self::Or, Self::Xone];

    /// The term of the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::AndSequence => "andSequence",
            Self::Or => "or",
            Self::Xone => "xone",
        }
    }
}

impl Policy {
    /// The first value that a permission requires `operand` to be, as long as it names one.
    pub(crate) fn named(&self, operand: &LeftOperand) -> Option<String> {
        self.permission.iter().find_map(|rule| named(&rule.constraint, operand))
    }
}

fn named(constraints: &[Constraint], operand: &LeftOperand) -> Option<String> {
    constraints.iter().find_map(|one| match one {
        Constraint::Atomic(atomic) if atomic.left_operand() == operand => {
            let requires = matches!(
                atomic.operator(),
                Operator::Eq | Operator::IsA | Operator::IsAnyOf | Operator::IsAllOf | Operator::IsPartOf
            );
            atomic.right_operand().values().first().filter(|_| requires).map(ToString::to_string)
        }
        Constraint::Atomic(_) => None,
        Constraint::Logical(logical) => named(&logical.constraints, operand),
    })
}

impl Rule {
    /// A rule about `action` that holds under all of `constraint`.
    pub fn new(action: Action, constraint: Vec<Constraint>) -> Self {
        Self { action, constraint, other: Map::new() }
    }
}

impl Constraint {
    /// One comparison.
    pub fn atomic(
        left_operand: LeftOperand,
        operator: Operator,
        right_operand: impl Into<RightOperand>,
    ) -> Self {
        Self::Atomic(Atomic::new(left_operand, operator, right_operand.into()))
    }

    /// Several constraints under one logical operator.
    pub fn logical(kind: LogicalKind, constraints: Vec<Self>) -> Self {
        Self::Logical(Logical { kind, constraints, other: Map::new() })
    }
}

impl Atomic {
    /// A comparison; the right operand is read as the left operand needs it.
    pub fn new(left_operand: LeftOperand, operator: Operator, right_operand: RightOperand) -> Self {
        Self::with_other(left_operand, operator, right_operand, Map::new())
    }

    pub(crate) fn with_other(
        left_operand: LeftOperand,
        operator: Operator,
        right_operand: RightOperand,
        other: Map<String, Value>,
    ) -> Self {
        let right_operand = if operator.takes_set() { right_operand.into_set() } else { right_operand };
        let required = require(&left_operand, &right_operand);
        let spelling = Spelling::default();
        Self { left_operand, operator, right_operand, required, spelling, other }
    }

    /// The same comparison, which came as `left`, `operator` and `right`.
    pub(crate) fn spelled(mut self, left: &str, operator: &str, right: Value) -> Self {
        let differs = |came: &str, written: &str| (came != written).then(|| came.into());
        self.spelling.left_operand = differs(left, self.left_operand.as_str());
        self.spelling.operator = differs(operator, self.operator.as_str());
        self.spelling.right_operand = Some(right).filter(|came| came != self.right_operand.written());
        self
    }

    /// The value as it is written.
    pub(crate) fn value(&self) -> &Value {
        self.spelling.right_operand.as_ref().unwrap_or_else(|| self.right_operand.written())
    }

    /// The terms as they are written: left operand and operator.
    pub(crate) fn terms(&self) -> (&str, &str) {
        let Spelling { left_operand, operator, .. } = &self.spelling;
        (
            left_operand.as_deref().unwrap_or_else(|| self.left_operand.as_str()),
            operator.as_deref().unwrap_or_else(|| self.operator.as_str()),
        )
    }

    /// What is compared.
    pub fn left_operand(&self) -> &LeftOperand {
        &self.left_operand
    }

    /// How it is compared.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// What it is compared with.
    pub fn right_operand(&self) -> &RightOperand {
        &self.right_operand
    }

    /// Members of the object that this reader does not know.
    pub fn other(&self) -> &Map<String, Value> {
        &self.other
    }

    pub(crate) fn required(&self) -> &Required {
        &self.required
    }
}

fn require(left: &LeftOperand, right: &RightOperand) -> Required {
    let single = || right.single().unwrap_or_default();
    match left {
        LeftOperand::DateTime => match instant::read(single()) {
            Ok(at) => Required::Instant(at),
            Err(mend) => match Length::read(single()) {
                // `dateTime lteq P30D` is read nowhere; say what was meant.
                Ok(_) => {
                    Required::Unreadable("write a point in time, or use elapsedTime for a length of time")
                }
                Err(_) => Required::Unreadable(mend),
            },
        },
        LeftOperand::ElapsedTime => match Length::read(single()) {
            Ok(length) => Required::Length(length),
            Err(mend) => Required::Unreadable(mend),
        },
        LeftOperand::DelayPeriod => match (Length::read(single()), instant::read(single())) {
            (Ok(length), _) => Required::Length(length),
            (_, Ok(at)) => Required::Instant(at),
            (Err(mend), _) => Required::Unreadable(mend),
        },
        LeftOperand::Count => match read_count(single()) {
            Some(count) => Required::Number(count),
            None => Required::Unreadable("write a whole number of transfers, such as \"5\""),
        },
        _ if right.values().is_empty() => Required::Unreadable("write at least one value"),
        _ => Required::Texts,
    }
}

/// `5`, and `5.0` as JSON writers of other languages make of it.
fn read_count(text: &str) -> Option<u64> {
    let whole = text.split_once('.').map_or(text, |(whole, rest)| {
        if !rest.is_empty() && rest.bytes().all(|b| b == b'0') { whole } else { text }
    });
    let digits = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
    if digits { whole.parse().ok() } else { None }
}
