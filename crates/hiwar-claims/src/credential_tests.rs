use super::*;
use crate::jws::JwsKey;
use crate::p256::P256Key;
use crate::presentation::{self, PresentationError};
use crate::query;
use crate::status::{self, StatusEntry, StatusError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::json;
use std::io::Write as _;

const NOW: i64 = 1_800_000_000;

struct Party {
    did: Did,
    key: P256Key,
}

impl Party {
    fn new(name: &str) -> Self {
        let key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        Self { did: format!("did:web:{name}.example").parse().unwrap(), key }
    }

    fn keys(&self) -> Vec<VerificationKey> {
        let key: JwsKey = self.key.public().clone();
        vec![VerificationKey { kid: format!("{}#k", self.did), key }]
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign(claims, "JWT", &format!("{}#k", self.did)).unwrap()
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1000)
}

fn vc11(issuer: &Party, holder: &Party) -> Value {
    json!({
        "iss": issuer.did, "sub": holder.did, "nbf": NOW - 60, "exp": NOW + 600,
        "vc": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", "MembershipCredential"],
            "issuer": issuer.did, "issuanceDate": "2027-01-15T07:59:00Z", "expirationDate": null,
            "credentialSubject": { "id": holder.did, "level": "gold" },
        },
    })
}

fn vc20(issuer: &Party, holder: &Party) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "MembershipCredential"],
        "issuer": { "id": issuer.did }, "validFrom": "2027-01-15T07:59:00Z", "validUntil": "2027-01-15T08:10:00Z",
        "credentialSubject": { "id": holder.did, "level": "gold" },
        "credentialStatus": {
            "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "9",
            "statusListCredential": "https://issuer.example/status/1",
        },
    })
}

fn list(issuer: &Party, bits: &[u8]) -> String {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bits).unwrap();
    let encoded = format!("u{}", BASE64URL.encode(packer.finish().unwrap()));
    issuer.sign(&json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer.did, "validFrom": "2027-01-15T07:59:00Z",
        "credentialSubject": { "type": "BitstringStatusList", "statusPurpose": "revocation", "encodedList": encoded },
    }))
}

#[test]
fn credentials_of_both_data_models_say_the_same() {
    let (issuer, holder) = (Party::new("issuer"), Party::new("holder"));
    for (claims, profile) in
        [(vc11(&issuer, &holder), Profile::Vc11), (vc20(&issuer, &holder), Profile::Vc20)]
    {
        let found = verify(&issuer.sign(&claims), &issuer.keys(), Some(&holder.did), now(), 5).unwrap();
        assert_eq!(found.profile, profile);
        assert_eq!(found.types, ["MembershipCredential"]);
        assert_eq!(found.subjects[0]["level"], "gold");
        assert_eq!(found.valid_until, Some(NOW + 600));
    }
}

#[test]
fn a_credential_with_one_thing_wrong_is_refused_for_that_thing() {
    let (issuer, holder, other) = (Party::new("issuer"), Party::new("holder"), Party::new("other"));
    let refused = |change: &dyn Fn(&mut Value), signer: &Party, shown_by: &Did| {
        let mut claims = vc11(&issuer, &holder);
        change(&mut claims);
        verify(&signer.sign(&claims), &issuer.keys(), Some(shown_by), now(), 5).unwrap_err()
    };
    let nothing = |_: &mut Value| {};
    assert!(matches!(
        refused(&nothing, &other, &holder.did),
        CredentialError::Jws(JwsError::UnknownKey { .. })
    ));
    assert!(matches!(refused(&nothing, &issuer, &other.did), CredentialError::OtherSubject { .. }));
    let ended = |c: &mut Value| c["vc"]["expirationDate"] = json!("2027-01-15T07:58:00Z");
    assert!(matches!(refused(&ended, &issuer, &holder.did), CredentialError::Expired { .. }));
    let ended = |c: &mut Value| c["exp"] = json!(NOW - 6);
    assert!(matches!(refused(&ended, &issuer, &holder.did), CredentialError::Expired { .. }));
    let later = |c: &mut Value| c["vc"]["issuanceDate"] = json!("2027-01-15T09:00:00Z");
    assert!(matches!(refused(&later, &issuer, &holder.did), CredentialError::NotYetValid { .. }));
    let forged = |c: &mut Value| c["vc"]["issuer"] = json!(other.did);
    assert!(matches!(
        refused(&forged, &issuer, &holder.did),
        CredentialError::Member { member: "issuer", .. }
    ));
    let odd = |c: &mut Value| c["vc"]["credentialStatus"] = json!({ "type": "Unheard" });
    assert!(matches!(
        refused(&odd, &issuer, &holder.did),
        CredentialError::Member { member: "credentialStatus", .. }
    ));
}

#[test]
fn a_revoked_credential_is_told_from_one_that_holds() {
    let (issuer, other) = (Party::new("issuer"), Party::new("other"));
    let entry =
        StatusEntry { purpose: "revocation".into(), index: 9, list: "https://issuer.example/1".into() };
    let check = |bits: &[u8], signer: &Party| {
        status::check(&entry, &issuer.did, &list(signer, bits), &signer.keys(), now(), 5)
    };
    // Bit 9 is the second from the left of the second byte.
    assert_eq!(check(&[0xff, 0xbf], &issuer), Ok(()));
    assert!(matches!(check(&[0, 0x40], &issuer), Err(StatusError::Set { .. })));
    assert!(matches!(check(&[0], &issuer), Err(StatusError::NoSuchIndex { bits: 8, index: 9 })));
    assert!(matches!(check(&[0, 0], &other), Err(StatusError::OtherIssuer { .. })));
    // An unsigned list proves nothing.
    let plain = status::check(&entry, &issuer.did, "{\"credentialSubject\":{}}", &issuer.keys(), now(), 5);
    assert!(matches!(plain, Err(StatusError::List(CredentialError::Jws(_)))), "{plain:?}");
}

#[test]
fn a_small_list_that_expands_to_gigabytes_is_given_up_at_the_limit() {
    let issuer = Party::new("issuer");
    let entry =
        StatusEntry { purpose: "revocation".into(), index: 0, list: "https://issuer.example/1".into() };
    let bomb = list(&issuer, &vec![0; status::BITS_BYTES_MAX + 1]);
    assert!(bomb.len() < 4096, "{}", bomb.len());
    let refused = status::check(&entry, &issuer.did, &bomb, &issuer.keys(), now(), 5);
    assert!(matches!(refused, Err(StatusError::Content(_))), "{refused:?}");
}

#[test]
fn a_presentation_is_for_one_verifier_and_of_the_one_who_calls() {
    let (issuer, holder, other) = (Party::new("issuer"), Party::new("holder"), Party::new("other"));
    for profile in [Profile::Vc11, Profile::Vc20] {
        let vc = issuer.sign(&vc20(&issuer, &holder));
        let claims = presentation::claims(
            profile,
            std::slice::from_ref(&vc),
            &holder.did,
            "did:web:v.example",
            "j",
            now(),
            60,
        );
        let vp = holder.key.sign(&claims, presentation::kind(profile), &format!("{}#k", holder.did)).unwrap();
        let verify = |party: &Party, audience: &str, at| {
            presentation::verify(
                &vp,
                &party.keys(),
                &party.did,
                audience,
                Timestamp::from_millis(at * 1000),
                5,
            )
        };
        assert_eq!(verify(&holder, "did:web:v.example", NOW), Ok(vec![vc]));
        assert!(matches!(verify(&holder, "did:web:w.example", NOW), Err(PresentationError::Audience { .. })));
        assert!(matches!(
            verify(&holder, "did:web:v.example", NOW + 70),
            Err(PresentationError::Time { .. })
        ));
        assert!(matches!(verify(&other, "did:web:v.example", NOW), Err(PresentationError::Jws(_))));
    }
}

#[test]
fn a_query_asks_by_scope_and_by_nothing_else() {
    let scope = query::Scope::of_type("MembershipCredential");
    let asked = query::read(query::message(std::slice::from_ref(&scope)).to_string().as_bytes());
    assert_eq!(asked, Ok(vec![query::Scope::Type("MembershipCredential".into())]));
    for (text, definition) in [
        (r#"{"type":"PresentationQueryMessage"}"#, false),
        (r#"{"type":"PresentationQueryMessage","scope":[]}"#, false),
        (r#"{"type":"PresentationQueryMessage","scope":["a"],"presentationDefinition":{}}"#, false),
        (r#"{"type":"PresentationQueryMessage","scope":["org.eclipse.dspace.dcp.vc.type:A:write"]}"#, false),
        (r#"{"type":"PresentationQueryMessage","presentationDefinition":{"id":"x"}}"#, true),
    ] {
        let error = query::read(text.as_bytes()).unwrap_err();
        assert_eq!(error == query::QueryError::Definition, definition, "{error}");
    }
    let answer = query::response(&["a".into()]).to_string();
    assert_eq!(query::read_response(answer.as_bytes()), Ok(vec!["a".into()]));
    assert!(query::read_response(query::response(&[]).to_string().as_bytes()).is_err());
}
