//! Objects in S3-compatible stores, pinned to what they were when they were offered: the store is asked
//! for that version only (`If-Match`), and each block of it is checked before it is sent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::super::store::{Bucket, Described, Listing, ObjectAddress, Version};
use super::folder::{FILES_MAX, is_inner, listed, manifest};
use super::pin::{Changed, Fingerprint, Taking};
use super::{Content, ContentStream, ManifestError, Problem, Source, SourceError, StoreError, Stores};

/// How much is checked and sent at a time, in bytes.
const BATCH: u64 = 1024 * 1024;
/// How many batches are checked while the next ones arrive.
const AHEAD: usize = 2;
/// How many objects of a folder are read at once when it is offered.
const READ_AT_ONCE: usize = 4;

/// An object that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectSource {
    /// The store, by its name in `hiwar.toml`.
    pub store: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The entity tag of the version that was offered.
    pub etag: String,
    /// Its media type; `application/octet-stream` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it was when it was offered.
    pub pinned: Arc<Fingerprint>,
}

/// What lies below a prefix, as a folder that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixSource {
    /// The store, by its name in `hiwar.toml`.
    pub store: String,
    /// The bucket.
    pub bucket: String,
    /// The prefix, with `/` at its end; empty for the whole bucket.
    pub prefix: String,
    /// The objects by their paths behind the prefix.
    pub objects: BTreeMap<String, InnerObject>,
}

/// An object below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerObject {
    /// The entity tag of the version that was offered.
    pub etag: String,
    /// What it was when it was offered.
    pub pinned: Arc<Fingerprint>,
}

/// Reads the object or the objects at an address, once and whole, and takes their fingerprints.
///
/// # Errors
/// What is wrong with the address, or why the store does not give them.
pub(crate) async fn offer(
    stores: &Arc<Stores>,
    address: &str,
    media_type: Option<String>,
) -> Result<Source, SourceError> {
    let wrong = |why: String| {
        SourceError::Place(format!(
            "{address}: {why}; write s3://BUCKET/KEY, or s3://BUCKET/PREFIX/ for a folder"
        ))
    };
    let place = ObjectAddress::read(address).map_err(wrong)?;
    let bucket = stores.of_bucket(&place.bucket).map_err(SourceError::Place)?;
    if place.is_folder() {
        return offer_prefix(&bucket, place).await.map(Source::S3Folder);
    }
    let described = bucket.describe(&place.key).await?;
    let pinned = Arc::new(take(&bucket, &described).await?);
    Ok(Source::S3(ObjectSource {
        store: bucket.store().to_owned(),
        bucket: place.bucket,
        key: place.key,
        etag: described.version.etag,
        media_type: media_type.or(described.media_type),
        pinned,
    }))
}

async fn offer_prefix(bucket: &Bucket, place: ObjectAddress) -> Result<PrefixSource, SourceError> {
    let prefix = place.key;
    let listing = Listing { bucket, prefix: &prefix, most: FILES_MAX };
    let found = listing.objects().await?.ok_or(ManifestError::TooMany)?;
    let mut inner: BTreeMap<String, Described> = BTreeMap::new();
    for object in found {
        let path = object.version.key.strip_prefix(&prefix).map(ToOwned::to_owned);
        let path = path.ok_or_else(|| {
            bucket.error(Problem::Answer(format!(
                "it lists {:?}, which is not below the prefix",
                object.version.key
            )))
        })?;
        // What a console makes for an empty folder.
        if object.size == 0 && (path.is_empty() || path.ends_with('/')) {
            continue;
        }
        if !is_inner(&path) {
            return Err(unfit(&object.version.key, "its name makes no path of a file"));
        }
        inner.insert(path, object);
    }
    check_tree(&inner)?;
    if inner.is_empty() {
        return Err(SourceError::Place(format!("there are no objects below s3://{}/{prefix}", place.bucket)));
    }
    let reading = inner.into_iter().map(async |(path, listed)| {
        // Some stores list another entity tag than they give with the object, or none.
        let described = bucket.describe(&listed.version.key).await?;
        let pinned = Arc::new(take(bucket, &described).await?);
        Ok::<_, SourceError>((path, InnerObject { etag: described.version.etag, pinned }))
    });
    let objects = futures_util::stream::iter(reading).buffer_unordered(READ_AT_ONCE).try_collect().await?;
    Ok(PrefixSource { store: bucket.store().to_owned(), bucket: place.bucket, prefix, objects })
}

fn unfit(key: &str, why: &str) -> SourceError {
    SourceError::Place(format!(
        "{key:?} cannot be a file of a folder: {why}; offer it alone, or a smaller prefix"
    ))
}

/// In a store `a` and `a/b` can both be objects; in a folder they cannot.
fn check_tree(inner: &BTreeMap<String, Described>) -> Result<(), SourceError> {
    for (path, described) in inner {
        let mut rest = path.as_str();
        while let Some((above, _)) = rest.rsplit_once('/') {
            if inner.contains_key(above) {
                return Err(unfit(&described.version.key, &format!("{above:?} is an object as well")));
            }
            rest = above;
        }
    }
    Ok(())
}

async fn take(bucket: &Bucket, described: &Described) -> Result<Fingerprint, SourceError> {
    let Described { version, size, .. } = described;
    let mut taking = Taking::of(*size);
    let mut parts = Box::pin(bucket.clone().bytes(version.clone(), 0..*size));
    while let Some(part) = parts.try_next().await? {
        taking.update(&part);
    }
    Ok(taking.done())
}

impl ObjectSource {
    /// Makes it ready to be read; the store is asked when it is read.
    ///
    /// # Errors
    /// When the store is not in `hiwar.toml` any more.
    pub(super) fn open(&self, stores: &Arc<Stores>) -> Result<Content, SourceError> {
        let bucket = stores.named(&self.store, &self.bucket).map_err(SourceError::Place)?;
        let version = Version { key: self.key.clone(), etag: self.etag.clone() };
        Ok(content(bucket, version, self.pinned.clone(), self.media_type.clone()))
    }
}

impl PrefixSource {
    /// Bytes of all its objects.
    pub fn bytes(&self) -> u64 {
        self.objects.values().map(|object| object.pinned.size).sum()
    }

    /// The manifest as it is served.
    pub fn manifest(&self) -> Vec<u8> {
        manifest(self.objects.iter().map(|(path, object)| (path, &*object.pinned)))
    }

    /// Opens the manifest, or the object with a path of the manifest.
    ///
    /// # Errors
    /// When there is no such object, or the store is not in `hiwar.toml` any more.
    pub(super) fn open(&self, path: Option<&str>, stores: &Arc<Stores>) -> Result<Content, SourceError> {
        let Some(path) = path else { return Ok(listed(self.manifest())) };
        // Only a path of the manifest is looked for: no other path ever reaches the store.
        let (known, object) = self.objects.get_key_value(path).ok_or(SourceError::NoSuchPath)?;
        let bucket = stores.named(&self.store, &self.bucket).map_err(SourceError::Place)?;
        let version = Version { key: format!("{}{known}", self.prefix), etag: object.etag.clone() };
        Ok(content(bucket, version, object.pinned.clone(), None))
    }
}

fn content(
    bucket: Bucket,
    version: Version,
    pinned: Arc<Fingerprint>,
    media_type: Option<String>,
) -> Content {
    Content {
        size: pinned.size,
        etag: pinned.etag(),
        sha256: Some(pinned.sha256),
        media_type,
        body: super::Body::Object(PinnedObject { bucket, version, pinned }),
    }
}

/// One version of an object, to be read.
#[derive(Debug)]
pub(super) struct PinnedObject {
    bucket: Bucket,
    version: Version,
    pinned: Arc<Fingerprint>,
}

impl PinnedObject {
    /// The bytes of `range`, each checked before it is given out.
    pub(super) fn stream(self, range: Range<u64>) -> ContentStream {
        if range.is_empty() {
            return Box::pin(futures_util::stream::empty());
        }
        let Self { bucket, version, pinned } = self;
        // Whole blocks are read, for only they can be checked.
        let from = pinned.span(range.start, 1).start;
        let to = pinned.span(range.end - 1, 1).end;
        let etag = version.etag.clone();
        let parts = bucket.bytes(version, from..to).map_err(move |error| of_pinned(error, &etag)).boxed();
        let batches = Batches { parts, held: BytesMut::new(), at: from, to, pinned: pinned.clone() };
        let checked = batches.stream().map(move |batch| check(batch, pinned.clone()));
        Box::pin(checked.buffered(AHEAD).map_ok(move |(at, batch)| {
            let within =
                |place: u64| usize::try_from(place.saturating_sub(at)).unwrap_or(usize::MAX).min(batch.len());
            batch.slice(within(range.start)..within(range.end))
        }))
    }
}

/// An object that was replaced or removed is no fault of the store.
fn of_pinned(error: StoreError, etag: &str) -> SourceError {
    match error.problem {
        Problem::Replaced => Changed::Replaced(etag.to_owned()).into(),
        Problem::NoKey(_) => Changed::Gone.into(),
        _ => error.into(),
    }
}

type Batch = Result<(u64, Bytes), SourceError>;

async fn check(batch: Batch, pinned: Arc<Fingerprint>) -> Batch {
    let (at, bytes) = batch?;
    let checking = tokio::task::spawn_blocking(move || pinned.check(at, &bytes).map(|()| (at, bytes)));
    Ok(checking.await.map_err(|e| SourceError::Read(e.to_string()))??)
}

/// Parts as they arrive, joined to whole blocks.
struct Batches {
    parts: BoxStream<'static, Result<Bytes, SourceError>>,
    held: BytesMut,
    /// Where `held` begins.
    at: u64,
    to: u64,
    pinned: Arc<Fingerprint>,
}

impl Batches {
    fn stream(self) -> impl futures_util::Stream<Item = Batch> + Send {
        futures_util::stream::unfold(Some(self), async |state| {
            let mut batches = state?;
            match batches.next().await {
                Ok(Some(batch)) => Some((Ok(batch), Some(batches))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<(u64, Bytes)>, SourceError> {
        if self.at >= self.to {
            return Ok(None);
        }
        let length = self.pinned.span(self.at, BATCH).end.min(self.to) - self.at;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.held.reserve(length.saturating_sub(self.held.len()));
        while self.held.len() < length {
            let part = self.parts.try_next().await?;
            let part = part.ok_or(Changed::Size { offered: self.pinned.size, found: self.at })?;
            self.held.extend_from_slice(&part);
        }
        let batch = self.held.split_to(length).freeze();
        let at = self.at;
        self.at = self.at.saturating_add(length as u64);
        Ok(Some((at, batch)))
    }
}
