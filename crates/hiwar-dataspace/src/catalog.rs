//! Datasets that are offered, and what a consumer may ask about them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::policy::Offer;
use crate::wire::WireError;
use crate::wire::read::{kind, local_name, shown};

/// Datasets on one page of a catalog.
pub const PAGE_DATASETS: usize = 50;
/// The most conditions of one filter.
pub const CONDITIONS_MAX: usize = 32;
/// The most alternatives of one condition.
pub const ALTERNATIVES_MAX: usize = 256;
/// The format of a pull over HTTP.
pub const PULL: &str = "HttpData-PULL";
/// The format of a push over HTTP.
pub const PUSH: &str = "HttpData-PUSH";

/// A dataset that is offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Its identifier.
    pub id: String,
    /// Its title, for people.
    pub title: String,
    /// What it holds, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is about; a filter finds it by any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// The terms it is offered under. It has an identifier of its own and no target.
    pub offer: Offer,
    /// How it can be had: [`PULL`], [`PUSH`].
    pub formats: Vec<String>,
    /// Its content's media type, such as `text/csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its content's size in bytes, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_size: Option<u64>,
    /// SHA-256 of its content in hexadecimal, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it was offered.
    pub issued: hiwar_trust::time::Timestamp,
}

impl Dataset {
    /// As it stands in a catalog (DSP `dataset-schema.json`, DCAT 3 terms). `service` is the
    /// identifier of the catalog's data service.
    pub fn to_json(&self, service: &str) -> Value {
        let distribution = |format: &String| {
            let mut made = json!({ "@type": "Distribution", "format": format, "accessService": service });
            if let (Some(members), Some(media_type)) = (made.as_object_mut(), &self.media_type) {
                members.insert("mediaType".into(), json!(media_type));
            }
            made
        };
        let mut made = json!({
            "@id": self.id,
            "@type": "Dataset",
            "title": self.title,
            "issued": self.issued,
            "hasPolicy": [self.offer],
            "distribution": self.formats.iter().map(distribution).collect::<Vec<_>>(),
        });
        if let Some(members) = made.as_object_mut() {
            if let Some(text) = &self.description {
                members.insert("description".into(), json!(text));
            }
            if !self.keywords.is_empty() {
                members.insert("keyword".into(), json!(self.keywords));
            }
            if let Some(size) = self.byte_size {
                members.insert("byteSize".into(), json!(size));
            }
        }
        made
    }
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The identifier.
    Id,
    /// The title.
    Title,
    /// Any keyword.
    Keyword,
    /// Any format.
    Format,
    /// Words of title, description and keywords.
    Text,
}

/// How a condition compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Equal to one of these.
    In(Vec<String>),
    /// Begins with this.
    StartsWith(String),
    /// Holds all these words ([`Field::Text`] only).
    Words(Vec<String>),
}

/// One condition of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it looks at.
    pub field: Field,
    /// How it compares.
    pub test: Test,
}

/// What a consumer wants to see of a catalog: all conditions must hold.
///
/// DSP 2025-1 leaves the grammar to the provider. Ours is a list of
/// `{"field": "keyword", "operator": "eq", "value": "hs:281111"}`; the fields are `id`, `title`, `keyword`,
/// `format`, `text`; the operators `eq`, `in` (value is a list), `startsWith`, and `words` for `text`. A
/// plain string stands for words of the text. What Eclipse EDC sends (`filterExpression` with
/// `operandLeft`, `operator`, `operandRight`) is read as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The conditions.
    pub conditions: Vec<Condition>,
}

impl Filter {
    /// Reads the `filter` of a CatalogRequestMessage.
    ///
    /// # Errors
    /// When any of it is not understood: a catalog that is not filtered as asked would mislead.
    pub fn read(filter: &[Value]) -> Result<Self, WireError> {
        let mut conditions = Vec::new();
        for (at, item) in filter.iter().enumerate() {
            let path = format!("filter[{at}]");
            match item.get("filterExpression") {
                Some(Value::Array(items)) => {
                    for item in items {
                        conditions.push(Condition::read(item, &path)?);
                    }
                }
                Some(other) => conditions.push(Condition::read(other, &path)?),
                None => conditions.push(Condition::read(item, &path)?),
            }
        }
        if conditions.len() > CONDITIONS_MAX {
            return Err(WireError::new("filter", format!("it has more than {CONDITIONS_MAX} conditions")));
        }
        Ok(Self { conditions })
    }
}

fn first<'a>(item: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| item.get(*name))
}

impl Condition {
    fn read(item: &Value, path: &str) -> Result<Self, WireError> {
        if let Value::String(text) = item {
            return Ok(Self { field: Field::Text, test: Test::Words(words(text)) });
        }
        let wrong = |problem: String| WireError::new(path, problem);
        if !item.is_object() {
            return Err(wrong(format!("it is {}; write an object or a string", kind(item))));
        }
        let field =
            first(item, &["field", "operandLeft", "leftOperand"]).and_then(Value::as_str).ok_or_else(
                || wrong("it names no field; write \"field\": id, title, keyword, format or text".into()),
            )?;
        let field = match local_name(field) {
            "id" | "@id" => Field::Id,
            "title" | "name" => Field::Title,
            "keyword" => Field::Keyword,
            "format" => Field::Format,
            "text" => Field::Text,
            other => {
                let problem =
                    format!("{:?} is no field; write id, title, keyword, format or text", shown(other));
                return Err(wrong(problem));
            }
        };
        let value = first(item, &["value", "operandRight", "rightOperand"])
            .ok_or_else(|| wrong("it has no value".into()))?;
        let operator = item.get("operator").map_or(Some("eq"), Value::as_str);
        let test = Test::read(field, operator.unwrap_or_default(), value).map_err(wrong)?;
        Ok(Self { field, test })
    }
}

impl Test {
    fn read(field: Field, operator: &str, value: &Value) -> Result<Self, String> {
        let one = || match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(format!("its value is {}; write a string", kind(other))),
        };
        match operator {
            _ if field == Field::Text => match operator {
                "eq" | "=" | "words" | "like" => Ok(Self::Words(words(&one()?))),
                _ => Err("text takes the operator words only".into()),
            },
            "eq" | "=" | "==" => Ok(Self::In(vec![one()?])),
            "in" | "isAnyOf" => {
                let Value::Array(items) = value else {
                    return Err("operator in takes a list of strings".into());
                };
                if items.len() > ALTERNATIVES_MAX {
                    return Err(format!("its list has more than {ALTERNATIVES_MAX} values"));
                }
                let texts = items.iter().map(|i| i.as_str().map(ToOwned::to_owned));
                texts
                    .collect::<Option<_>>()
                    .map(Self::In)
                    .ok_or_else(|| "its list holds something else than strings".into())
            }
            "startsWith" => Ok(Self::StartsWith(one()?)),
            other => {
                Err(format!("{:?} is no operator; write eq, in, startsWith, or words for text", shown(other)))
            }
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .take(CONDITIONS_MAX)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_understood_in_our_form_and_in_that_of_edc() {
        let ours = json!([{"field": "keyword", "operator": "eq", "value": "hs:281111"}, "hydrogen fluoride"]);
        let edc = json!([{"@type": "QuerySpec", "filterExpression": [
            {"operandLeft": "https://w3id.org/edc/v0.0.1/ns/id", "operator": "=", "operandRight": "a"},
            {"operandLeft": "title", "operator": "in", "operandRight": ["x", "y"]}]}]);
        assert_eq!(
            Filter::read(ours.as_array().unwrap()).unwrap().conditions,
            [
                Condition { field: Field::Keyword, test: Test::In(vec!["hs:281111".into()]) },
                Condition {
                    field: Field::Text,
                    test: Test::Words(vec!["hydrogen".into(), "fluoride".into()])
                },
            ]
        );
        assert_eq!(
            Filter::read(edc.as_array().unwrap()).unwrap().conditions,
            [
                Condition { field: Field::Id, test: Test::In(vec!["a".into()]) },
                Condition { field: Field::Title, test: Test::In(vec!["x".into(), "y".into()]) },
            ]
        );
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused_with_its_place() {
        for (filter, part) in [
            (json!([{"field": "colour", "value": "red"}]), "\"colour\" is no field"),
            (json!([{"field": "id", "operator": "matches", "value": "x"}]), "is no operator"),
            (json!([{"field": "id"}]), "it has no value"),
            (json!([7]), "it is a number"),
            (json!([{"field": "id", "operator": "in", "value": "x"}]), "takes a list"),
            (json!([{"field": "id", "value": {"a": 1}}]), "its value is an object"),
        ] {
            let error = Filter::read(filter.as_array().unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("filter[0]: ") && error.contains(part), "{error}");
        }
    }
}
