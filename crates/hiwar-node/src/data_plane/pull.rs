//! The consumer's side of a pull: content at a data address becomes a file or a folder.
//!
//! Interrupted, it goes on where it stopped: `Range` and `If-Range` with the version's entity tag.
//! What came is hashed while it comes, what was there before is hashed again, and only content with
//! the announced SHA-256 gets its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hiwar_trust::hash::Hash;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::partial::{self, Drained, FileError, Finish, Of, Partial};
use super::range;
use super::retry::{Attempts, Renew, Retry, TransferError};
use super::serve::REPR_DIGEST;
use super::source::{MANIFEST_TYPE, Manifest};
use crate::outbound::{self, Outbound, Trust};

/// Largest manifest read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file within a folder, when it is one.
    pub path: Option<String>,
    /// Bytes that are here.
    pub have: u64,
    /// Bytes of the whole, when that is known.
    pub size: Option<u64>,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Bytes, of a folder in all its files.
    pub size: u64,
    /// SHA-256, of a folder's manifest when it is a folder.
    pub sha256: Hash,
    /// How many files.
    pub files: usize,
}

/// A pull.
pub struct Pull {
    /// Where from.
    pub access: Access,
    /// The file or folder that it becomes. A file must not exist.
    pub to: PathBuf,
    /// The SHA-256 that was announced; without one, what the other side says in `Repr-Digest`.
    pub sha256: Option<Hash>,
    /// Most bytes taken in all.
    pub size_max: u64,
    /// Whose address it is.
    pub trust: Trust,
    /// Attempts.
    pub retry: Retry,
    /// How the token is renewed.
    pub renew: Arc<dyn Renew>,
    /// Stops it; what came is kept.
    pub cancel: CancellationToken,
    /// Is told how far it is.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Pull {
    /// Brings one file.
    ///
    /// # Errors
    /// Why it is not here. Whatever [`TransferError`] says is kept, a later pull goes on with.
    pub async fn file(self, outbound: &Outbound) -> Result<Pulled, TransferError> {
        let mut attempts = self.attempts(outbound);
        let one =
            One { to: &self.to, path: None, sha256: self.sha256, size_max: self.size_max, accept: None };
        self.one(&mut attempts, one).await
    }

    /// Brings a folder: its manifest, which has the announced SHA-256, and each file in it. Files that
    /// are there already with the right content are not brought again.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub async fn folder(self, outbound: &Outbound) -> Result<Pulled, TransferError> {
        let mut attempts = self.attempts(outbound);
        make_folder(&self.to).await?;
        let named = self.to.join(".hiwar-manifest.json");
        drop(tokio::fs::remove_file(&named).await);
        let limit = self.size_max.min(MANIFEST_BYTES_MAX);
        let accept = Some(MANIFEST_TYPE);
        let one = One { to: &named, path: None, sha256: self.sha256, size_max: limit, accept };
        let whole = self.one(&mut attempts, one).await?;
        let json = tokio::fs::read(&named).await.map_err(|e| file_error(&named, &e))?;
        let manifest = Manifest::read(&json)?;
        let mut left = self.size_max;
        for file in &manifest.files {
            left = left.checked_sub(file.size).ok_or(TransferError::TooLarge(self.size_max))?;
        }
        for file in &manifest.files {
            let to = self.to.join(&file.path);
            make_folder(to.parent().unwrap_or(&self.to)).await?;
            stays_within(&self.to, &to).await?;
            if is_there(&to, file.size, file.sha256).await {
                continue;
            }
            let one = One {
                to: &to,
                path: Some(&file.path),
                sha256: Some(file.sha256),
                size_max: file.size,
                accept: None,
            };
            self.one(&mut attempts, one).await?;
        }
        drop(tokio::fs::remove_file(&named).await);
        Ok(Pulled { size: self.size_max - left, sha256: whole.sha256, files: manifest.files.len() })
    }

    fn attempts<'a>(&'a self, outbound: &'a Outbound) -> Attempts<'a> {
        let how = (&self.retry, &*self.renew, &self.cancel);
        Attempts::new(outbound, &self.trust, self.access.clone(), how)
    }

    async fn one(&self, attempts: &mut Attempts<'_>, one: One<'_>) -> Result<Pulled, TransferError> {
        if tokio::fs::try_exists(one.to).await.unwrap_or(true) {
            return Err(TransferError::Exists(one.to.display().to_string()));
        }
        let to = one.to.to_owned();
        let mut partial = blocking(one.to, move || Partial::open(&to)).await?;
        let mut wrong = false;
        loop {
            let had = partial.length();
            let (came, step) = self.attempt(attempts, &one, partial).await?;
            partial = came;
            if partial.length() > had {
                attempts.progressed();
            }
            match step {
                Step::Whole => {}
                Step::Again(problem) => {
                    attempts.again(problem, None).await?;
                    continue;
                }
                Step::Refused(response) => {
                    attempts.unusable(*response).await?;
                    continue;
                }
            }
            let (expected, held) = (one.sha256.or(partial.of().sha256), had > 0);
            match blocking(one.to, move || Ok(partial.finish(expected))).await? {
                Ok((size, sha256)) => return Ok(Pulled { size, sha256, files: 1 }),
                Err(Finish::File(error)) => return Err(error.into()),
                // The part that was there may have been damaged: once more from the beginning.
                Err(Finish::WrongHash { .. }) if held && !wrong => wrong = true,
                Err(Finish::WrongHash { expected, found }) => {
                    discard(one.to).await;
                    return Err(TransferError::WrongHash { expected, found });
                }
            }
            let to = one.to.to_owned();
            partial = blocking(one.to, move || Partial::open(&to)).await?;
        }
    }

    async fn attempt(
        &self,
        attempts: &mut Attempts<'_>,
        one: &One<'_>,
        mut partial: Partial,
    ) -> Result<(Partial, Step), TransferError> {
        if partial.of().size == Some(partial.length())
            && (one.sha256.is_some() || partial.of().sha256.is_some())
        {
            return Ok((partial, Step::Whole));
        }
        // Without a strong tag only an announced SHA-256 shows whether the parts belong together.
        let goes_on = partial.length() > 0 && (partial.of().etag.is_some() || one.sha256.is_some());
        let url = one.url(attempts.access())?;
        let mut request =
            attempts.request(Method::GET, &url).await?.header(header::ACCEPT_ENCODING, "identity");
        if let Some(accept) = one.accept {
            request = request.header(header::ACCEPT, accept);
        }
        if goes_on {
            request = request.header(header::RANGE, format!("bytes={}-", partial.length()));
            if let Some(etag) = &partial.of().etag {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        let sent = tokio::select! {
            () = attempts.cancel.cancelled() => return Err(TransferError::Cancelled),
            sent = request.send() => sent,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return passing(&url, &error).map(|problem| (partial, Step::Again(problem))),
        };
        let begins = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if goes_on => match begins(response.headers(), &partial) {
                Ok(begins) => begins,
                Err(problem) => {
                    partial.restart()?;
                    return Ok((partial, Step::Again(problem)));
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE if goes_on => {
                partial.restart()?;
                return Ok((partial, Step::Again("it has no more bytes than are here".into())));
            }
            _ => return Ok((partial, Step::Refused(Box::new(response)))),
        };
        if begins == 0 {
            partial.restart()?;
        }
        let of = describe(response.headers(), begins, response.content_length());
        self.stream(response, partial, one, of).await
    }

    async fn stream(
        &self,
        response: reqwest::Response,
        mut partial: Partial,
        one: &One<'_>,
        of: Of,
    ) -> Result<(Partial, Step), TransferError> {
        if of.size.is_some_and(|size| size > one.size_max) {
            return Err(TransferError::TooLarge(one.size_max));
        }
        if let (Some(expected), Some(found)) = (one.sha256, of.sha256)
            && expected != found
        {
            return Err(TransferError::WrongHash { expected, found });
        }
        let size = of.size;
        partial.set(of)?;
        let told = |have| {
            (self.progress)(Progress { path: one.path.map(ToOwned::to_owned), have, size });
        };
        let limit = size.unwrap_or(one.size_max);
        let stream = response.bytes_stream();
        let (partial, ended) = partial::drain(partial, stream, limit, &self.cancel, &told).await?;
        let step = match ended {
            Drained::Whole if size.is_none_or(|size| size == partial.length()) => Step::Whole,
            Drained::Whole => Step::Again("the connection ended early".into()),
            Drained::Broken(error) => Step::Again(outbound::causes(&error)),
            Drained::TooLarge => return Err(TransferError::TooLarge(limit)),
            Drained::Cancelled => return Err(TransferError::Cancelled),
            Drained::File(error) => return Err(error.into()),
        };
        Ok((partial, step))
    }
}

/// One file of a pull.
struct One<'a> {
    to: &'a Path,
    path: Option<&'a str>,
    sha256: Option<Hash>,
    size_max: u64,
    accept: Option<&'static str>,
}

impl One<'_> {
    fn url(&self, access: &Access) -> Result<Url, TransferError> {
        let bad = || TransferError::Protocol("the data address's endpoint is no URL".into());
        let mut url: Url = access.endpoint.parse().map_err(|_| bad())?;
        if let Some(path) = self.path {
            url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().extend(path.split('/'));
        }
        Ok(url)
    }
}

enum Step {
    Whole,
    Again(String),
    Refused(Box<reqwest::Response>),
}

/// A problem that may pass, or a refusal of the address, which does not.
fn passing(url: &Url, error: &reqwest::Error) -> Result<String, TransferError> {
    match outbound::failure(url, error) {
        outbound::OutboundError::Unreachable { problem, .. } => Ok(problem),
        refused => Err(refused.into()),
    }
}

/// Where a 206 begins, when that fits what is here.
fn begins(headers: &HeaderMap, partial: &Partial) -> Result<u64, String> {
    let value = text(headers, &header::CONTENT_RANGE).unwrap_or_default();
    let (range, size) = range::content_range(value).ok_or("its Content-Range cannot be read")?;
    let other_size = matches!((size, partial.of().size), (Some(now), Some(before)) if now != before);
    if range.start != partial.length() || other_size {
        return Err("it answered another range than was asked for".into());
    }
    let tags = (text(headers, &header::ETAG), partial.of().etag.as_deref());
    if matches!(tags, (Some(now), Some(before)) if now != before) {
        return Err("it answered a range of another version".into());
    }
    Ok(range.start)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What an answer's headers say of the whole.
fn describe(headers: &HeaderMap, begins: u64, length: Option<u64>) -> Of {
    let etag = text(headers, &header::ETAG).filter(|etag| etag.starts_with('"') && etag.len() <= 512);
    let of_range = text(headers, &header::CONTENT_RANGE).and_then(range::content_range);
    let size = of_range.and_then(|(_, size)| size).or(length.map(|length| begins + length));
    Of { etag: etag.map(ToOwned::to_owned), size, sha256: text(headers, &REPR_DIGEST).and_then(digest) }
}

/// The SHA-256 in a `Repr-Digest` (RFC 9530), which may list other digests beside.
pub(super) fn digest(value: &str) -> Option<Hash> {
    let encoded =
        value.split(',').find_map(|item| item.trim().strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    BASE64.decode(encoded).ok()?.try_into().ok().map(Hash)
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let failed =
        |e: tokio::task::JoinError| FileError { path: path.display().to_string(), problem: e.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn file_error(path: &Path, error: &std::io::Error) -> FileError {
    FileError { path: path.display().to_string(), problem: error.to_string() }
}

async fn make_folder(path: &Path) -> Result<(), FileError> {
    tokio::fs::create_dir_all(path).await.map_err(|e| file_error(path, &e))
}

/// A link that lies in the folder already must not lead a file out of it.
async fn stays_within(root: &Path, to: &Path) -> Result<(), TransferError> {
    let of = |path: PathBuf| async move {
        tokio::fs::canonicalize(&path).await.map_err(|e| file_error(&path, &e))
    };
    let root = of(root.to_owned()).await?;
    let folder = of(to.parent().unwrap_or(to).to_owned()).await?;
    if folder.starts_with(&root) {
        return Ok(());
    }
    let problem = "a link leads out of the folder".to_owned();
    Err(FileError { path: to.display().to_string(), problem }.into())
}

/// Whether a file is there with this content.
async fn is_there(path: &Path, size: u64, sha256: Hash) -> bool {
    let path = path.to_owned();
    let look = move || {
        let held = std::fs::symlink_metadata(&path).ok()?;
        (held.is_file() && held.len() == size).then_some(())?;
        Some(super::source::Fingerprint::of(&path).ok()?.sha256 == sha256)
    };
    tokio::task::spawn_blocking(look).await.ok().flatten().unwrap_or(false)
}

async fn discard(to: &Path) {
    for ending in [".partial", ".partial.json"] {
        drop(tokio::fs::remove_file(partial::beside(to, ending)).await);
    }
}
