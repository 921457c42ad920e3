//! Joining segments, so that a reader needs few open files.
//!
//! The joined segment holds all that its parts hold, and takes their place when it gets its name.
//! The parts are removed by the next import: readers may still be at them.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use super::import::publish;
use super::scan::Scan;
use super::segment::{SegmentReader, SegmentWriter};
use super::{Store, StoreError};

/// Segments before they are joined.
const MANY: usize = 32;

/// Joins all segments when they are many.
pub(super) fn when_many(store: &Store, work: &Path) -> Result<(), StoreError> {
    let segments = store.segments()?;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Ok(()) };
    if segments.len() < MANY {
        return Ok(());
    }
    let io = |source| StoreError::Io { path: store.dir.clone(), source };
    let path = work.join("joined");
    let out = BufWriter::with_capacity(1 << 16, File::create_new(&path).map_err(io)?);
    let mut writer = SegmentWriter::new(out).map_err(io)?;
    let mut scan = Scan::new(&segments)?;
    while let Some(group) = scan.next()? {
        writer.put(&group).map_err(io)?;
    }
    let mut coverage = Vec::new();
    for segment in &segments {
        coverage.extend(SegmentReader::open(&segment.path)?.coverage()?);
    }
    let out = writer.finish(&coverage).map_err(io)?;
    publish(store, out, &path, first.first, last.last).map_err(io)?;
    Ok(())
}

/// Removes segments whose imports another one holds.
pub(super) fn remove_joined(store: &Store) -> Result<(), StoreError> {
    let read = store.segments()?;
    for segment in store.all_segments()? {
        if !read.iter().any(|r| r.path == segment.path) {
            let removed = std::fs::remove_file(&segment.path);
            removed.map_err(|source| StoreError::Io { path: segment.path.clone(), source })?;
        }
    }
    Ok(())
}
