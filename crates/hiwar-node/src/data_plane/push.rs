//! The provider's side of a push: content goes to the consumer's data address.
//!
//! First it is asked by `HEAD` what is there. A receiver that answers with `Upload-Offset` follows the
//! scheme of our `inbox`, and after a break the push goes on where it stopped. Any other gets one plain
//! `PUT` of the whole, or `POST` where it answers 405, and after a break the whole again.

use std::ops::Range;
use std::sync::Arc;

use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::content_digest;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::inbox::{UPLOAD_COMPLETE, UPLOAD_OFFSET};
use super::retry::{Attempts, Renew, Retry, TransferError};
use super::serve::REPR_DIGEST;
use super::source::{Content, Source, SourceError};
use super::store::Stores;
use crate::outbound::{self, Outbound, OutboundError, Trust};

/// A push.
pub struct Push {
    /// Where to.
    pub access: Access,
    /// What: one file.
    pub source: Arc<Source>,
    /// The stores that an object is read from.
    pub stores: Arc<Stores>,
    /// Whose address it is.
    pub trust: Trust,
    /// Attempts.
    pub retry: Retry,
    /// How the token is renewed.
    pub renew: Arc<dyn Renew>,
    /// Stops it.
    pub cancel: CancellationToken,
}

/// What was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of the whole.
    pub size: u64,
    /// SHA-256 of the whole.
    pub sha256: Option<Hash>,
    /// Whether the receiver follows our scheme, and so has verified the SHA-256.
    pub verified: bool,
}

enum Receiver {
    Unknown,
    Resumes(u64),
    Plain(Method),
    Has,
}

impl Push {
    /// Brings the content.
    ///
    /// # Errors
    /// Why the receiver has not confirmed it.
    pub async fn run(self, outbound: &Outbound) -> Result<Pushed, TransferError> {
        let bad = || TransferError::Protocol("the data address's endpoint is no URL".into());
        let url: Url = self.access.endpoint.parse().map_err(|_| bad())?;
        let how = (&self.retry, &*self.renew, &self.cancel);
        let mut attempts = Attempts::new(outbound, &self.trust, self.access.clone(), how);
        let mut receiver = Receiver::Unknown;
        loop {
            if matches!(receiver, Receiver::Unknown) {
                receiver = self.ask(&mut attempts, &url).await?;
                continue;
            }
            let content = self.open().await?;
            let (size, sha256) = (content.size, content.sha256);
            let pushed = |verified| Pushed { size, sha256, verified };
            receiver = match receiver {
                Receiver::Has => return Ok(pushed(true)),
                Receiver::Resumes(from) => {
                    match self.put(&mut attempts, &url, Method::PUT, content, from.min(size)..size).await? {
                        Sent::Done => return Ok(pushed(true)),
                        Sent::At(offset) => {
                            // Whoever keeps naming the same offset makes no progress: that is counted.
                            if offset > from {
                                attempts.progressed();
                            } else {
                                attempts.again("the receiver has another part".into(), None).await?;
                            }
                            Receiver::Resumes(offset)
                        }
                        Sent::Failed | Sent::OtherMethod => Receiver::Unknown,
                    }
                }
                Receiver::Plain(method) => {
                    match self.put(&mut attempts, &url, method.clone(), content, 0..size).await? {
                        Sent::Done => return Ok(pushed(false)),
                        Sent::OtherMethod => Receiver::Plain(Method::POST),
                        Sent::Failed | Sent::At(_) => Receiver::Plain(method),
                    }
                }
                Receiver::Unknown => Receiver::Unknown,
            };
        }
    }

    async fn open(&self) -> Result<Content, TransferError> {
        if self.source.file_bytes().is_none() {
            let why = "only single files can be pushed; let the consumer pull this one";
            return Err(SourceError::Read(why.into()).into());
        }
        Ok(self.source.open(None, &self.stores).await?)
    }

    async fn ask(&self, attempts: &mut Attempts<'_>, url: &Url) -> Result<Receiver, TransferError> {
        let request = attempts.request(Method::HEAD, url).await?;
        let sent = tokio::select! {
            () = self.cancel.cancelled() => return Err(TransferError::Cancelled),
            sent = request.send() => sent,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                failed(attempts, url, &error).await?;
                return Ok(Receiver::Unknown);
            }
        };
        match (response.status(), number(response.headers(), &UPLOAD_OFFSET)) {
            (status, Some(offset)) if status.is_success() => {
                let complete = response.headers().get(&UPLOAD_COMPLETE).is_some_and(|value| value == "?1");
                Ok(if complete { Receiver::Has } else { Receiver::Resumes(offset) })
            }
            (status, _) if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN => {
                attempts.unusable(response).await?;
                Ok(Receiver::Unknown)
            }
            // It knows nothing of HEAD, or of what is not there yet.
            _ => Ok(Receiver::Plain(Method::PUT)),
        }
    }

    async fn put(
        &self,
        attempts: &mut Attempts<'_>,
        url: &Url,
        method: Method,
        content: Content,
        range: Range<u64>,
    ) -> Result<Sent, TransferError> {
        // All of it is there but not confirmed: from the beginning, which the receiver understands.
        let range = if range.is_empty() { 0..range.end } else { range };
        let posted = method == Method::POST;
        let mut request = attempts.request(method, url).await?;
        let media_type = content.media_type.clone().unwrap_or_else(|| "application/octet-stream".into());
        request = request
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CONTENT_LENGTH, range.end - range.start);
        if let Some(sha256) = &content.sha256 {
            request = request.header(REPR_DIGEST, content_digest(sha256));
        }
        if range.start > 0 {
            let part = format!("bytes {}-{}/{}", range.start, range.end - 1, content.size);
            request = request.header(header::CONTENT_RANGE, part);
        }
        let body = reqwest::Body::wrap_stream(content.stream(range));
        let sent = tokio::select! {
            () = self.cancel.cancelled() => return Err(TransferError::Cancelled),
            sent = request.body(body).send() => sent,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                failed(attempts, url, &error).await?;
                return Ok(Sent::Failed);
            }
        };
        match (response.status(), number(response.headers(), &UPLOAD_OFFSET)) {
            (status, _) if status.is_success() => Ok(Sent::Done),
            (StatusCode::CONFLICT, Some(offset)) => Ok(Sent::At(offset)),
            (StatusCode::METHOD_NOT_ALLOWED, _) if !posted => Ok(Sent::OtherMethod),
            _ => attempts.unusable(response).await.map(|()| Sent::Failed),
        }
    }
}

enum Sent {
    Done,
    At(u64),
    OtherMethod,
    Failed,
}

/// Waits after a broken connection; content that changed here ends the push.
async fn failed(attempts: &mut Attempts<'_>, url: &Url, error: &reqwest::Error) -> Result<(), TransferError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(SourceError::Changed(changed)) = inner.downcast_ref::<SourceError>() {
            return Err(SourceError::Changed(changed.clone()).into());
        }
        cause = inner.source();
    }
    match outbound::failure(url, error) {
        OutboundError::Unreachable { problem, .. } => attempts.again(problem, None).await,
        refused => Err(refused.into()),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
