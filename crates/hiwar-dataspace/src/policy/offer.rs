//! Offers: in a catalogue, and in the messages of a negotiation.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::read::{MEMBERS, Members, PolicyError, form};
use super::{Agreement, Policy};
use hiwar_trust::time::Timestamp;

/// An offer in a catalogue (schema `Offer`): without `target`, for the dataset that carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// `@id`.
    pub id: String,
    /// Who offers, a participant identifier.
    pub assigner: Option<String>,
    /// Who it is for, when it is for one participant only.
    pub assignee: Option<String>,
    /// Its rules.
    pub policy: Policy,
}

/// An offer in a message of a negotiation (schema `MessageOffer`).
#[derive(Clone, Debug, PartialEq)]
pub struct MessageOffer {
    /// `@id`: that of the offer in the catalogue, or of a counter-offer.
    pub id: String,
    /// The dataset's `@id`. Required in the first message (specification, "Contract Request Message").
    pub target: Option<String>,
    /// Who offers, a participant identifier.
    pub assigner: Option<String>,
    /// Who it is for, when it is for one participant only.
    pub assignee: Option<String>,
    /// Its rules; empty when the message only names the offer by its `@id`.
    pub policy: Policy,
}

impl Offer {
    /// An offer to anybody.
    pub fn new(id: impl Into<String>, policy: Policy) -> Self {
        Self { id: id.into(), assigner: None, assignee: None, policy }
    }

    /// The same offer in a message about the dataset `target`.
    pub fn about(self, target: impl Into<String>) -> MessageOffer {
        MessageOffer {
            id: self.id,
            target: Some(target.into()),
            assigner: self.assigner,
            assignee: self.assignee,
            policy: self.policy,
        }
    }

    /// Reads an offer from a JSON value. A `target` is read over.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Form`], which names the member and how to mend it.
    pub fn from_value(value: Value) -> Result<Self, PolicyError> {
        let MessageOffer { id, target: _, assigner, assignee, policy } = MessageOffer::from_value(value)?;
        Ok(Self { id, assigner, assignee, policy })
    }

    /// The offer as the schema writes it.
    pub fn to_value(&self) -> Value {
        write(&self.id, None, self.assigner.as_deref(), self.assignee.as_deref(), &self.policy)
    }
}

impl MessageOffer {
    /// Whether both offer the same: target and rules, whatever the order and the tolerated form. The
    /// `@id` is not compared, and `assigner` and `assignee` only where both offers name them.
    pub fn same_meaning(&self, other: &Self) -> bool {
        let fits = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        fits(&self.target, &other.target)
            && fits(&self.assigner, &other.assigner)
            && fits(&self.assignee, &other.assignee)
            && self.policy.same_meaning(&other.policy)
    }

    /// The agreement that this offer becomes, with the same rules.
    pub fn agree(
        self,
        id: impl Into<String>,
        target: impl Into<String>,
        assigner: impl Into<String>,
        assignee: impl Into<String>,
        timestamp: Timestamp,
    ) -> Agreement {
        Agreement {
            id: id.into(),
            target: target.into(),
            assigner: assigner.into(),
            assignee: assignee.into(),
            timestamp: Some(timestamp),
            policy: self.policy,
        }
    }

    /// Reads an offer from a JSON value.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Form`], which names the member and how to mend it.
    pub fn from_value(value: Value) -> Result<Self, PolicyError> {
        let names = names(&["@id", "@type", "target", "assigner", "assignee"]);
        let mut members = Members::of(value, "", &names)?;
        read_type(&mut members, "Offer")?;
        Ok(Self {
            id: members.required_text("", "@id", "add the identifier of the offer")?,
            target: members.text("", "target")?,
            assigner: members.text("", "assigner")?,
            assignee: members.text("", "assignee")?,
            policy: Policy::from_members(members, "")?,
        })
    }

    /// The offer as the schema writes it.
    pub fn to_value(&self) -> Value {
        write(
            &self.id,
            self.target.as_deref(),
            self.assigner.as_deref(),
            self.assignee.as_deref(),
            &self.policy,
        )
    }
}

pub(crate) fn names<'a>(own: &[&'a str]) -> Vec<&'a str> {
    own.iter().copied().chain(MEMBERS).collect()
}

/// Takes `@type` off; a missing one is tolerated, a wrong one is not.
pub(crate) fn read_type(members: &mut Members, expected: &str) -> Result<(), PolicyError> {
    match members.text("", "@type")? {
        Some(found) if super::operand::bare_term(&found) != expected => {
            form("@type", format!("it is {found:?}"), format!("write \"@type\": \"{expected}\""))
        }
        _ => Ok(()),
    }
}

fn write(
    id: &str,
    target: Option<&str>,
    assigner: Option<&str>,
    assignee: Option<&str>,
    policy: &Policy,
) -> Value {
    let mut object = Map::new();
    object.insert("@id".to_owned(), Value::from(id));
    object.insert("@type".to_owned(), Value::from("Offer"));
    for (name, text) in [("target", target), ("assigner", assigner), ("assignee", assignee)] {
        if let Some(text) = text {
            object.insert(name.to_owned(), Value::from(text));
        }
    }
    policy.write_into(&mut object);
    Value::Object(object)
}

impl Serialize for Offer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl Serialize for MessageOffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Offer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for MessageOffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
