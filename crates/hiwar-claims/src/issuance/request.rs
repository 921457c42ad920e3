//! Asking an issuer for credentials (DCP 1.0, section 6.4).

use serde_json::{Value, json};

use crate::json;
use crate::query::{CONTEXT, QueryError};

/// The most bytes of a request.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024;
/// The most credentials of a request.
pub const CREDENTIALS_MAX: usize = 16;
/// The most bytes of a process identifier, and of the identifier of a credential object.
pub const ID_BYTES_MAX: usize = 512;
/// The type of the message.
pub const TYPE: &str = "CredentialRequestMessage";

/// What a holder asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The holder's own name for the process.
    pub holder_pid: String,
    /// Identifiers of credential objects in the issuer's metadata, each once.
    pub credentials: Vec<String>,
}

impl CredentialRequest {
    /// The request as a message.
    pub fn to_json(&self) -> Value {
        let credentials: Vec<Value> = self.credentials.iter().map(|id| json!({ "id": id })).collect();
        json!({
            "@context": [CONTEXT], "type": TYPE, "holderPid": self.holder_pid, "credentials": credentials,
        })
    }
}

/// Reads a request.
///
/// # Errors
/// When it is none, or beyond the limits.
pub fn read(bytes: &[u8]) -> Result<CredentialRequest, QueryError> {
    let members = json::object(bytes, REQUEST_BYTES_MAX)?;
    let wrong = |member, rule| QueryError::Member { member, rule };
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!(TYPE)) {
        return Err(wrong("type", "it must be CredentialRequestMessage"));
    }
    let is_name = |text: &&str| !text.is_empty() && text.len() <= ID_BYTES_MAX;
    let holder_pid = members.get("holderPid").and_then(Value::as_str).filter(is_name);
    let holder_pid = holder_pid.ok_or_else(|| wrong("holderPid", "it must be a text of 1 to 512 bytes"))?;
    let rule =
        "it must be an array of 1 to 16 objects, each with the id of a credential object in the metadata";
    let all = match members.get("credentials") {
        Some(Value::Array(all)) if !all.is_empty() && all.len() <= CREDENTIALS_MAX => all,
        _ => return Err(wrong("credentials", rule)),
    };
    let mut credentials: Vec<String> = Vec::new();
    for wanted in all {
        let id = wanted.get("id").and_then(Value::as_str).filter(is_name);
        let id = id.ok_or_else(|| wrong("credentials", rule))?;
        if !credentials.iter().any(|held| held == id) {
            credentials.push(id.to_owned());
        }
    }
    Ok(CredentialRequest { holder_pid: holder_pid.to_owned(), credentials })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_written_and_a_credential_named_twice_is_wanted_once() {
        let request =
            CredentialRequest { holder_pid: "pid".into(), credentials: vec!["urn:a".into(), "urn:b".into()] };
        let mut message = request.to_json();
        assert_eq!(read(message.to_string().as_bytes()).unwrap(), request);
        message["credentials"].as_array_mut().unwrap().push(json!({ "id": "urn:a" }));
        assert_eq!(read(message.to_string().as_bytes()).unwrap(), request);
    }

    #[test]
    fn a_request_without_a_needed_member_or_beyond_the_limits_is_refused_with_its_name() {
        let good =
            json!({ "@context": [CONTEXT], "type": TYPE, "holderPid": "p", "credentials": [{ "id": "x" }] });
        assert!(read(good.to_string().as_bytes()).is_ok());
        for (member, value) in [
            ("type", json!("CredentialMessage")),
            ("holderPid", Value::Null),
            ("holderPid", json!("")),
            ("holderPid", json!("x".repeat(ID_BYTES_MAX + 1))),
            ("credentials", Value::Null),
            ("credentials", json!([])),
            ("credentials", json!(["x"])),
            ("credentials", json!([{ "id": 3 }])),
            ("credentials", json!(vec![json!({ "id": "x" }); CREDENTIALS_MAX + 1])),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            let error = read(bad.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, QueryError::Member { member: named, .. } if named == member), "{error}");
        }
        let long = vec![b' '; REQUEST_BYTES_MAX + 1];
        assert!(matches!(read(&long), Err(QueryError::Json(_))));
    }
}
