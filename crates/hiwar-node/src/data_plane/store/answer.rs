//! What a store answers: errors, and lists of objects.

use http::StatusCode;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::outbound::OutboundError;

/// Elements within elements; answers have three levels.
const DEPTH_MAX: usize = 16;
/// Longest text of a store that is repeated to the operator, in characters.
const SAID_MAX: usize = 200;

/// Why a store gave nothing. For the operator: whoever asks for content is told only that.
#[derive(Debug, thiserror::Error)]
#[error("the store {store}: {problem}")]
pub struct StoreError {
    /// The store's name in `hiwar.toml`.
    pub store: String,
    /// Why.
    #[source]
    pub problem: Problem,
}

/// What is wrong, and what mends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nobody there.
    #[error("{0}; look whether it runs, and at `endpoint` in hiwar.toml")]
    Unreachable(#[from] OutboundError),
    /// No keys to ask with.
    #[error("{0}")]
    Credentials(String),
    /// The access key.
    #[error("it does not know the access key ({code}); look at aws_access_key_id in {place}")]
    AccessKey {
        /// The store's code.
        code: String,
        /// Where the keys are from.
        place: String,
    },
    /// The secret key.
    #[error(
        "the secret key does not belong to the access key (SignatureDoesNotMatch); look at \
         aws_secret_access_key in {place}"
    )]
    SecretKey {
        /// Where the keys are from.
        place: String,
    },
    /// A session is over.
    #[error("the session of the keys is over ({code}); put new ones into {place}")]
    Session {
        /// The store's code.
        code: String,
        /// Where the keys are from.
        place: String,
    },
    /// The keys may not.
    #[error(
        "it refuses these keys access to {what}; they need s3:GetObject, and s3:ListBucket for a folder and \
         to be told of an object that is not there"
    )]
    Denied {
        /// Bucket and key.
        what: String,
    },
    /// No bucket.
    #[error(
        "there is no bucket {0:?}; look at `buckets` in hiwar.toml, and whether `endpoint` is the right store"
    )]
    NoBucket(String),
    /// No object.
    #[error(
        "there is no object {0:?}; write the key as it is in the store, or with / at its end for a folder"
    )]
    NoKey(String),
    /// The object is another version.
    #[error("the object was replaced")]
    Replaced,
    /// Clocks.
    #[error("its clock, at {there}, and this node's differ too much; set this machine's clock (NTP)")]
    Clock {
        /// The date of its answer.
        there: String,
    },
    /// Another region.
    #[error("the bucket is in another region{}; set `region` of this store in hiwar.toml", named(.0))]
    Region(Option<String>),
    /// A connection broke; it may hold when it is made again.
    #[error("an answer broke off: {0}")]
    Broken(String),
    /// It may pass.
    #[error("it answered {status} ({said})")]
    Busy {
        /// HTTP status.
        status: StatusCode,
        /// Code and message.
        said: String,
    },
    /// Anything else.
    #[error("it answered {status} ({said})")]
    Other {
        /// HTTP status.
        status: StatusCode,
        /// Code and message.
        said: String,
    },
    /// It does not follow the protocol.
    #[error("its answer cannot be used: {0}")]
    Answer(String),
}

fn named(region: &Option<String>) -> String {
    region.as_ref().map_or_else(String::new, |region| format!(", {region}"))
}

impl Problem {
    /// Whether it may pass by itself.
    pub(super) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Broken(_) | Self::Unreachable(OutboundError::Unreachable { .. })
        )
    }
}

/// What an answer that is no success was about.
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    /// Its body; empty for `HEAD`.
    pub(super) body: &'a str,
    /// `x-amz-bucket-region`.
    pub(super) region: Option<String>,
    /// `date`.
    pub(super) date: String,
    pub(super) bucket: &'a str,
    pub(super) key: Option<&'a str>,
    /// Where the keys are from.
    pub(super) place: &'a str,
}

impl Refusal<'_> {
    /// Reads the error, which has the form `<Error><Code>…`.
    pub(super) fn problem(self) -> Problem {
        let (mut code, mut message, mut region) = (String::new(), String::new(), self.region.clone());
        // What cannot be read is judged by its status.
        drop(walk(self.body, |path, text| match path {
            ["Error", "Code"] => code = cut(text),
            ["Error", "Message"] => message = cut(text),
            ["Error", "Region"] => region = Some(cut(text)),
            _ => {}
        }));
        let place = self.place.to_owned();
        match (code.as_str(), self.status) {
            ("InvalidAccessKeyId" | "NotSignedUp", _) => Problem::AccessKey { code, place },
            ("SignatureDoesNotMatch", _) => Problem::SecretKey { place },
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => Problem::Session { code, place },
            ("RequestTimeTooSkewed", _) => Problem::Clock { there: self.date },
            ("NoSuchBucket", _) => Problem::NoBucket(self.bucket.to_owned()),
            ("NoSuchKey", _) => Problem::NoKey(self.key.unwrap_or_default().to_owned()),
            (
                "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException",
                _,
            ) => Problem::Region(region),
            (_, status) if status.is_redirection() => Problem::Region(region),
            (_, StatusCode::PRECONDITION_FAILED) => Problem::Replaced,
            (_, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Problem::Denied { what: self.what() },
            (code, status) => {
                let said =
                    if code.is_empty() { "no reason given".into() } else { format!("{code}: {message}") };
                let passing = status.is_server_error()
                    || status == StatusCode::TOO_MANY_REQUESTS
                    || ["SlowDown", "RequestTimeout", "InternalError"].contains(&code);
                if passing { Problem::Busy { status, said } } else { Problem::Other { status, said } }
            }
        }
    }

    fn what(&self) -> String {
        format!("{}/{}", self.bucket, self.key.unwrap_or_default())
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}

/// An object in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
}

/// One page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    /// What asks for the next page, when there is one.
    pub(super) next: Option<String>,
}

/// Reads an answer to `ListObjectsV2`.
///
/// # Errors
/// What of it cannot be read.
pub(super) fn page(xml: &str) -> Result<Page, String> {
    let (mut page, mut object) = (Page::default(), Listed::default());
    let (mut encoded, mut more, mut bad) = (false, false, None);
    walk(xml, |path, text| match path {
        ["ListBucketResult", "EncodingType"] => encoded = text == "url",
        ["ListBucketResult", "IsTruncated"] => more = text == "true",
        ["ListBucketResult", "NextContinuationToken"] => page.next = Some(text.to_owned()),
        ["ListBucketResult", "Contents", "Key"] => text.clone_into(&mut object.key),
        ["ListBucketResult", "Contents", "ETag"] => text.clone_into(&mut object.etag),
        ["ListBucketResult", "Contents", "Size"] => match text.parse() {
            Ok(size) => object.size = size,
            Err(_) => bad = Some(format!("a size in its list is no number: {}", cut(text))),
        },
        ["ListBucketResult", "Contents"] => page.objects.push(std::mem::take(&mut object)),
        ["Error", "Code"] => bad = Some(cut(text)),
        _ => {}
    })?;
    if let Some(bad) = bad {
        return Err(bad);
    }
    if encoded {
        for object in &mut page.objects {
            object.key = decode(&object.key)?;
        }
    }
    match (more, &page.next) {
        (true, None) => Err("its list goes on, but it does not say how to ask for the rest".into()),
        (true, Some(_)) => Ok(page),
        (false, _) => Ok(Page { next: None, ..page }),
    }
}

/// Undoes the encoding of keys in a list, in which `+` is a space.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                let pair = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                pair.ok_or_else(|| format!("a key in its list cannot be decoded: {}", cut(text)))?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("a key in its list is not UTF-8: {}", cut(text)))
}

/// Calls `each` at the end of every element, with the names down to it and its text.
fn walk(xml: &str, mut each: impl FnMut(&[&str], &str)) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<(String, String)> = Vec::new();
    loop {
        match reader.read_event().map_err(|e| format!("it is no XML: {}", cut(&e.to_string())))? {
            Event::Start(start) if open.len() < DEPTH_MAX => {
                open.push((start.local_name().as_ref().to_owned(), String::new()));
            }
            Event::Start(_) => return Err("its elements lie too deep in each other".into()),
            Event::Text(text) => add(&mut open, &text),
            Event::CData(text) => add(&mut open, &text),
            Event::GeneralRef(name) => {
                let known = match name.resolve_char_ref() {
                    Ok(Some(character)) => character.to_string(),
                    Ok(None) => quick_xml::escape::resolve_xml_entity(&name).unwrap_or_default().to_owned(),
                    Err(e) => return Err(format!("it is no XML: {}", cut(&e.to_string()))),
                };
                add(&mut open, &known);
            }
            Event::End(_) => {
                let path: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
                each(&path, open.last().map(|(_, text)| text.as_str()).unwrap_or_default());
                open.pop();
            }
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err("it ends inside an element".into()),
            _ => {}
        }
    }
}

fn add(open: &mut [(String, String)], text: &str) {
    if let Some((_, held)) = open.last_mut() {
        held.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> String {
        let refusal = Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            body,
            region: None,
            date: "Fri, 24 May 2013 00:00:00 GMT".into(),
            bucket: "trade",
            key: Some("2019/07.csv"),
            place: "s3.secret",
        };
        let problem = refusal.problem();
        format!("{}{problem}", if problem.passes() { "passes: " } else { "" })
    }

    /// Codes of "Error responses", Amazon S3 API Reference.
    #[test]
    fn each_error_says_what_mends_it() {
        for (status, code, expected) in [
            (403, "InvalidAccessKeyId", "aws_access_key_id in s3.secret"),
            (403, "SignatureDoesNotMatch", "aws_secret_access_key in s3.secret"),
            (403, "RequestTimeTooSkewed", "24 May 2013 00:00:00 GMT, and this node's differ too much; set"),
            (403, "AccessDenied", "access to trade/2019/07.csv; they need s3:GetObject"),
            (400, "ExpiredToken", "put new ones into s3.secret"),
            (404, "NoSuchBucket", "there is no bucket \"trade\"; look at `buckets`"),
            (404, "NoSuchKey", "there is no object \"2019/07.csv\"; write the key"),
            (412, "PreconditionFailed", "the object was replaced"),
            (503, "SlowDown", "passes: it answered 503"),
            (500, "InternalError", "passes: it answered 500"),
            (400, "EntityTooLarge", "it answered 400 Bad Request (EntityTooLarge: in words)"),
        ] {
            let body = format!("<Error><Code>{code}</Code><Message>in words</Message></Error>");
            let said = problem(status, &body);
            assert!(said.contains(expected), "{code}: {said}");
        }
        let moved = "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>";
        assert!(problem(301, moved).contains("another region, eu-west-1; set `region`"));
        for odd in ["", "<html>", "<Error><Code>", "\0", "{}"] {
            assert!(problem(503, odd).starts_with("passes: "), "{odd}");
            assert!(!problem(418, odd).starts_with("passes: "), "{odd}");
        }
    }

    /// The form of the example of `ListObjectsV2`, Amazon S3 API Reference.
    #[test]
    fn a_list_reads_back_with_its_encoded_keys_and_its_next_page() {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>trade</Name>\
            <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>1/x&amp;y=</NextContinuationToken>\
            <Contents><Key>a%2Fb+c%C3%BC</Key><ETag>&quot;70ee&quot;</ETag><Size>42</Size></Contents>\
            <Contents><Key>d</Key><ETag>&#34;1&#x22;</ETag><Size>0</Size></Contents></ListBucketResult>";
        let listed = |key: &str, etag: &str, size| Listed { key: key.into(), etag: etag.into(), size };
        let objects = vec![listed("a/b cü", "\"70ee\"", 42), listed("d", "\"1\"", 0)];
        assert_eq!(page(xml), Ok(Page { objects, next: Some("1/x&y=".into()) }));
        let last = page(&xml.replace(">true<", ">false<").replace(">url<", "><")).unwrap();
        assert_eq!((last.next, last.objects[0].key.as_str()), (None, "a%2Fb+c%C3%BC"));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        let deep = "<a>".repeat(1000);
        for bad in [
            "<ListBucketResult>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%f</Key></Contents></ListBucketResult>",
            "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%ff</Key></Contents></ListBucketResult>",
            "<Error><Code>InternalError</Code></Error>",
            "</a>",
            &deep,
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
        let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><Contents><Key>k&a;</Key></Contents>\
                      </ListBucketResult>";
        assert_eq!(page(entity).unwrap().objects[0].key, "k", "entities of its own are not followed");
    }
}
