//! How often and how long an interrupted transfer is tried again, and how tokens are renewed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use tokio_util::sync::CancellationToken;

use super::access::Access;
use crate::clock::now;
use crate::outbound::{Outbound, Trust};
use crate::peer_client::ErrorBody;

/// A token is renewed when it has at most this long to live, in milliseconds.
const RENEW_BEFORE_MS: i64 = 10_000;
/// Longest error read.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Waits between attempts. The count begins anew whenever bytes came through.
#[derive(Clone)]
pub struct Retry {
    /// Most attempts in a row without a byte of progress.
    pub attempts: u32,
    /// Wait after the first; it doubles from one to the next.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// A number from 0 to 1: a wait is this far between its half and its whole. Many that lost the same
    /// server so do not come back at the same instant.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl std::fmt::Debug for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Retry {{ attempts: {}, first: {:?}, longest: {:?} }}",
            self.attempts, self.first, self.longest
        )
    }
}

impl Retry {
    /// Eight attempts, from 500 ms to 30 s apart, with jitter from the operating system's entropy.
    pub fn standard() -> Self {
        let jitter =
            || crate::clock::random::<2>().map_or(0.5, |b| f64::from(u16::from_le_bytes(b)) / 65_535.0);
        Self {
            attempts: 8,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            jitter: Arc::new(jitter),
        }
    }

    /// The wait after the `failed`th failure in a row.
    pub(super) fn wait(&self, failed: u32) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.longest).mul_f64(0.5 + 0.5 * (self.jitter)().clamp(0.0, 1.0))
    }
}

/// Why there is no new token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewed {
    /// It may be had later: nobody answers.
    #[error("{0}")]
    Passing(String),
    /// It is refused, or there is no way to ask.
    #[error("{0}")]
    Refused(String),
}

impl From<&str> for NotRenewed {
    fn from(why: &str) -> Self {
        Self::Refused(why.to_owned())
    }
}

impl From<String> for NotRenewed {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

/// Gets a new token for an address.
pub trait Renew: Send + Sync {
    /// A new access in place of a stale one.
    fn renew<'a>(&'a self, stale: &'a Access) -> BoxFuture<'a, Result<Access, NotRenewed>>;
}

/// For addresses whose token cannot be renewed.
#[derive(Clone, Copy, Debug)]
pub struct NoRenewal;

impl Renew for NoRenewal {
    fn renew<'a>(&'a self, _: &'a Access) -> BoxFuture<'a, Result<Access, NotRenewed>> {
        Box::pin(async { Err("the data address says no way to renew the token".into()) })
    }
}

/// Why a transfer ended without its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The address.
    #[error(transparent)]
    Outbound(#[from] crate::outbound::OutboundError),
    /// A file here.
    #[error(transparent)]
    File(#[from] super::partial::FileError),
    /// The other side suspended the transfer. What came is kept.
    #[error("the other side suspended the transfer; what came so far is kept: {0}")]
    Suspended(String),
    /// It was stopped here. What came is kept.
    #[error("stopped; what came so far is kept")]
    Cancelled,
    /// The other side refuses.
    #[error("the other side answered {status} ({code}): {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its stable code, or `unknown`.
        code: String,
        /// In words.
        detail: String,
    },
    /// No new token.
    #[error("the access token is not accepted and cannot be renewed: {0}")]
    NotRenewed(String),
    /// The content is not what was announced.
    #[error("the content's SHA-256 is {found}, not {expected} as announced; nothing of it was kept")]
    WrongHash {
        /// As announced.
        expected: hiwar_trust::hash::Hash,
        /// As it came.
        found: hiwar_trust::hash::Hash,
    },
    /// The content has more bytes than allowed.
    #[error("the content has more than the {0} bytes that are allowed")]
    TooLarge(u64),
    /// It was tried often enough.
    #[error("{attempts} attempts in a row failed, the last because: {problem}")]
    GaveUp {
        /// How many.
        attempts: u32,
        /// The last problem.
        problem: String,
    },
    /// There is a file already.
    #[error("{0} exists already; choose another name, or move it away")]
    Exists(String),
    /// The folder's manifest.
    #[error(transparent)]
    Manifest(#[from] super::source::ManifestError),
    /// The content to send.
    #[error(transparent)]
    Source(#[from] super::source::SourceError),
    /// The other side does not follow the rules of HTTP.
    #[error("the other side's answer cannot be used: {0}")]
    Protocol(String),
}

/// What the attempts of one transfer have in common.
pub(super) struct Attempts<'a> {
    pub(super) outbound: &'a Outbound,
    pub(super) trust: &'a Trust,
    pub(super) retry: &'a Retry,
    pub(super) renew: &'a dyn Renew,
    pub(super) cancel: &'a CancellationToken,
    access: Access,
    failed: u32,
    renewed: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        outbound: &'a Outbound,
        trust: &'a Trust,
        access: Access,
        (retry, renew, cancel): (&'a Retry, &'a dyn Renew, &'a CancellationToken),
    ) -> Self {
        Self { outbound, trust, retry, renew, cancel, access, failed: 0, renewed: false }
    }

    /// The access with its newest token.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// A request with the token, which is renewed before when it is about to expire.
    pub(super) async fn request(
        &mut self,
        method: http::Method,
        url: &reqwest::Url,
    ) -> Result<reqwest::RequestBuilder, TransferError> {
        if self.access.expires().is_some_and(|at| at.millis_since(now()) <= RENEW_BEFORE_MS) && !self.renewed
        {
            self.renew().await?;
        }
        let mut request = self.outbound.request(method, self.trust.target(url))?;
        if let Some(token) = &self.access.authorization {
            request = request.bearer_auth(token.as_str());
        }
        Ok(request)
    }

    async fn renew(&mut self) -> Result<(), TransferError> {
        self.renewed = true;
        let endpoint = self.access.endpoint.clone();
        self.access = loop {
            match self.renew.renew(&self.access).await {
                Ok(access) => break access,
                Err(NotRenewed::Passing(problem)) => self.again(problem, None).await?,
                Err(NotRenewed::Refused(why)) => return Err(TransferError::NotRenewed(why)),
            }
        };
        if self.access.endpoint.is_empty() {
            self.access.endpoint = endpoint;
        }
        Ok(())
    }

    /// Bytes came through.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
        self.renewed = false;
    }

    /// Waits after a failure that may pass.
    pub(super) async fn again(
        &mut self,
        problem: String,
        after: Option<Duration>,
    ) -> Result<(), TransferError> {
        self.failed += 1;
        if self.failed >= self.retry.attempts {
            return Err(TransferError::GaveUp { attempts: self.failed, problem });
        }
        let wait = self.retry.wait(self.failed).max(after.unwrap_or_default().min(self.retry.longest));
        tokio::select! {
            () = self.cancel.cancelled() => Err(TransferError::Cancelled),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// What to do about an answer that brings nothing: renew the token, wait, or give up.
    pub(super) async fn unusable(&mut self, response: reqwest::Response) -> Result<(), TransferError> {
        let status = response.status();
        let after = retry_after(response.headers());
        let body = crate::outbound::read_limited(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        let ErrorBody { code, detail } = serde_json::from_slice(&body).unwrap_or_else(|_| ErrorBody {
            code: "unknown".into(),
            detail: String::from_utf8_lossy(&body).chars().take(200).collect(),
        });
        let refused = || TransferError::Refused {
            status: status.as_u16(),
            code: code.chars().take(80).collect(),
            detail: detail.chars().take(300).collect(),
        };
        match status {
            StatusCode::UNAUTHORIZED if self.renewed => Err(TransferError::NotRenewed(refused().to_string())),
            StatusCode::UNAUTHORIZED => self.renew().await,
            StatusCode::FORBIDDEN if code == super::gate::SUSPENDED => Err(TransferError::Suspended(detail)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                self.again(refused().to_string(), after).await
            }
            status if status.is_server_error() => self.again(refused().to_string(), after).await,
            _ => Err(refused()),
        }
    }
}

/// `Retry-After` in seconds; the form with a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_takes_at_most_half() {
        let with = |jitter: f64| Retry {
            attempts: 9,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            jitter: Arc::new(move || jitter),
        };
        let waits = |jitter| [1, 2, 3, 4, 5, 40].map(|n| with(jitter).wait(n).as_millis());
        assert_eq!(waits(1.0), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(waits(0.0), [50, 100, 200, 400, 500, 500]);
    }
}
