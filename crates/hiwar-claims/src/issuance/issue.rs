//! Making credentials, in the two profiles that [`crate::credential`] reads.

use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::credential::Profile;

/// The context of VC Data Model 1.1.
const VC11: &str = "https://www.w3.org/2018/credentials/v1";
/// The context of VC Data Model 2.0.
pub(super) const VC20: &str = "https://www.w3.org/ns/credentials/v2";
/// The context of StatusList2021.
const STATUS_LIST_2021: &str = "https://w3id.org/vc/status-list/2021/v1";
/// What VC Data Model 2.0, section 5.2, names for terms that no other context defines.
const UNDEFINED_TERMS: &str = "https://www.w3.org/ns/credentials/undefined-terms/v2";

/// A credential to be made.
#[derive(Clone, Debug)]
pub struct NewCredential<'a> {
    /// How it is written.
    pub profile: Profile,
    /// Its own name: a URI, never used again.
    pub id: &'a str,
    /// Its type, beside `VerifiableCredential`.
    pub kind: &'a str,
    /// Who attests.
    pub issuer: &'a Did,
    /// About whom, and who will show it.
    pub holder: &'a Did,
    /// What is attested. A member `id` in it is replaced by the holder.
    pub subject: &'a Map<String, Value>,
    /// More JSON-LD contexts, for the terms of `subject`.
    pub contexts: &'a [String],
    /// The address of a schema of the subject.
    pub schema: Option<&'a str>,
    /// From when it holds.
    pub from: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// The address of the status list that says whether it was revoked.
    pub list: &'a str,
    /// Its place in that list.
    pub place: u32,
}

/// The claims of a credential, to be signed with a key that the issuer's document names under
/// `assertionMethod`; the header's `typ` is [`kind`].
pub fn claims(new: &NewCredential<'_>) -> Value {
    let mut subject = Map::new();
    subject.insert("id".into(), json!(new.holder));
    for (name, value) in new.subject.iter().filter(|(name, _)| *name != "id") {
        subject.insert(name.clone(), value.clone());
    }
    let entry = match new.profile {
        Profile::Vc11 => "StatusList2021Entry",
        Profile::Vc20 => "BitstringStatusListEntry",
    };
    let mut contexts = match new.profile {
        Profile::Vc11 => vec![VC11.to_owned(), STATUS_LIST_2021.to_owned()],
        Profile::Vc20 => vec![VC20.to_owned()],
    };
    contexts.extend(new.contexts.iter().cloned());
    if new.profile == Profile::Vc20 && new.contexts.is_empty() {
        contexts.push(UNDEFINED_TERMS.to_owned());
    }
    let mut body = json!({
        "@context": contexts,
        "id": new.id,
        "type": ["VerifiableCredential", new.kind],
        "issuer": new.issuer,
        "credentialSubject": subject,
        "credentialStatus": {
            "id": format!("{}#{}", new.list, new.place),
            "type": entry,
            "statusPurpose": "revocation",
            "statusListIndex": new.place.to_string(),
            "statusListCredential": new.list,
        },
    });
    if let Some(schema) = new.schema {
        set(&mut body, "credentialSchema", json!({ "id": schema, "type": "JsonSchema" }));
    }
    in_token(new.profile, body, new.issuer, Some(new.holder), Some(new.id), (new.from, new.until))
}

fn set(body: &mut Value, member: &str, value: Value) {
    if let Some(members) = body.as_object_mut() {
        members.insert(member.into(), value);
    }
}

/// Writes the validity into a credential, and puts it into a token's claims.
pub(super) fn in_token(
    profile: Profile,
    mut body: Value,
    issuer: &Did,
    subject: Option<&Did>,
    id: Option<&str>,
    (from, until): (Timestamp, Timestamp),
) -> Value {
    let (start, end) = match profile {
        Profile::Vc11 => ("issuanceDate", "expirationDate"),
        Profile::Vc20 => ("validFrom", "validUntil"),
    };
    set(&mut body, start, json!(from));
    set(&mut body, end, json!(until));
    let mut claims = json!({ "iss": issuer, "iat": from.as_seconds(), "exp": until.as_seconds() });
    if let Some(subject) = subject {
        set(&mut claims, "sub", json!(subject));
    }
    if let Some(id) = id {
        set(&mut claims, "jti", json!(id));
    }
    match profile {
        Profile::Vc11 => {
            set(&mut claims, "nbf", json!(from.as_seconds()));
            set(&mut claims, "vc", body);
        }
        Profile::Vc20 => {
            if let (Some(claims), Value::Object(body)) = (claims.as_object_mut(), body) {
                claims.extend(body);
            }
        }
    }
    claims
}

/// The `typ` of a credential's header.
pub fn kind(profile: Profile) -> &'static str {
    match profile {
        Profile::Vc11 => "JWT",
        Profile::Vc20 => "vc+jwt",
    }
}
