//! A DataAddress of the Dataspace Protocol 2025-1: where content is, and by which token it is had.

use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// The endpoint type of HTTP, as the protocol's examples and other connectors write it.
pub const HTTP_ENDPOINT: &str = "https://w3id.org/idsa/v4.1/HTTP";
/// Longest value read, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Most properties read.
const PROPERTIES_MAX: usize = 64;

/// Where content is had or brought, and by which token. Its tokens are left out of debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The URL.
    pub endpoint: String,
    /// The bearer token, without `Bearer `.
    pub authorization: Option<Zeroizing<String>>,
    /// How the token is renewed.
    pub renewal: Option<Renewal>,
}

/// How a token is renewed (Tractus-X and the renewal profile of Data Plane Signaling).
#[derive(Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The token that asks for a new one.
    pub refresh_token: Zeroizing<String>,
    /// Where to ask.
    pub endpoint: String,
    /// For whom the request's own token is made, when it is said.
    pub audience: Option<String>,
    /// When the access token expires.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("endpoint", &self.endpoint)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .field("renewal", &self.renewal)
            .finish()
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewal {{ endpoint: {:?}, expires: {:?} }}", self.endpoint, self.expires)
    }
}

/// Why a DataAddress cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// A member is missing or of another type.
    #[error("the data address cannot be used: {0}")]
    Form(&'static str),
    /// The authorization is not a bearer token.
    #[error("the data address asks for {0:?}; this node speaks bearer tokens (`authType` `bearer`)")]
    OtherScheme(String),
    /// The endpoint is of another kind.
    #[error("the data address is of the type {0:?}; this node speaks HTTP ({HTTP_ENDPOINT})")]
    OtherEndpoint(String),
}

/// The last part of a name such as `https://w3id.org/edc/v0.0.1/ns/endpoint` or `edc:endpoint`.
fn short(name: &str) -> &str {
    name.rsplit(['/', '#', ':']).next().unwrap_or(name)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) if items.len() == 1 => items.first().and_then(text),
        Value::Object(members) => members.get("@value").or_else(|| members.get("@id")).and_then(text),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| text(value)?.trim().parse().ok())
}

impl Access {
    /// Reads a DataAddress. Names may bear a namespace, as EDC writes them; properties may stand in
    /// `endpointProperties` or, as EDC has them, beside it. `expiresIn` counts from `now`.
    ///
    /// # Errors
    /// When there is no endpoint, or it is no HTTP with a bearer token.
    pub fn read(address: &Value, now: Timestamp) -> Result<Self, AccessError> {
        let members = address.as_object().ok_or(AccessError::Form("it is no object"))?;
        let properties = Properties::of(members)?;
        if let Some(kind) = properties.text("endpointType").or_else(|| properties.text("type"))
            && !short(kind).to_ascii_lowercase().starts_with("http")
        {
            return Err(AccessError::OtherEndpoint(kind.chars().take(200).collect()));
        }
        let endpoint = properties.text("endpoint").or_else(|| properties.text("baseUrl"));
        let endpoint = endpoint.ok_or(AccessError::Form("it has no `endpoint`"))?.to_owned();
        if let Some(scheme) = properties.text("authType")
            && !scheme.eq_ignore_ascii_case("bearer")
        {
            return Err(AccessError::OtherScheme(scheme.chars().take(40).collect()));
        }
        let token = properties.text("authorization").map(bare).filter(|token| !token.is_empty());
        Ok(Self {
            endpoint,
            authorization: token.map(|token| Zeroizing::new(token.to_owned())),
            renewal: properties.renewal(now),
        })
    }

    /// Writes it as the protocol's DataAddress. `expiresIn` counts from `now`.
    pub fn write(&self, now: Timestamp) -> Value {
        let property =
            |name: &str, value: &str| json!({ "@type": "EndpointProperty", "name": name, "value": value });
        let mut properties = Vec::new();
        if let Some(token) = &self.authorization {
            properties.push(property("authorization", token));
            properties.push(property("authType", "bearer"));
        }
        if let Some(renewal) = &self.renewal {
            properties.push(property("refreshToken", &renewal.refresh_token));
            properties.push(property("refreshEndpoint", &renewal.endpoint));
            if let Some(audience) = &renewal.audience {
                properties.push(property("refreshAudience", audience));
            }
            if let Some(expires) = renewal.expires {
                let seconds = (expires.millis_since(now) / 1000).max(0);
                properties.push(property("expiresIn", &seconds.to_string()));
            }
        }
        let mut address = json!({
            "@type": "DataAddress", "endpointType": HTTP_ENDPOINT, "endpoint": self.endpoint });
        if let (Some(members), false) = (address.as_object_mut(), properties.is_empty()) {
            members.insert("endpointProperties".into(), Value::Array(properties));
        }
        address
    }

    /// When the token expires, if that is known.
    pub fn expires(&self) -> Option<Timestamp> {
        self.renewal.as_ref().and_then(|renewal| renewal.expires)
    }
}

/// A token without its scheme.
fn bare(value: &str) -> &str {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value,
    }
}

/// Members and endpoint properties by their short names; those in `endpointProperties` win.
struct Properties<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Properties<'a> {
    fn of(members: &'a Map<String, Value>) -> Result<Self, AccessError> {
        let mut found = Vec::new();
        let listed = members.iter().find(|(name, _)| short(name) == "endpointProperties").map(|(_, v)| v);
        let listed = match listed {
            None => &[][..],
            Some(Value::Array(items)) => items.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            Some(_) => return Err(AccessError::Form("its `endpointProperties` is no list")),
        };
        if listed.len() + members.len() > PROPERTIES_MAX {
            return Err(AccessError::Form("it has more than 64 members and properties"));
        }
        for item in listed {
            let item = item.as_object().ok_or(AccessError::Form("an endpoint property is no object"))?;
            let member = |wanted| item.iter().find(|(name, _)| short(name) == wanted).map(|(_, v)| v);
            let (Some(name), Some(value)) = (member("name").and_then(text), member("value")) else {
                return Err(AccessError::Form("an endpoint property lacks `name` or `value`"));
            };
            found.push((short(name), value));
        }
        found.extend(members.iter().map(|(name, value)| (short(name), value)));
        if found.iter().any(|(_, v)| text(v).is_some_and(|text| text.len() > VALUE_BYTES_MAX)) {
            return Err(AccessError::Form("a value is longer than 16 KiB"));
        }
        Ok(Self(found))
    }

    fn value(&self, wanted: &str) -> Option<&'a Value> {
        self.0.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }

    fn text(&self, wanted: &str) -> Option<&'a str> {
        self.value(wanted).and_then(text)
    }

    fn renewal(&self, now: Timestamp) -> Option<Renewal> {
        let expires = self.value("expiresIn").and_then(number);
        Some(Renewal {
            refresh_token: Zeroizing::new(self.text("refreshToken")?.to_owned()),
            endpoint: self.text("refreshEndpoint")?.to_owned(),
            audience: self.text("refreshAudience").map(ToOwned::to_owned),
            expires: expires.map(|seconds| now.plus_millis(seconds.saturating_mul(1000))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn read(address: &Value) -> Result<Access, AccessError> {
        Access::read(address, Timestamp::from_millis(NOW))
    }

    fn token(access: &Access) -> Option<&str> {
        access.authorization.as_ref().map(|token| token.as_str())
    }

    /// The form of the protocol's own example (DSP 2025-1, transfer-start-message example).
    #[test]
    fn the_protocols_form_is_read() {
        let access = read(&json!({
            "@type": "DataAddress", "endpointType": HTTP_ENDPOINT, "endpoint": "http://example.com",
            "endpointProperties": [
                { "@type": "EndpointProperty", "name": "authorization", "value": "TOKEN-ABCDEFG" },
                { "@type": "EndpointProperty", "name": "authType", "value": "bearer" } ] }))
        .unwrap();
        assert_eq!((access.endpoint.as_str(), token(&access)), ("http://example.com", Some("TOKEN-ABCDEFG")));
        assert_eq!(access.renewal, None);
        assert!(!format!("{access:?}").contains("ABCDEFG"));
    }

    /// The forms of Eclipse EDC and Tractus-X: names in namespaces, tokens with and without their scheme.
    #[test]
    fn the_forms_of_other_connectors_are_read() {
        let edc = "https://w3id.org/edc/v0.0.1/ns/";
        let tx = "https://w3id.org/tractusx/auth/";
        let property =
            |name: &str, value: Value| json!({ "@type": "EndpointProperty", "name": name, "value": value });
        let access = read(&json!({
            "@type": "DataAddress", "endpointType": HTTP_ENDPOINT,
            "endpointProperties": [
                property(&format!("{edc}endpoint"), json!("https://plane.example/public")),
                property(&format!("{edc}endpointType"), json!(HTTP_ENDPOINT)),
                property(&format!("{edc}authorization"), json!("Bearer eyJ.a.b")),
                property(&format!("{tx}refreshToken"), json!("r-1")),
                property(&format!("{tx}refreshEndpoint"), json!("https://plane.example/token")),
                property(&format!("{tx}refreshAudience"), json!("did:web:provider.example")),
                property(&format!("{tx}expiresIn"), json!("300")) ] }))
        .unwrap();
        assert_eq!(token(&access), Some("eyJ.a.b"));
        assert_eq!(access.endpoint, "https://plane.example/public");
        let renewal = access.renewal.clone().unwrap();
        assert_eq!(renewal.expires, Some(Timestamp::from_millis(NOW + 300_000)));
        assert_eq!(renewal.audience.as_deref(), Some("did:web:provider.example"));
        let flat = read(&json!({
            "edc:type": "HttpData", "edc:endpoint": { "@value": "https://x.example" },
            format!("{edc}authorization"): [{ "@value": "abc" }] }))
        .unwrap();
        assert_eq!((flat.endpoint.as_str(), token(&flat)), ("https://x.example", Some("abc")));
        let again = read(&access.write(Timestamp::from_millis(NOW))).unwrap();
        assert_eq!(again, access);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (address, says) in [
            (json!([]), "no object"),
            (json!({ "endpointType": HTTP_ENDPOINT }), "no `endpoint`"),
            (json!({ "endpointType": "AmazonS3", "endpoint": "s3://x" }), "AmazonS3"),
            (json!({ "endpoint": "https://x", "authType": "basic" }), "basic"),
            (json!({ "endpoint": "https://x", "endpointProperties": "x" }), "no list"),
            (json!({ "endpoint": "https://x", "endpointProperties": [{ "name": "a" }] }), "lacks"),
            (json!({ "endpoint": "x".repeat(20_000) }), "16 KiB"),
        ] {
            let error = read(&address).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
