use super::*;
use crate::jws::JwsKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hiwar_trust::key::SoftwareKey;
use ring::signature::KeyPair as _;
use serde_json::json;

const NOW: i64 = 1_800_000_000;

struct Party {
    did: Did,
    key: SoftwareKey,
}

impl Party {
    fn new(name: &str, seed: u8) -> Self {
        let did = format!("did:web:{name}.example").parse().expect("a DID");
        Self { did, key: SoftwareKey::from_seed(&[seed; 32]) }
    }

    fn kid(&self) -> String {
        format!("{}#key-1", self.did)
    }

    fn keys(&self) -> Vec<VerificationKey> {
        vec![VerificationKey { kid: self.kid(), key: JwsKey::Ed25519(self.key.public_key().clone()) }]
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.did, "sub": self.did, "aud": "did:web:bob.example", "jti": "t-1",
            "iat": NOW - 10, "exp": NOW + 290,
        })
    }

    fn signed(&self, claims: &Value) -> String {
        jws::sign(claims, "JWT", &self.kid(), &self.key).expect("a software key signs")
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1000)
}

fn judged(jwt: &str, keys: &[VerificationKey]) -> Result<Claims, TokenError> {
    verify(jwt, keys, "did:web:bob.example", now(), LEEWAY_SECONDS)
}

fn changed(change: impl FnOnce(&mut Value)) -> Result<Claims, TokenError> {
    let alice = Party::new("alice", 1);
    let mut claims = alice.claims();
    change(&mut claims);
    judged(&alice.signed(&claims), &alice.keys())
}

#[test]
fn a_token_is_read_back_as_it_was_made() {
    let alice = Party::new("alice", 1);
    let mut claims = Claims::new(&alice.did, "did:web:bob.example", "n-1".into(), now(), 300);
    claims.token = Some("access".into());
    let jwt = sign(&claims, &alice.kid(), &alice.key).expect("a software key signs");
    assert_eq!(peek_issuer(&jwt), Ok(alice.did.clone()));
    assert_eq!(judged(&jwt, &alice.keys()), Ok(claims));
}

#[test]
fn each_wrong_claim_has_its_own_refusal() {
    assert!(changed(|_| ()).is_ok());
    assert_eq!(
        changed(|c| c["exp"] = json!(NOW - LEEWAY_SECONDS)),
        Err(TokenError::Expired { exp: NOW - LEEWAY_SECONDS, now: NOW })
    );
    assert_eq!(
        changed(|c| c["iat"] = json!(NOW + 6)),
        Err(TokenError::IssuedInFuture { iat: NOW + 6, now: NOW })
    );
    assert_eq!(
        changed(|c| c["nbf"] = json!(NOW + 6)),
        Err(TokenError::NotYetValid { nbf: NOW + 6, now: NOW })
    );
    assert!(matches!(
        changed(|c| c["aud"] = json!("did:web:carol.example")),
        Err(TokenError::Audience { .. })
    ));
    assert!(matches!(
        changed(|c| c["aud"] = json!(["did:web:bob.example", "did:web:carol.example"])),
        Err(TokenError::Audience { .. })
    ));
    assert!(matches!(
        changed(|c| c["sub"] = json!("did:web:carol.example")),
        Err(TokenError::IssuerIsNotSubject { .. })
    ));
    assert_eq!(
        changed(|c| c["exp"] = json!(NOW + LIFETIME_SECONDS_MAX)),
        Err(TokenError::Lifetime { seconds: LIFETIME_SECONDS_MAX + 10 })
    );
    assert!(matches!(
        changed(|c| {
            c["iat"] = json!(NOW + 4);
            c["exp"] = json!(NOW + 3);
        }),
        Err(TokenError::EndsBeforeItBegins { .. })
    ));
    for claim in ["iss", "sub", "aud", "jti", "iat", "exp"] {
        let refused = changed(|c| drop(c.as_object_mut().map(|c| c.remove(claim))));
        assert!(matches!(refused, Err(TokenError::Claim { claim: named, .. }) if named == claim), "{claim}");
    }
    for (claim, value) in [
        ("exp", json!("soon")),
        ("iat", json!(-1)),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
        ("token", json!(1)),
    ] {
        let refused = changed(|c| c[claim] = value);
        assert!(matches!(refused, Err(TokenError::Claim { claim: named, .. }) if named == claim), "{claim}");
    }
}

#[test]
fn an_audience_may_be_a_list_of_one_and_a_time_a_fraction() {
    let read = changed(|c| {
        c["aud"] = json!(["did:web:bob.example"]);
        c["exp"] = json!(NOW as f64 + 20.5);
    });
    assert_eq!(read.map(|c| c.exp), Ok(NOW + 20));
}

#[test]
fn another_s_key_does_not_speak_for_the_issuer() {
    let (alice, mallory) = (Party::new("alice", 1), Party::new("mallory", 2));
    let forged = mallory.signed(&alice.claims());
    let both = [alice.keys(), mallory.keys()].concat();
    assert!(matches!(judged(&forged, &both), Err(TokenError::Jws(JwsError::UnknownKey { .. }))));
    // Under Alice's name for the key, but signed with another.
    let forged = jws::sign(&alice.claims(), "JWT", &alice.kid(), &mallory.key).expect("a software key signs");
    assert!(matches!(judged(&forged, &alice.keys()), Err(TokenError::Jws(JwsError::WrongSignature { .. }))));
}

#[test]
fn the_key_decides_the_algorithm() {
    let alice = Party::new("alice", 1);
    let jwt = alice.signed(&alice.claims());
    let (_, rest) = jwt.split_once('.').expect("three parts");
    let with = |header: Value| format!("{}.{rest}", BASE64URL.encode(header.to_string()));
    for algorithm in ["none", "HS256", "RS256", "ES384", ""] {
        let refused = judged(&with(json!({ "alg": algorithm, "kid": alice.kid() })), &alice.keys());
        assert!(matches!(refused, Err(TokenError::Jws(JwsError::Algorithm { .. }))), "{algorithm}");
    }
    let refused = judged(&with(json!({ "alg": "ES256", "kid": alice.kid() })), &alice.keys());
    assert!(matches!(refused, Err(TokenError::Jws(JwsError::OtherAlgorithm { .. }))));
    let refused = judged(&with(json!({ "alg": "EdDSA" })), &alice.keys());
    assert_eq!(refused, Err(TokenError::Jws(JwsError::NoKeyId)));
    let refused =
        judged(&with(json!({ "alg": "EdDSA", "kid": alice.kid(), "crit": ["exp"] })), &alice.keys());
    assert_eq!(refused, Err(TokenError::Jws(JwsError::Critical)));
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let alice = Party::new("alice", 1);
    let claims = alice.claims().to_string();
    let twice = format!("{{\"sub\":\"did:web:carol.example\",{}", claims.trim_start_matches('{'));
    let raw = serde_json::value::RawValue::from_string(twice).expect("JSON");
    let jwt = jws::sign(&raw, "JWT", &alice.kid(), &alice.key).expect("a software key signs");
    assert!(matches!(
        judged(&jwt, &alice.keys()),
        Err(TokenError::Jws(JwsError::Json { part: "payload", .. }))
    ));
}

#[test]
fn what_is_no_token_or_too_long_is_refused_before_it_is_read() {
    for text in ["", ".", "..", "a.b", "a.b.c", "!.!.!", "e30.e30.e30", "bnVsbA.e30.e30"] {
        assert!(matches!(judged(text, &[]), Err(TokenError::Jws(_))), "{text}");
    }
    let long = "x".repeat(TOKEN_BYTES_MAX + 1);
    assert!(matches!(judged(&long, &[]), Err(TokenError::Jws(JwsError::TooLong { .. }))));
}

/// Other participants sign with P-256; the key pair is made by another library than the verifier's
/// own signer.
#[test]
fn a_token_signed_with_p_256_is_verified_and_a_changed_one_is_not() {
    let random = ring::rand::SystemRandom::new();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = ring::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": BASE64URL.encode(x), "y": BASE64URL.encode(y) });
    let key = JwsKey::from_jwk(&jwk).expect("a P-256 key");
    assert_eq!(key.to_jwk(), jwk);
    let alice = Party::new("alice", 1);
    let keys = [VerificationKey { kid: alice.kid(), key }];
    let header = BASE64URL.encode(json!({ "alg": "ES256", "kid": alice.kid() }).to_string());
    let signed = format!("{header}.{}", BASE64URL.encode(alice.claims().to_string()));
    let signature = pair.sign(&random, signed.as_bytes()).expect("a signature");
    let jwt = format!("{signed}.{}", BASE64URL.encode(signature.as_ref()));
    assert!(judged(&jwt, &keys).is_ok());
    let mut other = signature.as_ref().to_vec();
    other[5] ^= 1;
    let jwt = format!("{signed}.{}", BASE64URL.encode(other));
    assert!(matches!(judged(&jwt, &keys), Err(TokenError::Jws(JwsError::WrongSignature { .. }))));
}

/// Source: RFC 8037, appendix A.2 (the key) and A.4 (the signature over its example payload).
#[test]
fn the_example_of_rfc_8037_is_reproduced() {
    let seed: [u8; 32] = BASE64URL
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .expect("base64url")
        .try_into()
        .expect("32 bytes");
    let key = SoftwareKey::from_seed(&seed);
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(JwsKey::Ed25519(key.public_key().clone()).to_jwk(), jwk);
    let signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").expect("signs");
    assert_eq!(
        BASE64URL.encode(signature.as_bytes()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_published_private_key_and_other_kinds_are_refused() {
    for (jwk, wanted) in [
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" }), "private"),
        (json!({ "kty": "RSA", "n": "AA", "e": "AQAB" }), "not accepted"),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" }), "member x"),
        (json!({ "kty": "EC", "crv": "P-256", "x": BASE64URL.encode([1; 32]) }), "member y"),
    ] {
        let error = JwsKey::from_jwk(&jwk).expect_err("refused").to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
