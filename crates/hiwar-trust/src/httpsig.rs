//! Signatures over HTTP messages, so that a proxy in between can neither change nor redirect them.
//!
//! Sources: RFC 9421, *HTTP Message Signatures*, and RFC 9530, *Digest Fields*. Of both this is one
//! fixed profile, because a choice that a message can make is a choice that an attacker can make:
//!
//! * the label is `hiwar`, the algorithm Ed25519, the digest SHA-256 over the body as sent;
//! * a request covers [`REQUEST_COMPONENTS`], a response [`RESPONSE_COMPONENTS`], in that order;
//! * the parameters are `created`, `keyid` (a [`KeyId`]) and `alg`, in that order.
//!
//! A response covers its request's signature, and with it everything the request covers, so that
//! it cannot be passed off as the answer to another request. The authority (host name) is left out
//! because proxies rewrite it; `hiwar-destination` names the recipient instead.
//!
//! Messages come in as plain strings. A header that occurs more than once must be refused before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::hash::Hash;
use crate::key::{KeyError, KeyHolder, KeyId, PublicKey, Signature};
use crate::time::Timestamp;

/// The name under which the signature stands in its header fields.
pub const LABEL: &str = "hiwar";

/// What a request's signature covers, as it stands in `Signature-Input`.
pub const REQUEST_COMPONENTS: [&str; 7] = [
    "\"@method\"",
    "\"@path\"",
    "\"@query\"",
    "\"content-digest\"",
    "\"hiwar-destination\"",
    "\"hiwar-session\"",
    "\"hiwar-sequence\"",
];

/// What a response's signature covers, as it stands in `Signature-Input`.
pub const RESPONSE_COMPONENTS: [&str; 3] =
    ["\"@status\"", "\"content-digest\"", "\"signature\";req;key=\"hiwar\""];

/// The longest `Signature-Input` or `Signature` header accepted, in bytes; ours take up to 260.
pub const HEADER_BYTES_MAX: usize = 512;

/// The longest component value accepted, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// The parts of a request that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestParts<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// The path and, after a question mark, the query, exactly as in the request line.
    pub path_and_query: &'a str,
    /// The `Content-Digest` header; make it with [`content_digest`].
    pub content_digest: &'a str,
    /// The `Hiwar-Destination` header: the recipient's identifier.
    pub destination: &'a str,
    /// The `Hiwar-Session` header.
    pub session: &'a str,
    /// The `Hiwar-Sequence` header.
    pub sequence: &'a str,
}

/// The parts of a response that are signed, together with its request's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseParts<'a> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The `Content-Digest` header; make it with [`content_digest`].
    pub content_digest: &'a str,
    /// The signature of the request that is answered.
    pub request_signature: &'a Signature,
}

/// The two header values that carry a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// The value of `Signature-Input`.
    pub signature_input: String,
    /// The value of `Signature`.
    pub signature: String,
}

/// A signature as read from its headers, not verified yet: look up the key it names, then verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSignature {
    /// When it was made, by the signer's clock, in seconds since the Unix epoch.
    pub created_s: i64,
    /// The key it claims to be made with.
    pub key: KeyId,
    /// The signature itself.
    pub signature: Signature,
}

/// A signature base (RFC 9421 section 2.5): the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureBase {
    /// The text whose bytes are signed.
    pub text: String,
    /// What stands behind `label=` in `Signature-Input`: the covered components and parameters.
    pub signature_params: String,
}

/// Why a message was not signed, or a signature not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpSigError {
    /// A part of the message cannot be signed.
    #[error("the component {component} cannot be signed: {reason}")]
    BadComponent {
        /// The component's identifier.
        component: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A signature header is too long.
    #[error(
        "the {header} header has {bytes} bytes, more than the {HEADER_BYTES_MAX} a hiwar signature takes"
    )]
    HeaderTooLong {
        /// The header's name.
        header: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A signature header does not have the form of this profile.
    #[error(
        "the {header} header leaves this profile at byte {offset}: expected {expected}; send one signature labelled \
         hiwar, with exactly the covered components and parameters of the protocol, in their order"
    )]
    BadHeader {
        /// The header's name.
        header: &'static str,
        /// Where the expected text should begin, counted in bytes from 0.
        offset: usize,
        /// What should stand there.
        expected: String,
    },
    /// The Content-Digest header is not the SHA-256 of the body.
    #[error(
        "the Content-Digest header is {found:?}, but this body's is {expected:?}; compute it over the exact bytes of the \
         body, after any compression, and send no other digest"
    )]
    WrongContentDigest {
        /// The value for the body that came.
        expected: String,
        /// The value of the header, cut to 120 characters.
        found: String,
    },
    /// The signature names another key than the one it was checked with.
    #[error(
        "the signature names key {named}, but was checked with key {given}; look up the key that it names"
    )]
    OtherKey {
        /// The key that the signature names.
        named: KeyId,
        /// The key it was checked with.
        given: KeyId,
    },
    /// The signature is too old or from the future.
    #[error(
        "the signature was made {age_s} s before now by this node's clock, outside the {window_s} s allowed; check the \
         clocks of both nodes, and sign anew instead of sending an old request again"
    )]
    NotFresh {
        /// Its age in seconds; negative when it comes from the future.
        age_s: i64,
        /// The largest difference allowed, in seconds.
        window_s: i64,
    },
    /// The key holder could not sign.
    #[error("the message was not signed: {0}")]
    NotSigned(#[source] KeyError),
    /// The signature does not verify.
    #[error("{0}; the message must arrive exactly as it was signed, so look for a proxy that rewrites it")]
    NotVerified(#[source] KeyError),
}

/// The value of `Content-Digest` (RFC 9530 section 2) for a body with the SHA-256 digest `body`.
pub fn content_digest(body: &Hash) -> String {
    format!("sha-256=:{}:", BASE64.encode(body.as_bytes()))
}

/// Checks that a `Content-Digest` header is the one SHA-256 digest of the body that came.
///
/// # Errors
/// [`HttpSigError::WrongContentDigest`].
pub fn check_content_digest(header: &str, body: &Hash) -> Result<(), HttpSigError> {
    let expected = content_digest(body);
    if header == expected {
        return Ok(());
    }
    Err(HttpSigError::WrongContentDigest { expected, found: header.chars().take(120).collect() })
}

/// Builds a signature base for any components: pairs of a component's identifier with its
/// parameters as in RFC 9421 section 2.5, such as `"@method"` in quotation marks, and its value.
/// `parameters` is what follows the list of components, beginning with a semicolon.
///
/// # Errors
/// [`HttpSigError::BadComponent`] for a component given twice, and for a value that could be read
/// as more than one line or that an HTTP header could not carry as it is.
pub fn signature_base<'a>(
    components: impl IntoIterator<Item = (&'a str, &'a str)>,
    parameters: &str,
) -> Result<SignatureBase, HttpSigError> {
    let mut text = String::with_capacity(640);
    let mut identifiers: Vec<&str> = Vec::with_capacity(8);
    for (component, value) in components {
        let fail = |reason| HttpSigError::BadComponent { component: component.to_owned(), reason };
        check_value(value).map_err(fail)?;
        if !component.starts_with('"') || check_value(component).is_err() {
            return Err(fail("its identifier is not a quoted name with parameters"));
        }
        if identifiers.contains(&component) {
            return Err(fail("it is listed twice"));
        }
        identifiers.push(component);
        text.extend([component, ": ", value, "\n"]);
    }
    let signature_params = format!("({}){parameters}", identifiers.join(" "));
    text.extend(["\"@signature-params\": ", &signature_params]);
    Ok(SignatureBase { text, signature_params })
}

/// Visible ASCII and inner spaces only: no line can be added, and no proxy has a reason to trim.
fn check_value(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("it is empty");
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err("it is longer than 8192 bytes");
    }
    if !value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err("it has a character that is not visible ASCII");
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err("it starts or ends with a space");
    }
    Ok(())
}

/// The signature base of a request, with `created_s` and `key` as its parameters.
///
/// # Errors
/// [`HttpSigError::BadComponent`] for a part that cannot be signed.
pub fn request_base(
    parts: &RequestParts<'_>,
    created_s: i64,
    key: KeyId,
) -> Result<SignatureBase, HttpSigError> {
    let (path, query) = match parts.path_and_query.find('?') {
        Some(mark) => parts.path_and_query.split_at(mark),
        // RFC 9421 section 2.2.7: an absent query is the lone question mark.
        None => (parts.path_and_query, "?"),
    };
    if !path.starts_with('/') || parts.path_and_query.contains([' ', '#']) {
        return Err(HttpSigError::BadComponent {
            component: "\"@path\"".to_owned(),
            reason: "a path starts with a slash and has neither spaces nor a fragment",
        });
    }
    let values =
        [parts.method, path, query, parts.content_digest, parts.destination, parts.session, parts.sequence];
    signature_base(REQUEST_COMPONENTS.into_iter().zip(values), &parameters(created_s, key))
}

/// The signature base of a response, with `created_s` and `key` as its parameters.
///
/// # Errors
/// [`HttpSigError::BadComponent`] for a part that cannot be signed.
pub fn response_base(
    parts: &ResponseParts<'_>,
    created_s: i64,
    key: KeyId,
) -> Result<SignatureBase, HttpSigError> {
    if !(100..=999).contains(&parts.status) {
        return Err(HttpSigError::BadComponent {
            component: "\"@status\"".to_owned(),
            reason: "a status code has three digits",
        });
    }
    let status = parts.status.to_string();
    let request_signature = format!(":{}:", parts.request_signature);
    let values = [status.as_str(), parts.content_digest, &request_signature];
    signature_base(RESPONSE_COMPONENTS.into_iter().zip(values), &parameters(created_s, key))
}

fn parameters(created_s: i64, key: KeyId) -> String {
    format!(";created={created_s};keyid=\"{key}\";alg=\"ed25519\"")
}

/// Signs a request at the time `now`.
///
/// # Errors
/// [`HttpSigError::BadComponent`] for a part that cannot be signed, [`HttpSigError::NotSigned`] when
/// the key holder fails.
pub fn sign_request(
    parts: &RequestParts<'_>,
    now: Timestamp,
    key: &dyn KeyHolder,
) -> Result<SignatureHeaders, HttpSigError> {
    sign(&request_base(parts, now.as_seconds(), key.public_key().id())?, key)
}

/// Signs a response at the time `now`.
///
/// # Errors
/// As for [`sign_request`].
pub fn sign_response(
    parts: &ResponseParts<'_>,
    now: Timestamp,
    key: &dyn KeyHolder,
) -> Result<SignatureHeaders, HttpSigError> {
    sign(&response_base(parts, now.as_seconds(), key.public_key().id())?, key)
}

fn sign(base: &SignatureBase, key: &dyn KeyHolder) -> Result<SignatureHeaders, HttpSigError> {
    let signature = key.sign(base.text.as_bytes()).map_err(HttpSigError::NotSigned)?;
    Ok(SignatureHeaders {
        signature_input: format!("{LABEL}={}", base.signature_params),
        signature: format!("{LABEL}=:{signature}:"),
    })
}

/// Verifies a request whose body has the SHA-256 digest `body`: the signature over its parts under
/// `key`, and the digest over its body. Its age is a separate question: [`ReceivedSignature::check_age`].
///
/// # Errors
/// [`HttpSigError::OtherKey`], [`HttpSigError::NotVerified`], [`HttpSigError::WrongContentDigest`],
/// or [`HttpSigError::BadComponent`] for a part that cannot have been signed.
pub fn verify_request(
    parts: &RequestParts<'_>,
    body: &Hash,
    received: &ReceivedSignature,
    key: &PublicKey,
) -> Result<(), HttpSigError> {
    verify(&request_base(parts, received.created_s, received.key)?, received, key)?;
    check_content_digest(parts.content_digest, body)
}

/// Verifies a response, as [`verify_request`] does a request.
///
/// # Errors
/// As for [`verify_request`].
pub fn verify_response(
    parts: &ResponseParts<'_>,
    body: &Hash,
    received: &ReceivedSignature,
    key: &PublicKey,
) -> Result<(), HttpSigError> {
    verify(&response_base(parts, received.created_s, received.key)?, received, key)?;
    check_content_digest(parts.content_digest, body)
}

fn verify(base: &SignatureBase, received: &ReceivedSignature, key: &PublicKey) -> Result<(), HttpSigError> {
    let given = key.id();
    if received.key != given {
        return Err(HttpSigError::OtherKey { named: received.key, given });
    }
    key.verify(base.text.as_bytes(), &received.signature).map_err(HttpSigError::NotVerified)
}

impl ReceivedSignature {
    /// Reads the `Signature-Input` and `Signature` headers of a request.
    ///
    /// # Errors
    /// [`HttpSigError::HeaderTooLong`] or [`HttpSigError::BadHeader`].
    pub fn of_request(signature_input: &str, signature: &str) -> Result<Self, HttpSigError> {
        Self::read(signature_input, signature, &REQUEST_COMPONENTS)
    }

    /// Reads the `Signature-Input` and `Signature` headers of a response.
    ///
    /// # Errors
    /// [`HttpSigError::HeaderTooLong`] or [`HttpSigError::BadHeader`].
    pub fn of_response(signature_input: &str, signature: &str) -> Result<Self, HttpSigError> {
        Self::read(signature_input, signature, &RESPONSE_COMPONENTS)
    }

    /// Checks that the signature was made at most `window_s` seconds before or after `now`.
    ///
    /// # Errors
    /// [`HttpSigError::NotFresh`].
    pub fn check_age(&self, now: Timestamp, window_s: i64) -> Result<(), HttpSigError> {
        let age_s = now.as_seconds().saturating_sub(self.created_s);
        if age_s.saturating_abs() <= window_s {
            Ok(())
        } else {
            Err(HttpSigError::NotFresh { age_s, window_s })
        }
    }

    fn read(signature_input: &str, signature: &str, components: &[&str]) -> Result<Self, HttpSigError> {
        let mut input = Reader::new("Signature-Input", signature_input)?;
        input.literal(LABEL)?;
        input.literal("=(")?;
        for (index, component) in components.iter().enumerate() {
            input.literal(if index == 0 { "" } else { " " })?;
            input.literal(component)?;
        }
        input.literal(");created=")?;
        let created_s = input.until(';', "the time in whole seconds since 1970", parse_seconds)?;
        input.literal(";keyid=\"")?;
        let key = input.until('"', "the key's 64 hexadecimal digits", |text| text.parse().ok().map(KeyId))?;
        input.literal("\";alg=\"ed25519\"")?;
        input.end()?;

        let mut value = Reader::new("Signature", signature)?;
        value.literal(LABEL)?;
        value.literal("=:")?;
        let signature = value.until(':', "the base64 of 64 bytes", |text| text.parse().ok())?;
        value.literal(":")?;
        value.end()?;
        Ok(Self { created_s, key, signature })
    }
}

/// A time as `Display` writes it and a [`Timestamp`] can hold it: no sign, no leading zero.
fn parse_seconds(text: &str) -> Option<i64> {
    let seconds: i64 = text.parse().ok()?;
    let in_range = (0..=Timestamp::MAX.as_seconds()).contains(&seconds);
    (in_range && seconds.to_string() == text).then_some(seconds)
}

/// Reads a header from left to right and remembers where it is.
struct Reader<'a> {
    header: &'static str,
    rest: &'a str,
    offset: usize,
}

impl<'a> Reader<'a> {
    fn new(header: &'static str, text: &'a str) -> Result<Self, HttpSigError> {
        if text.len() > HEADER_BYTES_MAX {
            return Err(HttpSigError::HeaderTooLong { header, bytes: text.len() });
        }
        Ok(Self { header, rest: text, offset: 0 })
    }

    fn fail(&self, expected: &str) -> HttpSigError {
        HttpSigError::BadHeader { header: self.header, offset: self.offset, expected: expected.to_owned() }
    }

    fn literal(&mut self, expected: &str) -> Result<(), HttpSigError> {
        self.rest = self.rest.strip_prefix(expected).ok_or_else(|| self.fail(expected))?;
        self.offset += expected.len();
        Ok(())
    }

    /// Reads what stands before `stop`, which is left for the next step.
    fn until<T>(
        &mut self,
        stop: char,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, HttpSigError> {
        let (text, _) = self.rest.split_once(stop).ok_or_else(|| self.fail(expected))?;
        let value = parse(text).ok_or_else(|| self.fail(expected))?;
        self.literal(text)?;
        Ok(value)
    }

    fn end(&self) -> Result<(), HttpSigError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fail("the end of the header")) }
    }
}

#[cfg(test)]
mod tests;
