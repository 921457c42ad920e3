//! Signature Version 4 of requests, in their headers.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS
//! Signature Version 4)". The signature is in headers and not in the address, for addresses are kept in
//! logs, and a session token can be longer than an address may be.

use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use ring::hmac;
use zeroize::Zeroizing;

/// The SHA-256 of no bytes: what a request without a body says of it.
pub(super) const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Credentials. Neither shown nor kept longer than a request.
pub(super) struct Keys {
    /// The access key's identifier.
    pub(super) access: String,
    /// The secret key.
    pub(super) secret: Zeroizing<String>,
    /// The token of a session, when the keys are lent for one.
    pub(super) session: Option<Zeroizing<String>>,
}

/// What is signed of a request.
pub(super) struct Unsigned<'a> {
    /// `GET`, `HEAD` or `PUT`.
    pub(super) method: &'a str,
    /// Its path, percent-encoded.
    pub(super) path: &'a str,
    /// Its query as [`query`] writes it.
    pub(super) query: &'a str,
    /// Its headers with names in lower case, in the order of the names; `host` and `x-amz-date` are among
    /// them.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, in hexadecimal digits.
    pub(super) body: &'a str,
}

/// A time as the protocol writes it, `20130524T000000Z`.
pub(super) fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of `Authorization`. `date` is that of `x-amz-date`.
pub(super) fn authorization(request: &Unsigned<'_>, keys: &Keys, region: &str, date: &str) -> String {
    let day = date.split('T').next().unwrap_or_default();
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: String =
        request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let Unsigned { method, path, query, body, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let canonical = hex::encode(Hash::of(canonical.as_bytes()).as_bytes());
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{canonical}");
    let first = Zeroizing::new(format!("AWS4{}", keys.secret.as_str()));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
    for part in [day, region, "s3", "aws4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
    format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", keys.access)
}

/// Percent-encodes every byte but the unreserved ones, and `/` unless it is kept.
pub(super) fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if keep_slash => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A query as it is sent and signed: encoded, in the order of its names.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| (encode(name, false), encode(value, false))).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the examples.
    fn keys() -> Keys {
        Keys {
            access: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
            session: None,
        }
    }

    fn signature(method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &str) -> String {
        let signed = authorization(
            &Unsigned { method, path, query, headers, body },
            &keys(),
            "us-east-1",
            "20130524T000000Z",
        );
        signed.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

    /// The four examples of "Signature Calculations for the Authorization Header: Transferring Payload in a
    /// Single Chunk", Amazon S3 API Reference.
    #[test]
    fn requests_are_signed_as_in_the_published_examples() {
        let nothing = ("x-amz-content-sha256", NO_BODY);
        assert_eq!(
            signature("GET", "/test.txt", "", &[HOST, ("range", "bytes=0-9"), nothing, DATE], NO_BODY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let welcome = hex::encode(Hash::of(b"Welcome to Amazon S3.").as_bytes());
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            HOST,
            ("x-amz-content-sha256", welcome.as_str()),
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signature("PUT", &encode("/test$file.text", true), "", &put, &welcome),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature("GET", "/", &query(&[("lifecycle", "")]), &[HOST, nothing, DATE], NO_BODY),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        let list = query(&[("prefix", "J"), ("max-keys", "2")]);
        assert_eq!(
            signature("GET", "/", &list, &[HOST, nothing, DATE], NO_BODY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn the_date_and_the_encoding_are_those_of_the_protocol() {
        assert_eq!(date(Timestamp::from_millis(1_369_353_600_999)), "20130524T000000Z");
        assert_eq!(encode("a b/ü~+", true), "a%20b/%C3%BC~%2B");
        assert_eq!(encode("a/b", false), "a%2Fb");
        assert_eq!(hex::encode(Hash::of(b"").as_bytes()), NO_BODY);
    }
}
