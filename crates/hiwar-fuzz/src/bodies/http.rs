//! Signatures over HTTP messages: the two header values, and the digest of a body.

use hiwar_node::api::Action;
use hiwar_node::json;
use hiwar_node::peer_client::SessionRequest;
use hiwar_node::peer_server::FetchRequest;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{
    HttpSigError, ReceivedSignature, RequestParts, ResponseParts, SignatureHeaders, check_content_digest,
    content_digest as digest_of, request_base, response_base, sign_request, sign_response, verify_request,
    verify_response,
};
use hiwar_trust::key::{KeyHolder as _, Signature, SoftwareKey};

use super::{answered, text};
use crate::{join, parts, sample};

const BODY: &[u8] = b"{\"hello\":\"world\"}";

fn request(digest: &str, path_and_query: &str, session: &str, check: impl FnOnce(&RequestParts<'_>)) {
    check(&RequestParts {
        method: "POST",
        path_and_query,
        content_digest: digest,
        destination: sample::PARTICIPANTS[1],
        session,
        sequence: "7",
    });
}

fn signer() -> &'static SoftwareKey {
    static KEY: std::sync::LazyLock<SoftwareKey> = std::sync::LazyLock::new(|| sample::node_key(0));
    &KEY
}

/// The headers that this signature would have; what is accepted has no other spelling.
fn expect_headers(
    input: &str,
    value: &str,
    received: &ReceivedSignature,
    params: Result<String, HttpSigError>,
) {
    assert_eq!(
        params.map(|params| format!("hiwar={params}")).as_deref(),
        Ok(input),
        "another spelling passes"
    );
    assert_eq!(format!("hiwar=:{}:", received.signature), value, "another spelling passes");
}

/// `Signature-Input`, `Signature`, path with query and session of a request.
pub fn httpsig_request(data: &[u8]) {
    let [input, value, path, session] = parts(data).map(text);
    let (Some(input), Some(value), Some(path), Some(session)) = (input, value, path, session) else { return };
    let digest = digest_of(&Hash::of(BODY));
    let received = ReceivedSignature::of_request(input, value);
    answered(&received);
    request(&digest, "/", "s", |parts| {
        if let Ok(received) = &received {
            let base = request_base(parts, received.created_s, received.key);
            expect_headers(input, value, received, base.map(|base| base.signature_params));
        }
    });
    request(&digest, path, session, |parts| {
        let Ok(signed) = signed_request(parts) else { return };
        let own = ReceivedSignature::of_request(&signed.signature_input, &signed.signature);
        let verify = |received| verify_request(parts, &Hash::of(BODY), received, signer().public_key());
        assert_eq!(own.as_ref().map(verify), Ok(Ok(())), "an own signature fails");
        if let Ok(received) = &received {
            let verified = verify(received);
            answered(&verified);
            assert!(verified.is_err() || own.as_ref() == Ok(received), "a forged request passes");
        }
    });
}

fn signed_request(parts: &RequestParts<'_>) -> Result<SignatureHeaders, HttpSigError> {
    sign_request(parts, sample::time(0), signer())
}

/// Valid headers.
pub fn httpsig_request_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for path in ["/hiwar/v1/batch", "/hiwar/v1/heads?since=17&x=%20", "/?"] {
        request(&digest_of(&Hash::of(BODY)), path, "0011aabb", |parts| {
            if let Ok(signed) = signed_request(parts) {
                let texts = [&signed.signature_input, &signed.signature, path, "0011aabb"];
                seeds.push(join(&texts.map(str::as_bytes)));
            }
        });
    }
    seeds
}

fn response<'a>(digest: &'a str, request_signature: &'a Signature) -> ResponseParts<'a> {
    ResponseParts { status: 200, content_digest: digest, request_signature }
}

/// `Signature-Input` and `Signature` of a response.
pub fn httpsig_response(data: &[u8]) {
    let [input, value] = parts(data).map(text);
    let (Some(input), Some(value)) = (input, value) else { return };
    let received = ReceivedSignature::of_response(input, value);
    answered(&received);
    let Ok(received) = received else { return };
    let digest = digest_of(&Hash::of(BODY));
    let asked = Signature::from_bytes([9; 64]);
    let parts = response(&digest, &asked);
    let base = response_base(&parts, received.created_s, received.key);
    expect_headers(input, value, &received, base.map(|base| base.signature_params));
    let verified = verify_response(&parts, &Hash::of(BODY), &received, signer().public_key());
    answered(&verified);
    let genuine = sign_response(&parts, sample::time(0), signer());
    let genuine = genuine.and_then(|g| ReceivedSignature::of_response(&g.signature_input, &g.signature));
    assert!(verified.is_err() || genuine.as_ref() == Ok(&received), "a forged response passes");
    answered(&received.check_age(sample::time(1), 300));
}

/// Valid headers.
pub fn httpsig_response_seeds() -> Vec<Vec<u8>> {
    let digest = digest_of(&Hash::of(BODY));
    let signed =
        sign_response(&response(&digest, &Signature::from_bytes([9; 64])), sample::time(0), signer());
    signed.map(|s| join(&[s.signature_input.as_bytes(), s.signature.as_bytes()])).into_iter().collect()
}

/// A `Content-Digest` header, and the body it came with.
pub fn content_digest(data: &[u8]) {
    let [header, body] = parts(data);
    let Some(header) = text(header) else { return };
    let body = Hash::of(body);
    let checked = check_content_digest(header, &body);
    answered(&checked);
    assert_eq!(checked.is_ok(), header == digest_of(&body));
}

/// A valid header.
pub fn content_digest_seeds() -> Vec<Vec<u8>> {
    vec![join(&[digest_of(&Hash::of(BODY)).as_bytes(), BODY])]
}

/// What was read of a body is written, and read again the same.
fn body<T: serde::de::DeserializeOwned + serde::Serialize>(data: &[u8]) {
    let read = json::parse::<T>(data);
    answered(&read);
    let Ok(read) = read else { return };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    let again = serde_json::from_slice::<T>(&written).and_then(|again| serde_json::to_vec(&again));
    assert_eq!(again.ok(), Some(written), "written and read differently");
}

/// A request for a session.
pub fn session_request(data: &[u8]) {
    body::<SessionRequest>(data);
}

/// Valid inputs of [`session_request`].
pub fn session_request_seeds() -> Vec<Vec<u8>> {
    let cards = sample::identity(0).cards().to_vec();
    let with = serde_json::to_vec(&SessionRequest { cards, knows_card: Some(1) });
    let without = serde_json::to_vec(&SessionRequest { cards: Vec::new(), knows_card: None });
    [with, without].into_iter().filter_map(Result::ok).collect()
}

/// A fetch, with or without the reply to the batch before.
pub fn fetch_request(data: &[u8]) {
    body::<FetchRequest>(data);
}

/// Valid inputs of [`fetch_request`].
pub fn fetch_request_seeds() -> Vec<Vec<u8>> {
    vec![
        br#"{"wait_ms":25000}"#.to_vec(),
        br#"{"wait_ms":0,"token":"17","reply":{"protocol":"hiwar/1","time":"2019-07-01T01:00:00.000Z"},"giving":true}"#
            .to_vec(),
    ]
}

/// What a desk wants done, as the local API takes it.
pub fn api_action(data: &[u8]) {
    body::<Action>(data);
}

/// Valid inputs of [`api_action`].
pub fn api_action_seeds() -> Vec<Vec<u8>> {
    let of = "aed3f2a8ba140fb21a7cb00d5908d3e65f21732cbf807a646481b79fc4a4a2d7";
    vec![
        br#"{"desk":"trade","action":"open","title":{"en":"Hydrogen fluoride"},"with":["did:web:meti.example"],"arrangement":"None","cap":"TLP:AMBER"}"#.to_vec(),
        format!(r#"{{"action":"say","dialogue":"{of}","marking":"TLP:GREEN","texts":{{"en":"x","ko":"y"}},"prevailing":"en","attachments":[{{"name":"a.csv","media_type":"text/csv","size":3,"sha256":"{of}"}}]}}"#).into_bytes(),
        format!(r#"{{"action":"correct","of":"{of}","texts":{{"en":"x"}}}}"#).into_bytes(),
        format!(r#"{{"action":"assent","of":"{of}"}}"#).into_bytes(),
    ]
}
