use proptest::prelude::*;

use super::*;
use crate::key::SoftwareKey;
use crate::keyfile;

const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
/// Source: RFC 9530 appendix B.1, the digest of the body above.
const BODY_DIGEST: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
const NOW: i64 = 1_618_884_473_999;

fn key() -> SoftwareKey {
    SoftwareKey::from_seed(&[1; 32])
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}

fn request() -> RequestParts<'static> {
    RequestParts {
        method: "POST",
        path_and_query: "/inbox?wait=5",
        content_digest: BODY_DIGEST,
        destination: "did:web:beta.example",
        session: "7f4c5e0a",
        sequence: "41",
    }
}

fn signed() -> (SignatureHeaders, ReceivedSignature) {
    let headers = sign_request(&request(), now(), &key()).expect("the request is signed");
    let received = ReceivedSignature::of_request(&headers.signature_input, &headers.signature)
        .expect("our own headers are read");
    (headers, received)
}

/// Source: RFC 9421 appendix B.2.6 with key test-key-ed25519 of appendix B.1.4.
#[test]
fn the_base_and_the_signature_equal_rfc_9421_appendix_b_2_6() {
    let key = keyfile::decode(
        "-----BEGIN PRIVATE KEY-----\n\
         MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n\
         -----END PRIVATE KEY-----\n",
        None,
    )
    .expect("the RFC's key is read");
    let base = signature_base(
        [
            ("\"date\"", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("\"@method\"", "POST"),
            ("\"@path\"", "/foo"),
            ("\"@authority\"", "example.com"),
            ("\"content-type\"", "application/json"),
            ("\"content-length\"", "18"),
        ],
        ";created=1618884473;keyid=\"test-key-ed25519\"",
    )
    .expect("the RFC's components can be signed");
    assert_eq!(
        base.signature_params,
        "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
         ;created=1618884473;keyid=\"test-key-ed25519\""
    );
    assert_eq!(
        base.text,
        format!(
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
             \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\
             \"@signature-params\": {}",
            base.signature_params
        )
    );
    let signature = key.sign(base.text.as_bytes()).expect("a software key signs");
    assert_eq!(
        signature.to_string(),
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    );
}

/// Source: RFC 9530 appendix B.1 (whole), B.2 (empty) and B.3 (bytes 10 to 18).
#[test]
fn content_digests_equal_rfc_9530_appendix_b() {
    for (body, digest) in [
        (BODY, BODY_DIGEST),
        (b"", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
        (b"\"world\"}\n", "sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:"),
    ] {
        let hash = Hash::of(body);
        assert_eq!(content_digest(&hash), digest);
        assert_eq!(check_content_digest(digest, &hash), Ok(()));
        for other in [format!("{digest}, {digest}"), format!(" {digest}"), digest.replace("256", "512")] {
            assert!(check_content_digest(&other, &hash).is_err(), "{other}");
        }
    }
}

#[test]
fn a_request_covers_its_fixed_components_in_their_order() {
    let id = key().public_key().id();
    let base = request_base(&request(), 1_618_884_473, id).expect("the request can be signed");
    assert_eq!(
        base.text,
        format!(
            "\"@method\": POST\n\"@path\": /inbox\n\"@query\": ?wait=5\n\"content-digest\": {BODY_DIGEST}\n\
             \"hiwar-destination\": did:web:beta.example\n\"hiwar-session\": 7f4c5e0a\n\"hiwar-sequence\": 41\n\
             \"@signature-params\": (\"@method\" \"@path\" \"@query\" \"content-digest\" \"hiwar-destination\" \
             \"hiwar-session\" \"hiwar-sequence\");created=1618884473;keyid=\"{id}\";alg=\"ed25519\""
        )
    );
    let without_query = RequestParts { path_and_query: "/inbox", ..request() };
    let base = request_base(&without_query, 0, id).expect("the request can be signed");
    assert!(base.text.contains("\"@path\": /inbox\n\"@query\": ?\n"), "{}", base.text);
}

#[test]
fn a_signed_request_verifies_and_no_part_of_it_can_be_changed() {
    let (_, received) = signed();
    let (body, public) = (Hash::of(BODY), key().public_key().clone());
    assert_eq!(received.created_s, 1_618_884_473);
    assert_eq!(verify_request(&request(), &body, &received, &public), Ok(()));

    let other_digest = content_digest(&Hash::of(b""));
    for changed in [
        RequestParts { method: "PUT", ..request() },
        RequestParts { path_and_query: "/inbox", ..request() },
        RequestParts { path_and_query: "/inbox?wait=50", ..request() },
        RequestParts { path_and_query: "/inboxes?wait=5", ..request() },
        RequestParts { content_digest: &other_digest, ..request() },
        RequestParts { destination: "did:web:gamma.example", ..request() },
        RequestParts { session: "7f4c5e0b", ..request() },
        RequestParts { sequence: "42", ..request() },
    ] {
        let refused = verify_request(&changed, &body, &received, &public);
        assert!(
            matches!(refused, Err(HttpSigError::NotVerified(KeyError::WrongSignature { .. }))),
            "{changed:?}: {refused:?}"
        );
    }
    let later = ReceivedSignature { created_s: received.created_s + 1, ..received.clone() };
    assert!(verify_request(&request(), &body, &later, &public).is_err());
    assert!(matches!(
        verify_request(&request(), &Hash::of(b"another body"), &received, &public),
        Err(HttpSigError::WrongContentDigest { .. })
    ));
    let stranger = SoftwareKey::from_seed(&[2; 32]);
    assert!(matches!(
        verify_request(&request(), &body, &received, stranger.public_key()),
        Err(HttpSigError::OtherKey { .. })
    ));
}

#[test]
fn a_response_is_bound_to_the_request_it_answers() {
    let (headers, received) = signed();
    let body = Hash::of(BODY);
    let parts =
        ResponseParts { status: 202, content_digest: BODY_DIGEST, request_signature: &received.signature };
    let server = SoftwareKey::from_seed(&[3; 32]);
    let id = server.public_key().id();
    // RFC 9421 section 2.4: the value of the request's dictionary member, as a byte sequence.
    let member = headers.signature.strip_prefix("hiwar=").expect("the label is hiwar");
    assert_eq!(
        response_base(&parts, 7, id).map(|base| base.text),
        Ok(format!(
            "\"@status\": 202\n\"content-digest\": {BODY_DIGEST}\n\"signature\";req;key=\"hiwar\": {member}\n\
             \"@signature-params\": (\"@status\" \"content-digest\" \"signature\";req;key=\"hiwar\")\
             ;created=7;keyid=\"{id}\";alg=\"ed25519\""
        ))
    );

    let answer = sign_response(&parts, now(), &server).expect("the response is signed");
    let answered = ReceivedSignature::of_response(&answer.signature_input, &answer.signature)
        .expect("our own headers are read");
    assert_eq!(verify_response(&parts, &body, &answered, server.public_key()), Ok(()));
    for changed in [
        ResponseParts { status: 200, ..parts },
        ResponseParts { content_digest: "sha-256=::", ..parts },
        ResponseParts { request_signature: &answered.signature, ..parts },
    ] {
        assert!(verify_response(&changed, &body, &answered, server.public_key()).is_err(), "{changed:?}");
    }
    let as_request = ReceivedSignature::of_request(&answer.signature_input, &answer.signature);
    assert!(matches!(as_request, Err(HttpSigError::BadHeader { offset: 7, .. })), "{as_request:?}");
}

#[test]
fn headers_outside_the_profile_are_refused_where_they_leave_it() {
    let (headers, _) = signed();
    let input = headers.signature_input;
    let created = input.find("1618884473").expect("the time is there");
    let keyid = input.find("keyid").expect("the key is there") + 7;
    for (changed, offset) in [
        (input.replace("hiwar=", "sig1="), 0),
        (input.replace("\"@method\" ", ""), 7),
        (input.replace("\"@path\" \"@query\"", "\"@query\" \"@path\""), 17),
        (input.replace(" \"@path\"", "  \"@path\""), 17),
        (input.replace("=16", "=016"), created),
        (input.replace("=16", "=-16"), created),
        (input.replace("=16", "=+16"), created),
        (input.replace("=1618884473", "=9223372036854775808"), created),
        (input.replace("=1618884473", "=253370764800"), created),
        (input.replace("=1618884473", "="), created),
        (input.replace("keyid=\"", "keyid=\"0"), keyid),
        (input.replace(";created=1618884473", ""), created - 10),
        (input.replace("ed25519", "hmac-sha256"), input.len() - 8 - 7),
        (format!("{input};expires=1"), input.len()),
        (format!("{input}, {input}"), input.len()),
        (format!("{input} "), input.len()),
        (String::new(), 0),
    ] {
        let refused = ReceivedSignature::of_request(&changed, &headers.signature);
        assert!(
            matches!(refused, Err(HttpSigError::BadHeader { header: "Signature-Input", offset: found, .. })
                if found == offset),
            "{changed}: {refused:?}"
        );
    }
    let value = headers.signature;
    for changed in [
        value.replace("hiwar=", "other="),
        value.replace("=:", "="),
        value.replace("==:", ":"),
        format!("{value};a=1"),
        "hiwar=:AAAA:".to_owned(),
        String::new(),
    ] {
        let refused = ReceivedSignature::of_request(&input, &changed);
        assert!(
            matches!(refused, Err(HttpSigError::BadHeader { header: "Signature", .. })),
            "{changed}: {refused:?}"
        );
    }
    let long = "h".repeat(HEADER_BYTES_MAX + 1);
    assert_eq!(
        ReceivedSignature::of_request(&input, &long),
        Err(HttpSigError::HeaderTooLong { header: "Signature", bytes: HEADER_BYTES_MAX + 1 })
    );
}

#[test]
fn values_that_could_forge_a_line_are_never_signed() {
    let long = "a".repeat(VALUE_BYTES_MAX + 1);
    for session in ["", " a", "a ", "a\n\"hiwar-sequence\": 1", "a\r", "a\0", "\u{e9}", "\t", &long] {
        let refused = sign_request(&RequestParts { session, ..request() }, now(), &key());
        assert!(matches!(refused, Err(HttpSigError::BadComponent { .. })), "{session:?}: {refused:?}");
    }
    for path_and_query in ["", "?a", "inbox", "/a#b", "/a b", "http://beta.example/", "*"] {
        let refused = sign_request(&RequestParts { path_and_query, ..request() }, now(), &key());
        assert!(matches!(refused, Err(HttpSigError::BadComponent { .. })), "{path_and_query}: {refused:?}");
    }
    for components in [[("\"a\"", "1"), ("\"a\"", "2")], [("a", "1"), ("\"b\"", "2")]] {
        assert!(signature_base(components, "").is_err(), "{components:?}");
    }
}

#[test]
fn a_signature_is_fresh_within_the_window_on_both_sides() {
    let (_, received) = signed();
    for (shift_ms, fresh) in
        [(0, true), (300_000, true), (301_000, false), (-300_000, true), (-301_000, false)]
    {
        let checked = received.check_age(now().plus_millis(shift_ms), 300);
        assert_eq!(checked.is_ok(), fresh, "{shift_ms}: {checked:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_headers_are_read_or_refused(input in ".{0,300}", signature in ".{0,120}") {
        let _ = ReceivedSignature::of_request(&input, &signature);
        let _ = ReceivedSignature::of_response(&input, &signature);
    }

    #[test]
    fn one_changed_byte_never_leads_to_an_accepted_request(at in 0_usize..400, byte in 0x20_u8..0x7f) {
        let (headers, original) = signed();
        let split = headers.signature_input.len();
        let mut both = (headers.signature_input + &headers.signature).into_bytes();
        let at = at % both.len();
        prop_assume!(both[at] != byte);
        both[at] = byte;
        let both = String::from_utf8(both).expect("it is ASCII");
        let (input, signature) = both.split_at(split);
        if let Ok(received) = ReceivedSignature::of_request(input, signature) {
            prop_assert_ne!(&received, &original);
            let public = key().public_key().clone();
            prop_assert!(verify_request(&request(), &Hash::of(BODY), &received, &public).is_err());
        }
    }
}
