//! One version of an object: what it is, and its bytes, which go on after a break.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::header::HeaderName;

use super::super::range::content_range;
use super::{Ask, Bucket, Listed, Method, Problem, Response, StatusCode, StoreError, header, quoted, text};
use crate::outbound;

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Version {
    /// Its key.
    pub(in super::super) key: String,
    /// Its entity tag, with its quotes.
    pub(in super::super) etag: String,
}

/// What a store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Described {
    /// Which version that is.
    pub(in super::super) version: Version,
    /// Bytes.
    pub(in super::super) size: u64,
    /// Its media type, when the store was told one.
    pub(in super::super) media_type: Option<String>,
}

impl From<Listed> for Described {
    fn from(listed: Listed) -> Self {
        let version = Version { etag: quoted(&listed.etag), key: listed.key };
        Self { version, size: listed.size, media_type: None }
    }
}

impl Bucket {
    /// What an object is now.
    ///
    /// # Errors
    /// Why the store does not say it.
    pub(in super::super) async fn describe(&self, key: &str) -> Result<Described, StoreError> {
        let head = Ask { method: Method::HEAD, key: Some(key), query: &[], headers: &[] };
        let answer = match self.persist(&head).await {
            Ok(answer) => answer,
            // An answer to HEAD has no body and so no reason: the same asked with GET has one.
            Err(error) if error.problem.passes() => return Err(error),
            Err(error) => {
                let first = [(header::RANGE, "bytes=0-0".to_owned())];
                let get = Ask { method: Method::GET, key: Some(key), query: &[], headers: &first };
                return Err(self.persist(&get).await.err().unwrap_or(error));
            }
        };
        let headers = answer.headers();
        let bad = |what: &str| self.error(Problem::Answer(format!("it does not say the object's {what}")));
        let size = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let etag = text(headers, &header::ETAG).filter(|etag| !etag.is_empty() && etag.len() <= 200);
        Ok(Described {
            size: size.ok_or_else(|| bad("size"))?,
            version: Version { key: key.to_owned(), etag: quoted(etag.ok_or_else(|| bad("entity tag"))?) },
            media_type: text(headers, &header::CONTENT_TYPE).map(ToOwned::to_owned),
        })
    }

    /// The bytes of `range` of one version. A break is mended by asking for the rest of the same version.
    pub(in super::super) fn bytes(
        self,
        version: Version,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
        let reading = Reading { bucket: self, version, range, open: None, failed: 0 };
        futures_util::stream::unfold(Some(reading), async |state| {
            let mut reading = state?;
            match reading.next().await {
                Ok(Some(part)) => Some((Ok(part), Some(reading))),
                Ok(None) => None,
                Err(problem) => Some((Err(reading.bucket.error(problem)), None)),
            }
        })
    }
}

struct Reading {
    bucket: Bucket,
    version: Version,
    /// What is still to come.
    range: Range<u64>,
    open: Option<BoxStream<'static, Result<Bytes, Problem>>>,
    /// Attempts in a row without a byte.
    failed: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while !self.range.is_empty() {
            let problem = match self.part().await {
                Ok(part) => {
                    self.range.start += part.len() as u64;
                    self.failed = 0;
                    return Ok(Some(part));
                }
                Err(problem) => problem,
            };
            self.open = None;
            self.failed += 1;
            if !problem.passes() || self.failed >= self.bucket.retry().attempts {
                return Err(problem);
            }
            tracing::info!(store = self.bucket.store(), %problem, "reading an object goes on after a break");
            tokio::time::sleep(self.bucket.retry().wait(self.failed)).await;
        }
        Ok(None)
    }

    /// The next bytes, from an answer that runs or a new one.
    async fn part(&mut self) -> Result<Bytes, Problem> {
        let stream = match &mut self.open {
            Some(open) => open,
            None => {
                let opened = self.ask().await?;
                self.open.insert(opened)
            }
        };
        let part = stream.try_next().await?.filter(|part| !part.is_empty());
        let part = part.ok_or_else(|| Problem::Broken("the answer ended before its end".into()))?;
        if part.len() as u64 > self.range.end - self.range.start {
            return Err(Problem::Answer("it sends more than was asked for".into()));
        }
        Ok(part)
    }

    async fn ask(&mut self) -> Result<BoxStream<'static, Result<Bytes, Problem>>, Problem> {
        let part = format!("bytes={}-{}", self.range.start, self.range.end - 1);
        let headers: [(HeaderName, String); 2] =
            [(header::IF_MATCH, self.version.etag.clone()), (header::RANGE, part)];
        let key = Some(self.version.key.as_str());
        let answer =
            self.bucket.ask(&Ask { method: Method::GET, key, query: &[], headers: &headers }).await?;
        self.check(&answer)?;
        let parts = answer.bytes_stream();
        Ok(parts.map_err(|e| Problem::Broken(outbound::causes(&e))).boxed())
    }

    /// Some stores do not know `If-Match` or `Range`; what they send is looked at.
    fn check(&self, answer: &Response) -> Result<(), Problem> {
        let headers = answer.headers();
        if text(headers, &header::ETAG).map(quoted).is_some_and(|etag| etag != self.version.etag) {
            return Err(Problem::Replaced);
        }
        let given = text(headers, &header::CONTENT_RANGE).and_then(content_range);
        let whole = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let fits = match answer.status() {
            StatusCode::PARTIAL_CONTENT => given.is_some_and(|(range, _)| range == self.range),
            _ => self.range.start == 0 && whole == Some(self.range.end),
        };
        if fits { Ok(()) } else { Err(Problem::Answer("it sends another range than was asked for".into())) }
    }
}
