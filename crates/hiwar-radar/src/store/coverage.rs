//! Which periods a source had completed, for tables that leave rows without trade out.
//!
//! A missing row of such a table means no trade only where the source had released the period. For
//! a table that may be a selection of items, that is between the first and the last period with a
//! row of the item (whatever the partner and flow), and only in periods for which the import had
//! some row of the reporter. For a table of all items it is every period for which the import had
//! a row of the reporter. All of that counts only what was released by the date in question, so a
//! month that arrived late for an item is absent and not zero.
//!
//! In a segment, a coverage block is the number of the import (varint), and then again and again:
//! annual (0 or 1), source, reporter, item (empty for all of the reporter), a count, and for each
//! period the signed difference to the period before, the release (signed difference), and 0, or 1
//! and the release (signed) in a table of all items.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StoredKey;
use super::codec::{Broken, Bytes, Read, put_signed, put_text, put_varint};
use crate::import::Missing;

/// Source, reporter, item (empty for the whole reporter), annual.
type Of = (Arc<str>, Arc<str>, Arc<str>, bool);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    released: i32,
    /// When a table of all items had it.
    all: Option<i32>,
}

/// The periods that one import had, by reporter and by item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Coverage {
    of: BTreeMap<Of, BTreeMap<u16, Entry>>,
}

impl Coverage {
    /// Notes a row.
    pub(super) fn note(&mut self, key: &StoredKey, period: u16, released: i32, missing: Missing) {
        if missing == Missing::Unknown {
            return;
        }
        let all = (missing == Missing::ZeroWithinFile).then_some(released);
        let k = &key.key;
        // A table of all items needs no note for each.
        let item = (missing == Missing::ZeroWithinItem).then(|| Arc::clone(&k.item));
        for item in [Some("".into()), item].into_iter().flatten() {
            let of = (Arc::clone(&k.source), Arc::clone(&k.reporter), item, key.annual);
            let entry = self.of.entry(of).or_default().entry(period).or_insert(Entry { released, all });
            entry.released = entry.released.min(released);
            entry.all = match (entry.all, all) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// As blocks of about 64 KiB, for the import of a number.
    pub(super) fn blocks(&self, import: u64) -> Vec<Vec<u8>> {
        let mut blocks = Vec::new();
        let mut start = Vec::new();
        put_varint(&mut start, import);
        let mut out = start.clone();
        for ((source, reporter, item, annual), periods) in &self.of {
            out.push(u8::from(*annual));
            for text in [source, reporter, item] {
                put_text(&mut out, text);
            }
            put_varint(&mut out, periods.len() as u64);
            let (mut last, mut last_released) = (0, 0);
            for (period, entry) in periods {
                put_signed(&mut out, i64::from(*period) - last);
                put_signed(&mut out, i64::from(entry.released) - last_released);
                out.push(u8::from(entry.all.is_some()));
                if let Some(all) = entry.all {
                    put_signed(&mut out, i64::from(all));
                }
                (last, last_released) = (i64::from(*period), i64::from(entry.released));
            }
            if out.len() >= 1 << 16 {
                blocks.push(std::mem::replace(&mut out, start.clone()));
            }
        }
        if out.len() > start.len() {
            blocks.push(out);
        }
        blocks
    }

    /// Adds what a block says.
    pub(super) fn read(&mut self, mut bytes: Bytes<'_>) -> Read<()> {
        let day = |value: i64| i32::try_from(value).map_err(|_| Broken("a date too large"));
        while !bytes.0.is_empty() {
            let annual = bytes.byte()? != 0;
            let of = (bytes.text()?.into(), bytes.text()?.into(), bytes.text()?.into(), annual);
            let count = bytes.count()?;
            let (mut period, mut released) = (0_i64, 0_i64);
            let mut periods = BTreeMap::new();
            for _ in 0..count {
                period = period.checked_add(bytes.signed()?).ok_or(Broken("a period too large"))?;
                released = released.checked_add(bytes.signed()?).ok_or(Broken("a date too large"))?;
                let all = if bytes.byte()? == 0 { None } else { Some(day(bytes.signed()?)?) };
                let period = u16::try_from(period).map_err(|_| Broken("a period too large"))?;
                periods.insert(period, Entry { released: day(released)?, all });
            }
            self.of.insert(of, periods);
        }
        Ok(())
    }

    /// Keeps what was released by a day and what `keep` wants (source, reporter, item or empty).
    pub(super) fn until(mut self, day: i32, keep: impl Fn(&str, &str, &str) -> bool) -> Self {
        self.of.retain(|(source, reporter, item, _), periods| {
            periods.retain(|_, entry| entry.released <= day);
            for entry in periods.values_mut() {
                entry.all = entry.all.filter(|all| *all <= day);
            }
            !periods.is_empty() && keep(source, reporter, item)
        });
        self
    }

    /// The periods in which a missing row of a series means no trade, and the day since when it
    /// does.
    pub(super) fn complete(&self, key: &StoredKey) -> Vec<(u16, i32)> {
        let k = &key.key;
        let of = |item: Arc<str>| (Arc::clone(&k.source), Arc::clone(&k.reporter), item, key.annual);
        let Some(reporter) = self.of.get(&of("".into())) else { return Vec::new() };
        let item = self.of.get(&of(Arc::clone(&k.item)));
        let bounds = item.and_then(|i| Some((*i.first_key_value()?.0, *i.last_key_value()?.0)));
        let within = |p: u16| bounds.is_some_and(|(first, last)| (first..=last).contains(&p));
        let since = |e: &Entry| e.all.unwrap_or(e.released);
        let complete = reporter.iter().filter(|(p, e)| e.all.is_some() || within(**p));
        complete.map(|(p, e)| (*p, since(e))).collect()
    }
}
