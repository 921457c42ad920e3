//! Policies as the schema writes them: bare terms, arrays of at least one element, no numbers.

use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::model::{Atomic, Constraint, Logical, Policy, Rule};

impl Policy {
    /// Puts the members of this policy into `object`.
    pub(crate) fn write_into(&self, object: &mut Map<String, Value>) {
        match self.profile.as_slice() {
            [] => {}
            [one] => {
                object.insert("profile".to_owned(), Value::from(one.as_str()));
            }
            many => {
                object.insert("profile".to_owned(), Value::from(many.to_vec()));
            }
        }
        let lists = [
            ("permission", &self.permission),
            ("prohibition", &self.prohibition),
            ("obligation", &self.obligation),
        ];
        for (name, rules) in lists {
            if !rules.is_empty() {
                object.insert(name.to_owned(), Value::Array(rules.iter().map(Rule::to_value).collect()));
            }
        }
        extend(object, &self.other);
    }

    /// The policy as JSON.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        self.write_into(&mut object);
        Value::Object(object)
    }
}

impl Rule {
    fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("action".to_owned(), Value::from(self.action.as_str()));
        if !self.constraint.is_empty() {
            let list = self.constraint.iter().map(Constraint::to_value).collect();
            object.insert("constraint".to_owned(), Value::Array(list));
        }
        extend(&mut object, &self.other);
        Value::Object(object)
    }
}

impl Constraint {
    /// The constraint as JSON.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Atomic(atomic) => atomic.to_value(),
            Self::Logical(logical) => logical.to_value(),
        }
    }
}

impl Atomic {
    fn to_value(&self) -> Value {
        let mut object = Map::new();
        let (left, operator) = self.terms();
        object.insert("leftOperand".to_owned(), Value::from(left));
        object.insert("operator".to_owned(), Value::from(operator));
        object.insert("rightOperand".to_owned(), self.value().clone());
        extend(&mut object, self.other());
        Value::Object(object)
    }
}

impl Logical {
    fn to_value(&self) -> Value {
        let mut object = Map::new();
        let list = self.constraints.iter().map(Constraint::to_value).collect();
        object.insert(self.kind.as_str().to_owned(), Value::Array(list));
        extend(&mut object, &self.other);
        Value::Object(object)
    }
}

/// Adds the unknown members; none replaces a known one.
pub(crate) fn extend(object: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (name, value) in other {
        if !object.contains_key(name) {
            object.insert(name.clone(), value.clone());
        }
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}
