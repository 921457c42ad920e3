//! The store: every number with the day it was released, and series as they were known on any day.
//!
//! A store is a directory of segments (`store/segment.rs` has their format). An import reads its files,
//! sorts the records on disk, compares them with what is held and writes one segment beside its
//! final name, which it gets when it is whole and on disk: an import happens altogether or not at
//! all, whenever the process dies. Nothing is ever overwritten. Other numbers for a period that is
//! held are a revision, released on the day the file was received unless the file says otherwise;
//! first numbers count as released when their source usually does ([`crate::calendar`]). Files that
//! say when they were released are best imported in the order of their releases: a number that
//! only confirms what was held is not kept, and is missed should another be put before it later.
//!
//! Memory does not grow with files or store: an import holds a quarter of a million records and
//! what it notes of coverage (the periods of the import, times its items for tables that may be a
//! selection of items), a reader one block of each segment.

mod codec;
mod compact;
mod coverage;
mod filter;
mod held;
mod import;
mod runs;
mod scan;
mod segment;
mod view;
mod withdraw;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use filter::{Aggregate, Filter, aggregate};
pub use held::{Held, HeldIter};
pub use import::{ImportReport, Options, Progress};
pub use view::{AnnualIter, AnnualSeries, SeriesIter};

use crate::import::ImportError;
use crate::month::Date;
use crate::series::{SeriesKey, Unit};

/// What a series is stored under: in one unit, of months or of years.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct StoredKey {
    key: SeriesKey,
    annual: bool,
    unit: Unit,
}

/// Why the store cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the store cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the store is not as it was written.
    #[error(
        "{}, byte {offset}: damaged ({what}); restore the file from a backup, or move it away and import its \
         tables again",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Near which byte.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Another import is under way.
    #[error("{}: another import into this store is under way; wait for it to end", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A table cannot be taken.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// How often the lock is tried before another import is held to be under way. A lock that was let go may still be held
/// for a moment: a program that this process has just started has a copy of it until it runs.
const LOCK_TRIES: u32 = 25;
/// Rest between two tries.
const LOCK_REST: std::time::Duration = std::time::Duration::from_millis(20);

/// A store of trade tables.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens the store in a directory, which is made when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let made = std::fs::create_dir_all(dir);
        made.map_err(|source| StoreError::Io { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Reads tables into the store, all of them or none.
    ///
    /// # Errors
    /// [`StoreError::Import`] when a table cannot be taken, and others.
    pub fn import(&self, paths: &[PathBuf], options: &Options) -> Result<ImportReport, StoreError> {
        import::run(self, paths, options, &mut |_| ())
    }

    /// The same, telling now and then how far it is.
    ///
    /// # Errors
    /// As [`Store::import`].
    pub fn import_watched(
        &self,
        paths: &[PathBuf],
        options: &Options,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<ImportReport, StoreError> {
        import::run(self, paths, options, watch)
    }

    /// Every number that is held of the series that `filter` wants, with its release.
    ///
    /// # Errors
    /// [`StoreError`]; damage met on the way comes as an item.
    pub fn held(&self, filter: &Filter) -> Result<HeldIter, StoreError> {
        HeldIter::new(self, filter)
    }

    /// The monthly series that `filter` wants as they were known at the end of a day, in order of
    /// their keys.
    ///
    /// # Errors
    /// [`StoreError`]; damage met on the way comes as an item.
    pub fn series(&self, as_of: Date, filter: &Filter) -> Result<SeriesIter, StoreError> {
        SeriesIter::new(self, as_of, filter)
    }

    /// The annual series, as [`Store::series`] does the monthly ones.
    ///
    /// # Errors
    /// As [`Store::series`].
    pub fn annual(&self, as_of: Date, filter: &Filter) -> Result<AnnualIter, StoreError> {
        AnnualIter::new(self, as_of, filter)
    }

    /// The segments to be read, oldest first.
    fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        let mut segments: Vec<Segment> = Vec::new();
        // Ordered by the first import and then by the last, the widest first.
        for segment in self.all_segments()? {
            if segments.last().is_none_or(|before| segment.last > before.last) {
                segments.push(segment);
            }
        }
        Ok(segments)
    }

    fn all_segments(&self) -> Result<Vec<Segment>, StoreError> {
        let io = |source| StoreError::Io { path: self.dir.clone(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            found.extend(Segment::named(entry.map_err(io)?.path()));
        }
        found.sort_by_key(|s: &Segment| (s.first, std::cmp::Reverse(s.last)));
        Ok(found)
    }

    /// Holds off other imports until the file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.dir.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| StoreError::Io { path: path.clone(), source })?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_REST),
                Err(std::fs::TryLockError::Error(source)) => return Err(StoreError::Io { path, source }),
            }
        }
        Err(StoreError::Locked { path })
    }
}

/// A segment, and the numbers of the imports it holds.
#[derive(Clone, Debug)]
struct Segment {
    first: u64,
    last: u64,
    path: PathBuf,
}

impl Segment {
    fn named(path: PathBuf) -> Option<Self> {
        let (first, last) = path.file_name()?.to_str()?.strip_suffix(".seg")?.split_once('-')?;
        let number = |text: &str| (text.len() == 8).then(|| text.parse().ok()).flatten();
        let (first, last) = (number(first)?, number(last)?);
        Some(Self { first, last, path })
    }
}

/// Days since 1970-01-01.
fn day(date: Date) -> i32 {
    let days = date.since(jiff::civil::date(1970, 1, 1)).map(|span| span.get_days());
    // The calendar's ends are about 4 million days away.
    days.unwrap_or(if date.year() < 1970 { i32::MIN } else { i32::MAX })
}

/// The date so many days after 1970-01-01.
fn date(days: i32) -> Date {
    let end = if days < 0 { Date::MIN } else { Date::MAX };
    jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(end)
}
