use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};

use super::issue::{self, NewCredential};
use super::list::{self, ENTRIES, NewList, NoSuchPlace};
use crate::credential::{self, CredentialError, Profile};
use crate::jws::VerificationKey;
use crate::p256::P256Key;
use crate::status::{self, StatusError};

const LIST: &str = "https://ministry.example/dcp/1.0/issuer/status/1";
const NOW: i64 = 1_800_000_000_000;

struct Issuer {
    did: Did,
    key: P256Key,
    kid: String,
}

impl Issuer {
    fn new() -> Self {
        let key = P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap();
        let did: Did = "did:web:ministry.example".parse().unwrap();
        Self { kid: format!("{did}#claims"), did, key }
    }

    fn keys(&self) -> Vec<VerificationKey> {
        vec![VerificationKey { kid: self.kid.clone(), key: self.key.public().clone() }]
    }

    fn issue(&self, profile: Profile, holder: &Did, subject: &Map<String, Value>, place: u32) -> String {
        let new = NewCredential {
            profile,
            id: "urn:uuid:1",
            kind: "MembershipCredential",
            issuer: &self.did,
            holder,
            subject,
            contexts: &[],
            schema: Some("https://ministry.example/schema"),
            from: Timestamp::from_millis(NOW),
            until: Timestamp::from_millis(NOW + 1000 * 3600),
            list: LIST,
            place,
        };
        self.key.sign(&issue::claims(&new), issue::kind(profile), &self.kid).unwrap()
    }

    fn list(&self, profile: Profile, revoked: &[u32]) -> String {
        let new = NewList {
            profile,
            address: LIST,
            issuer: &self.did,
            revoked,
            from: Timestamp::from_millis(NOW),
            until: Timestamp::from_millis(NOW + 1000 * 3600),
            ttl_ms: 300_000,
        };
        self.key.sign(&list::claims(&new).unwrap(), issue::kind(profile), &self.kid).unwrap()
    }
}

#[test]
fn a_credential_made_here_is_accepted_by_the_verifier_here_and_says_what_was_attested() {
    let (issuer, holder) = (Issuer::new(), "did:web:holder.example".parse::<Did>().unwrap());
    let now = Timestamp::from_millis(NOW + 1000);
    for profile in [Profile::Vc11, Profile::Vc20] {
        // Whoever is named as id in the claims, the subject is the holder.
        let subject = json!({ "level": "full", "id": "did:web:other.example" });
        let jwt = issuer.issue(profile, &holder, subject.as_object().unwrap(), 77);
        let read = credential::verify(&jwt, &issuer.keys(), Some(&holder), now, 5).unwrap();
        assert_eq!(read.profile, profile);
        assert_eq!(read.issuer, issuer.did);
        assert_eq!(read.types, ["MembershipCredential"]);
        let subject = read.subjects.first().unwrap();
        assert_eq!(subject.get("id"), Some(&json!(holder)));
        assert_eq!(subject.get("level"), Some(&json!("full")));
        assert_eq!(read.valid_until, Some((NOW + 1000 * 3600) / 1000));
        assert_eq!(read.schemas, ["https://ministry.example/schema"]);
        let entry = read.status.first().unwrap();
        assert_eq!((entry.index, entry.list.as_str()), (77, LIST));
        let late = Timestamp::from_millis(NOW + 1000 * 3700);
        let error = credential::verify(&jwt, &issuer.keys(), Some(&holder), late, 5).unwrap_err();
        assert!(matches!(error, CredentialError::Expired { .. }), "{error}");
    }
}

#[test]
fn the_list_made_here_revokes_the_places_named_and_no_other() {
    let (issuer, holder) = (Issuer::new(), "did:web:holder.example".parse::<Did>().unwrap());
    let now = Timestamp::from_millis(NOW + 1000);
    let revoked = [0, 9, 77, ENTRIES - 1];
    for profile in [Profile::Vc11, Profile::Vc20] {
        let list = issuer.list(profile, &revoked);
        for place in [0, 1, 8, 9, 10, 76, 77, 78, ENTRIES - 2, ENTRIES - 1] {
            let jwt = issuer.issue(profile, &holder, &Map::new(), place);
            let read = credential::verify(&jwt, &issuer.keys(), Some(&holder), now, 5).unwrap();
            let entry = read.status.first().unwrap();
            let outcome = status::check(entry, &issuer.did, &list, &issuer.keys(), now, 5);
            assert_eq!(outcome.is_err(), revoked.contains(&place), "{place}: {outcome:?}");
            assert!(outcome.is_ok() || matches!(outcome, Err(StatusError::Set { .. })));
        }
    }
}

#[test]
fn a_list_has_as_many_places_as_bitstring_status_list_1_0_asks_for_and_none_beyond() {
    // Bitstring Status List 1.0, section 6.1: at least 131,072 entries.
    let issuer = Issuer::new();
    let new = NewList {
        profile: Profile::Vc20,
        address: LIST,
        issuer: &issuer.did,
        revoked: &[],
        from: Timestamp::from_millis(NOW),
        until: Timestamp::from_millis(NOW + 1),
        ttl_ms: 1,
    };
    let claims = list::claims(&new).unwrap();
    let encoded = claims["credentialSubject"]["encodedList"].as_str().unwrap();
    assert_eq!(status::expand(encoded).unwrap().len() * 8, 131_072);
    assert!(encoded.starts_with('u'), "multibase base64url");
    let beyond = NewList { revoked: &[ENTRIES], ..new };
    assert_eq!(list::claims(&beyond), Err(NoSuchPlace(ENTRIES)));
}
