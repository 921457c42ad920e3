//! Where offered data comes from.

mod backend;
mod file;
mod folder;
mod object;
mod pin;

use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use hiwar_trust::hash::Hash;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

pub use self::backend::BackendSource;
pub use self::file::{FileSource, PinnedFile, Recheck};
pub(crate) use self::folder::is_inner;
pub use self::folder::{FILES_MAX, FolderSource, MANIFEST_TYPE, Manifest, ManifestError, ManifestFile};
pub(crate) use self::object::offer as offer_object;
pub use self::object::{InnerObject, ObjectSource, PrefixSource};
pub use self::pin::{Changed, Fingerprint};
use super::store::{Problem, StoreError, Stores};
use crate::outbound::OutboundError;

/// Content on its way.
pub type ContentStream = Pin<Box<dyn Stream<Item = Result<Bytes, SourceError>> + Send>>;

/// Why content cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It cannot be read. For the operator; whoever asks is told only that.
    #[error("the content cannot be read: {0}")]
    Read(String),
    /// It is no longer what was offered.
    #[error("the content was changed after it was offered: {0}; its provider must offer it anew")]
    Changed(#[from] Changed),
    /// There is nothing at this path.
    #[error("there is nothing at this path; the transfer's own address lists what there is")]
    NoSuchPath,
    /// A file of a folder was replaced by a link out of it.
    #[error("a file of the folder leads out of it")]
    Escapes,
    /// A folder's manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The service behind the node.
    #[error("the service behind this node gave no content: {0}")]
    Backend(String),
    /// What is asked of a store cannot be told from its address.
    #[error("{0}")]
    Place(String),
    /// The store behind the node.
    #[error(transparent)]
    Store(StoreError),
    /// The service behind the node may not be reached.
    #[error("the service behind this node: {0}")]
    Outbound(#[from] OutboundError),
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SourceError {
    fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::Read(format!("{}: {error}", path.display()))
    }
}

/// What is offered. As JSON it is kept with the offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// One file.
    File(FileSource),
    /// A folder.
    Folder(FolderSource),
    /// A service over HTTP.
    Http(BackendSource),
    /// An object in an S3-compatible store.
    S3(ObjectSource),
    /// What lies below a prefix in an S3-compatible store, as a folder.
    S3Folder(PrefixSource),
}

impl Source {
    /// SHA-256 of the content that was offered: of a file, or of a folder's manifest. A service's
    /// content is not known beforehand.
    pub fn sha256(&self) -> Option<Hash> {
        match self {
            Self::File(file) => Some(file.pinned.sha256),
            Self::S3(object) => Some(object.pinned.sha256),
            Self::Folder(folder) => Some(Hash::of(&folder.manifest())),
            Self::S3Folder(prefix) => Some(Hash::of(&prefix.manifest())),
            Self::Http(_) => None,
        }
    }

    /// Bytes, when it is one file: only that can be pushed.
    pub fn file_bytes(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.pinned.size),
            Self::S3(object) => Some(object.pinned.size),
            Self::Folder(_) | Self::S3Folder(_) | Self::Http(_) => None,
        }
    }

    /// SHA-256 and bytes of the content that was offered, when they are known beforehand. Of a folder the
    /// SHA-256 is that of its manifest, and the bytes are those of all files.
    pub fn content(&self) -> Option<(Hash, u64)> {
        let bytes = match self {
            Self::Folder(folder) => folder.bytes(),
            Self::S3Folder(prefix) => prefix.bytes(),
            Self::File(_) | Self::S3(_) | Self::Http(_) => self.file_bytes()?,
        };
        Some((self.sha256()?, bytes))
    }

    /// Opens what is offered, or a file of it by its path. What a service gives is passed on instead, see
    /// [`BackendSource::relay`].
    ///
    /// # Errors
    /// When there is no such path, or the content is not what was offered.
    pub async fn open(&self, path: Option<&str>, stores: &Arc<Stores>) -> Result<Content, SourceError> {
        match self {
            Self::File(_) | Self::S3(_) | Self::Http(_) if path.is_some() => Err(SourceError::NoSuchPath),
            Self::File(file) => file.open().await,
            Self::Folder(folder) => folder.open(path).await,
            Self::S3(object) => object.open(stores),
            Self::S3Folder(prefix) => prefix.open(path, stores),
            Self::Http(_) => Err(SourceError::Backend("a service has no content of its own".into())),
        }
    }
}

/// Content that was opened.
#[derive(Debug)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Strong entity tag, with its quotes.
    pub etag: String,
    /// SHA-256, when it is known.
    pub sha256: Option<Hash>,
    /// Media type; `application/octet-stream` when absent.
    pub media_type: Option<String>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    File(PinnedFile),
    Object(object::PinnedObject),
    Memory(Bytes),
}

impl Content {
    /// The bytes of `range`, which must lie within the content.
    pub fn stream(self, range: Range<u64>) -> ContentStream {
        match self.body {
            Body::File(file) => file.stream(range),
            Body::Object(object) => object.stream(range),
            Body::Memory(bytes) => {
                let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.slice(within(range.start)..within(range.end));
                Box::pin(futures_util::stream::once(std::future::ready(Ok(part))))
            }
        }
    }
}

/// An answer that is passed on as it came.
pub struct Relayed {
    /// Status.
    pub status: StatusCode,
    /// The headers that concern the content.
    pub headers: HeaderMap,
    /// The content.
    pub stream: ContentStream,
}
