//! Agreements: what both sides hold each other to.

use hiwar_trust::time::Timestamp;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::offer::{names, read_type};
use super::read::{Members, PolicyError, form};
use super::{MessageOffer, Policy, instant};

/// An agreement (schema `Agreement`).
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// `@id`.
    pub id: String,
    /// The dataset's `@id`.
    pub target: String,
    /// Who provides, a participant identifier.
    pub assigner: String,
    /// Who consumes, a participant identifier.
    pub assignee: String,
    /// When it was made. The text of the specification requires it, its schema does not.
    pub timestamp: Option<Timestamp>,
    /// Its rules.
    pub policy: Policy,
}

impl Agreement {
    /// Whether the agreement says what `offer` said: the same target and rules.
    pub fn keeps(&self, offer: &MessageOffer) -> bool {
        offer.target.as_ref().is_none_or(|target| *target == self.target)
            && self.policy.same_meaning(&offer.policy)
    }

    /// Reads an agreement from a JSON value. A time without a zone is read as UTC.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Form`], which names the member and how to mend it.
    pub fn from_value(value: Value) -> Result<Self, PolicyError> {
        let names = names(&["@id", "@type", "target", "assigner", "assignee", "timestamp"]);
        let mut members = Members::of(value, "", &names)?;
        read_type(&mut members, "Agreement")?;
        let timestamp = match members.text("", "timestamp")? {
            None => None,
            Some(text) => match instant::read(&text).or_else(|_| instant::read(&format!("{text}Z"))) {
                Ok(time) => Some(time),
                Err(mend) => return form("timestamp", format!("{text:?} is not a time"), mend),
            },
        };
        Ok(Self {
            id: members.required_text("", "@id", "add the identifier of the agreement")?,
            target: members.required_text("", "target", "add the identifier of the dataset")?,
            assigner: members.required_text(
                "",
                "assigner",
                "add the participant identifier of the provider",
            )?,
            assignee: members.required_text(
                "",
                "assignee",
                "add the participant identifier of the consumer",
            )?,
            timestamp,
            policy: Policy::from_members(members, "")?,
        })
    }

    /// The agreement as the schema writes it.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        let texts = [
            ("@id", self.id.as_str()),
            ("@type", "Agreement"),
            ("target", &self.target),
            ("assigner", &self.assigner),
            ("assignee", &self.assignee),
        ];
        for (name, text) in texts {
            object.insert(name.to_owned(), Value::from(text));
        }
        if let Some(time) = self.timestamp {
            object.insert("timestamp".to_owned(), Value::from(time.to_string()));
        }
        self.policy.write_into(&mut object);
        Value::Object(object)
    }
}

impl Serialize for Agreement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Agreement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
