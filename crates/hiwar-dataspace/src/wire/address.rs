//! Where data can be had or is to be sent (DSP 2025-1, `data-address-schema.json`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{Members, WireError};

/// The most properties of one address.
const PROPERTIES_MAX: usize = 64;
/// The longest value of a property, in bytes; tokens are long.
const VALUE_BYTES_MAX: usize = 32 * 1024;

/// An address of the data plane.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "@type", rename = "DataAddress", rename_all = "camelCase")]
pub struct DataAddress {
    /// How to talk to it, such as `https://w3id.org/idsa/v4.1/HTTP`.
    pub endpoint_type: String,
    /// Its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Tokens and whatever else it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoint_properties: Vec<EndpointProperty>,
}

/// One property of a [`DataAddress`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "@type", rename = "EndpointProperty")]
pub struct EndpointProperty {
    /// Its name, such as `authorization`.
    pub name: String,
    /// Its value. It may be a secret.
    pub value: String,
}

// Tokens must not reach a log.
impl std::fmt::Debug for DataAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.endpoint_properties.iter().map(|p| p.name.as_str()).collect();
        f.debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .field("endpoint", &self.endpoint)
            .field("properties", &names)
            .finish()
    }
}

impl std::fmt::Debug for EndpointProperty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointProperty").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DataAddress {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// What is wrong, with its path.
    pub fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "dataAddress")?;
        let listed = members.list("endpointProperties");
        if listed.len() > PROPERTIES_MAX {
            let problem = format!("there are more than {PROPERTIES_MAX}");
            return Err(WireError::new("dataAddress.endpointProperties", problem));
        }
        let properties = listed.into_iter().map(property).collect::<Result<_, _>>()?;
        Ok(Self {
            endpoint_type: members.text("endpointType")?,
            endpoint: members.optional_text("endpoint")?,
            endpoint_properties: properties,
        })
    }

    /// The value of a property, whose name may be prefixed.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.endpoint_properties
            .iter()
            .find(|p| super::read::local_name(&p.name) == name)
            .map(|p| p.value.as_str())
    }
}

fn property(value: &Value) -> Result<EndpointProperty, WireError> {
    let path = "dataAddress.endpointProperties";
    let members = Members::of(value, path)?;
    let name = members.text("name")?;
    let value = members.value("value")?.as_str();
    match value {
        Some(text) if text.len() <= VALUE_BYTES_MAX => Ok(EndpointProperty { name, value: text.to_owned() }),
        Some(_) => Err(WireError::new(path, format!("a value has more than {VALUE_BYTES_MAX} bytes"))),
        None => Err(WireError::new(path, "a value is no string")),
    }
}
