//! An issuer's offer to a holder (DCP 1.0, section 6.6). The issuer's side is in
//! [`super::metadata::offer_message`].

use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::request::{CREDENTIALS_MAX, ID_BYTES_MAX};
use crate::json;
use crate::query::QueryError;

/// The most bytes of an offer.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;
/// The type of the message.
pub const TYPE: &str = "CredentialOfferMessage";

/// What an issuer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers.
    pub issuer: Did,
    /// What, at least one.
    pub credentials: Vec<Offered>,
}

/// A credential that is offered. An offer may name no more than the identifier; the rest then stands
/// in the issuer's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The identifier of a credential object in the issuer's metadata.
    pub id: String,
    /// The type of the credential.
    pub kind: Option<String>,
    /// How it would be written: the alias of a profile of DCP.
    pub profile: Option<String>,
    /// Why it is offered, such as `reissue`.
    pub reason: Option<String>,
}

/// Reads an offer.
///
/// # Errors
/// When it is none, or beyond the limits.
pub fn read(bytes: &[u8]) -> Result<Offer, QueryError> {
    let members = json::object(bytes, OFFER_BYTES_MAX)?;
    let wrong = |member, rule| QueryError::Member { member, rule };
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!(TYPE)) {
        return Err(wrong("type", "it must be CredentialOfferMessage"));
    }
    let issuer = members.get("issuer").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let issuer = issuer.ok_or_else(|| wrong("issuer", "it must be a DID of the method did:web"))?;
    let rule = "it must be an array of 1 to 16 objects, each with the id of a credential object; \
                texts have at most 512 bytes";
    let all = match members.get("credentials") {
        Some(Value::Array(all)) if !all.is_empty() && all.len() <= CREDENTIALS_MAX => all,
        _ => return Err(wrong("credentials", rule)),
    };
    let read = |v: &Value| v.as_object().and_then(offered).ok_or_else(|| wrong("credentials", rule));
    Ok(Offer { issuer, credentials: all.iter().map(read).collect::<Result<_, _>>()? })
}

fn offered(members: &Map<String, Value>) -> Option<Offered> {
    // None: of the wrong kind or too long. Some(None): absent.
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.len() <= ID_BYTES_MAX => {
            Some(Some(text.clone()).filter(|t| !t.is_empty()))
        }
        Some(_) => None,
    };
    Some(Offered {
        id: text("id")??,
        kind: text("credentialType")?,
        profile: text("profile")?,
        reason: text("offerReason")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{CredentialObject, offer_message};
    use super::*;

    fn issuer() -> Did {
        "did:web:ministry.example".parse().unwrap()
    }

    #[test]
    fn an_offer_of_the_issuer_s_side_is_read_and_so_is_one_that_names_identifiers_only() {
        let object = CredentialObject {
            id: "urn:x".into(),
            kind: "MembershipCredential".into(),
            profile: "vc20-bssl/jwt".into(),
            schema: String::new(),
        };
        let message = offer_message(&issuer(), &[object], "reissue").to_string();
        let offered = Offered {
            id: "urn:x".into(),
            kind: Some("MembershipCredential".into()),
            profile: Some("vc20-bssl/jwt".into()),
            reason: Some("reissue".into()),
        };
        assert_eq!(read(message.as_bytes()).unwrap(), Offer { issuer: issuer(), credentials: vec![offered] });
        // The specification's example of a sparse offer, section 6.6.1.
        let sparse =
            json!({ "type": TYPE, "issuer": issuer(), "credentials": [{ "id": "a" }, { "id": "b" }] });
        let read = read(sparse.to_string().as_bytes()).unwrap();
        assert!(read.credentials.iter().all(|o| o.kind.is_none() && o.reason.is_none()));
        assert_eq!(read.credentials.len(), 2);
    }

    #[test]
    fn an_offer_without_a_needed_member_or_beyond_the_limits_is_refused_with_its_name() {
        let good = json!({ "type": TYPE, "issuer": issuer(), "credentials": [{ "id": "x" }] });
        assert!(read(good.to_string().as_bytes()).is_ok());
        for (member, value) in [
            ("type", json!("CredentialMessage")),
            ("issuer", Value::Null),
            ("issuer", json!("https://ministry.example")),
            ("credentials", Value::Null),
            ("credentials", json!([])),
            ("credentials", json!(["x"])),
            ("credentials", json!([{ "credentialType": "MembershipCredential" }])),
            ("credentials", json!([{ "id": "x", "credentialType": 3 }])),
            ("credentials", json!([{ "id": "x".repeat(ID_BYTES_MAX + 1) }])),
            ("credentials", json!(vec![json!({ "id": "x" }); CREDENTIALS_MAX + 1])),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            let error = read(bad.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, QueryError::Member { member: named, .. } if named == member), "{error}");
        }
        assert!(matches!(read(&vec![b' '; OFFER_BYTES_MAX + 1]), Err(QueryError::Json(_))));
    }
}
