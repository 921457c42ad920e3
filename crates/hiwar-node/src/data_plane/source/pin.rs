//! A file as it was when it was offered: its SHA-256, and that of each of its blocks, so that every
//! byte is checked before it leaves, whatever range is asked for.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::STANDARD as BASE64;
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Smallest block, in bytes.
const BLOCK_MIN: u64 = 256 * 1024;
/// Largest block, in bytes: what must be read and checked before one byte of it is sent.
const BLOCK_MAX: u64 = 4 * 1024 * 1024;
/// A file has about this many blocks at most, until its blocks have the largest size.
const BLOCKS: u64 = 16_384;

/// The content of a file at the time it was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Bytes in the file.
    pub size: u64,
    /// SHA-256 of the whole.
    pub sha256: Hash,
    /// The file as the system described it, when that can show whether it was touched since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<Stamp>,
    /// Bytes in a block; the last one may be shorter.
    block: u64,
    /// The blocks' SHA-256 one after another; written as base64.
    #[serde(with = "digests")]
    digests: Vec<u8>,
}

/// What the system says of a file. Whoever writes to a file changes its change time, which, unlike
/// its modification time, nobody can set back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stamp {
    device: u64,
    inode: u64,
    modified_ns: i64,
    changed_ns: i64,
}

impl Stamp {
    #[cfg(unix)]
    fn of(held: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Some(Self {
            device: held.dev(),
            inode: held.ino(),
            modified_ns: ns(held.mtime(), held.mtime_nsec()),
            changed_ns: ns(held.ctime(), held.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether a later write must show. One in the same tick of the clock as the last before the file was
    /// read would not.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        i128::from(self.changed_ns) + SETTLED_NS < i128::try_from(now).unwrap_or(i128::MAX)
    }
}

/// A file must have been left alone this long, in nanoseconds, for its stamp to count.
const SETTLED_NS: i128 = 2_000_000_000;
/// A file of so many bytes that was written just now is given the time to settle when it is offered.
const SETTLE_BYTES: u64 = 64 * 1024 * 1024;

/// The file is no longer what was offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Changed {
    /// Its size changed.
    #[error("it had {offered} bytes when it was offered and has {found} now")]
    Size {
        /// Bytes when it was offered.
        offered: u64,
        /// Bytes now.
        found: u64,
    },
    /// The object was replaced in its store.
    #[error("the object was replaced in its store; it had the entity tag {0} when it was offered")]
    Replaced(String),
    /// The object is not in its store any more.
    #[error("the object is not in its store any more")]
    Gone,
    /// Its content changed.
    #[error("bytes {from} to {to} are not those that were offered")]
    Content {
        /// First byte of the block.
        from: u64,
        /// The byte behind the block.
        to: u64,
    },
}

impl Fingerprint {
    /// Reads the file and takes its fingerprint. This blocks for as long as reading takes.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file, or changes its size meanwhile.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let held = file.metadata()?;
        if !held.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut stamp = Stamp::of(&held);
        if held.len() >= SETTLE_BYTES && stamp.as_ref().is_some_and(|s| !s.is_settled(SystemTime::now())) {
            // Worth waiting for: without a stamp, every byte would be hashed each time it is served.
            std::thread::sleep(Duration::from_nanos(u64::try_from(SETTLED_NS).unwrap_or(0) + 10_000_000));
            stamp = Stamp::of(&file.metadata()?);
        }
        let before = stamp.clone();
        let stamp = stamp.filter(|stamp| stamp.is_settled(SystemTime::now()));
        let mut taking = Taking::of(held.len());
        let mut buffer = vec![0; usize::try_from(taking.block).unwrap_or(usize::MAX)];
        loop {
            let read = fill(&mut file, &mut buffer)?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            taking.update(part);
        }
        let after = file.metadata()?;
        let taken = taking.done();
        if taken.size != held.len() || Stamp::of(&after) != before {
            return Err(io::Error::other("it changed while it was read"));
        }
        Ok(Self { stamp, ..taken })
    }

    /// Whether the system vouches that the file is as it was when its fingerprint was taken. Asked after
    /// bytes were read, it holds for them.
    pub(super) fn is_untouched(&self, file: &File) -> bool {
        self.stamp.is_some() && file.metadata().is_ok_and(|held| Stamp::of(&held) == self.stamp)
    }

    /// The block-aligned range of bytes, about `length` long, that begins at or before `at`.
    pub(super) fn span(&self, at: u64, length: u64) -> Range<u64> {
        let first = at - at % self.block;
        let length = length.max(self.block).next_multiple_of(self.block);
        first..first.saturating_add(length).min(self.size)
    }

    /// Checks whole blocks that begin at `from`.
    ///
    /// # Errors
    /// Which block differs.
    pub(super) fn check(&self, from: u64, bytes: &[u8]) -> Result<(), Changed> {
        let block = usize::try_from(self.block).unwrap_or(usize::MAX);
        let first = usize::try_from(from / self.block).unwrap_or(usize::MAX);
        let expected = self.digests.chunks_exact(32).skip(first);
        let mut expected = expected.chain(std::iter::repeat(&[][..]));
        let mut at = from;
        for part in bytes.chunks(block) {
            let to = at + part.len() as u64;
            if expected.next() != Some(Sha256::digest(part).as_slice()) {
                return Err(Changed::Content { from: at, to });
            }
            at = to;
        }
        Ok(())
    }

    /// The strong entity tag: the digest itself.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }
}

/// A fingerprint while it is taken, part by part.
pub(super) struct Taking {
    whole: Sha256,
    /// The block that is not full yet, and how many bytes of it were seen.
    open: (Sha256, u64),
    block: u64,
    size: u64,
    digests: Vec<u8>,
}

impl Taking {
    /// Of content that has `size` bytes, as far as is known.
    pub(super) fn of(size: u64) -> Self {
        let block = (size / BLOCKS).next_power_of_two().clamp(BLOCK_MIN, BLOCK_MAX);
        Self { whole: Sha256::new(), open: (Sha256::new(), 0), block, size: 0, digests: Vec::new() }
    }

    /// The next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = usize::try_from(self.block - self.open.1).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            self.open.0.update(part);
            self.open.1 += part.len() as u64;
            if self.open.1 == self.block {
                self.digests.extend_from_slice(&self.open.0.finalize_reset());
                self.open.1 = 0;
            }
            bytes = rest;
        }
    }

    /// All bytes were seen. Without a stamp: of what is no file here, nothing says that it was not touched.
    pub(super) fn done(mut self) -> Fingerprint {
        if self.open.1 > 0 {
            self.digests.extend_from_slice(&self.open.0.finalize());
        }
        let Self { whole, block, size, digests, .. } = self;
        Fingerprint { size, sha256: Hash(whole.finalize().into()), stamp: None, block, digests }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

mod digests {
    use super::{BASE64, Deserialize, Serialize};
    use base64::Engine as _;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        BASE64.encode(bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found_in_its_block_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut content: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let print = Fingerprint::of(&path).unwrap();
        assert_eq!((print.size, print.sha256), (700_000, Hash::of(&content)));
        let mut taking = Taking::of(700_000);
        content.chunks(99_991).for_each(|part| taking.update(part));
        assert_eq!(
            taking.done(),
            Fingerprint { stamp: None, ..print.clone() },
            "however it is cut into parts"
        );
        let json = serde_json::to_string(&print).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), print);
        assert_eq!(print.check(0, &content), Ok(()));
        assert_eq!(print.span(300_000, 1), 262_144..524_288);
        assert_eq!(print.span(600_000, 1 << 20), 524_288..700_000);
        content[300_000] ^= 1;
        assert_eq!(print.check(0, &content[..262_144]), Ok(()));
        assert_eq!(print.check(524_288, &content[524_288..]), Ok(()));
        let changed = Changed::Content { from: 262_144, to: 524_288 };
        assert_eq!(print.check(262_144, &content[262_144..]), Err(changed));
        assert!(print.check(700_000, b"more").is_err(), "beyond the end nothing was offered");
    }

    #[test]
    fn a_folder_or_a_missing_file_has_no_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Fingerprint::of(folder.path()).is_err());
        assert!(Fingerprint::of(&folder.path().join("none")).is_err());
    }
}
