//! Segments as one, in order of series.

use super::segment::{Group, SegmentReader, StoredCell};
use super::{Segment, StoreError, StoredKey};

/// Reads segments side by side.
pub(super) struct Scan {
    heads: Vec<(Option<Group>, SegmentReader)>,
}

impl Scan {
    pub(super) fn new(segments: &[Segment]) -> Result<Self, StoreError> {
        let mut heads = Vec::new();
        for segment in segments {
            let mut reader = SegmentReader::open(&segment.path)?;
            heads.push((reader.next()?, reader));
        }
        Ok(Self { heads })
    }

    /// The next series at or after `from`, with the cells of all segments in order of period,
    /// release and import.
    fn pull(&mut self, from: Option<&StoredKey>) -> Result<Option<Group>, StoreError> {
        if let Some(from) = from {
            for (head, reader) in &mut self.heads {
                while head.as_ref().is_some_and(|g| g.key < *from) {
                    *head = reader.next()?;
                }
            }
        }
        let least = self.heads.iter().filter_map(|(head, _)| Some(&head.as_ref()?.key)).min();
        let Some(key) = least.cloned() else { return Ok(None) };
        if from.is_some_and(|from| *from != key) {
            return Ok(None);
        }
        let mut cells = Vec::new();
        for (head, reader) in &mut self.heads {
            if let Some(group) = head.take_if(|g| g.key == key) {
                cells.extend(group.cells);
                *head = reader.next()?;
            }
        }
        cells.sort_by_key(|c| (c.period, c.released));
        Ok(Some(Group { key, cells }))
    }

    /// The next series, if it comes before a key.
    pub(super) fn before(&mut self, key: &StoredKey) -> Result<Option<Group>, StoreError> {
        let any = self.heads.iter().any(|(head, _)| head.as_ref().is_some_and(|g| g.key < *key));
        if any { self.pull(None) } else { Ok(None) }
    }

    /// The next series.
    pub(super) fn next(&mut self) -> Result<Option<Group>, StoreError> {
        self.pull(None)
    }

    /// The cells of a series; to be asked in order of keys.
    pub(super) fn cells_of(&mut self, key: &StoredKey) -> Result<Vec<StoredCell>, StoreError> {
        Ok(self.pull(Some(key))?.map(|g| g.cells).unwrap_or_default())
    }
}

/// What was known of a period at the end of a day; of one day's releases the last import's.
pub(super) fn visible<'a>(
    cells: impl IntoIterator<Item = &'a StoredCell>,
    day: i32,
) -> Option<&'a StoredCell> {
    cells.into_iter().filter(|c| c.released <= day).max_by_key(|c| c.released)
}
